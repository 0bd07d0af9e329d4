# SPDX-License-Identifier: BSD-3-Clause
"""read(write(network)) is the network; anything else is one clear line."""

import dataclasses

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import networks

from export.difference import diff
from export.errors import NetworkError
from export.network import Connection
from export.netx import read_network, write_network
from export.synapse import Conv
from sim.selftest import small_network


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(networks())
def test_read_of_write_is_identical(tmp_path, network):
    path = tmp_path / "network.net"
    write_network(network, path)
    back = read_network(path)
    assert diff(back, network) == []
    assert back.sha256 == network.sha256


def test_same_network_same_bytes(tmp_path):
    write_network(small_network(), tmp_path / "a.net")
    write_network(small_network(), tmp_path / "b.net")
    assert (tmp_path / "a.net").read_bytes() == (tmp_path / "b.net").read_bytes()


def test_keys_of_stock_netx(tmp_path):
    write_network(small_network(), tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net") as file:
        kinds = [file[f"layer/{i}/type"][0].decode() for i in range(len(file["layer"]))]
        assert " ".join(kinds) == ("input conv pool conv convT concat conv concat conv")
        assert file["layer/5/layers"][()].tolist() == [1, 4]
        assert file["layer/5/delay"][()].tolist() == [3, 0]
        assert file["layer/5/weightExp"][()].tolist() == [2, 0]
        assert file["layer/6/weight"].shape == (3, 6, 3, 3)
        assert file["layer/6/neuron/messageBits"][()] == 4


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.net"
    write_network(small_network(), path)
    before = path.read_bytes()

    def fail(*_):
        raise RuntimeError("disk")

    monkeypatch.setattr("export.netx.write._write_synapse", fail)
    with pytest.raises(RuntimeError, match="disk"):
        write_network(small_network(seed=1), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.net"]


def test_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        write_network(small_network(), tmp_path / "file" / "a.net")


def edited(tmp_path, edit):
    path = tmp_path / "a.net"
    write_network(small_network(), path)
    with h5py.File(path, "a") as file:
        edit(file)
    return path


def put(key, value):
    def edit(file):
        del file[key]
        file[key] = value

    return edit


def drop(key):
    def edit(file):
        del file[key]

    return edit


def link(key, target):
    def edit(file):
        del file[key]
        file[key] = target

    return edit


W = "layer/1/weight"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (put("loihi_unet/schema", 2), "schema 2 found, 1 allowed"),
        (drop("loihi_unet"), "/layer/1/neuron/type: neuron 'MTIF' found, CUBA, LOIHI"),
        (drop(W), "/layer/1/weight: missing, a dataset needed"),
        (put(W, np.full((3, 1, 3, 3), 0.5)), "weight: 0.5 found, integers are allowed"),
        (put(W, np.full((3, 1, 3, 3), 3)), "weight: 3 found, the mixed-sign synapse"),
        (put(W, np.full((3, 1, 3, 3), 300)), r"weight: 300..300 outside -256..254"),
        (put(W, np.full((3, 1, 3, 3), np.nan)), "weight: nan found"),
        (put(W, np.full((3, 1, 3), 2)), r"shape \(3, 1, 3\) found, 4 non-empty axes"),
        (put(W, "text"), "/layer/1/weight: dtype object found, numbers needed"),
        (put(W, h5py.Empty("f")), "/layer/1/weight: empty dataset found"),
        (
            put("layer/1/type", "recurrent"),
            "layer 'recurrent' found, conv, convT",
        ),
        (put("layer/1/type", 3), "/layer/1/type: dtype int64 found, one string needed"),
        (
            put("layer/1/type", np.array(b"\xff", "S1")),
            "/layer/1/type: not UTF-8",
        ),
        (put("layer/0/type", "conv"), "/layer/0/type: 'conv' found, 'input' needed"),
        (put("layer/1/neuron/type", "LIF"), "neuron 'LIF' found, MTIF or ACC allowed"),
        (put("layer/1/neuron", 1), "/layer/1/neuron: Dataset found, a group needed"),
        (put("layer/1/shape", [3, 8]), "/layer/1/shape: 2 values found, 3 needed"),
        (put("layer/1/shape", [[3, 8, 8]]), "/layer/1/shape: 2 axes found, 1 needed"),
        (put("layer/1/shape", [3, 8, 9]), r"synapse gives \(3, 8, 8\), layer shape is"),
        (
            put("layer/1/biasExp", [1, 2]),
            "biasExp: 2 values found, one needed",
        ),
        (
            put("layer/1/scale", np.nan),
            "scale: nan found, finite numbers on one axis needed",
        ),
        (
            put("layer/5/layers", [1, 9]),
            r"layer/5/layers: \[9\] found, earlier",
        ),
        (put("layer/5/layers", [0, 4]), "4 channels found, the next layer has 6"),
        (put("layer/5/delay", [2, 0]), "delay 2 found, stages 1 and 5 need 3"),
        (put("layer/4/type", "concat"), "concat after concat found, a layer needed"),
        (put("layer/8/type", "concat"), "concat after concat"),
        (drop("layer/8"), "concat at the end found, a layer needed after it"),
        (drop("layer/2"), "/layer/2: missing, a group needed"),
        (put("loihi_unet/provenance", "{"), "/loihi_unet/provenance: not JSON"),
        (put("loihi_unet/provenance", "[]"), "provenance: not a JSON object"),
        (
            link(W, h5py.SoftLink("/layer/3/weight")),
            "weight: soft or external link found, none is followed",
        ),
        (
            link(W, h5py.ExternalLink("other.h5", "/x")),
            "weight: soft or external link found, none is followed",
        ),
        (
            put(W, np.full((3, 1, 3, 3), 2)),
            "the sha256 inside does not match the content",
        ),
    ],
)
def test_one_clear_line(tmp_path, edit, message):
    path = edited(tmp_path, edit)
    with pytest.raises(NetworkError, match=message) as caught:
        read_network(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_joins_that_netx_has_no_word_for(tmp_path):
    def edit(file):
        file["layer/6/outputPadding"] = [0, 0]
        file["layer/6/type"][0] = b"convT"

    with pytest.raises(NetworkError, match="concat found before another layer than"):
        read_network(edited(tmp_path, edit))


def mixed():
    """A network whose join is a sum of kernels of two sizes."""
    network = small_network()
    join = network.layers[4]
    skip = Connection(
        source="down", synapse=Conv(weight=np.full((3, 3, 1, 1), 2)), delay=3
    )
    join = dataclasses.replace(join, connections=(skip, join.connections[1]))
    layers = (*network.layers[:4], join, network.layers[5])
    return dataclasses.replace(network, layers=layers)


def test_a_sum_of_other_connections(tmp_path):
    path = tmp_path / "b.net"
    write_network(mixed(), path)
    assert diff(read_network(path), mixed()) == []
    with h5py.File(path) as file:
        layer = file["layer/5"]
        assert layer["type"][0] == b"sum"
        assert layer["layers"][()].tolist() == [1, 4]
        assert layer["delay"][()].tolist() == [3, 0]
        kernels = [layer[f"synapse/{k}/kernelSize"][()].tolist() for k in (0, 1)]
        assert kernels == [[1, 1], [3, 3]]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda x: x["synapse"].pop("1"), "layer/5/synapse/1: .*missing"),
        (lambda x: x["synapse/0/type"].write_direct(np.array([b"sum"], "S10")),
         "layer/5/synapse/0/type: layer 'sum' found, conv, convT, pool"),
        (lambda x: x["layers"].write_direct(np.array([1, 7])),
         "layer/5/layers: .7. found, earlier layers needed"),
        (lambda x: x["delay"].write_direct(np.array([2, 0])), "delay 2 found"),
    ],
)  # fmt: skip
def test_damaged_sums(tmp_path, edit, message):
    path = tmp_path / "b.net"
    write_network(mixed(), path)
    with h5py.File(path, "r+") as file:
        edit(file["layer/5"])
    with pytest.raises(NetworkError, match=message) as caught:
        read_network(path)
    assert "\n" not in str(caught.value)


def test_bomb_is_not_unpacked(tmp_path):
    def edit(file):
        del file[W]
        file.create_dataset(
            W, shape=(2**30,), dtype="i2", chunks=(2**20,), compression="gzip"
        )

    with pytest.raises(NetworkError, match="8589934592 bytes found"):
        read_network(edited(tmp_path, edit))


def test_external_storage_is_not_followed(tmp_path):
    def edit(file):
        del file[W]
        file.create_dataset(
            W, shape=(27,), dtype="i2", external=[(str(tmp_path / "raw"), 0, 54)]
        )

    with pytest.raises(NetworkError, match="external or virtual storage found"):
        read_network(edited(tmp_path, edit))


def test_not_a_file_not_hdf5_truncated(tmp_path):
    with pytest.raises(NetworkError, match="no such file"):
        read_network(tmp_path / "none.net")
    (tmp_path / "text.net").write_text("hello")
    with pytest.raises(NetworkError, match="not an HDF5 file, truncated or damaged"):
        read_network(tmp_path / "text.net")
    write_network(small_network(), tmp_path / "a.net")
    data = (tmp_path / "a.net").read_bytes()
    for keep in (10, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.net").write_bytes(data[:keep])
        with pytest.raises(NetworkError, match=r"cut\.net"):
            read_network(tmp_path / "cut.net")
