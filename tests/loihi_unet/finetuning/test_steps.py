# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tuning through the steps, and thresholds per channel, on every backend."""

import dataclasses
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from export.errors import RangeError
from export.lowering import lower
from export.mapping import MAPPINGS
from export.netx import read_network, write_network
from export.theta import settle
from loihi_unet.conversion.convert import convert
from loihi_unet.data.pictures import load_pictures
from loihi_unet.errors import CheckpointError, ConfigError, ConversionError
from loihi_unet.files.spiking_file import load_spiking_unet, save_spiking_unet
from loihi_unet.finetuning import finetune as command
from loihi_unet.finetuning import fit, steps
from loihi_unet.finetuning import state as finetune_state
from loihi_unet.finetuning.compact_file import save_compact
from loihi_unet.finetuning.config import FinetuneConfig, FinetuneFiles
from loihi_unet.finetuning.finetune import finetune
from loihi_unet.finetuning.flow import IntegerUNet
from loihi_unet.finetuning.folding import fold, unfold
from loihi_unet.finetuning.objective import load_teacher
from loihi_unet.finetuning.steps import StepsUNet
from loihi_unet.tasks.denoise import noisy_picture
from loihi_unet.tasks.make import make_task
from sim.backend import create
from sim.verify.comparison import compare

SETTINGS = FinetuneConfig(
    iterations=4,
    batch_size=2,
    patch_size=16,
    learning_rate=1e-3,
    validation_interval=2,
)


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch):
    # There the same run has the same bits.
    for module in (command, fit):
        monkeypatch.setattr(module, "best_device", lambda: torch.device("cpu"))


@pytest.fixture(scope="module")
def files(tmp_path_factory, trained, folder):
    """Per channel, mixed N, per layer; by name."""
    path = tmp_path_factory.mktemp("snn")
    channel = {"search": True, "per": "channel"}
    for name, settings in {
        "channel": {"num_steps": 3, "num_thresholds": 4, **channel},
        "mixed": {"num_steps": 2, "num_thresholds": 6, "bits": 4.0, **channel},
        "layer": {"num_steps": 3, "base_threshold": 0.25},
    }.items():
        convert(trained, path / name, folder, **settings)
    finetune(path / "channel", path / "tuned", folder, SETTINGS)
    return path


@pytest.fixture(scope="module")
def noisy(folder):
    picture = load_pictures(folder, 1)[4]
    return noisy_picture(picture, 0, sigma=25, seed=0)[:, :36, :32]


def test_a_threshold_for_each_feature_map(files, tmp_path):
    network = lower(load_spiking_unet(files / "channel"), 36, 32)
    for layer in network.layers[:-1]:
        theta = layer.compartment.vth_mant
        if layer.name.startswith("pool"):
            assert theta.tolist() == [8]
            continue
        assert theta.shape == (layer.shape[0],)
        assert len(set(theta.tolist())) > 1
        assert layer.unit.shape == (layer.shape[0], 1, 1)
    # Each row fills its own levels, with the exponent of its connection.
    first = network.layers[0]
    filled = np.abs(first.connections[0].synapse.weight).max(axis=(1, 2, 3))
    assert (filled > 240).all()
    write_network(network, tmp_path / "n.net")
    read = read_network(tmp_path / "n.net")
    assert read.sha256 == network.sha256
    assert [x.scale for x in read.layers] == [x.scale for x in network.layers]


def test_mixed_thresholds_keep_their_budget(files):
    snn = load_spiking_unet(files / "mixed")
    network = lower(snn, 36, 32)
    neurons = [np.prod(layer.shape) for layer in network.layers[:-1]]
    numbers = [layer.compartment.num_thresholds for layer in network.layers[:-1]]
    assert len(set(numbers)) > 1
    assert 3 < np.average(numbers, weights=neurons) <= 4
    assert snn.thresholds(snn.layer("pool0")) == snn.thresholds(snn.layer("enc0.conv2"))


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("which", ["channel", "mixed", "tuned"])
@pytest.mark.parametrize(
    "backend", ["torch", pytest.param("lava", marks=pytest.mark.lava)]
)
def test_all_backends_and_mappings_agree(files, noisy, which, backend, mapping):
    network = lower(load_spiking_unet(files / which), 36, 32, mapping=mapping)
    left = create("reference").run(network, noisy[None])
    assert compare(left, create(backend).run(network, noisy[None])).identical
    assert left.payloads["enc0.conv1"].any()


def test_one_threshold_off_by_one_is_found(files, noisy):
    network = lower(load_spiking_unet(files / "channel"), 36, 32)
    first = network.layers[0]
    theta = first.compartment.vth_mant.copy()
    right = create("torch").run(network, noisy[None])
    payload = right.payloads[first.name][0]
    channel = int(np.argmax(payload.reshape(len(payload), len(theta), -1).sum((0, 2))))
    theta[channel] += 1
    changed = dataclasses.replace(
        first, compartment=dataclasses.replace(first.compartment, vth_mant=theta)
    )
    wrong = dataclasses.replace(network, layers=(changed, *network.layers[1:]))
    assert wrong.sha256 != network.sha256
    found = compare(right, create("torch").run(wrong, noisy[None]))
    assert not found.identical


@pytest.mark.parametrize("which", ["channel", "mixed", "tuned", "layer"])
def test_training_runs_the_integers_that_are_exported(files, noisy, which):
    snn = load_spiking_unet(files / which)
    network = StepsUNet(snn, unfold(snn))
    x = torch.from_numpy(noisy / np.float32(255))[None]
    output = network(x)
    assert torch.equal(output, IntegerUNet(network.snn)(x))
    # What is folded is what is written.
    assert (
        lower(fold(snn, unfold(snn)), 36, 32).sha256
        == network.network.resized(36, 32).sha256
    )


def test_float_gradients_where_nothing_saturates(snn, tiny):
    """Very many levels: what is left is the trained network, and its gradients."""
    fine = dataclasses.replace(
        snn,
        num_steps=64,
        num_thresholds=8,
        base_threshold=2**-6,
        provenance={"train": tiny.model_dump(mode="json")},
    )
    x = torch.randint(0, 256, (1, 1, 16, 16)) / 255
    found = {}
    for network in (StepsUNet, _Smooth):
        parameters = unfold(fine)
        network(fine, parameters)(x).square().mean().backward()
        found[network] = torch.cat(
            [
                p.grad.flatten()
                for name, p in parameters.items()
                if "threshold" not in name
            ]
        )
    a, b = found.values()
    assert torch.cosine_similarity(a, b, dim=0) > 0.97


class _Smooth(StepsUNet):
    """The same network without its staircase, on one step."""

    def __init__(self, template, parameters):
        super().__init__(dataclasses.replace(template, num_steps=1), parameters)

    def _piece(self, piece, sent, events):
        real = steps.integrate
        try:
            steps.integrate = lambda drive, theta, *_: (drive / theta).relu()
            return super()._piece(piece, sent, events)
        finally:
            steps.integrate = real


def test_gradients_of_the_staircase():
    """Payloads follow the drive within the staircase, over both steps."""
    drive = torch.tensor([[-10.0], [4.0], [23.0], [90.0]]).view(1, 4, 1, 1)
    drive = drive.expand(2, *drive.shape).clone().requires_grad_()
    payload = steps.integrate(drive, torch.full((4, 1, 1), 10.0), 2)
    assert payload[:, 0, :, 0, 0].tolist() == [[0, 0, 2, 3], [0, 0, 2, 3]]
    payload.sum().backward()
    # Below and beyond all thresholds nothing is gained; 4 + 4 comes near the first.
    tenth = pytest.approx([0, 0.1, 0.1, 0])
    assert drive.grad[:, 0, :, 0, 0].tolist() == [tenth, tenth]


def test_recomputing_changes_no_bit(files, noisy):
    snn = load_spiking_unet(files / "channel")
    x = torch.from_numpy(noisy / np.float32(255))[None]
    found = []
    for recompute in (False, True):
        parameters = unfold(snn)
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, kept=kept: kept.append(tensor.numel()) or tensor,
            lambda tensor: tensor,
        ):
            output = StepsUNet(snn, parameters, recompute=recompute)(x)
        output.square().mean().backward()
        found.append((sum(kept), output, [p.grad for p in parameters.values()]))
    (much, one, first), (little, two, second) = found
    assert torch.equal(one, two)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert little < much / 2


def test_thresholds_and_weights_are_trained_and_bytes_repeat(files, folder, tmp_path):
    before, after = (load_spiking_unet(files / x) for x in ("channel", "tuned"))
    again = tmp_path / "again"
    finetune(files / "channel", again, folder, SETTINGS)
    assert again.read_bytes() == (files / "tuned").read_bytes()
    assert after.provenance["finetune"]["method"] == "steps"
    old, new = (np.array(x.layer("enc0.conv1").scale) for x in (before, after))
    moved = np.abs(np.log(new / old))
    assert (moved > 1e-5).all()
    assert (moved < 0.1).all()


# Stops itself as `kill -9` would, in iteration 4 of 4; its last state is that of 2.
KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import torch
from loihi_unet.finetuning import finetune as command
from loihi_unet.finetuning import fit as module

step = module.step

def step_or_die(state, *rest):
    if state.iteration == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(state, *rest)

module.step = step_or_die
command.best_device = module.best_device = lambda: torch.device("cpu")
source, out, data, settings, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
settings = command.FinetuneConfig.model_validate_json(settings)
command.finetune(Path(source), Path(out), Path(data), settings)
"""


def test_resuming_after_kill_9_gives_the_same_bytes(files, folder, tmp_path, trained):
    settings = SETTINGS.model_copy(update={"teacher": str(trained), "quiet": 0.01})
    whole, out = tmp_path / "whole", tmp_path / "killed"
    finetune(files / "mixed", whole, folder, settings)
    arguments = [
        *map(str, (files / "mixed", out, folder)),
        settings.model_dump_json(),
        str(torch.get_num_threads()),  # the same bits need as many
    ]
    job = [sys.executable, "-c", KILLED_RUN, *arguments]
    assert subprocess.run(job, check=False).returncode == -signal.SIGKILL
    with pytest.raises(CheckpointError, match=r"quiet was 0\.01, now 0\.0; a run"):
        finetune(
            files / "mixed",
            out,
            folder,
            settings.model_copy(update={"quiet": 0.0}),
            resume=True,
        )
    finetune(files / "mixed", out, folder, settings, resume=True)
    assert out.read_bytes() == whole.read_bytes()
    last = FinetuneFiles(out).last.read_bytes()
    assert last == FinetuneFiles(whole).last.read_bytes()


def test_fine_tuning_comes_closer_to_its_teacher(files, folder, trained, tiny):
    snn = load_spiking_unet(files / "layer")
    teacher = load_teacher(str(trained), snn, torch.device("cpu"))
    task = make_task(tiny, load_pictures(folder, 1), [])
    x, _ = task.batch(0)
    state = finetune_state.begin(snn, 1e-3, "steps")
    settings = SETTINGS.model_copy(update={"iterations": 30})
    for _ in range(30):
        fit.step(state, task, settings, teacher)
    before, after = (
        float((IntegerUNet(settle(network))(x) - teacher(x)).norm())
        for network in (snn, state.network)
    )
    assert after < 0.8 * before


def test_the_compact_file_holds_the_same_integers(files, tmp_path):
    snn = load_spiking_unet(files / "tuned")
    save_compact(tmp_path / "c", snn)
    again = load_spiking_unet(tmp_path / "c")
    assert lower(again, 16, 16).sha256 == lower(snn, 16, 16).sha256
    size = (tmp_path / "c").stat().st_size
    assert size < (files / "tuned").stat().st_size


def test_what_is_refused(files, trained, folder, tmp_path):
    quiet = SETTINGS.model_copy(update={"quiet": 1.0, "method": "flow"})
    with pytest.raises(ConfigError, match=r"quiet: .* through the steps only"):
        finetune(files / "channel", tmp_path / "x", folder, quiet)
    with pytest.raises(CheckpointError, match="no-such-teacher"):
        finetune(
            files / "channel",
            tmp_path / "x",
            folder,
            SETTINGS.model_copy(update={"teacher": "no-such-teacher"}),
        )
    with pytest.raises(CheckpointError, match="in_channels 3 found, the network has 1"):
        finetune(
            files / "channel",
            tmp_path / "x",
            folder,
            SETTINGS.model_copy(update={"teacher": "denoise-colour"}),
        )
    for settings, message in (
        ({}, "found by a search only"),
        ({"search": True, "normalisation": "layer"}, "one scale for a concatenation"),
        ({"search": True, "bits": 4.0, "fewer": True}, "no other limit"),
        ({"search": True, "bits": 0.5}, "allowed are numbers from 1"),
    ):
        with pytest.raises(ConversionError, match=message):
            convert(trained, tmp_path / "x", folder, per="channel", **settings)
    with pytest.raises(ConversionError, match="thresholds per channel needed"):
        convert(trained, tmp_path / "x", folder, bits=4.0)
    assert list(tmp_path.iterdir()) == []


def test_scales_of_the_wrong_length_are_refused(files, tmp_path):
    snn = load_spiking_unet(files / "channel")
    first, *rest = snn.layers
    for scale, message in (
        ((1.0, 2.0), "scale of 2 channels; 3 or one"),
        ((1.0, -1.0, 2.0), "allowed above 0"),
    ):
        wrong = dataclasses.replace(first, scale=scale)
        with pytest.raises(ConversionError, match=message):
            dataclasses.replace(snn, layers=(wrong, *rest))
    huge = dataclasses.replace(first, bias=torch.full_like(first.bias, 1e9))
    with pytest.raises(RangeError, match=r"'enc0\.conv1': weights or biases so large"):
        settle(dataclasses.replace(snn, layers=(huge, *rest)))
    save_spiking_unet(tmp_path / "s", snn)
    assert load_spiking_unet(tmp_path / "s").layers[0].scale == first.scale


#: SHA-256 of networks with one threshold a layer, as 0.1.0 made them.
HASHES = {
    ("denoise-gray", 10, 4, "graded"): "09b8f0cdce9afa50",
    ("denoise-gray", 10, 4, "parallel-if"): "c599258fff934684",
    ("denoise-gray", 1, 8, "binary-if"): "32bb2042d429f5d3",
    ("segment-drive", 3, 5, "graded"): "6c4800a7f7b9769b",
}


@pytest.mark.parametrize(("name", "number", "count", "mapping"), HASHES)
def test_thresholds_per_layer_are_todays_integers(
    name, number, count, mapping, tmp_path
):
    snn = convert(name, tmp_path / "s", num_steps=number, num_thresholds=count)
    network = lower(snn, 32, 32, mapping=mapping)
    expected = HASHES[name, number, count, mapping]
    assert network.sha256.startswith(expected)
