# SPDX-License-Identifier: BSD-3-Clause
"""Which share of a network's weights, biases and thresholds had a say.

Equal integers say nothing about a number that no picture exercised. Here

- a weight had a say if it met a payload that is not zero at a place where the product
  reaches a compartment (`sim.coverage.taps`);
- a channel's bias and threshold had a say if one of its neurons fired or came within
  one threshold of it, that is, its potential rose above 0. Those of an accumulator
  had a say once anything ran: each of its potentials is compared.

The mappings of a neuron send the same payloads and share one kernel, so they are
counted alike. Of networks of stock neurons only the weights are counted: their states
decay, saturate and wrap, and are recorded themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from export.compartment import MTIF
from export.network import Layer, Network
from export.synapse import Conv, ConvTranspose
from sim.coverage.report import CoverageReport, LayerCoverage, Share, SilentChannels
from sim.coverage.taps import Bools, Steps, TapShape, meeting, met_taps, tap_shape
from sim.recording import Payload, Recording, RecordingError, recordable

Counts = npt.NDArray[np.int32]


class Coverage:
    """Counter over any number of recordings of one network, at any image sizes.

    Parameters
    ----------
    network : Network
        What runs, at any size.
    """

    def __init__(self, network: Network) -> None:
        self.images = 0
        self._fired = {
            name: np.zeros(node.shape[0], dtype=np.bool_)
            for name, node in network.nodes.items()
        }
        self._near = {
            layer.name: np.zeros(layer.shape[0], dtype=np.bool_)
            for layer in network.layers
        }
        # In how many recordings each tap met a payload.
        self._met: dict[str, list[Counts]] = {
            layer.name: [
                np.zeros(shape.taps, dtype=np.int32)
                for shape in _tap_shapes(network, layer)
            ]
            for layer in network.layers
        }
        # Which taps a payload can meet at any size that was recorded.
        self._reach: dict[str, list[Bools]] = {
            name: [met > 0 for met in connections]
            for name, connections in self._met.items()
        }
        self._sizes: set[tuple[int, ...]] = set()

    def add(self, network: Network, recording: Recording) -> None:
        """Count a recording.

        Parameters
        ----------
        network : Network
            What was recorded: the counter's network at the recording's image size.
        recording : Recording
            All spiking layers at all steps.

        Raises
        ------
        RecordingError
            If a layer or a step is missing.
        """
        _check(network, recording)
        first = {
            name: _first_steps(network, name, recording)
            for name in network.nodes
            if name == network.input.name or name in recording.payloads
        }
        self.add_first(network, first, len(recording.images))
        if network.in_windows:
            for layer in network.layers:
                self._add_potentials(network, layer, recording)

    def add_first(
        self, network: Network, first: Mapping[str, Steps], images: int = 1
    ) -> None:
        """Count what is known by when each neuron sent something first.

        Parameters
        ----------
        network : Network
            The counter's network at the size that ran.
        first : mapping of str to ndarray, shape (C, H, W), int
            Of the input and all layers that send: step, from 0, of the first payload
            that was not zero; T where there was none.
        images : int
            So many more were shown.
        """
        # Without windows, a layer receives at a step what was sent at the one before.
        in_time = network.num_steps if network.in_windows else network.num_steps - 1
        for name, steps in first.items():
            self._fired[name] |= (steps < network.num_steps).any(axis=(1, 2))
        for layer in network.layers:
            for met, c in zip(self._met[layer.name], layer.connections, strict=True):
                met += met_taps(c.synapse, first[c.source], in_time)
        self.images += images
        if network.input.shape not in self._sizes:
            self._sizes.add(network.input.shape)
            self._add_reach(network, in_time)

    def _add_reach(self, network: Network, in_time: int) -> None:
        for layer in network.layers:
            reach = self._reach[layer.name]
            for within, c in zip(reach, layer.connections, strict=True):
                everywhere = np.zeros(network.nodes[c.source].shape, dtype=np.int64)
                within |= met_taps(c.synapse, everywhere, in_time)

    def _add_potentials(
        self, network: Network, layer: Layer, recording: Recording
    ) -> None:
        near = self._near[layer.name]
        if not isinstance(layer.compartment, MTIF):
            near[:] = True
            return
        near |= self._fired[layer.name]
        distant = np.flatnonzero(~near)
        if len(distant):
            from sim.torch.silent_channels import highest_potentials

            near[distant] = highest_potentials(network, layer, recording, distant) > 0

    def merge(self, other: Coverage) -> Coverage:
        """Add what another counter of the same network found; return this one."""
        self.images += other.images
        for name, fired in other._fired.items():
            self._fired[name] |= fired
        for name, near in other._near.items():
            self._near[name] |= near
        for name, connections in other._met.items():
            for met, theirs in zip(self._met[name], connections, strict=True):
                met += theirs
            for within, others in zip(
                self._reach[name], other._reach[name], strict=True
            ):
                within |= others
        self._sizes |= other._sizes
        return self

    def least_met(self, network: Network) -> dict[tuple[str, int], int]:
        """How often the tap that was met least was met, of each channel.

        Parameters
        ----------
        network : Network
            The counter's network.

        Returns
        -------
        dict of (str, int) to int
            Recordings by layer and channel; 0 also for channels that never came near
            their threshold. Accumulators are left out.
        """
        least = {
            layer.name: np.where(self._near[layer.name], np.iinfo(np.int32).max, 0)
            for layer in network.layers
            if isinstance(layer.compartment, MTIF)
        }
        for layer in network.layers:
            shapes = _tap_shapes(network, layer)
            met = self._met[layer.name]
            for c, taps, shape in zip(layer.connections, met, shapes, strict=True):
                if c.source in least and not shape.shared:
                    fewest = taps.reshape(len(taps), -1).min(axis=1)
                    least[c.source] = np.minimum(least[c.source], fewest)
        return {
            (name, channel): int(count)
            for name, counts in least.items()
            for channel, count in enumerate(counts)
        }

    def places(self, network: Network) -> dict[tuple[str, int], Bools]:
        """Where channels that fired have to fire for their other taps to be met.

        Parameters
        ----------
        network : Network
            The counter's network.

        Returns
        -------
        dict of (str, int) to ndarray of bool, shape (H, W)
            By layer and channel, at the network's image size.
        """
        places: dict[tuple[str, int], Bools] = {}
        for layer in network.layers:
            for c, met in zip(layer.connections, self._met[layer.name], strict=True):
                if not isinstance(c.synapse, Conv | ConvTranspose):
                    continue
                shape = network.nodes[c.source].shape
                unmet = (met == 0).any(axis=(1, 2)) & self._fired[c.source]
                for channel in np.flatnonzero(unmet):
                    key = (c.source, int(channel))
                    where = meeting(c.synapse, shape, met[channel] == 0)
                    if where.any():  # else it reads the padding alone, at this size
                        places[key] = where | places.get(key, False)
        return places

    def fired(self, layer: str, channel: int) -> bool:
        """Whether a channel sent anything."""
        return bool(self._fired[layer][channel])

    def report(self, network: Network) -> CoverageReport:
        """Return the counts so far of the counter's network."""
        return CoverageReport(
            images=self.images,
            layers=tuple(self._layer(network, layer) for layer in network.layers),
            silent=tuple(
                channels
                for name in network.nodes
                if (channels := self._silent(network, name))
            ),
            out_of_reach=sum(
                self._out_of_reach(network, layer) for layer in network.layers
            ),
        )

    def _out_of_reach(self, network: Network, layer: Layer) -> int:
        total = 0
        for c, within, shape in zip(
            layer.connections,
            self._reach[layer.name],
            _tap_shapes(network, layer),
            strict=True,
        ):
            if self._sizes and not shape.shared:
                fired = self._fired[c.source]
                total += int((~within[fired]).sum()) * shape.weights
        return total

    def _layer(self, network: Network, layer: Layer) -> LayerCoverage:
        shapes = _tap_shapes(network, layer)
        weights = Share(
            met=sum(
                int((met > 0).sum()) * shape.weights
                for met, shape in zip(self._met[layer.name], shapes, strict=True)
            ),
            total=sum(shape.total for shape in shapes),
        )
        biases = thresholds = None
        if network.in_windows:
            near = self._near[layer.name]
            biases = Share(met=int(near.sum()), total=len(near))
            thresholds = Share(met=0, total=0)
            if isinstance(layer.compartment, MTIF):
                each = len(layer.compartment.vth_mant) > 1
                heard = near if each else np.array([bool(near.any())])
                thresholds = Share(met=int(heard.sum()), total=len(heard))
        return LayerCoverage(
            name=layer.name, weights=weights, biases=biases, thresholds=thresholds
        )

    def _silent(self, network: Network, name: str) -> SilentChannels | None:
        """Silent channels of a source that somebody reads."""
        readers = [
            tap_shape(c.synapse, network.nodes[name].shape)
            for layer in network.layers
            for c in layer.connections
            if c.source == name
        ]
        silent = ~self._fired[name]
        if not readers or not silent.any():
            return None
        return SilentChannels(
            source=name,
            channels=tuple(int(c) for c in np.flatnonzero(silent)),
            of=len(silent),
            weights=sum(shape.unread(silent) for shape in readers),
        )


def together(parts: Iterable[Coverage]) -> Coverage:
    """Make one counter of those over parts of a set of images; at least one."""
    return functools.reduce(Coverage.merge, parts)


def _tap_shapes(network: Network, layer: Layer) -> list[TapShape]:
    return [
        tap_shape(c.synapse, network.nodes[c.source].shape) for c in layer.connections
    ]


def _check(network: Network, recording: Recording) -> None:
    if recording.steps != tuple(range(network.num_steps)):
        raise RecordingError(
            f"coverage: {len(recording.steps)} steps were recorded, all "
            f"{network.num_steps} are needed"
        )
    for name in recordable(network, None):
        if ":" not in name and name not in recording.payloads:
            raise RecordingError(f"coverage: layer '{name}' was not recorded")


def _first_steps(network: Network, name: str, recording: Recording) -> Steps:
    """Step of the first payload that is not zero, of any image; T where none is.

    In windows every step's payload arrives, so any step counts as the first.
    """
    if name != network.input.name:
        payload: Payload = recording.payloads[name]
    elif network.input.changes:
        payload = recording.images
    else:
        payload = recording.images[:, None]  # constant: there from the first step on
    if network.in_windows:
        return np.where((payload != 0).any(axis=(0, 1)), 0, network.num_steps)
    fired = (payload != 0).any(axis=0)
    return np.where(fired.any(axis=0), fired.argmax(axis=0), network.num_steps)
