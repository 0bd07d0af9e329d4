# SPDX-License-Identifier: BSD-3-Clause
"""The main job: one picture through every backend."""
