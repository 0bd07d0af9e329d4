# SPDX-License-Identifier: BSD-3-Clause
"""Settings of a fine-tuning run, and where it keeps its files."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["steps", "flow"]


class FinetuneConfig(BaseModel):
    """Settings of a fine-tuning run; task and pictures' treatment are training's.

    Attributes
    ----------
    method : {"steps", "flow"}
        What gradients flow through: all steps of the integer network, or what a layer
        sends in all steps together.
    teacher : str or None
        A network to come close to, as in
        `loihi_unet.finetuning.objective.load_teacher`.
    prune : float or None
        Remove the feature maps first that send something in at most this share of
        neurons and steps, as in `loihi_unet.finetuning.prune.prune`.
    quiet : float
        Weight of the synaptic operations in the loss, as a share of those that would
        happen if every neuron sent something at every step. By steps only. The last
        iteration is kept then, since the best one of a score sends the most.
    iterations : int
        Optimiser steps.
    batch_size, patch_size : int
        Crops per step and their side in pixels, a multiple of the network's.
    learning_rate : float
        Adam's step size, for normalised weights by flow and for the trained network's
        own through the steps, falling to 0 along half a cosine.
    seed : int
        Decides crops and noise.
    validation_interval : int
        Iterations between two scores of the held-out pictures; each also writes
        what `finetune` resumes from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Method = "steps"
    teacher: str | None = None
    prune: float | None = Field(default=None, ge=0, lt=1)
    quiet: float = Field(default=0.0, ge=0)
    iterations: int = Field(default=300, ge=1)
    batch_size: int = Field(default=8, ge=1)
    patch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    seed: int = Field(default=0, ge=0)
    validation_interval: int = Field(default=100, ge=1)


class FinetuneFiles:
    """Where a run keeps its files.

    Parameters
    ----------
    out : Path
        The network, as good as it was at the best iteration.

    Attributes
    ----------
    last : Path
        ``<out>.run/last.safetensors``: the latest state, to resume from.
    tensorboard : Path
        ``<out>.run/tb``.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        folder = out.with_name(f"{out.name}.run")
        self.last = folder / "last.safetensors"
        self.tensorboard = folder / "tb"
