# SPDX-License-Identifier: BSD-3-Clause
"""docs/your-own-data.md does what it says."""

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from folders import make_classes, make_colours, make_pairs, make_palette, make_stacks
from PIL import Image

from loihi_unet.cli.main import main
from loihi_unet.config import load_config

TEXT = (Path(__file__).parents[1] / "docs" / "your-own-data.md").read_text()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folders of the page."""
    root = tmp_path_factory.mktemp("own")
    make_palette(root / "cells")
    make_colours(root / "street")
    make_stacks(root / "sections")
    make_pairs(root / "blurred")
    make_pairs(root / "small", scale=2)
    make_classes(root / "sorted")
    return root


def _sections():
    """Titles and commands of the page."""
    for section in re.split(r"^## ", TEXT, flags=re.M)[1:]:
        blocks = re.findall(r"```sh\n(.*?)```", section, re.S)
        if blocks:
            title = section.splitlines()[0]
            yield pytest.param("".join(blocks).splitlines(), id=title)


@pytest.mark.parametrize("commands", _sections())
def test_the_page(home, monkeypatch, capsys, commands):
    monkeypatch.chdir(home)
    for command in commands:
        arguments = shlex.split(command)
        assert arguments[0] == "loihi-unet"
        if arguments[1] == "evaluate":
            arguments += ["--workers", "1", "--json"]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        assert not ended.value.code, f"{command}\n{output.out}{output.err}"
        if arguments[1] == "verify":
            assert "EXACT" in output.out
        if arguments[1] == "evaluate":
            _check_row(json.loads(output.out), arguments[2])


def _check_row(row, network):
    if network == "cells.net":
        assert row["task"] == "segment"
        assert {"miou", "accuracy"} == row["chip"].keys()
        counts = np.array(row["classes"]["confusion"])
        # 3 test pictures, of which two rows each are ignored.
        assert counts.sum() == sum((38 + i) * (48 - i) for i in (7, 8, 9))
        page = Path("report/report.html").read_text()
        assert "Confusion matrix" in page
        assert "wrong class" in page
    if network in ("blurred.net", "small.net", "camera.net"):
        assert row["chip"]["psnr"] > 5
    if network == "camera.net":
        assert row["noise"] == {"gain": 2.0, "read_noise": 3.0}
        assert row["sigma"] is None
    if network == "sorted.net":
        assert row["pictures"] == 6
        assert np.array(row["classes"]["confusion"]).sum() == 6
        assert 0 <= row["chip"]["top1"] <= 1
        assert "truth: dark" in Path("report-sorted/report.html").read_text()


def test_nothing_is_written_over(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    Path("mine.toml").write_text("seed = 1\n")
    command = ["loihi-unet", "data", "init", "sorted", "--out", "mine.toml"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "mine.toml: is there already" in capsys.readouterr().err
    assert Path("mine.toml").read_text() == "seed = 1\n"
    monkeypatch.setattr(sys, "argv", [*command, "--force", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["config"]["task"]["kind"] == "classify"


def test_small_pictures_become_large(home):
    large = sorted((home / "large").iterdir())
    assert [Image.open(path).size for path in large] == [(32, 48)] * 10


def test_the_configuration_of_the_page(tmp_path, home):
    """It is what `data init` wrote, but for the names of the classes."""
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
    model = "loss = 'cross_entropy'\n[model]\nout_channels = 3\nresidual = false\n"
    (tmp_path / "page.toml").write_text(model + block)
    page = load_config(tmp_path / "page.toml").task.folders
    written = load_config(home / "cells.toml").task.folders
    assert page.names == ["background", "cell", "nucleus"]
    assert page.values == written.values
    assert page.model_dump(exclude={"classes"}) == written.model_dump(
        exclude={"classes"}
    )
