# SPDX-License-Identifier: BSD-3-Clause
"""Fan-out, reach and resizing against what the synapse itself does to one spike."""

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from export.errors import NetworkError
from export.fit.fanout import fan_out
from export.fit.structure import describe
from export.synapse import AveragePool
from sim.reference import synapse as judge
from sim.selftest import small_network


def touched(synapse, shape):
    """Targets that one spike of each neuron changes, spike by spike."""
    result = np.zeros(shape, dtype=np.int64)
    for index in np.ndindex(*shape):
        spike = np.zeros(shape, dtype=np.int64)
        spike[index] = 1
        result[index] = np.count_nonzero(judge.apply(synapse, spike))
    return result


def filled(synapse):
    """Same synapse with no weight zero."""
    if isinstance(synapse, AveragePool):
        return synapse
    weight = np.where(synapse.weight == 0, 2, synapse.weight)
    return type(synapse)(**{**vars(synapse), "weight": weight})


@given(data=st.data(), kind=st.sampled_from(["conv", "convT", "pool"]))
def test_fan_out_is_what_one_spike_touches(data, kind):
    channels = data.draw(st.integers(1, 3))
    shape = (channels, 2 * data.draw(st.integers(1, 3)), 4)
    if kind == "conv":
        synapse = data.draw(strategies.convs(channels))
    elif kind == "convT":
        synapse = data.draw(strategies.conv_transposes(shape))
    else:
        synapse = AveragePool(channels=channels)
    np.testing.assert_array_equal(
        fan_out(synapse, shape, nonzero_only=True), touched(synapse, shape)
    )
    np.testing.assert_array_equal(
        fan_out(synapse, shape), touched(filled(synapse), shape)
    )


@given(network=strategies.networks())
def test_structure_counts_the_same_synapses(network):
    structure = describe(network)
    for layer, shape in zip(network.layers, structure.layers, strict=True):
        assert shape.neurons == np.prod(layer.shape)
        for c, link in zip(layer.connections, shape.links, strict=True):
            counted = fan_out(c.synapse, network.nodes[c.source].shape)
            assert link.synapses == counted.sum()


def test_resizing_is_what_the_network_does():
    network = small_network(size=(8, 12))
    for height, width in ((8, 12), (2, 4), (16, 6)):
        resized = describe(network).rebuilt({}, height, width)
        assert resized == describe(network.resized(height, width))


def test_width_scales_every_layer_but_input_and_output():
    wide = describe(small_network(channels=6))
    narrow = describe(small_network(channels=3))
    channels = {"down": 6, "pool": 6, "mid": 12, "up": 6, "join": 6}
    assert narrow.rebuilt(channels, 8, 8) == wide


def test_size_that_does_not_divide():
    structure = describe(small_network())
    with pytest.raises(
        NetworkError,
        match="layer 'pool': a side of 7 found, multiples of 2 needed",
    ):
        structure.rebuilt({}, 7, 8)


def test_size_that_leaves_nothing():
    network = small_network()
    down = describe(network).layers[0]
    link = type(down.links[0])(**{**vars(down.links[0]), "padding": (0, 0)})
    structure = type(describe(network))(
        (type(down)(**{**vars(down), "links": (link,)}),)
    )
    with pytest.raises(
        NetworkError, match=r"layer 'down': no output left for a source of \(1, 2, 9\)"
    ):
        structure.rebuilt({}, 2, 9)
