# SPDX-License-Identifier: BSD-3-Clause
"""oneDNN's int8 convolution: which shapes are taken, and that a wrong one is not."""

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis.strategies import integers

from export.compartment import Accumulator, Bias
from export.network import Connection, Input, Layer, Network
from export.synapse import Conv
from sim.backend import create
from sim.torch import int8 as torch_int8
from sim.torch.int8 import is_exact
from sim.torch.onednn import Geometry, every_output_reads, may_be_tried
from sim.torch.plan import prepare_network
from sim.torch.synapse import FloatConv, ProvenConv
from sim.verify.comparison import compare

SHAPE = (2, 4, 9, 8)
USUAL = Geometry(
    weight=(6, 4, 3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1
)


@pytest.fixture(autouse=True)
def _forget():
    torch_int8._is_exact.cache_clear()
    torch_int8.payload_limit.cache_clear()
    yield
    torch_int8._is_exact.cache_clear()
    torch_int8.payload_limit.cache_clear()


needs_int8 = pytest.mark.skipif(
    not torch_int8.has_onednn_int8(), reason="no int8 convolution on this processor"
)


def network(shape, geometry, maximum, seed=0):
    rng = np.random.default_rng(seed)
    conv = Conv(
        weight=2 * rng.integers(-128, 128, geometry.weight),
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
        groups=geometry.groups,
    )
    source = Input(shape=shape, minimum=0, maximum=maximum, scale=1.0)
    layer = Layer(
        name="sum",
        shape=conv.output_shape(shape),
        connections=(Connection(source="input", synapse=conv),),
        compartment=Accumulator(
            bias=Bias(mant=rng.integers(-99, 99, len(conv.weight)))
        ),
        scale=1.0,
    )
    return Network(input=source, layers=(layer,), num_steps=1, task="test")


def sums_of(found):
    return prepare_network(found, torch.device("cpu"))[0].connections[0].sums


@pytest.mark.parametrize("maximum", [127, 255])
@pytest.mark.parametrize(
    ("shape", "weight", "stride", "padding", "dilation", "groups"),
    [
        # Wrong in int8, or the end of the process, on a processor with VNNI.
        ((1, 3, 3), (4, 1, 2, 3), (1, 3), (0, 0), (1, 1), 1),
        ((1, 7, 6), (3, 1, 4, 4), (1, 3), (3, 0), (3, 1), 1),
        ((8, 5, 2), (16, 1, 3, 1), (2, 3), (3, 4), (2, 3), 8),
        # The end of the process in float32, too.
        ((24, 2, 2), (6, 8, 2, 2), (3, 4), (0, 2), (1, 1), 3),
        ((2, 9, 1), (4, 1, 5, 1), (1, 2), (0, 1), (1, 2), 2),
        ((3, 24, 2), (16, 3, 1, 1), (1, 3), (4, 4), (3, 3), 1),
        # Ordinary ones.
        ((4, 9, 8), (6, 4, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        ((4, 8, 8), (4, 1, 2, 2), (2, 2), (0, 0), (1, 1), 4),
    ],
)
def test_any_geometry(shape, weight, stride, padding, dilation, groups, maximum):
    geometry = Geometry(
        weight=weight,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    found = network(shape, geometry, maximum)
    images = np.random.default_rng(1).integers(0, maximum + 1, (3, *shape))
    images[0] = maximum
    expected = create("reference").run(found, images)
    assert compare(create("torch").run(found, images), expected).identical


@needs_int8
def test_what_is_taken():
    taken = sums_of(network(SHAPE[1:], USUAL, 127))
    assert isinstance(taken, ProvenConv)
    assert taken.limit == 127
    assert is_exact(USUAL, SHAPE, 127)
    wide = Geometry(
        weight=(6, 4, 3, 1), stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1
    )
    assert not may_be_tried(wide)
    assert isinstance(sums_of(network(SHAPE[1:], wide, 127)), FloatConv)


BETWEEN_TAPS = (
    # (C_out, C_in / groups, K_h, K_w), stride, padding, dilation, groups, (H, W)
    ((32, 1, 2, 7), (2, 1), (2, 2), (4, 2), 16, (2, 38)),
    ((24, 4, 2, 2), (1, 1), (2, 2), (4, 4), 3, (1, 7)),
    ((20, 1, 2, 2), (1, 2), (3, 0), (4, 4), 1, (1, 11)),
    ((8, 4, 2, 2), (1, 1), (0, 1), (1, 3), 1, (7, 2)),
)


@pytest.mark.parametrize(
    ("weight", "stride", "padding", "dilation", "groups", "size"), BETWEEN_TAPS
)
def test_a_picture_between_two_taps_is_never_tried(
    weight, stride, padding, dilation, groups, size
):
    """With AMX, oneDNN ends the process there."""
    geometry = Geometry(
        weight=weight, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    assert may_be_tried(geometry)
    assert not every_output_reads(geometry, size)
    assert not is_exact(geometry, (2, groups * weight[1], *size), 127)
    shape = (groups * weight[1], *size)
    found = network(shape, geometry, 127)
    images = np.random.default_rng(1).integers(0, 128, (2, *shape))
    expected = create("reference").run(found, images)
    assert compare(create("torch").run(found, images), expected).identical


@given(
    size=integers(1, 9),
    kernel=integers(1, 5),
    stride=integers(1, 4),
    padding=integers(0, 6),
    dilation=integers(1, 5),
)
def test_which_outputs_read_a_value(size, kernel, stride, padding, dilation):
    """Against a convolution of ones by ones: an output of 0 read none."""
    assume(size + 2 * padding > dilation * (kernel - 1))
    geometry = Geometry(
        weight=(1, 1, kernel, 1),
        stride=(stride, 1),
        padding=(padding, 0),
        dilation=(dilation, 1),
        groups=1,
    )
    padded = np.pad(np.ones(size), padding)
    reach = dilation * (kernel - 1) + 1
    sums = [
        padded[start : start + reach : dilation].sum()
        for start in range(0, len(padded) - reach + 1, stride)
    ]
    assert every_output_reads(geometry, (size, 3)) == all(sums)


@needs_int8
def test_payloads_to_255_where_the_self_test_proves_it(monkeypatch):
    vnni = torch_int8.payload_limit() == 255
    sums = sums_of(network(SHAPE[1:], USUAL, 255))
    assert isinstance(sums, ProvenConv if vnni else FloatConv)
    torch_int8.payload_limit.cache_clear()
    monkeypatch.setattr(torch_int8, "OneDnnConv", saturating(255))
    assert torch_int8.payload_limit() == 127
    assert isinstance(sums_of(network(SHAPE[1:], USUAL, 255)), FloatConv)
    assert isinstance(sums_of(network(SHAPE[1:], USUAL, 128)), FloatConv)
    assert isinstance(sums_of(network(SHAPE[1:], USUAL, 127)), ProvenConv)


def saturating(limit):
    """What adding two products in int16 does to payloads of ``limit``, played."""

    class Saturating(torch_int8.OneDnnConv):
        def __call__(self, payload):
            sums = super().__call__(payload)
            return sums - 1 if (payload == limit).any() else sums

    return Saturating


def wrong(place):
    class Wrong(torch_int8.OneDnnConv):
        def __call__(self, payload):
            sums = super().__call__(payload).clone()
            if payload.shape != SHAPE:  # the self-test's
                return sums
            sums[place] = super().__call__(payload.flip(1))[place]
            return sums

    return Wrong


@needs_int8
@pytest.mark.parametrize("place", [(0, 0, 0, 0), (1, 5, 8, 7), (1, 3, 4, 4)])
def test_one_wrong_output_is_enough(place, monkeypatch):
    """One output of one image that adds the wrong payloads, wherever it is."""
    monkeypatch.setattr(torch_int8, "OneDnnConv", wrong(place))
    assert not is_exact(USUAL, SHAPE, 127)
    found = network(SHAPE[1:], USUAL, 127)
    images = np.random.default_rng(1).integers(0, 128, (2, *SHAPE[1:]))
    expected = create("reference").run(found, images)
    assert compare(create("torch").run(found, images), expected).identical


@needs_int8
def test_an_image_that_is_another(monkeypatch):
    class Swapped(torch_int8.OneDnnConv):
        def __call__(self, payload):
            return super().__call__(payload).roll(1, 0)

    monkeypatch.setattr(torch_int8, "OneDnnConv", Swapped)
    assert not is_exact(USUAL, (9, *SHAPE[1:]), 127)


@needs_int8
def test_saturation_alone_is_seen(monkeypatch):
    monkeypatch.setattr(torch_int8, "OneDnnConv", saturating(127))
    assert torch_int8._saturates(USUAL, SHAPE, 127)


def test_no_program_for_a_shape(monkeypatch):
    class Missing(torch_int8.OneDnnConv):
        def __call__(self, payload):
            raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(torch_int8, "OneDnnConv", Missing)
    assert not is_exact(USUAL, SHAPE, 127)


def test_the_check_is_done_once_a_shape_and_number_of_threads(monkeypatch):
    calls = []
    monkeypatch.setattr(
        torch_int8, "_adds_products", lambda *args: calls.append(args) or False
    )
    before = torch.get_num_threads()
    with contextlib.ExitStack() as stack:
        stack.callback(torch.set_num_threads, before)
        for threads in (1, 1, 2, 2):
            torch.set_num_threads(threads)
            is_exact(USUAL, SHAPE, 127)
    assert len(calls) == 2
