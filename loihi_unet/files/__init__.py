# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints and converted networks, as safetensors."""
