# SPDX-License-Identifier: BSD-3-Clause
"""Training to segment: batches and loss."""

from collections.abc import Sequence
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
from loihi_unet.seeds import Purpose
from loihi_unet.tasks.crop_task import CropTask
from loihi_unet.tasks.denoise import Network
from loihi_unet.tasks.segment import find_classes, label_of
from loihi_unet.tasks.weights import loss_weights


class SegmentTask(CropTask):
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
        cut = (
            train.changed(_with_label)
            if isinstance(train, Pictures)
            else [_with_label(picture) for picture in train]
        )
        super().__init__(config, cut, validation)
        self.task = config.task
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
        random = self.random(index, purpose)
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

    def panel(
        self, network: Network, device: torch.device
    ) -> NDArray[np.floating[Any]]:
        """Return input, classes found and label of the first held-out picture."""
        first, multiple = self.validation[0], self.config.model.multiple
        classes = find_classes(network, first, multiple=multiple, device=device)
        shades = 255 // (self.task.classes - 1)
        label = np.where(label_of(first) == VOID, 0, label_of(first))
        shown = [first.pixels.mean(axis=0), classes * shades, label * shades]
        panel: NDArray[np.floating[Any]] = np.concatenate(shown, axis=1)[None]
        return panel


def _with_label(picture: Picture) -> Picture:
    """Label below the pixels, so that both are cut and turned alike."""
    pixels = np.concatenate([picture.pixels, label_of(picture)[None]])
    return replace(picture, pixels=pixels)
