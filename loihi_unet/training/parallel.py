# SPDX-License-Identifier: BSD-3-Clause
"""Where training runs, on how many processes of ``torchrun``."""

import contextlib
import os
from collections.abc import Iterator

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from loihi_unet.errors import ConfigError


def best_device() -> torch.device:
    """Return CUDA where there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def process_group(device: str) -> Iterator[torch.device]:
    """Join the other processes, where ``torchrun`` started several.

    Parameters
    ----------
    device : str
        ``"cpu"`` (gloo) or ``"cuda"`` (NCCL, one device per process).

    Yields
    ------
    torch.device
        This process's own.
    """
    if "WORLD_SIZE" not in os.environ:
        yield torch.device(device)
        return
    cuda = torch.device(device).type == "cuda"
    assigned = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else device
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield torch.device(assigned)
    finally:
        distributed.destroy_process_group()


def is_first() -> bool:
    """Whether this process is the one that writes: the only one, or rank 0."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def shard(batch: torch.Tensor) -> torch.Tensor:
    """Return this process's part of a batch that every process has made.

    Parameters
    ----------
    batch : Tensor, shape (B, ...)
        The same in every process.

    Returns
    -------
    Tensor, shape (B / processes, ...)
        Equal parts, so that the mean of their gradients is the batch's.

    Raises
    ------
    ConfigError
        If the batch cannot be cut into equal parts.
    """
    if not distributed.is_initialized():
        return batch
    count = distributed.get_world_size()
    if len(batch) % count:
        raise ConfigError(
            f"batch_size {len(batch)}: allowed are multiples of {count}, the number "
            "of processes"
        )
    return batch.chunk(count)[distributed.get_rank()]


def wrap(model: nn.Module) -> nn.Module:
    """Return the model as one whose gradients are means over all processes."""
    if not distributed.is_initialized():
        return model
    return DistributedDataParallel(model)
