# SPDX-License-Identifier: BSD-3-Clause
"""What stock netx and stock lava.proc.sdn make of a converted network."""

import dataclasses

import netx_judge as judge
import numpy as np
import pytest
import sigma_delta

from export.images import completed
from export.netx import write_network
from export.netx.stock_words import NETX, READER, loaded_by_netx, words
from loihi_unet.runs.video import network_at
from sim.backend import create

pytestmark = pytest.mark.lava


SIZE = (8, 12)


@pytest.fixture(scope="module")
def network():
    return sigma_delta.unet()[1].resized(*SIZE)


@pytest.fixture(scope="module")
def frames(network):
    """Two pictures, then steps until the second is through: (T, C, H, W)."""
    pictures = sigma_delta.pictures(2, 1, SIZE, seed=5)
    steps = network_at(network, SIZE, 2).num_steps
    held = np.concatenate([pictures, *[pictures[1:]] * (steps - 2)])
    return np.stack([completed(network, one) for one in held]).astype(np.int64)


def test_which_layers_are_stock_netx(network):
    found = words(network)
    assert found["enc0.conv1"] == found["pool1"] == NETX
    assert found["up1"] == found["dec1.conv1"] == found["out"] == READER
    # The encoder, down to the first transposed convolution.
    front = [layer.name for layer in network.layers][: loaded_by_netx(network)]
    assert set(front) >= {"delta", "enc0.conv2", "pool1", "mid.conv2"}
    assert "up1" not in front


def test_what_stock_netx_loads_gives_the_same(network, frames, tmp_path):
    """Every spike and state of the layers at the front, in netx's own blocks."""
    pytest.importorskip("lava.lib.dl.netx")
    write_network(network, tmp_path / "a.net")
    sized = dataclasses.replace(network, num_steps=len(frames))
    expected = create("reference").run(sized, frames[None]).payloads
    count = loaded_by_netx(network)
    judged = judge.run(
        tmp_path / "a.net",
        len(frames),
        frames=np.moveaxis(frames.transpose(0, 3, 2, 1), 0, -1),
        spike_exp=0,
        num_layers=count,
        states=False,
    )
    assert len(judged) == count > 5
    for number, layer in enumerate(network.layers[:count]):
        np.testing.assert_array_equal(
            judged[str(number)], expected[layer.name][0], err_msg=layer.name
        )
        assert judged[str(number)].any()


def test_drop_in_between_stock_processes(network, frames, tmp_path):
    """Stock Delta outside, the network as one Process, its Sigma as output."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source
    from lava.proc.sdn.process import Delta

    from sim.lava.dropin.network import Network

    write_network(network, tmp_path / "a.net")
    sized = dataclasses.replace(network, num_steps=len(frames))
    expected = create("torch").run(sized, frames[None]).payloads["out"][0]
    data = np.moveaxis(frames.transpose(0, 3, 2, 1), 0, -1)
    net = Network(tmp_path / "a.net", skip_layers=1)
    source = Source(data=data)
    encoder = Delta(shape=data.shape[:-1], vth=0, spike_exp=0, state_exp=6)
    sink = Sink(shape=net.out.shape, buffer=len(frames))
    source.s_out.connect(encoder.a_in)
    encoder.s_out.connect(net.inp)
    net.out.connect(sink.a_in)
    try:
        net.run(RunSteps(num_steps=len(frames)), Loihi2SimCfg(select_tag="fixed_pt"))
        found = sink.data.get().astype(np.int64)
    finally:
        net.stop()
    np.testing.assert_array_equal(
        np.moveaxis(found, -1, 0).transpose(0, 3, 2, 1), expected
    )
    assert expected[-1].any()
