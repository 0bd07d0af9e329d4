# SPDX-License-Identifier: BSD-3-Clause
"""Classification: the class of a whole picture."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from loihi_unet.config import ClassifyConfig, TrainConfig
from loihi_unet.data.crops import check_sizes, draw_crops, pad_to_multiple
from loihi_unet.data.pictures import Picture
from loihi_unet.seeds import Purpose, generator
from loihi_unet.tasks.confusion import Confusion
from loihi_unet.tasks.denoise import Network
from loihi_unet.tasks.segment import summed
from loihi_unet.tasks.task import Validation
from loihi_unet.tasks.weights import loss_weights


def logits_of(output: torch.Tensor) -> torch.Tensor:
    """Return one number for each class: of maps, their mean.

    Parameters
    ----------
    output : Tensor, shape (B, classes), or (B, classes, H, W)
        What the last layer accumulated.

    Returns
    -------
    Tensor, shape (B, classes)
        The largest decides.
    """
    return output if output.ndim == 2 else output.flatten(2).mean(dim=2)


@torch.no_grad()
def find_class(
    network: Network,
    picture: Picture,
    *,
    multiple: int | tuple[int, int],
    device: torch.device | None = None,
) -> int:
    """Return the class that a network gives a picture; the first of equals.

    Parameters
    ----------
    network : Network
        As in `loihi_unet.tasks.denoise.restore`.
    picture : Picture
        Of any size that the network takes, reflected up to the multiple.
    multiple : int or tuple of int
        That of the network.
    device : torch.device, optional
        Where the network is; the CPU if None.
    """
    padded = pad_to_multiple(picture.pixels.astype(np.float32), multiple)
    x = torch.from_numpy(padded / np.float32(255)).to(device or "cpu")[None]
    return int(logits_of(network(x).double())[0].argmax())


def class_of(picture: Picture) -> int:
    """Return a picture's class."""
    assert picture.number is not None  # load_data gives every picture of a set one
    return picture.number


def one_counted(
    found: int, picture: Picture, task: ClassifyConfig
) -> dict[str, Confusion]:
    """Return counts of one picture: true class by row, found by column."""
    counts = np.zeros((task.classes, task.classes), np.int64)
    counts[class_of(picture), found] = 1
    return {"all": counts}


def top1(found: Iterable[dict[str, Confusion]]) -> dict[str, float]:
    """Return the share of pictures whose class was found.

    Parameters
    ----------
    found : iterable of dict
        From `one_counted`.

    Returns
    -------
    dict[str, float]
        ``top1``, and ``mean_recall``, the mean over the classes that occur.
    """
    counts = summed(found)["all"]
    there = counts.sum(axis=1)
    right = counts.diagonal()
    return {
        "top1": float(right.sum() / counts.sum()),
        "mean_recall": float((right[there > 0] / there[there > 0]).mean()),
    }


class ClassifyTask:
    """Tell the class of pictures.

    Parameters
    ----------
    config : TrainConfig
        With a `ClassifyConfig` as its task.
    train, validation : sequence of Picture
        Pictures with classes.

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
        assert isinstance(config.task, ClassifyConfig)
        check_sizes(train, config.patch_size)
        self.config = config
        self.task = config.task
        self.train = train
        self.validation = validation
        self.weights = loss_weights(
            self.task.folders.class_weights, train, self.task.classes
        )

    def batch(
        self, index: int, purpose: Purpose = Purpose.TRAINING
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return crops and the classes of their pictures.

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
        classes : Tensor, shape (batch_size,), int64
            Of the pictures.
        """
        config = self.config
        random = generator(config.seed, purpose, index)
        size, turn = config.patch_size, self.task.folders.crops == "turned"
        crops = draw_crops(self.train, config.batch_size, size, random, turn=turn)
        pixels: list[NDArray[np.uint8]] = []
        classes = []
        for crop in crops:
            picture = self.train[crop.place]
            pixels.append(crop.of(picture.pixels, size))
            classes.append(class_of(picture))
        x = torch.from_numpy(np.stack(pixels) / np.float32(255))
        return x, torch.tensor(classes)

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean cross entropy; classes weigh as the settings say."""
        logits = logits_of(output)
        weights = None if self.weights is None else self.weights.to(logits)
        return functional.cross_entropy(logits, target, weight=weights)

    def validate(self, network: Network, device: torch.device) -> Validation:
        """Score held-out pictures.

        Parameters
        ----------
        network : Network
            To be scored.
        device : torch.device
            Where it is.

        Returns
        -------
        Validation
            The score is the share of right ones; shown is the first picture.
        """
        multiple = self.config.model.multiple
        found = [
            one_counted(
                find_class(network, picture, multiple=multiple, device=device),
                picture,
                self.task,
            )
            for picture in self.validation
        ]
        scores = top1(found)
        panel = torch.from_numpy(self.validation[0].pixels / np.float32(255))
        return Validation(score=scores["top1"], measures=scores, panel=panel)
