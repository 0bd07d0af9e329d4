# SPDX-License-Identifier: BSD-3-Clause
"""Networks of other people's kinds, through the whole of the product."""
