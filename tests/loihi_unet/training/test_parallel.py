# SPDX-License-Identifier: BSD-3-Clause
"""Two processes give what one gives, to float tolerance."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed

from loihi_unet.config import config_toml
from loihi_unet.errors import ConfigError
from loihi_unet.files.checkpoint import read_checkpoint
from loihi_unet.training.parallel import is_first, process_group, shard
from loihi_unet.training.train import train

ROOT = Path(__file__).parents[3]


def torchrun(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # The name: a machine's own may not resolve.
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2")
    return subprocess.run(
        [*launcher, "--master-addr=127.0.0.1", "--master-port=29531", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=250,
    )


def test_two_gloo_processes_give_the_result_of_one(tiny, folder, tmp_path):
    config = tiny.model_copy(update={"iterations": 4, "learning_rate": 1e-3})
    (tmp_path / "c.toml").write_text(config_toml(config), encoding="utf-8")
    train(config, folder, tmp_path / "one", device="cpu")
    done = torchrun(
        *("-m", "loihi_unet.cli.main", "train", "--config", tmp_path / "c.toml"),
        *("--data", folder, "--out", tmp_path / "two", "--json"),
    )
    assert done.returncode == 0, done.stderr
    one, two = (
        read_checkpoint(tmp_path / name / "checkpoints" / "last.safetensors")
        for name in ("one", "two")
    )
    assert two.record.iteration == 4
    moved = 0.0
    torch.manual_seed(0)
    for (name, a), b in zip(
        one.model.state_dict().items(), two.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4, msg=name)
        moved += float((a != b).sum())
    # Sums of halves round differently: equal bits would mean one process did it all.
    assert moved > 0
    assert one.record.measures["psnr"] == pytest.approx(
        two.record.measures["psnr"], abs=1e-3
    )


def test_a_batch_that_cannot_be_halved_is_an_error(monkeypatch):
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    assert shard(torch.arange(4)).tolist() == [2, 3]
    with pytest.raises(ConfigError, match="batch_size 3: allowed are multiples of 2"):
        shard(torch.arange(3))


@pytest.mark.slow
def test_both_processes_end_where_one_cannot_go_on(tiny, folder, tmp_path):
    config = tiny.model_copy(update={"batch_size": 3})
    (tmp_path / "c.toml").write_text(config_toml(config), encoding="utf-8")
    done = torchrun(
        *("-m", "loihi_unet.cli.main", "train", "--config", tmp_path / "c.toml"),
        *("--data", folder, "--out", tmp_path / "two"),
    )
    assert done.returncode != 0
    assert "error: batch_size 3: allowed are multiples of 2" in done.stderr


def test_alone_everything_is_as_if_there_were_no_processes(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group("cpu") as device:
        assert device == torch.device("cpu")
        assert is_first()
        batch = torch.arange(6)
        assert shard(batch) is batch
