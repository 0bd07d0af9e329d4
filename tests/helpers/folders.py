# SPDX-License-Identifier: BSD-3-Clause
"""Folders as people have them: small data sets of blobs, made here."""

import numpy as np
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

#: Palette of the labels: background, cell, nucleus, and 255 for no class.
PALETTE = [0, 0, 0, 200, 0, 0, 0, 0, 200] + [0] * (252 * 3) + [255, 255, 255]
#: Colours of the same.
COLOURS = ((0, 0, 0), (200, 0, 0), (0, 0, 200))


def blobs(seed, height=48, width=40):
    """Return gray levels (H, W) and classes 0, 1, 2 by brightness."""
    random = np.random.default_rng(seed)
    smooth = gaussian_filter(random.standard_normal((height, width)), 3)
    order = smooth.argsort(axis=None).argsort().reshape(height, width)
    share = order / order.size
    classes = (share > 0.5).astype(np.uint8) + (share > 0.8)
    levels = 40 + 80 * classes + random.integers(-15, 16, (height, width))
    return levels.astype(np.uint8), classes.astype(np.uint8)


def save(path, values, palette=None):
    """Write a picture; with a palette its values are indices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values, None if palette is None else "P")
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


def make_palette(folder, count=10):
    """Write train/images and train/labels, test alike; labels with a palette."""
    for index in range(count):
        levels, classes = blobs(index, 40 + index, 48 - index)
        classes[:2] = 255
        part = folder / ("train" if index < count - 3 else "test")
        save(part / "images" / f"cell{index}.png", levels)
        save(part / "labels" / f"cell{index}.png", classes, PALETTE)
    return folder


def make_colours(folder, count=10):
    """Write images/train and annotations/train, test alike; labels in colour."""
    table = np.array(COLOURS, np.uint8)
    for index in range(count):
        levels, classes = blobs(index)
        part = "train" if index < count - 3 else "test"
        rgb = np.stack([levels, levels // 2, 255 - levels], axis=-1)
        save(folder / "images" / part / f"{index}.jpg.png", rgb)
        save(folder / "annotations" / part / f"{index}.jpg_mask.png", table[classes])
    return folder


def make_stacks(folder, count=10):
    """Write a stack of 12-bit sections and one of their labels, 0 and 255."""
    pairs = [blobs(index) for index in range(count)]
    levels = np.stack([16 * levels.astype(np.uint16) for levels, _ in pairs])
    drawn = np.stack([np.where(classes, 255, 0) for _, classes in pairs])
    for name, values in (("images", levels), ("labels", drawn.astype(np.uint8))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        path = folder / name / f"{name[:-1]}-stack.tif"
        tifffile.imwrite(path, values, photometric="minisblack")
    return folder


def make_pairs(folder, count=10, scale=1):
    """Write blurred, or small, and sharp pictures."""
    for index in range(count):
        levels, _ = blobs(index, 48, 32)
        if scale > 1:
            size = (levels.shape[1] // scale, levels.shape[0] // scale)
            image = Image.fromarray(levels).resize(size, Image.Resampling.BOX)
            low = np.array(image)
        else:
            low = gaussian_filter(levels, 1.0)
        save(folder / "input" / f"{index}.png", low)
        save(folder / "target" / f"{index}.png", levels)
    return folder


def make_classes(folder, count=8):
    """Write train/dark and train/light, test alike."""
    for number, name in enumerate(("dark", "light")):
        for index in range(count):
            levels, _ = blobs(index + 100 * number, 36 + index % 3, 36)
            shifted = levels // 3 + 130 * number
            part = "train" if index < count - 3 else "test"
            save(folder / part / name / f"{index}.png", shifted.astype(np.uint8))
    return folder
