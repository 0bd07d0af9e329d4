# SPDX-License-Identifier: BSD-3-Clause
"""A torch module becomes layers and connections."""
