# SPDX-License-Identifier: BSD-3-Clause
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from loihi_unet.config import UNetConfig, config_toml, load_config
from loihi_unet.errors import CheckpointError, ConfigError, DataError
from loihi_unet.files.checkpoint import (
    find_checkpoint,
    load_checkpoint,
    read_checkpoint,
    weights_sha256,
)
from loihi_unet.files.tensors import read_tensors, write_tensors
from loihi_unet.training.train import learning_rate, train

# Stops itself as `kill -9` would, in the middle of iteration 5 of 6.
KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import torch
from loihi_unet.training import train as module
from loihi_unet.config import load_config

step = module.step

def step_or_die(state, task, config, network):
    if state.iteration == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(state, task, config, network)

module.step = step_or_die
config, data, out, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
module.train(load_config(config), Path(data), Path(out), device="cpu")
"""


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_killed_and_resumed_gives_the_same_bytes(tmp_path, folder, tiny, precision):
    config = tiny.model_copy(update={"precision": precision})
    (tmp_path / "config.toml").write_text(config_toml(config), encoding="utf-8")
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train(config, folder, whole, device="cpu")
    arguments = [str(tmp_path / "config.toml"), str(folder), str(parted)]
    # The same bits need the same number of threads; Dask leaves other numbers behind
    # in the environment.
    threads = str(torch.get_num_threads())
    job = [sys.executable, "-c", KILLED_RUN, *arguments, threads]
    killed = subprocess.run(job, check=False)
    assert killed.returncode == -signal.SIGKILL
    last = parted / "checkpoints" / "last.safetensors"
    assert read_checkpoint(last).record.iteration == 3
    result = train(config, folder, parted, resume=True, device="cpu")
    assert result.iterations == 6
    for name in ("last", "best"):
        file = f"checkpoints/{name}.safetensors"
        assert (parted / file).read_bytes() == (whole / file).read_bytes()


def test_a_resumed_run_remembers_its_best(tmp_path, folder, tiny):
    train(tiny, folder, tmp_path, device="cpu")
    last = tmp_path / "checkpoints" / "last.safetensors"
    best = last.with_name("best.safetensors").read_bytes()
    tensors, record = read_tensors(last)
    write_tensors(last, tensors, {**record, "iteration": 5, "best_score": 99.0})
    assert train(tiny, folder, tmp_path, resume=True, device="cpu").best_score == 99
    assert last.with_name("best.safetensors").read_bytes() == best


def test_a_run_leaves_its_settings_checkpoints_and_curves(trained, tiny):
    assert load_config(trained / "config.toml") == tiny
    record = read_checkpoint(trained / "checkpoints" / "last.safetensors").record
    assert (record.iteration, record.config) == (6, tiny)
    assert record.torch_version == torch.__version__
    assert record.best_score >= record.measures["psnr"]
    curves = EventAccumulator(str(trained / "tb")).Reload()
    assert [event.step for event in curves.Scalars("validation/psnr")] == [3, 6]
    assert curves.Scalars("validation/psnr")[1].value == pytest.approx(
        record.measures["psnr"], rel=1e-6
    )
    assert {"train/loss", "train/learning_rate"} <= set(curves.Tags()["scalars"])
    assert curves.Tags()["images"] == ["validation/panel"]


def test_training_denoises(tmp_path, folder, tiny):
    longer = tiny.model_copy(
        update={"iterations": 80, "validation_interval": 80, "learning_rate": 3e-3}
    )
    result = train(longer, folder, tmp_path / "run", device="cpu")
    # Noise of sigma 25 alone is 20.2 dB.
    assert result.best_score > 21.5
    assert result.best.is_file()


def test_the_seed_decides_the_weights_and_the_global_generator_is_left_alone(
    tmp_path, folder, tiny, trained
):
    one = tiny.model_copy(update={"iterations": 1})
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    results = [
        train(config, folder, tmp_path / name, device="cpu")
        for name, config in {
            "a": one,
            "b": one,
            "c": one.model_copy(update={"seed": 6}),
        }.items()
    ]
    assert torch.equal(torch.random.get_rng_state(), before)
    a, b, c = (load_checkpoint(result.last)[0].out.weight for result in results)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_learning_rate_is_half_a_cosine(tiny):
    config = tiny.model_copy(
        update={"iterations": 100, "learning_rate": 3.0, "final_learning_rate": 1.0}
    )
    rates = [learning_rate(config, index) for index in (0, 50, 100)]
    assert rates == pytest.approx([3.0, 2.0, 1.0])


def test_the_step_size_warms_up(tiny):
    config = tiny.model_copy(
        update={"iterations": 10**6, "learning_rate": 8.0, "warmup_iterations": 4}
    )
    rates = [learning_rate(config, index) for index in range(6)]
    assert rates == pytest.approx([2.0, 4.0, 6.0, 8.0, 8.0, 8.0])
    short = config.model_copy(update={"iterations": 20})
    assert learning_rate(short, 0) == pytest.approx(4.0)


def test_beginning_with_a_trained_network(tmp_path, tiny, folder, trained):
    config = tiny.model_copy(update={"iterations": 1, "learning_rate": 1e-20})
    result = train(config, folder, tmp_path / "a", init=trained, device="cpu")
    begun = read_checkpoint(result.last)
    start = load_checkpoint(trained)[0]
    assert torch.allclose(begun.model.out.weight, start.out.weight, atol=1e-6)
    assert begun.record.init_sha256 == weights_sha256(start)
    assert read_checkpoint(find_checkpoint(trained)).record.init_sha256 is None
    wider = tiny.model_copy(update={"model": UNetConfig(base_channels=4, levels=2)})
    with pytest.raises(CheckpointError, match=r"base_channels=3.* ask for .*=4"):
        train(wider, folder, tmp_path / "b", init=trained, device="cpu")
    assert not (tmp_path / "b").exists()


def test_a_run_is_not_overwritten(trained, tiny, folder):
    with pytest.raises(CheckpointError, match="tiny: already holds a run; resume it"):
        train(tiny, folder, trained, device="cpu")


def test_nothing_to_resume(tmp_path, tiny, folder):
    with pytest.raises(CheckpointError, match=r"last\.safetensors: no such file"):
        train(tiny, folder, tmp_path, resume=True, device="cpu")


def test_resuming_with_other_settings_or_pictures(trained, tiny, folder):
    other = tiny.model_copy(update={"iterations": 9})
    with pytest.raises(CheckpointError, match="iterations was 6, now 9; a run resumes"):
        train(other, folder, trained, resume=True, device="cpu")
    with pytest.raises(CheckpointError, match="the pictures are not those"):
        train(tiny, None, trained, resume=True, device="cpu")


def test_a_loss_that_is_no_number_stops_the_run(tmp_path, tiny, folder):
    wild = tiny.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(ConfigError, match=r"loss is (nan|inf); lower learning_rate \("):
        train(wild, folder, tmp_path, device="cpu")
    assert not (tmp_path / "checkpoints").exists()


def test_too_few_pictures(tmp_path, tiny, folder):
    with pytest.raises(DataError, match="1 pictures: cannot hold out 2"):
        train(tiny, folder / "picture7.png", tmp_path, device="cpu")


def test_a_picture_smaller_than_a_crop_is_said_before_the_first_iteration(
    tmp_path, folder, tiny
):
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    Image.new("L", (40, 12)).save(data / "small.png")
    with pytest.raises(
        DataError, match=r"small\.png: 40x12 pixels, a crop needs 16x16"
    ):
        train(tiny, data, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_the_white_level_is_part_of_the_run(tmp_path, tiny):
    data = tmp_path / "data"
    data.mkdir()
    for index in range(3):
        values = np.random.default_rng(index).integers(0, 4096, (20, 20))
        Image.fromarray(values.astype(np.uint16)).save(data / f"{index}.png")
    short = tiny.model_copy(update={"iterations": 1, "white_level": 4095})
    result = train(short, data, tmp_path / "run", device="cpu")
    assert result.white_levels[0]["white_level"] == 4095
    assert load_config(tmp_path / "run" / "config.toml").white_level == 4095
