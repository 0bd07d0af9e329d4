# SPDX-License-Identifier: BSD-3-Clause
"""What a network is for, and how it is scored."""
