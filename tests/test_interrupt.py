# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C: exit code 130, one line, and nothing left behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.lowering import lower
from export.netx import write_network
from loihi_unet.cli.main import main
from loihi_unet.files.checkpoint import read_checkpoint
from loihi_unet.files.spiking_file import load_spiking_unet

ROOT = Path(__file__).parents[1]
SECONDS = 200
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="counts in /proc and /dev/shm"
)

# Imported by every Python at its start: names that tell this run's shared memory from
# that of others, and a Ctrl-C in the middle of writing a file.
SITE = """
import os, signal
from multiprocessing import shared_memory
shared_memory._SHM_NAME_PREFIX = os.environ["PREFIX"]
if "AT_WRITE" in os.environ:
    os.fsync = lambda file: os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pictures, a converted network and its netx file."""
    place = tmp_path_factory.mktemp("place")
    (place / "pictures").mkdir()
    random = np.random.default_rng(0)
    for index in range(6):
        pixels = random.integers(0, 256, (160, 160), np.uint8)
        Image.fromarray(pixels).save(place / "pictures" / f"{index}.png")
    (place / "sitecustomize.py").write_text(SITE)
    small = ("model.base_channels=2", "model.levels=1", "patch_size=16")
    train = ("train", "--data", "pictures", "--out", "run", "--set", "iterations=1")
    commands = [
        (*train, *(x for setting in small for x in ("--set", setting))),
        ("convert", "run", "--data", "pictures", "--out", "snn.safetensors"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for command in commands:
            patch.setattr(sys, "argv", ["loihi-unet", *command])
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code
    write_network(
        lower(load_spiking_unet(place / "snn.safetensors"), 16, 16), place / "n.net"
    )
    return place


def _family(pid):
    """Processes of the session, without zombies."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it ended just now
            continue
        if int(fields[3]) == pid and fields[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def _started(path):
    return lambda pid, prefix: path.exists()


def _several(pid, prefix):
    return len(_family(pid)) > 2


def _shared(pid, prefix):
    # The runtime's processes and their channels.
    return len(_family(pid)) > 5 and len(_segments(prefix)) > 10


def _segments(prefix):
    return [n for n in os.listdir("/dev/shm") if n.startswith(prefix)]


def _long(name, out):
    """A command that lasts, what it leaves, and when to interrupt it."""
    run, data = out / "run", ("--data", "pictures")
    steps = ("--set", "iterations=1000000", "--set", "validation_interval=4")
    steps += ("--set", "model.base_channels=2", "--set", "patch_size=16")
    image = "pictures/0.png"
    return {
        "train": (
            ["train", *data, "--out", run, *steps],
            _started(run / "checkpoints" / "last.safetensors"),
        ),
        "finetune": (
            [
                *("finetune", "snn.safetensors", *data, "--iterations", "1000000"),
                *("--patch-size", "16", "--out", out / "t.safetensors"),
            ],
            _started(out / "t.safetensors.run"),
        ),
        "evaluate": (
            ["evaluate", "n.net", *data, "--backend", "reference", "--workers", "2"],
            _several,
        ),
        "export": (
            ["export", "snn.safetensors", "--out", out / "new.net"],
            None,
        ),
        "simulate": (
            [
                *("simulate", "n.net", *[image] * 60, "--backend", "lava"),
                *("--out", out / "r.h5"),
            ],
            _shared,
        ),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "train",
        "finetune",
        "evaluate",
        "export",
        pytest.param("simulate", marks=pytest.mark.lava),
    ],
)
def test_interrupted(place, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()
    # Lava's sockets lie there, whose paths may have 107 characters.
    temporary = Path(tempfile.mkdtemp())
    arguments, ready = _long(name, out)
    prefix = f"i{os.getpid()}{name[0]}"  # 10 characters are allowed
    process = subprocess.Popen(
        [sys.executable, "-m", "loihi_unet.cli.main", *map(str, arguments)],
        cwd=place,
        env={
            **os.environ,
            "PYTHONPATH": f"{place}:{ROOT}",
            "PREFIX": f"/{prefix}",
            "TMPDIR": str(temporary),
            **({"AT_WRITE": "1"} if ready is None else {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + SECONDS
    if ready is not None:
        while not ready(process.pid, prefix) and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    stdout, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, stderr
    assert stderr.strip() == "interrupted"
    assert stdout == ""
    while _family(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)  # Python's resource tracker ends after all others
    assert _family(process.pid) == []
    assert _segments(prefix) == []
    assert not [p for p in out.rglob("*") if p.name.startswith(".")]
    assert list(temporary.iterdir()) == []
    temporary.rmdir()
    if name == "train":  # what was written before can be taken up
        read_checkpoint(out / "run" / "checkpoints" / "last.safetensors")
    else:
        assert not [p for p in out.iterdir() if p.is_file()]
