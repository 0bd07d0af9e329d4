# SPDX-License-Identifier: BSD-3-Clause
"""24 bits signed: the last value that fits passes, the next names layer and step."""

import multiprocessing

import numpy as np
import pytest

from export.compartment import Accumulator, Bias
from export.network import Connection, Input, Layer, Network
from export.synapse import Conv
from sim.backend import OverflowLayerError, create
from sim.overflow import check_range, overflow
from sim.streaming import stream


def accumulator(weight, weight_exp, bias, bias_exp, num_steps, payload):
    source = Input(shape=(1, 1, 1), minimum=-payload, maximum=payload, scale=1.0)
    layer = Layer(
        name="sum",
        shape=(1, 1, 1),
        connections=(
            Connection(
                source="input",
                synapse=Conv(weight=np.full((1, 1, 1, 1), weight)),
                weight_exp=weight_exp,
            ),
        ),
        compartment=Accumulator(bias=Bias(mant=np.array([bias]), exp=bias_exp)),
        scale=1.0,
    )
    return Network(input=source, layers=(layer,), num_steps=num_steps, task="test")


BACKENDS = [
    "reference",
    "torch",
    pytest.param("cuda", marks=pytest.mark.cuda),
    pytest.param("lava", marks=pytest.mark.lava),
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_largest_and_smallest_values_pass(backend):
    # 2**22 a step: -2**23 after two steps fits, and 2**23 - 1 with bias... see below.
    low = accumulator(-256, 0, 0, 0, 2, 2**14)
    run = create(backend).run(low, np.full((1, 1, 1, 1), 2**14))
    assert run.output.item() == -(2**23)
    high = accumulator(2, 0, 1, 0, 1, 2**22 - 1)
    run = create(backend).run(high, np.full((1, 1, 1, 1), 2**22 - 1))
    assert run.output.item() == 2**23 - 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_potential_beyond_24_bits(backend):
    network = accumulator(128, 0, 0, 0, 3, 2**15)  # 2**22 a step: step 1 overflows
    with pytest.raises(
        OverflowLayerError,
        match=r"layer 'sum', step 1: potential 8388608 outside 24 bits signed",
    ) as caught:
        create(backend).run(network, np.full((1, 1, 1, 1), 2**15))
    assert (caught.value.layer, caught.value.step) == ("sum", 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_shifted_sum_beyond_24_bits(backend):
    network = accumulator(254, 3, -4096, 7, 1, 2**13)  # the bias would hide it
    with pytest.raises(
        OverflowLayerError,
        match=r"layer 'sum', step 0: input from 'input' 16646144 outside",
    ):
        create(backend).run(network, np.full((1, 1, 1, 1), 2**13))


@pytest.mark.parametrize("backend", BACKENDS)
def test_overflow_in_mid_stream(backend):
    """What was finished before has been given out; the processes are gone."""
    network = accumulator(128, 0, 0, 0, 3, 2**15)
    frames = [np.full((1, 1, 1), level) for level in (1, 2, 3, 2**15)]
    outputs = []
    recordings = stream(network, frames, backend=backend)
    with pytest.raises(OverflowLayerError, match="layer 'sum', step 1: potential 8388"):
        outputs.extend(recording.output.item() for recording in recordings)
    assert outputs in ([384, 768], [384, 768, 1152])
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("fits", [(-(2**23), 2**23 - 1), (0, 0)])
def test_what_24_bits_hold(fits):
    assert overflow(fits, "a", 0, "potential") is None
    check_range(fits, "a", 0, "potential")


@pytest.mark.parametrize(
    ("extremes", "worst"),
    [
        ((0, 2**23), 2**23),
        ((-(2**23) - 1, 0), -(2**23) - 1),
        ((-(2**23) - 1, 2**30), -(2**23) - 1),
    ],
)
def test_the_worst_value_is_named(extremes, worst):
    error = overflow(extremes, "a", 3, "potential", image=2)
    assert (error.layer, error.step, error.image) == ("a", 3, 2)
    assert error.what == f"potential {worst}"
    with pytest.raises(OverflowLayerError, match=f"'a', step 3: potential {worst} out"):
        check_range(extremes, "a", 3, "potential")
