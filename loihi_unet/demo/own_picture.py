# SPDX-License-Identifier: BSD-3-Clause
"""The demo of one's own networks: a test picture of one's own data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from typing_extensions import assert_never

from loihi_unet.config import (
    ClassifyConfig,
    DenoiseConfig,
    RestoreConfig,
    SegmentConfig,
    TrainConfig,
)
from loihi_unet.data.crops import pad_to_multiple
from loihi_unet.data.datasets import Reading, load_data
from loihi_unet.data.pictures import VOID
from loihi_unet.demo.subject import Pixels, Shown, minus_ann
from loihi_unet.report.head import MEASURES
from loihi_unet.report.overlay import class_map
from loihi_unet.tasks.classify import class_of
from loihi_unet.tasks.judge import Judge
from loihi_unet.tasks.metrics import quality
from loihi_unet.tasks.restore import shuffled, target_of
from loihi_unet.tasks.segment import classes_of


class OwnPicture:
    """The first test picture of a data set, and the networks trained for it.

    Parameters
    ----------
    checkpoint : str
        Run folder, checkpoint, or name of a shipped model.
    spiking : str
        What `convert` or `finetune` made of it.
    config : TrainConfig
        Of the checkpoint.
    data : Path or None
        Folder of the data set.
    """

    def __init__(
        self, checkpoint: str, spiking: str, config: TrainConfig, data: Path | None
    ) -> None:
        self.model = checkpoint
        self.spiking = spiking
        self.task = config.task
        self.multiple = config.model.multiple
        reading = Reading(white_level=config.white_level)
        channels = config.model.in_channels
        pictures = load_data(config.task, data, channels, "test", reading)
        self.picture = pictures[0]
        self.judge = Judge(task=config.task)
        # Crops for the backends are cut out of it, so it has the networks' size.
        pixels = self.judge.shown(self.picture, 0)
        self.size = pixels.shape[1:]
        self.pixels: Pixels = pad_to_multiple(pixels, self.multiple)
        self.corners: tuple[tuple[int, int], ...] = ((0, 0),)
        self.title = self.picture.name
        self.settings: dict[str, Any] = {"photograph": self.picture.name}
        if isinstance(self.task, ClassifyConfig):
            self.settings["class"] = self.task.folders.classes[class_of(self.picture)]

    def _cut(self, output: Pixels) -> Pixels:
        height, width = self.size
        return output[:, :height, :width]

    def scores(self, outputs: Mapping[str, Pixels]) -> dict[str, float]:
        """What `evaluate` says of this picture, of every output."""
        scores: dict[str, float] = {}
        for key, output in outputs.items():
            values = self._measures(self._cut(output))
            scores |= {f"{key}_{name}": value for name, value in values.items()}
        if self.task.kind == "denoise":
            noisy = quality(self.picture.pixels, self._cut(self.pixels))
            scores |= {f"noisy_{name}": v for name, v in noisy._asdict().items()}
        return scores

    def _measures(self, output: Pixels) -> dict[str, float]:
        given = torch.from_numpy(np.ascontiguousarray(output) / np.float32(255))[None]
        one = self.judge.judge(lambda _: given, self.picture, 0, multiple=1)
        values = self.judge.measures([one])
        return {name: value for name, value in values.items() if name in MEASURES}

    def pictures(self, outputs: Mapping[str, Pixels]) -> dict[str, Shown]:
        """Input, what each network made of it, and the truth."""
        given = self._cut(self.pixels)
        shown = {key: self._shown(self._cut(x)) for key, x in outputs.items()}
        ann, chip = shown["ann"], shown["chip"]
        panels = {"input": Shown("input", given)}
        if not isinstance(self.task, ClassifyConfig):
            panels |= {
                "ann": Shown("float ANN", ann),
                "chip": Shown("integer network", chip),
                "clean": Shown("truth", self._truth()),
                "difference": self._difference(ann, chip),
            }
        return panels

    def _difference(self, ann: Pixels, chip: Pixels) -> Shown:
        if isinstance(self.task, SegmentConfig):
            unequal = (ann != chip).any(axis=0, keepdims=True)
            title = "white: integer network and ANN differ"
            return Shown(title, 255 * unequal.astype(np.float32))
        return minus_ann(chip, ann)

    def _shown(self, output: Pixels) -> Pixels:
        match self.task:
            case SegmentConfig():
                classes = classes_of(output)
                return class_map(classes, self.task.classes).astype(np.float32)
            case RestoreConfig():
                batch = torch.from_numpy(np.ascontiguousarray(output))[None]
                scale, channels = self.task.scale, self.task.channels
                return np.asarray(shuffled(batch, scale, channels)[0], np.float32)
            case DenoiseConfig() | ClassifyConfig():
                return output
            case _:
                assert_never(self.task)

    def _truth(self) -> Pixels:
        match self.task:
            case SegmentConfig():
                assert self.picture.label is not None  # of a labelled set
                label = self.picture.label.astype(np.int64)
                if self.task.classes == 2:
                    label = np.where(label == VOID, 0, label)
                return class_map(label, self.task.classes).astype(np.float32)
            case RestoreConfig():
                return target_of(self.picture).astype(np.float32)
            case DenoiseConfig() | ClassifyConfig():
                return self.picture.pixels.astype(np.float32)
            case _:
                assert_never(self.task)

    def psnr(self, output: Pixels, window: tuple[slice, ...]) -> float | None:
        """None: crops reach beyond the picture."""
        return None
