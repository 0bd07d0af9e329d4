# SPDX-License-Identifier: BSD-3-Clause
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loihi_unet.networks.neuron import multi_threshold_if


def _one_threshold_after_the_other(currents, base, count):
    """Eq. (4)-(6) as printed: highest threshold first, each at most once a step."""
    v, payloads = Fraction(0), []
    for current in currents:
        v += current
        payload = 0
        for i in reversed(range(count)):
            if v >= base * 2**i:
                v -= base * 2**i
                payload += 2**i
        payloads.append(payload)
    return payloads


@given(
    sixteenths=st.lists(st.integers(-100, 100), min_size=1, max_size=12),
    count=st.integers(1, 6),
    exponent=st.integers(0, 4),
)
def test_closed_form_equals_the_thresholds_one_by_one(sixteenths, count, exponent):
    # Multiples of 1/16 are exact in float32, so the payloads must be equal.
    currents = [Fraction(value, 16) for value in sixteenths]
    base = Fraction(1, 2**exponent)
    found = multi_threshold_if(
        torch.tensor([float(value) for value in currents])[:, None],
        base_threshold=float(base),
        num_thresholds=count,
    )
    expected = _one_threshold_after_the_other(currents, base, count)
    assert found[:, 0].tolist() == expected


def test_a_trace_by_hand():
    # q = 1/4, N = 2: thresholds 0.25, 0.5; at most 3 units of 0.25 a step.
    current = torch.tensor([0.3, 0.3, 2.0, 0.0, -1.0, 0.5, 0.25]).double()[:, None]
    found = multi_threshold_if(current, base_threshold=0.25, num_thresholds=2)
    # v before: .3 .35 2.1 1.35 -.4 .1 .35; after: .05 .1 1.35 .6 -.4 .1 .1
    assert found[:, 0].tolist() == [1, 1, 3, 3, 0, 0, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype_are_kept_and_the_input_is_not_changed(dtype):
    current = torch.rand(4, 2, 3, 5, 5, dtype=dtype)
    before = current.clone()
    found = multi_threshold_if(current, base_threshold=0.125, num_thresholds=4)
    assert (found.shape, found.dtype) == (current.shape, dtype)
    assert torch.equal(current, before)
