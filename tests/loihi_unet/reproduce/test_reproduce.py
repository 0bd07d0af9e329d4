# SPDX-License-Identifier: BSD-3-Clause
"""Tables are measured once, go on after a kill, and say what the networks do."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from reproduction import FINETUNE

from export.fit.energy import PICO
from loihi_unet.config import (
    config_toml,
    load_config,
)
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.errors import ConversionError, DataError
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.finetuning import fit
from loihi_unet.networks.neuron import multi_threshold_if
from loihi_unet.reproduce import (
    TARGETS,
    figure3,
    networks,
    reproduce,
    spiden,
    table3,
    table4,
    table5,
)
from loihi_unet.reproduce.contest import Contestants
from loihi_unet.reproduce.networks import Conversion, Networks
from loihi_unet.reproduce.scales import SCALES, Subject
from loihi_unet.reproduce.score import integers, middle, shown_pixels
from loihi_unet.reproduce.store import Store, folder_sha256
from loihi_unet.spiking.run_float import run, synapse
from loihi_unet.tasks.metrics import quality
from sim.backend import OverflowLayerError, create


@pytest.fixture(autouse=True)
def _small_squares(monkeypatch):
    for module in (figure3, table5, spiden):
        monkeypatch.setattr(module, "SQUARES", 1)
        monkeypatch.setattr(module, "SQUARE", 24)
    monkeypatch.setattr(table3, "MANY_STEPS", 40)
    monkeypatch.setattr(spiden, "TRAINED", (2,))
    monkeypatch.setattr(spiden, "TUNED", (2,))
    monkeypatch.setattr(spiden, "CONVERTED", (2, 4))
    drive_only = TARGETS["table2"]._replace(names=("segment-drive",))
    monkeypatch.setitem(TARGETS, "table2", drive_only)


def call(target, scale, data_root, out):
    return reproduce(target, scale, data_root, out, command="how")


@pytest.mark.parametrize("target", TARGETS)
def test_a_second_call_measures_nothing(
    target, scale, data_root, tmp_path, monkeypatch
):
    record = call(target, scale, data_root, tmp_path)
    written = {
        path.relative_to(tmp_path): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert json.loads(written_text(tmp_path / f"{target}.json")) == record
    # Whoever calls them raises.
    monkeypatch.setattr(Networks, "unet", None)
    monkeypatch.setattr(Contestants, "trained", None)
    assert call(target, scale, data_root, tmp_path) == record
    assert written == {name: (tmp_path / name).read_bytes() for name in written}
    page = written_text(tmp_path / f"{target}.md")
    title = f"# {target[:-1].capitalize()} {target[-1]}"
    assert page.startswith("# SPIDEN" if target == "spiden" else title)
    subjects = {row["subject"].capitalize() for row in record["rows"]}
    assert all(name in page or name.lower() in page for name in subjects)


def written_text(path):
    return path.read_text(encoding="utf-8")


def test_a_stopped_call_keeps_its_rows(scale, data_root, tmp_path, monkeypatch):
    calls = []
    measure = table4._measure

    def stopping(*arguments):
        calls.append(arguments[1])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(table4, "_measure", stopping)
    with pytest.raises(KeyboardInterrupt):
        call("table4", scale, data_root, tmp_path)
    record = call("table4", scale, data_root, tmp_path)
    # The third was begun twice, every other row once.
    assert len(calls) == len(record["rows"]) + 1


def test_stopped_fine_tuning_goes_on_to_the_same_bits(
    scale, data_root, tmp_path, monkeypatch
):
    subject, conversion = scale.subjects["denoise-gray"], Conversion(num_steps=3)
    whole = Networks(subject, Store(tmp_path / "a"), data_root)
    expected = whole.tuned(conversion, FINETUNE)
    stopped = Networks(subject, Store(tmp_path / "b"), data_root)
    step, iterations = fit.step, []

    def stopping(state, *arguments):
        iterations.append(state.iteration)
        if iterations == [0, 1]:
            raise KeyboardInterrupt
        return step(state, *arguments)

    monkeypatch.setattr(fit, "step", stopping)
    with pytest.raises(KeyboardInterrupt):
        stopped.tuned(conversion, FINETUNE)
    found = stopped.tuned(conversion, FINETUNE)
    assert iterations == [0, 1, 1]
    for one, other in zip(found.layers, expected.layers, strict=True):
        assert one.bias is None or torch.equal(one.bias, other.bias)
        for a, b in zip(one.connections, other.connections, strict=True):
            assert a.weight is None or torch.equal(a.weight, b.weight)


def test_a_network_is_trained_first_where_the_scale_says_so(
    tiny, data_root, tmp_path, monkeypatch
):
    (tmp_path / "tiny.toml").write_text(config_toml(tiny))
    subject = Subject(
        model=str(tmp_path / "tiny.toml"),
        trains=True,
        train="pictures",
        test="pictures",
        sigma=25.0,
        num_steps=3,
    )
    found = Networks(subject, Store(tmp_path / "cache"), data_root)
    run = found.checkpoint()
    assert found.unet()[1] == tiny
    monkeypatch.setattr(networks, "train", None)
    assert found.checkpoint() == run


def test_other_pictures_are_another_measurement(tmp_path):
    for name, value in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        pixels = np.full((8, 8), value, np.uint8)
        Image.fromarray(pixels).save(tmp_path / name / "x.png")
    assert folder_sha256(tmp_path / "a") != folder_sha256(tmp_path / "b")
    with pytest.raises(DataError, match="missing"):
        folder_sha256(tmp_path / "missing")


def test_damaged_store(tmp_path):
    store, settings = Store(tmp_path), {"kind": "row", "T": 3}
    assert store.get(settings, lambda: {"a": (1,)})["a"] == [1]
    store.path(settings, ".json").write_text("{")
    with pytest.raises(DataError, match="delete it to measure again"):
        store.get(settings, dict)


def test_middle(scale, data_root):
    picture = Networks(scale.subjects["segment-drive"], None, data_root).squares(1, 0)
    assert picture[0].pixels.shape == (1, 88, 96)
    cut = middle(picture[0], 40, 16)
    assert cut.pixels.shape == (1, 32, 32)
    assert np.array_equal(cut.label, picture[0].label[28:60, 32:64])
    assert cut.mask.shape == (32, 32)


@pytest.mark.parametrize("thresholds", table4.SETS)
def test_sets_are_what_the_neuron_compares_with(thresholds):
    q, number = table4.as_powers(thresholds)
    current = torch.from_numpy(np.random.default_rng(0).normal(0.3, 2, (20, 50)))
    g = multi_threshold_if(current, base_threshold=q, num_thresholds=number)
    # The paper's neuron: each threshold once per step, from the highest down.
    v, expected = np.zeros(50), np.zeros((20, 50))
    for step in range(20):
        v += current[step].numpy()
        for threshold in sorted(thresholds, reverse=True):
            fires = v >= threshold
            v -= fires * threshold
            expected[step] += fires * threshold
    np.testing.assert_allclose(g.numpy() * q, expected)


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ((2, 1, 0.25), "1 found, 0.5 needed: bit 1"),
        ((1, 0.75, 0.5, 0.25), "0.75 found, 1 needed: bit 2"),
        ((0.9, 0.3, 0.1), "0.3 found, 0.2 needed: bit 1"),
        ((), "0 thresholds: 1..8"),
    ],
)
def test_sets_that_cannot_be_held(thresholds, message):
    with pytest.raises(ConversionError, match=message):
        table4.as_powers(thresholds)


def test_energy_counted_by_hand(scale, data_root, tmp_path):
    found = Networks(scale.subjects["denoise-gray"], Store(tmp_path), data_root)
    conversion = Conversion(num_steps=3)
    row = table5._measure(found, conversion, None)
    snn = found.converted(conversion)
    picture = found.squares(1, 24, 4)[0]
    pixels = shown_pixels(picture, 0, 25.0)
    network = integers(snn).network.resized(*pixels.shape[1:])
    recording = create("torch").run(network, pixels[None])
    spikes = sum(
        bin(g).count("1")
        for payload in recording.payloads.values()
        for g in payload.ravel().tolist()
    )
    first = network.layers[0].shape
    first_macs = int(np.prod(first)) * (9 + 1)  # 3x3 taps of one plane, and a bias
    snn_mj = 1e3 * PICO * (0.9 * spikes + 4.6 * first_macs)
    assert row["snn_mj"] == pytest.approx(snn_mj, rel=1e-12)
    # A synapse per tap inside the picture: count them with ones.
    shapes = {"input": pixels.shape} | {x.name: x.shape for x in network.layers}
    macs = 0.0
    for layer in snn.layers:
        for c in layer.connections:
            weight = None if c.weight is None else torch.ones_like(c.weight)
            ones = torch.ones(1, 1, *shapes[c.source])
            sums = synapse(dataclasses.replace(c, weight=weight), ones).double().sum()
            macs += float(sums) * (4 if c.kind == "average_pool" else 1)
    assert row["ann_mj"] == pytest.approx(1e3 * PICO * 4.6 * macs, rel=1e-9)
    assert row["snn_fan_out_mj"] > row["snn_mj"]


def test_figure3_in_numbers(scale, data_root, tmp_path):
    found = Networks(scale.subjects["denoise-gray"], Store(tmp_path), data_root)
    one, other = (
        {r["layer"]: r for r in figure3._measure(found, conversion)["layers"]}
        for conversion in (
            Conversion(num_steps=20, normalisation="connection"),
            Conversion(num_steps=20, normalisation="layer"),
        )
    )
    # The first layer shares its scale with no other: the same in both.
    assert one["enc0.conv1"] == other["enc0.conv1"]
    # By hand: what it receives at every step is constant, so it sends floor(T x) / T.
    model, _ = found.unet()
    snn = found.converted(Conversion(num_steps=20))
    pixels = shown_pixels(found.squares(1, 24, 4)[0], 0, 25.0)
    drive = model.get_submodule("enc0.conv1")(torch.from_numpy(pixels / 255.0).float())
    activation = drive.relu().detach().numpy().ravel()
    unit = snn.layer("enc0.conv1").scale * snn.base_threshold
    rate = np.floor(20 * activation / unit).clip(0, 20 * 15) / 20
    r = np.corrcoef(activation, rate)[0, 1]
    assert one["enc0.conv1"]["correlation"] == pytest.approx(r, abs=2e-3)


def test_table3_in_numbers(scale, data_root, tmp_path):
    rows = call("table3", scale, data_root, tmp_path)["rows"]
    keys = ("T", "normalisation", "neuron", "finetuned")
    assert len({tuple(row[key] for key in keys) for row in rows}) == 12
    assert {row["T"] for row in rows if row["chip"] is None} == {40}
    found = Networks(scale.subjects["denoise-gray"], Store(tmp_path / "b"), data_root)
    # A row is what its name says: one threshold at 1, or 2, 1, 0.5 and 0.25.
    for row in rows[:4]:
        number, q = {"IF": (1, 1), "MT": (4, 0.25)}[row["neuron"]]
        snn = spiking_unet(
            found.unet()[0],
            found._calibration(row["normalisation"]),
            num_steps=20,
            num_thresholds=number,
            base_threshold=q,
        )
        picture = found.few()[0]
        noisy = shown_pixels(picture, 0, 25.0) / 255
        x = torch.from_numpy(noisy).float()[None]
        output = 255 * run(snn, x).output[0].numpy()
        expected = quality(picture.pixels, output).psnr
        assert row["few_snn"] == pytest.approx(expected, rel=1e-5)


def test_table3_says_where_integers_overflow(scale, data_root, tmp_path, monkeypatch):
    def overflow(snn):
        raise OverflowLayerError("enc0.conv1", 7, "potential 8400000")

    monkeypatch.setattr(table3, "integers", overflow)
    record = call("table3", scale, data_root, tmp_path)
    assert {row["chip"] for row in record["rows"]} == {None}
    page = written_text(tmp_path / "table3.md")
    assert page.count("layer 'enc0.conv1', step 7: potential 8400000") == 1
    assert page.count("| overflow |") == len(record["rows"])


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_scales_name_what_there_is(scale):
    assert set(scale.ablation) <= set(table3.SUBJECTS)
    for subject in scale.subjects.values():
        if subject.trains:
            config = load_config(subject.model)
            assert config.model.base_channels == 64
        else:
            _, config = load_checkpoint(subject.model)
        assert (subject.sigma is None) == (config.task.kind == "segment")
        assert scale.finetune.patch_size % 2**config.model.levels == 0
