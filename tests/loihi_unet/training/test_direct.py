# SPDX-License-Identifier: BSD-3-Clause
"""Networks trained as spikes: neurons and gradients by hand, and on to the chip."""

import numpy as np
import pytest
import torch

from export.lowering import lower
from export.netx import read_network, write_network
from loihi_unet.config import (
    DnCNNConfig,
    FCNConfig,
    TrainConfig,
    UNetConfig,
    load_config,
)
from loihi_unet.conversion.calibrate import calibrate
from loihi_unet.conversion.convert import convert
from loihi_unet.conversion.normalise import trained_directly
from loihi_unet.data.pictures import load_pictures
from loihi_unet.errors import ConfigError, ConversionError
from loihi_unet.files.checkpoint import (
    CheckpointRecord,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from loihi_unet.finetuning.config import FinetuneConfig
from loihi_unet.finetuning.finetune import finetune
from loihi_unet.networks import net
from loihi_unet.networks.config import NeuronConfig
from loihi_unet.networks.net import Net
from loihi_unet.networks.neuron import multi_threshold_if
from loihi_unet.networks.surrogate import FULL_SCALE, POWERS, fire
from loihi_unet.spiking.run_float import run
from loihi_unet.tasks.make import make_task
from loihi_unet.training import train as training
from loihi_unet.training.state import RunFiles
from loihi_unet.training.train import train
from loihi_unet.training.warm_start import initial_weights
from sim.backend import create
from sim.verify.comparison import compare

KINDS = ("if", "if-zero", "lif", "mt", "ml", "rs")


def by_hand(kind, inputs):
    """One neuron in Python numbers, from the papers."""
    sent, v, levels = [], 0.0, [0.0, 0.0, 0.0]
    for x in inputs:
        if kind in ("if", "if-zero", "lif"):
            v = 0.99 * v + x if kind == "lif" else v + x
            spike = float(v >= 1)
            v = (0.0 if kind == "if-zero" else v - 1) if spike else v
        elif kind == "mt":
            v += x
            spike = 0.0
            for threshold in (2, 1, 0.5, 0.25):
                if v >= threshold:
                    v, spike = v - threshold, spike + threshold
        else:
            spike = 0.0
            thresholds = (0.6, 1.6, 2.6) if kind == "ml" else (0.6,)
            for k, threshold in enumerate(thresholds):
                levels[k] = 0.25 * levels[k] + x
                if levels[k] >= threshold:
                    levels[k], spike = 0.0, spike + 1
        sent.append(spike)
    return sent


@pytest.mark.parametrize("kind", KINDS)
def test_neuron_by_hand(kind):
    current = np.random.default_rng(1).normal(0.5, 1.5, (12, 40))
    sent = fire(kind, torch.from_numpy(current)).numpy()
    expected = np.array([by_hand(kind, column) for column in current.T]).T
    assert np.array_equal(sent, expected)
    assert 0 < (sent != 0).mean() < 1


@pytest.mark.parametrize("kind", POWERS)
def test_neurons_of_the_chip(kind):
    current = torch.from_numpy(np.random.default_rng(2).normal(0.4, 1, (9, 30)))
    q, number = POWERS[kind]
    payload = multi_threshold_if(current, base_threshold=q, num_thresholds=number)
    assert torch.equal(fire(kind, current), payload * q)


@pytest.mark.parametrize(
    ("kind", "inputs", "gradient"),
    [
        # Fires nowhere, but within half a width of its threshold; then v - s has
        # derivative 1 - 1, and 1.6 is outside.
        ("if", [0.8, 0.8], [1, 0]),
        # 0.3 is outside: all of v goes on to the second step, where 1.1 is inside.
        ("if", [0.3, 0.8], [1, 1]),
        # v (1 - s) after v = 1.2, s = 1: derivative 0 - v, so v = 0.9 in the second
        # step, inside, has derivative -1.2 to the first.
        ("if-zero", [1.2, 0.9], [1 - 1.2, 1]),
        # Slope 1 from 0.125 to 3.875, and nothing left over for later.
        ("mt", [0.1, 0.9], [1, 1]),
        ("mt", [4.5, -3.0], [0, 0]),
        # 1.3 is 0.3 from the second threshold and 0.7 from the first.
        ("ml", [1.3], [1]),
        ("ml", [3.2], [0]),
        ("rs", [0.9], [1]),
        ("rs", [1.2], [0]),
        # A quarter of 0.04 is left: 0.61 fires. 0.04 itself is outside.
        ("rs", [0.04, 0.6], [0.25, 1]),
    ],
)
def test_gradient_by_hand(kind, inputs, gradient):
    current = torch.tensor(inputs, dtype=torch.float64)[:, None].requires_grad_()
    fire(kind, current).sum().backward()
    np.testing.assert_allclose(current.grad[:, 0].numpy(), gradient, atol=1e-12)


def settings(tiny, kind, **changes):
    table = tiny.model_dump()
    return TrainConfig(**{**table, "neuron": {"kind": kind, "num_steps": 4}, **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_no_layer_is_silent_at_the_start(kind, monkeypatch):
    torch.manual_seed(0)
    model = Net(UNetConfig(base_channels=8), NeuronConfig(kind=kind))
    shares = []

    def watching(kind, current):
        sent = fire(kind, current)
        shares.append((sent != 0).float().mean().item())
        return sent

    monkeypatch.setattr(net, "fire", watching)
    model(torch.rand(1, 1, 32, 32))
    assert len(shares) == 26
    assert min(shares) > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_loss_falls(kind, tiny, folder):
    # Without the residual skip: there is much to learn from the first step on.
    model = tiny.model.model_copy(update={"residual": False})
    config = settings(tiny, kind, model=model)
    task = make_task(config, load_pictures(folder, 1), [])
    torch.manual_seed(0)
    model = Net(config.model, config.neuron)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for index in range(40):
        x, target = task.batch(index % 2)
        loss = task.loss(model(x), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])


def test_a_stopped_run_goes_on_to_the_same_bits(tiny, folder, tmp_path, monkeypatch):
    config = settings(tiny, "rs")
    train(config, folder, tmp_path / "whole", device="cpu")
    step = training.step

    def stopping(state, *arguments):
        if state.iteration == 4:
            raise KeyboardInterrupt
        return step(state, *arguments)

    monkeypatch.setattr(training, "step", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, tmp_path / "cut", device="cpu")
    monkeypatch.setattr(training, "step", step)
    train(config, folder, tmp_path / "cut", True, device="cpu")
    whole, cut = (
        read_checkpoint(RunFiles(tmp_path / name).last).model.state_dict()
        for name in ("whole", "cut")
    )
    assert "coefficients.enc0_conv1" in whole
    assert all(torch.equal(cut[name], value) for name, value in whole.items())


def test_begin_with_a_trained_network(tiny, trained, folder, tmp_path):
    config = settings(tiny, "rs", iterations=1)
    train(config, folder, tmp_path / "rs", device="cpu", init=trained)
    model, found = load_checkpoint(tmp_path / "rs")
    assert found == config
    start = initial_weights(config, trained, load_pictures(folder, 1)).weights
    moved = [(model.state_dict()[k] - v).abs().max().item() for k, v in start.items()]
    # One step of Adam, warming up: each weight moves by the step size at most.
    assert 0 < max(moved) <= config.learning_rate * 1.001
    # And back: a network of ReLUs has no place for the coefficients.
    relu = tiny.model_copy(update={"iterations": 1})
    train(relu, folder, tmp_path / "relu", device="cpu", init=tmp_path / "rs")


@pytest.mark.parametrize("kind", ["mt", "rs"])
def test_neurons_begin_with_activations_in_their_range(kind, tiny, model, folder):
    config = settings(tiny, kind, model=model.config)
    record = CheckpointRecord(
        config=tiny, iteration=1, measures={}, best_score=0.0, data_sha256="",
        torch_version="",
    )  # fmt: skip
    path = folder.parent / f"begin-{kind}.safetensors"
    save_checkpoint(path, model.tensors(), record)
    pictures = load_pictures(folder, 1)
    start = initial_weights(config, path, pictures)
    # ReLUs do not mind the scales: the output is the same.
    scaled = Net(model.config)
    scaled.load_state_dict(start.weights)
    x = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(scaled(x), model(x), rtol=1e-4, atol=1e-5)
    scales = calibrate(scaled, tiny, pictures).scales
    full = FULL_SCALE.get(kind, 1.0)
    assert all(scale == pytest.approx(full, rel=1e-4) for scale in scales.values())


def test_normalised_networks_begin_with_each_other(tiny, folder, tmp_path):
    shape = tiny.model.model_copy(update={"batch_norm": True})
    relu = tiny.model_copy(update={"model": shape})
    train(relu, folder, tmp_path / "relu", device="cpu")
    spiking = settings(tiny, "if", model=shape, iterations=2)
    start = initial_weights(
        spiking, tmp_path / "relu", load_pictures(folder, 1)
    ).weights
    found = load_checkpoint(tmp_path / "relu")[0].tensors()
    assert start.keys() == found.keys()
    assert all(torch.equal(start[name], value) for name, value in found.items())
    train(spiking, folder, tmp_path / "if", device="cpu", init=tmp_path / "relu")
    snn = convert(tmp_path / "if", tmp_path / "if.safetensors")
    x = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        expected = load_checkpoint(tmp_path / "if")[0](x)
    torch.testing.assert_close(run(snn, x).output, expected, rtol=1e-3, atol=1e-4)


SHAPES = {
    "unet": UNetConfig(base_channels=3, levels=2),
    "unet, segments": UNetConfig(base_channels=3, levels=2, residual=False),
    "dncnn": DnCNNConfig(base_channels=4, depth=4),
    "fcn": FCNConfig(base_channels=2, residual=False),
}


@pytest.mark.parametrize("kind", POWERS)
@pytest.mark.parametrize(
    ("shape", "backend"),
    [
        *((name, "reference") for name in SHAPES),
        *(
            pytest.param(name, "lava", marks=pytest.mark.lava)
            for name in ("unet", "dncnn", "fcn")
        ),
    ],
)
def test_what_was_trained_is_what_goes_to_the_chip(kind, shape, backend, tmp_path):
    """Two implementations of the float network; two backends of the integers."""
    torch.manual_seed(1)
    model = Net(SHAPES[shape], NeuronConfig(kind=kind, num_steps=5)).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(0.0, 0.3)
    levels = np.random.default_rng(0).integers(0, 256, (2, 1, 16, 8))
    x = torch.from_numpy(levels / 255)
    record = type("Record", (), {"data_sha256": ""})()
    record.config = TrainConfig(
        model=model.config, neuron=model.neuron, patch_size=16, iterations=1
    )
    snn = trained_directly(model, record)
    with torch.no_grad():
        expected = model(x)
    assert snn.num_steps == 5
    found = run(snn, x)
    assert min(found.mean_payload.values()) > 0
    torch.testing.assert_close(found.output, expected, rtol=1e-9, atol=1e-12)
    network = lower(snn, 16, 8)
    write_network(network, tmp_path / "x.net")
    assert read_network(tmp_path / "x.net").sha256 == network.sha256
    images = levels.astype(np.int32)
    sides = [create(name).run(network, images) for name in ("torch", backend)]
    assert compare(*sides).identical


def test_convert_a_direct_run(tiny, folder, tmp_path):
    train(settings(tiny, "mt"), folder, tmp_path / "mt", device="cpu")
    snn = convert(tmp_path / "mt", tmp_path / "mt.safetensors", search=True)
    assert (snn.num_steps, snn.num_thresholds, snn.base_threshold) == (4, 4, 0.25)
    assert {layer.scale for layer in snn.layers} == {1.0}
    with pytest.raises(ConversionError, match="was trained with its thresholds"):
        convert(tmp_path / "mt", tmp_path / "x.safetensors", base_threshold=0.5)
    how = FinetuneConfig(
        iterations=1, batch_size=1, patch_size=16, validation_interval=1
    )
    result = finetune(
        tmp_path / "mt.safetensors", tmp_path / "tuned.safetensors", folder, how
    )
    assert result.after >= result.before
    model, config = load_checkpoint(tmp_path / "mt")
    with pytest.raises(ConversionError, match="trained with mt neurons"):
        calibrate(model, config, load_pictures(folder, 1))


def test_half_precision(tiny, folder, tmp_path):
    config = settings(tiny, "mt", iterations=1, precision="bfloat16")
    assert np.isfinite(train(config, folder, tmp_path / "r", device="cpu").best_score)


@pytest.mark.parametrize("kind", ["if-zero", "lif", "ml", "rs"])
def test_neurons_that_a_compartment_does_not_hold(kind, tiny, folder, tmp_path):
    train(settings(tiny, kind, iterations=1), folder, tmp_path / "run", device="cpu")
    with pytest.raises(
        ConversionError, match=f"neuron {kind}: it .*(leak|resets to zero)"
    ):
        convert(tmp_path / "run", tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_settings_are_checked():
    changes = {"neuron.kind": "mt", "neuron.num_steps": 4}
    assert load_config("denoise-gray", changes).neuron == NeuronConfig(
        kind="mt", num_steps=4
    )
    with pytest.raises(ConfigError, match=r"neuron.kind: .*'if-zero'.* found 'sif'"):
        load_config("denoise-gray", {"neuron.kind": "sif"})
    with pytest.raises(ConfigError, match=r"neuron.steps: unknown key; allowed: kind"):
        load_config("denoise-gray", {"neuron.steps": 4})
