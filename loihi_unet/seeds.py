# SPDX-License-Identifier: BSD-3-Clause
"""One seed, several independent purposes of random numbers, each with an index."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What the numbers are for."""

    TRAINING = 0
    TEST = 1
    CALIBRATION = 2
    FINETUNING = 3


def generator(seed: int, purpose: Purpose, index: int) -> np.random.Generator:
    """Return a fresh generator, a pure function of its three arguments.

    Parameters
    ----------
    seed : int
        The run's seed.
    purpose : Purpose
        Purposes of one seed share no numbers.
    index : int
        Batch or picture.

    Returns
    -------
    numpy.random.Generator
        PCG64.
    """
    return np.random.default_rng((seed, int(purpose), index))
