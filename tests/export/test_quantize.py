# SPDX-License-Identifier: BSD-3-Clause
"""Rounding: bounds as stated, doctests at ties and below zero."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import export.quantize as quantize
import sim.reference.simulator
from export.errors import RangeError


def test_doctests():
    for module in (quantize, sim.reference.simulator):
        assert doctest.testmod(module).failed == 0
        assert doctest.testmod(module).attempted > 0


@given(st.lists(st.floats(-128.4, 127.4), min_size=1, max_size=9))
def test_weight_error_is_half_a_level(levels):
    mantissas = quantize.weight_mantissas(np.array(levels))
    assert (np.abs(mantissas / 2 - levels) <= 0.5).all()


@given(st.floats(0, 127 * 128, exclude_min=True))
def test_weight_exponent_is_the_smallest(largest):
    exponent = quantize.weight_exponent(largest, "x")
    assert largest / 2**exponent <= 127
    assert exponent == 0 or largest / 2 ** (exponent - 1) > 127


@given(st.lists(st.floats(-4095 * 128, 4095 * 128), min_size=1, max_size=5))
def test_bias_error_is_half_a_unit(values):
    bias = quantize.bias(np.array(values), "x")
    assert (np.abs(bias.effective() - values) <= 2**bias.exp / 2).all()


def test_out_of_range():
    with pytest.raises(RangeError, match=r"layer 'a': weight_exp 8 outside 0..7"):
        quantize.weight_exponent(127 * 128 + 1, "layer 'a'")
    with pytest.raises(RangeError, match=r"layer 'a': bias 600000 outside -4096..4095"):
        quantize.bias(np.array([6e5]), "layer 'a'")
