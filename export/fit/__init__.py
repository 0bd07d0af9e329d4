# SPDX-License-Identifier: BSD-3-Clause
"""What a network needs on a Loihi 1 or Loihi 2, before anyone has one."""

from export.fit.activity import Activity as Activity
from export.fit.assess import fit as fit
from export.fit.boards import Board as Board
from export.fit.boards import boards as boards
from export.fit.report import FitReport as FitReport
from export.fit.tables import fit_tables as fit_tables
