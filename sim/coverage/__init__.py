# SPDX-License-Identifier: BSD-3-Clause
"""What the pictures exercised: counted, and pictures made to exercise more."""
