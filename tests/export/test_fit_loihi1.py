# SPDX-License-Identifier: BSD-3-Clause
"""Loihi 1: NxTF's published count, its bit formulas, and a count by brute force."""

import itertools
from math import ceil

import pytest
import structures
from hypothesis import assume, given
from hypothesis import strategies as st

from export.errors import RangeError
from export.fit import loihi1
from export.fit.link import Link
from export.fit.loihi1_cut import cut_axis
from export.fit.structure import LayerStructure, Structure
from export.mapping import Mapping

GRADED = Mapping(name="graded", num_thresholds=4)


def test_nxtf_prints_157_cores_for_its_soft_reset_cifar_network():
    uses = loihi1.partition(structures.nxtf_cifar(), GRADED)
    assert sum(use.cores for use in uses.values()) == 157


# Bits as in NxTF's own unit tests: four sparse synapses of 8 + 6 bits are 66 bits.
@pytest.mark.parametrize(
    ("synapses", "bits", "words"),
    [
        (4, 14, 2),  # 66 bits
        (3, 18, 2),  # 64 bits: a full last word takes one more
        (2, 25, 2),  # 60 bits: so do fewer than six left over
        (2, 24, 1),  # 58 bits
        (60, 18, 18),  # 1090 bits in one entry
        (61, 18, 18),  # 1118 bits in two entries
    ],
)
def test_words_of_a_list(synapses, bits, words):
    assert loihi1.word_count(synapses, bits) == words


@pytest.mark.parametrize(
    ("delay", "bits", "compartments"),
    [(0, 0, 1024), (1, 3, 1024), (7, 3, 1024), (8, 4, 512), (22, 5, 256), (62, 6, 128)],
)
def test_delays_take_bits_and_compartments(delay, bits, compartments):
    link = Link(
        source="a",
        source_shape=(1, 1, 1),
        shape=(1, 1, 1),
        kernel=(1, 1),
        delay=delay,
    )
    layer = LayerStructure(name="b", shape=(1, 1, 1), links=(link,))
    assert loihi1.delay_bits(delay) == bits
    assert loihi1.core_compartments(layer) == compartments


def chain(link):
    source = LayerStructure(name="a", shape=link.source_shape, links=())
    target = LayerStructure(name="b", shape=link.shape, links=(link,))
    return Structure((source, target))


def brute_force(link, tile):
    """Largest input axons and unshared synapses of a core, neuron by neuron."""
    channels, height, width = link.shape
    axons, most = set(), 0
    for origin in itertools.product(
        range(0, channels, tile[0]),
        range(0, height, tile[1]),
        range(0, width, tile[2]),
    ):
        neurons = list(
            itertools.product(
                *(
                    range(o, min(o + t, n))
                    for o, t, n in zip(origin, tile, link.shape, strict=True)
                )
            )
        )
        axons = {
            (c, y, x)
            for _, ty, tx in neurons
            for c in range(link.source_shape[0])
            for y in connected(link, 0, ty)
            for x in connected(link, 1, tx)
        }
        most = max(most, len(axons) + len(neurons))
    return most


def connected(link, axis, target):
    for tap in range(link.kernel[axis]):
        if link.transposed:
            offset = target + link.padding[axis] - tap
            if offset % link.stride[axis] == 0:
                source = offset // link.stride[axis]
            else:
                continue
        else:
            source = target * link.stride[axis] - link.padding[axis] + tap
        if 0 <= source < link.source_shape[1 + axis]:
            yield source


@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 2),
    side=st.integers(4, 9),
    transposed=st.booleans(),
)
def test_input_axons_by_brute_force(kernel, stride, side, transposed):
    padding = kernel // 2
    if transposed:
        out = (side - 1) * stride - 2 * padding + kernel
    else:
        out = (side + 2 * padding - kernel) // stride + 1
    assume(out >= 1)
    link = Link(
        source="a",
        source_shape=(3, side, side),
        shape=(5, out, out),
        kernel=(kernel, kernel),
        stride=(stride, stride),
        padding=(padding, padding),
        transposed=transposed,
    )
    use = loihi1.partition(chain(link), GRADED)["b"]
    assert use.axons_in == brute_force(link, use.tile)
    assert use.compartments == 2 * use.tile[0] * use.tile[1] * use.tile[2]


def test_kernels_are_shared_along_x():
    # 1 row of 32 columns, 3 taps: sources at the two borders have their own lists,
    # all others one. Sources meet 2 or 3 targets in each of 4 channels.
    link = Link(
        source="a",
        source_shape=(1, 1, 32),
        shape=(4, 1, 32),
        kernel=(1, 3),
        padding=(0, 1),
    )
    use = loihi1.partition(chain(link), GRADED)["b"]
    assert (use.cores, use.tile) == (1, (4, 1, 32))
    bits = 8 + 8  # 256 compartments: 8 index bits
    lists = loihi1.word_count(8, bits) * 2 + loihi1.word_count(12, bits)
    recurrent = 128 * loihi1.word_count(1, bits)
    assert use.synapse_words == lists + recurrent


def test_output_axons_count_target_cores_and_the_reset():
    link = Link(source="a", source_shape=(2, 16, 32), shape=(2, 16, 32), kernel=(1, 1))
    uses = loihi1.partition(chain(link), GRADED)
    # 2,048 compartments: two cores each; every neuron goes to one core and itself.
    assert [use.cores for use in uses.values()] == [2, 2]
    assert uses["a"].axons_out == 512 + 512
    assert loihi1.mean_targets(chain(link), GRADED, uses) == {"a": 1.0, "b": 0.0}


def test_copies_of_parallel_if_are_cores_of_their_own():
    link = Link(source="a", source_shape=(1, 8, 8), shape=(1, 8, 8), kernel=(1, 1))
    uses = loihi1.partition(chain(link), Mapping(name="parallel-if", num_thresholds=2))
    assert [use.cores for use in uses.values()] == [3, 3]
    assert uses["b"].axons_in == 64 + 64  # copies of a source share one axon
    assert uses["a"].axons_out == 64 * 3 + 64


def test_layer_that_fits_no_core():
    link = Link(
        source="a",
        source_shape=(512, 3, 3),
        shape=(1, 1, 1),
        kernel=(3, 3),
    )
    with pytest.raises(
        RangeError,
        match="layer 'b': no tile fits a core; one neuron alone needs "
        "4609 input axons of 4096",
    ):
        loihi1.partition(chain(link), GRADED)


def test_partition_stops_at_a_number_of_cores():
    with pytest.raises(RangeError, match="100 cores are used up"):
        loihi1.partition(structures.nxtf_cifar(), GRADED, most=100)


@given(neurons=st.integers(1, 5000))
def test_cores_of_an_unconnected_layer(neurons):
    layer = LayerStructure(name="a", shape=(1, 1, neurons), links=())
    use = loihi1.partition(Structure((layer,)), GRADED)["a"]
    assert use.cores == ceil(neurons / 512)


@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    side=st.integers(3, 24),
    size=st.integers(1, 9),
    transposed=st.booleans(),
)
def test_lists_of_the_worst_part(kernel, stride, side, size, transposed):
    """Sources that meet other targets, or through other taps, have other lists."""
    padding = kernel // 2
    if transposed:
        out = (side - 1) * stride - 2 * padding + kernel
    else:
        out = (side + 2 * padding - kernel) // stride + 1
    assume(out >= 1)
    link = Link(
        source="a",
        source_shape=(1, 1, side),
        shape=(1, 1, out),
        kernel=(1, kernel),
        stride=(1, stride),
        padding=(0, padding),
        transposed=transposed,
    )
    layer = LayerStructure(name="b", shape=link.shape, links=(link,))
    cut = cut_axis(layer, (link,), 1, size, [])
    worst = 0
    for start in range(0, out, size):
        lists = set()
        for source in range(side):
            targets = [
                t
                for t in range(start, min(start + size, out))
                if source in connected(link, 1, t)
            ]
            if targets:
                near, far = (stride, 1) if transposed else (1, stride)
                tap = source * near - targets[0] * far
                lists.add((tap, tuple(t - targets[0] for t in targets)))
        worst = max(worst, sum(len(targets) for _, targets in lists))
    assert max(sum(part) for part in cut.lists[0]) == worst
