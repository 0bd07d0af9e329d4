# SPDX-License-Identifier: BSD-3-Clause
"""Small files of integers: the same network, a quarter of the size."""

import numpy as np
import pytest
import torch

from export.lowering import lower
from loihi_unet.conversion.convert import convert
from loihi_unet.errors import CheckpointError, ConversionError
from loihi_unet.files.checkpoint import load_checkpoint, published_models
from loihi_unet.files.spiking_file import load_spiking_unet, published_networks
from loihi_unet.files.tensors import read_tensors, write_tensors
from loihi_unet.finetuning.compact_file import save_compact


def test_the_compact_file_holds_the_same_integers(tmp_path, tuned):
    snn = load_spiking_unet(tuned)
    path = tmp_path / "compact.safetensors"
    save_compact(path, snn)
    before, after = lower(snn, 16, 16), lower(load_spiking_unet(path), 16, 16)
    for old, new in zip(before.layers, after.layers, strict=True):
        assert np.array_equal(
            old.compartment.bias.effective(), new.compartment.bias.effective()
        )
        for a, b in zip(old.connections, new.connections, strict=True):
            assert a.weight_exp == b.weight_exp
            if hasattr(a.synapse, "weight"):
                assert np.array_equal(a.synapse.weight, b.synapse.weight)
    assert before.sha256 == after.sha256
    tensors, record = read_tensors(path)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.int8, torch.int16}
    record["steps"].pop("out.bias")
    write_tensors(path, tensors, record)
    with pytest.raises(CheckpointError, match=r"out\.bias: integers without a step"):
        load_spiking_unet(path)


def test_a_network_that_is_not_fine_tuned(tmp_path, trained, folder):
    snn = convert(trained, tmp_path / "snn.safetensors", folder)
    with pytest.raises(ConversionError, match=r"'enc0\.conv1': not fine-tuned"):
        save_compact(tmp_path / "compact.safetensors", snn)


@pytest.mark.parametrize("name", published_networks())
def test_every_shipped_network_belongs_to_a_shipped_model(name):
    assert name in published_models()
    snn = load_spiking_unet(name)
    model = load_checkpoint(name)[0]
    assert snn.config == model.config
    side = 2**snn.config.levels
    assert lower(snn, side, side).provenance["finetune"]["score"] > 0


def test_no_such_network():
    with pytest.raises(CheckpointError, match="nowhere: no such file, nor a network"):
        load_spiking_unet("nowhere")
