# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from loihi_unet.errors import ConversionError
from loihi_unet.spiking.spiking_unet import Connection


def _with_layer(snn, index, **changes):
    layers = list(snn.layers)
    layers[index] = replace(layers[index], **changes)
    return replace(snn, layers=tuple(layers))


def test_a_network_is_frozen_and_found_by_layer_name(snn):
    with pytest.raises(FrozenInstanceError, match="num_steps"):
        snn.num_steps = 3
    assert snn.layer("pool1").connections[0].source == "enc1.conv2"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_threshold": 0.0}, "base_threshold 0.0: allowed are numbers above 0"),
        ({"base_threshold": float("inf")}, "base_threshold inf: allowed"),
        ({"num_thresholds": 9}, r"num_thresholds 9: allowed 1\.\.8"),
        ({"num_thresholds": 0}, r"num_thresholds 0: allowed 1\.\.8"),
        ({"num_steps": 0}, "num_steps 0: allowed 1..8388607"),
        ({"normalisation": "x"}, "normalisation 'x': allowed connection, layer"),
        ({"percentile": 0.0}, "percentile 0.0: allowed above 0, up to 100"),
        ({"percentile": 100.5}, r"percentile 100\.5: allowed above 0"),
    ],
)
def test_settings_are_checked(snn, changes, message):
    with pytest.raises(ConversionError, match=message):
        replace(snn, **changes)


@pytest.mark.parametrize(
    ("index", "changes", "message"),
    [
        (1, {"name": "enc0.conv1"}, r"layer 'enc0\.conv1': a second layer of this"),
        (0, {"name": "input"}, "layer 'input': a second layer of this name"),
        (0, {"scale": 0.0}, r"layer 'enc0\.conv1': scale 0\.0: allowed above 0"),
        (
            0,
            {"bias": torch.zeros(2)},
            r"layer 'enc0\.conv1': bias has shape \(2,\), it has 3 channels",
        ),
        (
            0,
            {"connections": (Connection(source="out", kind="identity"),)},
            r"layer 'enc0\.conv1' <- 'out': the source is not an earlier layer",
        ),
        (
            0,
            {"connections": (Connection(source="input", kind="average_pool"),)},
            "average_pool from 1 to 3 channels with weight shape None; allowed are eq",
        ),
        (
            0,
            {"connections": (Connection(source="input", kind="conv"),)},
            r"conv weight has shape None, allowed \(3, 1, kh, kw\)",
        ),
        (
            8,
            {
                "connections": (
                    Connection(
                        source="mid.conv2",
                        kind="conv_transpose",
                        weight=torch.zeros(6, 12, 3, 3),
                    ),
                )
            },
            r"weight has shape \(6, 12, 3, 3\), allowed \(12, 6, kh, kw\)",
        ),
        (
            0,
            {"spiking": False},
            r"layers \['enc0.conv1', 'out'\] do not spike; allowed",
        ),
        (-1, {"spiking": True}, r"layers \[\] do not spike; allowed is the last"),
    ],
)
def test_layers_are_checked(snn, index, changes, message):
    with pytest.raises(ConversionError, match=message):
        _with_layer(snn, index, **changes)


def test_the_last_layer_needs_weights(snn):
    last = snn.layers[-1]
    message = "layer 'out': no weights, or none but zeros"
    zeros = [
        replace(c, weight=torch.zeros_like(c.weight)) if c.weight is not None else c
        for c in last.connections
    ]
    with pytest.raises(ConversionError, match=message):
        _with_layer(snn, -1, connections=tuple(zeros))
    skip = (Connection(source="input", kind="identity"),)
    with pytest.raises(ConversionError, match=message):
        _with_layer(snn, -1, connections=skip)
