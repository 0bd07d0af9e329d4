# SPDX-License-Identifier: BSD-3-Clause
"""A Spiking-UNet as one safetensors file; the ones that ship with the package.

Tensors ``<layer>.bias`` and ``<layer>.weight.<source>``; the JSON record holds the
rest. Equal networks give equal bytes.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from export.errors import first_problem
from export.files.kind import expect
from loihi_unet.errors import CheckpointError, ConversionError
from loihi_unet.files.shipped import shipped
from loihi_unet.files.tensors import read_tensors, write_tensors
from loihi_unet.networks.config import ModelConfig
from loihi_unet.networks.topology import ConnectionKind
from loihi_unet.spiking.layer import Geometry
from loihi_unet.spiking.spiking_unet import (
    Connection,
    Frame,
    Layer,
    Normalisation,
    Quantisation,
    SpikingUNet,
)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _GeometryRecord(_Record):
    stride: tuple[PositiveInt, PositiveInt]
    padding: tuple[NonNegativeInt, NonNegativeInt]
    dilation: tuple[PositiveInt, PositiveInt]
    output_padding: tuple[NonNegativeInt, NonNegativeInt]
    groups: PositiveInt


class _ConnectionRecord(_Record):
    source: str
    kind: ConnectionKind
    geometry: _GeometryRecord | None = None


class _FrameRecord(_Record):
    size: tuple[PositiveInt, PositiveInt] | None = None
    fixed: bool = False
    constant: bool = False
    safety: PositiveInt = 1


class _QuantisationRecord(_Record):
    gain: float | tuple[float, ...]
    weight_exps: tuple[int, ...]
    bias_exp: int


class _LayerRecord(_Record):
    name: str
    channels: int
    connections: tuple[_ConnectionRecord, ...]
    scale: float | tuple[float, ...]
    spiking: bool
    quantisation: _QuantisationRecord | None = None
    num_thresholds: int | None = None


class _NetworkRecord(_Record):
    kind: Literal["spiking-unet"] = "spiking-unet"
    #: Files of version 0.1.0 name their network's shape; the layers say the same.
    config: ModelConfig | None = None
    frame: _FrameRecord = _FrameRecord()
    layers: tuple[_LayerRecord, ...]
    base_threshold: float
    num_thresholds: int
    num_steps: int
    normalisation: Normalisation
    percentile: float
    provenance: dict[str, Any]
    #: Between two integers of a tensor, or of each of its rows, where the file holds
    #: integers.
    steps: dict[str, float | tuple[float, ...]] = {}


def save_spiking_unet(path: Path, snn: SpikingUNet) -> None:
    """Write a Spiking-UNet, as a whole or not at all.

    Parameters
    ----------
    path : Path
        File to write.
    snn : SpikingUNet
        The network.
    """
    write_tensors(path, *pack(snn))


def pack(snn: SpikingUNet) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return a Spiking-UNet's tensors and its JSON record.

    Parameters
    ----------
    snn : SpikingUNet
        The network.

    Returns
    -------
    tensors : dict[str, Tensor]
        ``<layer>.bias`` and ``<layer>.weight.<source>``; the network's own.
    record : dict[str, Any]
        Everything else.
    """
    tensors: dict[str, torch.Tensor] = {}
    layers = []
    for layer in snn.layers:
        if layer.bias is not None:
            tensors[f"{layer.name}.bias"] = layer.bias
        for connection in layer.connections:
            if connection.weight is not None:
                tensors[f"{layer.name}.weight.{connection.source}"] = connection.weight
        layers.append(
            _LayerRecord(
                name=layer.name,
                channels=layer.channels,
                connections=tuple(
                    _ConnectionRecord(
                        source=item.source,
                        kind=item.kind,
                        geometry=None
                        if item.geometry is None
                        else _GeometryRecord(**asdict(item.geometry)),
                    )
                    for item in layer.connections
                ),
                scale=layer.scale,
                spiking=layer.spiking,
                quantisation=None
                if layer.quantisation is None
                else _QuantisationRecord(**asdict(layer.quantisation)),
                num_thresholds=layer.num_thresholds,
            )
        )
    record = _NetworkRecord(
        frame=_FrameRecord(**asdict(snn.frame)),
        layers=tuple(layers),
        base_threshold=snn.base_threshold,
        num_thresholds=snn.num_thresholds,
        num_steps=snn.num_steps,
        normalisation=snn.normalisation,
        percentile=snn.percentile,
        provenance=snn.provenance,
    )
    return tensors, record.model_dump(mode="json")


def published_networks() -> list[str]:
    """Return the names of the fine-tuned networks that come with the package."""
    return list(shipped("models/spiking"))


def find_spiking_unet(source: str | Path) -> Path:
    """Return the file that a path or the name of a shipped network means.

    Parameters
    ----------
    source : str or Path
        A file, or one of `published_networks`.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    CheckpointError
        If it is neither.
    """
    path = Path(source)
    if path.is_file():
        return path
    files = shipped("models/spiking")
    if str(source) in files:
        return files[str(source)]
    if path.exists():
        expect(path, "converted", error=CheckpointError)
    raise CheckpointError(
        f"{source}: no such file, nor a network that comes with the package "
        f"({', '.join(files)})"
    )


def load_spiking_unet(source: str | Path) -> SpikingUNet:
    """Read a Spiking-UNet.

    Parameters
    ----------
    source : str or Path
        As in `find_spiking_unet`; written by `save_spiking_unet` or
        `loihi_unet.finetuning.compact_file.save_compact`.

    Returns
    -------
    SpikingUNet
        On the CPU.

    Raises
    ------
    CheckpointError
        If the file cannot be read, is of another kind, or contradicts itself.
    """
    path = find_spiking_unet(source)
    return unpack(*read_tensors(path, "converted"), where=str(path))


def unpack(
    tensors: Mapping[str, torch.Tensor], raw: Mapping[str, Any], *, where: str
) -> SpikingUNet:
    """Put a Spiking-UNet together again.

    Parameters
    ----------
    tensors, raw
        From `pack`.
    where : str
        Named in errors.

    Returns
    -------
    SpikingUNet
        With these tensors.

    Raises
    ------
    CheckpointError
        If the record is of another kind, or the two contradict each other.
    """
    if raw.get("kind") != "spiking-unet":
        raise CheckpointError(
            f"{where}: holds {raw.get('kind')!r}; allowed is a converted network, "
            f"'spiking-unet'"
        )
    try:
        record = _NetworkRecord.model_validate(raw)
        tensors = _multiplied(tensors, record, where)
        return SpikingUNet(
            frame=Frame(**record.frame.model_dump()),
            layers=tuple(_layer(item, tensors) for item in record.layers),
            base_threshold=record.base_threshold,
            num_thresholds=record.num_thresholds,
            num_steps=record.num_steps,
            normalisation=record.normalisation,
            percentile=record.percentile,
            provenance=record.provenance,
        )
    except ValidationError as error:
        problem = first_problem(error)
        raise CheckpointError(f"{where}: record: {problem}") from None
    except ConversionError as error:
        raise CheckpointError(f"{where}: {error}") from None


def _multiplied(
    tensors: Mapping[str, torch.Tensor], record: _NetworkRecord, where: str
) -> dict[str, torch.Tensor]:
    """Floats as they are, integers times their steps; float32."""
    steps = record.steps
    # A row of a transposed convolution lies along axis 1.
    crossed = {
        f"{layer.name}.weight.{c.source}"
        for layer in record.layers
        for c in layer.connections
        if c.kind == "conv_transpose"
    }
    multiplied = {}
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            multiplied[name] = tensor.float()
        elif name in steps and np.isfinite(steps[name]).all():
            step = torch.tensor(steps[name], dtype=torch.float64)
            axis = 1 if name in crossed else 0
            if step.ndim and len(step) != tensor.shape[axis]:
                raise CheckpointError(
                    f"{where}: tensor {name}: {len(step)} steps for "
                    f"{tensor.shape[axis]} rows"
                )
            if step.ndim:
                step = step.reshape(
                    [-1 if i == axis else 1 for i in range(tensor.ndim)]
                )
            multiplied[name] = (tensor.double() * step).float()
        else:
            raise CheckpointError(f"{where}: tensor {name}: integers without a step")
    return multiplied


def _layer(item: _LayerRecord, tensors: Mapping[str, torch.Tensor]) -> Layer:
    return Layer(
        name=item.name,
        channels=item.channels,
        connections=tuple(
            Connection(
                source=connection.source,
                kind=connection.kind,
                geometry=None
                if connection.geometry is None
                else Geometry(**connection.geometry.model_dump()),
                weight=tensors.get(f"{item.name}.weight.{connection.source}"),
            )
            for connection in item.connections
        ),
        bias=tensors.get(f"{item.name}.bias"),
        scale=item.scale,
        spiking=item.spiking,
        quantisation=None
        if item.quantisation is None
        else Quantisation(**item.quantisation.model_dump()),
        num_thresholds=item.num_thresholds,
    )
