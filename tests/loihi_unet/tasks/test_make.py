# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
import torch

from loihi_unet.data.pictures import hold_out, load_pictures
from loihi_unet.seeds import Purpose
from loihi_unet.tasks.denoise_task import DenoiseTask


@pytest.fixture
def task(tiny, folder):
    return DenoiseTask(tiny, *hold_out(load_pictures(folder, 1), 2))


def test_a_batch_is_a_function_of_its_index(task, tiny, folder):
    again = DenoiseTask(tiny, *hold_out(load_pictures(folder, 1), 2))
    task.batch(0)
    for one, other in zip(task.batch(7), again.batch(7), strict=True):
        assert torch.equal(one, other)
    assert len({task.batch(index)[0].numpy().tobytes() for index in range(20)}) == 20
    assert not torch.equal(task.batch(7)[0], task.batch(7, Purpose.CALIBRATION)[0])


def test_a_batch_is_gray_levels_over_255(task):
    noisy, clean = task.batch(0)
    assert noisy.shape == clean.shape == (4, 1, 16, 16)
    assert noisy.dtype == clean.dtype == torch.float32
    assert (clean * 255 - (clean * 255).round()).abs().max() < 1e-4
    assert (noisy * 255 - (noisy * 255).round()).abs().max() < 1e-4
    # 1024 values: five standard errors of the deviation.
    assert ((noisy - clean) * 255).std() == pytest.approx(25, abs=5 * 25 / 2048**0.5)


def test_sigma_is_drawn_between_its_ends(tiny, folder):
    wide = tiny.model_copy(
        update={
            "batch_size": 64,
            "task": tiny.task.model_copy(update={"sigma_min": 0.0, "sigma_max": 50.0}),
        }
    )
    noisy, clean = DenoiseTask(wide, load_pictures(folder, 1), []).batch(0)
    sigmas = ((noisy - clean) * 255).std(dim=(1, 2, 3))
    assert sigmas.min() < 10
    assert 40 < sigmas.max() < 50 * 1.2


@pytest.mark.parametrize(("name", "value"), [("l1", 2.0), ("l2", 5.0)])
def test_losses_by_hand(task, tiny, name, value):
    task.config = tiny.model_copy(update={"loss": name})
    output, target = torch.tensor([0.0, 3.0]), torch.tensor([1.0, 0.0])
    assert task.loss(output, target).item() == value


def test_validation_scores_held_out_pictures_and_shows_one(task):
    result = task.validate(lambda x: x, torch.device("cpu"))
    assert result.score == result.measures["psnr"] == pytest.approx(20.2, abs=0.7)
    height, width = task.validation[0].pixels.shape[1:]
    assert result.panel.shape == (1, height, 3 * width)
    clean = (result.panel[:, :, 2 * width :] * 255).round().numpy().astype(np.uint8)
    assert np.array_equal(clean, task.validation[0].pixels)
