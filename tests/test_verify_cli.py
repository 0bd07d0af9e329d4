# SPDX-License-Identifier: BSD-3-Clause
"""What ``verify`` says and with which exit code, and the hashes that commands print."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from PIL import Image

from export.netx import write_network
from loihi_unet.cli.main import main
from loihi_unet.report import read_report
from loihi_unet.runs import verify_set
from sim.backend import create
from sim.recording_file import write_recording
from sim.reference.simulator import ReferenceSimulator
from sim.selftest import small_network

NETWORK = small_network(size=(8, 12))
IMAGES = np.random.default_rng(3).integers(0, 256, (2, 1, 8, 12))
UNKNOWN = {
    **{"network_sha256": None, "network_sha256_any_size": None},
    **{"layers": None, "has_output": None, "backend": "chip [A1]"},
}


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


@pytest.fixture(scope="module")
def whole():
    return create("torch").run(NETWORK, IMAGES)


@pytest.fixture
def files(tmp_path, whole):
    """Write what a torch run and another recording hold, and the network's file."""
    write_network(small_network(), tmp_path / "a.net")

    def write(**changes):
        write_recording(whole, tmp_path / "left.h5")
        chip = dataclasses.replace(whole, backend="chip [A1]", **changes)
        write_recording(chip, tmp_path / "chip.h5")
        return tmp_path / "left.h5", tmp_path / "chip.h5"

    return write


def verdict(out):
    """The line with the verdict, whole."""
    (line,) = [
        x for x in out.splitlines() if x.startswith(("EXACT", "PARTIAL", "FAIL"))
    ]
    return line


def test_exact(run, files):
    code, out, _ = run("verify", *files())
    assert code == 0
    assert verdict(out).startswith("EXACT  torch = chip [A1]: 0 mismatches in ")
    assert f"network sha256 {NETWORK.sha256_any_size} at any size" in out
    assert f"{NETWORK.sha256} at 8x12" in out


def test_partial(run, files, whole):
    payloads = {n: p for n, p in whole.payloads.items() if n not in ("mid", "up")}
    pair = files(payloads=payloads, output=None)
    code, out, _ = run("verify", *pair)
    assert code == 1
    line = verdict(out)
    assert line.startswith("PARTIAL  torch = chip [A1]: 0 mismatches in ")
    assert line.endswith("compared: layer 'mid', layer 'up', output accumulator")
    code, out, _ = run("verify", *pair, "--partial", "--json")
    record = json.loads(out)
    assert (code, record["verdict"], record["identical"]) == (0, "PARTIAL", False)
    assert record["not_compared"] == ["layer 'mid'", "layer 'up'", "output accumulator"]


def test_partial_is_no_excuse(run, files, whole):
    for changes, reason in (
        ({"images": IMAGES + 1}, "other images: 2 of 2 differ"),
        ({"num_steps": 4}, "another T: 3 left, 4 right"),
        ({"network_sha256": "0" * 64}, "another network: sha256 "),
        ({"payloads": {}, "output": None}, "nothing to compare"),
    ):
        pair = files(**changes)
        code, out, _ = run("verify", *pair, "--partial")
        assert code == 1
        assert verdict(out).startswith(f"FAIL  torch != chip [A1]: {reason}")
        code, out, _ = run("verify", *pair, "--json")
        record = json.loads(out)
        assert (code, record["verdict"], record["mismatches"]) == (1, "FAIL", 0)
        assert record["reasons"][0].startswith(reason)


def test_cannot_tell_without_the_network(run, files, tmp_path):
    pair = files(**{k: v for k, v in UNKNOWN.items() if k != "backend"})
    code, out, _ = run("verify", *pair)
    assert code == 1
    assert "cannot tell which layers the network has (right does not list them; " in (
        verdict(out)
    )
    code, out, _ = run("verify", *pair, "--network", tmp_path / "a.net")
    assert (code, verdict(out)[:5]) == (0, "EXACT")
    assert "the network's file is of 8x8; it ran at 8x12" in out


@pytest.mark.parametrize("partial", [(), ("--partial",)])
def test_another_network_is_refused(run, files, tmp_path, partial):
    write_network(small_network(seed=1), tmp_path / "b.net")
    arguments = ("--network", tmp_path / "b.net", *partial)
    code, out, err = run("verify", *files(), *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"left.h5: not a recording of {tmp_path / 'b.net'}: sha256 " in err
    # Whatever would be wrong besides: it is not compared at all.
    code, _, _ = run("verify", *files(images=IMAGES + 1), *arguments)
    assert code == 2


def test_causes_are_shown(run, files, whole, tmp_path):
    mirrored = {**whole.payloads, "mid": whole.payloads["mid"][..., ::-1]}
    pair = files(payloads=mirrored)
    code, out, _ = run("verify", *pair)
    assert code == 1
    assert "diagnosis: mid: columns mirrored: x runs to the left" in out
    code, out, _ = run("verify", *pair, "--json")
    assert json.loads(out)["causes"] == ["mid: columns mirrored: x runs to the left"]
    one = whole.payloads["mid"].copy()
    one[1, 2, 3, 1, 2] += 1
    pair = files(payloads={**whole.payloads, "mid": one})
    _, out, _ = run("verify", *pair, "--network", tmp_path / "a.net")
    said = "Only this value differs; the layers it feeds agree: the dump, not the chip."
    assert said in out
    turned = {n: p.transpose(0, 1, 3, 4, 2) for n, p in whole.payloads.items()}
    _, out, _ = run("verify", *files(payloads=turned))
    assert "layer 'mid' has another shape: (2, 3, 6, 4, 6) left, (2, 3, 4, 6, 6)" in out
    assert "diagnosis: layer 'mid': axes in the order (H, W, C)" in out


def test_a_report_of_a_partial_verdict(run, files, tmp_path):
    arguments = ("--report", tmp_path / "r", "--network", tmp_path / "a.net")
    code, _, _ = run("verify", *files(output=None), *arguments)
    record = json.loads((tmp_path / "r" / "report.json").read_text())
    assert (code, record["verdict"]) == (1, "PARTIAL")
    assert record["comparisons"][0]["not_compared"] == ["output accumulator"]


def dumps(whole):
    """What dumps look like that are not in the order of a recording."""
    sent = whole.payloads
    mid = sent["mid"]
    yield {"payloads": {n: p.transpose(0, 1, 3, 4, 2) for n, p in sent.items()}}
    yield {"payloads": {**sent, "mid": mid.transpose(0, 1, 3, 4, 2)}}
    yield {"payloads": {**sent, "mid": mid[:, :, :0]}}
    yield {"payloads": {**sent, "mid": mid.astype(np.int32) - 200}}
    yield {"payloads": {**sent, "mid": mid.astype(np.int64) + 2**32 - 5}}
    yield {"output": whole.output.transpose(0, 2, 3, 1)}
    yield {"output": whole.output[:, :0]}
    yield {"payloads": {}, "output": None}
    yield {"images": IMAGES.transpose(0, 2, 3, 1)[:, :8, :8]}
    yield {
        "images": IMAGES[:0],
        "payloads": {n: p[:0] for n, p in sent.items()},
        "output": whole.output[:0],
    }
    steps = {n: p[:, 1:] for n, p in sent.items()}
    yield {"steps": (1, 2), "payloads": steps, "num_steps": 3}
    yield {"num_steps": 9}


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("known", [False, True], ids=["alone", "with network"])
def test_no_dump_is_too_strange_for_a_report(
    run, files, whole, tmp_path, monkeypatch, number, known
):
    # Read again, not drawn: 48 pages would take a minute.
    monkeypatch.setattr("loihi_unet.report.verify.render_report", read_report)
    pair = files(**list(dumps(whole))[number])
    network = ("--network", tmp_path / "a.net") if known else ()
    for sides in (pair, pair[::-1]):
        code, out, err = run("verify", *sides, *network, "--report", tmp_path / "r")
        if code == 2:  # of images or a T that are not the network's
            assert known
            assert number in (8, 11)
            assert err.count("\n") == 1
            continue
        assert code == 1
        assert verdict(out).startswith(("PARTIAL", "FAIL"))
        saved = json.loads((tmp_path / "r" / "report.json").read_text())
        assert verdict(out).startswith(saved["verdict"])


def picture(path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_a_backend_that_leaves_out_a_layer(run, tmp_path, monkeypatch):
    class Lazy(ReferenceSimulator):
        """Says of itself that there was no such layer."""

        def run(self, network, images, **arguments):
            recording = super().run(network, images, **arguments)
            payloads = {n: p for n, p in recording.payloads.items() if n != "mid"}
            layers = {n: shape for n, shape in recording.layers.items() if n != "mid"}
            return dataclasses.replace(
                recording, payloads=payloads, layers=layers if self.lies else None
            )

    write_network(small_network(), tmp_path / "a.net")
    monkeypatch.setattr("sim.reference.simulator.ReferenceSimulator", Lazy)
    backends = ("--backend", "torch", "--backend", "reference", "--workers", 1)
    arguments = ("verify", tmp_path / "a.net", picture(tmp_path / "p.png"), *backends)
    verify_set._load.cache_clear()
    Lazy.lies = False
    code, out, _ = run(*arguments)
    assert code == 1
    assert verdict(out).startswith("PARTIAL")
    assert verdict(out).endswith("; not compared: layer 'mid'")
    assert "the network's file is of 8x8; it ran at 8x12" in out
    assert NETWORK.sha256_any_size in out
    assert run(*arguments, "--partial")[0] == 0
    Lazy.lies = True
    verify_set._load.cache_clear()
    code, _, err = run(*arguments)
    assert code == 2
    assert "other layers than recorded: 'mid'" in err
    verify_set._load.cache_clear()


def test_every_command_that_prints_a_hash_prints_both(run, tmp_path):
    write_network(small_network(), tmp_path / "a.net")
    net, image = tmp_path / "a.net", picture(tmp_path / "p.png")
    both = [small_network().sha256, NETWORK.sha256_any_size]
    _, out, _ = run("inspect", net)
    assert all(digest in out for digest in both)
    _, out, _ = run("inspect", net, "--json")
    record = json.loads(out)
    assert [record["sha256"], record["sha256_any_size"]] == both
    _, out, _ = run("simulate", net, image, "--out", tmp_path / "r.h5")
    assert f"network sha256 {both[1]} at any size, {NETWORK.sha256} at 8x12" in out
    assert "the network's file is of 8x8; it ran at 8x12" in out
    _, out, _ = run("simulate", net, image, "--out", tmp_path / "r.h5", "--json")
    record = json.loads(out)
    assert record["network_sha256_any_size"] == both[1]
    assert record["note"].endswith("it ran at 8x12")
    crop = ("--crop", "8x8", "--out", tmp_path / "s.h5")
    _, out, _ = run("simulate", net, image, *crop)
    assert "file is of" not in out
    _, out, _ = run("fit", net, "--recording", tmp_path / "r.h5")
    assert f"network sha256 {both[1]} at any size, {NETWORK.sha256} at 8x12" in out
    assert "the network's file is of 8x8; it ran at 8x12" in out
    _, out, _ = run("fit", net, "--json")
    assert json.loads(out)["network_sha256_any_size"] == both[1]
