# SPDX-License-Identifier: BSD-3-Clause
"""The page of docs/netx_stock_table.json."""

from typing import Any


def render(record: dict[str, Any], large_steps: int) -> str:
    """The page."""
    lines = [
        "# Stock files on every backend",
        "",
        "Written by `python benchmarks/stock_table.py FOLDER ...` "
        f"(lava-nc {record['lava-nc']}, lava-dl {record['lava-dl']}). Each file gets "
        f"random input for {record['steps']} steps; backends are compared in every "
        "spike and state, stock netx in its output. Files above 10^8 products a step "
        f"run for {large_steps} steps on the other backends, and in stock netx with "
        "this project's Conv.",
        "",
        "| file | reads | backends | output other than 0 | stock netx |",
        "|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        backends = ", ".join(row.get("backends", []))
        if row.get("exact") is not None:
            backends += ": EXACT" if row["exact"] else ": FAIL"
            if row["steps"] != record["steps"]:
                backends += f" ({row['steps']} steps)"
        given = ", ".join(f"{k}={v}" for k, v in row["arguments"].items())
        file = f"{row['file']} ({given})" if given else row["file"]
        lines.append(
            f"| {file} | {row['reads']} | {backends} | {row.get('spikes', '')} | "
            f"{row.get('netx', '')} |"
        )
    lines += [
        "",
        "## Ten steps, side by side in one run",
        "",
        "The last two columns divide stock netx by torch: by the clock, and in "
        "processor seconds of all processes, of which torch has two threads.",
        "",
        "| file | torch, s | stock netx in Lava, s | torch, processor s | "
        "stock netx, processor s | times, clock | times, processor |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in record["timed"]:
        lines.append(
            f"| {row['file']} | {row['ours']:.3f} | {row['netx']:.2f} "
            f"({row['measured']} steps of {row['netx_step']:.2f} measured) | "
            f"{row['ours_cpu']:.3f} | {row['netx_cpu']:.2f} | "
            f"{row['netx'] / row['ours']:.0f} | "
            f"{row['netx_cpu'] / row['ours_cpu']:.0f} |"
        )
    toy = record["toy"]
    lines += [
        "",
        "## A U-Net trained in slayer",
        "",
        f"Conv, Pool, Conv, ConvT, concatenation, Conv; {toy['iterations']} iterations "
        "on bars under noise: share of right pixels "
        f"{toy['before']:.3f} before, {toy['after']:.3f} after. Exported by "
        f"`export_hdf5`, run on {', '.join(toy['backends'])}: "
        f"{'EXACT' if toy['exact'] else 'FAIL'}; against slayer's own forward "
        f"{toy['wrong']} of {toy['compared']:,} spikes of all layers differ; "
        f"{toy['spikes']} spikes in the output.",
        "",
    ]
    return "\n".join(lines)
