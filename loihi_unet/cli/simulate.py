# SPDX-License-Identifier: BSD-3-Clause
"""``simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loihi_unet.cli.console import (
    BackendOption,
    JsonOption,
    NetworkArgument,
    SeedOption,
    WhiteLevelOption,
    open_network,
    out,
    print_json,
    print_table,
    print_white_levels,
    progress,
)
from loihi_unet.cli.coverage import coverage_line
from loihi_unet.cli.loading import loading
from loihi_unet.cli.network import parse_size
from loihi_unet.cli.stock_options import with_stock_options
from loihi_unet.plural import counted

if TYPE_CHECKING:
    from export.netx import StockOptions
    from export.stock_network import StockNetwork


def _pictures(network: StockNetwork, images: list[Path]) -> bool:
    """Whether a network of stock neurons is shown pictures, not arrays."""
    return network.takes_pictures and all(path.suffix != ".npy" for path in images)


@with_stock_options
def simulate(
    network_path: NetworkArgument,
    images: Annotated[
        list[Path],
        typer.Argument(
            help="Images, streamed in order; .npy arrays for stock neurons."
        ),
    ],
    backend: BackendOption = "torch",
    sigma: Annotated[
        float, typer.Option(help="Noise to add, in gray levels.", min=0)
    ] = 0.0,
    seed: SeedOption = 0,
    crop: Annotated[
        str | None,
        typer.Option(help="HEIGHTxWIDTH from the middle; default: the whole image."),
    ] = None,
    white_level: WhiteLevelOption = None,
    steps: Annotated[
        int | None,
        typer.Option(help="T of a stock network with constant input.", min=1),
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option("--layer", help="Record only these layers.")
    ] = None,
    recording_path: Annotated[
        Path, typer.Option("--out", help="Recording to write (.h5).")
    ] = Path("runs/recording.h5"),
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for the output pictures (PNG).")
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="The images are frames of a video, one a step, and sigma-delta "
            "neurons keep their state from frame to frame.",
        ),
    ] = False,
    as_json: JsonOption = False,
    stock: StockOptions | None = None,
) -> None:
    """Run a network on images and record every payload.

    The images stream through: each is read when it is needed, and what it gave is
    written before the next but few; memory does not grow with their number. Every
    page of a file is an image. They are padded by reflection to the size the network
    needs, and the output is cropped back. A sigma-delta network (convert --neuron
    sigma-delta) takes them one a step. Another of stock neurons takes integers as
    they enter it, .npy arrays of shape (C, H, W), or (T, C, H, W) for spike trains
    and video. Shapes are C,H,W on this command line, where netx has (x, y, C).

    Example: loihi-unet simulate network.net a.png --backend lava --crop 128x128
    """
    with loading():
        from export.stock_network import StockNetwork
        from loihi_unet.errors import DataError
        from loihi_unet.runs.frames import Conditions
        from loihi_unet.runs.hashes import hash_line
        from loihi_unet.runs.simulate_arrays import run_arrays
        from loihi_unet.runs.simulate_pictures import RunConfig, run_pictures

    network = open_network(network_path, stock)
    recorded = None if layers is None else tuple(layers)
    run = run_pictures
    if stream:
        from loihi_unet.runs.simulate_video import run_frames
        from loihi_unet.runs.video import video_network

        video_network(network, str(network_path))
        run = run_frames
    with progress(quiet=as_json) as bar:
        update = bar(f"{backend}, images")
        if isinstance(network, StockNetwork) and not _pictures(network, images):
            if sigma or crop or pictures or white_level:
                raise DataError(
                    f"{network_path}: stock neurons take arrays: --sigma, --crop, "
                    "--white-level and --pictures are for pictures"
                )
            record = run_arrays(
                network,
                images,
                recording_path,
                backend=backend,
                num_steps=steps,
                layers=recorded,
                progress=update,
            )
        elif steps is not None:
            raise DataError(
                f"{network_path}: T = {network.num_steps} is part of this network, "
                "--steps is for stock networks"
            )
        else:
            config = RunConfig(
                network=network_path,
                images=tuple(images),
                backend=backend,
                conditions=Conditions(
                    sigma=sigma, seed=seed, crop=parse_size(crop) if crop else None
                ),
                layers=recorded,
                recording=recording_path,
                pictures=pictures,
                white_level=white_level,
            )
            record = run(config, progress=update)
    if as_json:
        print_json(record)
        return
    title = (
        f"{record['backend']}: {counted(record['images'], 'image')}, "
        f"T = {record['num_steps']}, {record['seconds']:.2f} s -> {recording_path}"
    )
    if "events" in record:
        columns = ["frame", "events", "synaptic operations"]
        frames = zip(record["events"], record["operations"], strict=True)
        print_table("frames", columns, [[n, *row] for n, row in enumerate(frames)])
    rates = list(record["spike_rate"].items())
    print_table(title, ["layer", "share of non-zero spikes"], rates)
    out.print(coverage_line(record["coverage"]), soft_wrap=True)
    print_white_levels(record.get("white_levels", ()))
    if record["note"]:
        out.print(record["note"], soft_wrap=True)
    out.print(hash_line(record, record["size"]), soft_wrap=True)
