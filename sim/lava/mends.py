# SPDX-License-Identifier: BSD-3-Clause
"""Makes lava-nc 0.10.0 run on the Pythons and NumPys of today, unchanged.

Import this module before Lava; there is nothing else to do::

    import sim.lava.mends

    from lava.proc.lif.process import LIF

Lava 0.10.0 is the last release and was made for Python 3.10 and NumPy 1. Each mend
below is one function: what it changes, why, in which module of Lava, and which
versions need it. It changes the module in memory, when Lava is imported; no file of
Lava's is touched. Forked children have the mends because they have all memory, and
those that `multiprocessing` spawns are sent them. A child that is a new program
(``subprocess``) imports this module itself. `sim.lava.mending` is how it works.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import multiprocessing
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sim.lava.mending import after, around, install


@around("lava.magma.compiler.var_model", needed="Python 3.11 and newer")
@contextlib.contextmanager
def defaults_of_dataclasses(module: ModuleType) -> Iterator[None]:
    """Give every `CoreEncoder`, `ChipEncoder` and `AxonEncoder` its own fields.

    They are dataclasses with defaults such as ``x: ByteEncoder = ByteEncoder()``, one
    object for all. Python 3.11 refuses defaults that cannot be hashed ("mutable default
    ... use default_factory"), so that Lava cannot be imported at all. While this module
    is executed, `dataclasses.dataclass` replaces such a default by a factory.
    """
    original = dataclasses.dataclass

    @functools.wraps(original)
    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        if cls is None:
            return functools.partial(dataclass, **options)
        for name, default in list(vars(cls).items()):
            if dataclasses.is_dataclass(default) and default.__hash__ is None:
                setattr(cls, name, dataclasses.field(default_factory=type(default)))
        return original(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original


@around(
    "lava.magma.runtime.message_infrastructure.multiprocessing", needed="all versions"
)
@contextlib.contextmanager
def start_method(module: ModuleType) -> Iterator[None]:
    """Let Lava choose its start method where one was chosen before.

    The module calls ``multiprocessing.set_start_method("fork")`` when it is imported,
    which fails ("context has already been set") in a process that was spawned, or that
    has started others.
    """
    multiprocessing.set_start_method(None, force=True)
    yield


@after("lava.magma.core.process.ports.ports", needed="NumPy 2.1 and newer")
def shape_of_reshape(ports: Any) -> None:
    """Reshape ports without the keyword ``newshape``.

    `ReshapePort` makes ``partial(np.reshape, newshape=...)``; NumPy 2.1 deprecates the
    keyword and 2.5 does not have it. The transforms give the shape by position.
    """
    port = ports.ReshapePort
    port.get_transform_func_fwd = lambda self: functools.partial(_reshape, self.shape)
    port.get_transform_func_bwd = lambda self: functools.partial(
        _reshape, self.old_shape
    )


def _reshape(shape: tuple[int, ...], data: Any) -> Any:
    """Reshape; importable, because a spawned child gets it pickled."""
    import numpy as np

    return np.reshape(data, shape)


@after(
    "lava.magma.core.process.process", needed="Python 3.12 and newer, to mock a Process"
)
def members_of_collections(process: Any) -> None:
    """Say AttributeError where a `Collection` has no such member.

    `Collection.__getattr__` raises AssertionError instead, so that `hasattr` fails
    with it. `unittest.mock` of newer Pythons asks every attribute of a Process whether
    it ``__wrapped__`` something.
    """
    collection = process.Collection
    original = collection.__getattr__

    @functools.wraps(original)
    def member(self: Any, item: str) -> Any:
        try:
            return original(self, item)
        except AssertionError as error:
            raise NoMemberError(*error.args) from error

    collection.__getattr__ = member


class NoMemberError(AssertionError, AttributeError):
    """What `members_of_collections` raises: both Lava's exception and Python's."""


@after("lava.proc.conv.utils", needed="NumPy 2 and newer")
def geometry_of_convolutions(utils: Any) -> None:
    """Compute the geometry of convolutions in Python's integers.

    `AbstractPyConvModel` keeps kernel size, stride, padding, dilation and groups as
    int8. NumPy 1 computed ``output.shape[-1] % groups`` or ``width + 2 * padding`` in
    64 bits; NumPy 2 stays at 8, where 128 channels raise OverflowError, and a padded
    width of 128 wraps.
    """
    conv, shape = utils.conv_scipy, utils.output_shape

    @functools.wraps(conv)
    def conv_scipy(
        input_: Any,
        weight: Any,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: Any,
    ) -> Any:
        pairs = map(_integers, (kernel_size, stride, padding, dilation))
        return conv(input_, weight, *pairs, int(groups))

    @functools.wraps(shape)
    def output_shape(
        input_shape: Any,
        out_channels: Any,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
    ) -> Any:
        pairs = map(_integers, (kernel_size, stride, padding, dilation))
        return shape(_integers(input_shape), int(out_channels), *pairs)

    utils.conv_scipy, utils.output_shape = conv_scipy, output_shape


@after("lava.proc.graded.models", needed="NumPy 2.5 and newer")
def arguments_of_inverse_square_roots(models: Any) -> None:
    """Give `inv_sqrt` and `clz` one number, not an array that holds one.

    They call ``int`` on it, which NumPy 1.25 deprecates for arrays with dimensions and
    2.5 refuses; the model `InvSqrtModelFP` calls them so.
    """
    root, zeros = models.inv_sqrt, models.clz

    @functools.wraps(root)
    def inv_sqrt(s_fp: Any, *arguments: Any, **options: Any) -> Any:
        return root(_scalar(s_fp), *arguments, **options)

    @functools.wraps(zeros)
    def clz(val: Any) -> Any:
        return zeros(_scalar(val))

    models.inv_sqrt, models.clz = inv_sqrt, clz


@after("lava.proc.clp.nsm.models", needed="NumPy 2.5 and newer")
def counter_of_allocator(models: Any) -> None:
    """Let `PyAllocatorModel` send its counter.

    It assigns the counter, an array of shape (1,), to one element of another array,
    which NumPy 1.25 deprecates and 2.5 refuses. During the step it has no dimension.
    """
    model = models.PyAllocatorModel
    original = model.run_spk

    @functools.wraps(original)
    def run_spk(self: Any) -> None:
        shape = self.next_alloc_id.shape
        self.next_alloc_id = self.next_alloc_id.reshape(())
        original(self)
        self.next_alloc_id = self.next_alloc_id.reshape(shape)

    model.run_spk = run_spk


@after("lava.lib.dl.netx.hdf5", needed="NumPy 2.5 and newer")
def weight_of_inputs(hdf5: Any) -> None:
    """Read the weight and the bias of an input that are stored with one dimension.

    `Network.create_input` calls ``int`` on the arrays of shape (1,) that slayer
    writes, as above.
    """
    original = hdf5.Network.create_input

    @functools.wraps(original)
    def create_input(layer_config: Any, *arguments: Any, **options: Any) -> Any:
        return original(_InputGroup(layer_config), *arguments, **options)

    hdf5.Network.create_input = staticmethod(create_input)


class _InputGroup:
    """An input's group of a netx file, whose weight and bias are numbers."""

    def __init__(self, group: Any) -> None:
        self.group = group

    def keys(self) -> Any:
        return self.group.keys()

    def __getitem__(self, key: str) -> Any:
        value = self.group[key]
        return _scalar(value) if key in ("weight", "bias") else value


@around("lava.lib.dl.slayer.object_detection", needed="lava-dl without torchvision")
@contextlib.contextmanager
def object_detection(module: ModuleType) -> Iterator[None]:
    """Let slayer, and netx with it, be imported without torchvision and OpenCV.

    `lava.lib.dl.slayer` imports its YOLO package whether it is used or not, and this
    one imports torchvision, which fits one release of torch only, and OpenCV. Where
    it cannot be imported, using it raises ImportError and says what it lacks.
    """
    try:
        yield
    except Exception as error:  # torchvision raises what it likes for another torch
        reason = f"{type(error).__name__}: {error}".splitlines()[0]

        def missing(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            raise ImportError(f"{module.__name__}.{name} is not to be had ({reason})")

        module.__getattr__ = missing  # type: ignore[method-assign]


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _integers(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


install()
