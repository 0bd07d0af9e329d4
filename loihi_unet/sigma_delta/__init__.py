# SPDX-License-Identifier: BSD-3-Clause
"""A trained network of ReLUs as a StockNetwork of sigma-delta neurons."""
