# SPDX-License-Identifier: BSD-3-Clause
"""What every task's validation gives."""

from typing import NamedTuple

import torch


class Validation(NamedTuple):
    """Scores of held-out pictures and one of them to look at.

    `score` decides which checkpoint is the best (higher is better); `panel` has shape
    (C, H, W), values 0..1: input, output and target side by side.
    """

    score: float
    measures: dict[str, float]
    panel: torch.Tensor
