# SPDX-License-Identifier: BSD-3-Clause
"""Which weights a network has, as one number."""

import hashlib
from collections.abc import Mapping

from torch import Tensor

from loihi_unet.networks.net import Net


def weights_sha256(model: Net) -> str:
    """Return the SHA-256 (hex) of the parameters' names and float32 values."""
    return tensors_sha256(model.tensors())


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 (hex) of tensors' names, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
