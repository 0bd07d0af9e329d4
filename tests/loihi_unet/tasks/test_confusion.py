# SPDX-License-Identifier: BSD-3-Clause
"""Scores from counts are those of torchmetrics, to the last bit."""

import numpy as np
import pytest
import torch
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryF1Score,
    BinaryJaccardIndex,
    MulticlassAccuracy,
    MulticlassJaccardIndex,
)

from loihi_unet.data.pictures import VOID
from loihi_unet.tasks.confusion import (
    binary_scores,
    class_table,
    confusion,
    several_scores,
)


@pytest.mark.parametrize("seed", range(4))
def test_two_classes(seed):
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, 9999).astype(np.uint8)
    found = np.where(random.random(9999) < 0.2, 1 - label, label)
    scores = binary_scores(confusion(found, label, 2))
    pair = torch.from_numpy(found.astype(int)), torch.from_numpy(label.astype(int))
    assert scores == {
        "f1": float(BinaryF1Score()(*pair)),
        "jaccard": float(BinaryJaccardIndex()(*pair)),
        "accuracy": float(BinaryAccuracy()(*pair)),
    }
    turned = binary_scores(confusion(found, label, 2), positive=0)
    assert turned["f1"] == float(BinaryF1Score()(1 - pair[0], 1 - pair[1]))


@pytest.mark.parametrize("seed", range(4))
def test_several_classes(seed):
    random = np.random.default_rng(seed)
    label = random.choice([0, 1, 2, 4, VOID], 9999).astype(np.uint8)
    found = np.where(random.random(9999) < 0.3, 2, label)
    found[label == VOID] = 5
    scores = several_scores(confusion(found, label, 7))
    pair = torch.from_numpy(found.astype(int)), torch.from_numpy(label.astype(int))
    miou = MulticlassJaccardIndex(7, ignore_index=VOID)(*pair)
    accuracy = MulticlassAccuracy(7, average="micro", ignore_index=VOID)(*pair)
    assert scores == {"miou": float(miou), "accuracy": float(accuracy)}


def test_counts_of_pictures_add_up():
    random = np.random.default_rng(0)
    label, found = random.integers(0, 3, (2, 100))
    parts = confusion(found[:40], label[:40], 3) + confusion(found[40:], label[40:], 3)
    np.testing.assert_array_equal(parts, confusion(found, label, 3))
    assert parts[1, 2] == ((label == 1) & (found == 2)).sum()


def test_the_table_by_hand():
    counts = np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]])
    first, second, third = class_table(counts, ["a", "b", "c"])
    assert first == {
        "class": "a",
        "share": 0.8,
        "precision": 6 / 7,
        "recall": 0.75,
        "f1": 12 / 15,
        "iou": 6 / 9,
    }
    assert second["iou"] == 1 / 4
    assert third == {"class": "c", "share": 0.0} | dict.fromkeys(
        ("precision", "recall", "f1", "iou")
    )
