# SPDX-License-Identifier: BSD-3-Clause
"""``convert --neuron sigma-delta``: a trained network or a module, and its file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from export.netx import write_network
from export.stock_network import StockNetwork
from loihi_unet.data.datasets import AS_STATED, Reading, load_data
from loihi_unet.data.pictures import fingerprint
from loihi_unet.errors import ConversionError
from loihi_unet.files.checkpoint import find_checkpoint, read_checkpoint
from loihi_unet.files.sigma_delta_file import save_sigma_delta
from loihi_unet.frontend.module import read as module_frontend
from loihi_unet.frontend.module.fidelity import as_json
from loihi_unet.seeds import Purpose
from loihi_unet.sigma_delta.quantise import quantise
from loihi_unet.spiking.graph import Graph, graph_of
from loihi_unet.tasks.make import make_task

#: Calibration pictures.
CROPS = 16
#: Size of a file where none is asked for, as `export` has it.
USUAL = (128, 128)


def convert(
    checkpoint: str | Path,
    out: str | Path,
    data: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    reading: Reading = AS_STATED,
) -> StockNetwork:
    """Convert one of this project's trained networks, and write it.

    Parameters
    ----------
    checkpoint : str or Path
        As in `loihi_unet.files.checkpoint.find_checkpoint`.
    out : str or Path
        File to write, as `write`.
    data : str, Path or None
        Pictures to calibrate on; None, for denoising only: scikit-image's.
    size : tuple of int, optional
        (H, W); 128x128 if None.
    reading : Reading
        How files are understood; no white level means that of the training.

    Raises
    ------
    CheckpointError, DataError
        If a file cannot be read.
    ConversionError
        If the network spikes already, or cannot be expressed.
    """
    loaded = read_checkpoint(find_checkpoint(checkpoint))
    config = loaded.record.config
    if config.neuron.kind != "relu":
        raise ConversionError(
            f"{checkpoint}: trained with {config.neuron.kind} neurons; sigma-delta "
            "neurons take the place of ReLUs"
        )
    white = reading.white_level or config.white_level
    pictures = load_data(
        config.task,
        None if data is None else Path(data),
        config.model.in_channels,
        reading=replace(reading, white_level=white),
    )
    settings = config.model_copy(update={"batch_size": CROPS})
    task = make_task(settings, train=pictures, validation=[])
    x, target = task.batch(0, Purpose.CALIBRATION)
    network = quantise(
        graph_of(loaded.model),
        x,
        size=checked_size(graph_of(loaded.model), size),
        task=config.task.kind,
        provenance={
            "train": config.model_dump(mode="json"),
            "data_sha256": fingerprint(pictures),
        },
        # What a denoiser or a restorer aims at is a picture that it may be shown.
        extremes=target if target.shape == x.shape else None,
    )
    write(network, Path(out))
    return network


def write(network: StockNetwork, path: Path) -> None:
    """Write a network: its integers for `export`, or the netx file at once.

    Parameters
    ----------
    network : StockNetwork
        From `convert` or `convert_module`.
    path : Path
        ``NAME.safetensors``, of which `loihi_unet.export` makes the netx file of any
        size; else the netx file itself, which is the same.
    """
    if path.suffix == ".safetensors":
        save_sigma_delta(path, network)
    else:
        write_network(network, path)


def convert_module(
    module: nn.Module,
    example: Tensor,
    *,
    allow: Iterable[str] = (),
    preparation: module_frontend.Preparation | None = None,
    size: tuple[int, int] | None = None,
    source: str = "",
) -> tuple[StockNetwork, module_frontend.Reading]:
    """Convert anybody's torch module.

    Parameters
    ----------
    module : nn.Module
        With its weights.
    example : Tensor, shape (B, C, H, W), float32
        Pictures of the kind that it will see, divided by 255.
    allow, preparation
        As in `loihi_unet.conversion.module.convert`.
    size : tuple of int, optional
        (H, W); the example's if None.
    source : str
        Where it came from.

    Returns
    -------
    StockNetwork, Reading
        The network, and the fidelity of each operation.

    Raises
    ------
    ConversionError
        If an operation is refused, by the layer's name.
    """
    preparation = preparation or module_frontend.Preparation()
    reading = module_frontend.read_module(
        module, example, allow=allow, preparation=preparation
    )
    graph = reading.usable()
    height, width = size or (int(example.shape[2]), int(example.shape[3]))
    network = quantise(
        graph,
        example.to(torch.float32),
        size=checked_size(graph, (height, width)),
        task="unknown",
        provenance={
            "module": source or type(module).__name__,
            "operations": as_json(reading.operations),
            "preparation": asdict(preparation),
            "allow": sorted(allow),
            "head": reading.head,
        },
    )
    return network, reading


def checked_size(graph: Graph, size: tuple[int, int] | None) -> tuple[int, int]:
    """Return (H, W) of the file.

    Raises
    ------
    ConversionError
        If the network does not take it.
    """
    height, width = size or graph.frame.size or USUAL
    if graph.frame.fixed and (height, width) != graph.frame.size:
        allowed = "x".join(map(str, graph.frame.size or ()))
        raise ConversionError(
            f"--size {height}x{width}: this network takes {allowed} only"
        )
    multiple = graph.multiple
    whole = height % multiple == 0 and width % multiple == 0
    if min(height, width) < 1 or not (graph.frame.fixed or whole):
        raise ConversionError(
            f"--size {height}x{width}: sides must be positive multiples of {multiple}"
        )
    return height, width
