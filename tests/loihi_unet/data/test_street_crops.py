# SPDX-License-Identifier: BSD-3-Clause
"""Street scenes: what is cut keeps its label, at any zoom and in any light."""

import numpy as np
import pytest
import torch

from loihi_unet.data.pictures import VOID, Picture
from loihi_unet.data.street_crops import LIGHT, TINT, ZOOM, class_weights, street_crop
from loihi_unet.seeds import Purpose, generator


@pytest.fixture
def scene():
    """Class 1 is bright, class 0 dark: a board of fields of four by four pixels."""
    blocks = np.indices((12, 15)).sum(axis=0).astype(np.uint8) % 2
    label = blocks.repeat(4, axis=0).repeat(4, axis=1)
    pixels = np.where(label, 160, 20).astype(np.uint8)
    return Picture(name="s", pixels=np.stack([pixels] * 3 + [label]), label=label)


def crops(scene, size=16, count=40):
    return [
        street_crop([scene], size, generator(0, Purpose.TRAINING, index))
        for index in range(count)
    ]


def test_label_stays_with_its_pixels(scene):
    for crop in crops(scene):
        assert crop.shape == (4, 16, 16)
        bright = crop[:3].mean(axis=0)
        middle = (bright.min() + bright.max()) / 2
        # Interpolation blurs the edges between fields.
        assert ((bright > middle) == crop[3]).mean() > 0.85
        assert set(np.unique(crop[3])) <= {0, 1}


def test_zoom_and_light_vary_within_their_limits(scene):
    found = crops(scene)
    bright = [crop[:3].reshape(3, -1).max(axis=1) / 160 for crop in found]
    gains = np.log(np.array(bright))
    assert gains.mean(axis=1).std() == pytest.approx(LIGHT, rel=0.4)
    assert (gains - gains.mean(axis=1, keepdims=True)).std() < 2 * TINT
    # A field of four pixels is 4 / zoom wide: fewer edges the nearer it is.
    edges = [np.abs(np.diff(crop[3].astype(int), axis=1)).sum() for crop in found]
    assert max(edges) > 1.5 * min(edges)
    assert ZOOM[0] < 1 < ZOOM[1]


def test_a_crop_repeats(scene):
    assert np.array_equal(crops(scene, count=3), crops(scene, count=3))


def test_rare_classes_weigh_more():
    label = np.array([[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, VOID, VOID]], np.uint8)
    picture = Picture(name="p", pixels=np.zeros((3, 1, 12), np.uint8), label=label)
    weights = class_weights([picture], 3)
    assert weights[1] == pytest.approx(3 * weights[0])
    assert 0.9 * weights[0] + 0.1 * weights[1] == pytest.approx(1)
    assert weights[2] == 1
    assert torch.equal(class_weights([], 2), torch.ones(2))
