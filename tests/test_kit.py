# SPDX-License-Identifier: BSD-3-Clause
"""What those with a chip start with: the kit and the probes, as their pages say."""

import json
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks import probes_page
from loihi_unet.cli.main import main
from loihi_unet.kit.probes import read_answers, write_probes
from loihi_unet.kit.selftest import write_selftest
from sim.probes.all import probes
from sim.recording_file import read_recording

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def run(monkeypatch, capsys):
    """Call a command: (exit code, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["loihi-unet", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code or 0, output.out, output.err

    return call


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """A kit, and what a chip that is right would be read as, beside it."""
    folder = tmp_path / "kit"
    write_selftest(folder)
    expected = read_recording(folder / "reference.h5")
    for name, values in expected.payloads.items():
        np.save(folder / f"{name}.npy", values)
    np.save(folder / "output.npy", expected.output)
    monkeypatch.chdir(folder)
    return folder


def block(page):
    """The page's Python."""
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    return code


def command(page):
    """The page's command line, without the program's name."""
    (line,) = re.findall(r"^loihi-unet (.*)$", page.read_text(), re.MULTILINE)
    return line.split()


def test_filled_in_as_the_page_says_it_is_exact(kit, run):
    exec(block(kit / "README.md"), {})
    code, out, _ = run(*command(kit / "README.md"))
    assert (code, "EXACT" in out) == (0, True)
    assert "100.0 %" in out  # every weight had a say


@pytest.mark.parametrize("name", ["down", "pool", "mid", "up", "join", "output"])
def test_one_value_changed_is_fail(kit, run, name):
    exec(block(kit / "README.md"), {})
    key = name if name == "output" else f"payload/{name}"
    with h5py.File(kit / "chip.h5", "r+") as file:
        values = file[key][...]
        values.flat[-1] += 1
        file[key][...] = values
    code, out, _ = run(*command(kit / "README.md"))
    assert (code, "FAIL" in out) == (1, True)
    assert name in out


def test_as_it_is_written_it_is_fail_and_without_a_layer_partial(kit, run):
    code, out, _ = run(*command(kit / "README.md"))
    assert (code, "FAIL" in out) == (1, True)
    exec(block(kit / "README.md"), {})
    with h5py.File(kit / "chip.h5", "r+") as file:
        del file["payload/mid"]
    code, out, _ = run(*command(kit / "README.md"))
    assert (code, "PARTIAL" in out, "mid" in out) == (1, True, True)


def test_a_dump_is_not_written_over(kit, run):
    code, out, err = run("selftest", "--out", kit)
    assert (code, out) == (2, "")
    assert "chip.h5: there already, it may hold a dump; another --out needed" in err


def test_the_command_says_what_comes_next(tmp_path, run):
    code, out, _ = run("selftest", "--out", tmp_path / "a")
    assert (code, "verify" in out) == (0, True)
    code, out, _ = run("selftest", "--out", tmp_path / "b", "--json")
    record = json.loads(out)
    assert all((tmp_path / "b" / name).exists() for name in record["files"])
    (tmp_path / "file").write_text("")
    code, out, err = run("selftest", "--out", tmp_path / "file")
    assert (code, err.count("\n")) == (2, 1)


def test_the_snippet_of_the_recording_format(kit, run):
    exec(block(DOCS / "recording_format.md"), {})
    code, out, _ = run("verify", "reference.h5", "one_layer.h5")
    assert (code, "PARTIAL" in out, "pool" in out) == (1, True, True)
    code, _, _ = run("verify", "reference.h5", "one_layer.h5", "--partial")
    assert code == 0


@pytest.fixture
def asked(tmp_path):
    """Folder of the probes, and what writes a chip's answers into it."""
    folder = tmp_path / "probes"
    write_probes(folder)

    def answer(**arrays):
        kept = dict(np.load(folder / "answers.npz"))
        path = folder / "answers.npz"
        np.savez(path, **{**kept, **arrays})
        return path

    return folder, answer


def test_a_chip_that_does_as_simulated(asked, run):
    folder, answer = asked
    path = folder / "answers.npz"
    code, out, _ = run("probes", path)
    assert (code, "not read" in out) == (1, True)
    path = answer(**{name: p.recordings[0] for name, p in probes().items()})
    code, out, _ = run("probes", path)
    assert (code, "otherwise" in out) == (0, False)
    assert json.loads(run("probes", path, "--json")[1])["as_simulated"]


def test_every_answer_is_read_as_itself_from_the_files(asked):
    folder, answer = asked
    for name, probe in probes().items():
        with np.load(folder / f"{name}.possible.npz") as possible:
            assert len(possible.files) == len(probe.answers)
            for index in range(len(probe.answers)):
                path = answer(**{name: possible[f"answer{index}"]})
                found = {f.probe.name: f for f in read_answers(path)}[name]
                assert found.answer == index
                assert found.state == ("otherwise" if index else "as simulated")


def test_an_answer_that_nobody_thought_of(asked, run):
    _, answer = asked
    values = probes()["delay"].recordings[0].copy()
    values[5, 5] = 1
    code, out, _ = run("probes", answer(delay=values), "--json")
    record = {item["name"]: item for item in json.loads(out)["probes"]}["delay"]
    assert (code, record["state"]) == (1, "unknown")
    assert "but step 5, neuron 5 is 1 instead of 0" in record["answer"]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"treshold": np.zeros((20, 3), int)}, "'treshold' found; allowed: threshold,"),
        ({"threshold": np.zeros((3, 20), int)}, "shape (3, 20) found, (20, 3) needed"),
        ({"threshold": np.zeros((20, 3))}, "float64 found, integers needed"),
        ({"threshold": np.array([None])}, "no .npz of arrays, or damaged"),
    ],
)
def test_what_is_no_answer_is_one_line(asked, run, arrays, said):
    _, answer = asked
    code, out, err = run("probes", answer(**arrays))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_other_files_and_calls(asked, run, tmp_path):
    folder, _ = asked
    (tmp_path / "text.npz").write_text("x")
    for arguments, said in [
        (["probes", tmp_path / "none.npz"], "No such file"),
        (["probes", tmp_path / "text.npz"], "no .npz of arrays, or damaged"),
        (["probes", folder / "order.npy"], "one array found, a .npz of arrays needed"),
        (["probes", folder / "order.net"], "no .npz of arrays, or damaged"),
        (["probes", tmp_path], "Is a directory"),
        (["probes"], "a chip's answers are needed, or --out"),
        (["probes", "a.npz", "--out", "b"], "a chip's answers are needed, or --out"),
        (["probes", "--out", folder], "there already, it may hold answers"),
    ]:
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
        assert said in err


def test_docs_show_the_questions():
    assert (DOCS / "probes.md").read_text() == probes_page.text()
