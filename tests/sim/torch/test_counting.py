# SPDX-License-Identifier: BSD-3-Clause
"""Layers that count instead of integrating: the reference's integers, or not at all."""

from unittest import mock

import numpy as np
import pytest
import torch

from export.compartment import MTIF, Accumulator, Bias
from export.network import Connection, Input, Layer, Network
from export.synapse import AveragePool, Conv, ConvTranspose
from sim.backend import OverflowLayerError, create
from sim.torch import counting
from sim.torch import int8 as torch_int8
from sim.torch.counting import Counting, is_bounded
from sim.torch.counting_plan import prepare_counting
from sim.torch.simulator import TorchSimulator
from sim.verify.comparison import compare

needs_int8 = pytest.mark.skipif(
    torch_int8.payload_limit() < 255, reason="no int8 convolution to 255 here"
)
CPU = torch.device("cpu")


def unet(steps, thresholds, *, per_channel=False, exps=(0, 1), channels=16, seed=0):
    """Down, up and a joined skip, which is what a U-Net has."""
    rng = np.random.default_rng(seed)
    largest = 2**thresholds - 1

    def layer(name, shape, sources, theta, maximum=thresholds):
        count = shape[0] if per_channel else 1
        return Layer(
            name=name,
            shape=shape,
            connections=tuple(
                Connection(
                    source=source,
                    synapse=synapse,
                    weight_exp=exp,
                    # The skip waits for the three layers beside it.
                    delay=3 if (name, source) == ("e", "b") else 0,
                )
                for source, synapse, exp in sources
            ),
            compartment=MTIF(
                vth_mant=rng.integers(theta, 2 * theta, count),
                num_thresholds=maximum,
                bias=Bias(mant=rng.integers(-2000, 4000, shape[0])),
            ),
            scale=1.0,
        )

    def levels(*shape):
        return 2 * rng.integers(-128, 128, shape)

    c = channels
    same = {"padding": (1, 1)}
    theta = min(40 * largest // steps, 900) + 90
    layers = (
        layer(
            "a",
            (c, 12, 8),
            [("input", Conv(weight=levels(c, 1, 3, 3), **same), 0)],
            5000,
        ),
        layer(
            "b", (c, 12, 8), [("a", Conv(weight=levels(c, c, 3, 3), **same), 0)], theta
        ),
        layer("pool", (c, 6, 4), [("b", AveragePool(channels=c), 0)], 8),
        layer(
            "d",
            (c, 6, 4),
            [("pool", Conv(weight=levels(c, c, 3, 3), **same), 1)],
            theta,
        ),
        layer(
            "up",
            (c, 12, 8),
            [("d", ConvTranspose(weight=levels(c, c, 3, 3)), 0)],
            theta,
        ),
        layer(
            "e",
            (c, 12, 8),
            [
                (name, Conv(weight=levels(c, c, 3, 3), **same), exp)
                for name, exp in zip(("b", "up"), exps, strict=True)
            ],
            theta,
        ),
        Layer(
            name="out",
            shape=(1, 12, 8),
            connections=(
                Connection(source="e", synapse=Conv(weight=levels(1, c, 1, 1))),
            ),
            compartment=Accumulator(bias=Bias(mant=np.array([7]))),
            scale=1.0,
        ),
    )
    source = Input(shape=(1, 12, 8), minimum=-99, maximum=255, scale=1.0)
    return Network(input=source, layers=layers, num_steps=steps, task="test")


def pictures(count):
    return np.random.default_rng(count).integers(-99, 256, (count, 1, 12, 8))


@pytest.fixture
def counted():
    """Names of the layers that counted."""
    names = []
    run = Counting.run

    def noted(self, sent):
        names.append(self.sources)
        return run(self, sent)

    with mock.patch.object(Counting, "run", noted):
        yield names


@needs_int8
@pytest.mark.parametrize("small", [0, 2**16])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("steps", "thresholds", "exps"),
    [
        (1, 8, (0, 0)),
        (10, 4, (0, 0)),
        (4, 4, (2, 0)),
        (17, 3, (0, 1)),
        (5, 1, (3, 0)),
        (30, 2, (0, 0)),
    ],
)
def test_counting_equals_the_reference(
    steps, thresholds, exps, per_channel, small, counted, monkeypatch
):
    monkeypatch.setattr(counting, "SMALL", small)
    network = unet(steps, thresholds, per_channel=per_channel, exps=exps)
    images = pictures(3)
    judge = create("reference").run(network, images)
    assert compare(create("torch").run(network, images), judge).identical
    assert compare(TorchSimulator(batch=3).run(network, images), judge).identical
    assert all(p.min() < p.max() for p in judge.payloads.values())
    assert ("a",) in counted


@needs_int8
@pytest.mark.parametrize("channels", [3, 5])
def test_channels_that_are_no_sixteens(channels, counted):
    network = unet(6, 4, channels=channels)
    judge = create("reference").run(network, pictures(2))
    assert compare(create("torch").run(network, pictures(2)), judge).identical
    assert ("b", "up") in counted


def test_longer_windows_do_not_count():
    network = unet(4, 8)
    assert all(prepare_counting(x, network, CPU) is None for x in network.layers)


@needs_int8
def test_a_shape_that_rounds_wrongly_does_not_count(counted, monkeypatch):
    monkeypatch.setattr(torch_int8, "rounds_exactly", lambda *_: False)
    monkeypatch.setattr(torch_int8, "is_exact", lambda *_: False)
    network = unet(4, 4)
    judge = create("reference").run(network, pictures(1))
    assert compare(create("torch").run(network, pictures(1)), judge).identical
    assert counted == []


@needs_int8
def test_the_trial_finds_another_rounding(monkeypatch):
    """oneDNN's result, made one larger at one place."""
    geometry = prepare_counting(unet(4, 4).layers[1], unet(4, 4), CPU).conv.geometry
    shape = (1, 16, 9, 9)
    assert torch_int8._rounds_exactly.__wrapped__(geometry, shape, 255, 1)
    call = torch_int8.OneDnnConv.__call__

    def wrong(self, payload, bias=None):
        found = call(self, payload, bias)
        if found.dtype == torch.uint8:
            found[0, 5, 4, 4] ^= 1
        return found

    monkeypatch.setattr(torch_int8.OneDnnConv, "__call__", wrong)
    assert not torch_int8._rounds_exactly.__wrapped__(geometry, shape, 255, 1)


@pytest.mark.parametrize("largest", [0, 7, 63])
def test_the_bound_has_the_sums_that_it_says(largest):
    units = (np.array([[3, 10], [20, 1]]),)
    rest = np.array([2**23 - 2 * 20 * 63, 0])
    assert is_bounded([largest], [2], units, rest, 255) == (largest < 63)
    assert not is_bounded([64], [2], units, np.array([0, 0]), 255)


def outcome(backend, network, images):
    try:
        return "", create(backend).run(network, images)
    except OverflowLayerError as error:
        return str(error), None


@needs_int8
@pytest.mark.parametrize("sign", [-1, 1])
def test_what_overflows_does_not_count(sign, counted):
    """Sums of 24 bits and more: the same error as the reference's, or its integers."""
    weight = np.full((16, 16, 3, 3), sign * 64)
    for exp in range(8):
        network = unet(10, 4)
        b = network.layers[1]
        heavy = Connection(
            source="a", synapse=Conv(weight=weight, padding=(1, 1)), weight_exp=exp
        )
        changed = Layer(
            name="b",
            shape=b.shape,
            connections=(heavy,),
            compartment=b.compartment,
            scale=1.0,
        )
        network = Network(
            input=network.input,
            layers=(network.layers[0], changed, *network.layers[2:]),
            num_steps=10,
            task="test",
        )
        images = pictures(1)
        expected, judge = outcome("reference", network, images)
        found, run = outcome("torch", network, images)
        assert found == expected
        assert judge is None or compare(run, judge).identical
    assert 1 <= counted.count(("a",)) < 8
