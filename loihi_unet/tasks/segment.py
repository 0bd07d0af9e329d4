# SPDX-License-Identifier: BSD-3-Clause
"""Segmentation: batches, loss and scores."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from loihi_unet.config import SegmentConfig, TrainConfig
from loihi_unet.data.crops import check_sizes, random_crops
from loihi_unet.data.pictures import VOID, Picture
from loihi_unet.data.street_crops import class_weights, street_crop
from loihi_unet.seeds import Stream, generator
from loihi_unet.tasks.denoise import Network, restore
from loihi_unet.tasks.task import Validation

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


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
        self, config: TrainConfig, train: list[Picture], validation: list[Picture]
    ) -> None:
        assert isinstance(config.task, SegmentConfig)
        if config.task.dataset != "camseq01":  # whose crops are zoomed
            check_sizes(train, config.patch_size)
        self.config = config
        self.task = config.task
        # Label below the pixels, so that both are cut and turned alike.
        self.train = [
            replace(
                picture,
                pixels=np.concatenate([picture.pixels, _label(picture)[None]]),
            )
            for picture in train
        ]
        self.validation = validation
        self.weights = class_weights(train, self.task.classes)

    def batch(
        self, index: int, stream: Stream = Stream.TRAINING
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return crops and their classes.

        Parameters
        ----------
        index : int
            Iteration.
        stream : Stream
            Which of the seed's streams to draw from.

        Returns
        -------
        pixels : Tensor, shape (batch_size, C, patch_size, patch_size), float32
            Divided by 255.
        classes : Tensor, shape (batch_size, patch_size, patch_size), int64
            `VOID` where a pixel has none.
        """
        config = self.config
        random = generator(config.seed, stream, index)
        count, size = config.batch_size, config.patch_size
        # A road is never on top: street scenes are mirrored, not turned.
        if self.task.dataset == "camseq01":
            crops = np.stack(
                [street_crop(self.train, size, random) for _ in range(count)]
            )
        else:
            crops = random_crops(self.train, count, size, random)
        pixels = crops[:, :-1] / np.float32(255)
        return torch.from_numpy(pixels), torch.from_numpy(crops[:, -1].astype(np.int64))

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean cross entropy over the pixels that have a class.

        Of more than two classes, the rarer ones weigh more: see `class_weights`.
        """
        if self.task.classes == 2:
            logits = output[:, 0]
            return functional.binary_cross_entropy_with_logits(
                logits, target.to(logits)
            )
        return functional.cross_entropy(
            output, target, weight=self.weights.to(output), ignore_index=VOID
        )

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
        key = next(name for name in ("f1_fov", "f1", "miou") if name in scores)
        return Validation(
            score=scores[key],
            measures=scores,
            panel=torch.from_numpy(panel.astype(np.float32)),
        )


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
    return restore(network, pixels, multiple=multiple, device=device) / np.float32(255)


def classes_of(logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the class of every pixel, shape (H, W), from outputs (C, H, W).

    One output: class 1 where it is above 0. Several: the largest, the first of equals.
    """
    if len(logits) == 1:
        return np.asarray(logits[0] > 0, np.int64)
    return np.asarray(logits.argmax(axis=0), np.int64)


def segment_scores(
    network: Network,
    pictures: list[Picture],
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
    pictures : list[Picture]
        With labels.
    task : SegmentConfig
        Names the data set.
    multiple : int or tuple of int
        That of the network.
    device : torch.device, optional
        Where the network is; the CPU if None.

    Returns
    -------
    dict[str, float]
        As `class_scores`.
    """
    found = (
        find_classes(network, picture, multiple=multiple, device=device)
        for picture in pictures
    )
    return class_scores(found, pictures, task)


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


def class_scores(
    found: Iterable[NDArray[np.uint8]], pictures: list[Picture], task: SegmentConfig
) -> dict[str, float]:
    """Score classes over all pixels of a set together.

    Parameters
    ----------
    found : iterable of ndarray, shape (H, W), uint8
        Classes found in each picture, in order.
    pictures : list[Picture]
        With labels.
    task : SegmentConfig
        Names the data set.

    Returns
    -------
    dict[str, float]
        ``f1``, ``jaccard`` and ``accuracy`` of class 1, followed for DRIVE by those
        inside the field of view (``f1_fov`` ...) and for ISBI 2012 by those of the
        membrane (``f1_membrane`` ...); for CamSeq01 ``miou``, the mean over classes,
        and ``accuracy``, the share of right pixels, both without void.
    """
    meters = _meters(task)
    for classes, picture in zip(found, pictures, strict=True):
        one = torch.from_numpy(classes.astype(np.int64))
        label = torch.from_numpy(_label(picture).astype(np.int64))
        meters["all"].update(one, label)
        if "fov" in meters:
            assert picture.mask is not None  # DRIVE has them
            inside = torch.from_numpy(picture.mask)
            meters["fov"].update(one[inside], label[inside])
        if "membrane" in meters:
            meters["membrane"].update(1 - one, 1 - label)
    scores: dict[str, float] = {}
    for part, collection in meters.items():
        suffix = "" if part == "all" else f"_{part}"
        values = collection.compute()
        scores |= {f"{name}{suffix}": float(value) for name, value in values.items()}
    return scores


def _meters(task: SegmentConfig) -> "Mapping[str, MetricCollection]":
    # Two seconds of import, and the workers of a sweep never score.
    from torchmetrics import Metric, MetricCollection
    from torchmetrics.classification import (
        BinaryAccuracy,
        BinaryF1Score,
        BinaryJaccardIndex,
        MulticlassAccuracy,
        MulticlassJaccardIndex,
    )

    if task.classes > 2:
        several: dict[str, Metric] = {
            "miou": MulticlassJaccardIndex(task.classes, ignore_index=VOID),
            "accuracy": MulticlassAccuracy(
                task.classes, average="micro", ignore_index=VOID
            ),
        }
        return {"all": MetricCollection(several)}  # type: ignore[arg-type]
    parts = {"drive": ("all", "fov"), "isbi2012": ("all", "membrane")}
    return {
        part: MetricCollection(
            {
                "f1": BinaryF1Score(),
                "jaccard": BinaryJaccardIndex(),
                "accuracy": BinaryAccuracy(),
            }
        )
        for part in parts[task.dataset]
    }
