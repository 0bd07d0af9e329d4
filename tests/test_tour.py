# SPDX-License-Identifier: BSD-3-Clause
"""docs/tour.md does what it says."""

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from drive import make_drive
from PIL import Image

from loihi_unet.cli.main import main

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.lava
def test_tour(tmp_path, monkeypatch, capsys):
    make_drive(tmp_path / "DRIVE")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "tour.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    commands = "".join(blocks).splitlines()
    assert len(commands) == 14
    scores = []
    for command in commands:
        arguments = shlex.split(command)
        assert arguments[0] == "loihi-unet"
        if arguments[1] == "evaluate":
            arguments.append("--json")
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        assert not ended.value.code, f"{command}\n{output.out}{output.err}"
        if arguments[1] == "verify":
            assert "EXACT" in output.out
        if arguments[1] == "evaluate":
            scores.append(json.loads(output.out)["chip"])
    torch, lava = scores
    assert torch == lava
    assert lava["f1_fov"] > 0.7
    run = tmp_path / "runs" / "drive"
    page = (run / "exact" / "report.html").read_bytes()
    assert page == (run / "again.html").read_bytes()
    found = np.asarray(Image.open(run / "report" / "0-chip.png"))
    assert set(np.unique(found)) == {0, 255}
    assert "false negative" in (run / "report" / "report.html").read_text()
