# SPDX-License-Identifier: BSD-3-Clause
"""A training run's state and a trained network as safetensors files.

Tensors ``model.<parameter>`` are the weights, ``exp_avg.<parameter>`` and
``exp_avg_sq.<parameter>`` Adam's two moments (only in ``last.safetensors``). The JSON
record holds the settings and what else a run needs to go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from export.errors import first_problem
from export.files.kind import expect
from loihi_unet.config import TrainConfig
from loihi_unet.errors import CheckpointError
from loihi_unet.files.shipped import shipped
from loihi_unet.files.tensors import read_tensors, write_tensors
from loihi_unet.networks.net import Net
from loihi_unet.networks.weights import weights_sha256 as weights_sha256
from loihi_unet.spiking.spiking_unet import Normalisation

#: Adam's state tensors of a parameter, besides its step count.
MOMENTS = ("exp_avg", "exp_avg_sq")


class Calibration(BaseModel):
    """Scales measured on pictures, good for the very weights they belong to.

    Attributes
    ----------
    normalisation : str
        ``"connection"`` or ``"layer"``.
    percentile : float
        Of a layer's activations.
    scales : dict[str, float]
        Layer name to lambda.
    data_sha256 : str
        `loihi_unet.data.sequence.fingerprint` of the pictures.
    weights_sha256 : str
        `weights_sha256` of the network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalisation: Normalisation
    percentile: float
    scales: dict[str, float]
    data_sha256: str
    weights_sha256: str


class CheckpointRecord(BaseModel):
    """The JSON part of a checkpoint.

    Attributes
    ----------
    kind : str
        Always ``"unet"``.
    config : TrainConfig
        Effective settings of the run.
    iteration : int
        Optimiser steps done.
    measures : dict[str, float]
        Validation scores at that iteration.
    best_score : float
        Best validation score of the run so far.
    data_sha256 : str
        `loihi_unet.data.sequence.fingerprint` of all pictures of the run.
    torch_version : str
        The one that trained it.
    init_sha256 : str or None
        `weights_sha256` of the network the run began with; None: random weights.
    calibration : Calibration or None
        Only in published models.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = "unet"
    config: TrainConfig
    iteration: int
    measures: dict[str, float]
    best_score: float
    data_sha256: str
    torch_version: str
    init_sha256: str | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A network, its record, and the optimiser's tensors where there are any."""

    model: Net
    record: CheckpointRecord
    moments: dict[str, torch.Tensor]


def published_models() -> list[str]:
    """Return the names of the trained models that come with the package."""
    return list(shipped("models"))


def find_checkpoint(source: str | Path) -> Path:
    """Return the checkpoint file that a path or a name means.

    Parameters
    ----------
    source : str or Path
        A file; a run's folder, for its best checkpoint; or one of `published_models`.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    CheckpointError
        If it is none of these.
    """
    path = Path(source)
    if path.is_file():
        return path
    best = path / "checkpoints" / "best.safetensors"
    if best.is_file():
        return best
    files = shipped("models")
    if str(source) in files:
        return files[str(source)]
    if (path / "checkpoints").is_dir():
        raise CheckpointError(f"{best}: missing, the run has not been scored yet")
    if path.exists():
        expect(path, "checkpoint", error=CheckpointError)
    raise CheckpointError(
        f"{source}: neither a checkpoint, a run's folder, nor a model that comes with "
        f"the package ({', '.join(files) or 'none'})"
    )


def save_checkpoint(
    path: Path,
    weights: Mapping[str, torch.Tensor],
    record: CheckpointRecord,
    moments: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write a checkpoint, as a whole or not at all.

    Parameters
    ----------
    path : Path
        File to write.
    weights : Mapping[str, Tensor]
        The network's `loihi_unet.networks.net.Net.tensors`.
    record : CheckpointRecord
        Its settings and scores.
    moments : Mapping[str, Tensor], optional
        `adam_moments`, where training may have to go on from here.
    """
    tensors = {f"model.{name}": value for name, value in weights.items()}
    write_tensors(path, {**tensors, **(moments or {})}, record.model_dump(mode="json"))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
        A file that `save_checkpoint` wrote.

    Returns
    -------
    Checkpoint
        The network in float32 on the CPU.

    Raises
    ------
    CheckpointError
        If it is no checkpoint, or its tensors do not fit its settings.
    """
    tensors, raw = read_tensors(path, "checkpoint")
    if raw.get("kind") != "unet":
        raise CheckpointError(
            f"{path}: holds {raw.get('kind')!r}; allowed is a trained network, 'unet'"
        )
    try:
        record = CheckpointRecord.model_validate(raw)
    except ValidationError as error:
        problem = first_problem(error)
        raise CheckpointError(f"{path}: record: {problem}") from None
    try:
        # Without memory until the file is seen to hold all of its weights.
        with torch.device("meta"):
            expected = Net(record.config.model, record.config.neuron).tensors()
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(f"{path}: settings of no U-Net: {error}") from error
    weights = {
        name.removeprefix("model."): value.float()
        for name, value in tensors.items()
        if name.startswith("model.")
    }
    _check_shapes(path, expected, weights)
    model = Net(record.config.model, record.config.neuron)
    model.load_state_dict(weights)
    model.eval()
    moments = {
        name: value
        for name, value in tensors.items()
        if name.partition(".")[0] in MOMENTS
    }
    return Checkpoint(model=model, record=record, moments=moments)


def _check_shapes(
    path: Path, model: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]
) -> None:
    expected = {name: tuple(value.shape) for name, value in model.items()}
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted(expected.keys() | shapes.keys()):
        if expected.get(name) != shapes.get(name):
            raise CheckpointError(
                f"{path}: parameter {name}: found shape {shapes.get(name)}, its "
                f"settings ask for {expected.get(name)}"
            )


def load_checkpoint(source: str | Path) -> tuple[Net, TrainConfig]:
    """Read a trained network.

    Parameters
    ----------
    source : str or Path
        As in `find_checkpoint`.

    Returns
    -------
    model : Net
        On the CPU, float32.
    config : TrainConfig
        The settings it was trained with.

    Raises
    ------
    CheckpointError
        If there is no such checkpoint or it cannot be read.
    """
    checkpoint = read_checkpoint(find_checkpoint(source))
    return checkpoint.model, checkpoint.record.config
