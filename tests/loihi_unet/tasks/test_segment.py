# SPDX-License-Identifier: BSD-3-Clause
"""Segmentation: labels travel with their crops, scores are what they say."""

import numpy as np
import pytest
import torch

from loihi_unet.config import SegmentConfig, TrainConfig, UNetConfig
from loihi_unet.data.pictures import VOID, Picture
from loihi_unet.tasks.judge import Judge
from loihi_unet.tasks.segment import classes_of
from loihi_unet.tasks.segment_task import SegmentTask


def config(dataset="drive", **settings):
    task = SegmentConfig(dataset=dataset)
    outputs = 1 if task.classes == 2 else task.classes
    return TrainConfig(
        model=UNetConfig(
            in_channels=task.channels,
            out_channels=outputs,
            base_channels=2,
            levels=1,
            residual=False,
        ),
        task=task,
        loss="cross_entropy",
        patch_size=8,
        batch_size=32,
        **settings,
    )


def picture(seed=0, classes=2, channels=1, size=(20, 17)):
    """The label is the pixel modulo the classes, so crops can be checked."""
    pixels = np.random.default_rng(seed).integers(0, 256, (channels, *size), np.uint8)
    return Picture(name=f"{seed}", pixels=pixels, label=pixels[0] % classes)


def test_label_stays_with_its_pixels():
    settings = config("drive")
    item = picture(classes=settings.task.classes, channels=settings.task.channels)
    task = SegmentTask(settings, [item], [])
    x, target = task.batch(3)
    assert x.shape == (32, settings.task.channels, 8, 8)
    assert target.dtype == torch.int64
    levels = torch.round(x[:, 0] * 255).long()
    assert torch.equal(levels % settings.task.classes, target)
    again, _ = SegmentTask(settings, [item], []).batch(3)
    assert torch.equal(x, again)


def test_street_scenes_are_not_turned():
    ramp = np.tile(10 * np.arange(20, dtype=np.uint8)[:, None], (3, 1, 20))
    item = Picture(name="ramp", pixels=ramp, label=ramp[0] % 11)
    x, _ = SegmentTask(config("camseq01"), [item], []).batch(0)
    assert (x.diff(dim=2) >= 0).all()
    assert (x[:, :, 7] > x[:, :, 0]).all()
    gray = Picture(name="ramp", pixels=ramp[:1], label=ramp[0] % 2)
    x, _ = SegmentTask(config("drive"), [gray], []).batch(0)
    assert (x.diff(dim=2) < 0).any()


def test_losses_are_the_textbook_ones():
    binary = SegmentTask(config(), [], [])
    output = torch.tensor([[[[2.0, -1.0]]]])
    target = torch.tensor([[[1, 0]]])
    expected = (np.log1p(np.exp(-2)) + np.log1p(np.exp(-1))) / 2
    assert binary.loss(output, target).item() == pytest.approx(expected)
    several = SegmentTask(config("camseq01"), [], [])
    output = torch.zeros(1, 11, 1, 2)
    target = torch.tensor([[[4, VOID]]])
    assert several.loss(output, target).item() == pytest.approx(np.log(11))


def test_classes():
    assert classes_of(np.array([[[-1.0, 0.0, 1e-3]]], np.float32)).tolist() == [
        [0, 0, 1]
    ]
    logits = np.array([[[0, 3]], [[1, 3]], [[0.5, 2]]], np.float32)
    assert classes_of(logits).tolist() == [[1, 0]]


def _constant(value):
    return lambda x: torch.full_like(x[:, :1], value)


def test_binary_scores_by_hand():
    """All called vessel: precision is the share, recall 1."""
    label = np.zeros((4, 4), np.uint8)
    label[0] = 1
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    pixels = np.zeros((1, 4, 4), np.uint8)
    item = Picture(name="a", pixels=pixels, label=label, mask=mask)
    task = SegmentConfig(dataset="drive")
    scores = Judge(task=task).score(_constant(1.0), [item], multiple=1)
    assert scores == pytest.approx(
        {
            "f1": 0.4,
            "jaccard": 0.25,
            "accuracy": 0.25,
            "f1_fov": 2 / 3,
            "jaccard_fov": 0.5,
            "accuracy_fov": 0.5,
        }
    )
    task = SegmentConfig(dataset="isbi2012")
    scores = Judge(task=task).score(_constant(-1.0), [item], multiple=1)
    assert scores["f1"] == 0
    assert scores["f1_membrane"] == pytest.approx(2 * 12 / (12 + 16))


def test_mean_iou_by_hand_without_void():
    label = np.array([[0, 0, 1, VOID]], np.uint8)
    item = Picture(name="a", pixels=np.zeros((3, 1, 4), np.uint8), label=label)

    def network(x):
        output = torch.zeros(1, 11, *x.shape[2:])
        output[:, 0] = 1
        return output

    task = SegmentConfig(dataset="camseq01")
    scores = Judge(task=task).score(network, [item], multiple=1)
    assert scores["accuracy"] == pytest.approx(2 / 3)
    # IoU 2/3 of class 0 and 0 of class 1; classes that never occur do not count.
    assert scores["miou"] == pytest.approx((2 / 3 + 0) / 2)


def test_validation_scores_and_panel():
    settings = config()
    item = picture()
    mask = np.ones(item.label.shape, bool)
    item = Picture(name="a", pixels=item.pixels, label=item.label, mask=mask)
    result = SegmentTask(settings, [item], [item]).validate(
        _constant(1.0), torch.device("cpu")
    )
    assert result.score == result.measures["f1_fov"] > 0
    assert result.panel.shape == (1, 20, 51)
    assert 0 <= result.panel.min() <= result.panel.max() <= 1
