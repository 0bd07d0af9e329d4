# SPDX-License-Identifier: BSD-3-Clause
"""What each scale measures, on how much."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from loihi_unet.finetune import FinetuneConfig


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


@dataclass(frozen=True, kw_only=True)
class Scale:
    """All that differs between a laptop and the paper.

    Attributes
    ----------
    name : str
        ``"laptop"`` or ``"paper"``.
    subjects : Mapping[str, Subject]
        By task.
    ablation : tuple[str, ...]
        Subjects of the ablation, which is the slowest target.
    finetune : FinetuneConfig
        Length of a fine-tuning run.
    """

    name: str
    subjects: Mapping[str, Subject]
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

#: The paper's test set where the laptop takes a smaller one.
_PAPER_TEST = {"denoise-gray": "BSD68"}

SCALES = {
    "laptop": Scale(
        name="laptop",
        subjects=_LAPTOP,
        ablation=("denoise-gray",),
        finetune=FinetuneConfig(iterations=60, batch_size=4, validation_interval=30),
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
        ablation=("denoise-gray", "segment-drive"),
        finetune=FinetuneConfig(
            iterations=2000, batch_size=16, validation_interval=200
        ),
    ),
}
