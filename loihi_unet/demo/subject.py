# SPDX-License-Identifier: BSD-3-Clause
"""What the demo shows: a picture, a model, and what can be said of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import skimage.data
from numpy.typing import NDArray
from skimage.metrics import contingency_table
from skimage.transform import resize

from loihi_unet.data.crops import pad_to_multiple
from loihi_unet.data.datasets import enhance
from loihi_unet.data.pictures import Picture, load_pictures
from loihi_unet.demo.detail import detailed_corners, large_side
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.report.difference import signed_difference
from loihi_unet.report.overlay import EXTRA, MISSED, rgb
from loihi_unet.tasks.denoise import noisy_picture
from loihi_unet.tasks.metrics import quality
from loihi_unet.tasks.segment import classes_of

Pixels = NDArray[np.float32]

#: A difference has its full colour at the largest one but a thousandth of them.
PERCENTILE = 99.9
VESSEL = "#d55e00"


class Shown(NamedTuple):
    """A picture of the report.

    Attributes
    ----------
    title : str
        Its caption.
    pixels : ndarray, shape (C, H, W)
        Gray levels.
    scale : float or None
        Of a signed difference: gray levels at which its colours are full.
    legend : tuple of (str, str)
        Colour and meaning of what is drawn in it.
    """

    title: str
    pixels: Pixels
    scale: float | None = None
    legend: tuple[tuple[str, str], ...] = ()


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
        What the network sees: integer gray levels, of sides that it takes.
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

    def pictures(self, outputs: Mapping[str, Pixels]) -> dict[str, Shown]:
        """What is shown, by file name, in order; the input first."""

    def psnr(self, output: Pixels, window: tuple[slice, ...]) -> float | None:
        """Of a part of the picture, in dB; None where there is no truth."""


class Photograph:
    """scikit-image's camera man with Gaussian noise of sigma 25, or one's own photo.

    Parameters
    ----------
    own : Picture or None
        The photo, gray or colour.
    sigma : float
        Of the noise; 0: the photo comes with its own, and there is no truth.
    """

    title = "One photograph"

    def __init__(self, own: Picture | None = None, sigma: float = 25.0) -> None:
        camera = "camera.png"
        self.clean = own or next(p for p in load_pictures(None, 1) if p.name == camera)
        self.noise = sigma > 0
        self.model = "denoise-gray" if len(self.clean.pixels) == 1 else "denoise-colour"
        self.spiking = self.model
        self.settings: dict[str, Any] = {
            "photograph": self.clean.name,
            "sigma": sigma,
            "seed": 0,
        }
        self.size = self.clean.size
        self.multiple = _sides(self.model)
        noisy = noisy_picture(self.clean, 0, sigma=sigma, seed=0)
        self.pixels: Pixels = pad_to_multiple(noisy, self.multiple)
        # Face and camera, tripod, buildings.
        self.corners: tuple[tuple[int, int], ...] = (
            ((96, 160), (256, 192), (192, 384))
            if own is None
            else chosen_corners(self.pixels, self.multiple)
        )

    def scores(self, outputs: Mapping[str, Pixels]) -> dict[str, float]:
        """PSNR and SSIM of the noisy picture and of every output."""
        if not self.noise:
            return {}
        qualities = {
            key: quality(self.clean.pixels, self._cut(x))
            for key, x in {"noisy": self.pixels, **outputs}.items()
        }
        return {f"{key}_psnr": score.psnr for key, score in qualities.items()} | {
            f"{key}_ssim": score.ssim for key, score in qualities.items()
        }

    def pictures(self, outputs: Mapping[str, Pixels]) -> dict[str, Shown]:
        """Noisy, ANN, integer network, truth and the difference of the networks."""
        ann, chip = (self._cut(outputs[key]) for key in ("ann", "chip"))
        shown = {
            "noisy": Shown(
                "input: noisy" if self.noise else "input", self._cut(self.pixels)
            ),
            "ann": Shown("float ANN", ann),
            "chip": Shown("integer network", chip),
            "clean": Shown("truth", self.clean.pixels.astype(np.float32)),
            "difference": minus_ann(chip, ann),
        }
        if not self.noise:
            del shown["clean"]
        return shown

    def psnr(self, output: Pixels, window: tuple[slice, ...]) -> float | None:
        """Of a part of the photograph, if it reaches nowhere beyond it."""
        truth = self.clean.pixels[window]
        if not self.noise or truth.shape != output.shape:
            return None
        return quality(truth, output).psnr

    def _cut(self, output: Pixels) -> Pixels:
        height, width = self.size
        return output[:, :height, :width]


class Retina:
    """scikit-image's fundus photograph, at the scale of DRIVE's, or one's own.

    It comes without anybody's drawing of the vessels, so the measure is how well the
    spiking networks' vessel maps agree with the ANN's.

    Parameters
    ----------
    own : Picture or None
        The photo, in gray.
    """

    title = "A retina's vessels (F1: of the ANN's vessel map)"
    model = spiking = "segment-drive"
    #: DRIVE's field of view is 540 pixels wide, this one 1380 of 1411.
    side = 552

    def __init__(self, own: Picture | None = None) -> None:
        levels = _retina(self.side) if own is None else own.pixels
        enhanced = enhance(levels).astype(np.float32)
        self.size = enhanced.shape[1:]
        self.multiple = _sides(self.model)
        self.pixels: Pixels = pad_to_multiple(enhanced, self.multiple)
        # Optic disc, the large vessels below it, small ones.
        self.corners: tuple[tuple[int, int], ...] = (
            ((192, 64), (320, 192), (160, 256))
            if own is None
            else chosen_corners(self.pixels, self.multiple)
        )
        self.settings: dict[str, Any] = {
            "photograph": "retina.jpg" if own is None else own.name,
            "height and width": "x".join(map(str, self.size)),
        }

    def scores(self, outputs: Mapping[str, Pixels]) -> dict[str, float]:
        """F1 of the spiking networks' vessels, with the ANN's for the truth."""
        truth = classes_of(self._cut(outputs["ann"]))
        return {
            f"{key}_f1": _f1(truth, classes_of(self._cut(outputs[key])))
            for key in ("snn", "chip")
        }

    def pictures(self, outputs: Mapping[str, Pixels]) -> dict[str, Shown]:
        """The picture, both vessel maps on it, and where they differ."""
        vessels = {k: classes_of(self._cut(x))[None] > 0 for k, x in outputs.items()}
        ann, chip = vessels["ann"], vessels["chip"]
        pixels = self._cut(self.pixels)
        colour = np.repeat(pixels, 3, axis=0)
        unequal = np.select(
            [ann & ~chip, chip & ~ann], [_paint(MISSED), _paint(EXTRA)], colour * 0.4
        )
        only = ((MISSED, "only the ANN"), (EXTRA, "only the integer network"))
        return {
            "input": Shown("input: CLAHE and gamma", pixels),
            "ann": Shown("float ANN", np.where(ann, _paint(VESSEL), colour)),
            "chip": Shown("integer network", np.where(chip, _paint(VESSEL), colour)),
            "difference": Shown(
                "where integer network and ANN differ", unequal, legend=only
            ),
        }

    def psnr(self, output: Pixels, window: tuple[slice, ...]) -> float | None:
        """None: there is no truth."""
        return None

    def _cut(self, output: Pixels) -> Pixels:
        height, width = self.size
        return output[:, :height, :width]


def _sides(model: str) -> int:
    """What sides a shipped model takes multiples of."""
    return load_checkpoint(model)[1].model.multiple


def _retina(side: int) -> NDArray[np.uint8]:
    colour = resize(skimage.data.retina(), (side, side), anti_aliasing=1)
    # As Pillow makes gray of RGB, which the training data went through.
    gray = colour @ np.array([0.299, 0.587, 0.114])
    pixels: NDArray[np.uint8] = np.rint(255 * gray).astype(np.uint8)[None]
    return pixels


def chosen_corners(pixels: Pixels, multiple: int) -> tuple[tuple[int, int], ...]:
    """Return the most detailed parts of one's own picture, three at most."""
    side = large_side(pixels, multiple)
    return detailed_corners(pixels, side, 3, step=multiple)


def minus_ann(chip: Pixels, ann: Pixels) -> Shown:
    """Return the signed difference of the networks, its colours and their scale."""
    pixels, scale = signed_difference(chip, ann, PERCENTILE)
    return Shown("integer network minus ANN", pixels.astype(np.float32), scale=scale)


def _paint(colour: str) -> Pixels:
    """Red, green and blue, shape (3, 1, 1)."""
    return np.array(rgb(colour), np.float32)[:, None, None]


def _f1(truth: NDArray[np.int64], classes: NDArray[np.int64]) -> float:
    table = contingency_table(truth, classes).toarray()
    return float(2 * table[1, 1] / (2 * table[1, 1] + table[0, 1] + table[1, 0]))
