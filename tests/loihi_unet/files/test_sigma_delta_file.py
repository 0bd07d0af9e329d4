# SPDX-License-Identifier: BSD-3-Clause
"""Converted networks of sigma-delta neurons: the file, and what export makes of it."""

import numpy as np
import pytest
import sigma_delta
import torch

import loihi_unet
from export.netx import write_network
from export.synapse import Injection
from loihi_unet.config import DnCNNConfig
from loihi_unet.errors import CheckpointError, ConversionError
from loihi_unet.files.sigma_delta_file import load_sigma_delta, save_sigma_delta
from loihi_unet.files.tensors import read_tensors, write_tensors
from loihi_unet.networks.net import Net
from loihi_unet.sigma_delta.convert import convert, convert_module
from loihi_unet.sigma_delta.thresholds import with_thresholds
from loihi_unet.spiking.graph import graph_of


def network_of(kind):
    torch.manual_seed(5)
    if kind == "module":  # two sources, transposed convolution, a signed output
        x = torch.from_numpy(sigma_delta.pictures(2, 1, (16, 24))) / 255
        return convert_module(sigma_delta.Signed().eval(), x)[0]
    if kind == "dncnn":
        model = Net(DnCNNConfig(base_channels=4, depth=4)).eval()
        return sigma_delta.converted(graph_of(model))
    return sigma_delta.unet(channels=3 if kind == "colour" else 1)[1]


@pytest.mark.parametrize("kind", ["unet", "colour", "dncnn", "module"])
def test_the_netx_file_of_it_is_the_same(kind, tmp_path):
    network = network_of(kind)
    stored, direct, made = (
        tmp_path / name for name in ("a.safetensors", "a.net", "b.net")
    )
    save_sigma_delta(stored, network)
    write_network(network, direct)
    found = loihi_unet.export(stored, out=made)
    assert found.sha256 == network.sha256
    assert found.provenance == network.provenance
    assert made.read_bytes() == direct.read_bytes()
    other = loihi_unet.export(stored, (32, 16))
    assert other.sha256 == network.resized(32, 16).sha256
    save_sigma_delta(tmp_path / "again", loihi_unet.load(stored))
    assert (tmp_path / "again").read_bytes() == stored.read_bytes()


def test_a_trained_network_both_ways(trained, folder, tmp_path):
    for name in ("a.net", "a.safetensors"):
        convert(trained, tmp_path / name, folder, size=(16, 16))
    loihi_unet.export(tmp_path / "a.safetensors", out=tmp_path / "b.net")
    assert (tmp_path / "b.net").read_bytes() == (tmp_path / "a.net").read_bytes()


@pytest.mark.parametrize("place", [1, 5, -1])
def test_one_weight_or_threshold_off_is_found(place, tmp_path):
    """The comparison above can fail."""
    path = tmp_path / "a.safetensors"
    network = network_of("unet")
    save_sigma_delta(path, network)
    tensors, record = read_tensors(path)
    layer = network.layers[place]
    weight = tensors[f"{layer.name}.weight.{layer.connections[0].source}"]
    weight.view(-1)[0] ^= 1
    write_tensors(path, tensors, record)
    assert load_sigma_delta(path).sha256 != network.sha256
    if place > 0:
        save_sigma_delta(path, with_thresholds(network, {layer.name: 1}))
        assert load_sigma_delta(path).sha256 != network.sha256


def test_weights_are_bytes(tmp_path):
    network = network_of("unet")
    save_sigma_delta(tmp_path / "a", network)
    tensors, _ = read_tensors(tmp_path / "a")
    for layer in network.layers:
        for c in layer.connections:
            if not isinstance(c.synapse, Injection):
                half = tensors[f"{layer.name}.weight.{c.source}"]
                assert half.dtype == torch.int8
                np.testing.assert_array_equal(2 * half.int(), c.synapse.weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, r: r.pop("layers"), "record: layers: Field required"),
        (lambda t, r: r.update(layers=[]), "network: no layer found"),
        (lambda t, r: r.update(size=[0, 8]), r"record: size\.0: .* greater than"),
        (lambda t, r: r.update(minimum=10**9), r"input: payload 1000000000\.\.767 "),
        (lambda t, r: r.update(scale=-1.0), "input: scale -1.0 found, positive"),
        (lambda t, r: r.update(provenance={}), "provenance says of no sigma-delta"),
        (lambda t, r: r["layers"][1].update(threshold=-1), r"vth_mant: -1 outside"),
        (lambda t, r: r["layers"][1].update(delay=63), r"layers\.1\.delay: "),
        (lambda t, r: r["layers"][1].update(connections=[]), "no connection found"),
        (
            lambda t, r: r["layers"][1]["connections"][0].update(source="nose"),
            "layer 'enc0.conv1': no earlier layer 'nose'",
        ),
        (
            lambda t, r: t.pop("enc0.conv1.weight.delta"),
            "layer 'enc0.conv1': weight of 'delta': no tensor found, 8 bits needed",
        ),
        (
            lambda t, r: t.update({"enc0.conv1.weight.delta": torch.zeros(1)}),
            "layer 'enc0.conv1': weight of 'delta': torch.float32 found",
        ),
        (
            lambda t, r: r["layers"][1]["connections"][0]["synapse"].update(groups=7),
            "layer 'enc0.conv1': ",
        ),
    ],
)
def test_a_file_that_contradicts_itself(tmp_path, change, message):
    path = tmp_path / "altered.safetensors"
    save_sigma_delta(path, network_of("unet"))
    tensors, record = read_tensors(path)
    change(tensors, record)
    write_tensors(path, tensors, record)
    with pytest.raises(
        CheckpointError, match=rf"altered\.safetensors: .*{message}"
    ) as e:
        load_sigma_delta(path)
    assert "\n" not in str(e.value)


def test_sizes_and_neurons_that_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    network = network_of("unet")
    save_sigma_delta(path, network)
    with pytest.raises(ConversionError, match=r"--size 17x16: .* multiples of 4"):
        loihi_unet.export(path, (17, 16))
    with pytest.raises(ConversionError, match="--mapping binary-if: of multi-thresh"):
        loihi_unet.export(path, mapping="binary-if")
