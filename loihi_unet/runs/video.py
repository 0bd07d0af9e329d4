# SPDX-License-Identifier: BSD-3-Clause
"""A sequence of frames through a sigma-delta network, one frame at each step.

The state stays from frame to frame: a layer sends what has changed. The output of
frame k (from 0) is there `arrivals` of the last layer steps after the first, and k.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from export.fit.fanout import fan_out
from export.images import completed, decode
from export.network import Network
from export.stock_network import StockNetwork
from export.synapse import Injection
from loihi_unet.errors import DataError
from sim.backend import Progress, Simulator
from sim.recording import Recording

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Video:
    """What a sequence gave.

    Attributes
    ----------
    network : StockNetwork
        Of the frames' size, and as many steps as all of them take.
    recording : Recording
        Of one run.
    outputs : ndarray, shape (frames, C, H, W), float64
        In the unit that the network was trained in.
    """

    network: StockNetwork
    recording: Recording
    outputs: npt.NDArray[np.float64]

    @property
    def frames(self) -> int:
        """How many there were."""
        return len(self.outputs)

    def events(self) -> Int64:
        """Messages that each frame caused, shape (frames,)."""
        counts = [
            np.count_nonzero(self.sent(layer.name), axis=(1, 2, 3))
            for layer in self.network.layers[:-1]
        ]
        total: Int64 = np.sum(counts, axis=0, dtype=np.int64)
        return total

    def operations(self) -> Int64:
        """Synaptic operations that each frame caused, shape (frames,).

        Of every message, the weights that are not zero and lie inside the layer it
        goes to.
        """
        total = np.zeros(self.frames, dtype=np.int64)
        for layer in self.network.layers:
            for c in layer.connections:
                if isinstance(c.synapse, Injection):
                    continue
                shape = self.network.nodes[c.source].shape
                fan = fan_out(c.synapse, shape, nonzero_only=True)
                total += ((self.sent(c.source) != 0) * fan).sum(axis=(1, 2, 3))
        return total

    def sent(self, name: str) -> npt.NDArray[np.signedinteger[Any]]:
        """What a layer sent of each frame, shape (frames, C, H, W)."""
        first = self.network.arrivals[name] - 1
        payload = self.recording.payloads[name][0]
        found: npt.NDArray[np.signedinteger[Any]] = payload[first : first + self.frames]
        return found


def video_network(network: Network, where: str) -> StockNetwork:
    """Return a network that frames can be streamed through.

    Raises
    ------
    DataError
        If it is another one.
    """
    if not isinstance(network, StockNetwork) or not network.takes_pictures:
        raise DataError(
            f"{where}: --stream keeps the state of sigma-delta neurons from frame to "
            "frame; this network starts anew with every picture"
        )
    return network


def run_video(
    network: StockNetwork,
    levels: npt.NDArray[np.generic],
    simulator: Simulator,
    *,
    layers: tuple[str, ...] | None = None,
    progress: Progress | None = None,
) -> Video:
    """Stream frames through a network.

    Parameters
    ----------
    network : StockNetwork
        Sigma-delta, for pictures.
    levels : ndarray of integers, shape (frames, C, H, W)
        Gray levels, of a size that fits.
    simulator : Simulator
        The machine.
    layers : tuple of str or None
        To record; None means all that send. The last is always recorded.
    progress : callable, optional
        As of `Simulator.run`.

    Raises
    ------
    OverflowLayerError
        With layer and step; frame k enters at step k.
    """
    last = network.output.name
    network = network_at(network, levels.shape[2:], len(levels))
    wanted = (
        tuple(layer.name for layer in network.layers)
        if layers is None
        else tuple(dict.fromkeys((*layers, last)))
    )
    entering = np.stack([completed(network, frame) for frame in levels])
    held = np.repeat(entering[-1:], network.num_steps - len(levels), axis=0)
    steps = np.concatenate([entering, held])[None]
    found = simulator.run(network, steps, layers=wanted, progress=progress)
    first = network.arrivals[last] - 1
    outputs = decode(network, found.payloads[last][0, first : first + len(levels)])
    return Video(network=network, recording=found, outputs=outputs)


def network_at(
    network: StockNetwork, size: tuple[int, ...], frames: int
) -> StockNetwork:
    """The network for so many frames of a size (H, W)."""
    sized = network
    if size != network.input.shape[1:]:
        sized = cast("StockNetwork", network.resized(*size))
    steps = frames + sized.arrivals[sized.output.name] - 1
    return replace(sized, num_steps=steps)
