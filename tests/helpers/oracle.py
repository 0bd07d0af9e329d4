# SPDX-License-Identifier: BSD-3-Clause
"""The network in plain Python integers, written from the design's equations.

Shares no code with sim/: no NumPy arithmetic, no clock, no closed form. A pixel of
a layer is computed from the definition of its synapse, one product at a time.
"""

import functools
import itertools
from copy import deepcopy

from export.compartment import MTIF
from export.synapse import AveragePool, Conv, ConvTranspose


def conv_at(conv, source, c, y, x):
    c_out, c_in, kh, kw = conv.weight.shape
    first = c // (c_out // conv.groups) * c_in
    total = 0
    for i in range(c_in):
        for ky in range(kh):
            for kx in range(kw):
                row = y * conv.stride[0] - conv.padding[0] + ky * conv.dilation[0]
                column = x * conv.stride[1] - conv.padding[1] + kx * conv.dilation[1]
                if 0 <= row < len(source[0]) and 0 <= column < len(source[0][0]):
                    total += (
                        int(conv.weight[c, i, ky, kx]) * source[first + i][row][column]
                    )
    return total


def conv_transpose_at(conv, source, c, y, x):
    _, _, kh, kw = conv.weight.shape
    total = 0
    for i, plane in enumerate(source):
        for row, line in enumerate(plane):
            for column, value in enumerate(line):
                ky = y + conv.padding[0] - row * conv.stride[0]
                kx = x + conv.padding[1] - column * conv.stride[1]
                if 0 <= ky < kh and 0 <= kx < kw:
                    total += int(conv.weight[i, c, ky, kx]) * value
    return total


def pool_at(pool, source, c, y, x):
    kh, kw = pool.kernel_size
    return pool.weight_mant * sum(
        source[c][y * kh + ky][x * kw + kx] for ky in range(kh) for kx in range(kw)
    )


AT = {Conv: conv_at, ConvTranspose: conv_transpose_at, AveragePool: pool_at}


def planes(shape, value):
    return [
        [[value(c, y, x) for x in range(shape[2])] for y in range(shape[1])]
        for c in range(shape[0])
    ]


def run_image(network, image):
    """Return ({layer: [payload planes per step]}, final potential planes)."""
    sent = {network.input.name: [image.tolist()] * network.num_steps}
    payloads = {}
    for layer in network.layers:
        rest = functools.partial(at_rest, layer.compartment)
        v = planes(layer.shape, rest)
        sent[layer.name] = []
        for t in range(network.num_steps):
            emitted = planes(layer.shape, lambda *_: 0)
            for c in range(layer.shape[0]):
                for y in range(layer.shape[1]):
                    for x in range(layer.shape[2]):
                        emitted[c][y][x] = step(layer, sent, t, v, c, y, x)
            sent[layer.name].append(emitted)
        payloads[layer.name] = sent[layer.name]
    return payloads, v


def theta_of(compartment, c):
    vth = compartment.vth_mant.tolist()
    return vth[c] if len(vth) > 1 else vth[0]


def at_rest(compartment, c, _y, _x):
    """A potential, or the list of those of parallel compartments."""
    if isinstance(compartment, MTIF) and compartment.mapping == "parallel-if":
        copies = 2**compartment.num_thresholds - 1
        return [theta_of(compartment, c) * copy for copy in range(copies)]
    return 0


def step(layer, sent, t, v, c, y, x):
    compartment = layer.compartment
    bias = compartment.bias
    current = int(bias.mant[c]) * 2**bias.exp
    for connection in layer.connections:
        at = AT[type(connection.synapse)]
        total = at(connection.synapse, sent[connection.source][t], c, y, x)
        current += total * 2**connection.weight_exp
    if isinstance(v[c][y][x], list):
        return parallel_step(v[c][y][x], current, theta_of(compartment, c))
    v[c][y][x] += current
    if not isinstance(compartment, MTIF):
        return 0
    theta = theta_of(compartment, c)
    payload = 0
    for i in reversed(range(compartment.num_thresholds)):
        if v[c][y][x] >= theta * 2**i:
            v[c][y][x] -= theta * 2**i
            payload += 2**i
    return payload


def parallel_step(potentials, current, theta):
    """K compartments with one threshold each; how many of them fire."""
    spikes = 0
    for copy in range(len(potentials)):
        potentials[copy] += current
        if potentials[copy] >= len(potentials) * theta:
            potentials[copy] -= len(potentials) * theta
            spikes += 1
    return spikes


def first_overflow(network, images):
    """Place of the first overflow, (image, layer, step, what), or None.

    Image by image and, within one, time step by time step: a layer of stage l does step
    t at time step t + l.
    """
    for number, image in enumerate(images):
        place = first_overflow_of(network, image)
        if place is not None:
            return (number, *place)
    return None


def first_overflow_of(network, image):
    sent = {network.input.name: [image.tolist()] * network.num_steps}
    potentials = {}
    for layer in network.layers:
        rest = functools.partial(at_rest, layer.compartment)
        potentials[layer.name] = planes(layer.shape, rest)
        sent[layer.name] = []
    for time in range(network.num_steps + max(network.stages.values())):
        for layer in network.layers:
            t = time - network.stages[layer.name]
            if not 0 <= t < network.num_steps:
                continue
            what = overflow_of_step(layer, sent, t, potentials[layer.name])
            if what is not None:
                return layer.name, t, what
    return None


def overflow_of_step(layer, sent, t, v):
    """Do a step of a layer; what overflows in it, or None."""
    for connection in layer.connections:
        at = AT[type(connection.synapse)]
        source = sent[connection.source][t]
        sums = [
            at(connection.synapse, source, *place) * 2**connection.weight_exp
            for place in places(layer.shape)
        ]
        if outside(sums) is not None:
            return f"input from '{connection.source}' {outside(sums)}"
    before = deepcopy(v)
    emitted = planes(layer.shape, lambda *_: 0)
    for c, y, x in places(layer.shape):
        emitted[c][y][x] = step(layer, sent, t, v, c, y, x)
    sent[layer.name].append(emitted)
    after = []
    for c, y, x in places(layer.shape):
        bias = layer.compartment.bias
        current = int(bias.mant[c]) * 2**bias.exp
        for connection in layer.connections:
            at = AT[type(connection.synapse)]
            total = at(connection.synapse, sent[connection.source][t], c, y, x)
            current += total * 2**connection.weight_exp
        was = before[c][y][x]
        after += [u + current for u in (was if isinstance(was, list) else [was])]
    worst = outside(after)
    return None if worst is None else f"potential {worst}"


def places(shape):
    return itertools.product(*map(range, shape))


def outside(values):
    """The worst value outside 24 bits signed: the smallest if too small."""
    if min(values) < -(2**23):
        return min(values)
    return max(values) if max(values) >= 2**23 else None
