# SPDX-License-Identifier: BSD-3-Clause
"""What the commands do, as functions of Python objects or paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.files.kind import KINDS, mistaken
from export.files.recognise import recognise
from export.images import completed, only_size, picture_channels, size_multiple
from export.lowering import lower
from export.mapping import MappingName
from export.network import Network
from export.netx import read_network, write_network
from loihi_unet.data.pictures import load_pictures
from loihi_unet.errors import ConversionError, DataError
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.files.sigma_delta_file import is_sigma_delta, load_sigma_delta
from loihi_unet.files.spiking_file import load_spiking_unet, save_spiking_unet
from loihi_unet.networks.net import Net
from loihi_unet.runs.evaluate_set import EvaluateConfig, evaluate_set
from loihi_unet.runs.frames import Conditions, frame
from loihi_unet.runs.network_source import is_shipped, load_network
from loihi_unet.spiking.spiking_unet import SpikingUNet
from sim.backend import create
from sim.recording import Recording
from sim.recording_file import read_recording, write_recording
from sim.verify.comparison import Comparison, compare
from sim.verify.scope import at_size


def export(
    source: SpikingUNet | str | Path,
    size: tuple[int, int] | None = None,
    *,
    mapping: MappingName = "graded",
    out: str | Path | None = None,
) -> Network:
    """Quantise a Spiking-UNet to integers.

    Parameters
    ----------
    source : SpikingUNet, str or Path
        What `convert` or `finetune` gave, its file, or the name of a shipped network;
        or the file of a network of sigma-delta neurons, whose integers are settled.
    size : tuple of int, optional
        (height, width) of a picture; multiples of what the network's coarsest layer
        asks. Default: 128x128, or that of a torch module's input; of sigma-delta
        neurons that of the file.
    mapping : str
        Neurons on compartments: ``"graded"``, ``"parallel-if"`` or ``"binary-if"``;
        of multi-threshold neurons.
    out : str or Path, optional
        netx file to write, too.

    Returns
    -------
    Network
        Integers only.

    Raises
    ------
    CheckpointError
        If the file cannot be read.
    ConversionError
        If sigma-delta neurons are asked for a mapping, or a size that they do not take.
    RangeError
        If a value lies outside what the chip can hold.
    """
    network: Network
    if not isinstance(source, SpikingUNet) and is_sigma_delta(Path(source)):
        if mapping != "graded":
            raise ConversionError(
                f"--mapping {mapping}: of multi-threshold neurons; each sigma-delta "
                "neuron is a compartment"
            )
        network = load_sigma_delta(Path(source), size)
    else:
        snn = source if isinstance(source, SpikingUNet) else load_spiking_unet(source)
        network = lower(snn, *(size or snn.frame.size or (128, 128)), mapping=mapping)
    if out is not None:
        write_network(network, Path(out))
    return network


def simulate(
    network: Network | str | Path,
    images: npt.ArrayLike | str | Path,
    *,
    backend: str = "torch",
    layers: Sequence[str] | None = None,
    sigma: float = 0.0,
    seed: int = 0,
    out: str | Path | None = None,
) -> Recording:
    """Run a network and record every payload.

    Parameters
    ----------
    network : Network, str or Path
        The network, its file, or the name of a shipped one.
    images : array_like of int, shape (images, C, H, W), or str or Path
        Integers as they enter the network, which runs at their size; or a picture, or a
        folder of pictures of one size, padded by reflection to a size that fits.
    backend : str
        A key of `sim.BACKENDS`, or ``module:Class`` of a backend of your own.
    layers : sequence of str, optional
        Spiking layers to record; default: all.
    sigma, seed
        Noise to add to pictures, in gray levels, and what decides it.
    out : str or Path, optional
        Recording file (.h5) to write, too.

    Returns
    -------
    Recording
        Payloads of every layer at every step, and the output.

    Raises
    ------
    DataError
        If pictures cannot be read or are of several sizes.
    OverflowLayerError
        If a sum or a potential leaves 24 bits signed.
    BackendError
        If there is no such backend, or it cannot run here.
    """
    if not isinstance(network, Network):
        network = load_network(Path(network))
    if isinstance(images, str | Path):
        images = _entering(network, Path(images), Conditions(sigma=sigma, seed=seed))
    arrays = np.asarray(images)
    if network.takes_pictures and arrays.ndim == 4:
        network = network.resized(*arrays.shape[2:])
    wanted = None if layers is None else tuple(layers)
    recording = create(backend).run(network, arrays, layers=wanted)
    if out is not None:
        write_recording(recording, Path(out))
    return recording


def _entering(
    network: Network, path: Path, conditions: Conditions
) -> npt.NDArray[np.float32]:
    """Pictures of one size as they enter, shape (images, C, H, W)."""
    multiple = size_multiple(network)
    if (only := only_size(network)) is not None:
        conditions = replace(conditions, crop=only)
    pictures = load_pictures(path, picture_channels(network))
    levels = [
        completed(network, frame(picture, index, conditions, multiple).levels)
        for index, picture in enumerate(pictures)
    ]
    shapes = sorted({array.shape[1:] for array in levels})
    if len(shapes) > 1:
        raise DataError(
            f"{path}: pictures of {len(shapes)} sizes, {shapes[0]} to {shapes[-1]}; "
            "one recording holds one size"
        )
    return np.stack(levels)


def verify(
    left: Recording | str | Path,
    right: Recording | str | Path,
    network: Network | str | Path | None = None,
) -> Comparison:
    """Compare two recordings, integer by integer.

    Parameters
    ----------
    left, right : Recording, str or Path
        What two backends gave, or the files.
    network : Network, str or Path, optional
        What both ran, at any size: it tells what there is to compare.

    Returns
    -------
    Comparison
        Its ``verdict`` is ``"EXACT"``, ``"PARTIAL"`` or ``"FAIL"``; ``layers`` hold the
        first mismatch of each.

    Raises
    ------
    RecordingError
        If a file cannot be read, or is not a recording of ``network``.
    """
    a, b = (
        side if isinstance(side, Recording) else read_recording(Path(side))
        for side in (left, right)
    )
    if network is not None and not isinstance(network, Network):
        network = load_network(Path(network))
    return compare(a, b, None if network is None else at_size(network, a))


def evaluate(
    network: str | Path,
    data: str | Path | None = None,
    *,
    sigma: float = 25.0,
    seed: int = 0,
    backend: str = "torch",
    checkpoint: str | Path | None = None,
) -> dict[str, Any]:
    """Score a network file over a data set.

    Parameters
    ----------
    network : str or Path
        netx file, or the name of a shipped network.
    data : str or Path, optional
        The set's folder; default, for denoising: scikit-image's photographs.
    sigma, seed
        Noise in gray levels, for denoising, and what decides it.
    backend : str
        A key of `sim.BACKENDS`, or ``module:Class`` of a backend of your own.
    checkpoint : str or Path, optional
        A trained float network to score beside it: run folder, file or shipped name.

    Returns
    -------
    dict[str, Any]
        As `loihi_unet.runs.evaluate_set.report`: ``chip`` holds the integer network's
        scores, ``ann`` the float network's.

    Raises
    ------
    DataError
        If the pictures cannot be read.
    NetworkError
        If the file holds no network.
    """
    settings = EvaluateConfig(
        data=None if data is None else Path(data),
        sigma=sigma,
        seed=seed,
        backend=backend,
        checkpoint=None if checkpoint is None else str(checkpoint),
    )
    call = f"loihi_unet.evaluate({str(network)!r})"
    return evaluate_set(Path(network), settings, command=call).row


def load(source: str | Path) -> Net | SpikingUNet | Network | Recording:
    """Read a file that this package wrote, whatever it holds.

    Parameters
    ----------
    source : str or Path
        A checkpoint or a run's folder, a converted network, a netx file or a recording;
        or the name of a shipped converted network.

    Returns
    -------
    Net, SpikingUNet, Network or Recording
        What the file holds.

    Raises
    ------
    UserError
        If it is of another kind, or damaged: one line.
    """
    path = Path(source)
    if is_shipped(path):
        return load_spiking_unet(str(source))
    kind = recognise(path) if path.exists() else None
    match kind:
        case "checkpoint" | "run":
            return load_checkpoint(path)[0]
        case "converted":
            return load_spiking_unet(path)
        case "sigma-delta":
            return load_sigma_delta(path)
        case "recording":
            return read_recording(path)
        case None | "network":
            return read_network(path)
        case _:
            raise DataError(mistaken(path, kind, "network"))


def save(what: SpikingUNet | Network | Recording, path: str | Path) -> None:
    """Write a file that `load` reads.

    Parameters
    ----------
    what : SpikingUNet, Network or Recording
        To a ``.safetensors``, ``.net`` or ``.h5`` file. Trained networks are written by
        `train`, with the settings that made them.
    path : str or Path
        File to write, whole or not at all.

    Raises
    ------
    DataError
        If it is of another kind.
    """
    match what:
        case SpikingUNet():
            save_spiking_unet(Path(path), what)
        case Network():
            write_network(what, Path(path))
        case Recording():
            write_recording(what, Path(path))
        case _:
            kinds = ", ".join(KINDS[name].what for name in _SAVED)
            raise DataError(f"{path}: {type(what).__name__} found; allowed: {kinds}")


_SAVED = ("converted", "network", "recording")
