# SPDX-License-Identifier: BSD-3-Clause
"""What an integer network puts out, as a picture."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import assert_never

from export.network import Network
from loihi_unet.config import (
    ClassifyConfig,
    DenoiseConfig,
    RestoreConfig,
    SegmentConfig,
    parse_config,
)
from loihi_unet.errors import DataError
from loihi_unet.tasks.restore import shuffled
from loihi_unet.tasks.segment import classes_of

#: Gray levels (C, H, W) of a picture, from outputs in units of 255 gray levels.
Drawing = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def drawing(network: Network, where: str) -> Drawing:
    """Return what makes a picture of an output.

    Parameters
    ----------
    network : Network
        Its provenance names the task.
    where : str
        Of the network, for errors.

    Returns
    -------
    callable
        Of a restored picture of a larger scale: its pixels in place. Of more than two
        classes: the number of the class of each pixel. Else the output times 255.

    Raises
    ------
    DataError
        If the output is no picture.
    """
    channels = network.layers[-1].shape[0]
    if "train" in network.provenance:
        task = parse_config(network.provenance["train"], where=where).task
        match task:
            case SegmentConfig() if task.classes > 2:
                return lambda output: classes_of(output)[None].astype(np.float32)
            case RestoreConfig() if channels == task.channels * task.scale**2:
                scale, count = task.scale, task.channels
                return lambda output: _shuffled(output, scale, count)
            case ClassifyConfig():
                raise DataError(f"{where}: names classes, which are no pictures")
            case DenoiseConfig() | SegmentConfig() | RestoreConfig():
                pass
            case _:
                assert_never(task)
    if channels not in (1, 3):
        raise DataError(f"{where}: {channels} output channels; a picture has 1 or 3")
    return _plain


def _plain(output: NDArray[np.float32]) -> NDArray[np.float32]:
    levels: NDArray[np.float32] = output * np.float32(255)
    return levels


def _shuffled(
    output: NDArray[np.float32], scale: int, channels: int
) -> NDArray[np.float32]:
    batch = torch.from_numpy(np.ascontiguousarray(output))[None]
    return _plain(shuffled(batch, scale, channels)[0].numpy())
