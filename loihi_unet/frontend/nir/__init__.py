# SPDX-License-Identifier: BSD-3-Clause
"""NIR graphs to stock networks and back.

Only `read` and `write` know the package ``nir``; all others know a `Graph`.
"""
