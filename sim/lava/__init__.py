# SPDX-License-Identifier: BSD-3-Clause
"""The Lava runtime as a backend; nothing else of `sim` imports Lava."""

import sim.lava.mends  # noqa: F401  # before any module here imports Lava
