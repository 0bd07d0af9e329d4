# SPDX-License-Identifier: BSD-3-Clause
"""One network of the suite through conversion and backends."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch

from benchmarks.suite.subjects import Subject, built
from export.lowering import lower
from loihi_unet.conversion.module import convert
from loihi_unet.errors import ConversionError
from loihi_unet.frontend.module.read import Preparation, Prepared, read_module
from loihi_unet.runs.quality import with_headroom
from loihi_unet.spiking.run_float import run
from sim.backend import create
from sim.verify.comparison import compare

#: T and N of the integers; T of the float network that is all but the float one.
STEPS, THRESHOLDS, LIMIT = 16, 8, 256
SIDE = 32


def pictures(channels: int) -> torch.Tensor:
    """Smooth pictures of integer gray levels, always the same."""
    random = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, channels, SIDE // 4, SIDE // 4, generator=random)
    fine = torch.nn.functional.interpolate(coarse, scale_factor=4, mode="bicubic")
    return (fine.clamp(0, 1) * 255).round() / 255


def run_subject(subject: Subject, backends: tuple[str, ...]) -> dict[str, Any]:
    """Convert a network and compare its integers on all backends.

    Parameters
    ----------
    subject : Subject
        The network.
    backends : tuple of str
        The first is the one that others are compared with; none: no backend runs.

    Returns
    -------
    dict[str, Any]
        JSON values: ``fidelity, refused, limit, stages, exact, layers``.
    """
    module, x = built(subject), pictures(subject.channels)
    preparation = Preparation(constant=subject.constant)
    settings: dict[str, Any] = {
        "allow": subject.allow,
        "preparation": preparation,
        "num_thresholds": THRESHOLDS,
    }
    reading = read_module(module, x, allow=subject.allow, preparation=preparation)
    record: dict[str, Any] = {
        "paper": subject.paper,
        "fidelity": dict(Counter(item.fidelity for item in reading.operations)),
        "consents": list(subject.allow),
    }
    try:
        graph = reading.usable()
    except ConversionError as error:
        return {**record, "refused": str(error)}
    prepared = Prepared(module, preparation).eval()
    with torch.no_grad():
        wanted = prepared(x)
        if reading.faithful:
            maximum = {"per": "layer", "percentile": 100.0, **settings}
            slow = convert(module, x, num_steps=LIMIT, **maximum).snn
            span = float(wanted.max() - wanted.min())
            difference = run(slow, x).output - wanted
            record["limit"] = float(difference.abs().max()) / span
    converted = convert(module, x, num_steps=STEPS, **settings)
    snn, quality = with_headroom(prepared, graph, converted.snn, x)
    network = lower(snn, SIDE, SIDE)
    record |= {
        "layers": len(network.layers),
        "neurons": int(sum(np.prod(layer.shape) for layer in network.layers)),
        "stages": quality.as_json()["stages"],
        "headroom": min((item.headroom for item in quality.layers), default=None),
    }
    complete = snn.frame.completed(x[:1], snn.in_channels)
    image = (complete * 255).round().numpy().astype(np.int32)
    recordings = [create(name).run(network, image) for name in backends]
    exact = {
        other.backend: compare(recordings[0], other).identical
        for other in recordings[1:]
    }
    return {**record, "exact": exact, "against": backends[0] if backends else None}
