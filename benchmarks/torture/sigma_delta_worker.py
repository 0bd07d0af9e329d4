# SPDX-License-Identifier: BSD-3-Clause
"""Child process of `benchmarks.torture.sigma_delta`: ``KIND FIRST END FOLDER``.

It prints what `benchmarks.torture.worker` prints, of converted networks.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.torture.cases import judge_cases
from export.errors import UserError
from export.images import completed
from export.netx import read_network, write_network
from export.stock_network import StockNetwork
from loihi_unet.config import UNetConfig
from loihi_unet.networks.net import Net
from loihi_unet.runs.video import network_at, run_video, steps_of
from loihi_unet.sigma_delta.extremes import patterns
from loihi_unet.sigma_delta.quantise import quantise
from loihi_unet.sigma_delta.thresholds import with_thresholds
from loihi_unet.spiking.graph import graph_of
from sim.backend import OverflowLayerError, create

#: Every how manyth case runs in Lava, too: it starts a process for each layer.
LAVA_EVERY = 10

Frames = npt.NDArray[np.int64]
Sent = dict[str, npt.NDArray[np.integer]] | str  # type: ignore[type-arg]


class Draw:
    """A network and frames of chance: case ``number``, the same in every run."""

    def __init__(self, number: int) -> None:
        self.random = np.random.default_rng([17, number])
        torch.manual_seed(number)
        self.levels = int(self.random.integers(1, 3))
        self.channels = int(self.random.choice([1, 3]))
        sides = self.random.integers(1, 4, 2) * 2**self.levels
        self.size = (int(sides[0]), int(sides[1]))

    def network(self) -> StockNetwork:
        """A converted network, with thresholds at random in half of all cases."""
        config = UNetConfig(
            in_channels=self.channels,
            out_channels=self.channels,
            base_channels=int(self.random.integers(1, 5)),
            levels=self.levels,
            residual=bool(self.random.random() < 0.5),
        )
        model = Net(config).eval()
        loud = float(self.random.choice([0.3, 1.0, 3.0]))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(loud)
                if parameter.ndim == 1:
                    parameter.uniform_(-0.2, 0.2)
        x = torch.from_numpy(self.frames(2).astype(np.float32) / np.float32(255))
        network = quantise(
            graph_of(model), x, size=self.size, task="denoise", provenance={}
        )
        if self.random.random() < 0.5:
            return network
        most = int(self.random.choice([4, 200, 20000]))
        names = [layer.name for layer in network.layers[:-1]]
        return with_thresholds(
            network, {name: int(self.random.integers(0, most)) for name in names}
        )

    def frames(self, count: int) -> Frames:
        """Gray levels: noise, patterns, or all that may enter."""
        shape = (count, self.channels, *self.size)
        kind = self.random.choice(["noise", "patterns", "extremes"])
        if kind == "patterns":
            known = patterns((self.channels, *self.size)).numpy()
            chosen = known[self.random.integers(0, len(known), count)]
            return np.rint(255 * chosen).astype(np.int64)
        if kind == "extremes":
            return self.random.choice([-512, 767], shape)
        return self.random.integers(0, 256, shape)


def at_once(network: StockNetwork, frames: Frames, backend: str) -> Sent:
    """What all layers send, of one run."""
    try:
        video = run_video(network, frames, create(backend))
    except OverflowLayerError as error:
        return str(error)
    return {name: values[0] for name, values in video.recording.payloads.items()}


def by_steps(network: StockNetwork, frames: Frames, backend: str) -> Sent:
    """The same, step by step."""
    sized = network_at(network, frames.shape[2:], len(frames))
    entering = (completed(network, frame) for frame in frames)
    parts = []
    try:
        parts += steps_of(sized, entering, create(backend), None)
    except OverflowLayerError as error:
        return str(error)
    return {
        name: np.concatenate([part.payloads[name][0] for part in parts])
        for name in parts[0].payloads
    }


def same(a: Sent, b: Sent) -> bool:
    """Whether two runs gave the same, an overflow included."""
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    return a.keys() == b.keys() and all(np.array_equal(a[n], b[n]) for n in a)


def judge(number: int) -> tuple[bool, str, str]:
    """(survived, outcome, detail) of one network."""
    drawn = Draw(number)
    try:
        network = drawn.network()
    except UserError as error:
        text = str(error)
        return "\n" not in text, f"refused: {type(error).__name__}", text
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.net"
        write_network(network, path)
        if read_network(path).sha256 != network.sha256:
            return False, "the file says another network", ""
    frames = drawn.frames(int(drawn.random.integers(1, 5)))
    expected = at_once(network, frames, "reference")
    names = ["torch"]
    if number % LAVA_EVERY == 0 and importlib.util.find_spec("lava") is not None:
        names.append("lava")
    runs = {name: at_once(network, frames, name) for name in names}
    for name in ("reference", "torch"):
        runs[f"{name}, step by step"] = by_steps(network, frames, name)
    for name, found in runs.items():
        if not same(expected, found):
            detail = f"{found} | {expected}" if isinstance(found, str) else ""
            return False, f"{name} differs", detail[:600]
    how = "the same overflow" if isinstance(expected, str) else "EXACT"
    return True, f"{how}: {', '.join(['reference', *runs])}", ""


if __name__ == "__main__":
    judge_cases(judge)
