# SPDX-License-Identifier: BSD-3-Clause
"""The Spiking-UNet as data, and its run in floating point."""
