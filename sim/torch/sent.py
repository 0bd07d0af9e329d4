# SPDX-License-Identifier: BSD-3-Clause
"""What a layer has sent in a window: its payloads, their running totals, or both."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor


class Sent:
    """All payloads of a layer or an input; each form is made when it is asked for.

    Parameters
    ----------
    payload : Tensor or None, shape (T, images, H, W, C), integers
        T is 1 for an input.
    totals : list of Tensor or None, each of shape (images, C, H, W), uint8
        Sums of the payloads up to each step, channels last.
    """

    def __init__(self, payload: Tensor | None, totals: list[Tensor] | None) -> None:
        self._payload = payload
        self._totals = totals

    @classmethod
    def of_payload(cls, payload: Tensor) -> Sent:
        """Make one of payloads, which may be filled in later."""
        return cls(payload, None)

    @classmethod
    def of_totals(cls, totals: list[Tensor]) -> Sent:
        """Make one of running totals."""
        return cls(None, totals)

    @property
    def payload(self) -> Tensor:
        """Payload of each step, shape (T, images, H, W, C)."""
        if self._payload is None:
            totals = torch.stack([t.permute(0, 2, 3, 1) for t in self.totals])
            totals[1:] -= totals[:-1].clone()
            self._payload = totals
        return self._payload

    @property
    def totals(self) -> list[Tensor]:
        """Running totals, where uint8 holds them."""
        if self._totals is None:
            assert self._payload is not None  # one of the two was given
            totals = [self._payload[0]]
            for payload in self._payload[1:]:
                totals.append(totals[-1] + payload)
            self._totals = [total.permute(0, 3, 1, 2) for total in totals]
        return self._totals

    @cached_property
    def all_totals(self) -> Tensor:
        """Running totals of all steps, shape (T * images, C, H, W), channels last."""
        return torch.cat([t.permute(0, 2, 3, 1) for t in self.totals]).permute(
            0, 3, 1, 2
        )

    @cached_property
    def largest(self) -> int:
        """Largest total at the end of the window."""
        # As it lies in memory: torch takes its time over other orders.
        return int(self.totals[-1].permute(0, 2, 3, 1).max())
