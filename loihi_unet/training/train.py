# SPDX-License-Identifier: BSD-3-Clause
"""Train a U-Net: one loop, resumable to the bit on the CPU."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from loihi_unet.config import TrainConfig, load_config
from loihi_unet.data.datasets import Reading, load_training
from loihi_unet.data.pictures import fingerprint
from loihi_unet.data.white_level import records
from loihi_unet.errors import ConfigError
from loihi_unet.files.checkpoint import CheckpointRecord, save_checkpoint
from loihi_unet.tasks.baseline import baseline
from loihi_unet.tasks.make import Task, make_task
from loihi_unet.tasks.task import Validation
from loihi_unet.training import state as run_state
from loihi_unet.training.loop import Plan, run_loop, step_size
from loihi_unet.training.moments import adam_moments
from loihi_unet.training.parallel import best_device, process_group, shard, wrap
from loihi_unet.training.state import RunFiles, TrainState
from loihi_unet.training.warm_start import initial_weights

log = logging.getLogger(__name__)

#: Iterations between two values of the loss in TensorBoard.
LOG_INTERVAL = 50


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a run left behind.

    Attributes
    ----------
    last, best : Path
        Checkpoints: the latest, and the one with the highest validation score.
    iterations : int
        Optimiser steps done, those before a resume included.
    best_score : float
        Of the best checkpoint on the held-out pictures.
    measure : str
        What the score is, with its unit.
    baseline : str
        What does nothing.
    baseline_score : float
        What it scores on the same pictures.
    seconds : float
        Wall-clock time of this call.
    white_levels : list[dict[str, int]]
        As `loihi_unet.data.white_level.records`.
    """

    last: Path
    best: Path
    iterations: int
    best_score: float
    measure: str
    baseline: str
    baseline_score: float
    seconds: float
    white_levels: list[dict[str, int]]


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """Return the step size of an iteration: warm-up times half a cosine.

    Parameters
    ----------
    config : TrainConfig
        Gives both ends and the length.
    iteration : int
        0 .. iterations - 1.

    Returns
    -------
    float
        ``learning_rate`` at 0, where there is no warm-up, towards
        ``final_learning_rate`` at the end.
    """
    return step_size(
        iteration,
        config.iterations,
        high=config.learning_rate,
        low=config.final_learning_rate,
        warm_up=max(1, min(config.warmup_iterations, config.iterations // 10)),
    )


def train(
    config: TrainConfig | str | Path,
    data: str | Path | None,
    out: str | Path,
    resume: bool = False,
    *,
    init: str | Path | None = None,
    device: str | None = None,
    label_colours: str | Path | None = None,
) -> TrainResult:
    """Train a network; under ``torchrun`` on several processes, of equal result.

    Writes ``config.toml``, ``checkpoints/last.safetensors``,
    ``checkpoints/best.safetensors`` and TensorBoard's ``tb/`` below `out`.

    Parameters
    ----------
    config : TrainConfig, str or Path
        Everything that decides the result, but the pictures; or what
        `loihi_unet.config.load_config` reads it from.
    data : str, Path or None
        Folder of pictures; None for the photographs that ship with scikit-image.
    out : str or Path
        The run's folder.
    resume : bool
        Go on from ``last.safetensors``. On the CPU, with the same number of threads,
        the result has the same bits as that of a run that never stopped.
    init : str or Path, optional
        Begin with the weights of this checkpoint instead of random ones, see
        `loihi_unet.training.warm_start.initial_weights`.
    device : str, optional
        A torch device; if None, CUDA where there is one, otherwise the CPU.
    label_colours : str or Path, optional
        As in `loihi_unet.data.datasets.Reading`.

    Returns
    -------
    TrainResult
        Paths and scores.

    Raises
    ------
    DataError
        If pictures cannot be read or are too few or too small.
    CheckpointError
        If there is nothing to resume, or a run of other settings or pictures, or
        `init` is of another shape.
    ConfigError
        If the loss is no longer finite.
    """
    started = time.monotonic()
    if not isinstance(config, TrainConfig):
        config = load_config(config)
    data = None if data is None else Path(data)
    name = device or best_device().type
    reading = Reading(white_level=config.white_level, label_colours=label_colours)
    pictures, train_part, validation = load_training(config, data, reading)
    white_levels = records(pictures.levels)
    if len(white_levels) == 1:
        # The run says which, stated by the files or asked for.
        white = white_levels[0]["white_level"]
        config = config.model_copy(update={"white_level": white})
    task = make_task(config, train_part, validation)
    files = RunFiles(Path(out))
    with process_group(name) as place:
        if resume:
            state = run_state.resume(config, files, place, fingerprint(pictures))
        else:
            start = None if init is None else initial_weights(config, init, pictures)
            state = run_state.begin(config, files, place, fingerprint(pictures), start)
        log.info("training on %s from iteration %d", place, state.iteration)
        fit(state, task, config, files)
    idle = baseline(task)
    return TrainResult(
        last=files.last,
        best=files.best,
        iterations=state.iteration,
        best_score=state.best_score,
        measure=idle.measure,
        baseline=idle.what,
        baseline_score=idle.score,
        seconds=time.monotonic() - started,
        white_levels=white_levels,
    )


def fit(state: TrainState, task: Task, config: TrainConfig, files: RunFiles) -> None:
    """Run the training loop from the state's iteration to the last.

    Parameters
    ----------
    state : TrainState
        Changed in place.
    task : Task
        Gives batches, loss and validation.
    config : TrainConfig
        Length of the run, step size and intervals.
    files : RunFiles
        Where checkpoints and TensorBoard's files go.

    Raises
    ------
    ConfigError
        If the loss is no longer finite.
    """
    job = _Training(state, task, config, files, wrap(state.model))
    plan = Plan(
        title="training",
        iterations=config.iterations,
        log_interval=LOG_INTERVAL,
        validation_interval=config.validation_interval,
        tensorboard=files.tensorboard,
    )
    run_loop(state, job, plan)


def step(
    state: TrainState, task: Task, config: TrainConfig, network: nn.Module
) -> torch.Tensor:
    """Do one optimiser step.

    Parameters
    ----------
    state : TrainState
        Changed in place.
    task : Task
        Gives the batch of this iteration and the loss.
    config : TrainConfig
        Step size and precision.
    network : Module
        The state's model, or its wrapper for several processes.

    Returns
    -------
    Tensor, shape ()
        The loss before the step.
    """
    source, target = map(shard, task.batch(state.iteration))
    source = source.to(state.device, memory_format=torch.channels_last)
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(config, state.iteration)
    network.train()
    low = config.precision == "bfloat16"
    with torch.autocast(state.device.type, dtype=torch.bfloat16, enabled=low):
        output = network(source)
    loss = task.loss(output.float(), target.to(state.device))
    state.optimiser.zero_grad()
    torch.autograd.backward(loss)
    state.optimiser.step()
    state.iteration += 1
    return loss.detach()


@dataclass
class _Training:
    """What `run_loop` does here."""

    state: TrainState
    task: Task
    config: TrainConfig
    files: RunFiles
    network: nn.Module

    def step(self) -> torch.Tensor:
        return step(self.state, self.task, self.config, self.network)

    def curves(self, loss: float) -> dict[str, float]:
        if not math.isfinite(loss):
            raise ConfigError(
                f"iteration {self.state.iteration}: the loss is {loss}; lower "
                f"learning_rate (now {self.config.learning_rate:g})"
            )
        rate = learning_rate(self.config, self.state.iteration)
        return {"train/loss": loss, "train/learning_rate": rate}

    def validate(self) -> Validation:
        self.state.model.eval()
        return self.task.validate(self.state.model, self.state.device)

    def save(self, result: Validation) -> None:
        _save(self.state, self.config, self.files, result)


def _save(
    state: TrainState, config: TrainConfig, files: RunFiles, result: Validation
) -> None:
    improved = result.score > state.best_score
    state.best_score = max(state.best_score, result.score)
    record = CheckpointRecord(
        config=config,
        iteration=state.iteration,
        measures=result.measures,
        best_score=state.best_score,
        data_sha256=state.data_sha256,
        torch_version=torch.__version__,
        init_sha256=state.init_sha256,
    )
    # The best first: killed in between, the run redoes this step to the same bits.
    if improved:
        save_checkpoint(files.best, state.model.tensors(), record)
    moments = adam_moments(state.optimiser, state.model.named_parameters())
    save_checkpoint(files.last, state.model.tensors(), record, moments)
