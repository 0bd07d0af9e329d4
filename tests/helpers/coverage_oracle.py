# SPDX-License-Identifier: BSD-3-Clause
"""What had a say, counted in plain Python: one weight, one product at a time.

Shares no code with sim/: for every compartment, every weight and every step it asks
whether the payload that the weight reads is zero.
"""

import collections

from oracle import planes, run_image, step, theta_of

from export.compartment import MTIF
from export.synapse import AveragePool, Conv, ConvTranspose


def conv_reads(conv, shape, c, y, x):
    """(weight index, source position) of every product into one compartment."""
    c_out, c_in, kh, kw = conv.weight.shape
    first = c // (c_out // conv.groups) * c_in
    for i in range(c_in):
        for ky in range(kh):
            for kx in range(kw):
                row = y * conv.stride[0] - conv.padding[0] + ky * conv.dilation[0]
                column = x * conv.stride[1] - conv.padding[1] + kx * conv.dilation[1]
                if 0 <= row < shape[1] and 0 <= column < shape[2]:
                    yield (c, i, ky, kx), (first + i, row, column)


def conv_transpose_reads(conv, shape, c, y, x):
    _, _, kh, kw = conv.weight.shape
    for i in range(shape[0]):
        for row in range(shape[1]):
            for column in range(shape[2]):
                ky = y + conv.padding[0] - row * conv.stride[0]
                kx = x + conv.padding[1] - column * conv.stride[1]
                if 0 <= ky < kh and 0 <= kx < kw:
                    yield (i, c, ky, kx), (i, row, column)


def pool_reads(pool, shape, c, y, x):
    kh, kw = pool.kernel_size
    for ky in range(kh):
        for kx in range(kw):
            yield (), (c, y * kh + ky, x * kw + kx)


READS = {Conv: conv_reads, ConvTranspose: conv_transpose_reads, AveragePool: pool_reads}


def places(shape):
    return [
        (c, y, x)
        for c in range(shape[0])
        for y in range(shape[1])
        for x in range(shape[2])
    ]


def count(network, images):
    """Weights met, channels that fired, and channels that came near, as sets.

    Weights are (layer, number of the connection, index into the weight array).
    """
    met, fired, near = set(), collections.defaultdict(set), collections.defaultdict(set)
    for image in images:
        payloads, _ = run_image(network, image)
        sent = {network.input.name: [image.tolist()] * network.num_steps} | payloads
        for name, node in network.nodes.items():
            for step_planes in sent[name]:
                for c, y, x in places(node.shape):
                    if step_planes[c][y][x] != 0:
                        fired[name].add(c)
        for layer in network.layers:
            for number, connection in enumerate(layer.connections):
                reads = READS[type(connection.synapse)]
                shape = network.nodes[connection.source].shape
                for place in places(layer.shape):
                    for weight, (i, y, x) in reads(connection.synapse, shape, *place):
                        for step_planes in sent[connection.source]:
                            if step_planes[i][y][x] != 0:
                                met.add((layer.name, number, weight))
            near[layer.name] |= near_channels(layer, sent, network.num_steps)
    return met, fired, near


def near_channels(layer, sent, num_steps):
    """Channels whose potential rose above 0 before it was reset."""
    if not isinstance(layer.compartment, MTIF):
        return set(range(layer.shape[0]))
    found = set()
    v = planes(layer.shape, lambda *_: 0)
    for t in range(num_steps):
        for c, y, x in places(layer.shape):
            payload = sent[layer.name][t][c][y][x]
            theta = theta_of(layer.compartment, c)
            before = potential(layer, sent, t, v[c][y][x], c, y, x)
            if before > 0:
                found.add(c)
            v[c][y][x] = before - payload * theta
    return found


class _Listening:
    """A layer like another whose compartments only add up."""

    def __init__(self, layer):
        self.connections = layer.connections
        self.compartment = type("Adder", (), {"bias": layer.compartment.bias})


def potential(layer, sent, t, v, c, y, x):
    """Potential after the input of step t."""
    cell = {c: {y: {x: v}}}
    step(_Listening(layer), sent, t, cell, c, y, x)
    return cell[c][y][x]
