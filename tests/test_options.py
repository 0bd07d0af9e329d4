# SPDX-License-Identifier: BSD-3-Clause
"""Options are called and mean the same everywhere, are documented, and completed."""

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import typer

from export.fit.systems import SYSTEMS
from loihi_unet.cli.main import app
from loihi_unet.config import named_configs
from sim.backend import BACKENDS

ROOT = Path(__file__).parents[1]


def commands(group=None, name=""):
    group = group or typer.main.get_command(app)
    for key, item in group.commands.items():
        path = f"{name} {key}".strip()
        if hasattr(item, "commands"):
            yield from commands(item, path)
        else:
            yield path, item


def options():
    """Option to the commands and parameters that have it."""
    found = defaultdict(dict)
    for name, command in commands():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                found[parameter.opts[0]][name] = parameter
    return found


def table():
    """What docs/tour.md shows."""
    rows = ["| option | of | default |", "|---|---|---|"]
    for option, uses in sorted(options().items()):
        defaults = {_default(p): None for p in uses.values()}
        cells = (f"`{option}`", ", ".join(uses), ", ".join(filter(None, defaults)))
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _default(parameter):
    value = parameter.default
    if value is None or value is False or parameter.required:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_tour_has_the_table():
    assert (ROOT / "docs" / "tour.md").read_text().endswith(table())


@pytest.mark.parametrize("option", sorted(options()))
def test_one_name_one_meaning(option):
    uses = options()[option].values()
    # Kind of value and its range; choices are shown by the help.
    assert len({(p.is_flag, p.min, p.max, p.nargs) for p in uses}) == 1
    assert all(p.help for p in uses)
    # --T, --learning_rate and the like would be further habits.
    assert option == option.lower().replace("_", "-")


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda x: str(x)[:20]
)
def test_help(name, command):
    help_ = " ".join(command.help.split())
    assert f"Example: loihi-unet {name} " in help_ + " "
    assert "--json" in {o for p in command.params for o in p.opts}


def test_help_names_what_is_allowed():
    found = options()
    for name in named_configs():
        assert name in found["--config"]["train"].help
    for uses in ("evaluate", "simulate", "verify"):
        words = re.findall(r"[\w-]+", found["--backend"][uses].help)
        assert set(BACKENDS) <= set(words)
    for uses in ("fit", "convert"):
        words = re.findall(r"[\w-]+", found["--system"][uses].help)
        assert {system.name for system in SYSTEMS} <= set(words)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_completion_in_bash(tmp_path):
    program = tmp_path / "loihi-unet"
    program.write_text(
        f"#!{sys.executable}\nfrom loihi_unet.cli.main import main\nmain()\n"
    )
    program.chmod(0o755)
    script = """
    eval "$(loihi-unet --show-completion)"
    complete() {
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _loihi_unet_completion loihi-unet
        echo "${COMPREPLY[*]}"
    }
    complete loihi-unet ev
    complete loihi-unet evaluate --back
    complete loihi-unet evaluate n.net --backend la
    complete loihi-unet export x --mapping p
    complete loihi-unet train --config segment-d
    complete loihi-unet data ""
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        "evaluate",
        "--backend",
        "lava lava-stock",
        "parallel-if",
        "segment-drive segment-drive-fcn segment-drive-fcn-paper segment-drive-paper",
        "init check",
    ]
    assert done.stderr == ""
