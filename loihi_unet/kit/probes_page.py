# SPDX-License-Identifier: BSD-3-Clause
"""The page of instructions beside the probes' files."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template

from loihi_unet.kit.unread import NOT_READ
from sim.probes.probe import Probe

_PAGE = Template("""\
# $count questions to a chip

Each is a network of a few neurons. Run it once, write down what its layer `neurons`
sends, and the recording says how the chip works: no two answers record the same.

| file | what it holds |
|---|---|
| `NAME.net` | the network (netx HDF5) |
| `NAME.npy` | what enters, as below |
| `NAME.possible.npz` | what would be recorded: `answer0`, ..., (steps, neurons) |
| `answers.npz` | a template: an array (steps, neurons) for each question |

Row t of a recording is what the neurons sent at their own step t, 0 where they were
silent. Time steps are counted from 1.

- Stock neurons: (T, C, 1, 1) spikes enter, one row at each time step; what enters at
  one arrives at the next. Row t is time step t + 1.
- Windows: (pictures, C, 1, 1) enter, each unchanged for T time steps. A layer of stage
  s does step t of picture i at time step i * T + t + s + 1; the pictures' rows follow
  one another.

```python
import numpy as np

answers = dict(np.load("answers.npz"))
answers["threshold"] = recorded  # what you read
np.savez("answers.npz", **answers)
```

```
$read
```

What still holds $unread counts as not read; do as many as you like. An answer that is
none of these is said to be so, with the first value that leaves the nearest.

## The questions

$questions
""")


def question(probe: Probe) -> str:
    """A probe in Markdown: the question, why it is open, and the answers."""
    stage = probe.network.stages[probe.layer]
    steps, neurons = probe.shape
    kind = "Windows" if probe.network.in_windows else "Stock neurons"
    lines = [
        f"### {probe.name}",
        "",
        f"**{probe.question}** {probe.reason}",
        "",
        f"{kind}, T = {probe.network.num_steps}, stage {stage}; a recording has "
        f"{steps} steps of {neurons} neurons.",
        "",
    ]
    for index, answer in enumerate(probe.answers):
        then = answer.then or "As all backends here: nothing has to change."
        lines.append(f"- `answer{index}`: {answer.text}. *{then}*")
    return "\n".join(lines)


def page(probes: Mapping[str, Probe], read: str) -> str:
    """Text of the instructions."""
    return _PAGE.substitute(
        count=len(probes),
        read=read,
        unread=NOT_READ,
        questions="\n\n".join(map(question, probes.values())),
    )
