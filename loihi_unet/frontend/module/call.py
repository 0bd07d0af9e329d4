# SPDX-License-Identifier: BSD-3-Clause
"""What an operation is told of the network around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from loihi_unet.frontend.module.builder import Builder
from loihi_unet.frontend.module.fidelity import CHOICES, Fidelity
from loihi_unet.frontend.module.value import Value


class RefusedError(Exception):
    """An operation that cannot become spikes; its message says why."""


@dataclass(eq=False)
class Call:
    """One call of a torch function.

    Attributes
    ----------
    builder : Builder
        Takes layers.
    allowed : dict[str, str]
        Consents, by operation.
    name : str
        Of the module that calls, for a layer.
    result : Any
        What torch returned: its shapes are those of the values to return.
    real : tuple
        The function's arguments as torch had them.
    fidelity, how : str
        For the table; operations set them.
    fixed : bool
        Set where the result is right for this size of picture only.
    """

    builder: Builder
    allowed: dict[str, str]
    name: str
    result: Any
    real: tuple[Any, ...] = ()
    fidelity: Fidelity = "faithful"
    how: str = ""
    fixed: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the result."""
        assert isinstance(self.result, Tensor)  # of one tensor only
        height, width = self.result.shape[2:]
        return height, width

    def consent(self, operation: str) -> str:
        """Return how an operation may be replaced.

        Raises
        ------
        RefusedError
            If nobody has allowed any way.
        """
        ways = CHOICES[operation]
        if operation not in self.allowed:
            listed = "; ".join(
                f"--allow {operation}={way}: {what}" for way, what in ways.items()
            )
            raise RefusedError(f"no spiking layer does it; {listed}")
        way = self.allowed[operation]
        self.how = ways[way]
        if way != "exact":
            self.fidelity = "approximated"
        return way


#: From values and numbers, as torch's function takes them, to values.
Operation = Callable[..., Any]
OPERATIONS: dict[str, Operation] = {}


def operation(*names: str) -> Callable[[Operation], Operation]:
    """Register what becomes of torch functions and methods of these names."""

    def register(function: Operation) -> Operation:
        for name in names:
            OPERATIONS[name] = function
        return function

    return register


def pair(value: Any) -> tuple[int, int]:
    """Return two numbers, along (H, W), of one or two."""
    if isinstance(value, list | tuple):
        return (int(value[0]), int(value[-1]))
    return (int(value), int(value))


def as_value(call: Call, thing: Any, like: Value) -> Tensor | Value:
    """Return a value as it is, and a constant as one number for each channel.

    Raises
    ------
    RefusedError
        If the constant differs from place to place.
    """
    import torch

    if isinstance(thing, Value):
        return thing
    constant = torch.as_tensor(thing).detach().double()
    axes = 2 if like.flat else 4
    if constant.ndim > axes:
        raise RefusedError(f"a constant of shape {tuple(constant.shape)}")
    constant = constant.reshape((1,) * (axes - constant.ndim) + constant.shape)
    flat = like.shape[0] * like.shape[1] * like.shape[2]
    shape = (1, flat) if like.flat else (1, *like.shape)
    try:
        full = constant[:1].expand(shape)
    except RuntimeError:
        raise RefusedError(
            f"a constant of shape {tuple(constant.shape)} beside {like.shape}"
        ) from None
    full = full.reshape(like.shape[0], -1)
    rows = constant.flatten(1)
    if bool((rows != rows[:1]).any()) or bool((full != full[:, :1]).any()):
        raise RefusedError("a constant that differs from place to place")
    return full[:, 0].clone()
