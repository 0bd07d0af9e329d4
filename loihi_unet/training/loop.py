# SPDX-License-Identifier: BSD-3-Clause
"""The one loop of training and of fine-tuning.

What is common: a progress bar, TensorBoard's curves, when a loss is logged and when the
network is scored and saved. What differs is a `Job`.
"""

import contextlib
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from rich.console import Console
from rich.progress import Progress
from torch.utils.tensorboard.writer import SummaryWriter

from loihi_unet.tasks.task import Validation
from loihi_unet.training.parallel import is_first

log = logging.getLogger(__name__)


class Counted(Protocol):
    """A run's state, as far as the loop looks at it."""

    iteration: int


class Job(Protocol):
    """What the loop does again and again."""

    def step(self) -> torch.Tensor:
        """Do one optimiser step, count it, and return the loss before it."""

    def curves(self, loss: float) -> dict[str, float]:
        """Return what to log by its name; raise if the loss is no longer finite."""

    def validate(self) -> Validation:
        """Score the network on held-out pictures."""

    def save(self, result: Validation) -> None:
        """Write what the run is taken up from again, and the best network."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """When the loop does what.

    Attributes
    ----------
    title : str
        Beside the progress bar until there is a score.
    iterations : int
        Where the run ends.
    log_interval, validation_interval : int
        Iterations between two losses, and between two scores; the last iteration has
        both.
    tensorboard : Path
        Folder of the curves.
    score_start : bool
        Score and save before the first step, too.
    """

    title: str
    iterations: int
    log_interval: int
    validation_interval: int
    tensorboard: Path
    score_start: bool = False

    def due(self, interval: int, iteration: int) -> bool:
        """Whether something is due after so many iterations."""
        return iteration % interval == 0 or iteration == self.iterations


def run_loop(state: Counted, job: Job, plan: Plan) -> None:
    """Run a job from its state's iteration to the last.

    Parameters
    ----------
    state : Counted
        Counted up by the job's steps.
    job : Job
        What to do.
    plan : Plan
        When to do it.
    """
    console = Console(stderr=True)
    shown = is_first() and console.is_terminal
    progress = Progress(console=console, disable=not shown)
    with _writer(plan.tensorboard, state.iteration) as writer, progress:
        bar = progress.add_task(
            plan.title, total=plan.iterations, completed=state.iteration
        )
        if plan.score_start and state.iteration == 0 and writer is not None:
            _score(state, job, writer)
        while state.iteration < plan.iterations:
            loss = job.step()
            progress.update(bar, completed=state.iteration)
            validate = plan.due(plan.validation_interval, state.iteration)
            if validate or plan.due(plan.log_interval, state.iteration):
                curves = job.curves(loss.item())
                if writer is not None:
                    _add_scalars(writer, curves, state.iteration)
            if validate and writer is not None:
                score = _score(state, job, writer)
                progress.update(bar, description=f"{score:.2f}")


@contextlib.contextmanager
def _writer(folder: Path, iteration: int) -> Iterator[SummaryWriter | None]:
    """Yield TensorBoard's writer; None in a process that does not write."""
    if not is_first():
        yield None
        return
    # purge_step: hide what a killed run logged after its last checkpoint.
    with SummaryWriter(str(folder), purge_step=iteration) as writer:
        yield writer


def _add_scalars(
    writer: SummaryWriter, curves: dict[str, float], iteration: int
) -> None:
    for name, value in curves.items():
        writer.add_scalar(name, value, iteration)


def _score(state: Counted, job: Job, writer: SummaryWriter) -> float:
    """Score the network, write the score down, and save the run."""
    result, iteration = job.validate(), state.iteration
    measures = result.measures
    named = {f"validation/{name}": value for name, value in measures.items()}
    _add_scalars(writer, named, iteration)
    writer.add_image("validation/panel", result.panel, iteration)
    text = ", ".join(f"{name} {value:.4f}" for name, value in measures.items())
    log.info("iteration %d: %s", iteration, text)
    job.save(result)
    return result.score


def step_size(
    iteration: int, iterations: int, *, high: float, low: float = 0.0, warm_up: float
) -> float:
    """Return the step size of an iteration: warm-up times half a cosine.

    Parameters
    ----------
    iteration : int
        0 .. iterations - 1.
    iterations : int
        Length of the run.
    high, low : float
        At 0, where there is no warm-up, and towards the end.
    warm_up : float
        Iterations in which the step size grows, 1 or more; 1 is no warm-up.
    """
    wave = math.cos(math.pi * iteration / iterations)
    return (low + (high - low) * (1 + wave) / 2) * min(1.0, (iteration + 1) / warm_up)
