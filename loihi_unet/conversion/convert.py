# SPDX-License-Identifier: BSD-3-Clause
"""The command ``convert``: read a checkpoint, measure, search, normalise, write."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from loihi_unet.conversion.calibrate import calibrate
from loihi_unet.conversion.channels import convert_channels
from loihi_unet.conversion.normalise import spiking_unet, trained_directly
from loihi_unet.conversion.search import search_thresholds
from loihi_unet.data.datasets import AS_STATED, Reading, load_data
from loihi_unet.data.pictures import Picture
from loihi_unet.data.sequence import all_facts
from loihi_unet.data.white_level import records
from loihi_unet.errors import ConversionError
from loihi_unet.files.checkpoint import (
    Calibration,
    Checkpoint,
    find_checkpoint,
    read_checkpoint,
)
from loihi_unet.files.spiking_file import save_spiking_unet
from loihi_unet.spiking.spiking_unet import Normalisation, SpikingUNet


def convert(
    checkpoint: str | Path,
    out: str | Path,
    data: str | Path | None = None,
    *,
    percentile: float = 99.9,
    normalisation: Normalisation = "connection",
    num_steps: int = 10,
    num_thresholds: int = 4,
    base_threshold: float | None = None,
    search: bool = False,
    fewer: bool = False,
    per: Literal["channel", "layer"] = "layer",
    bits: float | None = None,
    reading: Reading = AS_STATED,
) -> SpikingUNet:
    """Convert a trained network and write the result.

    A network that was trained with spiking neurons has its T and its thresholds from
    there; `num_steps`, `num_thresholds` and all that scales is left out of account.

    Parameters
    ----------
    checkpoint : str or Path
        As in `loihi_unet.files.checkpoint.find_checkpoint`.
    out : str or Path
        The ``.safetensors`` file to write.
    data : str, Path or None
        Pictures to measure the scales on. If None: the scales in the checkpoint, where
        it has them for this normalisation and percentile, otherwise measured on the
        photographs that ship with scikit-image.
    percentile, normalisation, num_steps, num_thresholds
        As in `SpikingUNet`; 1 threshold is the plain integrate-and-fire neuron.
    base_threshold : float, optional
        q; if None ``2 / 2**num_thresholds``, so that a step's largest value is
        almost twice a layer's scale.
    search : bool
        Choose the thresholds by `loihi_unet.conversion.search.search_thresholds`
        instead, on `data`'s pictures.
    fewer : bool
        Let that search give layers fewer thresholds than `num_thresholds`.
    per : {"channel", "layer"}
        Whether a threshold is one feature map's, which a search finds, or all of a
        layer's.
    bits : float, optional
        N on average over all neurons, at most; the search gives more of them to the
        layers that need them. Thresholds per channel only.
    reading : Reading
        How files are understood; no white level means that of the training.

    Returns
    -------
    SpikingUNet
        What was written.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be read.
    DataError
        If pictures cannot be read.
    ConversionError
        If a setting is not allowed or a layer never fires.
    """
    out, data = Path(out), None if data is None else Path(data)
    loaded = read_checkpoint(find_checkpoint(checkpoint))
    config = loaded.record.config
    if config.neuron.kind != "relu":
        if base_threshold is not None:
            raise ConversionError(
                f"base_threshold {base_threshold:g}: {checkpoint} was trained with "
                "its thresholds"
            )
        snn = trained_directly(loaded.model, loaded.record)
        save_spiking_unet(out, snn)
        return snn
    _check_search(search, fewer, base_threshold)
    _check_channels(per, search, fewer, normalisation, bits)
    config = loaded.record.config
    white = reading.white_level or config.white_level
    reading = replace(reading, white_level=white)
    channels = config.model.in_channels
    pictures: Sequence[Picture] = []
    if per == "channel":
        pictures = load_data(config.task, data, channels, reading=reading)
        snn = convert_channels(
            loaded.model,
            config,
            pictures,
            num_steps=num_steps,
            num_thresholds=num_thresholds,
            fewer=fewer,
            bits=bits,
        )
        snn = replace(snn, provenance={**snn.provenance, **_white_levels(pictures)})
        save_spiking_unet(out, snn)
        return snn
    calibration = _stored_scales(loaded, data, normalisation, percentile)
    if search or calibration is None:
        pictures = load_data(config.task, data, channels, reading=reading)
    if calibration is None:
        calibration = calibrate(
            loaded.model,
            config,
            pictures,
            normalisation=normalisation,
            percentile=percentile,
        )
    q = 2 / 2**num_thresholds if base_threshold is None else base_threshold
    numbers: dict[str, int] = {}
    if search:
        chosen = search_thresholds(
            loaded.model,
            config,
            calibration,
            pictures,
            num_steps=num_steps,
            num_thresholds=num_thresholds,
            fewer=fewer,
        )
        calibration, q = chosen.calibration, chosen.base_threshold
        numbers = chosen.numbers
    snn = spiking_unet(
        loaded.model,
        calibration,
        num_steps=num_steps,
        num_thresholds=num_thresholds,
        base_threshold=q,
        thresholds=numbers,
        provenance={
            "train": config.model_dump(mode="json"),
            **({"search": True} if search else {}),
            **_white_levels(pictures),
        },
    )
    save_spiking_unet(out, snn)
    return snn


def _check_search(search: bool, fewer: bool, base_threshold: float | None) -> None:
    if search and base_threshold is not None:
        raise ConversionError(
            f"base_threshold {base_threshold:g}: not together with a search for it"
        )
    if fewer and not search:
        raise ConversionError("fewer thresholds per layer: found by a search only")


def _white_levels(pictures: Sequence[Picture]) -> dict[str, Any]:
    levels = records(fact.levels for fact in all_facts(pictures))
    return {"white_levels": levels} if levels else {}


def _check_channels(
    per: str,
    search: bool,
    fewer: bool,
    normalisation: Normalisation,
    bits: float | None,
) -> None:
    if bits is not None and (per != "channel" or fewer):
        raise ConversionError(
            f"bits {bits:g}: thresholds per channel needed, and no other limit (fewer)"
        )
    if per == "layer":
        return
    if normalisation == "layer":
        raise ConversionError(
            "normalisation 'layer': one scale for a concatenation, so thresholds per "
            "layer only"
        )
    if not search:
        raise ConversionError("thresholds per channel: found by a search only")


def _stored_scales(
    loaded: Checkpoint,
    data: Path | None,
    normalisation: Normalisation,
    percentile: float,
) -> Calibration | None:
    """Scales in the checkpoint, where they are the wanted ones."""
    stored = loaded.record.calibration
    if data is not None or stored is None:
        return None
    fits = (stored.normalisation, stored.percentile) == (normalisation, percentile)
    return stored if fits else None
