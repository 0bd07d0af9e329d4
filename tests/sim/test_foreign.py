# SPDX-License-Identifier: BSD-3-Clause
"""Backends of other people: by module:Class, and by an entry point."""

import importlib.metadata
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from export.netx import write_network
from loihi_unet.cli.main import main
from sim import foreign
from sim.backend import BackendError, create, names
from sim.selftest import small_network

PAGE = Path(__file__).parents[2] / "docs" / "add-a-backend.md"
#: A backend that is off by one in one pixel, and one that records one layer.
MORE = """

class OffByOne(MyChip):
    def run(self, *arguments, **options):
        found = super().run(*arguments, **options)
        found.output[0, 0, 0, 0] += 1
        return found


class OneLayer(MyChip):
    def run(self, network, images, *, layers=None, progress=None):
        return super().run(network, images, layers=("down",))


class Nothing:
    pass


class Broken:
    def __init__(self):
        raise OSError("the board does not answer")


class Refuses:
    def __init__(self):
        from sim.errors import BackendError

        raise BackendError("board 3: no power; switch it on")
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in a folder with the page's example in it."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(example[example.index("class") :].splitlines()) <= 24
    (tmp_path / "my_chip.py").write_text(example + MORE)
    (tmp_path / "needy.py").write_text("import nothing_like_this\n")
    write_network(small_network(size=(16, 16)), tmp_path / "a.net")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
    from PIL import Image

    Image.fromarray(pixels).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for module in ("my_chip", "needy"):
        sys.modules.pop(module, None)


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["loihi-unet", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    captured = capsys.readouterr()
    return caught.value.code or 0, captured.out + captured.err


@pytest.mark.parametrize(
    ("backend", "code", "verdict"),
    [("MyChip", 0, "EXACT"), ("OffByOne", 1, "FAIL"), ("OneLayer", 1, "PARTIAL")],
)
def test_the_example_of_the_page(here, monkeypatch, capsys, backend, code, verdict):
    backends = ["--backend", "reference", "--backend", f"my_chip:{backend}"]
    found = call(monkeypatch, capsys, "verify", "a.net", "a.png", *backends)
    assert found[0] == code
    assert verdict in found[1]


def test_simulate_takes_it_as_well(here, monkeypatch, capsys):
    mine = ["--backend", "my_chip:MyChip"]
    code, said = call(monkeypatch, capsys, "simulate", "a.net", "a.png", *mine)
    assert (code, "my chip: 1 image" in said) == (0, True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my_chip:Absent", "module 'my_chip' has no attribute 'Absent'"),
        ("absent:MyChip", "no module 'absent', neither installed nor in the current"),
        ("needy:MyChip", "needs 'nothing_like_this', which is not installed here"),
        ("my_chip:Nothing", "a Nothing found, which lacks a name"),
        ("my_chip:Broken", "cannot be made (OSError: the board does not answer)"),
        ("my_chip:Refuses", "board 3: no power; switch it on"),
        ("my_chip.py", "are allowed, or module:Class of a backend of your own"),
        ("my chip:x", "are allowed, or module:Class"),
        (":MyChip", "are allowed, or module:Class"),
    ],
)
def test_what_is_no_backend_is_one_line(here, monkeypatch, capsys, name, said):
    code, found = call(
        monkeypatch, capsys, "simulate", "a.net", "a.png", "--backend", name
    )
    assert (code, found.count("\n")) == (2, 1)
    assert said in found
    assert not (here / "runs").exists()


def test_an_entry_point(here, monkeypatch):
    points = {"my-chip": "my_chip:MyChip", "reference": "my_chip:MyChip"}
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda *, group: [
            importlib.metadata.EntryPoint(name, value, group)
            for name, value in points.items()
            if group == foreign.GROUP == "loihi_unet.backends"
        ],
    )
    assert names()[-1] == "my-chip"
    assert names().count("reference") == 1
    assert create("my-chip").name == "my chip"
    assert create("reference").name == "reference"  # the judge's place is taken
    with pytest.raises(BackendError, match=r"lava-stock, my-chip are allowed"):
        create("their-chip")


def test_the_current_folder_is_no_longer_searched_afterwards(here):
    before = list(sys.path)
    create("my_chip:MyChip")
    assert sys.path == before
