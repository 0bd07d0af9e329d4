# SPDX-License-Identifier: BSD-3-Clause
"""The page of instructions in the starting kit."""

from __future__ import annotations

from string import Template

from export.network import Network
from loihi_unet.kit.unread import NOT_READ
from sim.recording import Recording

_PAGE = Template("""\
# Does your chip give these integers?

A network of $count layers, $images pictures that enter it, and what every layer has to
send. If your chip, board or simulator sends the same, `verify` says EXACT.

| file | what it holds |
|---|---|
| `network.net` | the network (netx HDF5; every key is in docs/netx_format.md) |
| `images.npy` | the pictures, int32, shape $shape: (pictures, C, H, W) |
| `reference.h5` | what the judge recorded: this is what is expected |
| `chip.h5` | a template for your dump, in the same form |

## 1. Run it

T = $steps: each picture enters for $steps time steps, its integers unchanged; the next
follows at once. Values lie in $low..$high. All arrays are (C, H, W); Lava has (W, H, C)
with flipped kernels. Layer l of stage s does algorithm step t of picture i at time step
i * $steps + t + s + 1, counted from 1:

| layer | shape (C, H, W) | stage | first time step | recorded |
|---|---|---|---|---|
$rows

The compartment, in a dozen lines, is in docs/on-chip.md. Potentials start at 0 in every
picture's window and never leave 24 bits signed here.

## 2. Read it

Of each layer but the last: the graded spike that every neuron sent at every algorithm
step, 0 where it was silent, as integers of shape (pictures, T, C, H, W). Of the last
layer: its potential after its last step, (pictures, C, H, W). Say your values lie
beside `chip.h5` as `down.npy`, ..., and `output.npy`:

```python
import h5py
import numpy as np

with h5py.File("chip.h5", "r+") as file:
    file["backend"][()] = "my chip, board 1"
    for name in file["payload"]:
        file["payload"][name][...] = np.load(name + ".npy")
    file["output"][...] = np.load("output.npy")
```

Where `chip.h5` still holds $unread, nothing was read: no chip sends that. Layers
that you cannot read may be deleted (`del file["payload/mid"]`): the verdict is then
PARTIAL at best, and names them.

## 3. Compare it

```
$verify
```

EXACT, exit code 0: every layer, step, picture and the output are equal. FAIL, exit
code 1: the first layer, step and pixel that differ, and what would explain it (axes in
another order, signs, a step too late, a reset missing). Look at the first layer that
differs; the later ones follow from it. Add `--report DIR` for a page with both
potentials.

## 4. Then

`loihi-unet probes --out probes` asks what simulators leave open: rounding, resets,
payloads, delays. After that your own network: docs/recording_format.md.
""")


def page(network: Network, expected: Recording, verify: str) -> str:
    """Text of the instructions.

    Parameters
    ----------
    network : Network
        What is to run.
    expected : Recording
        What it has to give.
    verify : str
        The command that compares.
    """
    rows = []
    for layer in network.layers:
        stage = network.stages[layer.name]
        what = "every step" if layer.name in expected.payloads else "output, at the end"
        rows.append(
            f"| {layer.name} | {layer.shape} | {stage} | {stage + 1} | {what} |"
        )
    return _PAGE.substitute(
        count=len(network.layers),
        images=len(expected.images),
        shape=expected.images.shape,
        steps=network.num_steps,
        low=network.input.minimum,
        high=network.input.maximum,
        rows="\n".join(rows),
        unread=NOT_READ,
        verify=verify,
    )
