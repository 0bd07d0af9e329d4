# SPDX-License-Identifier: BSD-3-Clause
"""What the demo shows: a picture, a model, and what can be said of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import skimage.data
from numpy.typing import NDArray
from skimage.metrics import contingency_table
from skimage.transform import resize

from loihi_unet.data.datasets import enhance
from loihi_unet.data.pictures import load_pictures
from loihi_unet.report.overlay import EXTRA, MISSED, rgb
from loihi_unet.tasks.denoise import noisy_picture
from loihi_unet.tasks.metrics import quality
from loihi_unet.tasks.segment import classes_of

Pixels = NDArray[np.float32]

#: Makes a difference of gray levels visible.
DIFFERENCE = 16
VESSEL = "#d55e00"


class Subject(Protocol):
    """A picture and the model it goes through.

    Attributes
    ----------
    title : str
        Of the report.
    model : str
        Name of a shipped model, or a checkpoint.
    spiking : str
        What it was converted to: the same name, or a file.
    multiple : int
        What sides its U-Net takes.
    pixels : ndarray, shape (C, H, W), float32
        What the network sees: integer gray levels.
    corners : tuple of (int, int)
        Top left corners of the crops that are streamed, the first one shown enlarged.
    settings : dict[str, Any]
        For the report.
    """

    title: str
    model: str
    spiking: str
    multiple: int
    pixels: Pixels
    corners: tuple[tuple[int, int], ...]
    settings: dict[str, Any]

    def scores(self, outputs: Mapping[str, Pixels]) -> dict[str, float]:
        """Quality by ``<backend>_<measure>``, of outputs times 255 by backend."""

    def pictures(self, outputs: Mapping[str, Pixels]) -> dict[str, tuple[str, Pixels]]:
        """File name, title and pixels (C, H, W) of what is shown, in order."""

    def psnr(self, output: Pixels, window: tuple[slice, ...]) -> float | None:
        """Of a part of the picture, in dB; None where there is no truth."""


class Photograph:
    """scikit-image's camera man with Gaussian noise, sigma 25."""

    title = "One photograph through every backend"
    model = spiking = "denoise-gray"
    multiple = 16
    # Face and camera, tripod, buildings.
    corners: tuple[tuple[int, int], ...] = ((96, 160), (256, 192), (192, 384))

    def __init__(self) -> None:
        self.clean = next(p for p in load_pictures(None, 1) if p.name == "camera.png")
        self.settings: dict[str, Any] = {
            "photograph": self.clean.name,
            "sigma": 25.0,
            "seed": 0,
        }
        self.pixels = noisy_picture(self.clean, 0, sigma=25.0, seed=0)

    def scores(self, outputs: Mapping[str, Pixels]) -> dict[str, float]:
        """PSNR and SSIM of the noisy picture and of every output."""
        found = {
            key: quality(self.clean.pixels, x)
            for key, x in {"noisy": self.pixels, **outputs}.items()
        }
        return {f"{key}_psnr": score.psnr for key, score in found.items()} | {
            f"{key}_ssim": score.ssim for key, score in found.items()
        }

    def pictures(self, outputs: Mapping[str, Pixels]) -> dict[str, tuple[str, Pixels]]:
        """Noisy, ANN, chip, truth and the difference of the two networks."""
        difference = DIFFERENCE * np.abs(outputs["chip"] - outputs["ann"])
        return {
            "noisy": ("input: noisy", self.pixels),
            "ann": ("float ANN", outputs["ann"]),
            "chip": ("integer network (chip)", outputs["chip"]),
            "clean": ("truth", self.clean.pixels.astype(np.float32)),
            "difference": (f"|chip - ANN| x {DIFFERENCE}", difference),
        }

    def psnr(self, output: Pixels, window: tuple[slice, ...]) -> float | None:
        """Of a part of the photograph."""
        return quality(self.clean.pixels[window], output).psnr


class Retina:
    """scikit-image's fundus photograph, at the scale of DRIVE's.

    It comes without anybody's drawing of the vessels, so the measure is how well the
    spiking networks' vessel maps agree with the ANN's.
    """

    title = "A retina's vessels through every backend (F1: of the ANN's vessel map)"
    model = spiking = "segment-drive"
    multiple = 8
    # Optic disc, the large vessels below it, small ones.
    corners: tuple[tuple[int, int], ...] = ((192, 64), (320, 192), (160, 256))
    #: DRIVE's field of view is 540 pixels wide, this one 1380 of 1411.
    side = 552

    def __init__(self) -> None:
        colour = resize(skimage.data.retina(), (self.side, self.side), anti_aliasing=1)
        # As Pillow makes gray of RGB, which the training data went through.
        gray = colour @ np.array([0.299, 0.587, 0.114])
        levels = np.rint(255 * gray).astype(np.uint8)[None]
        self.pixels = enhance(levels).astype(np.float32)
        self.settings: dict[str, Any] = {
            "photograph": "retina.jpg",
            "height and width": self.side,
        }

    def scores(self, outputs: Mapping[str, Pixels]) -> dict[str, float]:
        """F1 of the spiking networks' vessels, with the ANN's for the truth."""
        truth = classes_of(outputs["ann"])
        return {
            f"{key}_f1": _f1(truth, classes_of(outputs[key])) for key in ("snn", "chip")
        }

    def pictures(self, outputs: Mapping[str, Pixels]) -> dict[str, tuple[str, Pixels]]:
        """The picture, both vessel maps on it, and where they differ."""
        vessels = {key: classes_of(x)[None] > 0 for key, x in outputs.items()}
        ann, chip = vessels["ann"], vessels["chip"]
        colour = np.repeat(self.pixels, 3, axis=0)
        return {
            "input": ("input: CLAHE and gamma", self.pixels),
            "ann": ("float ANN", np.where(ann, _paint(VESSEL), colour)),
            "chip": ("integer network (chip)", np.where(chip, _paint(VESSEL), colour)),
            "difference": (
                "chip - ANN: blue only ANN, orange only chip",
                np.select(
                    [ann & ~chip, chip & ~ann],
                    [_paint(MISSED), _paint(EXTRA)],
                    colour * 0.4,
                ),
            ),
        }

    def psnr(self, output: Pixels, window: tuple[slice, ...]) -> float | None:
        """None: there is no truth."""
        return None


def _paint(colour: str) -> Pixels:
    """Red, green and blue, shape (3, 1, 1)."""
    return np.array(rgb(colour), np.float32)[:, None, None]


def _f1(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    table = contingency_table(truth, found).toarray()
    return float(2 * table[1, 1] / (2 * table[1, 1] + table[0, 1] + table[1, 0]))
