# SPDX-License-Identifier: BSD-3-Clause
"""Restoration, classification, camera noise and class weights."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from loihi_unet.config import TrainConfig
from loihi_unet.data.crops import add_camera_noise
from loihi_unet.data.pictures import VOID, Picture
from loihi_unet.tasks.classify import find_class, top1
from loihi_unet.tasks.classify_task import ClassifyTask
from loihi_unet.tasks.denoise_task import DenoiseTask
from loihi_unet.tasks.judge import Judge
from loihi_unet.tasks.restore import restored, shuffled
from loihi_unet.tasks.restore_task import RestoreTask
from loihi_unet.tasks.segment_task import SegmentTask

LAST = {"by": "last", "test": 1}


def config(task, outputs, loss="cross_entropy", **settings):
    model = {"out_channels": outputs, "levels": 1, "residual": False}
    return TrainConfig.model_validate(
        {
            "model": model | {"base_channels": 2},
            "task": task,
            "loss": loss,
            "patch_size": 8,
            "batch_size": 16,
            **settings,
        }
    )


def pairs(scale):
    folders = {"split": LAST}
    task = {"kind": "restore", "scale": scale, "folders": folders}
    return config(task, scale**2, "l2")


def classes(**changes):
    folders = {"images": ".", "classes": ["a", "b"], "split": LAST, **changes}
    return config({"kind": "classify", "folders": folders}, 2)


def labels(names, **changes):
    folders = {"classes": names, "split": LAST, **changes}
    task = {"kind": "segment", "dataset": "folders", "folders": folders}
    return config(task, 1 if len(names) == 2 else len(names))


def ramp(seed, scale):
    """The target is the input's pixels, each `scale` times as wide and high."""
    pixels = np.random.default_rng(seed).integers(0, 256, (1, 20, 14), np.uint8)
    large = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    return Picture(name=f"{seed}", pixels=pixels, target=large)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_target_is_cut_and_turned_with_its_input(scale):
    settings = pairs(scale)
    task = RestoreTask(settings, [ramp(0, scale), ramp(1, scale)], [])
    x, target = task.batch(0)
    assert target.shape == (16, 1, 8 * scale, 8 * scale)
    large = functional.interpolate(x, scale_factor=scale)
    assert torch.equal(large, target)
    # A network that repeats its input has no loss, whether it shuffles or not.
    assert task.loss(x.repeat(1, scale**2, 1, 1), target) == 0
    assert task.loss(large, target) == 0


def test_a_pixel_shuffle_puts_outputs_in_place():
    given = torch.arange(8.0).reshape(1, 4, 1, 2)
    expected = torch.tensor([[[[0.0, 2, 1, 3], [4, 6, 5, 7]]]])
    assert torch.equal(shuffled(given, 2, 1), expected)


def test_restored_pictures_of_odd_sizes_are_scored():
    settings = pairs(2)
    item = ramp(3, 2)
    item = Picture(
        name="odd", pixels=item.pixels[:, :13, :11], target=item.target[:, :26, :22]
    )

    def repeat(x):
        assert x.shape[2] % 2 == x.shape[3] % 2 == 0
        return x.repeat(1, 4, 1, 1)

    output = restored(repeat, item, settings.task, multiple=4)
    np.testing.assert_allclose(output, item.target, atol=1e-4)
    judge = Judge(task=settings.task)
    assert judge.measures([judge.judge(repeat, item, 0, multiple=4)])["psnr"] > 90
    task = RestoreTask(settings, [], [item])
    validation = task.validate(repeat, torch.device("cpu"))
    assert validation.score > 90
    assert validation.panel.shape == (1, 26, 66)


def test_the_largest_mean_decides():
    item = Picture(name="a", pixels=np.zeros((1, 9, 9), np.uint8), number=1)
    maps = torch.zeros(1, 2, 10, 10)
    maps[0, 0, 0, 0] = 50  # the largest pixel is of class 0, the largest mean of 1
    maps[0, 1] = 0.6
    assert find_class(lambda _: maps, item, multiple=2) == 1
    assert find_class(lambda _: maps.flatten(2).mean(2), item, multiple=2) == 1
    task = classes().task
    judge = Judge(task=task)
    found = [judge.judge(lambda _: maps, item, 0, multiple=2)]
    other = Picture(name="b", pixels=item.pixels, number=0)
    found += [judge.judge(lambda _: maps, other, 1, multiple=2)] * 3
    assert top1(found) == {"top1": 0.25, "mean_recall": 0.5}
    assert judge.classes(found)["confusion"] == [[0, 3], [0, 1]]


def test_crops_have_the_class_of_their_picture():
    items = [
        Picture(name=f"{n}", pixels=np.full((1, 9, 9), n, np.uint8), number=n)
        for n in (0, 1)
    ]
    task = ClassifyTask(classes(class_weights="inverse"), items, [])
    x, target = task.batch(0)
    assert torch.equal((x[:, 0, 0, 0] * 255).round().long(), target)
    assert set(target.tolist()) == {0, 1}
    output = torch.tensor([[2.0, 0.0]])
    expected = np.log1p(np.exp(-2))
    assert task.loss(output, torch.tensor([0])).item() == pytest.approx(expected)


def label_picture(label):
    label = np.asarray(label, np.uint8)
    return Picture(name="a", pixels=np.zeros((1, *label.shape), np.uint8), label=label)


def test_two_classes_with_void_and_weights():
    item = label_picture([[0, 0, 0, 1] * 2] * 8)
    task = SegmentTask(labels(["a", "b"], class_weights="inverse"), [item], [])
    output = torch.tensor([[[[2.0, -1.0, 9.0]]]])
    target = torch.tensor([[[1, 0, VOID]]])
    losses = np.array([np.log1p(np.exp(-2)), np.log1p(np.exp(-1))])
    weights = np.array([3.0, 1.0])  # class 1 is three times as rare
    expected = (losses * weights).sum() / weights.sum()
    assert task.loss(output, target).item() == pytest.approx(expected)


def test_a_batch_of_void_alone_teaches_nothing():
    item = label_picture(np.full((8, 8), VOID))
    for names in (["a", "b"], ["a", "b", "c"]):
        task = SegmentTask(labels(names, ignore=[9]), [item], [])
        x, target = task.batch(0)
        outputs = 1 if len(names) == 2 else len(names)
        output = x.repeat(1, outputs, 1, 1).requires_grad_()
        loss = task.loss(output, target)
        loss.backward()
        assert loss == 0
        assert not output.grad.any()


def test_camera_noise_has_its_mean_and_variance():
    random = np.random.default_rng(0)
    for level, gain, read in ((40, 2.0, 3.0), (200, 0.5, 10.0)):
        clean = np.full((400, 400), level, np.uint8)
        noisy = add_camera_noise(clean, gain, read, random)
        assert (noisy == np.rint(noisy)).all()
        assert noisy.mean() == pytest.approx(level, rel=0.005)
        variance = gain * level + read**2 + 1 / 12  # of rounding
        assert noisy.var() == pytest.approx(variance, rel=0.02)


def test_a_denoiser_of_camera_noise():
    table = {"kind": "denoise", "noise": "poisson-gaussian", "gain": 4.0}
    settings = config(table | {"read_noise": 1.0}, 1, "l2")
    clean = Picture(name="a", pixels=np.full((1, 64, 64), 100, np.uint8))
    x, target = DenoiseTask(settings, [clean], []).batch(0)
    assert (target * 255).round().unique().tolist() == [100]
    assert (x * 255).var() == pytest.approx(401, rel=0.1)
    judge = Judge(task=settings.task)
    shown = judge.shown(clean, 0)
    assert shown.var() == pytest.approx(401, rel=0.1)
    assert not np.array_equal(shown, judge.shown(clean, 1))
    assert settings.model_dump()["task"]["gain"] == 4.0
