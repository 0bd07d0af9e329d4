# SPDX-License-Identifier: BSD-3-Clause
"""The Lava runtime as a machine; `sim.lava.mends` makes it run on today's Pythons."""
