# SPDX-License-Identifier: BSD-3-Clause
"""What `fit` asks a chip; `export.fit.chips` has the table of chips."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass
from typing import Protocol

from export.compartment import MTIF
from export.facts import Fact
from export.fit.check import Check
from export.fit.energy import Energy
from export.fit.report import LayerFit, Use
from export.fit.structure import LayerStructure, Structure
from export.fit.timing import Timing
from export.fit.traffic import Traffic
from export.mapping import Mapping
from export.network import Network


@dataclass(frozen=True, kw_only=True)
class CoreShare:
    """What a chip's partition says about a layer.

    Parameters
    ----------
    cores : int
        Cores that the layer takes.
    tile : tuple of int
        Neurons along (C, H, W) on one core.
    axons : int
        Loihi 1: output axons of all its cores; Loihi 2: axon map entries.
    uses : tuple of Use
        Fullest core.
    """

    cores: int
    tile: tuple[int, int, int]
    axons: int
    uses: tuple[Use, ...]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Layers on cores.

    Parameters
    ----------
    layers : tuple of LayerFit
        Layer by layer.
    problem : str
        Why it failed; empty if it did not.
    messages : dict of str to float
        Loihi 1: cores that a spike of each layer goes to; empty otherwise.
    chips : int or None
        Chips for these cores; None if the partition failed.
    """

    layers: tuple[LayerFit, ...]
    problem: str
    messages: Table[str, float]
    chips: int | None

    @property
    def cores(self) -> int | None:
        """All cores; None if the partition failed."""
        return None if self.problem else sum(x.cores or 0 for x in self.layers)


class Chip(Protocol):
    """A chip: its limits, how it is filled, and what is known of its costs.

    Attributes
    ----------
    name : str
        As the command line spells it.
    cores, compartments, payload_bits : Fact
        Cores of a chip, compartments of a core, bits of a spike's payload.
    graded : bool
        Whether a spike carries a payload.
    reset_compartments : int
        Compartments of a neuron whose soft reset is built of them; 1: native.
    image_is_bias : bool
        Whether a constant image enters as a bias per compartment and costs nothing
        more.
    """

    name: str
    cores: Fact
    compartments: Fact
    payload_bits: Fact
    graded: bool
    reset_compartments: int
    image_is_bias: bool

    def partition(
        self, structure: Structure, mapping: Mapping, most: int | None
    ) -> tuple[dict[str, CoreShare], dict[str, float]]:
        """Put layers on cores.

        Parameters
        ----------
        structure : Structure
            Layers.
        mapping : Mapping
            Compartments per neuron.
        most : int or None
            Cores at which it may stop.

        Returns
        -------
        shares : dict of str to CoreShare
            By layer.
        messages : dict of str to float
            Cores that a spike of each layer goes to, where that is counted.

        Raises
        ------
        RangeError
            If a layer fits no core.
        """
        ...

    def extrapolated(self, layer: LayerStructure, mapping: Mapping) -> list[str]:
        """Name what no published core count of this chip covers."""
        ...

    def core_checks(
        self,
        place: str,
        layer: LayerStructure,
        mapping: Mapping,
        structure: Structure,
    ) -> Iterable[Check]:
        """Check what one neuron needs of its core."""
        ...

    def spike_checks(
        self, place: str, compartment: MTIF, mapping: Mapping
    ) -> Iterable[Check]:
        """Check payload and reset of a multi-threshold neuron."""
        ...

    def input_current_checks(self, network: Network) -> Iterable[Check]:
        """Check what the image becomes in the first layer."""
        ...

    def timing(
        self, network: Network, placement: Placement, traffic: Traffic | None
    ) -> Timing:
        """Bound the seconds of a step."""
        ...

    def energy(self, traffic: Traffic, times: Timing, placement: Placement) -> Energy:
        """Bound the energy of an image, where numbers are published."""
        ...

    def notes(
        self, network: Network, structure: Structure, mapping: Mapping
    ) -> tuple[str, ...]:
        """Say what a reader of a window network's report has to know."""
        ...

    def stock_notes(self) -> tuple[str, str]:
        """Say where the cores of stock neurons come from, and what is assumed."""
        ...
