# SPDX-License-Identifier: BSD-3-Clause
"""Train, convert and fine-tune the multi-threshold Spiking-UNet in PyTorch."""
