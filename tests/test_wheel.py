# SPDX-License-Identifier: BSD-3-Clause
"""The wheel alone, in an environment that has everything but this project."""

import email
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from skimage import data, io

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)]*)\)")
SOURCES = ("loihi_unet", "export", "sim")


def call(*command, cwd, code=0):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def version():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version()}\n" in text


def test_a_readme_without_a_repository_has_no_link_into_it():
    spec = importlib.util.spec_from_file_location("setup_script", ROOT / "setup.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for link in LINK.findall(script.long_description(readme)):
        assert re.match("https?:|#", link), link
    assert script.long_description("![a](b.png)[c](https://d)") == "[c](https://d)"
    assert script.long_description("see [c](d.md)") == "see c (`d.md`)"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build it from a copy: setuptools writes beside what it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    clean = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.h5")
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=clean)
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    call(*pip, "--quiet", "-w", folder, source, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def program(wheel):
    """The console script of an environment that sees the libraries of this one."""
    folder = wheel.parent / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", folder, cwd=wheel.parent)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(call(python, "-c", code, cwd=folder).strip())
    # A path of a .pth is searched, but the .pth files in it are not read: an editable
    # installation of this project stays out.
    (own / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    options = ["--no-deps", "--no-index", "--force-reinstall"]
    call(*pip, *options, wheel, cwd=folder)
    code = "import loihi_unet, export, sim; print(*loihi_unet.__path__)"
    assert str(own) in call(python, "-c", code, cwd=folder)
    return folder / "bin" / "loihi-unet"


@pytest.mark.slow
def test_what_is_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (n for n in names if n.endswith(".dist-info/METADATA"))
        message = email.message_from_bytes(archive.read(metadata))
    tops = {name.split("/")[0] for name in names}
    assert tops == {"loihi_unet", "export", "sim", metadata.split("/")[0]}
    for part in ("loihi_unet/models/spiking/", "loihi_unet/configs/", "py.typed"):
        assert any(part in name for name in names)
    description = message.get_payload()
    assert description.startswith("# loihi-unet")
    for link in LINK.findall(description):
        assert re.match("https?:|#", link), link


@pytest.mark.slow
def test_it_works_alone(program, tmp_path):
    assert call(program, "--version", cwd=tmp_path) == f"loihi-unet {version()}\n"
    assert json.loads(call(program, "doctor", "--json", cwd=tmp_path))["ok"]
    io.imsave(tmp_path / "photo.png", data.camera()[96:128, 208:240])
    machines = ["--backend", "torch", "--backend", "reference", "--report", "report"]
    said = call(program, "verify", "denoise-gray", "photo.png", *machines, cwd=tmp_path)
    assert "EXACT" in said
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "EXACT" in page
    call(program, "selftest", "--out", "kit", cwd=tmp_path)
    call(program, "probes", "--out", "probes", cwd=tmp_path)
    call(program, "probes", "probes/answers.npz", cwd=tmp_path, code=1)
    assert "denoise-gray" in call(program, "train", "--help", cwd=tmp_path)
