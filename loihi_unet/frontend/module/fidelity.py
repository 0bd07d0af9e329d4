# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of each operation of a network from elsewhere, as data."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from loihi_unet.errors import ConversionError

Fidelity = Literal["faithful", "approximated", "refused"]

#: What ``--allow`` may name, by operation: what it does, choice by choice.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "max_pool2d": {
        "average": "the mean of the window instead of its maximum",
        "convolution": "a strided convolution, the mean at first, that fine-tuning "
        "trains",
        "exact": "the maximum by ReLUs, max(a, b) = b + relu(a - b): faithful, at a "
        "layer of neurons for each pair",
    },
    "bilinear": {
        "fixed": "a fixed transposed convolution: beyond the border it sees zeros "
        "where torch repeats the edge; with align_corners=True it differs everywhere",
    },
    "leaky_relu": {
        "exact": "relu(x) - slope * relu(-x): faithful, at twice the neurons",
        "relu": "a ReLU",
    },
    "prelu": {
        "exact": "relu(x) - slope * relu(-x): faithful, at twice the neurons",
        "relu": "a ReLU",
    },
    "elu": {"clipped": "max(x, -alpha)", "relu": "a ReLU"},
    "silu": {"relu": "a ReLU"},
    "gelu": {"relu": "a ReLU"},
    "hardswish": {"relu": "a ReLU"},
    "mish": {"relu": "a ReLU"},
    "softplus": {"relu": "a ReLU"},
    "tanh": {"clipped": "x clipped to -1..1"},
    "group_norm": {"calibrated": "mean and variance of the calibration pictures"},
    "instance_norm": {"calibrated": "mean and variance of the calibration pictures"},
    "sigmoid": {"reader": "at the output only: left to whoever reads it"},
    "softmax": {"reader": "at the output only: left to whoever reads it"},
    "log_softmax": {"reader": "at the output only: left to whoever reads it"},
    "argmax": {"reader": "at the output only: left to whoever reads it"},
}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of a network, and how faithful its replacement is.

    Attributes
    ----------
    layer : str
        Module that does it, by the name that it has in the network.
    operation : str
        Torch's name.
    fidelity : str
        ``"faithful"``: as T grows the float SNN tends to the float network;
        ``"approximated"``, by consent; ``"refused"``.
    how : str
        What becomes of it, or why it is refused.
    line : str
        File and line of the network's own source, where there is one.
    """

    layer: str
    operation: str
    fidelity: Fidelity
    how: str
    line: str = ""


def check_allowed(names: Iterable[str]) -> dict[str, str]:
    """Return consents by operation.

    Parameters
    ----------
    names : iterable of str
        As ``max_pool2d=average``.

    Raises
    ------
    ConversionError
        If one is unknown, or two contradict each other.
    """
    known = [f"{name}={how}" for name, ways in CHOICES.items() for how in ways]
    chosen: dict[str, str] = {}
    for text in names:
        if text not in known:
            raise ConversionError(f"--allow {text}: allowed are {', '.join(known)}")
        name, how = text.split("=")
        if chosen.setdefault(name, how) != how:
            raise ConversionError(
                f"--allow {text}: {name}={chosen[name]} is allowed already"
            )
    return chosen


def refusal(operations: Iterable[Operation]) -> ConversionError | None:
    """Return the error that names every refused operation; None if there is none."""
    lines = []
    for item in operations:
        if item.fidelity == "refused":
            where = f" ({item.line})" if item.line else ""
            line = f"layer {item.layer!r}: {item.operation}{where}: {item.how}"
            if line not in lines:
                lines.append(line)
    return ConversionError("; ".join(lines)) if lines else None


def as_json(operations: Iterable[Operation]) -> list[dict[str, Any]]:
    """Return the table as JSON values, for the file and the report."""
    return [asdict(item) for item in operations]
