# SPDX-License-Identifier: BSD-3-Clause
"""The command line: each command is a thin shim over functions of the packages."""
