# SPDX-License-Identifier: BSD-3-Clause
"""NIR files: read, written, damaged, and their commands."""

import dataclasses
import json
import sys

import h5py
import nir_graphs as g
import numpy as np
import pytest
import stocks

from export.compartment import Bias
from export.errors import UserError
from export.netx import read_network, write_network
from export.stock_compartment import CUBA, Sigma
from export.stock_network import Frames, Reset
from export.synapse import Conv, ConvTranspose, Dense
from loihi_unet.cli.main import main
from loihi_unet.frontend.nir.convert import convert, convert_nir
from loihi_unet.frontend.nir.express import express
from loihi_unet.frontend.nir.primitives import NIRError
from loihi_unet.frontend.nir.read import flatten, read_graph
from loihi_unet.frontend.nir.restore import restore
from loihi_unet.frontend.nir.write import write_nir

nir = pytest.importorskip("nir", reason="the extra nir is not installed")


def command(capsys, *words):
    """Exit code, stdout, stderr."""
    old, sys.argv = sys.argv, ["loihi-unet", *map(str, words)]
    try:
        with pytest.raises(SystemExit) as caught:
            main()
    finally:
        sys.argv = old
    return caught.value.code or 0, *capsys.readouterr()


def nested():
    """A graph in a graph, as snnTorch writes recurrent layers."""
    ones = np.ones(2)
    inner = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([2])),
            "lif": nir.LIF(4 * ones, 4 * ones, 0 * ones, ones, 0 * ones),
            "w_rec": nir.Linear(np.array([[0.5, -1.0], [0.25, 0.125]])),
            "output": nir.Output(np.array([2])),
        },
        edges=[
            ("input", "lif"),
            ("lif", "w_rec"),
            ("w_rec", "lif"),
            ("lif", "output"),
        ],
    )
    return nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([3])),
            "d": nir.Affine(np.arange(6.0).reshape(2, 3) / 5, ones / 8),
            "rec": inner,
            "output": nir.Output(np.array([2])),
        },
        edges=[("input", "d"), ("d", "rec"), ("rec", "output")],
        type_check=False,
    )


def written(tmp_path, graph, name="x.nir"):
    nir.write(tmp_path / name, graph)
    return tmp_path / name


def test_nested_graphs_are_taken_apart(tmp_path):
    graph = read_graph(written(tmp_path, nested()))
    assert set(graph.nodes) == {"input", "d", "rec.lif", "rec.w_rec", "output"}
    assert sorted(graph.edges) == [
        ("d", "rec.lif"),
        ("input", "d"),
        ("rec.lif", "output"),
        ("rec.lif", "rec.w_rec"),
        ("rec.w_rec", "rec.lif"),
    ]
    (layer,) = convert(graph, 1.0).network.layers
    assert layer.recurrent


def all_kinds():
    """A StockNetwork that NIR can say all of: every neuron, bias, delay, skip."""
    rng = np.random.default_rng(2)
    graph = g.whole(rng)
    return convert(graph, 1.0).network


def neurons(i_decay, v_decay, vth):
    rng = np.random.default_rng(0)
    compartment = CUBA(
        i_decay=i_decay,
        v_decay=v_decay,
        vth_mant=vth,
        bias=Bias(mant=np.array([3, 0, -5]), exp=6),
    )
    synapse = Dense(weight=stocks.even(rng, 200, 3, 2))
    layer = stocks.layer("n", "input", (3, 1, 1), synapse, compartment)
    return stocks.StockNetwork(
        input=Frames(shape=(2, 1, 1), minimum=0, maximum=1, scale=1.0),
        layers=(layer,),
        num_steps=5,
        task="spikes",
    )


KINDS = {
    "LIF": (4096, 410, 99),
    "CubaLIF": (np.array([7, 8, 4096]), 410, np.array([5, 99, 7])),
    "IF": (4096, 0, 99),
    "LI": (4096, 4096, 131072),
    "CubaLI": (100, 20, 262143),
    "I": (4096, 0, 262143),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_neuron_comes_back_with_the_same_sha256(kind, tmp_path):
    network = neurons(*KINDS[kind])
    write_nir(network, tmp_path / "x.nir")
    graph = read_graph(tmp_path / "x.nir")
    assert graph.nodes["n"].kind == kind
    assert restore(graph).sha256 == network.sha256
    assert nir.read(tmp_path / "x.nir", type_check=False).nodes["n"] is not None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_means_the_same_without_our_integers(kind, tmp_path):
    """The floats alone, rounded again, differ by their scale only."""
    network = neurons(*KINDS[kind])
    graph = dataclasses.replace(express(network), metadata={})
    (old,), (new,) = network.layers, convert(graph, 1e-3).network.layers
    assert np.array_equal(old.compartment.i_decay, new.compartment.i_decay)
    assert np.array_equal(old.compartment.v_decay, new.compartment.v_decay)
    ratio = new.connections[0].synapse.weight.max() / (
        old.connections[0].synapse.weight.max()
    )
    found = new.compartment.bias.mant - ratio * old.compartment.bias.mant
    assert np.abs(found).max() <= 1
    if "F" in kind:
        found = new.compartment.vth_mant - ratio * np.asarray(old.compartment.vth_mant)
        assert np.abs(found).max() <= 1


def test_skips_delays_and_relays_come_back(tmp_path):
    network = all_kinds()
    write_nir(network, tmp_path / "x.nir")
    graph = read_graph(tmp_path / "x.nir")
    assert restore(graph).sha256 == network.sha256
    kinds = [node.kind for node in graph.nodes.values()]
    assert kinds.count("Delay") == 2  # the alignment of skips is none
    frames = g.spikes(np.random.default_rng(0), (2, 6, 6))
    bare = dataclasses.replace(graph, metadata={})
    again = convert(bare, 1.0, frames)
    assert all(row.same == 1 for row in again.agreement if row.same is not None)


def flip(path, where, change):
    with h5py.File(path, "r+") as file:
        value = file[where][()]
        del file[where]
        file[where] = change(value)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("nodes/d1 r/weight", "weight is not what its integers"),
        ("nodes/r/v_threshold", "'r' (IF): v_threshold is not what"),
        ("nodes/r/metadata/loihi_unet_vth_mant", "do not have its sha256"),
        ("nodes/r from b/metadata/loihi_unet_weight", "do not have its sha256"),
    ],
)
def test_a_flipped_parameter_is_found(where, text, tmp_path):
    path = tmp_path / "x.nir"
    write_nir(all_kinds(), path)
    flip(path, "node/" + where.replace("d1 r", "r from b"), lambda v: v - 2)
    with pytest.raises(NIRError) as caught:
        restore(read_graph(path))
    assert text in str(caught.value)


def beside(synapse, shape, compartment=None):
    network = neurons(4096, 410, 99)
    layer = stocks.layer(
        "m", "input", shape, synapse, compartment or network.layers[0].compartment
    )
    source = Frames(shape=(2, 2, 2), minimum=0, maximum=1, scale=1.0)
    return dataclasses.replace(network, input=source, layers=(layer,))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: beside(ConvTranspose(weight=np.full((2, 3, 3, 3), 2)), (3, 4, 4)),
            "layer 'm': ConvTranspose",
        ),
        (
            lambda: beside(Conv(weight=np.full((3, 2, 1, 1), 2)), (3, 2, 2), Sigma()),
            "layer 'm': Sigma; NIR has no graded spikes",
        ),
        (lambda: neurons(0, 410, 99), "layer 'n': decay 0"),
        (lambda: neurons(4096, np.array([0, 1, 2]), 99), "layer 'n': decay 0"),
        (
            lambda: dataclasses.replace(
                neurons(4096, 410, 99), reset=Reset(interval=7)
            ),
            "a reset of all layers",
        ),
    ],
)
def test_what_nir_cannot_say_is_refused_and_nothing_is_written(make, text, tmp_path):
    with pytest.raises(UserError) as caught:
        write_nir(make(), tmp_path / "x.nir")
    assert text in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_one_line(tmp_path):
    path = written(tmp_path, nested())
    for where, value in (
        ("node/nodes/d/weight", "text"),
        ("node/nodes/d/type", b"Dense"),
        ("node/nodes/d/bias", [1.0]),
        ("node/nodes/rec/edges", 3),
        ("node/edges", [(b"a", b"b")]),
        ("node/nodes/input/shape", [0]),
        ("node/nodes/output", None),
    ):
        broken = tmp_path / "broken.nir"
        broken.write_bytes(path.read_bytes())
        with h5py.File(broken, "r+") as file:
            del file[where]
            if value is not None:
                file[where] = value
        with pytest.raises(UserError, match=r"broken\.nir: ") as caught:
            convert_nir(broken, tmp_path / "x.net", 1.0)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "x.net").exists()
    with h5py.File(path, "r+") as file:
        file["node/nodes/d/metadata"] = 3
    with pytest.raises(UserError, match="metadata that is no group"):
        convert_nir(path, tmp_path / "x.net", 1.0)
    with h5py.File(tmp_path / "bare.nir", "w") as file:
        file["node/type"] = "NIRGraph"
    with pytest.raises(NIRError, match="no readable NIR graph"):
        read_graph(tmp_path / "bare.nir")


def test_without_the_package_there_is_one_line(tmp_path, monkeypatch):
    path = written(tmp_path, nested())
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(UserError, match=r"pip install 'loihi-unet\[nir\]'"):
        read_graph(path)


def test_edges_that_are_there_twice_are_refused():
    graph = nested()
    graph.edges.append(("input", "d"))
    with pytest.raises(NIRError, match="'input' -> 'd': there twice"):
        flatten(graph)


def test_from_nir_to_the_network_and_back(tmp_path, capsys):
    path = written(tmp_path, nested())
    spikes = g.spikes(np.random.default_rng(0), (3, 1, 1), runs=1, steps=30)
    np.save(tmp_path / "spikes.npy", spikes[0])
    net, again = tmp_path / "x.net", tmp_path / "again.nir"
    data = ("--data", tmp_path / "spikes.npy")
    code, out, _ = command(capsys, "convert", path, "--dt", 1, *data, "--out", net)
    assert code == 0
    for text in ("rec.lif", "threshold", "decay of v", "agreement", "on the data"):
        assert text in out
    assert "EXACT" not in out
    network = read_network(net)
    assert network.provenance["dt"] == 1.0
    assert command(capsys, "export", net, "--out", again)[0] == 0
    code, out, _ = command(
        capsys, "convert", again, "--out", tmp_path / "y.net", "--json"
    )
    assert code == 0
    assert json.loads(out)["sha256"] == network.sha256
    assert read_network(tmp_path / "y.net").sha256 == network.sha256
    code, out, _ = command(
        capsys, "convert", again, *data, "--out", tmp_path / "y.net", "--json"
    )
    (row,) = json.loads(out)["agreement"]
    assert row["spikes"][0] > 0
    assert row["same"] > 0.9
    code, _, err = command(
        capsys, "convert", again, "--dt", 2, "--out", tmp_path / "y.net"
    )
    assert (code, "--dt 2.0: its integers are those of dt 1.0" in err) == (2, True)
    code, out, _ = command(capsys, "convert", path, "--dt", 1, "--out", net, "--json")
    assert {row["parameter"] for row in json.loads(out)["errors"]} >= {"threshold"}


def test_bad_input_on_the_command_line_is_one_line(tmp_path, capsys):
    path = written(tmp_path, nested())
    out = ("--out", tmp_path / "x.net")
    np.save(tmp_path / "floats.npy", np.zeros((4, 3)))
    np.save(tmp_path / "shape.npy", np.zeros((4, 5), dtype=int))
    for words, text in (
        ((path,), "x.nir: --dt SECONDS needed"),
        ((path, "--dt", "0"), "above 0"),
        ((path, "--dt", "1", "--steps", "4"), "--steps: not for NIR graphs"),
        ((path, "--thresholds-per", "layer"), "--thresholds-per: not for NIR graphs"),
        ((path, "--dt", "1", "--data", tmp_path / "floats.npy"), "integers needed"),
        ((path, "--dt", "1", "--data", tmp_path / "shape.npy"), "shape (4, 5) found"),
        (("denoise-gray", "--dt", "1"), "--dt: only NIR graphs"),
    ):
        code, _, err = command(capsys, "convert", *words, *out)
        assert code == 2
        assert text in err
        assert err.count("\n") == 1
    code, _, err = command(capsys, "inspect", path)
    assert code == 2
    assert "a NIR graph" in err
    assert "--dt SECONDS --out NETWORK.net` makes a network file" in err.replace(
        "\n", " "
    )
    assert not (tmp_path / "x.net").exists()
    write_network(neurons(4096, 410, 99), tmp_path / "n.net")
    code, _, err = command(
        capsys, "export", tmp_path / "n.net", "--size", "8x8", "--out", path
    )
    assert (code, "--size: not for NIR" in err) == (2, True)
    code, _, err = command(
        capsys, "export", "denoise-gray", "--out", tmp_path / "d.nir"
    )
    assert (code, "MTIF; NIR has no multi-threshold" in err) == (2, True)
    assert not (tmp_path / "d.nir").exists()
