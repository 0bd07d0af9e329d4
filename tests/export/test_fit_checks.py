# SPDX-License-Identifier: BSD-3-Clause
"""Each limit of a chip: kept exactly at its edge, broken one beyond it."""

import dataclasses

import numpy as np
import pytest

from export.compartment import MTIF, Accumulator, Bias
from export.fit import fit
from export.network import Connection, Input, Layer, Network
from export.synapse import Conv


def one_layer(
    *, theta=1000, thresholds=4, weight=2, inputs=1, maximum=255, bias=0, steps=2
):
    """A pixel, a spiking neuron that many channels feed, and an output."""
    source = Input(shape=(inputs, 1, 1), minimum=0, maximum=maximum, scale=1.0)
    mtif = MTIF(
        vth_mant=np.array([theta]),
        num_thresholds=thresholds,
        bias=Bias(mant=np.array([bias])),
    )
    spiking = Layer(
        name="a",
        shape=(1, 1, 1),
        connections=(
            Connection(
                source="input",
                synapse=Conv(weight=np.full((1, inputs, 1, 1), weight)),
            ),
        ),
        compartment=mtif,
        scale=1.0,
    )
    output = Layer(
        name="out",
        shape=(1, 1, 1),
        connections=(
            Connection(source="a", synapse=Conv(weight=np.full((1, 1, 1, 1), 2))),
        ),
        compartment=Accumulator(bias=Bias(mant=np.array([0]))),
        scale=1.0,
    )
    return Network(input=source, layers=(spiking, output), num_steps=steps, task="t")


def broken(network, **arguments):
    report = fit(network, **arguments)
    return [check for check in report.checks if not check.ok]


def test_nothing_is_broken_in_a_small_network():
    assert broken(one_layer(), chip="loihi2") == []
    report = fit(one_layer(), chip="loihi2")
    assert report.fits
    assert report.errors == ()
    quantities = {check.quantity for check in report.checks}
    assert quantities >= {
        "weight mantissa",
        "weight exponent",
        "delay",
        "bias mantissa",
        "bias exponent",
        "payload bits",
        "largest possible input sum",
        "largest possible potential",
    }


# K = 15 copies: 15 * 8738 = 131,070 fits 17 bits, 15 * 8739 does not.
def test_highest_threshold_of_parallel_if():
    assert broken(one_layer(theta=8738), chip="loihi2", mapping="parallel-if") == []
    (check,) = broken(one_layer(theta=8739), chip="loihi2", mapping="parallel-if")
    assert str(check) == (
        "layer 'a': highest threshold (15 x theta) 131085 found, 1..131071 allowed; "
        "theta 8739 found, up to 8738 fits: at most 4369 levels per threshold, 4369 now"
    )


def test_highest_threshold_of_binary_if():
    assert broken(one_layer(theta=16383), chip="loihi2", mapping="binary-if") == []
    (check,) = broken(one_layer(theta=16384), chip="loihi2", mapping="binary-if")
    assert "highest threshold (8 x theta) 131072 found" in str(check)


def test_highest_threshold_of_graded_is_a_state():
    # N = 8: 128 theta must fit 24 bits signed.
    network = one_layer(theta=65535, thresholds=8)
    assert broken(network, chip="loihi2") == []
    (check, *_) = broken(one_layer(theta=65536, thresholds=8), chip="loihi2")
    assert "highest threshold (128 x theta) 8388608 found" in str(check)


def test_graded_spikes_do_not_exist_on_loihi_1():
    lines = [str(c) for c in broken(one_layer(theta=8), chip="loihi1")]
    assert lines == [
        "layer 'a': payload bits 4 found, 1..1 allowed; spikes are binary: "
        "mapping parallel-if"
    ]


# One reset synapse holds mantissa 0..255 << 0..7: 15 * 17 = 255 does, 15 * 18 does
# not (270 = 135 << 1 does), 15 * 19 = 285 is odd and too large.
@pytest.mark.parametrize(("theta", "fits"), [(17, True), (18, True), (19, False)])
def test_soft_reset_is_one_weight(theta, fits):
    lines = [
        str(c)
        for c in broken(one_layer(theta=theta), chip="loihi1", mapping="parallel-if")
        if c.blocking
    ]
    assert lines == (
        []
        if fits
        else [
            "layer 'a': soft reset by 15 x theta 285 found, 1..255 << 0..7 allowed; "
            "theta 19 found, 18 fits"
        ]
    )


def test_largest_soft_reset():
    # 17 << 7 times 15 is 255 << 7; nothing larger is.
    network = one_layer(theta=17 << 7)
    blocking = [
        c for c in broken(network, chip="loihi1", mapping="parallel-if") if c.blocking
    ]
    assert blocking == []
    (check,) = [
        c
        for c in broken(one_layer(theta=18 << 7), chip="loihi1", mapping="parallel-if")
        if c.blocking
    ]
    assert check.advice == "theta 2304 found, 2176 fits"


def test_image_on_loihi_1_is_a_bias():
    network = one_layer(theta=17, maximum=2047)
    assert broken(network, chip="loihi1", mapping="parallel-if") == []
    (check,) = broken(
        one_layer(theta=17, maximum=2048), chip="loihi1", mapping="parallel-if"
    )
    assert not check.blocking
    assert check.found == "-4096..4096"
    assert "rounded to 13 bits << 0..7" in check.advice


def test_fan_in_of_one_neuron_on_loihi_1():
    network = one_layer(theta=17, inputs=4096)
    middle = dataclasses.replace(
        network.layers[0],
        name="wide",
        shape=(4096, 1, 1),
        connections=(
            Connection(
                source="input", synapse=Conv(weight=np.full((4096, 1, 1, 1), 2))
            ),
        ),
        compartment=MTIF(
            vth_mant=np.array([17]),
            num_thresholds=4,
            bias=Bias(mant=np.zeros(4096, dtype=int)),
        ),
    )
    reads = dataclasses.replace(network.layers[0].connections[0], source="wide")
    wide = dataclasses.replace(
        network,
        input=dataclasses.replace(network.input, shape=(1, 1, 1)),
        layers=(
            middle,
            dataclasses.replace(network.layers[0], connections=(reads,)),
            network.layers[1],
        ),
    )
    report = fit(wide, chip="loihi1", mapping="parallel-if")
    (line,) = [e for e in report.errors if "fan-in" in e]
    assert line.startswith("layer 'a': fan-in 4096 found, 0..4095 allowed")
    assert any("no tile fits a core" in e for e in report.errors)
    assert report.cores is None


def test_worst_case_sum_is_a_warning():
    # 129 inputs of weight 254 and payload 255 are 8,355,330; one more overflows.
    assert fit(one_layer(weight=254, inputs=129), chip="loihi2").warnings == (
        "layer 'a': largest possible potential 0..16695660 found, "
        "-8388608..8388607 allowed; a run that reaches it stops with an overflow error",
    )
    report = fit(one_layer(weight=254, inputs=130), chip="loihi2")
    assert report.fits
    assert report.warnings[0] == (
        "layer 'a' <- 'input': largest possible input sum -8420100..8420100 found, "
        "-8388608..8388607 allowed; a run that reaches it stops with an overflow error"
    )


def test_worst_case_potential_of_a_saturated_neuron():
    # Each step brings 510 + 90, the largest reset takes 15 * 20 = 300; three steps.
    network = one_layer(theta=20, bias=90, steps=3)
    (check,) = [
        c
        for c in fit(network, chip="loihi2").checks
        if c.place == "layer 'a'" and "potential" in c.quantity
    ]
    assert check.found == f"90..{600 + 2 * 300}"
