# SPDX-License-Identifier: BSD-3-Clause
"""Make a Spiking-UNet from a trained U-Net: weights and biases by their scales."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from loihi_unet.calibrate import calibrate
from loihi_unet.checkpoint import (
    Calibration,
    CheckpointRecord,
    find_checkpoint,
    read_checkpoint,
    weights_sha256,
)
from loihi_unet.config import TrainConfig
from loihi_unet.datasets import load_data
from loihi_unet.errors import ConversionError
from loihi_unet.graph import (
    INPUT,
    Connection,
    Layer,
    Normalisation,
    Scale,
    SpikingUNet,
)
from loihi_unet.net import Net
from loihi_unet.snn_file import save_spiking_unet
from loihi_unet.surrogate import POWERS
from loihi_unet.topology import Branch, Node


def convert(
    checkpoint: str | Path,
    out: Path,
    data: Path | None = None,
    *,
    percentile: float = 99.9,
    normalisation: Normalisation = "connection",
    num_steps: int = 10,
    num_thresholds: int = 4,
    base_threshold: float | None = None,
    search: bool = False,
    fewer: bool = False,
    per: Literal["channel", "layer"] = "layer",
    bits: float | None = None,
) -> SpikingUNet:
    """Convert a trained network and write the result.

    A network that was trained with spiking neurons has its T and its thresholds from
    there; `num_steps`, `num_thresholds` and all that scales is left out of account.

    Parameters
    ----------
    checkpoint : str or Path
        As in `loihi_unet.checkpoint.find_checkpoint`.
    out : Path
        The ``.safetensors`` file to write.
    data : Path or None
        Pictures to measure the scales on. If None: the scales in the checkpoint, where
        it has them for this normalisation and percentile, otherwise measured on the
        photographs that ship with scikit-image.
    percentile, normalisation, num_steps, num_thresholds
        As in `SpikingUNet`; 1 threshold is the plain integrate-and-fire neuron.
    base_threshold : float, optional
        q; if None ``2 / 2**num_thresholds``, so that a step's largest value is
        almost twice a layer's scale.
    search : bool
        Choose the thresholds by `loihi_unet.search.search_thresholds` instead, on
        `data`'s pictures.
    fewer : bool
        Let that search give layers fewer thresholds than `num_thresholds`.
    per : {"channel", "layer"}
        Whether a threshold is one feature map's, which a search finds, or all of a
        layer's.
    bits : float, optional
        N on average over all neurons, at most; the search gives more of them to the
        layers that need them. Thresholds per channel only.

    Returns
    -------
    SpikingUNet
        What was written.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be read.
    DataError
        If pictures cannot be read.
    ConversionError
        If a setting is not allowed or a layer never fires.
    """
    loaded = read_checkpoint(find_checkpoint(checkpoint))
    model, record = loaded.model, loaded.record
    if record.config.neuron.kind != "relu":
        if base_threshold is not None:
            raise ConversionError(
                f"base_threshold {base_threshold:g}: {checkpoint} was trained with "
                "its thresholds"
            )
        snn = trained_directly(model, record)
        save_spiking_unet(out, snn)
        return snn
    if search and base_threshold is not None:
        raise ConversionError(
            f"base_threshold {base_threshold:g}: not together with a search for it"
        )
    if fewer and not search:
        raise ConversionError("fewer thresholds per layer: found by a search only")
    if per == "channel" and normalisation == "layer":
        raise ConversionError(
            "normalisation 'layer': one scale for a concatenation, so thresholds per "
            "layer only"
        )
    if per == "channel" and not search:
        raise ConversionError("thresholds per channel: found by a search only")
    if bits is not None and (per != "channel" or fewer):
        raise ConversionError(
            f"bits {bits:g}: thresholds per channel needed, and no other limit (fewer)"
        )
    if per == "channel":
        pictures = load_data(record.config.task, data, record.config.model.in_channels)
        # Not at the top: the search converts, too.
        from loihi_unet.channels import convert_channels

        snn = convert_channels(
            model,
            record.config,
            pictures,
            num_steps=num_steps,
            num_thresholds=num_thresholds,
            fewer=fewer,
            bits=bits,
        )
        save_spiking_unet(out, snn)
        return snn
    calibration = record.calibration if data is None else None
    wanted = (normalisation, percentile)
    fits = calibration is not None and (
        (calibration.normalisation, calibration.percentile) == wanted
    )
    if search or not fits:
        pictures = load_data(record.config.task, data, record.config.model.in_channels)
    if calibration is None or not fits:
        calibration = calibrate(
            model,
            record.config,
            pictures,
            normalisation=normalisation,
            percentile=percentile,
        )
    q = 2 / 2**num_thresholds if base_threshold is None else base_threshold
    numbers: dict[str, int] = {}
    if search:
        # Not at the top: the search converts, too.
        from loihi_unet.search import search_thresholds

        found = search_thresholds(
            model,
            record.config,
            calibration,
            pictures,
            num_steps=num_steps,
            num_thresholds=num_thresholds,
            fewer=fewer,
        )
        calibration, q = found.calibration, found.base_threshold
        numbers = found.numbers
    snn = spiking_unet(
        model,
        calibration,
        num_steps=num_steps,
        num_thresholds=num_thresholds,
        base_threshold=q,
        thresholds=numbers,
        provenance={
            "train": record.config.model_dump(mode="json"),
            **({"search": True} if search else {}),
        },
    )
    save_spiking_unet(out, snn)
    return snn


#: Why the compartment, one potential without leak that is reset by subtraction, holds
#: no other neuron.
_NOT_HELD = {
    "if-zero": "it resets to zero",
    "lif": "it leaks",
    "rs": "it leaks and resets to zero",
    "ml": "it has three potentials, which leak and reset to zero",
}


def trained_directly(model: Net, record: CheckpointRecord) -> SpikingUNet:
    """Return a network of IF or MT neurons as it was trained: every scale is 1.

    Parameters
    ----------
    model : Net
        Trained with spiking neurons, on the CPU.
    record : CheckpointRecord
        Its settings.

    Returns
    -------
    SpikingUNet
        With the same weights, in the same unit.

    Raises
    ------
    ConversionError
        If its neuron is another one.
    """
    neuron = record.config.neuron
    if neuron.kind not in POWERS:
        raise ConversionError(
            f"neuron {neuron.kind}: {_NOT_HELD[neuron.kind]}; the compartment has one "
            "potential, no leak, and resets by subtraction"
        )
    q, number = POWERS[neuron.kind]
    scales = {node.name: 1.0 for node in model.nodes[:-1]}
    return spiking_unet(
        model,
        Calibration(
            normalisation="connection",
            percentile=100,
            scales=scales,
            data_sha256=record.data_sha256,
            weights_sha256=weights_sha256(model),
        ),
        num_steps=neuron.num_steps,
        num_thresholds=number,
        base_threshold=q,
        provenance={"train": record.config.model_dump(mode="json")},
    )


def spiking_unet(
    model: Net,
    calibration: Calibration,
    *,
    num_steps: int = 10,
    num_thresholds: int = 4,
    base_threshold: float = 0.125,
    thresholds: Mapping[str, int] | None = None,
    leads: Mapping[str, Scale] | None = None,
    provenance: dict[str, Any] | None = None,
) -> SpikingUNet:
    """Normalise a trained network, eq. (8) of arXiv 2307.10974.

    ``w_hat = w * lambda_source / lambda_layer``, ``b_hat = b / lambda_layer``, with
    lambda 1 for the picture and for the last layer. Each branch of a concatenation
    has its own lambda_source; with equal lambdas that is eq. (7).

    Parameters
    ----------
    model : Net
        The trained network, on the CPU.
    calibration : Calibration
        Its scales.
    num_steps, num_thresholds, base_threshold
        As in `SpikingUNet`.
    thresholds : Mapping[str, int], optional
        N of layers that have their own, by name.
    leads : Mapping[str, float or tuple[float, ...]], optional
        What is added to the biases of layers, in lowest thresholds and over all steps:
        half a threshold makes a neuron of one step round instead of cutting off.
    provenance : dict[str, Any], optional
        JSON values to add to the calibration's own.

    Returns
    -------
    SpikingUNet
        Float32 weights that share no memory with the model's.

    Raises
    ------
    ConversionError
        If the scales belong to other weights, or a setting is not allowed.
    """
    if calibration.weights_sha256 != weights_sha256(model):
        raise ConversionError("the scales were measured on a network of other weights")
    scales: dict[str, Scale] = {INPUT: 1.0, **calibration.scales, "out": 1.0}
    residual = model.config.residual
    layers = tuple(
        replace(
            _led(
                _layer(model, node, scales, residual=residual and node.name == "out"),
                (leads or {}).get(node.name, 0.0),
                base_threshold / num_steps,
            ),
            num_thresholds=(thresholds or {}).get(node.name),
        )
        for node in model.nodes
    )
    return SpikingUNet(
        config=model.config,
        layers=layers,
        base_threshold=base_threshold,
        num_thresholds=num_thresholds,
        num_steps=num_steps,
        normalisation=calibration.normalisation,
        percentile=calibration.percentile,
        provenance={
            **(provenance or {}),
            "data_sha256": calibration.data_sha256,
            "weights_sha256": calibration.weights_sha256,
        },
    )


def unscaled(
    model: Net, config: TrainConfig, *, num_thresholds: int = 4
) -> SpikingUNet:
    """Return a network with its own weights: every scale is 1.

    Parameters
    ----------
    model : Net
        The trained network, on the CPU.
    config : TrainConfig
        Its settings, kept as provenance.
    num_thresholds : int
        N.

    Returns
    -------
    SpikingUNet
        Of one step and base threshold 1; to look at, not to run.
    """
    ones = Calibration(
        normalisation="connection",
        percentile=100,
        scales={node.name: 1.0 for node in model.nodes[:-1]},
        data_sha256="",
        weights_sha256=weights_sha256(model),
    )
    return spiking_unet(
        model,
        ones,
        num_steps=1,
        num_thresholds=num_thresholds,
        base_threshold=1.0,
        provenance={"train": config.model_dump(mode="json")},
    )


def _led(layer: Layer, lead: Scale, unit: float) -> Layer:
    if not np.any(lead):
        return layer
    shift = torch.as_tensor(np.multiply(lead, unit), dtype=torch.float32)
    bias = torch.zeros(layer.channels) if layer.bias is None else layer.bias
    return replace(layer, bias=bias + shift)


def _layer(
    model: Net, node: Node, scales: dict[str, Scale], *, residual: bool
) -> Layer:
    scale = scales[node.name]
    if node.pools:
        # Its source has the same scale, so the mean stays a mean.
        connections = [Connection(source=node.sources[0], kind="average_pool")]
        bias: torch.Tensor | None = None
    else:
        weights, bias = model.folded(node)
        connections = [
            connection
            for branch in node.branches
            for connection in _connections(
                weights[branch.module], branch, scale, scales
            )
        ]
        bias = bias / _tensor(scale)
    if residual:
        connections.append(Connection(source=INPUT, kind="identity"))
    return Layer(
        name=node.name,
        channels=node.channels,
        connections=tuple(connections),
        bias=bias,
        scale=scale,
        spiking=node.name != "out",
    )


def _connections(
    weight: torch.Tensor, branch: Branch, scale: Scale, scales: dict[str, Scale]
) -> list[Connection]:
    # Only a convolution (input channels on axis 1) has two sources; in a U-Net they
    # have equal channels.
    slices = weight.chunk(len(branch.sources), dim=1)
    return [
        Connection(
            source=source,
            kind=branch.kind,
            weight=(part * _factor(scales[source], scale, branch)).contiguous(),
        )
        for source, part in zip(branch.sources, slices, strict=True)
    ]


def _tensor(scale: Scale) -> float | torch.Tensor:
    return torch.tensor(scale) if isinstance(scale, tuple) else scale


def _factor(source: Scale, scale: Scale, branch: Branch) -> float | torch.Tensor:
    """What weights are multiplied by: one number, or rows times columns."""
    if not isinstance(source, tuple) and not isinstance(scale, tuple):
        return source / scale
    # Rounded once, from float64.
    columns = np.reshape(source, (1, -1, 1, 1))
    rows = np.reshape(scale, (-1, 1, 1, 1))
    ratio = torch.from_numpy(columns / rows).float()
    return ratio.transpose(0, 1) if branch.kind == "conv_transpose" else ratio


def normalised(model: Net, snn: SpikingUNet) -> dict[str, torch.Tensor]:
    """Return a converted network's weights by the names of the trained network's.

    With ReLUs they give the same output; spiking neurons begin to learn with them,
    since no layer leaves their range.

    Parameters
    ----------
    model : Net
        Of the shape that `snn` was made from, without batch normalisation.
    snn : SpikingUNet
        From `spiking_unet`.

    Returns
    -------
    dict[str, Tensor]
        Entries of ``model.state_dict()``: all weights and biases.
    """
    found: dict[str, torch.Tensor] = {}
    for node in model.nodes:
        layer = snn.layer(node.name)
        weights = {c.source: c.weight for c in layer.connections}
        for branch in node.branches:
            parts = [weights[source] for source in branch.sources]
            if not node.pools:
                found[f"{branch.module}.weight"] = torch.cat(parts, dim=1)
        if layer.bias is not None:
            found[f"{node.branches[0].module}.bias"] = layer.bias
    return found
