# SPDX-License-Identifier: BSD-3-Clause
"""The judge: the whole chip, step by step, in int64 NumPy."""
