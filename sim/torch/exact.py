# SPDX-License-Identifier: BSD-3-Clause
"""Why torch's convolutions are exact here, and the guards that keep it so.

Every product and partial sum of a convolution is an integer of magnitude at most
``bound = max over output channels of sum|weight| * max payload``, whatever the
order of summation. Three kinds of arithmetic hold it:

int8
    Payload 0..127 times level (mantissa / 2, -128..127), added in int32. AMX and
    VNNI add four products at a time in int32. Older CPUs add two in int16 first
    (``vpmaddubsw``, which saturates): 2 * 127 * 128 = 32512 < 2**15, so nothing
    saturates there either. oneDNN then converts the sum to float32, multiplies it
    by a power of two and adds the bias; exact while the result stays below 2**24.
float32
    Holds all integers up to 2**24, and a power of two times those, so no operation
    of a *direct* convolution (or matrix product) rounds while ``bound`` stays below.
float64
    The same up to 2**53.

Algorithms that do not add plain products are switched off in `exact_arithmetic`:
TF32 and bfloat16 shortcuts, cuDNN (which may pick Winograd or FFT), and NNPACK,
whose Winograd torch falls back to on CPU from batch 16 on when oneDNN is off.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from export.network import Connection
from sim.backend import BackendError

onednn = torch.ops.onednn  # type: ignore[attr-defined]

FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53
#: Largest payload of an int8 convolution; see above.
INT8_PAYLOAD = 127


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
        found = getattr(place, "fp32_precision", "none")
        if found not in ("none", "ieee"):
            raise BackendError(
                f"backend 'torch': precision '{found}' found, 'ieee' needed "
                f"(torch.backends.{switch}.fp32_precision)"
            )


@contextlib.contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Allow only convolutions that add plain products in full precision.

    Raises
    ------
    BackendError
        If this torch has no oneDNN, or was told to lower its precision.
    """
    mkldnn = torch.backends.mkldnn
    if not (mkldnn.is_available() and mkldnn.enabled):  # type: ignore[no-untyped-call]
        raise BackendError("backend 'torch': oneDNN is missing or switched off here")
    _check_precision()
    with (
        torch.backends.nnpack.flags(enabled=False),
        torch.backends.cudnn.flags(enabled=False),
    ):
        yield


class OneDnnConv:
    """Convolution of uint8 by int8 on the CPU: ``sum * scale + bias`` in float32.

    The operators are those that torch's own quantisation lowers to
    (``torch.ops.onednn``; torch 2.3.1 and 2.13 were tried).

    Parameters
    ----------
    levels : Tensor, shape (C_out, C_in // groups, K_h, K_w), int8
        Weight levels.
    scale : int
        Power of two.
    bias : Tensor or None, shape (C_out,), float32
        Integers to add.
    geometry : sequence of sequence of int
        Stride, padding and dilation, each along (H, W).
    groups : int
        Channel groups.
    """

    def __init__(
        self,
        levels: Tensor,
        scale: int,
        bias: Tensor | None,
        geometry: tuple[Sequence[int], Sequence[int], Sequence[int]],
        groups: int,
    ) -> None:
        self.geometry = [list(pair) for pair in geometry]
        self.groups = groups
        self.bias = bias
        self.scales = torch.full((len(levels),), float(scale))
        self.zero_points = torch.zeros(len(levels), dtype=torch.int64)
        self.levels = levels
        # oneDNN chooses the layout of the weights by the payload's shape; with
        # another layout it would reorder them at every call.
        self.packed: dict[torch.Size, Tensor] = {}

    def __call__(self, payload: Tensor) -> Tensor:
        """Sums for a payload.

        Parameters
        ----------
        payload : Tensor, shape (N, C_in, H, W), uint8, channels last
            At most 127.

        Returns
        -------
        Tensor, shape (N, C_out, H_out, W_out), float32, channels last
        """
        packed = self.packed.get(payload.shape)
        if packed is None:
            packed = onednn.qconv_prepack(
                *(self.levels, self.scales, 1.0, 0, *self.geometry, self.groups),
                list(payload.shape),
            )
            self.packed[payload.shape] = packed
        sums: Tensor = onednn.qconv2d_pointwise(
            *(payload, 1.0, 0, packed, self.scales, self.zero_points, self.bias),
            *(*self.geometry, self.groups, 1.0, 0, torch.float32, "none", [], ""),
        )
        return sums


@functools.cache
def has_onednn_int8() -> bool:
    """Whether `OneDnnConv` works here; tried once, against a float64 convolution.

    Raises
    ------
    BackendError
        If it works but gives other integers.
    """
    generator = torch.Generator().manual_seed(0)
    for c_in, c_out, groups in ((16, 32, 1), (3, 1, 1), (16, 16, 16)):
        size = (c_out, c_in // groups, 3, 3)
        levels = torch.randint(-128, 128, size, generator=generator)
        payload = torch.randint(0, 128, (2, c_in, 7, 9), generator=generator)
        # Runs of extreme values are what saturating arithmetic gets wrong.
        levels[0], payload[0] = -128, INT8_PAYLOAD
        bias = torch.arange(c_out) * 37 - 501
        last = torch.channels_last
        try:
            conv = OneDnnConv(
                levels.to(torch.int8),
                4,
                bias.float(),
                ((2, 1), (1, 0), (1, 2)),
                groups,
            )
            found = conv(payload.to(torch.uint8).contiguous(memory_format=last))
        except (AttributeError, RuntimeError, TypeError):
            return False  # this torch, or this processor, does not have it
        sums = functional.conv2d(
            payload.double(), levels.double(), None, (2, 1), (1, 0), (1, 2), groups
        )
        if not torch.equal(found.double(), 4 * sums + bias[:, None, None]):
            raise BackendError(
                f"backend 'torch': the int8 convolution of torch {torch.__version__} "
                "is not exact on this processor"
            )
    return True
