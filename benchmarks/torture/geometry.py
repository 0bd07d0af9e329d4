# SPDX-License-Identifier: BSD-3-Clause
"""Random convolutions on torch, in child processes, against the reference."""

from __future__ import annotations

from benchmarks.torture.child import in_children
from benchmarks.torture.result import Result


def int8_geometry(isa: str | None, result: Result, count: int) -> None:
    """Convolutions of any kernel, stride, padding, dilation, groups and size.

    Parameters
    ----------
    isa : str or None
        Limit of oneDNN's instructions; None: whatever the processor has.
    result : Result
        Takes the counts.
    count : int
        Number of convolutions; case n is the same in every run.
    """
    limit = "" if isa is None else f", with ONEDNN_MAX_CPU_ISA={isa}"
    result.what = (
        "random convolutions of any kernel, stride, padding, dilation, groups and size "
        f"on backend torch{limit}: the reference's integers, no crash"
    )
    environment = {} if isa is None else {"ONEDNN_MAX_CPU_ISA": isa}
    in_children(result, count, "geometry_worker", "geometry", environment)
