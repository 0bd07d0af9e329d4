# SPDX-License-Identifier: BSD-3-Clause
"""Scores during a run, on parts of the held-out pictures."""

import copy
from dataclasses import replace

from loihi_unet.data.picture import Picture
from loihi_unet.tasks.denoise_task import DenoiseTask
from loihi_unet.tasks.make import Task
from loihi_unet.tasks.restore_task import RestoreTask

#: Longest side of what an iteration is scored on: whole photographs take minutes at
#: large T, and a few hundred thousand pixels tell one iteration from another.
SIDE = 256


def on_crops(task: Task) -> Task:
    """Return the task, scored on the middle of its held-out pictures.

    Where the score is a mean over pixels, that is: the answer to a whole picture needs
    the whole, and a part may lack a class. The same object if no picture is larger than
    `SIDE`, or the task has no such score.
    """
    if not isinstance(task, DenoiseTask | RestoreTask):
        return task
    if all(max(picture.size) <= SIDE for picture in task.validation):
        return task
    quick = copy.copy(task)
    quick.validation = [middle(picture) for picture in task.validation]
    return quick


def middle(picture: Picture) -> Picture:
    """Return the middle of a picture and of its target, up to `SIDE` a side."""
    height, width = (min(SIDE, side) for side in picture.size)
    top, left = (picture.size[0] - height) // 2, (picture.size[1] - width) // 2
    target = picture.target
    if target is not None:
        # A whole number of times as large.
        n = target.shape[1] // picture.size[0]
        target = target[:, n * top : n * (top + height), n * left : n * (left + width)]
    pixels = picture.pixels[:, top : top + height, left : left + width]
    return replace(picture, pixels=pixels, target=target, label=None, mask=None)
