# SPDX-License-Identifier: BSD-3-Clause
"""A scale of `loihi_unet.reproduce` that takes seconds."""

from loihi_unet.config import (
    DnCNNConfig,
    SegmentConfig,
    TrainConfig,
    UNetConfig,
    config_toml,
)
from loihi_unet.finetuning.config import FinetuneConfig
from loihi_unet.reproduce.scales import Contest, Scale, Subject
from loihi_unet.training.train import train

FINETUNE = FinetuneConfig(
    method="flow", iterations=2, batch_size=2, patch_size=16, validation_interval=1
)


def seconds_scale(tmp_path_factory, data_root, trained, tiny):
    """Make it; parameters are the fixtures of these names."""
    config = TrainConfig(
        model=UNetConfig(base_channels=2, levels=3, residual=False),
        task=SegmentConfig(),
        patch_size=16,
        batch_size=2,
        iterations=2,
        loss="cross_entropy",
        validation_images=1,
        validation_interval=2,
    )
    run = tmp_path_factory.mktemp("run") / "drive"
    train(config, data_root / "DRIVE", run, device="cpu")
    small = {"num_steps": 3, "pictures": 2, "side": 24, "few": 1, "few_side": 16}
    gray = Subject(
        model=str(trained), train="pictures", test="pictures", sigma=25.0, **small
    )
    drive = Subject(model=str(run), train="DRIVE", test="DRIVE", sigma=None, **small)
    subjects = {"denoise-gray": gray, "denoise-colour": gray, "segment-drive": drive}
    files = tmp_path_factory.mktemp("configs")
    dncnn = tiny.model_copy(update={"model": DnCNNConfig(base_channels=3, depth=4)})
    for name, settings in (("gray", tiny), ("drive", config), ("spiden", dncnn)):
        (files / f"{name}.toml").write_text(config_toml(settings))
    common = {
        "changes": {"iterations": 3, "validation_interval": 2},
        "direct": {"iterations": 2, "model.batch_norm": True},
        "finetune": {"iterations": 1},
        "flow": FINETUNE,
        "num_steps": 2,
        "pictures": 2,
        "side": 24,
    }
    denoise = {"train": "pictures", "test": "pictures", "sigmas": (15, 25, 50)}
    grays = Contest(config=str(files / "gray.toml"), **denoise, **common)
    drives = Contest(
        config=str(files / "drive.toml"), train="DRIVE", test="DRIVE", **common
    )
    spidens = Contest(
        config=str(files / "spiden.toml"), **{**denoise, "sigmas": (25,)}, **common
    )
    contests = {
        "denoise-gray": grays,
        "denoise-colour": grays,
        "segment-drive": drives,
        "denoise-spiden": spidens,
    }
    return Scale(
        name="laptop",
        subjects=subjects,
        contests=contests,
        ablation=("denoise-gray",),
        finetune=FINETUNE,
    )
