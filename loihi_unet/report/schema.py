# SPDX-License-Identifier: BSD-3-Clause
"""What report.json may hold; a reader of it needs nothing else but its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from export.errors import UserError, first_problem
from export.files.kind import expect

Verdict = Literal["EXACT", "PARTIAL", "FAIL"]
Grid = tuple[tuple[int, ...], ...]
# It goes into a style attribute.
Colour = Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]


class ReportError(UserError):
    """A report.json, or a picture that it names, cannot be used."""


class _Record(BaseModel):
    # Other keys are for other readers.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Mismatch(_Record):
    """The first value of a layer that differs."""

    image: int
    step: int
    c: int
    y: int
    x: int
    left: int
    right: int


class ComparedLayer(_Record):
    """One layer of a comparison."""

    name: str
    compared: int
    mismatches: int
    first: Mismatch | None = None


class Share(_Record):
    """How many of some numbers had a say."""

    met: int
    total: int


class Covered(_Record):
    """What the compared images exercised; fields as in `sim.coverage`."""

    weights: Share | None = None
    biases: Share | None = None
    thresholds: Share | None = None
    not_counted: str | None = None


class Compared(_Record):
    """Two backends on the same images.

    Attributes
    ----------
    sizes : tuple of (int, int, int)
        Number, height and width of the images that were compared.
    coverage : Covered or None
        None: nobody asked.
    """

    left: str
    right: str
    images: int
    steps: int
    compared: int
    mismatches: int
    identical: bool
    same_network: bool
    layers: tuple[ComparedLayer, ...]
    verdict: Verdict | None = None
    sizes: tuple[tuple[int, int, int], ...] = ()
    coverage: Covered | None = None
    reasons: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

    @property
    def word(self) -> Verdict:
        """The verdict; of a report from before there was PARTIAL as well."""
        return self.verdict or ("EXACT" if self.identical else "FAIL")


class Picture(_Record):
    """A PNG beside report.json; pictures of one group are shown in a row.

    Attributes
    ----------
    scale : float or None
        Of a signed difference: gray levels at which its colours are full.
    legend : tuple of (str, str)
        Colour and meaning of what is drawn in this one.
    """

    file: str
    title: str
    group: str = ""
    scale: float | None = None
    legend: tuple[tuple[Colour, str], ...] = ()


class PayloadMap(_Record):
    """What a layer sent at each step, of the first image: a PNG beside report.json.

    Attributes
    ----------
    steps, channels : int
        How many there are in the file, of ``of_steps`` and ``of_channels``; steps
        below each other, each a mosaic with so many ``columns``.
    window : tuple of int
        Top, left, height and width of what is shown, of ``of_size``.
    lowest, highest : int
        Payloads of the first and last colour.
    spiking : tuple of float
        Share of all the layer's payloads that are not 0, step by step.
    """

    layer: str
    file: str
    steps: Annotated[int, Field(gt=0)]
    of_steps: int
    channels: int
    of_channels: int
    columns: int
    window: tuple[int, int, int, int]
    of_size: tuple[int, int]
    lowest: int
    highest: int
    spiking: tuple[float, ...]


class Zoom(_Record):
    """Square of the pictures that is shown enlarged."""

    top: int
    left: int
    size: int


class LayerRecord(_Record):
    """What a layer did; fields as in `sim.verify.layer_report.LayerReport`."""

    name: str
    shape: tuple[int, int, int]
    spike_rate: float | None = None
    histogram: tuple[int, ...] = ()
    saturated: float | None = None
    potential: tuple[int, int] | None = None
    headroom_bits: float | None = None


class Rate(_Record):
    """Activations of a layer's compartments and what they sent, in one unit."""

    layer: str
    correlation: float | None
    activation: tuple[float, ...] = ()
    payload: tuple[float, ...] = ()


class Rates(_Record):
    """Rates of all layers under one normalisation."""

    normalisation: str
    psnr: float | None = None
    layers: tuple[Rate, ...]


class SourceRecord(_Record):
    """One connection into the compartment that differs first."""

    name: str
    rows: tuple[int, int]
    columns: tuple[int, int]
    left: tuple[int, ...]
    right: tuple[int, ...]


class Failure(_Record):
    """As `sim.verify.diagnose.Diagnosis`."""

    layer: str
    first: Mismatch
    differences: tuple[tuple[int, int], ...]
    top: int
    leftmost: int
    neighbourhood_left: Grid
    neighbourhood_right: Grid
    payloads_left: tuple[int, ...]
    payloads_right: tuple[int, ...]
    potentials_left: tuple[int, ...]
    potentials_right: tuple[int, ...]
    thresholds: tuple[int, ...]
    sources: tuple[SourceRecord, ...]
    causes: tuple[str, ...]
    remark: str = ""


class Table(_Record):
    """Any table to be shown as it is: fit, energy."""

    title: str
    note: str = ""
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]


class Report(_Record):
    """One run of ``demo``, ``verify`` or ``evaluate``.

    Attributes
    ----------
    verdict : str or None
        That of all comparisons; None where nothing was compared.
    identical : bool or None
        Whether it is EXACT.
    torch_only : tuple of str
        What ran on one backend only and is proven by no comparison.
    quality : dict[str, float]
        ``<rung>_<measure>`` of one picture or of a set: rungs ``noisy, ann, snn,
        chip``, measures as `loihi_unet.runs.evaluate_set` names them (``psnr`` in dB).
    pictures : tuple of Picture
        In the order in which they are shown.
    legend : tuple of (str, str)
        Colour (``#rrggbb``) and meaning, of what is drawn over pictures.
    failure : Failure or None
        Of the first comparison that failed.
    tables : tuple of Table
        Appended by whoever has more to tell.
    """

    title: str = "report"
    verdict: Verdict | None = None
    identical: bool | None = None
    network_sha256: str | None = None
    network_sha256_any_size: str | None = None
    comparisons: tuple[Compared, ...] = ()
    torch_only: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    quality: dict[str, float] = {}
    seconds: dict[str, float] = {}
    versions: dict[str, str] = {}
    settings: dict[str, Any] = {}
    pictures: tuple[Picture, ...] = ()
    legend: tuple[tuple[Colour, str], ...] = ()
    zoom: Zoom | None = None
    layers: tuple[LayerRecord, ...] = ()
    payloads: tuple[PayloadMap, ...] = ()
    rates: tuple[Rates, ...] = ()
    failure: Failure | None = None
    tables: tuple[Table, ...] = ()

    @property
    def word(self) -> Verdict | None:
        """The verdict; of a report from before there was PARTIAL as well."""
        if self.verdict is not None or self.identical is None:
            return self.verdict
        return "EXACT" if self.identical else "FAIL"


def read_report(path: Path) -> Report:
    """Read a report.json.

    Parameters
    ----------
    path : Path
        The file, or its folder.

    Returns
    -------
    Report
        Checked.

    Raises
    ------
    ReportError
        If it is missing or not a report: one line naming the first wrong key.
    """
    if (path / "report.json").is_file():
        path = path / "report.json"
    expect(path, "report", "json", error=ReportError)
    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise ReportError(f"{path}: {first_problem(error)}") from None
