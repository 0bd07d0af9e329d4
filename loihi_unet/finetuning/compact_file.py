# SPDX-License-Identifier: BSD-3-Clause
"""A fine-tuned Spiking-UNet in as few bytes as its integers need.

Weights as int8 levels and biases as int16 mantissas, each with the float step between
two of them: a quarter of the float32 file. `snn_file.unpack` multiplies them out;
what comes out is quantised to the same integers again.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.lowering import lower
from export.synapse import Conv, ConvTranspose
from export.theta import settle
from export.units import FloatArray, gains, payload_unit, threshold_unit
from loihi_unet.errors import ConversionError
from loihi_unet.files.spiking_file import pack
from loihi_unet.files.tensors import write_tensors
from loihi_unet.spiking.spiking_unet import SpikingUNet


def save_compact(path: Path, snn: SpikingUNet) -> None:
    """Write a network as its integers, as a whole or not at all.

    Parameters
    ----------
    path : Path
        File to write; `load_spiking_unet` reads it.
    snn : SpikingUNet
        Fine-tuned: every layer has a `Quantisation`.

    Raises
    ------
    ConversionError
        If a layer has none.
    """
    write_tensors(path, *compact(snn))


def compact(snn: SpikingUNet) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return a network's integers and its record with the steps between them.

    Parameters
    ----------
    snn : SpikingUNet
        Fine-tuned.

    Returns
    -------
    tensors : dict[str, Tensor]
        Names as in `pack`; int8 levels of weights, int16 mantissas of biases.
    record : dict[str, Any]
        As in `pack`, with ``steps``.

    Raises
    ------
    ConversionError
        If a layer has no `Quantisation`: it is not fine-tuned.
    """
    if "finetune" in snn.provenance:
        # Through the steps, it is from the floats alone that the integers follow.
        snn = settle(snn)
    network = lower(snn, *snn.example_size)
    _, record = pack(snn)
    tensors: dict[str, torch.Tensor] = {}
    steps: dict[str, float | list[float]] = {}
    for layer, integers in zip(snn.layers, network.layers, strict=True):
        quantisation = layer.quantisation
        if quantisation is None:
            raise ConversionError(f"layer {layer.name!r}: not fine-tuned")
        gain = gains(quantisation)
        for c, integer in zip(layer.connections, integers.connections, strict=True):
            if c.weight is None:
                continue
            assert isinstance(integer.synapse, Conv | ConvTranspose)
            name = f"{layer.name}.weight.{c.source}"
            unit = gain * payload_unit(layer, c.source, snn.base_threshold)
            # A mantissa is twice its level.
            levels = (integer.synapse.weight // 2).astype(np.int8)
            tensors[name] = torch.from_numpy(levels)
            steps[name] = _plain(2 * 2**integer.weight_exp / unit)
        if layer.bias is not None:
            bias = integers.compartment.bias
            unit = gain / threshold_unit(layer, snn.base_threshold)
            tensors[f"{layer.name}.bias"] = torch.from_numpy(bias.mant.astype(np.int16))
            steps[f"{layer.name}.bias"] = _plain(2**bias.exp / unit)
    return tensors, {**record, "steps": steps}


def _plain(values: FloatArray) -> float | list[float]:
    """One number, or one for each row."""
    numbers: list[float] = values.tolist()
    return numbers if len(numbers) > 1 else numbers[0]
