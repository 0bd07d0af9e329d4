# SPDX-License-Identifier: BSD-3-Clause
"""Every synapse as one stock convolution gives the reference's sums."""

import numpy as np
import pytest

pytest.importorskip("lava.magma", reason="no Lava: loihi-unet setup-lava")

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lava.proc.conv import utils

from export.errors import NetworkError, UnsupportedLayerError
from export.network import Connection
from export.synapse import AveragePool, Conv, ConvTranspose
from sim.lava.lowering import lower
from sim.reference import synapse

pytestmark = pytest.mark.lava


def sums(connection, payload):
    """Stock convolution of a lowered connection, phases interleaved by hand."""
    lowered = lower(connection, payload.shape, "here")
    assert lowered.groups <= 127
    out = utils.conv(
        payload.transpose(2, 1, 0),
        lowered.weight,
        lowered.weight.shape[1:3],
        lowered.stride,
        lowered.padding,
        lowered.dilation,
        lowered.groups,
    )
    (sw, sh), groups = lowered.phases, lowered.phase_groups
    width, height, channels = out.shape
    channels //= sw * sh * groups
    image = np.empty((groups * channels, height * sh, width * sw), dtype=out.dtype)
    for g in range(groups):
        rows = slice(g * channels, (g + 1) * channels)
        for a in range(sw):
            for b in range(sh):
                first = ((g * sw + a) * sh + b) * channels
                image[rows, b::sh, a::sw] = out[..., first : first + channels].T
    return image


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_transposed_convolution_in_groups_and_dilated(groups, dilation):
    rng = np.random.default_rng(groups)
    weight = mantissas(rng, 4, 3, 2, 3)
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, (2, 3), strict=True)]
    # As much output padding as makes the sides multiples of the stride.
    padding = tuple(span % 2 for span in spans)
    conv = ConvTranspose(
        weight=weight,
        stride=(2, 2),
        padding=(0, 0),
        output_padding=padding,
        groups=groups,
        dilation=dilation,
    )
    check(conv, rng, (4, 3, 5))


def check(kind, rng, size, weight_exp=0):
    connection = Connection(source="x", synapse=kind, weight_exp=weight_exp)
    payload = rng.integers(-9, 16, size)
    expected = synapse.apply(kind, payload.astype(np.int64)) << weight_exp
    np.testing.assert_array_equal(sums(connection, payload), expected)


def mantissas(rng, *shape):
    return 2 * rng.integers(-128, 128, shape)


axis = st.tuples(
    st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.integers(0, 2)
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), axis, axis, st.integers(0, 7))
def test_transposed_convolution(seed, along_h, along_w, weight_exp):
    rng = np.random.default_rng(seed)
    kernel, stride, padding, output_padding = zip(along_h, along_w, strict=True)
    assume(all(o < s for o, s in zip(output_padding, stride, strict=True)))
    size = (2, *(int(n) for n in rng.integers(1, 6, 2)))
    kind = ConvTranspose(
        weight=mantissas(rng, 2, 3, *kernel),
        stride=stride,
        padding=padding,
        output_padding=output_padding,
    )
    try:
        shape = kind.output_shape(size)
    except NetworkError:
        assume(False)
    if any(n % s for n, s in zip(shape[1:], stride, strict=True)):
        with pytest.raises(UnsupportedLayerError, match="a multiple of the stride"):
            check(kind, rng, size)
    else:
        check(kind, rng, size, weight_exp)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.integers(1, 3),
    st.integers(0, 7),
)
def test_convolution(seed, kernel, stride, padding, dilation, groups, weight_exp):
    rng = np.random.default_rng(seed)
    kind = Conv(
        weight=mantissas(rng, 2 * groups, 2, *kernel),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    check(kind, rng, (2 * groups, 6, 9), weight_exp)


@pytest.mark.parametrize("channels", [1, 127, 128, 131, 256])
def test_pools_and_depthwise_keep_int8_groups(channels):
    # 128 groups in Lava's int8 are -128: the loop over groups never runs.
    rng = np.random.default_rng(channels)
    check(AveragePool(channels=channels, kernel_size=(2, 3)), rng, (channels, 4, 6))
    depthwise = Conv(
        weight=mantissas(rng, 2 * channels, 1, 3, 2), groups=channels, padding=(1, 0)
    )
    check(depthwise, rng, (channels, 3, 4))


@pytest.mark.parametrize("name", ["stride", "padding", "dilation"])
def test_values_beyond_int8_are_refused(name):
    kind = Conv(weight=np.full((1, 1, 1, 1), 2), **{name: (1, 128)})
    connection = Connection(source="x", synapse=kind)
    with pytest.raises(UnsupportedLayerError, match=rf"here: {name} \(1, 128\) found"):
        lower(connection, (1, 200, 200), "here")
