# SPDX-License-Identifier: BSD-3-Clause
"""What `fit` says about one network on one chip."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from export import facts
from export.facts import Fact, Limit
from export.fit.check import Check
from export.fit.energy import Energy
from export.fit.timing import Timing
from export.fit.traffic import Traffic


@dataclass(frozen=True, kw_only=True)
class Use:
    """One resource of a layer's fullest core.

    Parameters
    ----------
    resource : str
        E.g. ``"input axons"``.
    used, limit : int
        How much of what there is.
    """

    resource: str
    used: int
    limit: int

    @property
    def share(self) -> float:
        """Part of the limit that is used."""
        return self.used / self.limit


@dataclass(frozen=True, kw_only=True)
class LayerFit:
    """One layer on the chip.

    Parameters
    ----------
    name : str
        Layer.
    shape : tuple of int
        (C, H, W).
    neurons, compartments, synapses : int
        Neurons, compartments with this mapping, and synapses of the neurons.
    cores : int or None
        Cores; None if the partition failed.
    axons : int or None
        Loihi 1: output axons of all its cores; Loihi 2: axon map entries.
    tile : tuple of int or None
        Neurons along (C, H, W) on one core.
    uses : tuple of Use
        Fullest core; empty if the partition failed.
    extrapolated : tuple of str
        What no published core count covers.
    """

    name: str
    shape: tuple[int, int, int]
    neurons: int
    compartments: int
    synapses: int
    cores: int | None
    axons: int | None
    tile: tuple[int, int, int] | None
    uses: tuple[Use, ...]
    extrapolated: tuple[str, ...]

    @property
    def binding(self) -> Use | None:
        """Resource that is used most."""
        return max(self.uses, key=lambda use: use.share, default=None)


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A change that makes the network fit a system.

    Parameters
    ----------
    change : str
        What to change.
    cores, chips : int
        What it then takes.
    """

    change: str
    cores: int
    chips: int


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """How near a recording's potentials came to 24 bits signed.

    Parameters
    ----------
    layer : str
        Layer that came nearest.
    minimum, maximum : int
        Its smallest and largest potential.
    bits : float
        How many more bits it had: 1 means that twice as much would just fit.
    """

    layer: str
    minimum: int
    maximum: int
    bits: float


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """Limits, cores, time and energy of one network on one chip.

    Parameters
    ----------
    network_sha256, network_sha256_any_size : str
        The network's hashes, at the size that was fitted and at any.
    chip, mapping : str
        As asked.
    system : str or None
        As asked, or the smallest that is large enough; None if none is.
    system_chips : int or None
        Chips of that system.
    checks : tuple of Check
        Every value against its limit.
    problem : str
        Why a layer could not be put on cores; empty if all could.
    layers : tuple of LayerFit
        Layer by layer.
    cores, chips : int or None
        What the network needs; None if the partition failed.
    timing : Timing
        Steps and time of an image.
    traffic : Traffic or None
        Operations of an image; None without a recording.
    energy : Energy or None
        Energy of an image; None without a recording.
    headroom : Headroom or None
        Of the recording; None without one.
    notes : tuple of str
        What the counts rest on.
    suggestions : tuple of Suggestion
        What would fit.
    """

    network_sha256: str
    network_sha256_any_size: str
    chip: str
    mapping: str
    system: str | None
    system_chips: int | None
    checks: tuple[Check, ...]
    problem: str
    layers: tuple[LayerFit, ...]
    cores: int | None
    chips: int | None
    timing: Timing
    traffic: Traffic | None
    energy: Energy | None
    headroom: Headroom | None
    notes: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]

    @property
    def errors(self) -> tuple[str, ...]:
        """Why the network does not fit; empty if it does."""
        lines = [str(check) for check in self.checks if not check.ok and check.blocking]
        if self.problem:
            lines.append(self.problem)
        elif self.system_chips is None:
            lines.append(
                f"{self.chips} chips needed, no system of {self.chip} has them"
            )
        elif self.chips is not None and self.chips > self.system_chips:
            lines.append(
                f"system '{self.system}': {self.chips} chips needed, "
                f"{self.system_chips} there"
            )
        return tuple(lines)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Worst cases that images need not reach."""
        return tuple(str(c) for c in self.checks if not c.ok and not c.blocking)

    @property
    def fits(self) -> bool:
        """Whether every limit is kept and the system is large enough."""
        return not self.errors

    @property
    def totals(self) -> dict[str, int | None]:
        """Compartments, synapses and axons of all layers."""
        axons = [layer.axons for layer in self.layers]
        return {
            "compartments": sum(layer.compartments for layer in self.layers),
            "synapses": sum(layer.synapses for layer in self.layers),
            "axons": None if None in axons else sum(n or 0 for n in axons),
        }

    @property
    def binding_layer(self) -> LayerFit | None:
        """Layer with the most cores; None if the partition failed."""
        if self.cores is None:
            return None
        return max(self.layers, key=lambda layer: layer.cores or 0)

    @property
    def facts(self) -> dict[str, Fact | Limit]:
        """Numbers and ranges of this chip, and the paper's, by name."""
        others = tuple(p for c, p in facts.PREFIXES.items() if c != self.chip)
        return {
            name: value
            for name, value in vars(facts).items()
            if isinstance(value, Fact | Limit) and not name.startswith(others)
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and lists, with the verdict and the numbers used."""
        record = asdict(self)
        for layer, plain in zip(self.layers, record["layers"], strict=True):
            plain["binding"] = layer.binding.resource if layer.binding else None
        if self.energy:
            record["energy"] |= {"low": self.energy.low, "high": self.energy.high}
        binding = self.binding_layer
        return {
            **record,
            "fits": self.fits,
            "errors": list(self.errors),
            "warnings": list(self.warnings),
            "totals": self.totals,
            "binding_layer": binding.name if binding else None,
            "facts": {name: asdict(fact) for name, fact in self.facts.items()},
        }
