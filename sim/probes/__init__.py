# SPDX-License-Identifier: BSD-3-Clause
"""Questions that only a chip can answer: tiny networks whose recordings tell."""
