# SPDX-License-Identifier: BSD-3-Clause
"""The training loop, its state and its processes."""
