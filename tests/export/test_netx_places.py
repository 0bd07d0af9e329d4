# SPDX-License-Identifier: BSD-3-Clause
"""A value out of range is found in a file of twenty layers: the message says where."""

import h5py
import numpy as np
import pytest
import stocks

from export.errors import NetworkError
from export.netx import read_network, write_network
from sim.selftest import small_network


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("layer/0/scale", 0.0, "/layer/0: input: scale 0.0 found"),
        ("loihi_unet/inputRange", [5, 4], "/layer/0: input: payload 5..4 found"),
        ("layer/1/weight", np.full((3, 1, 3, 3), 300), "/layer/1: conv weight: 300"),
        ("layer/1/stride", [0, 1], "/layer/1: conv stride: (0, 1) found"),
        ("layer/1/padding", [-1, 0], "/layer/1: conv padding: (-1, 0) found"),
        ("layer/1/dilation", [1, 0], "/layer/1: conv dilation: (1, 0) found"),
        ("layer/1/groups", 0, "/layer/1: conv"),
        ("layer/1/bias", [5000, 0, 0], "/layer/1: bias_mant: 0..5000 outside"),
        ("layer/1/biasExp", 8, "/layer/1: bias_exp: 8 outside 0..7"),
        ("layer/1/scale", -1.0, "/layer/1: layer"),
        ("layer/1/neuron/vThMant", [131072], "/layer/1/neuron: vth_mant: 131072"),
        ("layer/1/neuron/vThMant", [1, 2], "/layer/1/neuron: vth_mant: shape (2,)"),
        ("layer/1/neuron/numThresholds", 99, "/layer/1/neuron: num_thresholds: 99"),
        ("layer/1/neuron/mapping", b"none", "/layer/1/neuron: "),
        ("layer/5/delay", [0, -1], "/layer/5: connection"),
        ("layer/5/weightExp", [0, 99], "/layer/5: connection"),
    ],
)
def test_own_file(tmp_path, key, value, place):
    write_network(small_network(), tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "a") as file:
        if key in file:
            del file[key]
        file[key] = value
    with pytest.raises(NetworkError) as caught:
        read_network(tmp_path / "a.net")
    assert str(caught.value).startswith(f"{tmp_path / 'a.net'}: {place}")


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("neuron/vThMant", 2**20, "/neuron: CUBA vth_mant: 1048576 outside"),
        ("neuron/iDecay", 4097, "/neuron: CUBA i_decay: 4097 outside"),
        ("neuron/vDecay", -1, "/neuron: CUBA v_decay: -1 outside"),
        ("bias", [4096.0, 0, 0], ": bias_mant: 0..4096 outside"),
        ("weight", 300, ": "),
        ("stride", [0, 0], ": conv stride: (0, 0) found"),
    ],
)
def test_stock_file(tmp_path, key, value, place):
    write_network(stocks.spiking(), tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "a") as file:
        group = file["layer/1"]
        if key == "weight":
            value = np.full(group[key].shape, value)
        if key in group:
            del group[key]
        group[key] = value
    with pytest.raises(NetworkError) as caught:
        read_network(tmp_path / "a.net")
    assert str(caught.value).startswith(f"{tmp_path / 'a.net'}: /layer/1{place}")
