# SPDX-License-Identifier: BSD-3-Clause
"""Pictures made to exercise a network: seeded, endless, of integers as they enter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.network import Input

Floats = npt.NDArray[np.float64]
Picture = npt.NDArray[np.int32]
Kind = Callable[[np.random.Generator, tuple[int, int, int]], Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stimulus:
    """One picture.

    Parameters
    ----------
    name : str
        Number and kind, e.g. ``"7-blocks"``.
    levels : ndarray, shape (C, H, W), int32
        What enters, within the input's declared range.
    """

    name: str
    levels: Picture


def stimuli(source: Input, seed: int = 0) -> Iterator[Stimulus]:
    """Endless pictures of all kinds in turn, the same for the same seed.

    Every other round of kinds fills the input's whole range; the rounds between take
    a random part of it, since a network may overflow, or fall silent, at its limits.

    Parameters
    ----------
    source : Input
        Shape and range.
    seed : int
        Decides all pictures.

    Yields
    ------
    Stimulus
        The next picture.
    """
    number = 0
    while True:
        for kind, draw in KINDS.items():
            rng = np.random.default_rng((seed, number))
            low, high = float(source.minimum), float(source.maximum)
            if number // len(KINDS) % 2:
                low, high = np.sort(rng.uniform(low, high, 2))
            levels = np.rint(low + (high - low) * draw(rng, source.shape))
            yield Stimulus(name=f"{number}-{kind}", levels=levels.astype(np.int32))
            number += 1


def _noise(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """Every value by itself, all levels alike."""
    return rng.random(shape)


def _blocks(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """Rectangles of one level on each other, coarse ones first."""
    channels, height, width = shape
    picture: Floats = np.broadcast_to(rng.random((channels, 1, 1)), shape).copy()
    for index in range(24):
        rows, columns = (max(1, n >> index // 6) for n in (height, width))
        top, left = rng.integers(1 - rows, height), rng.integers(1 - columns, width)
        area = (slice(max(0, top), top + rows), slice(max(0, left), left + columns))
        picture[:, area[0], area[1]] = rng.random((channels, 1, 1))
    return picture


def _saturated(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """The smallest and the largest level only, more of the one or of the other."""
    picture: Floats = (rng.random(shape) < rng.random()).astype(np.float64)
    return picture


def _cells(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """Squares of 2, 4, 8, .. pixels, each of the smallest or the largest level."""
    size = 2 << int(rng.integers(0, 5))
    rows, columns = (-(-n // size) for n in shape[1:])
    coarse = rng.random((shape[0], rows, columns)) < 0.5
    fine = coarse.repeat(size, axis=1).repeat(size, axis=2)
    return fine[:, : shape[1], : shape[2]].astype(np.float64)


def _flat(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """One level in each channel: the limits, and anything between."""
    level = np.clip(rng.uniform(-0.5, 1.5, (shape[0], 1, 1)), 0, 1)
    picture: Floats = np.broadcast_to(level, shape).copy()
    return picture


def _waves(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """A grating of any direction and period, soft or hard."""
    angle, period = rng.uniform(0, np.pi), 2 ** rng.uniform(1, 6)
    y, x = np.mgrid[: shape[1], : shape[2]]
    phase = rng.uniform(0, 2 * np.pi, (shape[0], 1, 1))
    wave = np.sin(2 * np.pi / period * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    contrast: float = rng.choice([0.5, 5.0])
    waves: Floats = np.clip(0.5 + contrast * wave, 0, 1)
    return waves


def _clouds(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """Noise whose amplitude falls with frequency, as in photographs."""
    fy, fx = np.fft.fftfreq(shape[1])[:, None], np.fft.fftfreq(shape[2])[None]
    fall = 1 / np.maximum(np.hypot(fy, fx), 1 / max(shape[1:])) ** rng.uniform(0.5, 2)
    cloud = np.fft.ifft2(np.fft.fft2(rng.standard_normal(shape)) * fall).real
    cloud -= cloud.min()
    levels: Floats = cloud / max(float(cloud.max()), 1e-12)
    return levels


def _sparse(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """A few pixels of any level on black, on white or on gray."""
    picture = np.full(shape, rng.choice([0.0, 0.5, 1.0]))
    lit = rng.random(shape) < 0.02
    return np.where(lit, rng.random(shape), picture)


def _texture(rng: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """Blocks with noise on them."""
    noise = rng.normal(0, rng.uniform(0.02, 0.3), shape)
    return np.clip(_blocks(rng, shape) + noise, 0, 1)


KINDS: dict[str, Kind] = {
    "noise": _noise,
    "blocks": _blocks,
    "saturated": _saturated,
    "clouds": _clouds,
    "cells": _cells,
    "flat": _flat,
    "texture": _texture,
    "waves": _waves,
    "sparse": _sparse,
}
