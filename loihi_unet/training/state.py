# SPDX-License-Identifier: BSD-3-Clause
"""A training run's files and state: begun afresh or taken up again."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from export.files.atomic import write_text
from loihi_unet.config import TrainConfig, config_toml
from loihi_unet.errors import CheckpointError
from loihi_unet.files.checkpoint import read_checkpoint
from loihi_unet.networks.net import Net
from loihi_unet.training.moments import check_same_run, restore_moments
from loihi_unet.training.parallel import is_first
from loihi_unet.training.warm_start import Initial


@dataclass(frozen=True)
class RunFiles:
    """Where a run keeps its files.

    Attributes
    ----------
    out : Path
        The run's folder.
    """

    out: Path

    @property
    def last(self) -> Path:
        """The latest checkpoint, with the optimiser's state."""
        return self.out / "checkpoints" / "last.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation score, weights only."""
        return self.out / "checkpoints" / "best.safetensors"

    @property
    def config(self) -> Path:
        """The effective settings."""
        return self.out / "config.toml"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's log folder."""
        return self.out / "tb"


@dataclass(kw_only=True)
class TrainState:
    """What changes during a run.

    Attributes
    ----------
    model : Net
        The network, on the run's device.
    optimiser : torch.optim.Adam
        Over its parameters.
    device : torch.device
        Where both are.
    data_sha256 : str
        Fingerprint of the run's pictures.
    iteration : int
        Optimiser steps done.
    best_score : float
        Best validation score so far.
    init_sha256 : str or None
        `weights_sha256` of the trained network it began with; None: random weights.
    """

    model: Net
    optimiser: torch.optim.Adam
    device: torch.device
    data_sha256: str
    iteration: int = 0
    best_score: float = -math.inf
    init_sha256: str | None = None


def begin(
    config: TrainConfig,
    files: RunFiles,
    device: torch.device,
    data_sha256: str,
    init: Initial | None = None,
) -> TrainState:
    """Start a run: initial weights, and ``config.toml`` on disk.

    Parameters
    ----------
    config : TrainConfig
        Settings of the run.
    files : RunFiles
        Its files.
    device : torch.device
        Where to train.
    data_sha256 : str
        Fingerprint of its pictures.
    init : Initial, optional
        Weights to begin with; seeded random ones if None.

    Returns
    -------
    TrainState
        At iteration 0.

    Raises
    ------
    CheckpointError
        If the folder already holds a run.
    """
    if files.last.exists():
        raise CheckpointError(
            f"{files.out}: already holds a run; resume it or name another folder"
        )
    if init is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = Net(config.model, config.neuron)
    else:
        model = Net(config.model, config.neuron)
        # A neuron's own parameters, where `init` has another one, begin as always.
        random = model.state_dict()
        model.load_state_dict(
            {name: init.weights.get(name, value) for name, value in random.items()}
        )
    if is_first():
        write_text(files.config, config_toml(config))
    state = new_state(model, device, data_sha256)
    if init is not None:
        state.init_sha256 = init.sha256
    return state


def new_state(model: Net, device: torch.device, data_sha256: str) -> TrainState:
    """Put a network on its device, with a fresh optimiser.

    Parameters
    ----------
    model : Net
        The network.
    device : torch.device
        Where to train.
    data_sha256 : str
        Fingerprint of the run's pictures.

    Returns
    -------
    TrainState
        At iteration 0.
    """
    # Channels last is the faster memory format for small channel counts.
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(model.parameters())
    return TrainState(
        model=model, optimiser=optimiser, device=device, data_sha256=data_sha256
    )


def resume(
    config: TrainConfig, files: RunFiles, device: torch.device, data_sha256: str
) -> TrainState:
    """Take up a run at its last checkpoint.

    Parameters
    ----------
    config : TrainConfig
        Settings of the run.
    files : RunFiles
        Its files.
    device : torch.device
        Where to train.
    data_sha256 : str
        Fingerprint of its pictures.

    Returns
    -------
    TrainState
        As it was when the checkpoint was written.

    Raises
    ------
    CheckpointError
        If there is no checkpoint, or settings or pictures are not the run's.
    """
    checkpoint = read_checkpoint(files.last)
    theirs = dict(checkpoint.record.config)
    check_same_run(files.last, theirs, dict(config))
    if checkpoint.record.data_sha256 != data_sha256:
        raise CheckpointError(
            f"{files.last}: the pictures are not those the run began with"
        )
    state = new_state(checkpoint.model, device, data_sha256)
    state.iteration = checkpoint.record.iteration
    restore_moments(
        state.optimiser,
        state.model.named_parameters(),
        checkpoint.moments,
        state.iteration,
        where=files.last,
    )
    state.best_score = checkpoint.record.best_score
    state.init_sha256 = checkpoint.record.init_sha256
    return state
