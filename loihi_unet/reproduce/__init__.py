# SPDX-License-Identifier: BSD-3-Clause
"""Tables and figures of arXiv 2307.10974, measured with this project's networks."""

from loihi_unet.reproduce.run import TARGETS, reproduce

__all__ = ["TARGETS", "reproduce"]
