# SPDX-License-Identifier: BSD-3-Clause
"""A network whose output a fine-tuning run comes close to, beside the target."""

from collections.abc import Callable

import torch
from torch import Tensor

from loihi_unet.errors import CheckpointError
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.spiking.spiking_unet import SpikingUNet

#: From input to output, both as the network that is trained has them.
Teacher = Callable[[Tensor], Tensor]
#: Share of the teacher in the loss; the rest is the task's.
SHARE = 0.9


def load_teacher(source: str, snn: SpikingUNet, device: torch.device) -> Teacher:
    """Return a teacher for a network.

    Parameters
    ----------
    source : str
        As in `loihi_unet.files.checkpoint.find_checkpoint`.
    snn : SpikingUNet
        The network that is to learn.
    device : torch.device
        Where inputs will be.

    Returns
    -------
    Teacher
        Without gradients.

    Raises
    ------
    CheckpointError
        If it cannot be read, or has other channels than the network.
    """
    model, _ = load_checkpoint(source)
    for what in ("in_channels", "out_channels"):
        theirs, ours = getattr(model.config, what), getattr(snn.config, what)
        if theirs != ours:
            raise CheckpointError(
                f"{source}: {what} {theirs} found, the network has {ours}"
            )
    if model.config.multiple > snn.config.multiple:
        raise CheckpointError(
            f"{source}: sides of multiples of {model.config.multiple} needed, the "
            f"network takes {snn.config.multiple}"
        )
    model = model.to(device).eval()
    return torch.no_grad()(model)


def distance(output: Tensor, wanted: Tensor) -> Tensor:
    """Return the root of the mean squared difference.

    Its gradient has the size of an absolute error's, however close the two are.
    """
    return (output - wanted).square().mean().add(1e-12).sqrt()
