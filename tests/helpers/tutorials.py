# SPDX-License-Identifier: BSD-3-Clause
"""Files with the entries of lava-dl's netx tutorials, and weights of chance."""

import h5py
import numpy as np

CUBA = {"type": b"CUBA", "iDecay": 410, "vDecay": 410, "vThMant": 64, "refDelay": 1}
LOIHI = {"type": b"LOIHI", "iDecay": 4096, "vDecay": 1024, "vThMant": 25, "wgtExp": 0}
SDNN = {"type": b"SDNN", "vThMant": 6, "activation": b"relu"}
PILOT = [(24, 3, 2, 0), (36, 3, 2, 0), (48, 3, 2, 0), (64, 3, (2, 1), (1, 0))]
PILOT += [(64, 3, 1, 0)]
#: Channels, kernel, stride and padding; a quarter of the tutorial's channels.
YOLO = [(4, 3, 2, 1), (4, 3, 2, 1), (8, 3, 2, 1), (16, 3, 2, 1), (32, 3, 1, 1)]
YOLO += [(32, 3, 2, 1), (64, 3, 1, 1), (32, 1, 1, 0), (64, 3, 1, 1)]


class Writer:
    """One file, entry by entry."""

    def __init__(self, file, shape):
        self.file, self.shape = file, shape
        self.rng = np.random.default_rng(0)

    def entry(self, kind, shape, neuron, **values):
        group = self.file.create_group(f"layer/{len(self.file.get('layer', ()))}")
        group["type"] = np.array([kind.encode()], "S10")
        group["shape"] = np.array(shape)
        for key, value in values.items():
            group[key] = value
        for key, value in neuron.items():
            group[f"neuron/{key}"] = value
        self.shape = shape

    def weight(self, largest, *shape):
        return 2.0 * self.rng.integers(-largest, largest + 1, shape).astype("f4")

    def conv(self, channels, kernel, stride, padding, neuron, largest=8):
        pairs = {"stride": stride, "padding": padding, "dilation": 1}
        given = {k: np.broadcast_to(v, 2).copy() for k, v in pairs.items()}
        shape = tuple(
            (n + 2 * p - kernel) // s + 1
            for n, p, s in zip(
                self.shape[1:], given["padding"], given["stride"], strict=True
            )
        )
        weight = self.weight(largest, channels, self.shape[0], kernel, kernel)
        given |= {"weight": weight, "groups": 1}
        if "sigma_output" not in neuron:  # a decoder has none
            given["bias"] = np.zeros(channels, "f4")
        self.entry("conv", (channels, *shape), neuron, **given)

    def dense(self, size, neuron, largest=8):
        weight = self.weight(largest, size, int(np.prod(self.shape)))
        self.entry("dense", (size,), neuron, weight=weight)

    def pilot_net(self, neuron):
        for row in PILOT:
            self.conv(*row, neuron)


def write(folder):
    """All five, under the names of docs/netx_stock.md."""
    with h5py.File(folder / "oxford.net", "w") as file:
        writer = Writer(file, (200,))
        for size in (256, 200):
            writer.dense(size, {**CUBA, "iDecay": 4096, "vThMant": 6})
    with h5py.File(folder / "mnist.net", "w") as file:
        writer = Writer(file, (784,))
        for size in (128, 64, 10):
            writer.dense(size, CUBA)
    with h5py.File(folder / "pilotnet_snn.net", "w") as file:
        writer = Writer(file, (3, 66, 200))
        writer.entry("input", (3, 66, 200), LOIHI, weight=40.0, bias=36.0)
        writer.pilot_net(LOIHI)
    with h5py.File(folder / "pilotnet_sdnn.net", "w") as file:
        writer = Writer(file, (3, 66, 200))
        writer.entry("input", (3, 66, 200), SDNN)
        writer.pilot_net(SDNN)
        writer.entry("flatten", (int(np.prod(writer.shape)), 1, 1), {})
        for size in (100, 50, 10):
            writer.dense(size, SDNN, largest=4)
        writer.dense(1, {**SDNN, "sigma_output": True})
    with h5py.File(folder / "yolo_kp.net", "w") as file:
        writer = Writer(file, (3, 448, 448))
        writer.entry("input", (3, 448, 448), SDNN)
        for row in YOLO:
            writer.conv(*row, SDNN, largest=2)
        writer.conv(48, 1, 1, 0, {"type": b"SDNN", "sigma_output": True}, largest=2)
