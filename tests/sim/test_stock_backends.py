# SPDX-License-Identifier: BSD-3-Clause
"""Stock neurons: reference and torch against each other and a scalar oracle."""

import numpy as np
import pytest
import stocks
from hypothesis import given, settings
from hypothesis import strategies as st

from export.compartment import Bias
from export.errors import NetworkError, RangeError
from export.stock_compartment import CUBA
from export.stock_network import Frames, StockNetwork
from export.synapse import Dense
from sim.backend import OverflowLayerError, create
from sim.recording import RecordingError
from sim.recording_file import read_recording, write_recording
from sim.reference.stock import cuba_step
from sim.verify.comparison import compare


@pytest.mark.parametrize("kind", stocks.KINDS)
@settings(max_examples=6)
@given(seed=st.integers(0, 2**16))
def test_reference_and_torch_agree_in_every_spike_and_state(kind, seed):
    network = stocks.KINDS[kind](seed)
    values = stocks.inputs(network, seed, runs=2)
    left = create("reference").run(network, values)
    right = create("torch").run(network, values)
    assert list(left.payloads) == list(network.traces)
    comparison = compare(left, right)
    assert comparison.identical, comparison.to_json()


@pytest.mark.parametrize("kind", stocks.KINDS)
def test_layers_are_alive(kind):
    """The comparisons compare something: every layer sends at some step."""
    network = stocks.KINDS[kind](0)
    payloads = create("reference").run(network, stocks.inputs(network)).payloads
    for layer in network.layers:
        assert payloads[layer.name].any(), layer.name


def oracle(u, v, a, bias, i_decay, v_decay, vth):
    """Rules of export.stock_compartment.CUBA in plain Python, one compartment."""

    def lose(x, amount):
        kept = abs(x) * (4096 - amount) // 4096
        return kept if x >= 0 else -kept

    u = lose(u, i_decay) + a * 64
    if u > 2**23:
        u -= 2**24
    if u <= -(2**23):
        u += 2**24
    v = max(-(2**23) + 1, min(2**23 - 1, lose(v, v_decay) + u + bias * 64))
    return (u, 0, 1) if v > vth * 64 else (u, v, 0)


STATES = st.one_of(
    st.integers(-(2**23) + 1, 2**23),
    st.sampled_from([-(2**23) + 1, -1, 0, 1, 2**23 - 1, 2**23]),
)
SUMS = st.one_of(
    st.integers(-(2**17), 2**17 - 1), st.sampled_from([-(2**17), 0, 2**17 - 1])
)
DECAYS = st.one_of(st.integers(0, 4096), st.sampled_from([0, 1, 4095, 4096]))


@given(
    STATES,
    STATES,
    SUMS,
    st.integers(-4096, 4095),
    DECAYS,
    DECAYS,
    st.integers(0, 2**17),
)
def test_cuba_step_is_the_oracle(u, v, a, bias, i_decay, v_decay, vth):
    compartment = CUBA(
        i_decay=i_decay, v_decay=v_decay, vth_mant=vth, bias=Bias(mant=[bias], exp=6)
    )
    found = cuba_step(
        np.array([u]),
        np.array([v]),
        np.array([a * 64]),
        np.array([bias * 64]),
        compartment,
    )
    expected = oracle(u, v, a, bias, i_decay, v_decay, vth)
    assert tuple(int(x[0]) for x in found) == expected


def test_hand_trace_of_one_synapse():
    """Weight 10, decay of a quarter, threshold 5: a pencil can follow it."""
    weight = Dense(weight=[[10]], delay=[[1]])
    neuron = CUBA(i_decay=4096, v_decay=1024, vth_mant=5, bias=Bias(mant=[2], exp=6))
    network = StockNetwork(
        input=Frames(shape=(1, 1, 1), minimum=0, maximum=1, scale=1.0),
        layers=(stocks.layer("one", "input", (1, 1, 1), weight, neuron),),
        num_steps=6,
        task="test",
    )
    spike_at_step_1 = np.array([1, 0, 0, 0, 0, 0]).reshape(1, 6, 1, 1, 1)
    for backend in ("reference", "torch"):
        found = create(backend).run(network, spike_at_step_1).payloads
        # Sent at step 1, one step of synapse, one of delay: it arrives at step 3.
        assert found["one:u"].ravel().tolist() == [0, 0, 640, 0, 0, 0]
        # 128, 128 * 3/4 + 128 = 224, 224 * 3/4 + 640 + 128 = 936 > 320: spike.
        assert found["one:v"].ravel().tolist() == [128, 224, 0, 128, 224, 296]
        assert found["one"].ravel().tolist() == [0, 0, 1, 0, 0, 0]


def dense_stream(weight, neuron, maximum):
    return StockNetwork(
        input=Frames(shape=(1, 1, 1), minimum=0, maximum=maximum, scale=1.0),
        layers=(stocks.layer("one", "input", (1, 1, 1), Dense(weight=weight), neuron),),
        num_steps=4,
        task="test",
    )


@pytest.mark.parametrize(
    "backend",
    ["reference", "torch", pytest.param("cuda", marks=pytest.mark.cuda)],
)
def test_sums_that_stock_rules_do_not_define_are_errors(backend):
    neuron = CUBA(i_decay=0, v_decay=0, vth_mant=1, bias=Bias(mant=[0], exp=6))
    network = dense_stream([[254]], neuron, 2**15)
    payload = np.zeros((1, 4, 1, 1, 1), dtype=int)
    payload[0, 1] = 517  # 254 * 517 = 131318 >= 2**17
    message = r"layer 'one', step 2: input from 'input' << 6 8404352 outside 24 bits"
    with pytest.raises(OverflowLayerError, match=message):
        create(backend).run(network, payload)
    payload[0, 1] = 2**15  # 254 * 2**15 = 8323072 fits, << 6 does not
    with pytest.raises(OverflowLayerError, match="<< 6 532676608 outside"):
        create(backend).run(network, payload)


@pytest.mark.parametrize(
    "backend",
    ["reference", "torch", pytest.param("cuda", marks=pytest.mark.cuda)],
)
def test_wide_sums_and_states_are_errors(backend):
    neuron = CUBA(i_decay=0, v_decay=0, vth_mant=1, bias=Bias(mant=[0], exp=6))
    payload = np.full((1, 4, 1, 1, 1), 2**16)
    with pytest.raises(OverflowLayerError, match="step 1: input from 'input' 16646144"):
        create(backend).run(dense_stream([[254]], neuron, 2**16), payload)
    network = stocks.sigma_delta()
    wide = Frames(shape=network.input.shape, minimum=0, maximum=2**22, scale=1.0)
    network = StockNetwork(
        input=wide, layers=network.layers[:1], num_steps=8, task="test"
    )
    values = np.full((1, 8, *wide.shape), 2**12)
    with pytest.raises(
        OverflowLayerError, match="layer 'delta', step 0: delta 16777216"
    ):
        create(backend).run(network, values)


def test_inputs_are_checked():
    network = stocks.spiking()
    values = stocks.inputs(network)
    with pytest.raises(NetworkError, match=r"frames of shape .* \(runs, T, 2, 6, 7\)"):
        create("reference").run(network, values[0])
    with pytest.raises(NetworkError, match="runs of 11 frames found, num_steps is 12"):
        create("reference").run(network, values[:, :11])
    with pytest.raises(RangeError, match=r"values 0\.\.2 found, 0\.\.1 allowed"):
        create("torch").run(network, values * 2)


def test_recording_of_chosen_traces_survives_its_file(tmp_path):
    network = stocks.spiking()
    values = stocks.inputs(network)
    recording = create("torch").run(network, values, layers=("out", "conv:u"))
    assert list(recording.payloads) == ["conv:u", "out"]
    write_recording(recording, tmp_path / "a.h5")
    back = read_recording(tmp_path / "a.h5")
    comparison = compare(recording, back)
    assert comparison.not_compared == ("layer 'conv'", "layer 'wide'")
    assert comparison.mismatches == 0
    with pytest.raises(RecordingError, match="'conv:sigma': not a spiking layer"):
        create("torch").run(network, values, layers=("conv:sigma",))
