# SPDX-License-Identifier: BSD-3-Clause
"""Crops of street scenes: mirrored, nearer and farther, in other light.

81 frames of one drive show the same few things from nearly the same place; without
this a network learns the frames. Rare classes are a few pixels wide, so they weigh
more.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from loihi_unet.data.crops import random_crops
from loihi_unet.data.pictures import VOID, Picture
from loihi_unet.data.sequence import all_facts, sizes

#: Side of what is cut, in sides of the crop it becomes.
ZOOM = (0.5, 4 / 3)
#: Standard deviation of the logarithm of the gain of all channels, and of each.
LIGHT, TINT = 0.2, 0.05


def street_crop(
    pictures: Sequence[Picture], size: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Cut one square, bring it to a size and change its light.

    Parameters
    ----------
    pictures : sequence of Picture
        Pixels with the label as their last channel.
    size : int
        Side of the result in pixels.
    generator : numpy.random.Generator
        Decides picture, place, zoom, mirroring and light.

    Returns
    -------
    ndarray, shape (C + 1, size, size), uint8
        Pixels interpolated, labels those of the nearest pixel.
    """
    largest = min(min(size) for size in sizes(pictures))
    # How a training picture is cut is no secret.
    side = min(largest, round(size * generator.uniform(*ZOOM)))  # nosec B311
    crop = random_crops(pictures, 1, side, generator, turn=False)
    cut = torch.from_numpy(np.ascontiguousarray(crop)).float()
    pixels = functional.interpolate(
        cut[:, :-1], (size, size), mode="bilinear", antialias=True
    )
    label = functional.interpolate(cut[:, -1:], (size, size), mode="nearest-exact")
    gain = generator.normal(0, LIGHT) + generator.normal(
        0, TINT, (cut.shape[1] - 1, 1, 1)
    )
    lit = np.rint(pixels[0].numpy() * np.exp(gain)).clip(0, 255)
    both: NDArray[np.uint8] = np.concatenate([lit, label[0].numpy()]).astype(np.uint8)
    return both


def class_counts(pictures: Sequence[Picture]) -> NDArray[np.int64]:
    """Count the pixels of each class, or the pictures, where whole ones have a class.

    Parameters
    ----------
    pictures : sequence of Picture
        With labels or numbers.

    Returns
    -------
    ndarray, shape (256,), int64
        That of no class is the last.
    """
    total = np.zeros(VOID + 1, np.int64)
    for fact in all_facts(pictures):
        if fact.counts is not None:
            total += fact.counts
        elif fact.number is not None:
            total[fact.number] += 1
    return total


def class_weights(
    pictures: Sequence[Picture], classes: int, power: float = 0.5
) -> torch.Tensor:
    """Weigh classes by the inverse root of their share; a pixel's mean weight is 1.

    Parameters
    ----------
    pictures : sequence of Picture
        With labels or numbers.
    classes : int
        How many there are, void left out.
    power : float
        1: by the inverse of their share itself.

    Returns
    -------
    Tensor, shape (classes,), float32
        1 for a class that occurs nowhere.
    """
    counts = class_counts(pictures)[:classes]
    share = counts / max(1, counts.sum())
    rarity = np.sqrt(share) if power == 0.5 else share**power
    weights = np.divide(1, rarity, out=np.ones(classes), where=share > 0)
    # The sum of share times weight; of roots, written so that it is 1 to the last bit.
    total = (rarity.sum() if power == 0.5 else (share * weights).sum()) or 1.0
    return torch.from_numpy(np.where(share > 0, weights / total, 1.0)).float()
