# SPDX-License-Identifier: BSD-3-Clause
"""Whole pictures: the receptive radius holds, and tiles change nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from export.images import decode
from export.lowering import lower
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.errors import DataError
from loihi_unet.runs.tiling import WholeNetwork, receptive_radius, tiles
from sim.backend import create


@pytest.fixture(scope="module")
def network(model, calibration, tiny):
    provenance = {"train": tiny.model_dump(mode="json")}
    snn = spiking_unet(
        model, calibration, num_steps=4, num_thresholds=6, provenance=provenance
    )
    return lower(snn, 8, 8)


@pytest.fixture(scope="module")
def picture():
    levels = np.random.default_rng(1).integers(0, 256, (1, 1, 112, 120))
    return torch.from_numpy((levels / np.float32(255)).astype(np.float32))


def test_radius_of_two_levels(network):
    # enc 1+1, pool 1, enc 2+2, pool 2, mid 4+4, up 4, dec 2+2, up 2, dec 1+1, out 0.
    assert receptive_radius(network) == 29


def test_nothing_beyond_the_radius_matters(network):
    side = 80
    images = np.random.default_rng(2).integers(0, 256, (1, 1, side, side))
    changed = images.copy()
    changed[0, 0, 40, 40] = 1023 - changed[0, 0, 40, 40]
    sized = network.resized(side, side)
    simulator = create("torch")
    outputs = [simulator.run(sized, x, layers=()).output for x in (images, changed)]
    rows, columns = np.nonzero((outputs[0] != outputs[1])[0, 0])
    reach = max(abs(rows - 40).max(), abs(columns - 40).max())
    assert 10 < reach <= receptive_radius(network)


def test_tiles_change_nothing(network, picture):
    whole = WholeNetwork(network, create("torch"), 1024)
    cut = WholeNetwork(network, create("torch"), 84)
    assert torch.equal(whole(picture), cut(picture))


def test_a_margin_below_the_radius_does_change_something(network, picture):
    whole = WholeNetwork(network, create("torch"), 1024)
    cut = WholeNetwork(network, create("torch"), 84)
    cut.margin = 8
    assert not torch.equal(whole(picture), cut(picture))


def test_output_is_the_decoded_accumulator(network):
    levels = np.random.default_rng(3).integers(-90, 300, (2, 1, 16, 12))
    sized = network.resized(16, 12)
    recording = create("reference").run(sized, levels)
    x = torch.from_numpy((levels / np.float32(255)).astype(np.float32))
    mine = WholeNetwork(network, create("torch"), 1024)(x)
    expected = decode(sized, recording.output).astype(np.float32)
    assert np.array_equal(mine.numpy(), expected)


@given(
    length=st.integers(1, 60),
    tile=st.integers(1, 100),
    margin=st.integers(0, 30),
    multiple=st.sampled_from([1, 4, 16]),
)
def test_tiles_keep_every_pixel_once(length, tile, margin, multiple):
    length *= multiple
    try:
        pieces = list(tiles(length, tile, margin, multiple))
    except DataError:
        assert tile < length
        return
    assert [p.first for p in pieces] == [0, *(p.last for p in pieces[:-1])]
    assert pieces[-1].last == length
    for piece in pieces:
        assert piece.stop - piece.start <= max(tile, 0)
        assert piece.start % multiple == piece.stop % multiple == 0
        assert piece.start == 0 or piece.first - piece.start >= margin
        assert piece.stop == length or piece.stop - piece.last >= margin


def test_a_tile_too_small_says_from_where(network, picture):
    small = WholeNetwork(network, create("torch"), 64)
    with pytest.raises(DataError, match=r"tile 64: allowed from 68 \(two margins"):
        small(picture)
