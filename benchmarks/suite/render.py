# SPDX-License-Identifier: BSD-3-Clause
"""docs/suite.md from docs/suite.json."""

from __future__ import annotations

from typing import Any

HEAD = """# Strangers' networks

Twenty architectures of other people, written from their papers, narrow and with random
weights, through `convert`, the integers and the backends. Every number here was
measured by `make suite`; this page is rendered from [suite.json](suite.json). What the
fidelities mean: [your-own-network.md](your-own-network.md).

U-Net++, LinkNet and FPN are written from their papers as the others are, and not taken
from segmentation_models_pytorch: it needs timm and torchvision, whose wheels bring a
torch of their own with CUDA's libraries, some gigabytes.

- *T = 256* is the largest difference between the float spiking network of 256 steps,
  8 thresholds and scales at the maximum and the float network, as a share of the
  float network's range; only where all operations are faithful.
- *replaced*, *SNN* and *integers* are correlations with the float network's output at
  T = 16, N = 8, without any fine-tuning: of the float network with its replacements,
  of the float spiking network, and of the integers.
- *bits left* is what the largest potential left of 24 bits signed.
- *backends*: every payload of every layer and step and the output are those of the
  reference, for a picture of 32x32.

"""


def render(record: dict[str, Any]) -> str:
    """Markdown of all networks, in order."""
    converted = {n: e for n, e in record.items() if "refused" not in e}
    rows = [
        "| network | from | faithful | approximated | T = 256 | replaced | SNN "
        "| integers | neurons | bits left | backends |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
        *(_row(name, entry) for name, entry in converted.items()),
    ]
    refused = [
        f"- **{name}** ({entry['paper']}): {entry['refused']}"
        for name, entry in record.items()
        if "refused" in entry
    ]
    consents = [
        f"- **{name}**: {', '.join(f'`{c}`' for c in entry['consents'])}"
        for name, entry in converted.items()
        if entry["consents"]
    ]
    total = f"{len(converted)} of {len(record)} convert.\n\n"
    parts = [HEAD + total + "\n".join(rows)]
    if consents:
        parts.append("## With consent\n\n" + "\n".join(consents))
    if refused:
        parts.append("## Refused\n\n" + "\n".join(refused))
    return "\n\n".join(parts) + "\n"


def _row(name: str, entry: dict[str, Any]) -> str:
    fidelity, exact = entry["fidelity"], entry["exact"]
    limit = f"{entry['limit']:.1e}" if "limit" in entry else ""
    stages = " | ".join(f"{stage['correlation']:.4f}" for stage in entry["stages"])
    verdicts = [f"{m} {'EXACT' if good else 'DIFFERS'}" for m, good in exact.items()]
    return (
        f"| {name} | {entry['paper']} | {fidelity.get('faithful', 0)} "
        f"| {fidelity.get('approximated', 0)} | {limit} | {stages} "
        f"| {entry['neurons']:,} | {entry['headroom']:.1f} | {', '.join(verdicts)} |"
    )
