# SPDX-License-Identifier: BSD-3-Clause
"""FAST_CONV in anybody's Lava network: the same sums, in integers and in floats."""

import numpy as np
import pytest

pytest.importorskip("lava.magma", reason="no Lava: loihi-unet setup-lava")

from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from sim.lava.fast_conv import FAST_CONV

pytestmark = pytest.mark.lava


def sums(weight, data, tag, models, **arguments):
    """What a Conv sends, shape (W, H, C, steps)."""
    source = Source(data=data)
    arguments = {"padding": (1, 0), "stride": (1, 2), "groups": 2, **arguments}
    conv = Conv(weight=weight, input_shape=data.shape[:3], **arguments)
    sink = Sink(shape=conv.a_out.shape, buffer=data.shape[3])
    source.s_out.connect(conv.s_in)
    conv.a_out.connect(sink.a_in)
    config = Loihi2SimCfg(select_tag=tag, exception_proc_model_map=models)
    try:
        conv.run(RunSteps(num_steps=data.shape[3]), config)
        return sink.data.get()
    finally:
        conv.stop()


def case(kind):
    rng = np.random.default_rng(1)
    weight = rng.integers(-128, 127, (4, 3, 2, 1)) * 2
    data = rng.integers(0, 200, (5, 6, 2, 4))
    if kind == "fractions":
        return weight / 8 + 0.3, data / 3
    return weight, data


@pytest.mark.parametrize(
    ("kind", "tag"),
    [
        ("integers", "fixed_pt"),
        ("integers", "floating_pt"),
        ("fractions", "floating_pt"),
    ],
)
def test_the_sums_are_those_of_stock(kind, tag):
    weight, data = case(kind)
    expected = sums(weight, data, tag, {}, num_message_bits=8)
    found = sums(weight, data, tag, {Conv: FAST_CONV["stock"]}, num_message_bits=8)
    assert np.abs(expected).max() > 1000
    np.testing.assert_array_equal(found, expected)


def test_whole_weights_and_fractional_payloads_are_not_cut():
    weight, _ = case("integers")
    _, data = case("fractions")
    models = {Conv: FAST_CONV["stock"]}
    found = sums(weight, data, "floating_pt", models, num_message_bits=8)
    assert (found != np.trunc(found)).any()
    expected = sums(weight, data, "floating_pt", {}, num_message_bits=8)
    np.testing.assert_array_equal(found, expected)


def test_the_exponent_is_honoured():
    weight, data = case("integers")
    arguments = {"num_message_bits": 8, "weight_exp": 2}
    stock = sums(weight, data, "fixed_pt", {}, **arguments)
    found = sums(weight, data, "fixed_pt", {Conv: FAST_CONV["honour"]}, **arguments)
    np.testing.assert_array_equal(found, 4 * stock)


def test_fractional_weights_in_a_fixed_point_network_are_refused_before_the_run():
    weight, data = case("fractions")
    said = r"tag 'fixed_pt' .*weight -?\d+\.\d+ found, integers are allowed"
    with pytest.raises(AssertionError, match=said):
        sums(weight, data, "fixed_pt", {Conv: FAST_CONV["stock"]})
