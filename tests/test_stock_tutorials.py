# SPDX-License-Identifier: BSD-3-Clause
"""The five netx tutorials of lava-dl, as docs/netx_stock.md has them."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import tutorials

from export.netx import StockOptions, read_stock
from export.stock_network import Reset
from loihi_unet.cli.main import main
from sim.recording_file import read_recording
from sim.verify.scope import at_size

PAGE = (Path(__file__).parents[1] / "docs" / "netx_stock.md").read_text()
PART = re.search(r"## lava-dl's netx tutorials\n(.*?)\n## ", PAGE, re.S)[1]
NAMES = ["oxford", "mnist", "pilotnet_snn", "pilotnet_sdnn", "yolo_kp"]


@pytest.mark.lava
def test_every_line_does_what_the_table_says(tmp_path, monkeypatch, capsys):
    tutorials.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(re.findall(r"```python\n(.*?)```", PART, re.S)[0], {})
    (lines,) = re.findall(r"```sh\n(.*?)```", PART, re.S)
    said = {}
    for line in lines.splitlines():
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        assert not ended.value.code, f"{line}\n{output.out}{output.err}"
        said[line] = output.out
    assert "EXACT" in said[line]
    rows = re.findall(r"^\| (\w+) \|.*\| `(StockOptions\(.*\))` \|$", PART, re.M)
    assert [name for name, _ in rows] == NAMES
    for name, options in rows:
        found = read_recording(Path(f"{name}.h5"))
        names = {"StockOptions": StockOptions, "Reset": Reset}
        network = read_stock(Path(f"{name}.net"), eval(options, names))
        assert at_size(network, found).sha256 == found.network_sha256
        alive = [x.name for x in network.layers if found.payloads[x.name].any()]
        assert len(alive) > 1, name
