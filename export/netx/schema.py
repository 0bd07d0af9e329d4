# SPDX-License-Identifier: BSD-3-Clause
"""Number and place of what netx has no word for."""

SCHEMA = 1
OURS = "loihi_unet"
# Value of "kind" in our group: the layers are those of a StockNetwork.
STREAM = "stream"
# Far beyond any U-Net (6 levels: 40); very many empty ones would take for ever.
MAX_LAYERS = 4096
