# SPDX-License-Identifier: BSD-3-Clause
"""Segmentation: the class of every pixel, and its scores."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from loihi_unet.config import SegmentConfig
from loihi_unet.data.pictures import Picture
from loihi_unet.tasks.confusion import (
    Confusion,
    binary_scores,
    confusion,
    several_scores,
)
from loihi_unet.tasks.denoise import Network, restore


def label_of(picture: Picture) -> NDArray[np.uint8]:
    """Return the class of every pixel."""
    assert picture.label is not None  # load_data gives every picture of a set one
    return picture.label


def predict(
    network: Network,
    picture: Picture,
    *,
    multiple: int | tuple[int, int],
    device: torch.device | None = None,
) -> NDArray[np.float32]:
    """Return a network's outputs for one picture, shape (C_out, H, W): logits."""
    pixels = picture.pixels.astype(np.float32)
    levels = restore(network, pixels, multiple=multiple, device=device)
    logits: NDArray[np.float32] = levels / np.float32(255)
    return logits


def classes_of(logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the class of every pixel, shape (H, W), from outputs (C, H, W).

    One output: class 1 where it is above 0. Several: the largest, the first of equals.
    """
    if len(logits) == 1:
        return np.asarray(logits[0] > 0, np.int64)
    return np.asarray(logits.argmax(axis=0), np.int64)


def find_classes(
    network: Network,
    picture: Picture,
    *,
    multiple: int | tuple[int, int],
    device: torch.device | None = None,
) -> NDArray[np.uint8]:
    """Return the class a network gives every pixel of one picture, shape (H, W)."""
    logits = predict(network, picture, multiple=multiple, device=device)
    return classes_of(logits).astype(np.uint8)


def counted(
    classes: NDArray[Any], picture: Picture, task: SegmentConfig
) -> dict[str, Confusion]:
    """Count which classes were found where.

    Parameters
    ----------
    classes : ndarray of int, shape (H, W)
        Classes found.
    picture : Picture
        With a label, and a mask where the set has them.
    task : SegmentConfig
        Names the classes.

    Returns
    -------
    dict[str, Confusion]
        ``all``, and ``fov`` inside the field of view.
    """
    label, number = label_of(picture), task.classes
    counts = {"all": confusion(classes, label, number)}
    if task.settings.masks is not None:
        assert picture.mask is not None  # load_data gives every picture of a set one
        inside = picture.mask
        counts["fov"] = confusion(classes[inside], label[inside], number)
    return counts


def scores_of(
    counted: Iterable[dict[str, Confusion]], task: SegmentConfig
) -> dict[str, float]:
    """Score classes over all pixels of a set together.

    Parameters
    ----------
    counted : iterable of dict
        From `counted`, one for each picture.
    task : SegmentConfig
        Names the classes.

    Returns
    -------
    dict[str, float]
        Of two classes ``f1``, ``jaccard`` and ``accuracy`` of class 1; of several
        ``miou``, the mean over those that occur, and ``accuracy``, the share of right
        pixels, without void. With masks the same inside the field of view
        (``f1_fov`` ...), and where both of two classes are scored those of class 0
        (``f1_membrane`` ..., after its name).
    """
    total = summed(counted)
    score = binary_scores if task.classes == 2 else several_scores
    scores: dict[str, float] = {}
    for part, counts in total.items():
        suffix = "" if part == "all" else f"_{part}"
        scores |= {f"{name}{suffix}": value for name, value in score(counts).items()}
    if task.classes == 2 and task.settings.score_both:
        name = task.settings.names[0]
        values = binary_scores(total["all"], positive=0)
        scores |= {f"{key}_{name}": value for key, value in values.items()}
    return scores


def summed(counted: Iterable[dict[str, Confusion]]) -> dict[str, Confusion]:
    """Return the counts of several pictures together, by part."""
    total: dict[str, Confusion] = {}
    for one in counted:
        for part, counts in one.items():
            total[part] = total[part] + counts if part in total else counts
    return total
