# SPDX-License-Identifier: BSD-3-Clause
"""T and N for a chip, and why."""

import json

import pytest
from typer.testing import CliRunner

from loihi_unet.cli.main import app
from loihi_unet.errors import ConversionError
from loihi_unet.runs.advice import BINARY, advise, advise_for


def test_a_chip_of_graded_spikes_takes_one_step(model, tiny):
    advice = advise(model, tiny, "loihi2")
    assert (advice.num_steps, advice.num_thresholds) == (1, 8)
    assert advice.mapping == "graded"
    assert "graded spikes" in advice.why[0]
    assert "holds them" in advice.why[-1]


def test_a_chip_of_binary_spikes_takes_what_fits(model, tiny):
    advice = advise(model, tiny, "loihi1")
    assert (advice.num_steps, advice.num_thresholds) in BINARY
    assert advice.mapping == "parallel-if"
    assert "2**N - 1 compartments" in advice.why[0]


def test_a_small_system_is_given_less(model, tiny, monkeypatch):
    from loihi_unet.runs import advice as module

    found = advise(model, tiny, "loihi1", "nahuku")
    assert "nahuku holds them" in found.why[-1]
    # With room for nothing, the smallest is named, and that it does not fit.
    system = module.find_system("kapoho-bay", "loihi1")
    none = type(system.chips)(0, "chips", "test", "high")
    tight = type(system)(name="kapoho-bay", chip="loihi1", chips=none)
    monkeypatch.setattr(module, "find_system", lambda *_: tight)
    found = advise(model, tiny, "loihi1", "kapoho-bay")
    assert (found.num_steps, found.num_thresholds) == BINARY[-1]
    assert "kapoho-bay lacks them" in found.why[-1]
    assert len(found.why) == 1 + len(BINARY)


def test_unknown_systems_are_refused(model, tiny):
    with pytest.raises(ConversionError, match="system 'nahuku': oheo-gulch, kapoho-"):
        advise(model, tiny, "loihi2", "nahuku")
    with pytest.raises(ConversionError, match="chip 'loihi3': loihi1, loihi2 are"):
        advise_for("denoise-gray", "loihi3")


def test_convert_takes_the_advice(trained, folder, tmp_path):
    out = tmp_path / "snn"
    arguments = ["convert", str(trained), "--data", str(folder), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--chip", "loihi2", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["steps"] == 1
    assert set(found["thresholds"].values()) == {8}
    assert found["why"][-1] == "Export it with --mapping graded."
    for options, message in (
        (["--chip", "loihi2", "--steps", "3"], "chooses --steps and --thresholds"),
        (["--system", "oheo-gulch"], "needs --chip"),
    ):
        result = CliRunner().invoke(app, [*arguments, *options])
        assert message in str(result.exception)
