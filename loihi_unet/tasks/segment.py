# SPDX-License-Identifier: BSD-3-Clause
"""Segmentation: batches, loss and scores."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from loihi_unet.config import SegmentConfig, TrainConfig
from loihi_unet.data.crops import check_sizes, random_crops
from loihi_unet.data.pictures import VOID, Picture
from loihi_unet.data.sequence import Pictures
from loihi_unet.data.street_crops import class_counts, street_crop
from loihi_unet.seeds import Purpose, generator
from loihi_unet.tasks.confusion import (
    Confusion,
    binary_scores,
    confusion,
    several_scores,
)
from loihi_unet.tasks.denoise import Network, restore
from loihi_unet.tasks.task import Validation
from loihi_unet.tasks.weights import loss_weights


class SegmentTask:
    """Tell the class of every pixel.

    Parameters
    ----------
    config : TrainConfig
        With a `SegmentConfig` as its task.
    train, validation : list[Picture]
        Labelled pictures to cut crops from, and to score.

    Raises
    ------
    DataError
        If a picture is smaller than a crop.
    """

    def __init__(
        self,
        config: TrainConfig,
        train: Sequence[Picture],
        validation: Sequence[Picture],
    ) -> None:
        assert isinstance(config.task, SegmentConfig)
        self.settings = config.task.settings
        if self.settings.crops != "street":  # those are zoomed
            check_sizes(train, config.patch_size)
        self.config = config
        self.task = config.task
        self.train = (
            train.changed(_with_label)
            if isinstance(train, Pictures)
            else [_with_label(picture) for picture in train]
        )
        self.validation = validation
        self.weights = loss_weights(
            self.settings.class_weights, train, self.task.classes
        )
        self.has_void = bool(class_counts(train)[VOID])

    def batch(
        self, index: int, purpose: Purpose = Purpose.TRAINING
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return crops and their classes.

        Parameters
        ----------
        index : int
            Iteration.
        purpose : Purpose
            Which of the seed's streams to draw from.

        Returns
        -------
        pixels : Tensor, shape (batch_size, C, patch_size, patch_size), float32
            Divided by 255.
        classes : Tensor, shape (batch_size, patch_size, patch_size), int64
            `VOID` where a pixel has none.
        """
        config = self.config
        random = generator(config.seed, purpose, index)
        count, size = config.batch_size, config.patch_size
        # A road is never on top: street scenes are mirrored, not turned.
        if self.settings.crops == "street":
            crops = np.stack(
                [street_crop(self.train, size, random) for _ in range(count)]
            )
        else:
            turn = self.settings.crops == "turned"
            crops = random_crops(self.train, count, size, random, turn=turn)
        pixels = crops[:, :-1] / np.float32(255)
        return torch.from_numpy(pixels), torch.from_numpy(crops[:, -1].astype(np.int64))

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean cross entropy over the pixels that have a class.

        Classes weigh as the data set's settings say.
        """
        if self.has_void and not (target != VOID).any():
            return output.sum() * 0
        if self.task.classes > 2:
            weights = None if self.weights is None else self.weights.to(output)
            return functional.cross_entropy(
                output, target, weight=weights, ignore_index=VOID
            )
        logits = output[:, 0]
        if self.weights is None and not self.has_void:
            return functional.binary_cross_entropy_with_logits(
                logits, target.to(logits)
            )
        weight = torch.ones(2) if self.weights is None else self.weights
        known = target != VOID
        of_pixel = weight.to(logits)[target.where(known, torch.zeros_like(target))]
        of_pixel = of_pixel * known
        total = functional.binary_cross_entropy_with_logits(
            logits, (target == 1).to(logits), weight=of_pixel, reduction="sum"
        )
        return total / of_pixel.sum()

    def validate(self, network: Network, device: torch.device) -> Validation:
        """Score held-out pictures.

        Parameters
        ----------
        network : Network
            The U-Net.
        device : torch.device
            Where it is.

        Returns
        -------
        Validation
            The score is F1 (field of view, where there is one), or mean IoU.
        """
        multiple = self.config.model.multiple
        scores = segment_scores(
            network, self.validation, self.task, multiple=multiple, device=device
        )
        first = self.validation[0]
        output = predict(network, first, multiple=multiple, device=device)
        shades = 255 // (self.task.classes - 1)
        shown = [first.pixels.mean(axis=0), classes_of(output) * shades]
        label = np.where(_label(first) == VOID, 0, _label(first)) * shades
        panel = np.concatenate([*shown, label], axis=1)[None] / 255
        keys = ("f1_fov", "f1", "miou_fov", "miou")
        key = next(name for name in keys if name in scores)
        return Validation(
            score=scores[key],
            measures=scores,
            panel=torch.from_numpy(panel.astype(np.float32)),
        )


def _with_label(picture: Picture) -> Picture:
    """Label below the pixels, so that both are cut and turned alike."""
    pixels = np.concatenate([picture.pixels, _label(picture)[None]])
    return replace(picture, pixels=pixels)


def _label(picture: Picture) -> NDArray[np.uint8]:
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


def segment_scores(
    network: Network,
    pictures: Sequence[Picture],
    task: SegmentConfig,
    *,
    multiple: int | tuple[int, int],
    device: torch.device | None = None,
) -> dict[str, float]:
    """Score a network over all pixels of a set together.

    Parameters
    ----------
    network : Network
        As in `loihi_unet.tasks.denoise.restore`.
    pictures : sequence of Picture
        With labels.
    task : SegmentConfig
        Names the classes.
    multiple : int or tuple of int
        That of the network.
    device : torch.device, optional
        Where the network is; the CPU if None.

    Returns
    -------
    dict[str, float]
        As `scores_of`.
    """
    found = (
        counted(
            find_classes(network, picture, multiple=multiple, device=device),
            picture,
            task,
        )
        for picture in pictures
    )
    return scores_of(found, task)


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
    label, number = _label(picture), task.classes
    found = {"all": confusion(classes, label, number)}
    if task.settings.masks is not None:
        assert picture.mask is not None  # load_data gives every picture of a set one
        inside = picture.mask
        found["fov"] = confusion(classes[inside], label[inside], number)
    return found


def scores_of(
    found: Iterable[dict[str, Confusion]], task: SegmentConfig
) -> dict[str, float]:
    """Score classes over all pixels of a set together.

    Parameters
    ----------
    found : iterable of dict
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
    total = summed(found)
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


def summed(found: Iterable[dict[str, Confusion]]) -> dict[str, Confusion]:
    """Return the counts of several pictures together, by part."""
    total: dict[str, Confusion] = {}
    for one in found:
        for part, counts in one.items():
            total[part] = total[part] + counts if part in total else counts
    return total
