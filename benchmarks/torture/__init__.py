# SPDX-License-Identifier: BSD-3-Clause
"""What the product survives: ``python -m benchmarks.torture`` from the repository."""
