# SPDX-License-Identifier: BSD-3-Clause
"""Machines that run a Network, and the comparison of what they give."""
