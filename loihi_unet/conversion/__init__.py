# SPDX-License-Identifier: BSD-3-Clause
"""From a trained network to a Spiking-UNet: scales, thresholds, search."""
