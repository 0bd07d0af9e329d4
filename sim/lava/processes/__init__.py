# SPDX-License-Identifier: BSD-3-Clause
"""Lava Processes that lava-nc 0.10.0 lacks, each beside its CPU model.

They are a package of their own because Lava's compiler looks for ProcessModels
by executing every module in the folder of a Process, once per Process
(lava.magma.compiler.compiler_graphs.ProcGroupDiGraphs._find_proc_models): nothing
that is not a Process, or slow to import, may lie here.
"""
