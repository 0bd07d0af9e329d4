# SPDX-License-Identifier: BSD-3-Clause
"""Tensors with a JSON record, in one safetensors file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from export.files.atomic import atomic
from export.files.kind import expect
from export.files.recognise import RECORD_KEY
from loihi_unet.errors import CheckpointError

#: Kinds of safetensors files that this project writes.
OURS = ("checkpoint", "converted", "sigma-delta", "finetuning")

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_DTYPES = (*_FLOATS, torch.int8, torch.int16)


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, Any]
) -> None:
    """Write tensors and a JSON record as one safetensors file.

    Equal tensors and records give equal bytes: JSON keys are sorted, safetensors
    orders the tensors itself.

    Parameters
    ----------
    path : Path
        File to write, replaced as a whole.
    tensors : Mapping[str, Tensor]
        Any device, any memory format; stored contiguous.
    record : Mapping[str, Any]
        Anything JSON can hold.
    """
    stored = {
        name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()
    }
    text = json.dumps(record, sort_keys=True, allow_nan=False)
    with atomic(path) as temporary:
        temporary.write_bytes(save(stored, metadata={RECORD_KEY: text}))


def read_tensors(
    path: Path, *kinds: str
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Parameters
    ----------
    path : Path
        A safetensors file with our record in its metadata.
    *kinds : str
        What it may be, of `export.files.kind.KINDS`; any of `OURS` if none is named.

    Returns
    -------
    tensors : dict[str, Tensor]
        On the CPU, in memory of their own: the file may be replaced meanwhile.
    record : dict[str, Any]
        The JSON object.

    Raises
    ------
    CheckpointError
        If the file is missing, is of another kind, has no such record, or a
        tensor of other numbers than finite floats and small integers.
    """
    expect(path, *(kinds or OURS), error=CheckpointError)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Copies: tensors on a mapped file would keep Windows from replacing it.
            names = list(file.keys())
            tensors = {name: file.get_tensor(name).clone() for name in names}
    except (SafetensorError, OSError, LookupError, AttributeError) as error:
        # Of a dtype that this torch lacks, safetensors raises the last two.
        raise CheckpointError(f"{path}: not a safetensors file: {error}") from error
    try:
        record = json.loads(metadata[RECORD_KEY])
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: a safetensors file without a {RECORD_KEY!r} record; allowed are "
            "files written by loihi-unet"
        ) from error
    if not isinstance(record, dict):
        raise CheckpointError(f"{path}: the {RECORD_KEY!r} record is not an object")
    for name, tensor in tensors.items():
        if tensor.dtype not in _DTYPES:
            raise CheckpointError(
                f"{path}: tensor {name}: {tensor.dtype} found, allowed are "
                f"{', '.join(str(dtype) for dtype in _DTYPES)}"
            )
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path}: tensor {name}: a value is not finite")
    return tensors, record
