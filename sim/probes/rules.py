# SPDX-License-Identifier: BSD-3-Clause
"""What a chip may do otherwise than this project's backends.

The defaults are what these backends do; a test compares them with the judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Rounding = Literal["zero", "down", "nearest"]


@dataclass(frozen=True, kw_only=True)
class StockRules:
    """Rules of a stock CUBA compartment and of its synapses.

    Parameters
    ----------
    reached : bool
        Fires at v >= threshold instead of v > threshold.
    threshold_shift : int
        Bits by which the threshold's mantissa is shifted.
    current_rounding, potential_rounding : {"zero", "down", "nearest"}
        How a decay rounds.
    current_offset, potential_offset : int
        Added to the decay that the file states.
    current : {"new", "old"}
        Which u the potential takes: of this step or of the step before.
    decay : {"before", "after"}
        Whether v decays before or after it has taken u and the bias.
    at_spike : {"v", "u and v", "subtract", "pause"}
        What a spike resets: v to 0; u, too; v by the threshold; or v to 0 for
        this step and the next.
    reset : {"before", "after", "v only", "never"}
        What is done at a step at which a layer forgets.
    u_wraps, v_wraps : bool
        Whether 24 bits wrap, or saturate.
    delay : {"kept", "none", "one more", "5 bits", "3 bits", "to 31"}
        What becomes of a synapse's delay.
    """

    reached: bool = False
    threshold_shift: int = 6
    current_rounding: Rounding = "zero"
    potential_rounding: Rounding = "zero"
    current_offset: int = 0
    potential_offset: int = 0
    current: Literal["new", "old"] = "new"
    decay: Literal["before", "after"] = "before"
    at_spike: Literal["v", "u and v", "subtract", "pause"] = "v"
    reset: Literal["before", "after", "v only", "never"] = "before"
    u_wraps: bool = True
    v_wraps: bool = False
    delay: Literal["kept", "none", "one more", "5 bits", "3 bits", "to 31"] = "kept"


@dataclass(frozen=True, kw_only=True)
class WindowRules:
    """Rules of a compartment with windows and soft reset, and of its synapses.

    Parameters
    ----------
    at_spike : {"subtract", "zero", "late", "left over"}
        What a spike does to v: subtracts its thresholds; sets v to 0; subtracts after
        the next comparison; or before it, but into the next window, too.
    residual : {"same step", "shared", "next step"}
        What a smaller threshold compares: what the larger ones left over; the same v
        as they; or it waits for the next step if a larger one fired.
    window : {"before", "after", "never", "early"}
        When a window's start clears v: before the first step integrates, after it,
        never, or so that the first window has run since the chip's first step.
    payload : {"all", "1 bit", "to 127", "to 255", "8 bits", "16 bits signed"}
        What of a graded spike arrives.
    exponent : {"left", "ignored", "right"}
        What becomes of a connection's weight exponent.
    delay : {"kept", "none", "one less"}
        What becomes of a connection's delay.
    """

    at_spike: Literal["subtract", "zero", "late", "left over"] = "subtract"
    residual: Literal["same step", "shared", "next step"] = "same step"
    window: Literal["before", "after", "never", "early"] = "before"
    payload: Literal["all", "1 bit", "to 127", "to 255", "8 bits", "16 bits signed"] = (
        "all"
    )
    exponent: Literal["left", "ignored", "right"] = "left"
    delay: Literal["kept", "none", "one less"] = "kept"


def decayed(x: Int64, amount: int, rounding: Rounding) -> Int64:
    """``x * (4096 - amount) / 4096``, rounded.

    Examples
    --------
    >>> x = np.array([-5, 5])
    >>> [decayed(x, 1024, how).tolist() for how in ("zero", "down", "nearest")]
    [[-3, 3], [-4, 3], [-4, 4]]
    """
    left: Int64 = x * (4096 - amount)
    half = 2048 if rounding == "nearest" else 0
    size: Int64 = (np.abs(left) + half) >> 12
    kept: Int64 = left >> 12 if rounding == "down" else np.sign(left) * size
    return kept
