# SPDX-License-Identifier: BSD-3-Clause
"""Picture quality as the denoising literature counts it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Side of SSIM's window, scikit-image's default.
WINDOW = 7


class Quality(NamedTuple):
    """PSNR in dB and SSIM (at most 1) of a picture, or the means over a set."""

    psnr: float
    ssim: float


def quality(clean: NDArray[np.uint8], output: NDArray[np.floating[Any]]) -> Quality:
    """Compare a restored picture with the clean one on the scale 0..255.

    The output is clipped to 0..255 first but not rounded. SSIM is scikit-image's
    default: 7x7 uniform window, mean over the channels; smaller pictures are reflected
    up to the window, so that every picture that runs has a score.

    Parameters
    ----------
    clean : ndarray, shape (C, H, W), uint8
        Gray levels.
    output : ndarray, shape (C, H, W), float
        Gray levels, outside 0..255 where the network went there.

    Returns
    -------
    Quality
        Infinite PSNR where the two are equal.
    """
    # Here, since it brings scipy.stats, which a run that scores nothing has no use for.
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    restored = np.clip(output.astype(np.float64), 0.0, 255.0)
    target = clean.astype(np.float64)
    if np.array_equal(target, restored):
        return Quality(psnr=float("inf"), ssim=1.0)
    return Quality(
        psnr=float(peak_signal_noise_ratio(target, restored, data_range=255)),
        ssim=float(
            structural_similarity(
                _reflected(target), _reflected(restored), data_range=255, channel_axis=0
            )
        ),
    )


def _reflected(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """At least as high and wide as SSIM's window."""
    below, right = (max(0, WINDOW - n) for n in pixels.shape[1:])
    return np.pad(pixels, ((0, 0), (0, below), (0, right)), mode="symmetric")


def mean_quality(values: list[Quality]) -> Quality:
    """Return the mean of each measure over a set of pictures."""
    return Quality(
        psnr=float(np.mean([value.psnr for value in values])),
        ssim=float(np.mean([value.ssim for value in values])),
    )
