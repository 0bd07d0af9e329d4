# SPDX-License-Identifier: BSD-3-Clause
"""Writes docs/probes.md from the probes: python -m benchmarks.probes_page."""

from pathlib import Path

from export.files.atomic import write_text
from loihi_unet.kit.probes_page import question
from sim.probes.all import probes

PAGE = Path(__file__).parents[1] / "docs" / "probes.md"
INTRODUCTION = """\
# Questions that only a chip can answer

Lava's CPU models are called bit-accurate; [lava issue
322](https://github.com/lava-nc/lava/issues/322) says that a Loihi 1 does otherwise, and
nobody has published what a chip does in the cases below. So this project states what
its backends do, and asks:

```
loihi-unet probes --out probes             # networks, inputs, a template, instructions
loihi-unet probes probes/answers.npz       # what a chip's answers mean
```

Each probe is a network of a few neurons with its input and its possible recordings.
No two of them are equal (`tests/sim/test_probes.py`), so that one run answers the
question. The first answer is what the reference, torch and Lava do here; the test runs
all three. The others are what a chip might do; nobody has run them on one yet. A chip
that does something else again is told so, with the first value that leaves the nearest
answer.

`probes ANSWERS.npz` ends with exit code 0 if the chip does everything as simulated,
else 1; an unreadable file is exit code 2. What to change for each answer stands behind
it.
"""


def text() -> str:
    """Return the whole page."""
    return "\n".join(
        [INTRODUCTION, *(question(probe) + "\n" for probe in probes().values())]
    )


if __name__ == "__main__":
    write_text(PAGE, text())
