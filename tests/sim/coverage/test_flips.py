# SPDX-License-Identifier: BSD-3-Clause
"""Single flipped bits of small networks are found, or proved to change nothing."""

import dataclasses

import numpy as np
import pytest
from flips import BIAS_BITS, every_flip, flipped, unnoticed

from export.compartment import MTIF, Accumulator, Bias
from export.network import Connection, Input, Layer, Network
from export.synapse import AveragePool, Conv, ConvTranspose
from sim.backend import create
from sim.coverage.choose import choose
from sim.coverage.taps import met_taps

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


def highest(found, name, channel):
    """Most that a channel can receive in a step, whatever its sources send.

    A channel that is proved never to fire sends nothing.
    """
    where = found.nodes[name]
    total = int(where.compartment.bias.effective()[channel])
    for c in where.connections:
        s = c.synapse
        if isinstance(s, AveragePool):
            weights = {channel: np.full(s.kernel_size, s.weight_mant)}
        elif isinstance(s, ConvTranspose):
            weights = dict(enumerate(s.weight[:, channel]))
        else:
            first = channel // (len(s.weight) // s.groups) * s.weight.shape[1]
            weights = dict(enumerate(s.weight[channel], start=first))
        magnitude = found.nodes[c.source].magnitude << c.weight_exp
        for source, values in weights.items():
            if not silent(found, c.source, source):
                total += int(np.maximum(values, 0).sum()) * magnitude
    return total


def reach(found, name, channel):
    """Highest potential that all steps together can give a channel."""
    return highest(found, name, channel) * found.num_steps


def silent(found, name, channel):
    """Proved never to fire: no step lifts it to its threshold."""
    if name == found.input.name:
        return False
    compartment = found.nodes[name].compartment
    if isinstance(compartment, Accumulator):
        return False  # it is read, whatever its potential
    vth = compartment.vth_mant
    return reach(found, name, channel) < int(vth[channel if len(vth) > 1 else 0])


def proved(found, flip):
    """Whether a flip provably changes nothing."""
    where = found.nodes[flip.layer]
    if flip.what == "threshold":
        channel = flip.index[0]
        theta = int(where.compartment.vth_mant[channel]) ^ 1 << flip.bit
        return silent(found, flip.layer, channel) and (
            theta > reach(found, flip.layer, channel)
        )
    if flip.what == "bias":
        channel = flip.index[0]
        bias = where.compartment.bias
        mant = int(bias.mant[channel])
        change = (flipped(mant, flip.bit, BIAS_BITS) - mant) << bias.exp
        if isinstance(where.compartment, Accumulator):
            return False
        more = max(0, change) * found.num_steps
        theta = int(where.compartment.vth_mant[channel])
        return (
            silent(found, flip.layer, channel)
            and reach(found, flip.layer, channel) + more < theta
        )
    c = where.connections[int(flip.what.split()[1])]
    s = c.synapse
    if isinstance(s, AveragePool):
        return False
    transposed = isinstance(s, ConvTranspose)
    out, into = flip.index[1 if transposed else 0], flip.index[0 if transposed else 1]
    if not transposed:
        into += out // (len(s.weight) // s.groups) * s.weight.shape[1]
    shape = found.nodes[c.source].shape
    if not met_taps(s, np.zeros(shape, dtype=np.int64), 1)[
        into, flip.index[2], flip.index[3]
    ]:
        return True  # at this size its product reaches no compartment
    if silent(found, c.source, into):
        return True
    weight = s.weight.copy()
    level = (int(weight[flip.index]) // 2 ^ 1 << flip.bit) & 255
    weight[flip.index] = 2 * (level - 256 if level > 127 else level)
    other = dataclasses.replace(
        found,
        layers=tuple(
            dataclasses.replace(
                x,
                connections=(
                    dataclasses.replace(
                        c, synapse=dataclasses.replace(s, weight=weight)
                    ),
                ),
            )
            if x is where
            else x
            for x in found.layers
        ),
    )
    return silent(found, flip.layer, out) and silent(other, flip.layer, out)


def recorded(found, levels):
    return create("reference").run(found, np.stack(levels))


#: Flips of 675 that are neither found by 180 pictures nor proved to change nothing: low
#: bits whose effect no picture lifted over a threshold.
LEFT = {0: 8, 2: 2}


@pytest.mark.parametrize("seed", LEFT)
def test_flipped_bits_are_found_or_change_nothing(seed):
    found = network(seed)
    levels = [p.levels for p in choose(found, count=180, seed=seed).pictures]
    left = list(every_flip(found))
    assert len(left) == 675
    for first, last in ((0, 4), (4, 20), (20, 80), (80, 180)):
        left = unnoticed(found, recorded(found, levels[first:last]), left)
        left = [flip for flip in left if not proved(found, flip)]
    assert len(left) <= LEFT[seed]
    assert not [flip for flip in left if flip.bit > 4 and "weight" in flip.what]


def test_black_pictures_find_little():
    found = network(0)
    black = [np.zeros((1, *SIZE), dtype=np.int32)]
    left = unnoticed(found, recorded(found, black))
    assert sum(flip.what.startswith("weight") for flip in left) > 100
