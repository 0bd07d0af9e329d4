# SPDX-License-Identifier: BSD-3-Clause
"""The networks of a measurement, each made once and kept."""

import dataclasses
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.theta import settle
from loihi_unet.config import TrainConfig, load_config, parse_config
from loihi_unet.conversion.calibrate import calibrate
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.data.datasets import load_data
from loihi_unet.data.pictures import Picture, fingerprint, hold_out
from loihi_unet.files.checkpoint import Calibration, find_checkpoint, load_checkpoint
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.finetuning import state as finetune_state
from loihi_unet.finetuning.config import FinetuneConfig, FinetuneFiles
from loihi_unet.finetuning.fit import fit
from loihi_unet.networks.net import Net
from loihi_unet.reproduce.scales import Subject
from loihi_unet.reproduce.score import middle
from loihi_unet.reproduce.store import Store, folder_sha256
from loihi_unet.spiking.spiking_unet import Normalisation, SpikingUNet
from loihi_unet.tasks.make import make_task
from loihi_unet.training.state import RunFiles
from loihi_unet.training.train import train


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How a Spiking-UNet is made.

    Attributes
    ----------
    num_steps, num_thresholds, base_threshold, normalisation
        As in `loihi_unet.spiking.spiking_unet.SpikingUNet`. Scales are percentile 99.9,
        which the paper's code calls robust; no threshold is searched for.
    """

    num_steps: int
    num_thresholds: int = 4
    base_threshold: float = 0.25
    normalisation: Normalisation = "connection"


@functools.lru_cache(maxsize=8)
def _load(
    model: str, folder: Path, split: str, sha256: str
) -> tuple[tuple[Picture, ...], TrainConfig]:
    _, config = load_checkpoint(model)
    pictures = load_data(
        config.task,
        folder,
        config.model.in_channels,
        split,  # type: ignore[arg-type]
    )
    return tuple(pictures), config


class Networks:
    """Everything that is made from one subject.

    Parameters
    ----------
    subject : Subject
        Network and pictures.
    store : Store
        Where what was made lies.
    data_root : Path
        Folder of the data sets.
    """

    def __init__(self, subject: Subject, store: Store, data_root: Path) -> None:
        self.subject = subject
        self.store = store
        self.train_folder = data_root / subject.train
        self.test_folder = data_root / subject.test

    def settings(self) -> dict[str, Any]:
        """Return what decides the U-Net and the pictures, JSON values.

        Raises
        ------
        UserError
            If model, configuration or pictures cannot be found.
        """
        subject = self.subject
        if subject.trains:
            unet: Any = load_config(subject.model).model_dump(mode="json")
        else:
            file = find_checkpoint(subject.model)
            unet = hashlib.sha256(file.read_bytes()).hexdigest()
        return {
            "unet": unet,
            "train": folder_sha256(self.train_folder),
            "test": folder_sha256(self.test_folder),
        }

    def checkpoint(self) -> str:
        """Return the U-Net as `load_checkpoint` takes it, trained if it must be.

        A run that was stopped goes on from its last checkpoint.
        """
        if not self.subject.trains:
            return self.subject.model
        settings = {"kind": "train", **self.settings()}
        del settings["test"]
        run = self.store.path(settings, "")

        def measure() -> dict[str, Any]:
            config = load_config(self.subject.model)
            resume = RunFiles(run).last.exists()
            result = train(config, self.train_folder, run, resume)
            return {"best_score": result.best_score, "iterations": result.iterations}

        self.store.get(settings, measure)
        return str(run)

    def unet(self) -> tuple[Net, TrainConfig]:
        """Return the trained network and its settings."""
        return load_checkpoint(self.checkpoint())

    def pictures(self) -> list[Picture]:
        """Return what is measured on: the subject's pictures at its side."""
        return self.squares(self.subject.pictures, self.subject.side)

    def few(self) -> list[Picture]:
        """Return the subject's small set, for many steps."""
        return self.squares(self.subject.few, self.subject.few_side)

    def squares(self, count: int, side: int, multiple: int = 1) -> list[Picture]:
        """Return squares from the middle of the first test pictures.

        Parameters
        ----------
        count : int
            How many; 0 for all.
        side, multiple : int
            As in `loihi_unet.reproduce.score.middle`.

        Returns
        -------
        list[Picture]
            In the data set's order.
        """
        loaded, _ = _load(
            self.checkpoint(), self.test_folder, "test", folder_sha256(self.test_folder)
        )
        return [middle(picture, side, multiple) for picture in loaded[: count or None]]

    def converted(self, conversion: Conversion) -> SpikingUNet:
        """Return the U-Net as spikes, not fine-tuned."""
        model, config = self.unet()
        return spiking_unet(
            model,
            self._calibration(conversion.normalisation),
            num_steps=conversion.num_steps,
            num_thresholds=conversion.num_thresholds,
            base_threshold=conversion.base_threshold,
            provenance={"train": config.model_dump(mode="json")},
        )

    def _calibration(self, normalisation: Normalisation) -> Calibration:
        settings = {"kind": "scales", **self.settings(), "normalisation": normalisation}

        def measure() -> dict[str, Any]:
            model, config = self.unet()
            calibrated = calibrate(
                model, config, self._training(), normalisation=normalisation
            )
            return {"calibration": calibrated.model_dump(mode="json")}

        return Calibration(**self.store.get(settings, measure)["calibration"])

    def _training(self) -> list[Picture]:
        pictures, _ = _load(
            self.checkpoint(),
            self.train_folder,
            "train",
            folder_sha256(self.train_folder),
        )
        return list(pictures)

    def tuned(self, conversion: Conversion, finetune: FinetuneConfig) -> SpikingUNet:
        """Return the converted network after fine-tuning on its integers.

        As `loihi_unet.finetuning.finetune.finetune`, but held-out pictures are cut to
        the subject's side. A run that was stopped goes on.
        """
        self.tuning(conversion, finetune)
        return load_spiking_unet(self._tuned_files(conversion, finetune).out)

    def _tuned_files(
        self, conversion: Conversion, finetune: FinetuneConfig
    ) -> FinetuneFiles:
        settings = self._tuned_settings(conversion, finetune)
        return FinetuneFiles(self.store.path(settings, ".safetensors"))

    def _tuned_settings(
        self, conversion: Conversion, finetune: FinetuneConfig
    ) -> dict[str, Any]:
        return {
            "kind": "finetune",
            **self.settings(),
            **dataclasses.asdict(conversion),
            "finetune": _dump(finetune),
            "side": self.subject.side,
        }

    def tuning(
        self, conversion: Conversion, finetune: FinetuneConfig
    ) -> dict[str, Any]:
        """Fine-tune unless that was done, and return the run's scores and seconds."""
        files = self._tuned_files(conversion, finetune)

        def measure() -> dict[str, Any]:
            snn = settle(self.converted(conversion))
            _, config = self.unet()
            changes = finetune.model_dump(include={"batch_size", "patch_size", "seed"})
            config = parse_config(
                {**config.model_dump(), **changes}, where="fine-tuning"
            )
            pictures = self._training()
            training, held_out = hold_out(pictures, config.validation_images)
            held_out = [middle(p, self.subject.side) for p in held_out]
            run = {
                **_dump(finetune),
                "method": "flow",
                "data_sha256": fingerprint(pictures),
            }
            if files.last.exists():
                state = finetune_state.resume(files.last, run)
            else:
                state = finetune_state.begin(snn, finetune.learning_rate)
            fit(state, make_task(config, training, held_out), finetune, files, run)
            return {"scores": state.scores}

        return self.store.get(self._tuned_settings(conversion, finetune), measure)


def _dump(settings: FinetuneConfig) -> dict[str, Any]:
    """Settings as cells were stored with before there was a choice of method."""
    assert settings.method == "flow"
    return settings.model_dump(exclude={"method", "teacher", "prune", "quiet"})
