# SPDX-License-Identifier: BSD-3-Clause
"""Every single flipped bit of small networks is found, or proved to change nothing."""

import dataclasses

import numpy as np
import pytest
from flips import every_flip, unnoticed

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
    """Most that a channel can receive in a step, whatever its sources send."""
    where = found.nodes[name]
    total = int(where.compartment.bias.effective()[channel])
    for c in where.connections:
        s = c.synapse
        if isinstance(s, AveragePool):
            weights = np.full(s.kernel_size, s.weight_mant)
        else:
            weights = (
                s.weight[:, channel]
                if isinstance(s, ConvTranspose)
                else s.weight[channel]
            )
        total += (
            int(np.maximum(weights, 0).sum()) * found.nodes[c.source].magnitude
            << c.weight_exp
        )
    return total


def silent(found, name, channel):
    """Proved never to fire: it receives nothing positive, in no step.

    A pool of a channel that never fires receives its bias alone.
    """
    if name == found.input.name:
        return False
    (c,) = found.nodes[name].connections
    if isinstance(c.synapse, AveragePool) and silent(found, c.source, channel):
        return int(found.nodes[name].compartment.bias.effective()[channel]) <= 0
    return highest(found, name, channel) <= 0


def proved(found, flip):
    """Whether a flip provably changes nothing."""
    where = found.nodes[flip.layer]
    if flip.what == "threshold":
        return silent(found, flip.layer, flip.index[0])
    if flip.what == "bias":
        return (
            silent(found, flip.layer, flip.index[0])
            and flip.bit < 12
            and (highest(found, flip.layer, flip.index[0]) + (1 << flip.bit) <= 0)
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


@pytest.mark.parametrize("seed", [1])
def test_every_flipped_bit_is_found_or_changes_nothing(seed):
    found = network(seed)
    levels = [p.levels for p in choose(found, count=180, seed=seed).pictures]
    left = list(every_flip(found))
    count = len(left)
    for first, last in ((0, 4), (4, 20), (20, 80), (80, 180)):
        left = unnoticed(found, recorded(found, levels[first:last]), left)
        left = [flip for flip in left if not proved(found, flip)]
    assert count > 500
    assert left == []


def test_black_pictures_find_little():
    found = network(0)
    black = [np.zeros((1, *SIZE), dtype=np.int32)]
    left = unnoticed(found, recorded(found, black))
    assert sum(flip.what.startswith("weight") for flip in left) > 100
