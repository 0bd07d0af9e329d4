# SPDX-License-Identifier: BSD-3-Clause
"""The noise that a denoiser is scored with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loihi_unet.config import DenoiseConfig
from loihi_unet.data.crops import add_camera_noise, add_noise


@dataclass(frozen=True, kw_only=True)
class Noise:
    """White Gaussian noise, or that of a camera.

    Attributes
    ----------
    sigma : float or None
        Of Gaussian noise, in gray levels; None: a camera's.
    gain, read_noise : float
        Of a camera: gray levels per photon, and a standard deviation in gray levels.
    """

    sigma: float | None = None
    gain: float = 1.0
    read_noise: float = 0.0

    def add(
        self, clean: NDArray[np.uint8], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return noisy gray levels, rounded, not clipped."""
        if self.sigma is None:
            return add_camera_noise(clean, self.gain, self.read_noise, generator)
        return add_noise(clean, self.sigma, generator)


def noise_of(task: DenoiseConfig, sigma: float) -> Noise:
    """Return a task's noise; `sigma` is that of Gaussian noise."""
    if task.gaussian:
        return Noise(sigma=sigma)
    return Noise(gain=task.gain, read_noise=task.read_noise)
