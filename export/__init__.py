# SPDX-License-Identifier: BSD-3-Clause
"""From the trained float model to the frozen integer Network and its netx file."""
