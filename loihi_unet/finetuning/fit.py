# SPDX-License-Identifier: BSD-3-Clause
"""The optimiser of fine-tuning: its step, and what the common loop does with it."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from export.theta import settle
from loihi_unet.errors import ConversionError
from loihi_unet.files.spiking_file import save_spiking_unet
from loihi_unet.finetuning import state as finetune_state
from loihi_unet.finetuning.config import FinetuneConfig, FinetuneFiles
from loihi_unet.finetuning.flow import IntegerUNet
from loihi_unet.finetuning.state import FinetuneState, clamp
from loihi_unet.finetuning.steps import StepsUNet
from loihi_unet.finetuning.teacher import SHARE, Teacher, distance
from loihi_unet.seeds import Purpose
from loihi_unet.spiking.spiking_unet import SpikingUNet
from loihi_unet.tasks.make import Task
from loihi_unet.tasks.task import Validation
from loihi_unet.training.loop import Plan, run_loop, step_size
from loihi_unet.training.parallel import best_device

#: Iterations between two values of the loss in TensorBoard.
LOG_INTERVAL = 10
#: Share of a run through the steps in which the step size grows.
WARM_UP = 0.1
#: T from which a backward pass recomputes what it needs, to take less memory.
RECOMPUTE_FROM = 8


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
    plan = Plan(
        title="fine-tuning",
        iterations=settings.iterations,
        log_interval=LOG_INTERVAL,
        validation_interval=settings.validation_interval,
        tensorboard=files.tensorboard,
        score_start=True,
    )
    run_loop(state, _Finetuning(state, task, settings, files, run, teacher), plan)


def step(
    state: FinetuneState,
    task: Task,
    settings: FinetuneConfig,
    teacher: Teacher | None = None,
) -> torch.Tensor:
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
    Tensor, shape ()
        The loss before the step.
    """
    # Adam's first steps have full size whatever the gradient's, and a network
    # that is nearly right already would lose more by them than it gains later.
    warm_up = WARM_UP * settings.iterations if state.method == "steps" else 1.0
    size = step_size(
        state.iteration,
        settings.iterations,
        high=settings.learning_rate,
        warm_up=max(1.0, warm_up),
    )
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
    return loss.detach()


def score(snn: SpikingUNet, task: Task) -> float:
    """Score of the task's held-out pictures by the integer network."""
    return _validated(snn, task).score


@torch.no_grad()
def _validated(snn: SpikingUNet, task: Task) -> Validation:
    return task.validate(IntegerUNet(settle(snn)), best_device())


@dataclass
class _Finetuning:
    """What `run_loop` does here."""

    state: FinetuneState
    task: Task
    settings: FinetuneConfig
    files: FinetuneFiles
    run: dict[str, Any]
    teacher: Teacher | None

    def step(self) -> torch.Tensor:
        return step(self.state, self.task, self.settings, self.teacher)

    def curves(self, loss: float) -> dict[str, float]:
        if not math.isfinite(loss):
            raise ConversionError(
                f"iteration {self.state.iteration}: the loss is {loss}; lower the "
                "learning rate"
            )
        return {"finetune/loss": loss}

    def validate(self) -> Validation:
        return _validated(self.state.network, self.task)

    @torch.no_grad()
    def save(self, result: Validation) -> None:
        state = self.state
        state.scores[state.iteration] = result.score
        if state.best == state.iteration:
            _save_network(state, self.files, self.run)
        if state.iteration:  # nothing is lost by beginning again from the start
            finetune_state.save(self.files.last, state, self.run)


def _save_network(
    state: FinetuneState, files: FinetuneFiles, run: dict[str, Any]
) -> None:
    network = state.network
    record = {
        **run,
        "iteration": state.iteration,
        "score": state.scores[state.iteration],
        "score_before": state.scores[0],
        "torch_version": torch.__version__,
    }
    provenance = {**network.provenance, "finetune": record}
    # Before the state: killed in between, the run redoes this to the same bits.
    save_spiking_unet(files.out, replace(network, provenance=provenance))
