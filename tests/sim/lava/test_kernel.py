# SPDX-License-Identifier: BSD-3-Clause
"""The fast convolution against the function of the stock ProcessModel."""

from unittest import mock

import numpy as np
import pytest

pytest.importorskip("lava.magma", reason="no Lava: loihi-unet setup-lava")

from hypothesis import given, settings
from hypothesis import strategies as st
from lava.proc.conv import utils

from sim.lava import kernel as lava_kernel
from sim.lava.conv import wrap
from sim.lava.kernel import ExactConv

pytestmark = pytest.mark.lava


def stock(payload, weight, stride, padding, dilation, groups):
    with np.errstate(invalid="ignore"):  # sums beyond int32
        return utils.conv(
            payload, weight, weight.shape[1:3], stride, padding, dilation, groups
        )


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    pairs,
    pairs,
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    pairs,
    st.sampled_from([(1, 1, 1), (1, 3, 2), (2, 2, 3), (5, 1, 1), (3, 1, 2)]),
    st.sampled_from(["binary", "graded", "24 bits", "32 bits"]),
    st.booleans(),
    st.sampled_from([1, 40, lava_kernel.BLOCK_ELEMENTS]),
)
def test_every_parameter_gives_the_sums_of_stock(
    seed, kernel, stride, padding, dilation, grouping, payload_kind, holes, block
):
    rng = np.random.default_rng(seed)
    groups, c_in, c_out = grouping
    size = tuple(
        d * (k - 1) + 1 + int(rng.integers(0, 6))
        for k, d in zip(kernel, dilation, strict=True)
    )
    shape = (*size, groups * c_in)
    # The last kinds reach the float64 path and stock's cast of huge sums.
    peak, level = {
        "binary": (1, 254),
        "graded": (15, 254),
        "24 bits": (2**23 - 1, 254 << 7),
        "32 bits": (2**31 - 1, 254 << 7),
    }[payload_kind]
    payload = rng.integers(-peak, peak, shape, endpoint=True).astype(np.int32)
    if payload_kind == "binary":
        payload = payload.astype(bool)
    weight = rng.integers(-level, level, (groups * c_out, *kernel, c_in))
    weight = weight.astype(np.int32)
    if holes:  # whole rows and columns of zeros, as transposed convolutions have
        weight[:, rng.integers(kernel[0])] = 0
        weight[:, :, rng.integers(kernel[1])] = 0

    conv = ExactConv(
        weight, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    expected = stock(payload, weight, stride, padding, dilation, groups)
    with mock.patch.object(lava_kernel, "BLOCK_ELEMENTS", block):
        conv(np.roll(payload, 1))  # what one message leaves must not show in the next
        result = conv(payload)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(wrap(result), utils.signed_clamp(expected, bits=24))


@pytest.mark.parametrize("peak", [2**24 - 1, 2**24, 2**24 + 1, 2**30 - 1])
def test_sums_beside_the_limit_of_float32_are_exact(peak):
    # Two taps: peak * 1 + 1 * 1 needs float64 as soon as the bound reaches 2**24.
    payload = np.array([[[peak, 1]]], dtype=np.int32)
    weight = np.array([[[[1, 1]]]], dtype=np.int32)
    conv = ExactConv(weight, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1)
    assert conv(payload).item() == peak + 1


def test_sums_that_float64_cannot_hold_are_those_of_stock():
    weight = np.full((1, 3, 3, 64), 2**31 - 1, dtype=np.int32)
    payload = np.full((3, 3, 64), 2**31 - 1, dtype=np.int32)
    arguments = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    assert ExactConv(weight, **arguments).bound(payload) >= 2**53
    np.testing.assert_array_equal(
        ExactConv(weight, **arguments)(payload), stock(payload, weight, **arguments)
    )


@given(st.integers(-(2**31), 2**31 - 1))
def test_wrap_is_modulo_two_to_the_24(value):
    wrapped = int(wrap(np.array([value], dtype=np.int32))[0])
    assert -(2**23) <= wrapped < 2**23
    assert (wrapped - value) % 2**24 == 0


def test_messages_of_several_shapes():
    weight = np.ones((1, 3, 3, 1), dtype=np.int32)
    conv = ExactConv(weight, stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1)
    for size in ((5, 4), (2, 7)):
        sums = conv(np.ones((*size, 1), dtype=np.uint8))
        assert sums.shape == (*size, 1)
        assert sums[0, 0, 0] == 4
