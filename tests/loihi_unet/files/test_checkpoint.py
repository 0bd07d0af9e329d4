# SPDX-License-Identifier: BSD-3-Clause
from pathlib import Path

import pytest
import torch

from loihi_unet.errors import CheckpointError
from loihi_unet.files.checkpoint import (
    find_checkpoint,
    load_checkpoint,
    published_models,
    read_checkpoint,
    save_checkpoint,
    weights_sha256,
)
from loihi_unet.files.tensors import read_tensors, write_tensors
from loihi_unet.networks.net import Net
from loihi_unet.training.moments import adam_moments, restore_moments


def test_a_run_and_its_best_file_are_the_same_checkpoint(trained, tiny):
    best = trained / "checkpoints" / "best.safetensors"
    assert find_checkpoint(trained) == find_checkpoint(str(best)) == best
    model, config = load_checkpoint(trained)
    assert config == tiny
    assert weights_sha256(model) == weights_sha256(load_checkpoint(best)[0])


@pytest.mark.parametrize("name", published_models())
def test_a_shipped_model_is_found_by_name_and_holds_its_scales(name):
    checkpoint = read_checkpoint(find_checkpoint(name))
    assert checkpoint.record.config.model.base_channels == 16
    calibration = checkpoint.record.calibration
    assert calibration.weights_sha256 == weights_sha256(checkpoint.model)
    assert len(calibration.scales) == {3: 20, 4: 26}[checkpoint.model.config.levels]
    # Each pool has its source's scale, and so would a layer that died in training.
    pools = checkpoint.model.config.levels
    assert len(set(calibration.scales.values())) == len(calibration.scales) - pools
    assert not checkpoint.moments


def restore(optimiser, model, checkpoint):
    restore_moments(
        optimiser,
        model.named_parameters(),
        checkpoint.moments,
        checkpoint.record.iteration,
        where=Path("last.safetensors"),
    )


def test_moments_of_another_shape_are_refused(trained):
    checkpoint = read_checkpoint(trained / "checkpoints" / "last.safetensors")
    optimiser = torch.optim.Adam(checkpoint.model.parameters())
    key = "exp_avg.enc1.conv1.weight"
    checkpoint.moments[key] = checkpoint.moments[key].transpose(0, 1)
    with pytest.raises(CheckpointError, match=r"last.*: exp_avg\.enc1.*: found shape"):
        restore(optimiser, checkpoint.model, checkpoint)


def test_the_optimiser_goes_on_where_it_was(trained):
    checkpoint = read_checkpoint(trained / "checkpoints" / "last.safetensors")
    model = checkpoint.model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters())
    restore(optimiser, model, checkpoint)
    found = adam_moments(optimiser, model.named_parameters())
    assert found.keys() == checkpoint.moments.keys()
    assert all(torch.equal(found[key], checkpoint.moments[key]) for key in found)
    weight = model.get_parameter("enc1.conv1.weight")
    state = optimiser.state[weight]
    assert state["step"].item() == 6
    assert state["exp_avg"].stride() == weight.stride()


def test_weights_alone_cannot_be_resumed(trained):
    checkpoint = read_checkpoint(trained / "checkpoints" / "best.safetensors")
    optimiser = torch.optim.Adam(checkpoint.model.parameters())
    with pytest.raises(CheckpointError, match=r"without exp_avg\.enc0\.conv1\.weight"):
        restore(optimiser, checkpoint.model, checkpoint)


def test_half_precision_weights_load_as_float32(tmp_path, trained):
    checkpoint = read_checkpoint(find_checkpoint(trained))
    half = checkpoint.model.half().state_dict()
    save_checkpoint(tmp_path / "half.safetensors", half, checkpoint.record)
    model, _ = load_checkpoint(tmp_path / "half.safetensors")
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}
    assert torch.equal(model.out.weight, half["out.weight"].float())


def test_the_weights_hash_sees_one_bit(tiny):
    model = Net(tiny.model)
    before = weights_sha256(model)
    with torch.no_grad():
        model.out.bias.view(torch.int32).bitwise_xor_(1)
    assert weights_sha256(model) != before


def test_an_unknown_source_lists_what_there_is():
    with pytest.raises(
        CheckpointError, match=r"nope: neither a checkpoint.*\(.*denoise-gray, "
    ):
        load_checkpoint("nope")


def _altered(trained, path, change):
    tensors, record = read_tensors(trained / "checkpoints" / "best.safetensors")
    change(tensors, record)
    write_tensors(path, tensors, record)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, r: r.update(kind="x"), "holds 'x'; allowed is a trained network"),
        (lambda t, r: r.pop("iteration"), "record: iteration: Field required"),
        (lambda t, r: r["config"].update(a=1), r"record: config\.a: Extra inputs"),
        (
            lambda t, r: t.pop("model.out.bias"),
            r"parameter out\.bias: found shape None, its settings ask for \(1,\)",
        ),
        (
            lambda t, r: t.update({"model.more": torch.zeros(2)}),
            r"parameter more: found shape \(2,\), its settings ask for None",
        ),
    ],
    ids=["kind", "missing", "extra", "absent tensor", "extra tensor"],
)
def test_a_checkpoint_that_contradicts_itself(trained, tmp_path, change, message):
    path = _altered(trained, tmp_path / "altered.safetensors", change)
    with pytest.raises(CheckpointError, match=rf"altered\.safetensors: {message}"):
        load_checkpoint(path)
