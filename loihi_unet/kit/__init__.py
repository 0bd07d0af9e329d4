# SPDX-License-Identifier: BSD-3-Clause
"""What those who have a chip start with: a first network, and questions to the chip."""
