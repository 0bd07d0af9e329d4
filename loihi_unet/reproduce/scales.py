# SPDX-License-Identifier: BSD-3-Clause
"""What each scale measures, on how much."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from loihi_unet.finetuning.config import FinetuneConfig


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network and the pictures it is measured on.

    Attributes
    ----------
    model : str
        A shipped model or checkpoint; with `trains`, a configuration to train.
    trains : bool
        Whether the network is trained first.
    train, test : str
        Folders below the data root.
    sigma : float or None
        Noise in gray levels; None for segmentation.
    num_steps : int
        T that the paper gives for this data.
    pictures, side : int
        The first so many test pictures, and the side in pixels of the square in
        their middle that is run; 0 for all, and for whole pictures.
    few, few_side : int
        The same for the rows with `MANY_STEPS`.
    """

    model: str
    train: str
    test: str
    sigma: float | None
    num_steps: int
    trains: bool = False
    pictures: int = 12
    side: int = 128
    few: int = 4
    few_side: int = 64


class Contest(BaseModel):
    """Systems of equal width, trained for as long on the same pictures.

    Attributes
    ----------
    config : str
        Named configuration of the network of ReLUs.
    changes : dict[str, Any]
        Its settings that differ, by dotted key.
    direct, finetune : dict[str, Any]
        What differs where spiking neurons are trained: from random weights, and from
        the ANN's.
    flow : FinetuneConfig
        Fine-tuning on the converted network's integers.
    train, test : str
        Folders below the data root.
    num_steps : int
        T.
    sigmas : tuple[float, ...]
        Noise of the tests in gray levels; none for segmentation.
    pictures, side : int
        As in `Subject`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: str
    changes: dict[str, Any]
    direct: dict[str, Any]
    finetune: dict[str, Any]
    flow: FinetuneConfig
    train: str
    test: str
    num_steps: int
    sigmas: tuple[float, ...] = ()
    pictures: int = 0
    side: int = 0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """All that differs between a laptop and the paper.

    Attributes
    ----------
    name : str
        ``"laptop"`` or ``"paper"``.
    subjects : Mapping[str, Subject]
        By task.
    contests : Mapping[str, Contest]
        By name.
    ablation : tuple[str, ...]
        Subjects of the ablation, which is the slowest target.
    finetune : FinetuneConfig
        Length of a fine-tuning run.
    """

    name: str
    subjects: Mapping[str, Subject]
    contests: Mapping[str, Contest]
    ablation: tuple[str, ...]
    finetune: FinetuneConfig


#: T of an ablation's slow rows.
MANY_STEPS = 1000
#: Where every layer's spikes are kept: pictures, and side of the square in each.
SQUARES, SQUARE = 4, 128

_LAPTOP = {
    "denoise-gray": Subject(
        model="denoise-gray",
        train="BSDS500-train",
        test="Set12",
        sigma=25.0,
        num_steps=10,
    ),
    "denoise-colour": Subject(
        model="denoise-colour",
        train="BSDS500-train",
        test="CBSD68",
        sigma=25.0,
        num_steps=20,
    ),
    "segment-drive": Subject(
        model="segment-drive", train="DRIVE", test="DRIVE", sigma=None, num_steps=10
    ),
}

#: Networks of a laptop's contests: minutes for each system on one core.
_SMALL = {
    "batch_size": 4,
    "precision": "float32",
    "validation_images": 2,
    "warmup_iterations": 400,
}
_NARROW = {
    **_SMALL,
    "model.base_channels": 8,
    "model.levels": 3,
    "model.batch_norm": True,
}


def _lengths(iterations: int) -> dict[str, int]:
    """Validate in the middle and at the end."""
    return {"iterations": iterations, "validation_interval": -(-iterations // 2)}


def _laptop_denoises(config: str, test: str) -> Contest:
    return Contest(
        config=config,
        changes={**_NARROW, "patch_size": 48, **_lengths(8000)},
        direct=_lengths(2500),
        finetune=_lengths(1000),
        flow=FinetuneConfig(
            method="flow",
            iterations=600,
            batch_size=4,
            patch_size=48,
            validation_interval=300,
        ),
        train="BSDS500-train",
        test=test,
        num_steps=4,
        sigmas=(15, 25, 50),
        pictures=24,
        side=128,
    )


def _laptop_segments(config: str, folder: str, patch_size: int) -> Contest:
    return Contest(
        config=config,
        changes={**_NARROW, "patch_size": patch_size, **_lengths(3000)},
        direct=_lengths(1200),
        finetune=_lengths(500),
        flow=FinetuneConfig(
            method="flow",
            iterations=300,
            batch_size=4,
            patch_size=patch_size,
            validation_interval=150,
        ),
        train=folder,
        test=folder,
        num_steps=4,
        side=256,
    )


_LAPTOP_CONTESTS = {
    "denoise-gray": _laptop_denoises("denoise-gray", "BSD68"),
    "denoise-colour": _laptop_denoises("denoise-colour", "CBSD68"),
    "segment-drive": _laptop_segments("segment-drive", "DRIVE", 64),
    "segment-isbi2012": _laptop_segments("segment-isbi2012", "ISBI2012", 64),
    "segment-camseq01": _laptop_segments("segment-camseq01", "CamSeq01", 96),
    "denoise-spiden": Contest(
        config="denoise-spiden",
        changes={**_SMALL, **_lengths(8000)},
        direct=_lengths(4000),
        finetune=_lengths(1000),
        flow=FinetuneConfig(method="flow"),
        train="BSDS500-train",
        test="Set12",
        num_steps=4,
        sigmas=(25,),
        side=128,
    ),
}


#: Training data, test data and the paper's T.
_PAPER_SETS = {
    "denoise-gray": ("BSDS500-train", "BSD68", 10),
    "denoise-colour": ("BSDS500-train", "CBSD68", 20),
    "segment-drive": ("DRIVE", "DRIVE", 10),
    "segment-isbi2012": ("ISBI2012", "ISBI2012", 50),
    "segment-camseq01": ("CamSeq01", "CamSeq01", 20),
    "denoise-spiden": ("BSDS500-train", "Set12", 8),
}
_PAPER_SIGMAS = {
    "denoise-gray": (15.0, 25.0, 50.0),
    "denoise-colour": (15.0, 25.0, 50.0),
    "denoise-spiden": (25.0,),
}
#: All T steps of all layers are held for the way back.
_PAPER_BATCH = {"segment-isbi2012": 2, "segment-camseq01": 4}


def _paper_contest(name: str) -> Contest:
    train, test, num_steps = _PAPER_SETS[name]
    small = {"batch_size": _PAPER_BATCH[name]} if name in _PAPER_BATCH else {}
    return Contest(
        config=f"{name}-paper",
        changes={"model.batch_norm": True},
        direct=small,
        finetune={**small, "iterations": 20000},
        flow=FinetuneConfig(
            method="flow", iterations=2000, batch_size=16, validation_interval=200
        ),
        train=train,
        test=test,
        num_steps=num_steps,
        sigmas=_PAPER_SIGMAS.get(name, ()),
    )


_PAPER_CONTESTS = {name: _paper_contest(name) for name in _PAPER_SETS}

#: The paper's test set where the laptop takes a smaller one.
_PAPER_TEST = {"denoise-gray": "BSD68"}

SCALES = {
    "laptop": Scale(
        name="laptop",
        subjects=_LAPTOP,
        contests=_LAPTOP_CONTESTS,
        ablation=("denoise-gray", "segment-drive"),
        finetune=FinetuneConfig(
            method="flow", iterations=60, batch_size=4, validation_interval=30
        ),
    ),
    "paper": Scale(
        name="paper",
        subjects={
            name: replace(
                subject,
                model=f"{name}-paper",
                trains=True,
                test=_PAPER_TEST.get(name, subject.test),
                pictures=0,
                side=0,
                few=12,
                few_side=128,
            )
            for name, subject in _LAPTOP.items()
        },
        contests=_PAPER_CONTESTS,
        ablation=("denoise-gray", "segment-drive"),
        finetune=FinetuneConfig(
            method="flow", iterations=2000, batch_size=16, validation_interval=200
        ),
    ),
}
