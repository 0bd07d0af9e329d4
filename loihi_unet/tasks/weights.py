# SPDX-License-Identifier: BSD-3-Clause
"""How much each class counts in the loss."""

from collections.abc import Sequence

import torch

from loihi_unet.data.pictures import Picture
from loihi_unet.data.street_crops import class_weights
from loihi_unet.folder_config import Weights


def loss_weights(
    setting: Weights, pictures: Sequence[Picture], classes: int
) -> torch.Tensor | None:
    """Return the weight of each class.

    Parameters
    ----------
    setting : str or tuple of float
        ``class_weights`` of a data set.
    pictures : sequence of Picture
        With labels or classes: those to train on.
    classes : int
        How many there are.

    Returns
    -------
    Tensor, shape (classes,), float32, or None
        None where all weigh the same.
    """
    match setting:
        case "none":
            return None
        case "root":
            return class_weights(pictures, classes)
        case "inverse":
            return class_weights(pictures, classes, power=1.0)
    return torch.tensor(setting, dtype=torch.float32)
