# SPDX-License-Identifier: BSD-3-Clause
"""Which T and N a chip wants, and why."""

from __future__ import annotations

from dataclasses import dataclass

from export.errors import NetworkError, RangeError
from export.fit import fit
from export.fit.chips import chip_named
from export.fit.report import FitReport
from export.fit.systems import find_system
from export.lowering import lower
from export.mapping import MappingName
from loihi_unet.config import TrainConfig
from loihi_unet.conversion.normalise import unscaled
from loihi_unet.errors import ConversionError
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.networks.net import Net

#: T and N that a chip without graded spikes may have, best quality first (by flow in
#: docs/results.md; the last was not measured). A threshold less halves compartments.
BINARY = ((4, 4), (10, 3), (10, 2), (20, 1))
#: T and N where a message carries a payload.
GRADED = (1, 8)


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to convert to.

    Attributes
    ----------
    num_steps, num_thresholds : int
        T and N.
    mapping : {"graded", "parallel-if", "binary-if"}
        What to export with.
    why : tuple[str, ...]
        Sentences.
    """

    num_steps: int
    num_thresholds: int
    mapping: MappingName
    why: tuple[str, ...]


def advise(
    model: Net, config: TrainConfig, chip: str, system: str | None = None
) -> Advice:
    """Choose T and N for a chip, for pictures of the size of the training's crops.

    Parameters
    ----------
    model : Net
        The trained network.
    config : TrainConfig
        Gives the size.
    chip, system
        As in `export.fit.fit`.

    Returns
    -------
    Advice
        The best that fits; where nothing does, the smallest, and that it does not.

    Raises
    ------
    ConversionError
        If chip or system do not exist, or the network has no integers at all.
    """
    try:
        chip_named(chip)
        asked = None if system is None else find_system(system, chip)
    except NetworkError as error:
        raise ConversionError(str(error)) from None
    candidates: tuple[tuple[int, int], ...] = (GRADED,)
    mapping: MappingName = "graded"
    why = [
        "Loihi 2 sends graded spikes: a payload of 8 bits takes one compartment and "
        "one message, so 8 thresholds need no second step."
    ]
    if chip == "loihi1":
        candidates, mapping = BINARY, "parallel-if"
        why = [
            "Loihi 1 sends binary spikes: N thresholds take 2**N - 1 compartments a "
            "neuron, so few thresholds, and more steps."
        ]
    for num_steps, number in candidates:
        report = _fit(model, config, number, mapping, chip)
        place = asked or (
            None if report.system is None else find_system(report.system, chip)
        )
        fits = (
            place is not None
            and report.chips is not None
            and report.chips <= place.chips.count
        )
        name = "no system" if place is None else place.name
        why.append(
            f"T = {num_steps}, N = {number}, {config.patch_size}x{config.patch_size} "
            f"pixels: {_needs(report)}; {name} {'holds' if fits else 'lacks'} them."
        )
        if fits:
            break
    return Advice(
        num_steps=num_steps, num_thresholds=number, mapping=mapping, why=tuple(why)
    )


def advise_for(checkpoint: str, chip: str, system: str | None = None) -> Advice:
    """Choose T and N for a trained network by its file or name, as `advise`.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be read.
    ConversionError
        As `advise`, or if it was trained with its own T and N.
    """
    model, config = load_checkpoint(checkpoint)
    if config.neuron.kind != "relu":
        raise ConversionError(
            f"{checkpoint}: was trained with its own T and thresholds"
        )
    return advise(model, config, chip, system)


def _fit(
    model: Net,
    config: TrainConfig,
    number: int,
    mapping: MappingName,
    chip: str,
) -> FitReport:
    """Cores do not depend on thresholds' values: any weights will do."""
    snn = unscaled(model, config, num_thresholds=number)
    try:
        network = lower(snn, config.patch_size, config.patch_size, mapping=mapping)
    except RangeError as error:
        raise ConversionError(str(error)) from None
    # A system would ask for suggestions, which take long.
    return fit(network, chip=chip, mapping=mapping)


def _needs(report: FitReport) -> str:
    if report.chips is None:
        return f"cannot be placed ({report.problem})"
    return f"{report.cores} cores, {report.chips} chips of {report.chip}"
