# SPDX-License-Identifier: BSD-3-Clause
"""Pictures, data sets and the crops that are trained on."""
