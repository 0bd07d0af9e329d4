# SPDX-License-Identifier: BSD-3-Clause
"""Comparison of recordings, and the cause of a difference."""
