# SPDX-License-Identifier: BSD-3-Clause
"""What runs where Linux's and POSIX's calls are missing: macOS and Windows.

A child process stands for the machine that is not here: `sitecustomize` in this folder
takes the calls away, in its worker processes as well.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from export.netx import write_network
from sim.selftest import small_network
from sim.sweeps import local_pool, resources

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def elsewhere(code, *, folder):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(HERE), str(ROOT)]),
        "LOIHI_UNET_TEST_SYSTEM": "other",
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


LACKING = """
import os, signal
for name, attempt in {
    "affinity": lambda: os.sched_getaffinity(0),
    "mask": lambda: signal.pthread_sigmask(0, ()),
    "fork": lambda: os.register_at_fork(),
    "resource": lambda: __import__("resource"),
    "fsync": lambda: os.fsync(os.open(".", os.O_RDONLY)),
}.items():
    try:
        attempt()
    except (AttributeError, ImportError, OSError) as error:
        print(name, type(error).__name__)
"""


def test_the_other_system_lacks_them(tmp_path):
    assert elsewhere(LACKING, folder=tmp_path).stdout.splitlines() == [
        "affinity AttributeError",
        "mask AttributeError",
        "fork AttributeError",
        "resource ModuleNotFoundError",
        "fsync OSError",
    ]


MODULES = """
import importlib, pkgutil
import export, loihi_unet, sim
count = 0
for package in (loihi_unet, export, sim):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if "__main__" in found.name:
            continue
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            if error.name.partition(".")[0] != "lava":
                raise
        count += 1
print(count)
"""


def test_every_module_can_be_imported(tmp_path):
    done = elsewhere(MODULES, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 150


# Under a guard, as spawned workers import the main module of a script. One command
# after the other in one process: each start of torch takes seconds.
COMMANDS = """
import json, sys
from pathlib import Path

def run(*arguments):
    from loihi_unet.cli.main import main

    sys.argv = ["loihi-unet", *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0

if __name__ == "__main__":
    small = ("--set", "iterations=2", "--set", "batch_size=2", "--set",
             "model.base_channels=2", "--set", "model.levels=2", "--set",
             "validation_interval=2", "--set", "patch_size=16")
    codes = {
        "train": run("train", "--data", "pictures", "--out", "run", *small),
        "resume": run("train", "--data", "pictures", "--out", "run", *small[2:],
                      "--set", "iterations=2", "--resume"),
        "torch": run("simulate", "a.net", "a.png", "--out", "t.h5"),
        "again": run("simulate", "a.net", "a.png", "--out", "t.h5"),
        "reference": run("simulate", "a.net", "a.png", "--out", "r.h5",
                         "--backend", "reference"),
        "verify": run("verify", "t.h5", "r.h5"),
        "workers": run("verify", "a.net", "two", "--backend", "torch", "--backend",
                       "reference", "--workers", "2"),
        "lava": run("simulate", "a.net", "a.png", "--out", "l.h5", "--backend",
                    "lava"),
    }
    Path("codes.json").write_text(json.dumps(codes))
"""


def test_train_simulate_and_verify(tmp_path):
    write_network(small_network(), tmp_path / "a.net")
    random = np.random.default_rng(0)
    for folder, count in (("pictures", 6), ("two", 2)):
        (tmp_path / folder).mkdir()
        for index in range(count):
            pixels = random.integers(0, 256, (20, 16), np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{index}.png")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "commands.py").write_text(COMMANDS)
    code = "import runpy; runpy.run_path('commands.py', run_name='__main__')"
    done = elsewhere(code, folder=tmp_path)
    assert (tmp_path / "codes.json").is_file(), done.stderr
    codes = json.loads((tmp_path / "codes.json").read_text())
    assert codes == dict.fromkeys(codes, 0) | {"lava": 2}, done.stderr
    lines = done.stderr.splitlines()
    assert [line for line in lines if "fork" in line] == [
        "error: backend 'lava': needs a system that can fork (Linux, macOS); the "
        "backends reference, torch and cuda need none"
    ]


def test_cores_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert resources.usable_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert resources.usable_cores() == 1


def test_windows_waits_for_61_processes_at_most():
    assert (local_pool.MOST_WORKERS == 61) is (sys.platform == "win32")
