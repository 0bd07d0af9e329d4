# SPDX-License-Identifier: BSD-3-Clause
"""How often each class was taken for each, and the scores that follow.

Counts add up, so a set of any size is scored picture by picture. Scores are quotients
in float32, as torchmetrics has them.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from loihi_unet.data.pictures import VOID

#: Counts by (true class, class found), int64.
Confusion = NDArray[np.int64]


def confusion(answer: NDArray[Any], label: NDArray[Any], classes: int) -> Confusion:
    """Count pairs of classes.

    Parameters
    ----------
    answer, label : ndarray of int, of equal shape
        Classes; places where the label is `VOID` are left out.
    classes : int
        How many there are.

    Returns
    -------
    ndarray, shape (classes, classes), int64
        True class by row, found by column.
    """
    known = label != VOID
    pairs = label[known].astype(np.int64) * classes + answer[known]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def binary_scores(counts: Confusion, positive: int = 1) -> dict[str, float]:
    """Return F1, Jaccard index and accuracy of one of two classes.

    Parameters
    ----------
    counts : ndarray, shape (2, 2)
        From `confusion`.
    positive : int
        Whose.

    Returns
    -------
    dict[str, float]
        ``f1, jaccard, accuracy``; 0 where nothing can be said.
    """
    right = int(counts[positive, positive])
    other = 1 - positive
    missed, extra = int(counts[positive, other]), int(counts[other, positive])
    return {
        "f1": _ratio(2 * right, 2 * right + missed + extra),
        "jaccard": _ratio(right, right + missed + extra),
        "accuracy": _ratio(right + int(counts[other, other]), int(counts.sum())),
    }


def class_ious(counts: Confusion) -> list[float | None]:
    """Return the Jaccard index of each class; None where it occurs nowhere."""
    ious = []
    for index in range(len(counts)):
        right = int(counts[index, index])
        union = int(counts[index].sum() + counts[:, index].sum()) - right
        ious.append(_ratio(right, union) if union else None)
    return ious


def several_scores(counts: Confusion) -> dict[str, float]:
    """Return the mean Jaccard index of the classes that occur, and the accuracy.

    Parameters
    ----------
    counts : ndarray, shape (C, C)
        From `confusion`.

    Returns
    -------
    dict[str, float]
        ``miou, accuracy``.
    """
    matrix = torch.from_numpy(counts)
    right = matrix.diag()
    union = matrix.sum(0) + matrix.sum(1) - right
    weights = (union > 0).float()
    ious = torch.where(union > 0, right.float() / union.float(), torch.zeros(()))
    mean = ((weights * ious) / weights.sum()).sum() if union.any() else torch.zeros(())
    return {
        "miou": float(mean),
        "accuracy": _ratio(int(right.sum()), int(matrix.sum())),
    }


def class_table(counts: Confusion, names: list[str]) -> list[dict[str, object]]:
    """Return what can be said of each class.

    Parameters
    ----------
    counts : ndarray, shape (C, C)
        From `confusion`.
    names : list[str]
        Of the classes.

    Returns
    -------
    list[dict[str, object]]
        ``class, share, precision, recall, f1, iou``; None where the class was neither
        there nor found.
    """
    total = int(counts.sum())
    rows: list[dict[str, object]] = []
    for index, name in enumerate(names):
        right = int(counts[index, index])
        there, answered = int(counts[index].sum()), int(counts[:, index].sum())
        rows.append(
            {
                "class": name,
                "share": _of(there, total),
                "precision": _of(right, answered),
                "recall": _of(right, there),
                "f1": _of(2 * right, there + answered),
                "iou": _of(right, there + answered - right),
            }
        )
    return rows


def _of(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _ratio(part: int, whole: int) -> float:
    """Quotient in float32, as torchmetrics has it; 0 of nothing."""
    if whole == 0:
        return 0.0
    return float(np.float32(part) / np.float32(whole))
