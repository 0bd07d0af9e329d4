# SPDX-License-Identifier: BSD-3-Clause
"""Crops of street scenes: mirrored, nearer and farther, in other light.

81 frames of one drive show the same few things from nearly the same place; without
this a network learns the frames. Rare classes are a few pixels wide, so they weigh
more.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from loihi_unet.data.crops import random_crops
from loihi_unet.data.pictures import VOID, Picture

#: Side of what is cut, in sides of the crop it becomes.
ZOOM = (0.5, 4 / 3)
#: Standard deviation of the logarithm of the gain of all channels, and of each.
LIGHT, TINT = 0.2, 0.05


def street_crop(
    pictures: list[Picture], size: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Cut one square, bring it to a size and change its light.

    Parameters
    ----------
    pictures : list[Picture]
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
    largest = min(min(picture.pixels.shape[1:]) for picture in pictures)
    # How a training picture is cut is no secret.
    side = min(largest, round(size * generator.uniform(*ZOOM)))  # nosec B311
    crop = random_crops(pictures, 1, side, generator, turn=False)
    cut = torch.from_numpy(np.ascontiguousarray(crop)).float()
    pixels = functional.interpolate(
        cut[:, :-1], (size, size), mode="bilinear", antialias=True
    )
    label = functional.interpolate(cut[:, -1:], (size, size), mode="nearest-exact")
    gain = generator.normal(0, LIGHT) + generator.normal(0, TINT, (3, 1, 1))
    lit = np.rint(pixels[0].numpy() * np.exp(gain)).clip(0, 255)
    both: NDArray[np.uint8] = np.concatenate([lit, label[0].numpy()]).astype(np.uint8)
    return both


def class_weights(pictures: list[Picture], classes: int) -> torch.Tensor:
    """Weigh classes by the inverse root of their share; a pixel's mean weight is 1.

    Parameters
    ----------
    pictures : list[Picture]
        With labels.
    classes : int
        How many there are, void left out.

    Returns
    -------
    Tensor, shape (classes,), float32
        1 for a class that occurs nowhere.
    """
    labels = [p.label[p.label != VOID] for p in pictures if p.label is not None]
    counts = np.bincount(np.concatenate([*labels, []]).astype(int), minlength=classes)
    share = counts / max(1, counts.sum())
    roots = np.sqrt(share)
    weights = np.divide(1, roots, out=np.ones(classes), where=share > 0)
    total = roots.sum() or 1.0
    return torch.from_numpy(np.where(share > 0, weights / total, 1.0)).float()
