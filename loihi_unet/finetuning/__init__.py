# SPDX-License-Identifier: BSD-3-Clause
"""Training through the integer network itself."""
