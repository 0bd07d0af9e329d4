# SPDX-License-Identifier: BSD-3-Clause
"""Train, fine-tune and score the networks of docs/results.md on a GPU, in pieces.

    python benchmarks/gpu_training.py --data-root DIR --out runs/gpu --minutes 25

Every piece is a command of ``loihi-unet``, printed before it runs, in the order of
`JOBS`: 32 channels of everything, then 64 of the gray denoisers. Call it again until it
says that nothing is left; what is done is not done again, and a training that was
stopped goes on from its last score. Rows go to ``OUT/results.json``. Without CUDA it
refuses in one line; ``--device cpu`` is for trials of seconds (``--set iterations=4``).
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from export.errors import UserError
from export.files.atomic import write_text
from loihi_unet.finetuning.config import FinetuneFiles
from loihi_unet.training.state import RunFiles

#: The same for all trainings: long, in large batches, scored often enough that a piece
#: that ends loses minutes at most.
TRAINING = (
    *("iterations=200000", "batch_size=64", "learning_rate=1e-3"),
    *("validation_interval=2000", "seed=0"),
)
#: Seconds that a command has to write what it is writing, once it is told to stop.
GRACE = 60


@dataclass(frozen=True, kw_only=True)
class Job:
    """A network, and what is made of it.

    Attributes
    ----------
    name : str
        Its folder.
    config : str
        A configuration of the package.
    train, test : str
        Folders of the data root.
    sigmas : tuple of int or None
        Noise of the test pictures; None: no noise.
    variants : tuple of (int, int)
        T and N of the integer networks.
    settings : tuple of str
        Of this training besides `TRAINING`.
    widths : tuple of int
        Channels.
    patch : int
        Side of the crops that fine-tuning sees.
    """

    name: str
    config: str
    train: str
    test: tuple[str, ...]
    sigmas: tuple[int | None, ...] = (None,)
    variants: tuple[tuple[int, int], ...] = ((4, 4),)
    settings: tuple[str, ...] = ()
    widths: tuple[int, ...] = (32,)
    patch: int = 64


JOBS = (
    Job(
        name="gray",
        config="denoise-gray",
        train="BSDS500-train",
        test=("BSD68", "Set12"),
        sigmas=(15, 25, 50),
        variants=((4, 4), (1, 8)),
        settings=("patch_size=96",),
        widths=(32, 64),
    ),
    Job(
        name="colour",
        config="denoise-colour",
        train="BSDS500-train",
        test=("CBSD68",),
        sigmas=(15, 25, 50),
        variants=((4, 4), (1, 8)),
        settings=("patch_size=96",),
    ),
    Job(name="drive", config="segment-drive", train="DRIVE", test=("DRIVE",)),
    Job(name="em", config="segment-isbi2012", train="ISBI2012", test=("ISBI2012",)),
    Job(
        name="camseq01",
        config="segment-camseq01",
        train="CamSeq01",
        test=("CamSeq01",),
        settings=("batch_size=8",),
        patch=192,
    ),
    Job(
        name="gray25",
        config="denoise-gray25",
        train="BSDS500-train",
        test=("Set12", "BSD68"),
        sigmas=(25,),
        variants=((4, 4), (1, 8)),
        settings=("patch_size=96",),
        widths=(32, 64),
    ),
)


@dataclass(frozen=True)
class Options:
    """What the command line said.

    Attributes
    ----------
    data_root, out : Path
        Where the data sets' folders are; where everything goes.
    device : str
        ``"cuda"``, or ``"cpu"`` for trials.
    deadline : float
        Of `time.monotonic`, after which nothing begins or goes on.
    settings : tuple of str
        ``--set`` of every training, over the jobs' own.
    widths : tuple of int or None
        Channels, instead of the jobs' own.
    finetune : int
        Iterations of fine-tuning.
    """

    data_root: Path
    out: Path
    device: str = "cuda"
    deadline: float = float("inf")
    settings: tuple[str, ...] = ()
    widths: tuple[int, ...] | None = None
    finetune: int = 2000


@dataclass
class Piece:
    """A command and the mark that it is done.

    Attributes
    ----------
    mark : Path
        Written when it has ended well; holds the command.
    command : list of str
        Without the program's name.
    """

    mark: Path
    command: list[str] = field(default_factory=list)


def pieces(job: Job, width: int, options: Options) -> Iterator[Piece]:
    """Yield a job's commands in order, as they have to be called now.

    Parameters
    ----------
    job : Job
        What to make.
    width : int
        Channels.
    options : Options
        Folders and lengths.
    """
    folder = options.out / f"{job.name}-{width}"
    run, marks = folder / "unet", folder / "done"
    data = ["--data", str(options.data_root / job.train)]
    settings = [*TRAINING, *job.settings, f"model.base_channels={width}"]
    command = ["train", "--config", job.config, *data, "--out", str(run)]
    for setting in (*settings, *options.settings):
        command += ["--set", setting]
    if RunFiles(run).last.exists():
        command.append("--resume")
    yield Piece(marks / "train", command)
    for steps, number in job.variants:
        stem = f"t{steps}n{number}"
        snn, tuned = (folder / f"{stem}{end}.safetensors" for end in ("-snn", ""))
        counts = ["--steps", str(steps), "--thresholds", str(number)]
        command = ["convert", str(run), *counts, *data, "--out", str(snn)]
        yield Piece(marks / f"{stem}-convert", command)
        command = ["finetune", str(snn), *data, "--out", str(tuned)]
        command += ["--iterations", str(options.finetune)]
        command += ["--patch-size", str(job.patch)]
        # Two scores at least, however short.
        command += ["--validation-interval", str(max(1, options.finetune // 20))]
        if tuned.exists() and FinetuneFiles(tuned).last.exists():
            command.append("--resume")
        yield Piece(marks / f"{stem}-finetune", command)
        network = folder / f"{stem}.net"
        command = ["export", str(tuned), "--out", str(network)]
        yield Piece(marks / f"{stem}-export", command)
        yield from _scores(job, folder, network, snn, options)


def _scores(
    job: Job, folder: Path, network: Path, snn: Path, options: Options
) -> Iterator[Piece]:
    for test in job.test:
        for sigma in job.sigmas:
            noise = [] if sigma is None else ["--sigma", str(sigma)]
            command = ["evaluate", str(network), *noise]
            command += ["--data", str(options.data_root / test)]
            command += ["--checkpoint", str(folder / "unet"), "--spiking", str(snn)]
            # One process: a GPU is not shared out, and rows are added one by one.
            command += ["--workers", "1"]
            command += ["--backend", "cuda" if options.device == "cuda" else "torch"]
            command += ["--results", str(options.out / "results.json")]
            name = f"{network.stem}-{test}" + ("" if sigma is None else f"-{sigma}")
            yield Piece(folder / "done" / name, command)


def run(piece: Piece, options: Options) -> bool:
    """Run a command until it ends or time is up; whether it ended.

    Raises
    ------
    UserError
        If it failed: what it printed stands above.
    """
    line = shlex.join(["loihi-unet", *piece.command])
    print(line, flush=True)
    environment = dict(os.environ)
    if options.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    started = [sys.executable, "-m", "loihi_unet", *piece.command]
    with subprocess.Popen(started, env=environment) as process:
        left = options.deadline - time.monotonic()
        try:
            code = process.wait(None if left == float("inf") else max(left, 0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
            return False
    if code:
        raise UserError(f"{line}: exit code {code}")
    piece.mark.parent.mkdir(parents=True, exist_ok=True)
    write_text(piece.mark, line + "\n")
    return True


def work(jobs: Sequence[Job], options: Options) -> bool:
    """Do what is left until time is up; whether all is done.

    Parameters
    ----------
    jobs : sequence of Job
        In this order: the first width of all, then the next.
    options : Options
        Folders, lengths and deadline.
    """
    known = sorted({width for job in jobs for width in job.widths})
    for width in options.widths or known:
        for job in jobs:
            if options.widths is None and width not in job.widths:
                continue
            for piece in pieces(job, width, options):
                if piece.mark.exists():
                    continue
                if time.monotonic() >= options.deadline or not run(piece, options):
                    return False
    return True


def main() -> int:
    """Read the options and work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [job.name for job in JOBS]
    parser.add_argument("--data-root", type=Path, required=True, help="data sets")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--minutes", type=float, help="stop after; default: never")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--channels", nargs="+", type=int, help="default: 32, then 64")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--finetune-iterations", type=int, default=2000)
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        print(
            "gpu_training: no CUDA device found, one is needed; --device cpu is for "
            "trials of seconds",
            file=sys.stderr,
        )
        return 2
    minutes = float("inf") if given.minutes is None else given.minutes
    options = Options(
        data_root=given.data_root,
        out=given.out,
        device=given.device,
        deadline=time.monotonic() + 60 * minutes,
        settings=tuple(given.settings),
        widths=None if given.channels is None else tuple(given.channels),
        finetune=given.finetune_iterations,
    )
    try:
        done = work([job for job in JOBS if job.name in given.only], options)
    except UserError as error:
        print(f"gpu_training: {error}", file=sys.stderr)
        return 2
    print("nothing is left to do" if done else "time is up: call again to go on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
