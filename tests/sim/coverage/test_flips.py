# SPDX-License-Identifier: BSD-3-Clause
"""Single flipped bits of small networks are found, or proved to change nothing."""

import dataclasses
import itertools

import numpy as np
import pytest
from reachable import Reachable

from export.compartment import MTIF, Accumulator, Bias
from export.network import Connection, Input, Layer, Network
from export.synapse import AveragePool, Conv, ConvTranspose
from sim.backend import create
from sim.coverage.bounds import Bounds
from sim.coverage.choose import choose
from sim.coverage.flips import (
    BIAS_BITS,
    count_flips,
    every_flip,
    flipped,
    level_change,
    other_threshold,
)
from sim.coverage.noticing import Noticing, Sums, unnoticed
from sim.coverage.search import record, search
from sim.coverage.stimuli import stimuli
from sim.selftest import small_network

SIZE = (6, 6)


def network(seed):
    """Stride, groups, a pool, a transposed convolution; one channel never fires."""
    rng = np.random.default_rng(seed)

    def weight(*shape):
        return 2 * rng.integers(-20, 40, shape)

    def mtif(channels, vth):
        bias = Bias(mant=rng.integers(-20, 20, channels))
        return MTIF(vth_mant=np.full(channels, vth), num_thresholds=2, bias=bias)

    def layer(name, shape, source, synapse, compartment, delay=0):
        connection = Connection(source=source, synapse=synapse, delay=delay)
        return Layer(
            name=name,
            shape=shape,
            connections=(connection,),
            compartment=compartment,
            scale=1.0,
        )

    first = weight(3, 1, 2, 2)
    first[2] = -254
    layers = (
        layer(
            "first", (3, 3, 3), "input", Conv(weight=first, stride=(2, 2)), mtif(3, 300)
        ),
        layer(
            "pool",
            (3, 1, 1),
            "first",
            AveragePool(channels=3, kernel_size=(3, 3)),
            mtif(3, 6),
        ),
        layer(
            "groups",
            (3, 1, 1),
            "pool",
            Conv(weight=weight(3, 1, 3, 1), padding=(1, 0), groups=3),
            mtif(3, 40),
        ),
        Layer(
            name="out",
            shape=(1, 2, 2),
            connections=(
                Connection(
                    source="groups", synapse=ConvTranspose(weight=weight(3, 1, 3, 3))
                ),
            ),
            compartment=Accumulator(bias=Bias(mant=rng.integers(-20, 20, 1))),
            scale=1.0,
        ),
    )
    source = Input(shape=(1, *SIZE), minimum=0, maximum=31, scale=1.0)
    return Network(input=source, layers=layers, num_steps=4, task="test")


def with_flip(found, flip):
    """The network with that bit flipped, or None where no network may be so."""
    layer = found.nodes[flip.layer]
    compartment, connections = layer.compartment, list(layer.connections)
    if flip.what == "bias":
        mant = compartment.bias.mant.copy()
        mant[flip.index] = flipped(mant[flip.index], flip.bit, BIAS_BITS)
        bias = dataclasses.replace(compartment.bias, mant=mant)
        compartment = dataclasses.replace(compartment, bias=bias)
    elif flip.what == "threshold":
        vth = compartment.vth_mant.copy()
        vth[flip.index] = other_threshold(layer, flip)
        if not vth.all():
            return None
        compartment = dataclasses.replace(compartment, vth_mant=vth)
    else:
        number = int(flip.what.split()[1])
        c = connections[number]
        change = 2 * level_change(c, flip)
        if isinstance(c.synapse, AveragePool):
            mant = c.synapse.weight_mant + change
            if not 2 <= mant <= 254:
                return None
            other = dataclasses.replace(c.synapse, weight_mant=mant)
        else:
            weight = c.synapse.weight.copy()
            weight[flip.index] += change
            other = dataclasses.replace(c.synapse, weight=weight)
        connections[number] = dataclasses.replace(c, synapse=other)
    changed = dataclasses.replace(
        layer, compartment=compartment, connections=tuple(connections)
    )
    layers = tuple(changed if x is layer else x for x in found.layers)
    return dataclasses.replace(found, layers=layers)


def first_pictures(found, count):
    return np.stack([p.levels for p in itertools.islice(stimuli(found.input), count)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_every_flipped_bit_is_found_or_changes_nothing(seed):
    found = network(seed)
    report = choose(found, seed=seed).flips
    assert report.total == 675 == len(list(every_flip(found)))
    reachable = Reachable(found)
    assert not [flip for flip in report.left if not reachable.changes_nothing(flip)]


def test_every_flipped_bit_of_the_selftest_is_found():
    found = small_network()
    report = choose(found).flips
    assert report.total == count_flips(found) == 4476
    assert not report.left


def test_who_notices_is_what_a_flipped_network_shows():
    """The short way, one channel's arithmetic, against a run of the other network."""
    found = network(2)
    pictures = first_pictures(found, 18)
    backend = create("reference")
    right = backend.run(found, pictures)
    noticing, bounds = Noticing(found, right), Bounds(found)
    reachable = Reachable(found)
    flips = list(every_flip(found))
    seen = set()
    for i in np.random.default_rng(0).permutation(len(flips))[:150]:
        flip = flips[i]
        other = with_flip(found, flip)
        if other is None:
            assert noticing(flip)
            continue
        payloads = backend.run(other, pictures)
        differs = not np.array_equal(payloads.output, right.output) or any(
            not np.array_equal(payloads.payloads[name], right.payloads[name])
            for name in right.payloads
        )
        proved = bounds.changes_nothing(flip)
        assert noticing(flip) == differs
        assert not (proved and differs)
        seen.add((flip.what, differs, proved))
        if flip.layer == "groups" and differs:
            assert not reachable.changes_nothing(flip)
    assert {("weight 0", True, False), ("weight 0", False, True)} <= seen
    assert {("bias", True, False), ("threshold", True, False)} <= seen


def test_a_search_finds_what_pictures_do_not_show():
    found = small_network()
    pictures = first_pictures(found, 9)
    left = unnoticed(found, record(found, pictures))
    rng = np.random.default_rng(0)
    weights = [flip for flip in left if "weight" in flip.what][:4]
    assert weights
    for flip in weights:
        levels = search(Sums(found), flip, list(pictures), rng)
        found.input.check(levels[None])
        assert Noticing(found, create("reference").run(found, levels[None]))(flip)


def test_black_pictures_find_little():
    found = network(0)
    black = np.zeros((1, 1, *SIZE), dtype=np.int32)
    left = unnoticed(found, create("reference").run(found, black))
    assert sum(flip.what.startswith("weight") for flip in left) > 100
