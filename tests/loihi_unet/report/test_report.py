# SPDX-License-Identifier: BSD-3-Clause
"""The page: self-contained, right, and alive in a real browser."""

import base64
import dataclasses
import hashlib
import json
import re
import shutil

import numpy as np
import pytest
from browser import CHROMIUM, browser

from loihi_unet.demo.spike_rates import rate_records
from loihi_unet.report import read_report, render_report
from loihi_unet.report.schema import ReportError
from loihi_unet.report.verify import write_report
from sim.backend import create
from sim.recording import RecordingError
from sim.selftest import small_network
from sim.verify.comparison import compare
from sim.verify.diagnose import explained


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A report of a backend that flips the kernels of one layer."""
    folder = tmp_path_factory.mktemp("report")
    network = small_network(size=(16, 24), num_steps=4)
    images = np.random.default_rng(0).integers(-20, 270, (2, 1, 16, 24))
    left = create("torch").run(network, images)
    wrong = small_network(size=(16, 24), num_steps=4)
    assert wrong.sha256 == network.sha256  # cached: only the integers differ
    synapse = wrong.layers[2].connections[0].synapse
    object.__setattr__(synapse, "weight", synapse.weight[:, :, ::-1, ::-1].copy())
    right = create("reference").run(wrong, images)
    write_report(folder, compare(left, right), left, right, network)
    return folder


@pytest.fixture(scope="module")
def everything(folder, tmp_path_factory):
    """A report of all that a page can show, but a failure."""
    place = tmp_path_factory.mktemp("everything")
    for file in folder.glob("*.png"):
        shutil.copy(file, place)
    record = json.loads((folder / "report.json").read_text())
    exact = {"identical": True, "verdict": "EXACT"}
    record |= {"failure": None, "legend": [["#ff9500", "missed"]], **exact}
    for comparison in record["comparisons"]:
        comparison |= {"mismatches": 0, "causes": [], **exact}
    points = {"activation": [0, 1, 2], "payload": [0, 1, 3]}
    rates = [
        {"layer": "down", "correlation": 0.98, **points},
        {"layer": "up", "correlation": None, "activation": [0, 0], "payload": [0, 0]},
    ]
    record["rates"] = [
        {"normalisation": n, "psnr": 30.0, "layers": rates}
        for n in ("connection", "layer")
    ]
    record["quality"] = {
        **{"noisy_psnr": 20.1, "ann_psnr": 30.0, "snn_psnr": 29.7, "chip_psnr": 29.5},
        **{"ann_ssim": 0.9, "chip_ssim": 0.85},
    }
    for index, picture in enumerate(record["pictures"]):
        picture["group"] = f"image {index // 2}"
    (place / "report.json").write_text(json.dumps(record))
    render_report(place)
    return place


def test_page_of_everything(everything):
    page = (everything / "report.html").read_text()
    assert "torch = reference: 35,328 payloads and outputs compared, all" in page
    assert "-0.20 dB to the one before" in page
    assert "<h3>image 1</h3>" in page
    assert "Calculated for Loihi 2: layers" in page
    assert "Calculated for Loihi 2: energy of one image" in page
    # A layer that never spikes has no plot.
    assert page.count("ANN activation and spike rate, down") == 1
    assert "ANN activation and spike rate, up" not in page


def test_page_without_a_verdict(tmp_path):
    record = {"title": "Set12", "quality": {"chip_f1_fov": 0.8123, "chip_f1": 0.7}}
    (tmp_path / "report.json").write_text(json.dumps(record))
    page = render_report(tmp_path).read_text()
    assert "<title>Set12</title>" in page
    assert "EXACT" not in page
    assert "0.8123" in page
    record["legend"] = [["red; background: url(x)", "x"]]
    (tmp_path / "report.json").write_text(json.dumps(record))
    with pytest.raises(ReportError, match=r"legend\.0\.0: String should match"):
        render_report(tmp_path)


def test_page_says_what_is_wrong(folder):
    page = (folder / "report.html").read_text()
    assert "FAIL" in page
    assert "First mismatch: mid" in page
    assert "kernel flipped" in page
    assert page.count("data:image/png;base64,") > 10


def test_page_needs_nothing_else(folder):
    page = (folder / "report.html").read_text()
    links = re.findall(r'\b(?:src|srcset|href)="([^"]*)"', page)
    assert "url(" not in page
    assert links
    assert all(link.startswith("data:") for link in links)
    # One script, which the policy names by its hash; no other can run.
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert page.count("<script") == 1


def test_rendered_again_from_the_json_alone(folder, tmp_path):
    for file in (folder / "report.json", *folder.glob("*.png")):
        shutil.copy(file, tmp_path)
    page = render_report(tmp_path / "report.json", tmp_path / "again.html")
    assert page.read_bytes() == (folder / "report.html").read_bytes()


def test_exact_without_network(tmp_path):
    network = small_network()
    images = np.zeros((1, 1, 8, 8), dtype=int)
    run = create("torch").run(network, images)
    write_report(tmp_path, compare(run, run), run, run)
    page = (tmp_path / "report.html").read_text()
    assert "EXACT" in page
    assert "FAIL" not in page
    assert "First mismatch" not in page


def test_page_says_what_was_not_compared(tmp_path):
    network = small_network()
    run = create("torch").run(network, np.zeros((1, 1, 8, 8), dtype=int))
    part = dataclasses.replace(run, output=None)
    write_report(tmp_path, compare(run, part), run, part, network)
    page = (tmp_path / "report.html").read_text()
    assert "<title>PARTIAL" in page
    assert "Not compared, torch and torch: output accumulator." in page
    assert "EXACT" not in page
    record = json.loads((tmp_path / "report.json").read_text())
    assert (record["verdict"], record["identical"]) == ("PARTIAL", False)


def test_page_of_a_failure_without_mismatches(tmp_path):
    network = small_network()
    images = np.arange(128).reshape(2, 1, 8, 8)
    run = create("torch").run(network, images)
    other = dataclasses.replace(run, images=images[::-1])
    found = explained(compare(run, other), run, other)
    write_report(tmp_path, found, run, other)
    page = (tmp_path / "report.html").read_text()
    assert "torch and torch differ: other images: 2 of 2 differ." in page
    assert "Likely cause: images: images in reverse order." in page


def test_a_report_from_before_there_was_partial(folder, tmp_path):
    record = json.loads((folder / "report.json").read_text())
    for part in (record, *record["comparisons"]):
        del part["verdict"]
    record["pictures"] = record["payloads"] = []
    (tmp_path / "report.json").write_text(json.dumps(record))
    assert '<p class="verdict bad">FAIL</p>' in render_report(tmp_path).read_text()


def test_other_network_is_refused(tmp_path):
    run = create("torch").run(small_network(), np.zeros((1, 1, 8, 8), dtype=int))
    with pytest.raises(RecordingError, match=r"^sha256 .* recorded was"):
        write_report(tmp_path, compare(run, run), run, run, small_network(seed=1))


def test_text_is_escaped_and_tables_are_shown(folder, tmp_path):
    record = json.loads((folder / "report.json").read_text())
    evil = "<script>alert(1)</script>"
    record |= {"title": evil, "pictures": [], "payloads": [], "failure": None}
    table = {"title": "Fit", "note": evil, "columns": ["chip"], "rows": [["L1"], [3]]}
    record["tables"] = [table]
    rates = {"layer": "a", "correlation": 0.5, "activation": [0, 1], "payload": [0, 1]}
    record["rates"] = [
        {"normalisation": n, "psnr": 30.0, "layers": [rates]}
        for n in ("connection", "layer")
    ]
    record["quality"] = {"ann_psnr": 30.0, "ann_ssim": 0.9, "chip_psnr": 29.5}
    (tmp_path / "report.json").write_text(json.dumps(record))
    page = render_report(tmp_path).read_text()
    assert evil not in page
    assert "&lt;script&gt;" in page
    assert "<h2>Fit</h2>" in page
    assert "-0.50 dB to the one before" in page
    assert "connection-wise" in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identical": "maybe"}, "identical: Input should be a valid boolean"),
        (
            {"pictures": [{"file": "../x.png", "title": ""}]},
            "a file beside report.json",
        ),
        ({"pictures": [{"file": "x.png", "title": ""}]}, "x.png: no readable PNG"),
        ({"comparisons": 1}, "comparisons: "),
    ],
)
def test_bad_report_is_one_line(folder, tmp_path, change, message):
    record = json.loads((folder / "report.json").read_text()) | change
    (tmp_path / "report.json").write_text(json.dumps(record))
    with pytest.raises(ReportError, match=message):
        render_report(tmp_path)


def test_missing_and_damaged_report(tmp_path):
    with pytest.raises(ReportError, match=r"a folder found, a report\.json needed"):
        read_report(tmp_path)
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(ReportError, match="content: Invalid JSON"):
        read_report(tmp_path)


def test_rate_records():
    x = np.arange(8.0).reshape(2, 2, 2)
    records = rate_records({"a": x, "b": 0 * x}, {"a": 2 * x, "b": x}, shown=("a",))
    assert records[0]["correlation"] == pytest.approx(1)
    points = sorted(zip(records[0]["activation"], records[0]["payload"], strict=True))
    assert points == [(v, 2 * v) for v in range(8)]
    assert records[1] == {"layer": "b", "correlation": None}


SEEN = """({
  broken: [...document.images].filter(i => i.hasAttribute("src") && !i.naturalWidth)
    .map(i => i.alt),
  images: document.images.length,
  overflow: document.documentElement.scrollWidth - innerWidth,
  width: innerWidth,
  page: getComputedStyle(document.querySelector("section")).backgroundColor,
  text: getComputedStyle(document.body).color,
  plot: document.querySelector(".plot source").srcset
    == document.querySelector(".plot img").currentSrc ? "dark" : "light",
  smallest: Math.min(...[...document.querySelectorAll("p, td, th, li")]
    .map(e => parseFloat(getComputedStyle(e).fontSize))),
  // Text that its own box cuts off, outside of what scrolls.
  cut: [...document.querySelectorAll("h1, h2, h3, p, li, figcaption")]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent),
})"""


@pytest.fixture(scope="module")
def tab():
    if CHROMIUM is None:
        pytest.skip("no chromium or google-chrome in PATH")
    with browser() as page:
        yield page


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["fail", "everything"])
def test_in_a_browser(folder, everything, tab, width, scheme, kind):
    path = {"fail": folder, "everything": everything}[kind] / "report.html"
    tab.open(path, width=width, scheme=scheme)
    seen = tab.evaluate(SEEN)
    assert tab.console == []
    assert seen["width"] == width
    assert seen["images"] > 5
    assert seen["broken"] == []
    assert seen["overflow"] == 0
    assert seen["cut"] == []
    assert seen["smallest"] >= 12
    dark, light = sorted(map(luminance, (seen["page"], seen["text"])))
    assert (luminance(seen["page"]) == light) == (scheme == "light")
    assert (light + 0.05) / (dark + 0.05) > 7  # WCAG 2 level AAA
    assert seen["plot"] == scheme


NAMELESS = """[...document.querySelectorAll("button, select, input, img, dialog")]
  .filter(e => !(e.getAttribute("aria-label") || e.alt || e.textContent.trim()
    || e.labels?.length) && e.getClientRects().length).map(e => e.outerHTML)"""
REACHABLE = """[...document.querySelectorAll("button, select, input, [tabindex='0']")]
  .filter(e => e.getClientRects().length && !e.closest("dialog")).length"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_keyboard_and_screen_reader_reach_everything(everything, tab, width):
    tab.open(everything / "report.html", width=width, scheme="light")
    assert tab.evaluate(NAMELESS) == []
    reached = set()
    for _ in range(tab.evaluate(REACHABLE)):
        press(tab, "Tab", 9)
        reached.add(
            tab.evaluate("""(() => {
            const e = document.activeElement, all = document.querySelectorAll("*");
            return [...all].indexOf(e); })()""")
        )
    assert len(reached) == tab.evaluate(REACHABLE) > 8
    # A picture enlarges by Enter, and Escape takes it away.
    tab.evaluate("document.querySelector('.enlarge').focus()")
    press(tab, "Enter", 13, text="\r")
    assert tab.evaluate("document.querySelector('dialog').open")
    large = "document.querySelector('dialog img').getBoundingClientRect().width"
    assert tab.evaluate(large) > 0.7 * min(width, 900)
    press(tab, "Escape", 27)
    assert not tab.evaluate("document.querySelector('dialog').open")
    assert tab.console == []


@pytest.mark.slow
def test_sliders(everything, tab):
    tab.open(everything / "report.html", width=1280, scheme="dark")
    compare = "document.querySelector('.compare')"
    assert not tab.evaluate(f"{compare}.hidden")
    tab.evaluate(f"{compare}.querySelector('input').focus()")
    before = tab.evaluate(f"{compare}.querySelector('.stage').style.cssText")
    press(tab, "ArrowRight", 39)
    after = tab.evaluate(f"{compare}.querySelector('.stage').style.cssText")
    assert (before, after) == ("--at: 50%;", "--at: 51%;")
    # The map moves to the next step, of any layer.
    record = json.loads((everything / "report.json").read_text())["payloads"]
    assert [item["layer"] for item in record][:2] == ["down", "pool"]
    tab.evaluate("""(() => { const s = document.querySelector('.maps select');
        s.value = 'map-1'; s.dispatchEvent(new Event('input')); })()""")
    tab.evaluate("document.querySelector('.maps input').focus()")
    press(tab, "ArrowRight", 39)
    said = tab.evaluate("document.querySelector('.maps output').textContent")
    share = 100 * record[1]["spiking"][1]
    assert said == f"step 2 of 4: {share:.2f} % of the layer's payloads are not 0"
    shown = "[...document.querySelectorAll('.maps figure')].filter(f => !f.hidden)"
    assert tab.evaluate(f"{shown}.map(f => f.id)") == ["map-1"]
    assert tab.evaluate(f"{shown}[0].querySelector('img').alt").endswith(said)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verdict_and_counts_are_whole_on_a_telephone(everything, tab, scheme):
    tab.open(everything / "report.html", width=390, scheme=scheme)
    cells = tab.evaluate("""[...document.querySelectorAll('.proof td')].map(e => {
        const box = e.getBoundingClientRect();
        return [e.innerText, box.left >= 0 && box.right <= innerWidth
          && e.scrollWidth <= e.clientWidth + 1]; })""")
    texts = [text for text, _ in cells]
    assert texts[:3] == ["torch = reference", "2 of 16x24", "4"]
    assert {"35,328", "EXACT"} < set(texts)
    assert all(whole for _, whole in cells)


@pytest.mark.slow
def test_pictures_use_the_width(everything, tab):
    tab.open(everything / "report.html", width=1280, scheme="light")
    widths = tab.evaluate("""[...document.querySelectorAll('.row')].map(row =>
        row.querySelector('img').getBoundingClientRect().width)""")
    assert min(widths) > 300


def press(tab, key, code, text=""):
    """Press and release a key."""
    values = {"key": key, "code": key, "windowsVirtualKeyCode": code}
    down = values | ({"text": text} if text else {})
    tab.call("Input.dispatchKeyEvent", type="keyDown", **down)
    tab.call("Input.dispatchKeyEvent", type="keyUp", **values)


@pytest.mark.slow
def test_the_browser_sees_what_is_wrong(tab, tmp_path):
    (tmp_path / "bad.html").write_text(
        "<!doctype html><meta name=viewport content='width=device-width'>"
        "<img src=no.png><p style='width:900px'>x<script>nope()</script>"
    )
    tab.open(tmp_path / "bad.html", width=390, scheme="light")
    assert tab.evaluate("document.documentElement.scrollWidth > 600")
    assert tab.evaluate("document.images[0].naturalWidth") == 0
    text = " ".join(tab.console)
    tab.console.clear()
    assert "nope is not defined" in text
    assert "no.png" in text


def luminance(colour):
    """Relative luminance of ``rgb(r, g, b)`` (WCAG 2)."""
    values = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values
    ]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_network_can_be_of_another_size(tmp_path):
    network = small_network(size=(16, 24), num_steps=4)
    images = np.zeros((1, 1, 8, 8), dtype=int)
    run = create("torch").run(network.resized(8, 8), images)
    run = dataclasses.replace(run, network_sha256=None)
    write_report(tmp_path, compare(run, run), run, run, network)
    assert (tmp_path / "left.png").exists()
