# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tune a Spiking-UNet on the integers that go to the chip."""

import time
from dataclasses import dataclass
from pathlib import Path

from export.theta import settle
from loihi_unet.data.datasets import AS_STATED, Reading
from loihi_unet.data.pictures import fingerprint
from loihi_unet.data.white_level import records
from loihi_unet.errors import CheckpointError, ConfigError
from loihi_unet.files.spiking_file import load_spiking_unet, save_spiking_unet
from loihi_unet.finetuning import state as finetune_state
from loihi_unet.finetuning.config import FinetuneConfig, FinetuneFiles
from loihi_unet.finetuning.cost import Cost, cost
from loihi_unet.finetuning.crops import SIDE, on_crops
from loihi_unet.finetuning.fit import fit, score
from loihi_unet.finetuning.imitation import ImitationTask
from loihi_unet.finetuning.objective import find_task, load_teacher
from loihi_unet.finetuning.prune import firing_shares, prune
from loihi_unet.spiking.spiking_unet import SpikingUNet
from loihi_unet.tasks.baseline import baseline
from loihi_unet.tasks.crop_task import CropTask
from loihi_unet.tasks.make import Task
from loihi_unet.training.parallel import best_device

#: Score of a network that learns from a teacher.
IMITATED = "closeness to the teacher, dB"


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """What fine-tuning did.

    Attributes
    ----------
    before, after : float
        Score of the whole held-out pictures by the integer network: at the start, and
        of the best iteration, which was written.
    iteration : int
        The best one by the score during the run, which is of parts of large pictures
        (`loihi_unet.finetuning.crops.on_crops`); 0 if none was better than the start.
    measure : str
        What the score is, with its unit.
    cost_before, cost_after : Cost
        Of the network that was given, and of the one that was written, on training
        crops.
    seconds : float
        Wall-clock time.
    white_levels : list[dict[str, int]]
        As `loihi_unet.data.white_level.records`.
    """

    before: float
    after: float
    iteration: int
    measure: str
    cost_before: Cost
    cost_after: Cost
    seconds: float
    white_levels: list[dict[str, int]]


def finetune(
    source: str | Path,
    out: str | Path,
    data: str | Path | None,
    settings: FinetuneConfig,
    resume: bool = False,
    reading: Reading = AS_STATED,
) -> FinetuneResult:
    """Fine-tune a converted network and write the best iteration.

    By flow, thresholds and weight exponents stay as `export.theta.settle` chooses them
    at the start; they are written with the result. Through the steps thresholds are
    trained, and chosen anew for every pass. Either way the result exports to the very
    integers it was scored with.

    Parameters
    ----------
    source : str or Path
        File written by the conversion, or by fine-tuning; or the name of a network
        that comes with the package.
    out : str or Path
        File to write; `loihi_unet.finetuning.config.FinetuneFiles` says what lies
        beside it.
    data : str, Path or None
        Pictures to train on, as in `loihi_unet.training.train.train`.
    settings : FinetuneConfig
        Everything else.
    resume : bool
        Go on from the run's last state: with the same number of threads, the result
        has the same bits as that of a run that never stopped.
    reading : Reading
        How files are understood; no white level means that of the training.

    Returns
    -------
    FinetuneResult
        Scores before and after.

    Raises
    ------
    CheckpointError
        If the source cannot be read, or there is nothing to resume, or a run of
        other settings, or there is a run already.
    DataError
        If pictures cannot be read or are too few or too small.
    ConversionError
        If the file does not say how its network was trained, or the loss is no longer
        finite.
    OverflowLayerError
        If a potential leaves 24 bits signed.
    """
    started = time.monotonic()
    out, data = Path(out), None if data is None else Path(data)
    snn = load_spiking_unet(source)
    if settings.method == "flow":
        snn = settle(snn)
        if settings.quiet:
            raise ConfigError("quiet: spikes are trained away through the steps only")
    teacher = None
    if settings.teacher is not None:
        teacher = load_teacher(settings.teacher, snn, best_device())
    task, pictures = find_task(snn, settings, data, teacher, reading, where=str(source))
    white_levels = records(pictures.levels)
    if isinstance(task, ImitationTask):
        teacher = None  # it is in the targets
    quick = on_crops(task)
    run = {
        **settings.model_dump(),
        "data_sha256": fingerprint(pictures),
        "weights_sha256": snn.provenance.get("weights_sha256"),
        "T": snn.num_steps,
        "N": snn.num_thresholds,
        **({"white_levels": white_levels} if white_levels else {}),
        **({} if quick is task else {"validation_side": SIDE}),
    }
    files = FinetuneFiles(out)
    if resume:
        if not out.is_file():
            raise CheckpointError(f"{out}: no such file; nothing to resume")
        state = finetune_state.resume(files.last, run)
    elif files.last.exists():
        raise CheckpointError(
            f"{files.last}: a run is there already; resume it or name another file"
        )
    else:
        begun = _pruned(snn, task, settings)
        state = finetune_state.begin(begun, settings.learning_rate, settings.method)
    state.keep_last = settings.quiet > 0
    fit(state, quick, settings, files, run, teacher)
    before, after = state.scores[0], state.scores[state.best]
    if quick is not task:
        tuned = load_spiking_unet(out)
        before = score(_pruned(snn, task, settings), task)
        after = score(tuned, task) if state.best else before
        record = tuned.provenance["finetune"]
        record |= {"score_before": before, "score": after}
        save_spiking_unet(out, tuned)
    measure = baseline(task).measure if isinstance(task, CropTask) else IMITATED
    return FinetuneResult(
        measure=measure,
        before=before,
        after=after,
        iteration=state.best,
        cost_before=cost(snn, task),
        cost_after=cost(load_spiking_unet(out), task),
        seconds=time.monotonic() - started,
        white_levels=white_levels,
    )


def _pruned(snn: SpikingUNet, task: Task, settings: FinetuneConfig) -> SpikingUNet:
    """Return what a run begins with."""
    if settings.prune is None:
        return snn
    return prune(snn, firing_shares(snn, task, best_device()), settings.prune)
