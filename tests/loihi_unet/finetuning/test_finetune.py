# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tuning sees, and leaves, the very integers that are exported."""

import dataclasses
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from export.images import decode
from export.lowering import lower
from export.netx import read_network, write_network
from export.theta import settle
from loihi_unet.conversion.convert import convert
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.data.pictures import load_pictures
from loihi_unet.errors import CheckpointError, ConfigError, ConversionError
from loihi_unet.files.spiking_file import load_spiking_unet, save_spiking_unet
from loihi_unet.files.tensors import read_tensors, write_tensors
from loihi_unet.finetuning import finetune as finetuning
from loihi_unet.finetuning.config import FinetuneConfig, FinetuneFiles
from loihi_unet.finetuning.finetune import finetune
from loihi_unet.finetuning.flow import IntegerUNet
from loihi_unet.tasks.denoise import noisy_picture
from sim.backend import OverflowLayerError, create

SETTINGS = FinetuneConfig(
    method="flow",
    iterations=4,
    batch_size=2,
    patch_size=16,
    learning_rate=1e-2,
    validation_interval=2,
)


@pytest.fixture(scope="module")
def converted(tmp_path_factory, trained, folder):
    path = tmp_path_factory.mktemp("snn") / "snn.safetensors"
    convert(trained, path, folder, num_steps=4, base_threshold=0.25)
    return path


@pytest.fixture(scope="module")
def uneven(tmp_path_factory, trained, folder):
    """Layers with fewer thresholds than the network."""
    path = tmp_path_factory.mktemp("snn") / "uneven.safetensors"
    settings = {"num_steps": 4, "num_thresholds": 8}
    snn = convert(trained, path, folder, search=True, fewer=True, **settings)
    assert len({snn.thresholds(layer) for layer in snn.layers[:-1]}) > 1
    return path


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, converted, folder):
    path = tmp_path_factory.mktemp("tuned") / "tuned.safetensors"
    finetune(converted, path, folder, SETTINGS)
    return path


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch):
    # There the same run has the same bits.
    monkeypatch.setattr(finetuning, "best_device", lambda: torch.device("cpu"))


@pytest.fixture(scope="module")
def noisy(folder):
    picture = load_pictures(folder, 1)[4]
    return noisy_picture(picture, 0, sigma=25, seed=0)[:, :36, :32]


@pytest.fixture(scope="module")
def snn(model, calibration, tiny):
    provenance = {"train": tiny.model_dump(mode="json")}
    return spiking_unet(model, calibration, provenance=provenance)


@pytest.mark.parametrize("which", ["converted", "tuned", "uneven"])
@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
)
def test_exported_file_gives_the_integers_of_fine_tuning(
    which, backend, device, noisy, tmp_path, request
):
    snn = settle(load_spiking_unet(request.getfixturevalue(which)))
    x = torch.from_numpy(noisy / np.float32(255))[None]
    with torch.no_grad():
        mine = IntegerUNet(snn)(x.to(device))[0].cpu().numpy()
    write_network(lower(snn, 36, 32), tmp_path / "n.net")
    network = read_network(tmp_path / "n.net")
    output = create(backend).run(network, noisy[None]).output[0]
    # One unit of the accumulator is more than float32's rounding of the decoded.
    unit = network.output.scale / network.num_steps
    found = mine.astype(np.float64) / unit
    assert np.array_equal(np.rint(found), output)
    assert np.abs(found - output).max() <= np.abs(output).max() * 2**-23 < 0.5
    np.testing.assert_allclose(mine, decode(network, output), atol=1e-6)


def test_fine_tuning_changes_integers_but_no_threshold(converted, tuned):
    before = lower(load_spiking_unet(converted), 16, 16)
    after = lower(load_spiking_unet(tuned), 16, 16)
    changed = 0
    for old, new in zip(before.layers, after.layers, strict=True):
        assert old.scale == new.scale
        if hasattr(old.compartment, "vth_mant"):
            assert old.compartment.vth_mant == new.compartment.vth_mant
        for a, b in zip(old.connections, new.connections, strict=True):
            assert a.weight_exp == b.weight_exp
            if hasattr(a.synapse, "weight"):
                changed += int((a.synapse.weight != b.synapse.weight).sum())
    assert changed > 50


def test_fine_tuning_repeats_to_the_byte(converted, tuned, folder, tmp_path):
    finetune(converted, tmp_path / "again.safetensors", folder, SETTINGS)
    assert (tmp_path / "again.safetensors").read_bytes() == tuned.read_bytes()


# Stops itself as `kill -9` would, in iteration 4 of 4; its last state is that of 2.
KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import torch
from loihi_unet.finetuning import finetune as command
from loihi_unet.finetuning import fit as module

step = module.step

def step_or_die(state, task, settings, teacher):
    if state.iteration == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(state, task, settings, teacher)

module.step = step_or_die
source, out, data, settings, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
settings = command.FinetuneConfig.model_validate_json(settings)
command.finetune(Path(source), Path(out), Path(data), settings)
"""


def test_resuming_after_kill_9_gives_the_same_bytes(converted, tuned, folder, tmp_path):
    out = tmp_path / "killed.safetensors"
    text = SETTINGS.model_dump_json()
    threads = torch.get_num_threads()  # the same bits need as many
    arguments = [*map(str, (converted, out, folder)), text, str(threads)]
    job = [sys.executable, "-c", KILLED_RUN, *arguments]
    killed = subprocess.run(job, check=False)
    assert killed.returncode == -signal.SIGKILL
    last = FinetuneFiles(out).last
    with pytest.raises(CheckpointError, match="a run is there already; resume it or"):
        finetune(converted, out, folder, SETTINGS)
    other = SETTINGS.model_copy(update={"learning_rate": 0.5})
    with pytest.raises(CheckpointError, match=r"learning_rate was 0\.01, now 0\.5; a"):
        finetune(converted, out, folder, other, resume=True)
    result = finetune(converted, out, folder, SETTINGS, resume=True)
    assert out.read_bytes() == tuned.read_bytes()
    assert last.read_bytes() == FinetuneFiles(tuned).last.read_bytes()
    assert result.after == load_spiking_unet(out).provenance["finetune"]["score"]


def test_nothing_to_resume(converted, tuned, folder, tmp_path):
    out = tmp_path / "none.safetensors"
    with pytest.raises(CheckpointError, match=r"none\.safetensors: .* to resume"):
        finetune(converted, out, folder, SETTINGS, resume=True)
    out.write_bytes(tuned.read_bytes())
    with pytest.raises(CheckpointError, match=r"last\.safetensors: no such file"):
        finetune(converted, out, folder, SETTINGS, resume=True)
    last = FinetuneFiles(out).last
    last.parent.mkdir()
    last.write_bytes(tuned.read_bytes())
    with pytest.raises(CheckpointError, match=r"found, the state of a fine-"):
        finetune(converted, out, folder, SETTINGS, resume=True)
    tensors, record = read_tensors(FinetuneFiles(tuned).last)
    tensors.pop("exp_avg.out.bias")
    write_tensors(last, tensors, record)
    with pytest.raises(CheckpointError, match=r"incomplete .*exp_avg\.out\.bias"):
        finetune(converted, out, folder, SETTINGS, resume=True)


def test_tensorboard_has_loss_scores_and_pictures(tuned):
    events = EventAccumulator(str(FinetuneFiles(tuned).tensorboard))
    events.Reload()
    assert [x.step for x in events.Scalars("finetune/loss")] == [2, 4]
    assert [x.step for x in events.Scalars("validation/psnr")] == [0, 2, 4]
    assert [x.step for x in events.Images("validation/panel")] == [0, 2, 4]


def test_fine_tuning_lowers_the_loss(converted, folder, tmp_path):
    settings = SETTINGS.model_copy(update={"iterations": 30})
    result = finetune(converted, tmp_path / "t.safetensors", folder, settings)
    assert result.after > result.before + 0.1
    snn = load_spiking_unet(tmp_path / "t.safetensors")
    assert snn.provenance["finetune"]["score"] == result.after


def test_the_flow_is_the_float_networks_gradient_where_nothing_saturates(snn):
    """Many thresholds, many steps: the mean drive's clamp is a plain ReLU."""
    fine = dataclasses.replace(
        snn, num_steps=64, num_thresholds=8, base_threshold=1 / 64
    )
    fine = settle(fine)
    x = torch.randint(0, 256, (1, 1, 16, 16)) / 255
    layers = [layer for layer in fine.layers if layer.bias is not None]
    gradients = []
    for network in (IntegerUNet(fine), lambda x: _float_unet(fine, x)):
        for layer in layers:
            layer.bias.requires_grad_(True).grad = None
        network(x).square().mean().backward()
        gradients.append(torch.cat([layer.bias.grad for layer in layers]))
    for layer in layers:
        layer.bias.requires_grad_(False).grad = None
    # 8-bit weights open a few other ReLUs than the float ones do.
    assert torch.cosine_similarity(*gradients, dim=0) > 0.98
    assert gradients[0].norm() == pytest.approx(gradients[1].norm().item(), rel=0.1)


def _float_unet(snn, x):
    """The normalised U-Net with ReLUs, written out with torch's own functions."""
    from torch.nn import functional

    values = {"input": x}
    for layer in snn.layers:
        total = 0 if layer.bias is None else layer.bias[:, None, None]
        for c in layer.connections:
            source = values[c.source]
            match c.kind:
                case "conv":
                    pad = c.weight.shape[-1] // 2
                    total = total + functional.conv2d(source, c.weight, padding=pad)
                case "conv_transpose":
                    total = total + functional.conv_transpose2d(
                        source, c.weight, stride=2, padding=1, output_padding=1
                    )
                case "average_pool":
                    total = total + functional.avg_pool2d(source, 2)
                case "identity":
                    total = total + source
        values[layer.name] = total.relu() if layer.spiking else total
    return values["out"]


def test_a_bias_counts_at_every_step(snn):
    """Zero weights: what is left is the output's bias, whatever T is."""
    for steps in (1, 7):
        network = IntegerUNet(settle(dataclasses.replace(snn, num_steps=steps)))
        out = network.snn.layers[-1]
        out.bias.requires_grad_(True).grad = None
        network(torch.zeros(1, 1, 8, 8)).mean().backward()
        assert out.bias.grad.item() == pytest.approx(1.0)
        out.bias.requires_grad_(False).grad = None


def test_graph_does_not_grow_with_steps(snn):
    sizes = []
    for steps in (2, 20):
        network = IntegerUNet(settle(dataclasses.replace(snn, num_steps=steps)))
        bias = network.snn.layers[0].bias.requires_grad_(True)
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, saved=saved: saved.append(tensor.numel()) or tensor,
            lambda tensor: tensor,
        ):
            network(torch.zeros(1, 1, 16, 16))
        bias.requires_grad_(False)
        sizes.append(sum(saved))
    assert sizes[0] == sizes[1] > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_callers_autocast_changes_no_integer(snn, noisy, dtype):
    network = IntegerUNet(settle(snn))
    x = torch.from_numpy(noisy / np.float32(255))[None]
    with torch.no_grad():
        expected = network(x)
        with torch.autocast("cpu", dtype=dtype):
            found = network(x)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_overflow_is_an_error(snn):
    first, *rest = settle(snn).layers
    quantisation = dataclasses.replace(first.quantisation, bias_exp=7)
    # 4000 << 7 in units of v: 24 bits hold sixteen of them.
    unit = quantisation.gain / snn.base_threshold
    drowned = dataclasses.replace(
        first,
        bias=torch.full_like(first.bias, -4000 * 2**7 / unit),
        quantisation=quantisation,
    )
    network = IntegerUNet(
        settle(dataclasses.replace(snn, layers=(drowned, *rest), num_steps=20))
    )
    with pytest.raises(OverflowLayerError, match=r"'enc0.conv1', step 16: potential"):
        network(torch.zeros(1, 1, 8, 8))


def test_bad_input(converted, folder, tmp_path):
    out = tmp_path / "t.safetensors"
    with pytest.raises(ConfigError, match="patch_size 18 is not a multiple of 4"):
        finetune(converted, out, folder, SETTINGS.model_copy(update={"patch_size": 18}))
    bare = dataclasses.replace(load_spiking_unet(converted), provenance={})
    save_spiking_unet(tmp_path / "bare.safetensors", bare)
    with pytest.raises(ConversionError, match=r"bare.safetensors: .* without 'train'"):
        finetune(tmp_path / "bare.safetensors", out, folder, SETTINGS)
    assert not out.exists()
