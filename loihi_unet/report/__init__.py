# SPDX-License-Identifier: BSD-3-Clause
"""report.json -> one self-contained HTML page."""

from loihi_unet.report.render import render_report
from loihi_unet.report.schema import Report, read_report

__all__ = ["Report", "read_report", "render_report"]
