# SPDX-License-Identifier: BSD-3-Clause
"""Files: written whole or not at all, HDF5 read with bounded memory."""
