# SPDX-License-Identifier: BSD-3-Clause
"""Errors of the float side: settings, data, checkpoints, conversion."""

from export.errors import UserError


class ConfigError(UserError):
    """A setting is unknown, missing or outside its range."""


class DataError(UserError):
    """A picture, a folder of pictures or a tensor of pixels cannot be used."""


class CheckpointError(UserError):
    """A checkpoint or a converted model cannot be read, or does not fit."""


class ConversionError(UserError):
    """A trained U-Net cannot be made into a Spiking-UNet with these settings."""
