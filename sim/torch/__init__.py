# SPDX-License-Identifier: BSD-3-Clause
"""CPU and GPU through torch: all steps of a layer at once, the same integers."""
