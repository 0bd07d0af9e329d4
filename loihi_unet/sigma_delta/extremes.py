# SPDX-License-Identifier: BSD-3-Clause
"""Pictures that sums must stay within 24 bits on, rare as they are.

A denoiser that is calibrated on noise computes its noise. Without any, or on a
checkerboard that is nothing but edges, coarse layers go twenty times beyond what noisy
pictures show. Scales leave room for both; nothing else is calibrated on them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

#: Widths of stripes and squares, in pixels.
WIDTHS = (1, 2, 4, 8, 16)
#: Levels of flat pictures.
FLAT = (0.0, 0.5, 1.0)


def patterns(shape: tuple[int, int, int]) -> Tensor:
    """Flat pictures, stripes, checkerboards, a circle and black and white at random.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W).

    Returns
    -------
    Tensor, shape (B, C, H, W), float32
        From 0 to 1, the same in every channel.
    """
    channels, height, width = shape
    y, x = np.mgrid[:height, :width]
    found = [np.full((height, width), level) for level in FLAT]
    for w in WIDTHS:
        found += [x // w % 2, y // w % 2, (x // w + y // w) % 2]
    found += [
        x >= width // 2,
        y >= height // 2,
        np.hypot(y - height / 2, x - width / 2) < min(height, width) / 3,
        np.random.default_rng(0).integers(0, 2, (height, width)),
    ]
    planes = torch.from_numpy(np.stack(found).astype(np.float32))
    return planes[:, None].repeat(1, channels, 1, 1)
