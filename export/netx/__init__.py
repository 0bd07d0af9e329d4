# SPDX-License-Identifier: BSD-3-Clause
"""Network <-> netx HDF5 file, documented in docs/netx_format.md.

Sole home of netx's camelCase keys. Keys and meanings are those of lava-dl 0.6.0
(lava.lib.dl.netx.hdf5) wherever it has one.
"""

from export.netx.options import StockOptions as StockOptions
from export.netx.read import is_stock as is_stock
from export.netx.read import read_network as read_network
from export.netx.read_stock import read_stock as read_stock
from export.netx.write import write_network as write_network
