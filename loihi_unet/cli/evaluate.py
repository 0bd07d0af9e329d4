# SPDX-License-Identifier: BSD-3-Clause
"""``evaluate``, ``data init`` and ``data check``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from loihi_unet.cli.console import (
    BackendOption,
    JsonOption,
    LabelColoursOption,
    NetworkArgument,
    ReportOption,
    SchedulerOption,
    SeedOption,
    WhiteLevelOption,
    WorkersOption,
    config_names,
    out,
    print_json,
    print_table,
    print_white_levels,
    progress,
    say_shipped,
)
from loihi_unet.plural import counted

_UNITS = {"psnr": "psnr, dB"}

if TYPE_CHECKING:
    from loihi_unet.runs.evaluate_set import EvaluateConfig

data_app = typer.Typer(help="Data sets.", no_args_is_help=True)


def evaluate(
    network: NetworkArgument,
    data: Annotated[
        Path | None,
        typer.Option(help="Test pictures; default: scikit-image's (denoising)."),
    ] = None,
    task: Annotated[
        Literal["denoise", "segment", "restore", "classify"] | None,
        typer.Option(help="Must be the network's task; default: that."),
    ] = None,
    sigma: Annotated[
        float, typer.Option(help="Noise in gray levels (denoising).", min=0)
    ] = 25.0,
    seed: SeedOption = 0,
    backend: BackendOption = "torch",
    tile: Annotated[
        int, typer.Option(help="Longest side that is run in one piece.", min=1)
    ] = 1024,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="Score this U-Net too: run folder or model. Of your own network "
            "FILE.py:FUNCTION: how close it comes to that."
        ),
    ] = None,
    spiking: Annotated[
        Path | None,
        typer.Option(help="Score this float Spiking-UNet too: file or shipped name."),
    ] = None,
    white_level: WhiteLevelOption = None,
    label_colours: LabelColoursOption = None,
    results: Annotated[
        Path | None, typer.Option(help="JSON file of rows to add the result to.")
    ] = None,
    report: ReportOption = None,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="The pictures are frames of a video; sigma-delta neurons keep their "
            "state, and every frame is scored and counted.",
        ),
    ] = False,
    budget: Annotated[
        float | None,
        typer.Option(
            help="With --stream: search each layer's delta threshold; all together "
            "cost no more quality (dB of PSNR, or F1).",
            min=0,
        ),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option("--out", help="With --budget: the network with them (.net)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score an integer network over a whole data set, on all cores or a cluster.

    Example: loihi-unet evaluate network.net --data Set12 --sigma 25

    On a cluster: loihi-unet evaluate network.net --data Set12 --scheduler
    tcp://10.0.0.1:8786
    """
    from loihi_unet.data.datasets import Reading
    from loihi_unet.errors import DataError
    from loihi_unet.runs.evaluate_own import evaluate_own, is_own
    from loihi_unet.runs.evaluate_set import EvaluateConfig, evaluate_set
    from loihi_unet.runs.hashes import hash_line
    from loihi_unet.runs.network_source import load_network
    from loihi_unet.runs.rows import add_row, read_rows

    settings = EvaluateConfig(
        data=data,
        task=task,
        sigma=sigma,
        seed=seed,
        backend=backend,
        tile=tile,
        checkpoint=checkpoint,
        spiking=spiking,
        reading=Reading(white_level=white_level, label_colours=label_colours),
    )
    if results is not None:
        read_rows(results)  # what could not be added to is said before the work
    say_shipped(network)
    command = shlex.join(["loihi-unet", *sys.argv[1:]])
    if stream:
        _evaluate_video(network, settings, command, budget, path, as_json)
        return
    if budget is not None or path is not None:
        raise DataError("--budget, --out: thresholds of a video, with --stream")
    loaded = load_network(network)
    if is_own(loaded):
        given = {"--report": report, "--scheduler": scheduler, "--workers": workers}
        _refuse_for_own(network, given)
        with progress(quiet=as_json) as bar:
            update = bar(f"{backend}, pictures")
            row = evaluate_own(
                network, loaded, settings, command=command, progress=update
            )
        if results is not None:
            add_row(results, row)
        _print_own(row, as_json)
        return
    with progress(quiet=as_json) as bar:
        evaluation = evaluate_set(
            network,
            settings,
            command=command,
            scheduler=scheduler,
            workers=workers,
            progress=bar(f"{backend}, pictures"),
        )
    row = evaluation.row
    if results is not None:
        add_row(results, row)
    if report is not None:
        from loihi_unet.report.evaluate import write_report

        write_report(report, evaluation)
    if as_json:
        noisy = {"noisy": evaluation.noisy} if evaluation.noisy else {}
        print_json(row | noisy | {"note": evaluation.note})
        return
    labels = {
        "noisy": "noisy input",
        "ann": "U-Net, float (ANN)",
        "snn": "Spiking-UNet, float",
        "chip": "integer network",
    }
    values = row | {"noisy": evaluation.noisy}
    scored = {label: values[key] for key, label in labels.items() if values[key]}
    names = list(row["chip"])
    rows = [[label, *(s[name] for name in names)] for label, s in scored.items()]
    noise = "" if row["sigma"] is None else f", sigma {row['sigma']:g}"
    if "noise" in row:
        camera = row["noise"]
        noise = f", gain {camera['gain']:g}, read noise {camera['read_noise']:g}"
    pictures = counted(row["pictures"], "picture")
    title = f"{row['data']}: {pictures}{noise}, T = {row['T']}"
    print_table(title, ["", *(_UNITS.get(name, name) for name in names)], rows)
    if "classes" in row:
        _print_classes(row["classes"])
    print_white_levels(row["white_levels"])
    _, height, width = evaluation.network.input.shape
    for line in (evaluation.note, hash_line(row, (height, width))):
        if line:
            out.print(line, soft_wrap=True)
    if report is not None:
        out.print(f"report in {report / 'report.html'}", soft_wrap=True)


def _evaluate_video(
    network: Path,
    settings: EvaluateConfig,
    command: str,
    budget: float | None,
    path: Path | None,
    as_json: bool,
) -> None:
    """Score every frame of a sequence, and count what it costs."""
    from loihi_unet.runs.evaluate_video import evaluate_video

    with progress(quiet=as_json) as bar:
        row = evaluate_video(
            network,
            settings,
            command=command,
            budget=budget,
            out=path,
            progress=bar("sequence"),
        )
    if as_json:
        print_json(row)
        return
    columns = list(row["frames"][0])
    cells = [[frame[name] for name in columns] for frame in row["frames"]]
    print_table(f"{row['data']}: {len(cells)} frames", columns, cells)
    measures = ", ".join(f"{k} {v:.4g}" for k, v in row["measures"].items())
    out.print(f"all frames: {measures}", soft_wrap=True)
    out.print(
        f"synaptic operations of a frame after the first: {row['operations_later']:.4g}"
    )
    if found := row["thresholds"]:
        out.print(
            f"thresholds searched on {found['frames']} frames: "
            f"{found['operations_at_zero']:.4g} operations without, "
            f"{found['operations_common']:.4g} with the same share for all layers, "
            f"{found['operations']:.4g} with a share for each",
            soft_wrap=True,
        )


def _refuse_for_own(network: Path, given: Mapping[str, object]) -> None:
    from loihi_unet.errors import ConfigError

    for option, value in given.items():
        if value is not None:
            raise ConfigError(f"{option}: not for {network}, of which no task is known")


def _print_own(row: dict[str, Any], as_json: bool) -> None:
    """Print how close a network comes to the module it is from."""
    if as_json:
        print_json(row)
        return
    labels = {"snn": "Spiking-UNet, float", "chip": "integer network (chip)"}
    scored = {label: row[key] for key, label in labels.items() if row[key] is not None}
    rows = [[label, *measures.values()] for label, measures in scored.items()]
    title = (
        f"{row['data']}: {row['pictures']} pictures, T = {row['T']}; against the float "
        f"network {row['module']}"
    )
    print_table(title, ["", "dB, range over error", "correlation"], rows)
    print_white_levels(row["white_levels"])


def _print_classes(classes: dict[str, Any]) -> None:
    """Print what the integer network made of each class."""
    table = classes["table"]
    rows = [["-" if v is None else v for v in one.values()] for one in table]
    print_table("each class, integer network", list(table[0]), rows)
    columns = ["true class", *classes["names"]]
    counts = zip(classes["names"], classes["confusion"], strict=True)
    rows = [[name, *row] for name, row in counts]
    print_table("confusion matrix: class found by column", columns, rows)


@data_app.command("init")
def init(
    path: Annotated[
        Path, typer.Argument(metavar="DATA", help="Folder of the data set.")
    ],
    target: Annotated[
        Path, typer.Option("--out", help="Configuration to write (TOML).")
    ] = Path("my.toml"),
    force: Annotated[
        bool, typer.Option(help="Write over a file that is there.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a folder and write the configuration that fits it, for you to check.

    Pictures and labels, pairs, a folder for each class, or pictures alone.

    Example: loihi-unet data init cells --out cells.toml
    """
    from export.files.atomic import write_text
    from loihi_unet.data.propose import proposal_toml, propose
    from loihi_unet.errors import DataError

    if target.exists() and not force:
        raise DataError(f"{target}: is there already; --force writes over it")
    proposal = propose(path)
    text = proposal_toml(path, proposal)
    write_text(target, text)
    if as_json:
        record = {"out": str(target), "config": proposal.table, "notes": proposal.notes}
        print_json(record)
        return
    for line in proposal.notes:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print(f"wrote {target}", highlight=False, markup=False, soft_wrap=True)


@data_app.command("check")
def check(
    path: Annotated[
        Path, typer.Argument(metavar="DATA", help="Folder of the data set.")
    ],
    config: Annotated[
        str | None,
        typer.Option(
            help="Configuration whose data set this is; default: a known layout.",
            autocompletion=config_names,
        ),
    ] = None,
    white_level: WhiteLevelOption = None,
    label_colours: LabelColoursOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which data set a folder holds, what was found, and all that is wrong.

    Exit code 0 if nothing is wrong, else 1.

    Example: loihi-unet data check DRIVE

    Your own: loihi-unet data check cells --config cells.toml
    """
    from loihi_unet.config import load_config
    from loihi_unet.data.check import check_data
    from loihi_unet.data.datasets import Reading

    reading = Reading(white_level=white_level, label_colours=label_colours)
    task = None if config is None else load_config(config).task
    report = check_data(path, reading, task)
    parts = {n: part for n, part in report.items() if n not in ("layout", "folder")}
    wrong = any(part["problems"] for part in parts.values())
    if as_json:
        print_json(report)
    else:
        _print_check(path, report, parts)
    raise typer.Exit(1 if wrong else 0)


def _print_check(path: Path, report: dict[str, Any], parts: dict[str, Any]) -> None:
    """Print what was found in each part, then all that is wrong with each."""
    rows = []
    for name, part in parts.items():
        sizes = ", ".join(f"{n} of {size}" for size, n in part["sizes"].items())
        shares = part.get("classes", {}).items()
        classes = ", ".join(f"{value}: {share:.2%}" for value, share in shares)
        rows.append([name, part["pictures"], sizes, classes])
    below = "" if report["folder"] == str(path) else f" in {report['folder']}"
    title = f"{path}: {report['layout']}{below}"
    print_table(title, ["part", "pictures", "sizes", "share of classes"], rows)
    for name, part in parts.items():
        print_white_levels(part["white_levels"])
        for kind in ("warning", "problem"):
            for line in part[f"{kind}s"]:
                out.print(
                    f"{name}: {kind}: {line}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
