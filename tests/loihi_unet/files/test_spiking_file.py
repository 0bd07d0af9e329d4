# SPDX-License-Identifier: BSD-3-Clause
import pytest
import torch

from loihi_unet.errors import CheckpointError
from loihi_unet.files.spiking_file import load_spiking_unet, save_spiking_unet
from loihi_unet.files.tensors import read_tensors, write_tensors
from loihi_unet.spiking.run_float import run


def test_a_network_reads_back_equal(tmp_path, snn):
    path = tmp_path / "snn.safetensors"
    save_spiking_unet(path, snn)
    read = load_spiking_unet(path)
    for name in ("frame", "base_threshold", "num_thresholds", "num_steps"):
        assert getattr(read, name) == getattr(snn, name)
    for name in ("normalisation", "percentile", "provenance"):
        assert getattr(read, name) == getattr(snn, name)
    x = torch.rand(1, 1, 8, 12)
    assert torch.equal(run(read, x).output, run(snn, x).output)
    save_spiking_unet(tmp_path / "again.safetensors", read)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def _altered(path, snn, change):
    save_spiking_unet(path, snn)
    tensors, record = read_tensors(path)
    change(tensors, record)
    write_tensors(path, tensors, record)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, r: r.update(kind="u"), "holds 'u'; allowed is a converted"),
        (lambda t, r: r.pop("layers"), "record: layers: Field required"),
        (
            lambda t, r: r["layers"][0]["connections"][0].update(kind="dense"),
            r"record: layers\.0\.connections\.0\.kind: Input should be 'conv', ",
        ),
        (lambda t, r: r.update(num_steps=0), r"num_steps 0: allowed 1\.\.8388607"),
        (lambda t, r: r.update(num_steps=10**400), r"num_steps 10+: allowed 1\.\."),
        (
            lambda t, r: r["layers"][0].update(num_thresholds=5),
            r"layer 'enc0\.conv1': num_thresholds 5: allowed 1\.\.4, the network's",
        ),
        (
            lambda t, r: t.pop("dec0.conv1.weight.up0"),
            r"layer 'dec0\.conv1' <- 'up0': conv weight has shape None, allowed \(3",
        ),
    ],
    ids=["kind", "missing", "literal", "range", "steps", "thresholds", "tensor"],
)
def test_a_file_that_contradicts_itself(tmp_path, snn, change, message):
    path = tmp_path / "altered.safetensors"
    _altered(path, snn, change)
    with pytest.raises(CheckpointError, match=rf"altered\.safetensors: {message}") as e:
        load_spiking_unet(path)
    assert "\n" not in str(e.value)


def test_a_checkpoint_is_no_converted_network(trained):
    with pytest.raises(CheckpointError, match=r"found, a converted network"):
        load_spiking_unet(trained / "checkpoints" / "best.safetensors")
