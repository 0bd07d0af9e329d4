# SPDX-License-Identifier: BSD-3-Clause
"""The network of the fit table's widest rows computes what the narrow one does."""

import torch

from benchmarks import wide_unet
from loihi_unet.config import UNetConfig
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.files.checkpoint import Calibration, weights_sha256
from loihi_unet.networks.net import Net
from loihi_unet.networks.topology import topology
from loihi_unet.spiking.run_float import run


def test_widened_network_computes_the_same():
    torch.manual_seed(0)
    config = UNetConfig(base_channels=3, levels=2)
    model = Net(config)
    names = [node.name for node in topology(config)][:-1]
    calibration = Calibration(
        normalisation="connection",
        percentile=99.9,
        scales=dict.fromkeys(names, 2.0),
        data_sha256="0" * 64,
        weights_sha256=weights_sha256(model),
    )
    wide, scales = wide_unet.widened(model, calibration, 4)
    assert wide.config.base_channels == 12
    x = torch.rand(1, 1, 16, 24)
    assert torch.allclose(wide(x), model(x), atol=1e-5)
    assert (model(x) - x).abs().max() > 1e-2
    for name, parameter in wide.named_parameters():
        if parameter.ndim == 4 and name != "enc0.conv1.weight":
            ratio = parameter.var() / model.get_parameter(name).var()
            assert 0.15 < ratio < 0.4  # 1 / factor, and few samples
            # No two channels are clones.
            assert len(parameter.flatten(1).unique(dim=0)) == len(parameter)
    # Scales are still those of its activations: spike rates stay.
    narrow = run(spiking_unet(model, calibration), x).mean_payload
    found = run(spiking_unet(wide, scales), x).mean_payload
    for name, rate in narrow.items():
        assert abs(found[name] - rate) < 1e-3
