# SPDX-License-Identifier: BSD-3-Clause
"""The value of templates."""

#: What a template holds where nothing was read yet: outside of what a chip can send.
NOT_READ = -(2**31)
