# SPDX-License-Identifier: BSD-3-Clause
"""Whole sets of pictures through backends: scores, verdicts, recordings."""
