# SPDX-License-Identifier: BSD-3-Clause
"""Child process of `benchmarks.torture.geometry`: ``KIND FIRST END FOLDER``.

It prints what `benchmarks.torture.worker` prints, of random convolutions. A crash of
oneDNN is one of this process.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np

from export.compartment import Accumulator, Bias
from export.network import Connection, Input, Layer, Network
from export.synapse import Conv, IntArray
from loihi_unet.errors import UserError
from sim.reference.simulator import ReferenceSimulator
from sim.torch import int8 as torch_int8
from sim.torch.simulator import TorchSimulator
from sim.torch.synapse import ProvenConv
from sim.verify.comparison import compare

#: Largest sum of levels times payloads; of mantissas, it is twice that.
LARGEST_SUM = 2**22 - 2**12
LARGEST = {"kernel": 8, "stride": 5, "padding": 8, "dilation": 5}


def draw(number: int) -> tuple[Network, IntArray]:
    """Network of one convolution, and pictures for it: case ``number``."""
    random = np.random.default_rng([7, number])

    def pair(what: str, least: int = 1) -> tuple[int, int]:
        # Small values are what networks have; large ones what breaks.
        largest = int(random.choice([3, LARGEST[what]]))
        low, high = random.integers(least, largest, 2)
        if random.random() < 0.4:
            high = low
        return int(low), int(high)

    kernel, stride, dilation = pair("kernel"), pair("stride"), pair("dilation")
    padding = pair("padding", 0)
    groups = int(random.choice([1, 1, 1, 2, 3, 8, 16, 20]))
    per_group = [int(random.choice([1, 2, 3, 4, 7, 8, 16, 20])) for _ in range(2)]
    if groups > 3 and random.random() < 0.7:
        per_group = [1, int(random.integers(1, 3))]
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    height, width = (
        max(1, r - 2 * p) + int(random.integers(0, random.choice([2, 8, 40])))
        for r, p in zip(reach, padding, strict=True)
    )
    maximum = int(random.choice([15, 127, 255]))
    terms = per_group[0] * kernel[0] * kernel[1]
    level = min(128, LARGEST_SUM // (maximum * terms))
    size = (groups * per_group[1], per_group[0], *kernel)
    levels = random.integers(-level, min(level, 127) + 1, size)
    levels[random.random(len(levels)) < 0.2] = -level
    conv = Conv(
        weight=2 * levels,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    shape = (groups * per_group[0], height, width)
    source = Input(shape=shape, minimum=0, maximum=maximum, scale=1.0)
    bias = random.integers(-4096, 4096, len(levels))
    layer = Layer(
        name="sum",
        shape=conv.output_shape(shape),
        connections=(Connection(source="input", synapse=conv),),
        compartment=Accumulator(bias=Bias(mant=bias)),
        scale=1.0,
    )
    network = Network(input=source, layers=(layer,), num_steps=1, task="test")
    count = int(random.choice([1, 2, 4, 9]))
    images = random.integers(0, maximum + 1, (count, *shape))
    images[0] = maximum
    return network, images


def judge(network: Network, images: IntArray) -> tuple[bool, str, str]:
    """(survived, outcome, detail) of one convolution."""
    simulator = TorchSimulator(batch=len(images))
    try:
        recording = simulator.run(network, images)
        expected = ReferenceSimulator().run(network, images)
    except UserError as error:
        return False, type(error).__name__, str(error)
    taken = way(simulator, network, images)
    if compare(recording, expected).identical:
        return True, taken, ""
    assert recording.output is not None
    assert expected.output is not None
    wrong = int((recording.output != expected.output).sum())
    return False, f"wrong: {taken}", f"{wrong} of {expected.output.size}"


def way(simulator: TorchSimulator, network: Network, images: IntArray) -> str:
    """What did the convolution."""
    sums = simulator._prepared[network][0].connections[0].sums
    if not isinstance(sums, ProvenConv):
        return "float32: never tried in int8"
    if torch_int8.is_exact(sums.geometry, images.shape, sums.limit):
        return f"int8, payloads to {sums.limit}"
    return "float32: int8 is not exact in this shape, or never tried in it"


def main() -> None:
    first, end = int(sys.argv[2]), int(sys.argv[3])
    for number in range(first, end):
        network, images = draw(number)
        print("begin", number, "convolution", flush=True)
        started = time.process_time()
        survived, outcome, detail = judge(network, images)
        conv = network.layers[0].connections[0].synapse
        assert isinstance(conv, Conv)
        record = {
            "number": number,
            "damage": "convolution",
            "survived": survived,
            "outcome": outcome,
            "detail": f"{detail} weight {conv.weight.shape} stride {conv.stride} "
            f"padding {conv.padding} dilation {conv.dilation} groups {conv.groups} "
            f"on {images.shape}",
            "cpu_seconds": time.process_time() - started,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
