# SPDX-License-Identifier: BSD-3-Clause
"""From Python: convert and fine-tune checkpoints, or any torch module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from loihi_unet.conversion.convert import convert as convert_checkpoint
from loihi_unet.conversion.module import convert as convert_module
from loihi_unet.finetuning.finetune import FinetuneResult
from loihi_unet.finetuning.finetune import finetune as finetune_file
from loihi_unet.finetuning.own_loss import finetune as finetune_network
from loihi_unet.frontend.module.read import Preparation, Prepared
from loihi_unet.runs.quality import with_headroom
from loihi_unet.spiking.spiking_unet import SpikingUNet


def convert(
    network: nn.Module | str | Path, *arguments: Any, **settings: Any
) -> SpikingUNet:
    """Convert a trained network, or a torch module.

    Parameters
    ----------
    network : nn.Module, str or Path
        A module, or a checkpoint as in `loihi_unet.conversion.convert.convert`.
    *arguments, **settings
        Of a module, as in `loihi_unet.conversion.module.convert`: pictures of the
        kind that it will see, shape (B, C, H, W), pixels divided by 255; then
        ``num_steps, num_thresholds, allow, preparation, per, percentile``. Of a
        checkpoint, as in `loihi_unet.conversion.convert.convert`.

    Returns
    -------
    SpikingUNet
        For `loihi_unet.export` and `loihi_unet.save`.

    Raises
    ------
    UserError
        As those two.
    """
    if isinstance(network, nn.Module):
        made = convert_module(network, *arguments, **settings)
        preparation = settings.get("preparation") or Preparation()
        module = Prepared(network, preparation).eval()
        return with_headroom(module, made.reading.usable(), made.snn, made.x)[0]
    return convert_checkpoint(network, *arguments, **settings)


def finetune(
    network: SpikingUNet | str | Path, *arguments: Any, **settings: Any
) -> SpikingUNet | FinetuneResult:
    """Fine-tune a converted network.

    Parameters
    ----------
    network : SpikingUNet, str or Path
        What `convert` gave, or its file.
    *arguments, **settings
        Of a network, batches and a loss, as in
        `loihi_unet.finetuning.own_loss.finetune`.
        Of a file, as in `loihi_unet.finetuning.finetune.finetune`.

    Returns
    -------
    SpikingUNet or FinetuneResult
        The trained network; of a file, what was done.

    Raises
    ------
    UserError
        As those two.
    """
    if isinstance(network, SpikingUNet):
        return finetune_network(network, *arguments, **settings)
    return finetune_file(network, *arguments, **settings)
