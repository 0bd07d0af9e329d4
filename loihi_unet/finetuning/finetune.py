# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tune a Spiking-UNet on the integers that go to the chip."""

import logging
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.progress import Progress
from torch.utils.tensorboard.writer import SummaryWriter

from export.gain import settle
from loihi_unet.config import TrainConfig, parse_config
from loihi_unet.data.datasets import AS_STATED, Reading, load_training
from loihi_unet.data.deep import records
from loihi_unet.data.pictures import fingerprint, load_pictures
from loihi_unet.data.sequence import Pictures
from loihi_unet.errors import CheckpointError, ConfigError, ConversionError
from loihi_unet.files.spiking_file import load_spiking_unet, save_spiking_unet
from loihi_unet.finetuning import state as finetune_state
from loihi_unet.finetuning.cost import Cost, cost
from loihi_unet.finetuning.flow import IntegerUNet
from loihi_unet.finetuning.imitation import ImitationTask, imitation, module_teacher
from loihi_unet.finetuning.prune import firing_shares, prune
from loihi_unet.finetuning.state import FinetuneState, Method, clamp
from loihi_unet.finetuning.steps import StepsUNet
from loihi_unet.finetuning.teacher import (
    SHARE,
    Teacher,
    checkpoint_teacher,
    distance,
)
from loihi_unet.frontend.module.source import is_module
from loihi_unet.seeds import Purpose
from loihi_unet.spiking.spiking_unet import SpikingUNet
from loihi_unet.tasks.make import Task, make_task
from loihi_unet.training.parallel import best_device

log = logging.getLogger(__name__)

#: Iterations between two values of the loss in TensorBoard.
LOG_INTERVAL = 10
#: Share of a run through the steps in which the step size grows.
WARM_UP = 0.1
#: T from which a backward pass recomputes what it needs, to take less memory.
RECOMPUTE_FROM = 8


class FinetuneConfig(BaseModel):
    """Settings of a fine-tuning run; task and pictures' treatment are training's.

    Attributes
    ----------
    method : {"steps", "flow"}
        What gradients flow through: all steps of the integer network, or what a layer
        sends in all steps together.
    teacher : str or None
        A network to come close to, as in `load_teacher`.
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


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """What fine-tuning did.

    Attributes
    ----------
    before, after : float
        Score of the held-out pictures by the integer network: at the start, and of
        the best iteration, which was written.
    iteration : int
        The best one; 0 if none was better than the start.
    cost_before, cost_after : Cost
        Of the network that was given, and of the one that was written, on training
        crops.
    seconds : float
        Wall-clock time.
    white_levels : list[dict[str, int]]
        As `loihi_unet.data.deep.records`.
    """

    before: float
    after: float
    iteration: int
    cost_before: Cost
    cost_after: Cost
    seconds: float
    white_levels: list[dict[str, int]]


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


def finetune(
    source: str | Path,
    out: str | Path,
    data: str | Path | None,
    settings: FinetuneConfig,
    resume: bool = False,
    reading: Reading = AS_STATED,
) -> FinetuneResult:
    """Fine-tune a converted network and write the best iteration.

    By flow, thresholds and weight exponents stay as `export.gain.settle` chooses them
    at the start; they are written with the result. Through the steps thresholds are
    trained, and chosen anew for every pass. Either way the result exports to the very
    integers it was scored with.

    Parameters
    ----------
    source : str or Path
        File written by the conversion, or by fine-tuning; or the name of a network
        that comes with the package.
    out : str or Path
        File to write; see `FinetuneFiles` for what lies beside it.
    data : str, Path or None
        Pictures to train on, as in `loihi_unet.training.train.train`.
    settings : FinetuneConfig
        Everything else.
    resume : bool
        Go on from the run's last state: with the same number of threads, the result
        has the same bits as that of a run that never stopped.
    reading : Reading
        How files are understood; no white level means that of the training.

    Returns
    -------
    FinetuneResult
        Scores before and after.

    Raises
    ------
    CheckpointError
        If the source cannot be read, or there is nothing to resume, or a run of
        other settings, or there is a run already.
    DataError
        If pictures cannot be read or are too few or too small.
    ConversionError
        If the file does not say how its network was trained, or the loss is no longer
        finite.
    OverflowLayerError
        If a potential leaves 24 bits signed.
    """
    started = time.monotonic()
    out, data = Path(out), None if data is None else Path(data)
    snn = load_spiking_unet(source)
    if settings.method == "flow":
        snn = settle(snn)
        if settings.quiet:
            raise ConfigError("quiet: spikes are trained away through the steps only")
    teacher = None
    if settings.teacher is not None:
        teacher = load_teacher(settings.teacher, snn, best_device())
    task, pictures = _task(snn, settings, data, teacher, reading, where=str(source))
    white_levels = records(pictures.levels)
    if isinstance(task, ImitationTask):
        teacher = None  # it is in the targets
    run = {
        **settings.model_dump(),
        "data_sha256": fingerprint(pictures),
        "weights_sha256": snn.provenance.get("weights_sha256"),
        "T": snn.num_steps,
        "N": snn.num_thresholds,
        **({"white_levels": white_levels} if white_levels else {}),
    }
    files = FinetuneFiles(out)
    if resume:
        if not out.is_file():
            raise CheckpointError(f"{out}: no such file; nothing to resume")
        state = finetune_state.resume(files.last, run)
    elif files.last.exists():
        raise CheckpointError(
            f"{files.last}: a run is there already; resume it or name another file"
        )
    else:
        begun = snn
        if settings.prune is not None:
            shares = firing_shares(snn, task, best_device())
            begun = prune(snn, shares, settings.prune)
        state = finetune_state.begin(begun, settings.learning_rate, settings.method)
    state.keep_last = settings.quiet > 0
    fit(state, task, settings, files, run, teacher)
    return FinetuneResult(
        before=state.scores[0],
        after=state.scores[state.best],
        iteration=state.best,
        cost_before=cost(snn, task),
        cost_after=cost(load_spiking_unet(out), task),
        seconds=time.monotonic() - started,
        white_levels=white_levels,
    )


def load_teacher(source: str, snn: SpikingUNet, device: torch.device) -> Teacher:
    """Return a teacher for a network.

    Parameters
    ----------
    source : str
        ``FILE.py:FUNCTION``, or as in
        `loihi_unet.files.checkpoint.find_checkpoint`.
    snn, device
        As in `loihi_unet.finetuning.teacher.checkpoint_teacher`.

    Raises
    ------
    UserError
        If it cannot be had, or does not fit the network.
    """
    if is_module(source):
        return torch.no_grad()(module_teacher(source, snn.provenance).to(device))
    return checkpoint_teacher(source, snn, device)


def _task(
    snn: SpikingUNet,
    settings: FinetuneConfig,
    data: Path | None,
    teacher: Teacher | None,
    reading: Reading,
    *,
    where: str,
) -> tuple[Task, Pictures]:
    """What the network was trained for; where nobody knows, to be like its teacher."""
    if "train" not in snn.provenance and "module" in snn.provenance:
        if teacher is None:
            raise ConversionError(
                f"{where}: nobody knows what this network was trained for; "
                "--teacher FILE.py:FUNCTION makes it come close to a float network"
            )
        pictures = load_pictures(data, snn.picture_channels, reading.white_level)
        task = imitation(
            snn,
            pictures,
            teacher,
            patch_size=settings.patch_size,
            batch_size=settings.batch_size,
            seed=settings.seed,
        )
        return task, pictures
    config = training_config(snn, where=where).model_copy(
        update={
            "batch_size": settings.batch_size,
            "patch_size": settings.patch_size,
            "seed": settings.seed,
        }
    )
    config = parse_config(config.model_dump(), where="fine-tuning")
    white = reading.white_level or config.white_level
    reading = replace(reading, white_level=white)
    known, train_part, validation = load_training(config, data, reading)
    return make_task(config, train_part, validation), known


def training_config(snn: SpikingUNet, *, where: str) -> TrainConfig:
    """Return the settings a Spiking-UNet's U-Net was trained with.

    Parameters
    ----------
    snn : SpikingUNet
        The network.
    where : str
        Named in errors.

    Returns
    -------
    TrainConfig
        From its provenance.

    Raises
    ------
    ConversionError
        If the provenance does not hold them.
    """
    if "train" not in snn.provenance:
        raise ConversionError(f"{where}: provenance without 'train', its settings")
    return parse_config(snn.provenance["train"], where=f"{where}: provenance")


def fit(
    state: FinetuneState,
    task: Task,
    settings: FinetuneConfig,
    files: FinetuneFiles,
    run: dict[str, Any],
    teacher: Teacher | None = None,
) -> None:
    """Run the optimiser from the state's iteration to the last.

    Parameters
    ----------
    state : FinetuneState
        Changed in place.
    task : Task
        Gives batches, loss and score.
    settings : FinetuneConfig
        Length, step size and interval.
    files : FinetuneFiles
        The best network, the latest state and TensorBoard's files go there.
    run : dict[str, Any]
        Identifies the run; kept with the state and in the network's provenance.
    teacher : Teacher, optional
        What to come close to.

    Raises
    ------
    ConversionError
        If the loss is no longer finite.
    """
    console = Console(stderr=True)
    progress = Progress(console=console, disable=not console.is_terminal)
    writer = SummaryWriter(str(files.tensorboard), purge_step=state.iteration)
    with writer, progress:
        bar = progress.add_task(
            "fine-tuning", total=settings.iterations, completed=state.iteration
        )
        if state.iteration == 0:
            _validate(state, task, files, run, writer)
        while state.iteration < settings.iterations:
            loss = step(state, task, settings, teacher)
            progress.update(bar, completed=state.iteration)
            last = state.iteration == settings.iterations
            if last or state.iteration % LOG_INTERVAL == 0:
                _log_loss(writer, state, loss)
            if last or state.iteration % settings.validation_interval == 0:
                _validate(state, task, files, run, writer)
                finetune_state.save(files.last, state, run)


def step(
    state: FinetuneState,
    task: Task,
    settings: FinetuneConfig,
    teacher: Teacher | None = None,
) -> float:
    """Do one optimiser step; its size falls to 0 along half a cosine.

    Through the steps it warms up first, over `WARM_UP` of the run.

    Parameters
    ----------
    state : FinetuneState
        Changed in place.
    task : Task
        Gives the batch of this iteration and the loss.
    settings : FinetuneConfig
        Length, step size and weight of activity.
    teacher : Teacher, optional
        What to come close to.

    Returns
    -------
    float
        The loss before the step.
    """
    wave = math.cos(math.pi * state.iteration / settings.iterations)
    size = settings.learning_rate * (1 + wave) / 2
    if state.method == "steps":
        # Adam's first steps have full size whatever the gradient's, and a network
        # that is nearly right already would lose more by them than it gains later.
        warm = max(1.0, WARM_UP * settings.iterations)
        size *= min(1.0, (state.iteration + 1) / warm)
    for group in state.optimiser.param_groups:
        group["lr"] = size * group["rate"]
    x, target = (
        tensor.to(best_device())
        for tensor in task.batch(state.iteration + 1, Purpose.FINETUNING)
    )
    network: StepsUNet | IntegerUNet
    if state.method == "steps":
        many = state.snn.num_steps >= RECOMPUTE_FROM
        network = StepsUNet(state.snn, state.parameters, recompute=many)
    else:
        network = IntegerUNet(state.snn)
    output = network(x)
    loss = task.loss(output, target)
    if teacher is not None:
        loss = (1 - SHARE) * loss + SHARE * distance(output, teacher(x))
    if isinstance(network, StepsUNet) and settings.quiet:
        loss = loss + settings.quiet * network.activity
    state.optimiser.zero_grad()
    torch.autograd.backward(loss)
    state.optimiser.step()
    if state.method == "flow":
        clamp(state.snn)
    state.iteration += 1
    return loss.item()


def _log_loss(writer: SummaryWriter, state: FinetuneState, loss: float) -> None:
    if not math.isfinite(loss):
        raise ConversionError(
            f"iteration {state.iteration}: the loss is {loss}; lower the learning rate"
        )
    writer.add_scalar("finetune/loss", loss, state.iteration)


@torch.no_grad()
def _validate(
    state: FinetuneState,
    task: Task,
    files: FinetuneFiles,
    run: dict[str, Any],
    writer: SummaryWriter,
) -> None:
    """Score the network, and write it if it is the best so far."""
    network = state.network
    result = task.validate(IntegerUNet(settle(network)), best_device())
    state.scores[state.iteration] = result.score
    for name, value in result.measures.items():
        writer.add_scalar(f"validation/{name}", value, state.iteration)
    writer.add_image("validation/panel", result.panel, state.iteration)
    log.info("iteration %d: %.4f", state.iteration, result.score)
    if state.best == state.iteration:
        record = {
            **run,
            "iteration": state.iteration,
            "score": result.score,
            "score_before": state.scores[0],
            "torch_version": torch.__version__,
        }
        provenance = {**network.provenance, "finetune": record}
        # The best first: killed in between, the run redoes this to the same bits.
        save_spiking_unet(files.out, replace(network, provenance=provenance))
