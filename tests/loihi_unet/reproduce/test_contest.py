# SPDX-License-Identifier: BSD-3-Clause
"""Competitors differ in what their row says, train on, and are compared."""

from pathlib import Path

import pytest
import torch
from reproduction import FINETUNE

from loihi_unet.config import (
    FCNConfig,
)
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.networks.net import Net
from loihi_unet.reproduce import contest as module
from loihi_unet.reproduce import (
    spiden,
    table1,
    table2,
)
from loihi_unet.reproduce.contest import Contestants, System
from loihi_unet.reproduce.scales import SCALES
from loihi_unet.reproduce.store import Store
from loihi_unet.training import train as training
from sim.backend import create


def group(scale, name, data_root, out):
    return Contestants(scale.contests[name], Store(out), data_root)


def test_competitors_differ_in_what_their_row_says(scale, data_root, tmp_path):
    contest = group(scale, "segment-drive", data_root, tmp_path)
    ann = contest.config(System(name="U-Net", way="ANN"))
    direct = contest.config(System(name="RS", way="DT", neuron="rs"))
    tuned = contest.config(System(name="RS", way="FT", neuron="rs", num_steps=7))
    fcn = contest.config(System(name="FCN", way="DT", neuron="if", fcn=True))
    assert (ann.neuron.kind, ann.iterations) == ("relu", 3)
    assert (direct.neuron.kind, direct.neuron.num_steps) == ("rs", 2)
    assert (direct.iterations, direct.model.batch_norm) == (2, True)
    assert (tuned.neuron.num_steps, tuned.iterations) == (7, 1)
    assert tuned.model == ann.model
    assert fcn.model == FCNConfig(base_channels=2, residual=False, batch_norm=True)
    assert direct.patch_size == tuned.patch_size == fcn.patch_size == ann.patch_size


def test_what_a_chip_holds_is_scored_and_compared(
    scale, data_root, tmp_path, monkeypatch
):
    contest = group(scale, "denoise-gray", data_root, tmp_path)
    mt = contest.measure(System(name="MT", way="FT", neuron="mt"))
    assert mt["identical"]
    assert mt["why"] == ""
    assert mt["chip"].keys() == mt["floats"].keys() == {"15", "25", "50"}
    assert mt["ann_seconds"] >= 0
    rs = contest.measure(System(name="RS", way="DT", neuron="rs"))
    assert (rs["chip"], rs["identical"]) == (None, None)
    assert "it leaks and resets to zero" in rs["why"]
    flow = contest.measure(System(name="MT", way="flow", neuron="mt"))
    assert (flow["floats"], flow["iterations"]) == (None, FINETUNE.iterations)
    # One payload more, and the row says so.
    snn, _ = contest.spiking(System(name="MT", way="FT", neuron="mt"))

    class Wrong:
        def run(self, network, images):
            recording = create("reference").run(network, images)
            recording.payloads["mid.conv1"][0, 0, 0, 0, 0] += 1
            return recording

    backends = {"torch": create("torch"), "reference": Wrong()}
    monkeypatch.setattr(module, "create", backends.__getitem__)
    assert not contest._identical(snn, contest.pictures())


def test_a_stopped_contest_trains_on(scale, data_root, tmp_path, monkeypatch):
    system = System(name="MT", way="FT", neuron="mt")
    whole = group(scale, "denoise-gray", data_root, tmp_path / "a").trained(system)[0]
    step, seen = training.step, []

    def stopping(state, *arguments):
        seen.append(state.iteration)
        if len(seen) == 3:  # the ANN's last
            raise KeyboardInterrupt
        return step(state, *arguments)

    monkeypatch.setattr(training, "step", stopping)
    contest = group(scale, "denoise-gray", data_root, tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        contest.trained(system)
    again, _ = contest.trained(system)
    assert seen == [0, 1, 2, 2, 0]
    one, other = (load_checkpoint(run)[0].state_dict() for run in (whole, again))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_neuron_rounds_down_and_clips(scale, data_root, tmp_path, monkeypatch):
    contest = group(scale, "denoise-spiden", data_root, tmp_path)
    drive = torch.linspace(0, 1, 10001, dtype=torch.float64)[:-1]
    monkeypatch.setattr(spiden, "_drives", lambda _group: [drive])
    for steps in (2, 4, 16):
        found = spiden._measure_neuron(contest, steps, 1.0)
        # Floor with step 1 / T of a uniform drive of power 1/3: 1 / (3 T**2) over it.
        assert found["relative_error"] == pytest.approx(1 / steps**2, rel=5e-3)
        assert found["silent"] == pytest.approx(1 / steps, abs=1e-3)
        assert found["spikes"] == pytest.approx((steps - 1) / 2, abs=1e-3)
    # With half the threshold the upper half of the drives is clipped to 0.5.
    found = spiden._measure_neuron(contest, 1000, 0.5)
    assert found["relative_error"] == pytest.approx((1 / 24) / (1 / 3), rel=1e-2)


@pytest.mark.parametrize("scale_name", SCALES)
@pytest.mark.parametrize("target", [table1, table2])
def test_every_competitor_of_every_scale_has_settings(scale_name, target):
    for name in target.CONTESTS:
        contest = Contestants(SCALES[scale_name].contests[name], None, Path("data"))
        for system in target.SYSTEMS:
            config = contest.config(system)
            assert config.model.batch_norm
            wide = 64 if scale_name == "paper" else 8
            assert config.model.base_channels == wide
            # Built without memory.
            with torch.device("meta"):
                Net(config.model, config.neuron)
