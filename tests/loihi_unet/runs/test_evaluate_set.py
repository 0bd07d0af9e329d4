# SPDX-License-Identifier: BSD-3-Clause
"""Rows of results."""

import dataclasses
import json

import pytest
import torch

from export.lowering import lower
from export.netx import read_network, write_network
from loihi_unet.config import DenoiseConfig
from loihi_unet.conversion.convert import convert
from loihi_unet.data.pictures import load_pictures
from loihi_unet.errors import DataError
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.runs import evaluate_set
from loihi_unet.runs.evaluate_set import EvaluateConfig, report
from loihi_unet.runs.rows import add_row
from loihi_unet.spiking.run_float import run
from loihi_unet.tasks.judge import Judge


@pytest.fixture(scope="module")
def files(tmp_path_factory, trained, folder):
    path = tmp_path_factory.mktemp("files")
    snn = convert(trained, path / "snn.safetensors", folder, num_steps=5)
    write_network(lower(snn, 16, 16), path / "n.net")
    return path


@pytest.mark.parametrize(
    ("backend", "worth", "started"),
    [("torch", 10**12, 1), ("torch", 10**5, 2), ("reference", 10**12, 2)],
)
def test_workers_start_where_there_is_work_for_them(
    files, folder, monkeypatch, backend, worth, started
):
    asked = []

    def swept(function, items, **how):
        asked.append(how["workers"])
        return {key: function(item) for key, item in items.items()}

    monkeypatch.setattr(evaluate_set, "sweep", swept)
    monkeypatch.setattr(evaluate_set, "WORTH_A_WORKER", worth)
    settings = EvaluateConfig(data=folder, backend=backend)
    report(files / "n.net", settings, command="", workers=2)
    assert asked == [started]


def test_row(files, folder, trained):
    settings = EvaluateConfig(
        data=folder,
        sigma=20,
        seed=3,
        checkpoint=str(trained),
        spiking=files / "snn.safetensors",
    )
    row = report(files / "n.net", settings, command="how", workers=1)
    assert {
        key: row[key] for key in ("task", "sigma", "T", "N", "bits", "q", "width")
    } == {
        "task": "denoise",
        "sigma": 20,
        "T": 5,
        "N": 4,
        "bits": 4.0,
        "q": 0.125,
        "width": 3,
    }
    assert (row["pictures"], row["seed"], row["finetuned"]) == (5, 3, False)
    assert row["command"] == "how"
    model, _ = load_checkpoint(trained)
    pictures = load_pictures(folder, 1)
    judge = Judge(task=DenoiseConfig(), sigma=20, seed=3)
    assert row["ann"] == judge.score(model, pictures, multiple=4)
    from loihi_unet.files.spiking_file import load_spiking_unet

    snn = load_spiking_unet(files / "snn.safetensors")
    with torch.no_grad():
        floating = judge.score(lambda x: run(snn, x).output, pictures, multiple=4)
    assert row["snn"] == floating
    # 8-bit weights: near the float network, and not the same.
    assert row["chip"]["psnr"] == pytest.approx(row["snn"]["psnr"], abs=0.3)
    assert row["chip"] != row["snn"]
    alone = dataclasses.replace(settings, checkpoint=None)
    alone = report(files / "n.net", alone, command="", workers=1)
    assert alone["ann"] is None
    assert alone["chip"] == row["chip"]


def test_rows_replace_their_like(tmp_path):
    path = tmp_path / "results.json"
    row = {"task": "denoise", "T": 10, "seed": 0, "chip": {"psnr": 1.0}}
    add_row(path, row)
    add_row(path, {**row, "T": 4})
    add_row(path, {**row, "chip": {"psnr": 2.0}})
    rows = json.loads(path.read_text())
    assert [(r["T"], r["chip"]["psnr"]) for r in rows] == [(10, 2.0), (4, 1.0)]


def test_bad_input(files, folder, tmp_path):
    settings = EvaluateConfig(data=folder, task="segment")
    with pytest.raises(DataError, match="a network for denoise, asked for segment"):
        report(files / "n.net", settings, command="")
    bare = dataclasses.replace(read_network(files / "n.net"), provenance={})
    write_network(bare, tmp_path / "bare.net")
    with pytest.raises(DataError, match=r"bare.net: provenance without 'train'"):
        report(tmp_path / "bare.net", EvaluateConfig(data=folder), command="")
    path = tmp_path / "r.json"
    path.write_text("{")
    with pytest.raises(DataError, match=r"r.json: not JSON"):
        add_row(path, {})
    path.write_text("{}")
    with pytest.raises(DataError, match=r"r.json: a JSON list of rows"):
        add_row(path, {})
