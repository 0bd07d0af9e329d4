# SPDX-License-Identifier: BSD-3-Clause
"""Errors that name the place, what was found there and what is allowed."""

from __future__ import annotations

from loihi_unet.errors import UserError


class NetworkError(UserError):
    """A Network, or a file that should hold one, is not well formed."""


class RangeError(NetworkError):
    """A value lies outside what the chip can hold."""


class UnsupportedLayerError(NetworkError):
    """A layer, neuron or synapse kind that this project does not handle."""
