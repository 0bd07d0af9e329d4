# SPDX-License-Identifier: BSD-3-Clause
"""Why torch's convolutions are exact here, and the guards that keep it so.

Every product and partial sum of a convolution is an integer of magnitude at most
``bound = max over output channels of sum|weight| * max payload``, whatever the
order of summation. Three kinds of arithmetic hold it:

int8
    Payload 0..127 times level (mantissa / 2, -128..127), added in int32. AMX and
    VNNI add four products at a time in int32. Older CPUs add two in int16 first
    (``vpmaddubsw``, which saturates): 2 * 127 * 128 = 32512 < 2**15, so nothing
    saturates there either; payloads to 255 would (`sim.torch.int8` tries them).
    oneDNN then converts the sum to float32, multiplies it by a power of two and adds
    the bias; exact while the result stays below 2**24.
float32
    Holds all integers up to 2**24, and a power of two times those, so no operation
    of a *direct* convolution (or matrix product) rounds while ``bound`` stays below.
float64
    The same up to 2**53.

What does not add plain products is switched off or refused in `exact_arithmetic`:
TF32 and bfloat16 shortcuts, a caller's autocast, cuDNN (which may pick Winograd or
FFT), and NNPACK, whose Winograd torch falls back to on CPU from batch 16 on when
oneDNN is off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from export.network import Connection
from sim.backend import BackendError

FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53


def float_dtype(bound: int, where: str) -> torch.dtype:
    """Dtype that holds every integer below ``bound``.

    Parameters
    ----------
    bound : int
        No sum is larger in magnitude.
    where : str
        Place named in an error.

    Returns
    -------
    torch.dtype
        float32 where the bound stays below 2**24, else float64.

    Raises
    ------
    BackendError
        If the bound does not even fit float64.
    """
    if bound < FLOAT32_EXACT:
        return torch.float32
    if bound < FLOAT64_EXACT:
        return torch.float64
    raise BackendError(f"{where}: bound {bound} of the sums >= 2**53")


def conv_dtype(connection: Connection, magnitude: int) -> torch.dtype:
    """Dtype in which a connection's sums over weight levels are exact.

    Parameters
    ----------
    connection : Connection
        Whose synapse to bound.
    magnitude : int
        Largest absolute payload of the source.

    Raises
    ------
    BackendError
        If the bound does not even fit float64.
    """
    bound = int(connection.synapse.absolute_sum().max()) // 2 * magnitude
    return float_dtype(bound, f"connection from '{connection.source}'")


#: Switches of torch's newer interface (2.9), read where there are any.
_SWITCHES = ("mkldnn.conv", "mkldnn.matmul", "cuda.matmul")


def _check_precision() -> None:
    try:
        precision = torch.get_float32_matmul_precision()
    except RuntimeError:
        precision = "highest"  # only the newer interface was used; it is read below
    if precision != "highest":
        raise BackendError(
            f"backend 'torch': float32 matmul precision '{precision}' found, "
            "'highest' needed (torch.set_float32_matmul_precision)"
        )
    for switch in _SWITCHES:
        library, operation = switch.split(".")
        place = getattr(getattr(torch.backends, library), operation, None)
        set_to = getattr(place, "fp32_precision", "none")
        if set_to not in ("none", "ieee"):
            raise BackendError(
                f"backend 'torch': precision '{set_to}' found, 'ieee' needed "
                f"(torch.backends.{switch}.fp32_precision)"
            )


@contextlib.contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Allow only convolutions that add plain products in full precision.

    A caller's autocast ends here: it would round factors to 8 or 11 bits.

    Raises
    ------
    BackendError
        If this torch has no oneDNN, was told to lower its precision, or does not
        compute (fake tensors).
    """
    mkldnn = torch.backends.mkldnn
    if not (mkldnn.is_available() and mkldnn.enabled):  # type: ignore[no-untyped-call]
        raise BackendError("backend 'torch': oneDNN is missing or switched off here")
    _check_precision()
    kind = type(torch.zeros(1, device="cpu"))
    if kind is not Tensor:
        raise BackendError(
            f"backend 'torch': a mode of torch gives {kind.__name__} instead of numbers"
        )
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.backends.nnpack.flags(enabled=False))
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if torch.cuda.is_available():
            stack.enter_context(torch.autocast("cuda", enabled=False))
        yield
