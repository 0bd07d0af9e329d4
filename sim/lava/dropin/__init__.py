# SPDX-License-Identifier: BSD-3-Clause
"""A whole network as one Process, in place of netx's Network.

It has a folder of its own, since Lava's compiler executes every module in the folder of
a Process (see `sim.lava.processes`), and it builds its graph from those Processes.
"""
