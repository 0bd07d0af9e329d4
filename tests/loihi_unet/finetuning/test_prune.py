# SPDX-License-Identifier: BSD-3-Clause
"""Feature maps that never fire go; spikes are trained away; both are counted."""

import dataclasses

import numpy as np
import pytest
import torch

from export.lowering import lower
from export.theta import settle
from loihi_unet.conversion.convert import convert
from loihi_unet.data.pictures import load_pictures
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.finetuning import finetune as command
from loihi_unet.finetuning import fit
from loihi_unet.finetuning.config import FinetuneConfig
from loihi_unet.finetuning.cost import cost
from loihi_unet.finetuning.finetune import finetune
from loihi_unet.finetuning.flow import IntegerUNet
from loihi_unet.finetuning.folding import unfold
from loihi_unet.finetuning.prune import firing_shares, prune
from loihi_unet.finetuning.steps import StepsUNet
from loihi_unet.seeds import Purpose
from loihi_unet.spiking.run_float import run
from loihi_unet.tasks.make import make_task
from sim.backend import create
from sim.verify.comparison import compare


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch):
    for module in (command, fit):
        monkeypatch.setattr(module, "best_device", lambda: torch.device("cpu"))


@pytest.fixture(scope="module")
def task(tiny, folder):
    return make_task(tiny, load_pictures(folder, 1), [])


@pytest.fixture(scope="module", params=["channel", "layer"])
def silent(request, tmp_path_factory, trained, folder):
    """A converted network of which two feature maps never fire."""
    path = tmp_path_factory.mktemp("snn") / "snn"
    per = {"search": request.param == "channel", "per": request.param}
    snn = convert(trained, path, folder, num_steps=2, **per)
    layers = []
    for layer in snn.layers:
        if layer.name in ("enc0.conv2", "up0"):
            bias = layer.bias.clone()
            bias[1] = -50.0
            layer = dataclasses.replace(layer, bias=bias)
        layers.append(layer)
    return dataclasses.replace(snn, layers=tuple(layers))


def test_what_never_fires_goes_and_nothing_changes(silent, task):
    shares = firing_shares(silent, task, torch.device("cpu"))
    assert shares["enc0.conv2"][1] == shares["up0"][1] == shares["pool0"][1] == 0
    pruned = prune(silent, shares, 0.0)
    assert pruned.layer("up0").channels == 2
    assert pruned.layer("enc0.conv2").channels == pruned.layer("pool0").channels == 2
    x, _ = task.batch(7)
    # In floating point nothing but the order of sums is another.
    before, after = run(silent, x.double()).output, run(pruned, x.double()).output
    assert torch.allclose(before, after, atol=1e-9)
    network = lower(pruned, 16, 16)
    images = np.rint(x.numpy() * 255).astype(np.int32)
    left, right = (create(name).run(network, images) for name in ("reference", "torch"))
    assert compare(left, right).identical


def test_a_share_takes_more_and_leaves_one_of_each(silent, task):
    shares = firing_shares(silent, task, torch.device("cpu"))
    for layer in silent.layers[:-1]:
        assert shares[layer.name].shape == (layer.channels,)
        assert (shares[layer.name] <= 1 + 1e-9).all()
    smallest = prune(silent, shares, 0.999999)
    assert {layer.channels for layer in smallest.layers[:-2]} <= {1, 2, 3}
    assert smallest.layer("mid.conv1").channels >= 1
    lower(smallest, 16, 16)
    half = prune(settle(silent), shares, 0.1)
    assert half.layer("out").channels == 1
    # A settled network keeps the thresholds of what is left.
    lower(half, 16, 16)


def test_shares_count_what_the_backend_sends(silent, task):
    """By the recording of another backend, on the same crops."""
    shares = firing_shares(silent, task, torch.device("cpu"))
    network = lower(silent, 16, 16)
    sent = []
    for index in range(32):
        x, _ = task.batch(index, Purpose.CALIBRATION)
        images = np.rint(x.numpy() * 255).astype(np.int32)
        recording = create("torch").run(network, images, layers=("enc1.conv1",))
        sent.append((recording.payloads["enc1.conv1"] > 0).mean(axis=(0, 1, 3, 4)))
    expected = np.mean(sent, axis=0)
    np.testing.assert_allclose(shares["enc1.conv1"], expected, atol=1e-12)


def test_cost_counts_messages_and_operations(silent, task):
    found = cost(silent, task)
    x, _ = task.batch(0, Purpose.CALIBRATION)
    counted = {}
    IntegerUNet(
        settle(silent),
        observe=lambda name, payload: counted.update(
            {name: (payload > 0).sum().item()}
        ),
    )(x)
    neurons = sum(
        np.prod(layer.shape)
        for layer in lower(silent, 16, 16).layers
        if layer.magnitude
    )
    expected = sum(counted.values()) / (neurons * len(x))
    assert found.events == pytest.approx(expected)
    assert found.channels == sum(layer.channels for layer in silent.layers[:-1])
    less = cost(prune(silent, firing_shares(silent, task, x.device), 0.0), task)
    assert less.channels <= found.channels - 3
    assert less.bytes < found.bytes
    assert less.operations < found.operations
    assert found.cores >= less.cores


def test_activity_is_the_share_of_operations(silent, task):
    """Gradients of the penalty point to fewer messages."""
    x, _ = task.batch(3)
    parameters = unfold(silent)
    network = StepsUNet(silent, parameters)
    network(x)
    assert 0 < network.activity < 1
    network.activity.backward()
    with torch.no_grad():
        for value in parameters.values():
            if value.grad is not None:
                value -= 0.02 * value.grad / value.grad.norm().clamp(min=1e-9)
    after = StepsUNet(silent, parameters)
    after(x)
    assert after.activity < network.activity


def test_quiet_and_pruned_networks_are_written(silent, trained, folder, tmp_path):
    convert(trained, tmp_path / "s", folder, num_steps=2, search=True, per="channel")
    settings = FinetuneConfig(
        iterations=6,
        batch_size=2,
        patch_size=16,
        learning_rate=2e-2,
        validation_interval=3,
        prune=0.02,
        quiet=5.0,
    )
    result = finetune(tmp_path / "s", tmp_path / "t", folder, settings)
    assert result.iteration == 6
    assert result.cost_after.operations < result.cost_before.operations
    record = load_spiking_unet(tmp_path / "t").provenance["finetune"]
    assert (record["prune"], record["quiet"]) == (0.02, 5.0)
