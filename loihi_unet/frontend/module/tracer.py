# SPDX-License-Identifier: BSD-3-Clause
"""Run a torch module once, and watch every torch function that it calls.

The module runs as it is, on real pictures, so functional code, views and sizes need no
interpreter: shapes are known, and each call is seen as its author wrote it, the same
in every version of torch. What would depend on the picture, a branch or a number taken
from a tensor, is seen, too, and refused.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from loihi_unet.errors import ConversionError
from loihi_unet.frontend.module import (  # noqa: F401  (they register what they know)
    ops_activation,
    ops_arithmetic,
    ops_linear,
    ops_shape,
)
from loihi_unet.frontend.module.builder import Builder
from loihi_unet.frontend.module.call import OPERATIONS, Call, RefusedError
from loihi_unet.frontend.module.fidelity import Operation
from loihi_unet.frontend.module.torch_functions import (
    CONSTANTS,
    CONTROL,
    QUESTIONS,
    REASONS,
    name_of,
    no_tensor,
)
from loihi_unet.frontend.module.value import Value
from loihi_unet.networks.topology import INPUT

TORCH = str(Path(torch.__file__).parent)
HERE = str(Path(__file__).parent)


class _Unknown:
    """Stands for a tensor after a refusal: later operations are not judged."""


UNKNOWN = _Unknown()


@dataclass(eq=False)
class _Known:
    """A tensor of the run, kept so that its identity stays its own."""

    tensor: Tensor
    value: Value | _Unknown


class Tracer(TorchFunctionMode):
    """Watches torch functions, and notes what becomes of them.

    Parameters
    ----------
    module : nn.Module
        What will be called.
    builder : Builder
        Takes the layers.
    allowed : dict[str, str]
        Consents, by operation.

    Attributes
    ----------
    operations : list[Operation]
        In the order of the calls.
    fixed : bool
        Whether the layers are right for pictures of this size only.
    """

    def __init__(
        self, module: nn.Module, builder: Builder, allowed: dict[str, str]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.builder = builder
        self.allowed = allowed
        self.operations: list[Operation] = []
        self.fixed = False
        self.known: dict[int, _Known] = {}
        self.modules: list[str] = []
        self.weighted = ""
        self._hooks = [
            hook
            for name, part in module.named_modules()
            for hook in (
                part.register_forward_pre_hook(self._enter(name)),
                part.register_forward_hook(self._leave),
            )
        ]

    def _enter(self, name: str) -> Callable[..., None]:
        return lambda *_: self.modules.append(name)

    def _leave(self, *_: Any) -> None:
        self.modules.pop()

    def release(self) -> None:
        """Take the module's hooks away again."""
        for hook in self._hooks:
            hook.remove()

    def bind(self, tensor: Tensor, value: Value | _Unknown) -> None:
        """Say what a tensor of the run is."""
        self.known[id(tensor)] = _Known(tensor, value)

    def value(self, thing: Any) -> Any:
        """Return what a tensor is; other things as they are, lists item by item."""
        if isinstance(thing, Tensor) and id(thing) in self.known:
            return self.known[id(thing)].value
        if isinstance(thing, list | tuple) and not isinstance(thing, torch.Size):
            return [self.value(item) for item in thing]
        return thing

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a function, and note what it did to values of the network."""
        kwargs = kwargs or {}
        values = self.value(list(args))
        named = {key: self.value(item) for key, item in kwargs.items()}
        seen = [*_flat(values), *_flat(list(named.values()))]
        if not any(isinstance(item, Value | _Unknown) for item in seen):
            return func(*args, **kwargs)
        name = name_of(func)
        result = func(*args, **kwargs)
        if name in QUESTIONS or name in CONSTANTS:
            return result
        if any(isinstance(item, _Unknown) for item in seen):
            # No judgement of what comes after a refusal, but for what is named.
            if name in REASONS or name in CONTROL:
                self._refuse(name, REASONS.get(name) or no_tensor(name))
            self._bind_all(result, UNKNOWN)
            return result
        if not _tensors(result):
            self._refuse(name, no_tensor(name))
            return result
        try:
            value = self._done(name, args, values, named, result)
        except RefusedError as refused:
            self._refuse(name, str(refused))
            value = UNKNOWN
        self._rebind(args, result, value)
        return result

    def _done(
        self,
        name: str,
        args: tuple[Any, ...],
        values: list[Any],
        named: dict[str, Any],
        result: Any,
    ) -> Any:
        if any(isinstance(item, Value) and item.head for item in _flat(values)):
            raise RefusedError("an operation after one that is left to the reader")
        if name not in OPERATIONS:
            reason = "no spiking layer does it, and no other way is known"
            raise RefusedError(REASONS.get(name, reason))
        if name in ("conv2d", "conv_transpose2d", "linear"):
            self.weighted = self.modules[-1] if self.modules else name
        call = Call(
            builder=self.builder,
            allowed=self.allowed,
            name=(self.weighted or name).replace("/", "_"),
            result=result,
            real=args,
        )
        try:
            value = OPERATIONS[name](call, *_tuples(values), **named)
        except TypeError as error:
            raise RefusedError(f"arguments that are not known ({error})") from None
        self.fixed |= call.fixed
        self._note(name, call.fidelity, call.how)
        return value

    def _note(self, name: str, fidelity: Any, how: str) -> None:
        layer = self.modules[-1] if self.modules else ""
        item = Operation(
            layer=layer or "(network)",
            operation=name,
            fidelity=fidelity,
            how=how,
            line=_line(),
        )
        if item not in self.operations:
            self.operations.append(item)

    def _refuse(self, name: str, why: str) -> None:
        self._note(name, "refused", why)

    def _rebind(self, args: tuple[Any, ...], result: Any, held: Any) -> None:
        """Note results; what shared memory with a changed tensor is unknown."""
        changed = args[0] if args and result is args[0] else None
        if isinstance(changed, Tensor) and held is not self.value(changed):
            place = changed.untyped_storage().data_ptr()
            for known in self.known.values():
                if known.tensor.untyped_storage().data_ptr() == place:
                    known.value = UNKNOWN
        if isinstance(result, Tensor):
            self.bind(result, held)
        elif isinstance(held, list):
            for tensor, value in zip(result, held, strict=True):
                self.bind(tensor, value)
        else:
            first, *others = result
            self.bind(first, held)
            for tensor in others:  # indices of maxima
                self.bind(tensor, UNKNOWN if held is UNKNOWN else Places())

    def _bind_all(self, result: Any, value: _Unknown) -> None:
        for tensor in _tensors(result):
            self.bind(tensor, value)


class Places(Value):
    """Where the maxima of a pool were: nothing but an unpooling reads them."""

    def __init__(self) -> None:
        super().__init__((0, 0, 0), {}, torch.zeros(0), "places")


def _tensors(result: Any) -> list[Tensor]:
    return [item for item in _flat([result]) if isinstance(item, Tensor)]


def _flat(things: Iterable[Any]) -> list[Any]:
    items: list[Any] = []
    for item in things:
        items += _flat(item) if isinstance(item, list | tuple) else [item]
    return items


def _tuples(values: list[Any]) -> list[Any]:
    return [tuple(item) if isinstance(item, list) else item for item in values]


def _line() -> str:
    """File and line of the network's source that calls."""
    for frame in reversed(traceback.extract_stack()):
        if frame.filename == __file__ and frame.name == "trace":
            break
        if not frame.filename.startswith((TORCH, HERE, "<")):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return ""


def trace(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    builder: Builder,
    allowed: dict[str, str],
    prepare: Callable[[Tensor], Tensor],
) -> tuple[Value | None, Tensor, Tracer]:
    """Call a module under a tracer.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    inputs : tuple of Tensor
        Pictures (B, C, H, W), and constants.
    builder : Builder
        Takes the layers.
    allowed : dict[str, str]
        Consents, by operation.
    prepare : callable
        What is done to the pictures before they enter; it is traced, too.

    Returns
    -------
    value : Value or None
        The output; None if something was refused.
    output : Tensor
        The output for these pictures.
    tracer : Tracer
        With the operations.

    Raises
    ------
    ConversionError
        If the module cannot be run, or does not return one tensor.
    """
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise ConversionError(
            "a TorchScript module: the Python module it was made from is needed"
        )
    tracer = Tracer(module, builder, allowed)
    picture, *constants = inputs
    picture = picture.clone()
    tracer.bind(picture, builder.input())
    try:
        with torch.no_grad(), tracer:
            output = module(prepare(picture), *constants)
    except ConversionError:
        raise
    except Exception as error:
        where = ".".join(tracer.modules[-1:]) or "the network"
        text = str(error).strip().splitlines() or [type(error).__name__]
        first = next((o for o in tracer.operations if o.fidelity == "refused"), None)
        if first is None:
            raise ConversionError(
                f"{where!r} cannot be run on {INPUT} of shape "
                f"{tuple(picture.shape)}: {text[0]}"
            ) from error
        output = picture
        return None, output, tracer
    finally:
        tracer.release()
    if not isinstance(output, Tensor):
        raise ConversionError(
            f"the network returns a {type(output).__name__}: one tensor is needed; "
            "wrap it in a module that returns one"
        )
    value = tracer.value(output)
    if isinstance(value, Tensor):
        raise ConversionError("the network's output does not depend on its input")
    return (value if isinstance(value, Value) else None), output, tracer
