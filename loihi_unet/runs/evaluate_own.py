# SPDX-License-Identifier: BSD-3-Clause
"""How close the integers of somebody's network come to its float outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from export.images import completed, decode, only_size, picture_channels, size_multiple
from export.network import Network
from loihi_unet.data.picture_files import printable
from loihi_unet.data.pictures import fingerprint, load_pictures
from loihi_unet.data.white_level import records
from loihi_unet.errors import DataError
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.finetuning.imitation import module_teacher
from loihi_unet.frontend.module.source import is_module
from loihi_unet.runs.evaluate_set import EvaluateConfig, thresholds
from loihi_unet.runs.frames import Conditions, frame
from loihi_unet.runs.hashes import hashes
from loihi_unet.spiking.run_float import run
from sim.backend import Progress, Simulator, create

#: What a network's own last operation is, where the reader of the output does it.
_HEADS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda y: y,
    "sigmoid": torch.sigmoid,
    "softmax": lambda y: y.softmax(dim=1),
    "log_softmax": lambda y: y.log_softmax(dim=1),
    "argmax": lambda y: y.argmax(dim=1).double(),
}


class Closeness:
    """Adds up how far outputs are from those that are wanted."""

    def __init__(self) -> None:
        # Of wanted and found: count, sums, squares, product; squared difference.
        self._sums = np.zeros(7)
        self._low, self._high = math.inf, -math.inf

    def add(self, output: Tensor, wanted: Tensor) -> None:
        """Take in the outputs of one picture."""
        a, b = wanted.double().flatten(), output.double().flatten()
        terms = (a.sum(), b.sum(), a @ a, b @ b, a @ b, (a - b).square().sum())
        self._sums += [len(a), *(float(term) for term in terms)]
        self._low = min(self._low, float(a.min()))
        self._high = max(self._high, float(a.max()))

    def measures(self) -> dict[str, float]:
        """Return ``decibels``, range over error, and Pearson's ``correlation``.

        The error is the root of the mean squared difference; both over all values.
        """
        n, a, b, aa, bb, ab, error = self._sums
        root = math.sqrt(error / n)
        norm = math.sqrt(max(0.0, (n * aa - a * a) * (n * bb - b * b)))
        related = (n * ab - a * b) / norm if norm else float(error == 0)
        span = (self._high - self._low) or 1.0
        return {
            "decibels": 20 * math.log10(span / max(root, 1e-12)),
            "correlation": related,
        }


def is_own(network: Network) -> bool:
    """Whether a network came from a torch module, of which no task is known."""
    return "module" in network.provenance


def evaluate_own(
    path: Path,
    network: Network,
    settings: EvaluateConfig,
    *,
    command: str,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare a network's integers with the outputs of the module it came from.

    Pictures are padded to the network's multiple, or cut to its only size, for both
    alike, and run in one piece.

    Parameters
    ----------
    path : Path
        The network's file, for errors.
    network : Network
        From it.
    settings : EvaluateConfig
        ``checkpoint`` names the module; ``sigma``, ``seed`` and ``tile`` have no
        effect.
    command : str
        Goes into the row.
    progress : callable, optional
        Called with (pictures done, all of them).

    Returns
    -------
    dict[str, Any]
        As `loihi_unet.runs.evaluate_set.report`; measures are those of `Closeness`.

    Raises
    ------
    DataError
        If no module is named, a task is, or a picture cannot be used.
    UserError
        As the module and the backend.
    """
    if settings.task is not None:
        raise DataError(
            f"{path}: a network of {network.provenance['module']}, of which no task is "
            f"known; asked for {settings.task}"
        )
    if settings.checkpoint is None or not is_module(settings.checkpoint):
        raise DataError(
            f"{path}: nobody knows what the output of this network means, so there is "
            "no score; --checkpoint FILE.py:FUNCTION tells how close it comes to the "
            "float network, simulate --pictures writes it as it is"
        )
    simulator = create(settings.backend)
    module = module_teacher(settings.checkpoint, network.provenance)
    head = _HEADS[network.provenance.get("head") or ""]
    snn = None if settings.spiking is None else load_spiking_unet(settings.spiking)
    channels, white = picture_channels(network), settings.reading.white_level
    pictures = load_pictures(settings.data, channels, white)
    conditions = Conditions(crop=only_size(network))
    closenesses = {"chip": Closeness()} | ({} if snn is None else {"snn": Closeness()})
    for index, picture in enumerate(pictures):
        levels = frame(picture, index, conditions, size_multiple(network)).levels
        x = torch.from_numpy(levels / np.float32(255))[None]
        with torch.no_grad():
            wanted = module(x)
            closenesses["chip"].add(head(_integers(network, simulator, levels)), wanted)
            if snn is not None:
                closenesses["snn"].add(head(run(snn, x).output), wanted)
        if progress is not None:
            progress(index + 1, len(pictures))
    measures = {name: closeness.measures() for name, closeness in closenesses.items()}
    return {
        "task": "own",
        "data": printable(settings.data.name) if settings.data else "scikit-image",
        "pictures": len(pictures),
        "data_sha256": fingerprint(pictures),
        "white_levels": records(pictures.levels),
        "sigma": None,
        "T": network.num_steps,
        **thresholds(network),
        "module": network.provenance["module"],
        "finetuned": "finetune" in network.provenance,
        "ann": None,
        "snn": measures.get("snn"),
        "chip": measures["chip"],
        "backend": settings.backend,
        **hashes(network),
        "command": command,
    }


def _integers(network: Network, simulator: Simulator, levels: Any) -> Tensor:
    """What the network puts out for one picture, in its own unit."""
    sized = network.resized(*levels.shape[1:])
    image = completed(sized, levels).astype(np.int32)
    recording = simulator.run(sized, image[None], layers=())
    assert recording.output is not None  # every exported network has an output
    return torch.from_numpy(decode(sized, recording.output)).float()
