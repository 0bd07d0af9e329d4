# SPDX-License-Identifier: BSD-3-Clause
"""One picture is the quantised network exactly, on every backend."""

import dataclasses

import numpy as np
import pytest
import sigma_delta
import torch

from export.errors import NetworkError
from export.images import decode, picture_channels
from export.netx import read_network, write_network
from loihi_unet.errors import ConversionError
from loihi_unet.sigma_delta.convert import convert_module
from loihi_unet.spiking.graph import Graph
from loihi_unet.spiking.layer import Connection, Geometry, Layer
from sim.backend import OverflowLayerError, create
from sim.pictures import output_of
from sim.verify.comparison import compare

BACKENDS = [
    "reference",
    "torch",
    pytest.param("lava", marks=pytest.mark.lava),
    pytest.param("lava-stock", marks=[pytest.mark.lava, pytest.mark.slow]),
]


def network_of(kind):
    """Float function of pictures / 255, and the integer network."""
    if kind == "signed":
        torch.manual_seed(3)
        module = sigma_delta.Signed().eval()
        x = torch.from_numpy(sigma_delta.pictures(3, 1, (16, 24))) / 255
        return module, convert_module(module, x)[0]
    return sigma_delta.unet(
        residual=kind != "plain", channels=3 if kind == "colour" else 1
    )


def entering(network, picture):
    """A picture with the constant planes that the commands add, one image."""
    size = picture.shape[1:]
    planes = [np.full((1, *size), level) for level in (255, 16)]
    if network.input.shape[0] > len(picture) + len(planes):
        planes.insert(0, np.full((1, *size), 255))
    return np.concatenate([picture, *planes])[None]


@pytest.mark.parametrize("kind", ["residual", "plain", "colour", "signed"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_picture_is_the_integer_network(kind, backend):
    _, network = network_of(kind)
    channels = 3 if kind == "colour" else 1
    # Lava's time goes with the pixels.
    size = (8, 12) if backend.startswith("lava") else (16, 24)
    network = network.resized(*size)
    picture = sigma_delta.pictures(1, channels, size, seed=1)[0]
    expected = sigma_delta.integer_ann(network, picture)
    found = create(backend).run(network, entering(network, picture))
    np.testing.assert_array_equal(output_of(network, found)[0], expected)
    # And it is one step: everything is sent once, and nothing at any other.
    for layer in network.layers[:-1]:
        sent = np.flatnonzero(found.payloads[layer.name][0].any(axis=(1, 2, 3)))
        assert sent.tolist() == [network.arrivals[layer.name] - 1]


@pytest.mark.parametrize("place", range(1, 4))
def test_one_weight_off_is_found(place):
    """The check above can fail: one weight of one layer differs by a level."""
    _, network = network_of("plain")
    picture = sigma_delta.pictures(1, 1, (16, 24), seed=1)[0]
    right = create("torch").run(network, entering(network, picture))
    layers = list(network.layers)
    [first, *rest] = layers[place].connections
    weight = first.synapse.weight.copy()
    loudest = [
        int(right.payloads[name][0].sum(axis=(0, 2, 3))[:-2].argmax())  # planes behind
        for name in (layers[place].name, first.source)
    ]
    tap = (loudest[0], loudest[1] if weight.shape[1] > 1 else 0, -1, -1)
    weight[tap] += 2 if weight[tap] < 0 else -2
    synapse = dataclasses.replace(first.synapse, weight=weight)
    changed = dataclasses.replace(first, synapse=synapse)
    layers[place] = dataclasses.replace(layers[place], connections=(changed, *rest))
    other = dataclasses.replace(network, layers=tuple(layers))
    found = create("torch").run(other, entering(network, picture))
    expected = sigma_delta.integer_ann(network, picture)
    assert not np.array_equal(output_of(network, found)[0], expected)


@pytest.mark.parametrize("kind", ["residual", "plain", "colour", "signed"])
def test_it_says_what_the_float_network_says(kind):
    """Weights of 8 bits, random ones: the ANN is met to three parts in a hundred."""
    graph, network = network_of(kind)
    channels = 3 if kind == "colour" else 1
    picture = sigma_delta.pictures(1, channels, (16, 24), seed=1)[0]
    found = decode(network, sigma_delta.integer_ann(network, picture))
    with torch.no_grad():
        expected = graph(torch.from_numpy(picture)[None] / 255)[0].numpy()
    error = np.sqrt(np.mean((found - expected) ** 2))
    assert error < 0.03 * expected.std()


def test_the_file_holds_it(tmp_path):
    _, network = sigma_delta.unet()
    write_network(network, tmp_path / "a.net")
    back = read_network(tmp_path / "a.net")
    assert back.sha256 == network.sha256
    assert back.takes_pictures
    assert back.resized(32, 16).output.shape == (1, 32, 16)


def test_a_larger_picture_runs_as_well():
    _, network = sigma_delta.unet()
    large = network.resized(24, 32)
    picture = sigma_delta.pictures(1, 1, (24, 32), seed=4)[0]
    entering = np.concatenate([picture, *[np.full((1, 24, 32), v) for v in (255, 16)]])
    found = create("torch").run(large, entering[None])
    expected = sigma_delta.integer_ann(large, picture)
    np.testing.assert_array_equal(output_of(large, found)[0], expected)
    a, b = (create(n).run(large, entering[None]) for n in ("torch", "reference"))
    assert compare(a, b, large).verdict == "EXACT"


@pytest.mark.parametrize("planes", [7, "ab", [1, -2], [1.5], [1, 2, 3], {"a": 1}])
def test_a_file_whose_planes_are_nonsense(planes):
    _, network = sigma_delta.unet()
    damaged = dataclasses.replace(
        network, provenance={**network.provenance, "constant_plane": planes}
    )
    with pytest.raises(NetworkError, match="provenance constant_plane: "):
        picture_channels(damaged)


def test_overflow_names_layer_and_step():
    """Weights that calibration did not allow: 24 bits are left in the third layer."""
    _, network = sigma_delta.unet()
    layers = list(network.layers)
    for place in (1, 2, 3):
        [first, *rest] = layers[place].connections
        loud = dataclasses.replace(
            first.synapse, weight=np.full_like(first.synapse.weight, 254)
        )
        first = dataclasses.replace(first, synapse=loud)
        layers[place] = dataclasses.replace(layers[place], connections=(first, *rest))
    network = dataclasses.replace(network, layers=tuple(layers))
    entering = np.full((1, 3, 16, 24), 767)
    messages = []
    for backend in ("reference", "torch"):
        with pytest.raises(OverflowLayerError, match=r"layer '.*', step \d+: ") as why:
            create(backend).run(network, entering)
        messages.append(str(why.value))
    assert messages[0] == messages[1]


def test_padding_that_constants_cannot_pass_is_refused():
    wide = Connection(
        source="input",
        kind="conv",
        weight=torch.ones(1, 1, 3, 3),
        geometry=Geometry(padding=(2, 2)),
    )
    layer = Layer(
        name="out",
        channels=1,
        connections=(wide,),
        bias=torch.zeros(1),
        scale=1.0,
        spiking=False,
    )
    graph = Graph(layers=(layer,), weights_sha256="")
    with pytest.raises(ConversionError, match=r"layer 'out': .* constants cannot pass"):
        sigma_delta.converted(graph)
