# SPDX-License-Identifier: BSD-3-Clause
"""Every backend names the same overflow: that of an oracle in plain Python integers."""

import numpy as np
import oracle
import pytest
import stocks
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from strategies import overflowing_runs

from export.compartment import MTIF, Accumulator, Bias
from export.errors import UnsupportedLayerError
from export.network import Connection, Input, Layer, Network
from export.stock_compartment import Delta
from export.stock_network import Frames, StockNetwork
from export.synapse import Conv
from sim.backend import OverflowLayerError, create
from sim.streaming import stream
from sim.torch.simulator import TorchSimulator


def place(run):
    """(image, layer, step, what), or None."""
    try:
        run()
    except OverflowLayerError as error:
        return error.image, error.layer, error.step, error.what
    return None


@given(overflowing_runs())
def test_reference_and_torch_name_the_overflow_of_the_oracle(run):
    network, images = run
    expected = oracle.first_overflow(network, images)
    assert place(lambda: create("reference").run(network, images)) == expected
    for batch in (1, 2, 3):
        simulator = TorchSimulator(batch=batch)
        assert place(lambda s=simulator: s.run(network, images)) == expected
    for backend in ("reference", "torch"):
        frames = stream(network, images, backend=backend, batch=2)
        assert place(lambda f=frames: list(f)) == expected


def test_the_examples_overflow_in_every_way():
    """Else the test above would compare nothing with nothing."""
    seen = set()

    # Hypothesis also draws constants of the modules that other tests have loaded.
    @settings(max_examples=400, database=None, derandomize=True)
    @given(overflowing_runs())
    def collect(run):
        network, images = run
        found = place(lambda: create("torch").run(network, images))
        seen.add("none" if found is None else found[3].split()[0])
        if found is not None:
            image, layer, step, _ = found
            seen.add(f"image {image > 0}")
            seen.add(f"step {step > 0}")
            seen.add(f"first layer {layer == network.layers[0].name}")
            by_name = {x.name: x for x in network.layers}
            seen.add(getattr(by_name[layer].compartment, "mapping", "accumulator"))

    collect()
    assert seen == {
        *("none", "input", "potential", "image True", "image False"),
        *("step True", "step False", "first layer True", "first layer False"),
        *("graded", "parallel-if", "binary-if", "accumulator"),
    }


BACKENDS = ["reference", "torch", pytest.param("lava", marks=pytest.mark.lava)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_images_under_way_at_once(backend):
    """The second image overflows a step before the first does, which is deeper."""
    shape = (1, 1, 1)

    def layer(name, source, weight, compartment, exp=0):
        synapse = Conv(weight=np.full((1, 1, 1, 1), weight))
        connection = Connection(source=source, synapse=synapse, weight_exp=exp)
        return Layer(
            name=name,
            shape=shape,
            connections=(connection,),
            compartment=compartment,
            scale=1.0,
        )

    rest = Bias(mant=np.array([0]))
    neuron = MTIF(vth_mant=np.array([1]), num_thresholds=9, bias=rest)
    # 511 * 254 << 7 is 16,613,632; an image of 1 sends 254 only.
    network = Network(
        input=Input(shape=shape, minimum=-(2**20), maximum=511, scale=1.0),
        layers=(
            layer("a", "input", 254, neuron),
            layer("b", "a", 2, neuron),
            layer("c", "b", 2, neuron),
            layer("d", "c", 254, Accumulator(bias=rest), 7),
        ),
        num_steps=1,
        task="test",
    )
    images = np.array([0, 511, -(2**20), -(2**20)]).reshape(4, *shape)
    expected = (1, "d", 0, "input from 'c' 16613632")
    assert oracle.first_overflow(network, images) == expected
    assert place(lambda: create(backend).run(network, images)) == expected
    # Alone, the third image overflows at a time step at which 'c' has the second.
    last = (0, "a", 0, "input from 'input' -266338304")
    assert place(lambda: create(backend).run(network, images[2:])) == last
    frames = stream(network, images, backend=backend, batch=1)
    assert place(lambda: list(frames)) == expected


@pytest.mark.lava
@settings(max_examples=3)
@given(overflowing_runs(max_images=2))
def test_lava_names_the_overflow_of_the_oracle(run):
    network, images = run
    expected = oracle.first_overflow(network, images)
    try:
        found = place(lambda: create("lava").run(network, images))
    except UnsupportedLayerError:  # a transposed convolution's sides, for one
        reject()
    assert found == expected


@settings(max_examples=30)
@given(
    kind=st.sampled_from(sorted(set(stocks.KINDS) - {"injected"})),
    seed=st.integers(0, 2**16),
    factor=st.sampled_from([2**8, 2**12, 2**16]),
)
def test_stock_networks(kind, seed, factor):
    """Inputs far above what the network was made for."""
    quiet = stocks.KINDS[kind](seed)
    network = stocks.loud(quiet)
    values = stocks.inputs(quiet, seed, runs=2).astype(np.int64) * factor
    expected = place(lambda: create("reference").run(network, values))
    assert place(lambda: create("torch").run(network, values)) == expected


@pytest.mark.lava
@pytest.mark.parametrize("factor", [2**10, 2**16])
@pytest.mark.parametrize("kind", sorted(set(stocks.KINDS) - {"injected"}))
def test_lava_names_the_overflow_of_stock_neurons(kind, factor):
    quiet = stocks.KINDS[kind](1)
    network = stocks.loud(quiet)
    values = stocks.inputs(quiet, 1, runs=1).astype(np.int64) * factor
    expected = place(lambda: create("reference").run(network, values))
    assert place(lambda: create("lava").run(network, values)) == expected
    assert place(lambda: create("lava").run(network, values, layers=())) == expected


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_difference_that_overflows_is_no_var_of_lava(backend):
    """From one end of the range to the other: 'act' fits, the step between does not."""
    shape = (1, 1, 1)
    network = StockNetwork(
        input=Frames(shape=shape, minimum=-(2**16), maximum=2**16, scale=1.0),
        layers=(
            stocks.layer(
                *("delta", "input", shape, Conv(weight=np.full((1, 1, 1, 1), 2))),
                Delta(vth_mant=1, spike_exp=0),
            ),
        ),
        num_steps=4,
        task="test",
    )
    values = np.array([60000, 60000, -60000, 0]).reshape(1, 4, *shape)
    assert place(lambda: create(backend).run(network, values, layers=())) == (
        *(0, "delta", 3, "delta -15360000"),
    )
