# SPDX-License-Identifier: BSD-3-Clause
"""What a StockNetwork may hold, and what only a StockNetwork may hold."""

import dataclasses

import numpy as np
import pytest
import stocks

from export.compartment import Bias
from export.errors import NetworkError, RangeError, UnsupportedLayerError
from export.network import Connection, Input, Network
from export.netx import write_network
from export.stock_compartment import CUBA, Delta, SigmaDelta
from export.stock_network import Frames, Reset
from export.synapse import AveragePool, Conv, Dense, Injection
from sim.selftest import small_network


def changed(stock, **fields):
    return dataclasses.replace(stock, **fields)


def relayered(stock, index, **fields):
    layers = list(stock.layers)
    layers[index] = dataclasses.replace(layers[index], **fields)
    return changed(stock, layers=tuple(layers))


def connected(stock, index, *, source=None, synapse=None, **fields):
    connection = stock.layers[index].connections[0]
    connection = Connection(
        source=source or connection.source,
        synapse=synapse or connection.synapse,
        **fields,
    )
    return relayered(stock, index, connections=(connection,))


def onto_conv(stock):
    """A dense synapse from the first layer to the last."""
    return Dense(weight=np.full((3, int(np.prod(stock.layers[0].shape))), 2))


def square(size):
    return Dense(weight=np.full((size, size), 2))


def decaying(layer, i_decay):
    return dataclasses.replace(layer.compartment, i_decay=np.array(i_decay))


def constant(low=0, high=1):
    return Input(shape=(2, 6, 7), minimum=low, maximum=high, scale=1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda s: connected(s, 1, delay=1),
            "layer 'wide': connections of a StockNetwork are Conv, ",
        ),
        (lambda s: connected(s, 1, weight_exp=1), "without delay or weight_exp"),
        (
            lambda s: relayered(
                s,
                0,
                shape=(2, 6, 7),
                connections=(
                    Connection(
                        source="input",
                        synapse=AveragePool(channels=2, kernel_size=(1, 1)),
                    ),
                ),
                compartment=CUBA(
                    i_decay=0, v_decay=0, vth_mant=1, bias=Bias(mant=[0, 0], exp=6)
                ),
            ),
            "layer 'conv': connections of a StockNetwork are",
        ),
        (
            lambda s: connected(s, 1, source="out", synapse=onto_conv(s)),
            "layer 'wide' <- 'out': no earlier layer of that name",
        ),
        (
            lambda s: connected(s, 2, source="out", synapse=square(3)),
            "layer 'out': it reads nothing but itself",
        ),
        (
            lambda s: relayered(s, 1, delay=[1, 2]),
            r"layer 'wide' delay: shape \(2,\) found, \(5,\) needed",
        ),
        (
            lambda s: relayered(s, 1, delay=[0, 1, 2, 3, 63]),
            r"layer 'wide' delay: 0\.\.63 outside 0\.\.62",
        ),
        (
            lambda s: relayered(s, 1, compartment=decaying(s.layers[1], [1, 2])),
            "layer 'wide': i_decay of 2 channels found, shape is",
        ),
        (lambda s: changed(s, input=constant()), "input is Frames, or is injected"),
        (
            lambda s: changed(
                s, input=small_network().input, layers=small_network().layers
            ),
            "layer 'down': a StockNetwork holds StockLayers only",
        ),
        (
            lambda s: relayered(
                s,
                1,
                shape=s.layers[0].shape,
                compartment=s.layers[0].compartment,
                connections=(Connection(source="conv", synapse=Injection()),),
            ),
            "layer 'wide': an injection enters a first CUBA layer from a constant",
        ),
    ],
)
def test_not_a_stock_network(make, message):
    with pytest.raises(NetworkError, match=message):
        make(stocks.spiking())


def test_injection_rules():
    stock = stocks.spiking(injected=True)
    with pytest.raises(RangeError, match=r"injected bias 0\.\.4096 outside -4096"):
        changed(stock, input=constant(0, 4096))
    frames = Frames(shape=(2, 6, 7), minimum=0, maximum=1, scale=1.0)
    with pytest.raises(NetworkError, match="an injection enters a first CUBA layer"):
        changed(stock, input=frames)
    biased = dataclasses.replace(
        stock.layers[0].compartment, bias=Bias(mant=[1, 0], exp=6)
    )
    with pytest.raises(NetworkError, match="bias and injected bias found"):
        relayered(stock, 0, compartment=biased)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reset(interval=0), "reset interval: 0 found, 1 or more"),
        (lambda: Reset(interval=3, offset=-1), "reset offset: -1 found, 0 or more"),
        (
            lambda: CUBA(i_decay=0, v_decay=0, vth_mant=1, bias=Bias(mant=[0], exp=5)),
            "CUBA bias_exp: 5 found, netx fixes 6",
        ),
        (
            lambda: SigmaDelta(vth_mant=1, bias=Bias(mant=[0], exp=6)),
            "SigmaDelta bias_exp: 6 found, 0 needed",
        ),
        (lambda: Delta(vth_mant=1, spike_exp=8), r"Delta spike_exp: 8 outside 0\.\.7"),
        (lambda: Delta(vth_mant=-1), r"Delta vth_mant: -1 outside 0\.\.2047"),
        (
            lambda: Dense(weight=np.full((2, 3), 2), delay=np.zeros((3, 2))),
            r"dense delay: shape \(3, 2\) found, \(2, 3\) needed",
        ),
        (lambda: Dense(weight=np.full(3, 2)), r"shape \(3,\) found, 2 non-empty axes"),
        (
            lambda: Dense(weight=np.full((2, 3), 2)).output_shape((2, 2, 1)),
            r"dense weight expects 3 inputs, source shape is \(2, 2, 1\)",
        ),
    ],
)
def test_parts(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


def test_windows_refuse_what_only_a_stream_holds():
    stock, window = stocks.spiking(delayed=True), small_network()
    frames = Frames(shape=window.input.shape, minimum=0, maximum=1, scale=1.0)
    with pytest.raises(NetworkError, match="an input that changes at every step"):
        Network(input=frames, layers=window.layers, num_steps=3, task="test")
    with pytest.raises(NetworkError, match="'conv': CUBA found, a Network in windows"):
        Network(input=constant(), layers=stock.layers, num_steps=3, task="test")
    first = window.layers[0]
    size = int(np.prod(window.input.shape))
    for synapse in (
        Injection(),
        Dense(weight=np.full((3, size), 2), delay=np.ones((3, size))),
    ):
        shape = synapse.output_shape(window.input.shape)
        mtif = dataclasses.replace(
            first.compartment,
            vth_mant=first.compartment.vth_mant[:1],
            bias=Bias(mant=np.zeros(shape[0])),
        )
        connection = Connection(source="input", synapse=synapse)
        layer = dataclasses.replace(
            first, shape=shape, connections=(connection,), compartment=mtif
        )
        with pytest.raises(
            NetworkError, match="found, only a StockNetwork may have it"
        ):
            changed(window, layers=(layer,))


def test_due_is_netx_reset_phase():
    """netx gives block n (from 0) the offset reset_offset + 1 + n; LIFReset's rule."""
    for interval, offset, stage in ((5, 0, 1), (5, 2, 4), (3, 7, 2), (1, 0, 3)):
        reset = Reset(interval=interval, offset=offset)
        lif_offset = (offset + 1 + (stage - 1)) % interval
        for step in range(1, 20):
            assert reset.due(step, stage) == (step % interval == lif_offset)


def test_hash_sees_the_reset_and_the_delays():
    hashes = {
        stocks.spiking().sha256,
        stocks.spiking(reset=Reset(interval=5)).sha256,
        stocks.spiking(reset=Reset(interval=5, offset=1)).sha256,
        stocks.spiking(delayed=True).sha256,
        stocks.spiking(seed=1).sha256,
    }
    assert len(hashes) == 5


def test_files_that_stock_netx_would_not_load(tmp_path):
    stock = stocks.spiking()
    for weight, message in (
        (np.zeros((3, 5)), "layer 'out': all weights are 0"),
        (-256 * np.eye(3, 5), r"layer 'out': weights -256\.\.0 found: none"),
    ):
        bad = connected(stock, 2, synapse=Dense(weight=weight))
        with pytest.raises(UnsupportedLayerError, match=message):
            write_network(bad, tmp_path / "a.net")
    conv = Conv(weight=np.full((3, 5, 1, 1), 2))
    with pytest.raises(UnsupportedLayerError, match="a convolution after a flat layer"):
        write_network(connected(stock, 2, synapse=conv), tmp_path / "a.net")
    mixed = stocks.sigma_delta()
    other = dataclasses.replace(mixed.layers[1].compartment, spike_exp=5)
    with pytest.raises(UnsupportedLayerError, match=r"spike_exp: \[5, 6\] found, netx"):
        write_network(relayered(mixed, 1, compartment=other), tmp_path / "a.net")
    assert not list(tmp_path.iterdir())
