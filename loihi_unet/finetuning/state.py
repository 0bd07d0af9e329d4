# SPDX-License-Identifier: BSD-3-Clause
"""A fine-tuning run's state, and the file it is taken up from again.

``last.safetensors``: the network's tensors under ``snn.``, what the steps method trains
under ``trained.``, Adam's moments under ``exp_avg.`` and ``exp_avg_sq.``, and in the
JSON record everything else.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from export.facts import BIAS_MANT, WEIGHT_LEVEL
from export.units import gains, payload_unit, per_row, threshold_unit
from loihi_unet.errors import CheckpointError
from loihi_unet.files.spiking_file import pack, unpack
from loihi_unet.files.tensors import read_tensors, write_tensors
from loihi_unet.finetuning.config import Method
from loihi_unet.finetuning.folding import fold, unfold
from loihi_unet.finetuning.steps import THRESHOLD_RATE
from loihi_unet.spiking.spiking_unet import SpikingUNet
from loihi_unet.training.moments import adam_moments, check_same_run, restore_moments

KIND = "fine-tuning"
#: Settings that runs had before there was a choice.
BEFORE = {"method": "flow", "teacher": None, "prune": None, "quiet": 0.0}


@dataclass(kw_only=True)
class FinetuneState:
    """What changes during a run.

    Attributes
    ----------
    snn : SpikingUNet
        By flow: settled; its weights and biases are what the optimiser changes.
        Through the steps: the network at the start.
    parameters : dict[str, Tensor]
        What the optimiser changes: by flow `snn`'s own tensors, through the steps
        those of `loihi_unet.finetuning.steps.unfold`.
    optimiser : torch.optim.Adam
        Over these; each group has a ``rate``, its step size per that of the run.
    iteration : int
        Optimiser steps done.
    scores : dict[int, float]
        Of the held-out pictures, by iteration.
    keep_last : bool
        Whether the last iteration counts as the best: one that sends less is wanted,
        which no score says.
    """

    snn: SpikingUNet
    method: Method
    parameters: dict[str, torch.Tensor]
    optimiser: torch.optim.Adam
    iteration: int = 0
    scores: dict[int, float] = field(default_factory=dict)
    keep_last: bool = False

    @property
    def best(self) -> int:
        """Iteration of the highest score, the first of equals; or the last one."""
        if self.keep_last:
            return max(self.scores)
        return max(self.scores, key=lambda iteration: self.scores[iteration])

    @property
    def network(self) -> SpikingUNet:
        """The network as it is now, with tensors of its own."""
        if self.method == "steps":
            return fold(self.snn, self.parameters)
        return copy(self.snn, trainable=False)


def begin(
    snn: SpikingUNet,
    learning_rate: float,
    method: Method = "flow",
    trained: dict[str, torch.Tensor] | None = None,
) -> FinetuneState:
    """Start a run.

    Parameters
    ----------
    snn : SpikingUNet
        Not changed; settled for ``"flow"``.
    learning_rate : float
        Adam's.
    method : {"flow", "steps"}
        What gradients flow through.
    trained : dict[str, Tensor], optional
        Parameters to go on with, of the steps method.

    Returns
    -------
    FinetuneState
        At iteration 0, with a copy.
    """
    if method == "steps":
        parameters = unfold(snn)
        for name, value in (trained or {}).items():
            parameters[name] = value.reshape(parameters[name].shape).requires_grad_()
    else:
        snn = copy(snn, trainable=True)
        parameters = named_parameters(snn)
    names = list(parameters)
    groups = [
        {"params": [parameters[name] for name in names if wanted(name)], "rate": rate}
        for wanted, rate in (
            (lambda name: not name.endswith(".threshold"), 1.0),
            (lambda name: name.endswith(".threshold"), THRESHOLD_RATE),
        )
    ]
    return FinetuneState(
        snn=snn,
        method=method,
        parameters=parameters,
        optimiser=torch.optim.Adam(
            [group for group in groups if group["params"]], lr=learning_rate
        ),
    )


def save(path: Path, state: FinetuneState, run: dict[str, Any]) -> None:
    """Write the state, as a whole or not at all.

    Parameters
    ----------
    path : Path
        File to write.
    state : FinetuneState
        After at least one step.
    run : dict[str, Any]
        What `resume` is to find unchanged; JSON values.
    """
    tensors, network = pack(state.snn)
    moments = adam_moments(state.optimiser, state.parameters.items())
    record = {
        "kind": KIND,
        "network": network,
        "run": run,
        "iteration": state.iteration,
        "scores": {str(key): score for key, score in state.scores.items()},
    }
    packed = {f"snn.{name}": tensor for name, tensor in tensors.items()}
    if state.method == "steps":
        packed |= {f"trained.{name}": value for name, value in state.parameters.items()}
    write_tensors(path, {**packed, **moments}, record)


def resume(path: Path, run: dict[str, Any]) -> FinetuneState:
    """Take up a run where its file was written.

    Parameters
    ----------
    path : Path
        Written by `save`.
    run : dict[str, Any]
        Must be what the run began with.

    Returns
    -------
    FinetuneState
        As it was then.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or belongs to another run.
    """
    tensors, record = read_tensors(path, "finetuning")
    if record.get("kind") != KIND:
        raise CheckpointError(
            f"{path}: holds {record.get('kind')!r}; allowed is {KIND!r}"
        )
    try:
        theirs = {**BEFORE, **record["run"]}
        check_same_run(path, theirs, run)
        weights, trained = (
            {
                name.removeprefix(prefix): tensor
                for name, tensor in tensors.items()
                if name.startswith(prefix)
            }
            for prefix in ("snn.", "trained.")
        )
        snn = unpack(weights, record["network"], where=str(path))
        state = begin(snn, run["learning_rate"], run["method"], trained)
        state.iteration = int(record["iteration"])
        state.scores = {int(k): float(v) for k, v in record["scores"].items()}
        restore_moments(
            state.optimiser,
            state.parameters.items(),
            tensors,
            state.iteration,
            where=path,
        )
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path}: incomplete or changed ({type(error).__name__}: {error})"
        ) from error
    return state


def named_parameters(snn: SpikingUNet) -> dict[str, torch.Tensor]:
    """Return weights and biases by the names they have in a file."""
    return pack(snn)[0]


def copy(snn: SpikingUNet, *, trainable: bool) -> SpikingUNet:
    """Return a network with tensors of its own.

    Parameters
    ----------
    snn : SpikingUNet
        Not changed.
    trainable : bool
        Whether the copy's tensors are to receive gradients.

    Returns
    -------
    SpikingUNet
        Of equal values.
    """

    def own(tensor: torch.Tensor | None) -> torch.Tensor | None:
        if tensor is None:
            return None
        return tensor.detach().clone().requires_grad_(trainable)

    layers = tuple(
        replace(
            layer,
            bias=own(layer.bias),
            connections=tuple(
                replace(c, weight=own(c.weight)) for c in layer.connections
            ),
        )
        for layer in snn.layers
    )
    return replace(snn, layers=layers)


@torch.no_grad()
def clamp(snn: SpikingUNet) -> None:
    """Keep weights and biases within what their exponents can express.

    Parameters
    ----------
    snn : SpikingUNet
        Settled; changed in place.
    """
    for layer in snn.layers:
        quantisation = layer.quantisation
        assert quantisation is not None  # a run begins with a settled network
        gain = torch.from_numpy(gains(quantisation))
        for c, exponent in zip(
            layer.connections, quantisation.weight_exps, strict=True
        ):
            if c.weight is not None:
                unit = payload_unit(layer, c.source, snn.base_threshold) * gain
                limit = 2 * WEIGHT_LEVEL.maximum * 2**exponent / per_row(unit, c)
                c.weight.copy_(c.weight.clamp(-limit.to(c.weight), limit.to(c.weight)))
        if layer.bias is not None:
            unit = gain / threshold_unit(layer, snn.base_threshold)
            limit = (BIAS_MANT.maximum * 2**quantisation.bias_exp / unit).to(layer.bias)
            layer.bias.copy_(layer.bias.clamp(-limit, limit))
