# SPDX-License-Identifier: BSD-3-Clause
"""Classification: the class of a whole picture."""

from collections.abc import Iterable

import numpy as np
import torch

from loihi_unet.config import ClassifyConfig
from loihi_unet.data.crops import pad_to_multiple
from loihi_unet.data.pictures import Picture
from loihi_unet.tasks.confusion import Confusion
from loihi_unet.tasks.denoise import Network
from loihi_unet.tasks.segment import summed


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
    answer: int, picture: Picture, task: ClassifyConfig
) -> dict[str, Confusion]:
    """Return counts of one picture: true class by row, found by column."""
    counts = np.zeros((task.classes, task.classes), np.int64)
    counts[class_of(picture), answer] = 1
    return {"all": counts}


def top1(counted: Iterable[dict[str, Confusion]]) -> dict[str, float]:
    """Return the share of pictures whose class was found.

    Parameters
    ----------
    counted : iterable of dict
        From `one_counted`.

    Returns
    -------
    dict[str, float]
        ``top1``, and ``mean_recall``, the mean over the classes that occur.
    """
    counts = summed(counted)["all"]
    there = counts.sum(axis=1)
    right = counts.diagonal()
    return {
        "top1": float(right.sum() / counts.sum()),
        "mean_recall": float((right[there > 0] / there[there > 0]).mean()),
    }
