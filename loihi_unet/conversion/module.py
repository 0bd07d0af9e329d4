# SPDX-License-Identifier: BSD-3-Clause
"""From any torch module to a Spiking-UNet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from loihi_unet.conversion.calibrate import measure_scales
from loihi_unet.conversion.channels import convert_crops
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.conversion.trial import CROPS, Crops
from loihi_unet.data.crops import random_crops
from loihi_unet.data.pictures import Picture
from loihi_unet.errors import ConversionError, DataError
from loihi_unet.files.checkpoint import Calibration
from loihi_unet.frontend.module.fidelity import as_json
from loihi_unet.frontend.module.read import Preparation, Reading, read_module
from loihi_unet.seeds import Purpose, generator
from loihi_unet.spiking.graph import Graph
from loihi_unet.spiking.spiking_unet import SpikingUNet


@dataclass(frozen=True, kw_only=True, eq=False)
class Converted:
    """A network from elsewhere, and what it was converted with.

    Attributes
    ----------
    snn : SpikingUNet
        The result.
    reading : Reading
        Graph and table.
    x : Tensor, shape (B, C, H, W)
        The calibration pictures, pixels divided by 255.
    """

    snn: SpikingUNet
    reading: Reading
    x: Tensor


def convert(
    module: nn.Module,
    example: Tensor,
    *,
    num_steps: int = 16,
    num_thresholds: int = 6,
    allow: Iterable[str] = (),
    preparation: Preparation | None = None,
    per: Literal["channel", "layer"] = "channel",
    percentile: float = 99.9,
    fewer: bool = False,
    bits: float | None = None,
    source: str = "",
) -> Converted:
    """Convert a torch module.

    Parameters
    ----------
    module : nn.Module
        The network with its weights; it is run on the CPU, in evaluation mode.
    example : Tensor, shape (B, C, H, W), float32
        Pictures of the kind that it will see, pixels divided by 255: thresholds are
        chosen on them.
    num_steps, num_thresholds : int
        T and N.
    allow : iterable of str
        Consents, as ``max_pool2d=average``.
    preparation : Preparation, optional
        What the network expects of a pixel.
    per : {"channel", "layer"}
        Whether thresholds are searched for each feature map, or each layer takes a
        percentile of its activations.
    percentile : float
        That percentile; 100 is the maximum.
    fewer, bits
        As in `loihi_unet.conversion.convert.convert`; thresholds per channel only.
    source : str
        Where the module came from, for the provenance.

    Returns
    -------
    Converted
        The Spiking-UNet, and the fidelity of each operation.

    Raises
    ------
    ConversionError
        If an operation is refused, by the layer's name, or a setting is not allowed.
    """
    if per == "layer" and (fewer or bits is not None):
        raise ConversionError(
            "fewer thresholds: of networks with thresholds per channel"
        )
    preparation = preparation or Preparation()
    reading = read_module(module, example, allow=allow, preparation=preparation)
    graph = reading.usable()
    provenance: dict[str, Any] = {
        "module": source or type(module).__name__,
        "operations": as_json(reading.operations),
        "preparation": asdict(preparation),
        "allow": sorted(allow),
        "head": reading.head,
    }
    digest = hashlib.sha256(np.ascontiguousarray(example.numpy()).tobytes())
    if per == "channel":
        snn = convert_crops(
            Crops(graph, example),
            num_steps=num_steps,
            num_thresholds=num_thresholds,
            fewer=fewer,
            bits=bits,
            data_sha256=digest.hexdigest(),
            provenance=provenance,
        )
    else:
        snn = _per_layer(
            graph, example, num_steps, num_thresholds, percentile, provenance
        )
    return Converted(snn=snn, reading=reading, x=example)


def _per_layer(
    graph: Graph,
    example: Tensor,
    num_steps: int,
    num_thresholds: int,
    percentile: float,
    provenance: dict[str, Any],
) -> SpikingUNet:
    measured = measure_scales(graph, [example], percentile=percentile)
    calibration = Calibration(
        normalisation="connection",
        percentile=percentile,
        scales=dict(measured),
        data_sha256="",
        weights_sha256=graph.weights_sha256,
    )
    return spiking_unet(
        graph,
        calibration,
        num_steps=num_steps,
        num_thresholds=num_thresholds,
        base_threshold=1 / (2**num_thresholds - 1),
        provenance=provenance,
    )


def crops(pictures: Sequence[Picture], shape: tuple[int, int, int]) -> Tensor:
    """Cut crops of the network's size from pictures.

    Parameters
    ----------
    pictures : sequence of Picture
        Of the network's channels.
    shape : tuple of int
        (C, H, W) of the network's input.

    Returns
    -------
    Tensor, shape (B, C, H, W), float32
        Pixels divided by 255; always the same.

    Raises
    ------
    DataError
        If every picture is smaller than the input.
    """
    import torch

    side = max(shape[1:])
    large = [p for p in pictures if min(p.pixels.shape[1:]) >= side]
    if not large:
        raise DataError(f"no picture of at least {side}x{side} pixels")
    random = generator(0, Purpose.CALIBRATION, 0)
    drawn = random_crops(large, CROPS, side, random, turn=False)
    levels = drawn[:, :, : shape[1], : shape[2]].astype(np.float32)
    return torch.from_numpy(levels / np.float32(255))


def parse_shape(text: str) -> tuple[int, int, int]:
    """Return the (C, H, W) that a text like ``3x64x64`` means.

    Raises
    ------
    ConversionError
        If it is no such text.
    """
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise ConversionError(f"--input {text}: CxHxW needed, as 3x64x64")
    channels, height, width = (int(part) for part in parts)
    return channels, height, width
