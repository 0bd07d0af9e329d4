# SPDX-License-Identifier: BSD-3-Clause
"""Functions that ReLUs make up exactly."""

from __future__ import annotations

import math

import torch

from loihi_unet.frontend.module.builder import Builder
from loihi_unet.frontend.module.value import Value


def clipped(builder: Builder, value: Value, low: float, high: float) -> Value:
    """Return the value clipped to an interval: the difference of two ReLUs."""
    ones = torch.ones(value.shape[0])
    lower = builder.relu(builder.shifted(value, -low * ones))
    if math.isinf(high):
        return builder.shifted(lower, low * ones)
    upper = builder.relu(builder.shifted(value, -high * ones))
    return builder.shifted(builder.add(lower, upper, -1.0), low * ones)


def larger(builder: Builder, first: Value, second: Value) -> Value:
    """Return the larger of two values, ``b + relu(a - b)``."""
    over = builder.relu(builder.add(first, second, -1.0))
    return builder.add(second, over)
