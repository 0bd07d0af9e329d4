# SPDX-License-Identifier: BSD-3-Clause
"""The frozen integer network: the one object that every backend runs.

NumPy only, no input or output. Integers decide what a backend computes; the
float ``scale`` fields only say what an integer means.

Time (1-based Lava steps): layer of stage l does algorithm step t of image i at
step ``i * num_steps + t + l + 1``. A connection therefore carries the delay
``stage(target) - stage(source) - 1``, checked here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from export.compartment import Accumulator, Compartment
from export.errors import NetworkError, RangeError
from export.facts import WEIGHT_EXP
from export.layer import Connection as Connection
from export.layer import Input as Input
from export.layer import Layer as Layer
from export.leaves import flatten
from export.synapse import ConvTranspose, Shape, Synapse

# Shapes of the input and of layers, as `flatten` names them.
_SHAPE = re.compile(r"(input|layers\[.*\])\.shape", re.DOTALL)


#: Layers that a representation lists before it leaves out the middle.
_LISTED = 30


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Network:
    """Integer spiking network with static input coding and windowed reset.

    Parameters
    ----------
    input : Input
        Source of the images.
    layers : tuple of Layer
        Topological order; the last one is the output.
    num_steps : int
        T, algorithm steps of one image.
    task : str
        What the output is, e.g. ``"denoise"``.
    provenance : mapping of str to JSON value
        Where the network came from. Not part of any hash.
    """

    input: Input
    layers: tuple[Layer, ...]
    num_steps: int
    task: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    # Whether a layer may read what it sent itself the step before.
    may_recur: ClassVar[bool] = False
    # Whether each image has a window of T steps, at whose end every layer is reset; a
    # network without windows runs freely (`export.stock_network.StockNetwork`).
    in_windows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if type(self.num_steps) is not int or self.num_steps < 1:
            raise NetworkError(f"num_steps: {self.num_steps} found, 1 or more needed")
        try:
            canonical = json.loads(json.dumps(dict(self.provenance), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise NetworkError(f"provenance: not JSON ({error})") from error
        object.__setattr__(self, "provenance", MappingProxyType(canonical))
        if not self.layers:
            raise NetworkError("network: no layer found, one or more needed")
        self._check_connections()

    def _check_connections(self) -> None:
        nodes: dict[str, Input | Layer] = {self.input.name: self.input}
        stages = {self.input.name: 0}
        for layer in self.layers:
            if layer.name in nodes:
                raise NetworkError(f"layer '{layer.name}': name used twice")
            for c in layer.connections:
                where = f"layer '{layer.name}' <- '{c.source}'"
                itself = self.may_recur and c.source == layer.name
                source = layer if itself else nodes.get(c.source)
                if source is None:
                    raise NetworkError(f"{where}: no earlier layer of that name")
                try:
                    shape = c.synapse.output_shape(source.shape)
                except NetworkError as error:
                    raise NetworkError(f"{where}: {error}") from None
                highest = c.weight_exp + source.planes - 1
                if highest > WEIGHT_EXP.maximum:
                    raise RangeError(
                        f"{where}: weight_exp {c.weight_exp} found, output "
                        f"{source.planes - 1} of binary-if takes {highest}, "
                        f"outside {WEIGHT_EXP}"
                    )
                if shape != layer.shape:
                    raise NetworkError(
                        f"{where}: synapse gives {shape}, layer shape is {layer.shape}"
                    )
            stages[layer.name] = _stage(layer, stages)
            nodes[layer.name] = layer
            self._check_time(layer, stages)

    def _check_time(self, layer: Layer, stages: Mapping[str, int]) -> None:
        """Refuse what a window with aligned skips cannot hold."""
        where = f"layer '{layer.name}'"
        if self.input.changes:
            raise NetworkError(
                f"{self.input.name}: an input that changes at every step found, only "
                "a StockNetwork may have one"
            )
        if not isinstance(layer.compartment, Compartment):
            raise NetworkError(
                f"{where}: {type(layer.compartment).__name__} found, a Network in "
                "windows holds MTIF and Accumulator (stock neurons: StockNetwork)"
            )
        stage = stages[layer.name]
        for c in layer.connections:
            needed = stage - stages[c.source] - 1
            if c.delay != needed:
                raise NetworkError(
                    f"{where} <- '{c.source}': delay {c.delay} "
                    f"found, stages {stages[c.source]} and {stage} need {needed}"
                )
            if not isinstance(c.synapse, Synapse) or _stock_only(c.synapse):
                raise NetworkError(
                    f"{where} <- '{c.source}': {type(c.synapse).__name__} found, only "
                    "a StockNetwork may have it"
                )
        last = layer is self.layers[-1]
        if isinstance(layer.compartment, Accumulator) and not last:
            raise NetworkError(
                f"{where}: an accumulator found, only the last layer may be one"
            )

    @cached_property
    def stages(self) -> Mapping[str, int]:
        """Longest path from the input to each layer; 0 for the input."""
        stages = {self.input.name: 0}
        for layer in self.layers:
            stages[layer.name] = _stage(layer, stages)
        return MappingProxyType(stages)

    @cached_property
    def nodes(self) -> Mapping[str, Input | Layer]:
        """Input and layers by name."""
        nodes: dict[str, Input | Layer] = {self.input.name: self.input}
        nodes.update({layer.name: layer for layer in self.layers})
        return MappingProxyType(nodes)

    @property
    def output(self) -> Layer:
        """The last layer."""
        return self.layers[-1]

    @property
    def takes_pictures(self) -> bool:
        """Whether pictures enter it, one after the other."""
        return True

    @property
    def latency(self) -> int:
        """Time steps from an image's first input to its complete output."""
        return self.num_steps + self.stages[self.output.name]

    @property
    def traces(self) -> Mapping[str, Shape]:
        """Shape of everything a backend records per step, by name."""
        return {
            layer.name: layer.shape
            for layer in self.layers
            if not isinstance(layer.compartment, Accumulator)
        }

    @property
    def sha256(self) -> str:
        """Hash of everything but the provenance, as 64 hexadecimal digits.

        It depends on the picture's size, as the shapes of the layers do; compare
        `sha256_any_size`.
        """
        return self._hashes[0]

    @property
    def sha256_any_size(self) -> str:
        """Hash of what `resized` keeps: the same at every height and width."""
        return self._hashes[1]

    @cached_property
    def _hashes(self) -> tuple[str, str]:
        """`sha256` and `sha256_any_size`, in one walk over the weights."""
        this_size, any_size = hashlib.sha256(), hashlib.sha256(b"any size\0")
        for path, value in flatten(self):
            if path.startswith("provenance"):
                continue
            if path.endswith(".compartment.mapping") and value == "graded":
                continue  # networks from before there were mappings keep their hash
            if isinstance(value, np.ndarray):
                text = f"{value.shape}"
                data = value.astype("<i4").tobytes()
            else:
                text, data = f"{type(value).__name__} {value!r}", b""
            this_size.update(f"{path}\0{text}\0".encode() + data)
            if _SHAPE.fullmatch(path):  # height and width follow from the input's
                text = f"channels {value[0]}"
            any_size.update(f"{path}\0{text}\0".encode() + data)
        return this_size.hexdigest(), any_size.hexdigest()

    def __repr__(self) -> str:
        """One screen: the network in a line, then a line for each layer."""
        lines = [
            f"{type(self).__name__}: {self.task}, T = {self.num_steps}, "
            f"{len(self.layers)} layers, sha256 {self.sha256[:12]}",
            f"  {self.input.name} {self.input.shape}",
        ]
        for layer in self.layers:
            sources = ", ".join(connection.source for connection in layer.connections)
            kind = type(layer.compartment).__name__
            lines.append(f"  {layer.name} {layer.shape} {kind} <- {sources}")
        if len(self.layers) > _LISTED:
            half = _LISTED // 2
            left_out = f"  .. {len(self.layers) - 2 * half} more layers .."
            lines[2 + half : -half] = [left_out]
        return "\n".join(lines)

    def as_ran(self, num_steps: int, shape: tuple[int, ...]) -> Network:
        """Give the network as it ran on an image.

        Parameters
        ----------
        num_steps : int
            Steps that the run had.
        shape : tuple of int
            Shape of the image; one of other axes than (C, H, W) changes nothing.

        Raises
        ------
        NetworkError
            If a layer cannot take that size.
        """
        return self.resized(*shape[1:]) if len(shape) == 3 else self

    def resized(self, height: int, width: int) -> Network:
        """Same weights for an input of another height and width.

        Raises
        ------
        NetworkError
            If a layer cannot take that size.
        """
        source = dataclasses.replace(
            self.input, shape=(self.input.shape[0], height, width)
        )
        shapes = {source.name: source.shape}
        layers = []
        for layer in self.layers:
            first = layer.connections[0]
            try:
                shape = first.synapse.output_shape(shapes[first.source])
            except NetworkError as error:
                raise NetworkError(f"layer '{layer.name}': {error}") from None
            shapes[layer.name] = shape
            layers.append(dataclasses.replace(layer, shape=shape))
        return dataclasses.replace(self, input=source, layers=tuple(layers))


def _stage(layer: Layer, stages: Mapping[str, int]) -> int:
    """One more than the deepest source; what a layer reads of itself does not count."""
    sources = [c.source for c in layer.connections if c.source != layer.name]
    if not sources:
        raise NetworkError(f"layer '{layer.name}': it reads nothing but itself")
    return 1 + max(stages[source] for source in sources)


def _stock_only(synapse: Synapse) -> bool:
    """Whether only a StockNetwork has such a transposed convolution."""
    if not isinstance(synapse, ConvTranspose):
        return False
    return synapse.groups > 1 or synapse.dilation != (1, 1)
