# SPDX-License-Identifier: BSD-3-Clause
"""The page: pictures and plots inlined, nothing from the network.

Its one script is named by its hash in the page's security policy: no other runs.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from export.files.atomic import write_text
from loihi_unet.report import figures, head
from loihi_unet.report.difference import EQUAL, LESS, MORE
from loihi_unet.report.schema import (
    PayloadMap,
    Picture,
    Rate,
    Report,
    ReportError,
    Zoom,
    read_report,
)

OUTPUT = "output accumulator"  # what `sim.verify.comparison` calls the last layer's
ZOOMED = 288  # pixels of a detail's side


def render_report(source: Path, out: Path | None = None) -> Path:
    """Render a report.json.

    Parameters
    ----------
    source : Path
        report.json or its folder; its pictures are files beside it.
    out : Path or None
        HTML file; None for ``report.html`` beside the report.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    ReportError
        If the report or a picture cannot be read.
    """
    report = read_report(source)
    folder = source if source.is_dir() else source.parent
    out = out or folder / "report.html"
    write_text(out, page(report, folder))
    return out


def page(report: Report, folder: Path) -> str:
    """HTML of a report whose pictures lie in ``folder``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("loihi_unet.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "uri": _uri,
        "percent": lambda share: f"{100 * share:.2f} %",
        "number": head.number,
        "pictures": head.pictures,
        "covered": head.covered,
    }
    environment.filters |= filters
    script = _text("page.js")
    return environment.get_template("report.html.j2").render(
        report=report,
        style=_text("style.css"),
        script=script,
        script_hash=_hash(script),
        groups=_groups(report, folder),
        maps=[_map(folder, item) for item in report.payloads],
        signed=(LESS, EQUAL, MORE),
        settings=head.settings(report),
        rungs=head.rungs(report),
        statement=head.statement(report),
        mismatches=_mismatches(report),
        plots=_plots(report),
        failed=next((c for c in report.comparisons if c.word == "FAIL"), None),
    )


def _text(name: str) -> str:
    folder = resources.files("loihi_unet.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _png(folder: Path, file: str) -> tuple[bytes, Image.Image]:
    """Bytes of a picture beside report.json, and what they show."""
    if Path(file).name != file:
        raise ReportError(f"picture '{file}': a file beside report.json needed")
    try:
        data = (folder / file).read_bytes()
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
            return data, image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ReportError(f"{folder / file}: no readable PNG ({error})") from error


def _picture(folder: Path, item: Picture, zoom: Zoom | None) -> dict[str, Any]:
    """Bytes of a picture and of its detail."""
    data, image = _png(folder, item.file)
    return {
        "title": item.title,
        "png": data,
        "size": image.size,
        "detail": None if zoom is None else _detail(image, zoom),
        "scale": item.scale,
        "legend": item.legend,
    }


def _map(folder: Path, item: PayloadMap) -> dict[str, Any]:
    data, image = _png(folder, item.file)
    return {"map": item, "png": data, "size": image.size}


def _detail(image: Image.Image, zoom: Zoom) -> bytes:
    box = (zoom.left, zoom.top, zoom.left + zoom.size, zoom.top + zoom.size)
    detail = image.crop(box).resize((ZOOMED, ZOOMED), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    detail.save(buffer, format="PNG")
    return buffer.getvalue()


def _groups(report: Report, folder: Path) -> list[dict[str, Any]]:
    """Pictures in rows, each with its title."""
    rows: list[dict[str, Any]] = []
    for item in report.pictures:
        if not rows or rows[-1]["title"] != item.group:
            rows.append({"title": item.group, "pictures": []})
        rows[-1]["pictures"].append(_picture(folder, item, report.zoom))
    for row in rows:
        sizes = [picture["size"] for picture in row["pictures"]]
        # Those of the first one's size can lie over each other.
        row["comparable"] = [i for i, size in enumerate(sizes) if size == sizes[0]]
    return rows


def _mismatches(report: Report) -> dict[str, int]:
    """Mismatches of each layer, over all comparisons."""
    total: dict[str, int] = {}
    last = report.layers[-1].name if report.layers else ""
    for comparison in report.comparisons:
        for layer in comparison.layers:
            name = last if layer.name == OUTPUT else layer.name
            total[name] = total.get(name, 0) + layer.mismatches
    return total


def _plots(report: Report) -> dict[str, Any]:
    plots: dict[str, Any] = {"rates": _rates(report)}
    if any(layer.histogram for layer in report.layers):
        plots["payloads"] = figures.payloads(report.layers)
    if any(layer.headroom_bits is not None for layer in report.layers):
        plots["headroom"] = figures.headroom(report.layers)
    failure = report.failure
    failed = next((c for c in report.comparisons if c.word == "FAIL"), None)
    if failure is not None and failed is not None:
        sides = (failed.left, failed.right)
        plots["differences"] = figures.differences(failure)
        if failure.potentials_left:
            plots["potential"] = figures.potential(failure, *sides)
        if failure.payloads_left:
            plots["sent"] = figures.sent(failure, *sides)
    return plots


def _rates(report: Report) -> list[figures.Plot]:
    """One plot for each layer whose points are stored, with all normalisations."""
    by_layer: dict[str, list[tuple[str, Rate]]] = {}
    for rates in report.rates:
        for item in rates.layers:
            if item.activation and item.correlation is not None:
                by_layer.setdefault(item.layer, []).append((rates.normalisation, item))
    return [figures.rate(items) for items in by_layer.values()]
