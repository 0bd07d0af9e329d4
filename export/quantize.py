# SPDX-License-Identifier: BSD-3-Clause
"""Float weights and biases -> mantissas and exponents; pure functions."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from export.compartment import Bias
from export.errors import RangeError
from export.facts import BIAS_EXP, BIAS_MANT, WEIGHT_EXP, WEIGHT_LEVEL
from export.synapse import IntArray

FloatArray = npt.NDArray[np.floating]  # type: ignore[type-arg]


def weight_exponent(largest: float, where: str) -> int:
    """Smallest exponent e >= 0 at which ``largest / 2**e`` is at most level 127.

    Parameters
    ----------
    largest : float
        Largest |weight| in levels.
    where : str
        Place named in an error.

    Returns
    -------
    int
        0..7.

    Raises
    ------
    RangeError
        If even the largest exponent is too small.

    Examples
    --------
    >>> weight_exponent(127.0, ""), weight_exponent(127.1, ""), weight_exponent(0, "")
    (0, 1, 0)
    """
    if not math.isfinite(largest):
        raise RangeError(f"{where}: weights up to {largest} levels, finite ones needed")
    ratio = largest / WEIGHT_LEVEL.maximum
    exponent = max(0, math.ceil(math.log2(ratio))) if ratio > 0 else 0
    if exponent > WEIGHT_EXP.maximum:
        raise RangeError(f"{where}: weight_exp {exponent} outside {WEIGHT_EXP}")
    return exponent


def weight_mantissas(levels: FloatArray) -> IntArray:
    """Round float levels to the nearest integer n and return mantissas 2 n.

    The error is at most half a level. Ties go to even, as ``numpy.rint``.

    Parameters
    ----------
    levels : ndarray of float
        Each within -128.5 .. 127.5.

    Returns
    -------
    ndarray of int32
        Even mantissas.

    Examples
    --------
    >>> weight_mantissas(np.array([-1.5, -0.5, 0.4, 0.5, 1.5, 127.0]))
    array([ -4,   0,   0,   0,   4, 254], dtype=int32)
    """
    mantissas: IntArray = (2 * np.rint(levels)).astype(np.int32)
    return mantissas


def bias(values: FloatArray, where: str, exponent: int | None = None) -> Bias:
    """Round float biases to a shared exponent and 13-bit mantissas.

    The exponent is the smallest that fits, so the error is at most
    ``2**exp / 2``.

    Parameters
    ----------
    values : ndarray of float, shape (C,)
        Biases in units of the weight mantissa.
    where : str
        Place named in an error.
    exponent : int, optional
        The only one to try.

    Returns
    -------
    Bias
        Mantissas and exponent.

    Raises
    ------
    RangeError
        If the largest allowed exponent is too small.

    Examples
    --------
    >>> bias(np.array([4095.4, -3.0]), "").exp, bias(np.array([4096.0]), "").exp
    (0, 1)
    """
    if not np.isfinite(values).all():
        raise RangeError(f"{where}: a bias is not finite")
    candidates = range(BIAS_EXP.maximum + 1) if exponent is None else [exponent]
    for candidate in candidates:
        mantissas = np.rint(np.asarray(values, dtype=np.float64) / 2**candidate)
        if BIAS_MANT.contains(int(mantissas.min()), int(mantissas.max())):
            return Bias(mant=mantissas.astype(np.int32), exp=candidate)
    worst = float(np.abs(values).max())
    allowed = BIAS_EXP if exponent is None else exponent
    raise RangeError(f"{where}: bias {worst:.0f} outside {BIAS_MANT} << {allowed}")
