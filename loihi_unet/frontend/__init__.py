# SPDX-License-Identifier: BSD-3-Clause
"""Networks from elsewhere: what others trained becomes the integer network."""
