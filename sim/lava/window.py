# SPDX-License-Identifier: BSD-3-Clause
"""Which step of which window a Lava time step is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of one layer, as netx's reset_interval and reset_offset.

    Parameters
    ----------
    interval : int
        T, time steps of a window.
    offset : int
        Time step, counted from 1, at which the first window starts.
    count : int or None
        Windows after which the layer rests; None means never.
    """

    interval: int
    offset: int
    count: int | None = None

    def at(self, time_step: int) -> tuple[int, int] | None:
        """Window and step within it, both from 0; None outside of all windows.

        Examples
        --------
        >>> windows = Windows(interval=10, offset=3, count=2)
        >>> [windows.at(step) for step in (2, 3, 12, 13, 22, 23)]
        [None, (0, 0), (0, 9), (1, 0), (1, 9), None]
        """
        window, step = divmod(time_step - self.offset, self.interval)
        ended = self.count is not None and window >= self.count
        return None if window < 0 or ended else (window, step)
