# SPDX-License-Identifier: BSD-3-Clause
"""NIR's primitives: what is read, what is written, and how exactly."""

from __future__ import annotations

from dataclasses import dataclass

from export.errors import NetworkError


class NIRError(NetworkError):
    """A NIR graph cannot become a stock network, or the reverse; says which node."""


@dataclass(frozen=True)
class Primitive:
    """One kind of node.

    Attributes
    ----------
    name : str
        NIR's.
    role : str
        ``"neuron"``, ``"linear"`` or ``"structure"``; empty for what is refused.
    written : bool
        Whether `export` writes it.
    exact : str
        What becomes of it, or why it is refused.
    """

    name: str
    role: str
    written: bool
    exact: str


_WEIGHTS = "weights of 8 bits, one scale a layer"
_FOLDED = "folded into the weights after it, exact; at the output a sum with a scale"
_STATE = "never fires: its potential is the output, and may enter nothing else"

#: All of nir 1.0.8, by name.
PRIMITIVES = {
    p.name: p
    for p in (
        Primitive("Input", "structure", True, "integers, spikes by custom; one"),
        Primitive("Output", "structure", True, "the layers that reach it; one"),
        Primitive(
            "NIRGraph", "structure", True, "nested graphs are taken apart, exact"
        ),
        Primitive("LIF", "neuron", True, "decay of 12 bits, threshold, bias rounded"),
        Primitive(
            "CubaLIF",
            "neuron",
            True,
            "both decays of 12 bits; a constant current acts on v at once, without "
            "the rise that tau_syn gives it",
        ),
        Primitive("IF", "neuron", True, "no decay; threshold and bias rounded"),
        Primitive("LI", "neuron", True, f"as LIF; {_STATE}"),
        Primitive("CubaLI", "neuron", True, f"as CubaLIF; {_STATE}"),
        Primitive("I", "neuron", True, f"as IF; {_STATE}"),
        Primitive("Affine", "linear", True, f"{_WEIGHTS}, bias of 13"),
        Primitive("Linear", "linear", True, _WEIGHTS),
        Primitive("Conv1d", "linear", False, f"a Conv of height 1: {_WEIGHTS}"),
        Primitive("Conv2d", "linear", True, f"{_WEIGHTS}, bias of 13"),
        Primitive("Scale", "linear", False, "folded into the weights beside it"),
        Primitive("Flatten", "linear", True, "exact"),
        Primitive("SumPool2d", "linear", False, _FOLDED),
        Primitive("AvgPool2d", "linear", False, _FOLDED),
        Primitive("Delay", "linear", True, "rounded to whole steps, at most 62"),
        Primitive("Threshold", "", False, "refused: it spikes without a state"),
    )
}

NEURONS = frozenset(p.name for p in PRIMITIVES.values() if p.role == "neuron")
LINEAR = frozenset(p.name for p in PRIMITIVES.values() if p.role == "linear")
#: Neurons without a threshold.
SILENT = frozenset({"LI", "CubaLI", "I"})


def table() -> list[tuple[str, str, str, str]]:
    """Rows (primitive, read, written, how exact), as docs/nir.md shows them."""
    yes = {True: "yes", False: "no"}
    return [
        (p.name, yes[bool(p.role)], yes[p.written], p.exact)
        for p in PRIMITIVES.values()
    ]
