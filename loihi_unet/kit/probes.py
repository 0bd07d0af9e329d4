# SPDX-License-Identifier: BSD-3-Clause
"""Questions to a chip as files, and a chip's answers to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.files.atomic import atomic, write_text
from export.netx import write_network
from loihi_unet.errors import DataError
from loihi_unet.kit.probes_page import page
from loihi_unet.kit.unread import NOT_READ
from sim.probes.all import probes
from sim.probes.probe import Probe

ANSWERS = "answers.npz"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a chip has answered to one question.

    Parameters
    ----------
    probe : Probe
        The question.
    answer : int or None
        Index in ``probe.answers``; None if the chip does something else, or was not
        asked.
    state : {"as simulated", "otherwise", "unknown", "not read"}
        ``"unknown"`` is none of the answers.
    text : str
        The answer in words; for an unknown one where it leaves the nearest.
    """

    probe: Probe
    answer: int | None
    state: str
    text: str

    @property
    def then(self) -> str:
        """What that means for an exported network; empty where nothing changes."""
        return "" if self.answer is None else self.probe.answers[self.answer].then

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.probe.name,
            "question": self.probe.question,
            "state": self.state,
            "answer": self.text,
            "then": self.then,
        }


def write_probes(folder: Path) -> dict[str, Any]:
    """Write every probe's network, input and possible recordings, and a template.

    Parameters
    ----------
    folder : Path
        Made if it is missing.

    Returns
    -------
    dict of str to JSON value
        ``out``, ``probes`` (their names) and ``read``, the command that reads answers.

    Raises
    ------
    DataError
        If there are answers in the folder, which would be lost.
    UserError
        If a file cannot be written.
    """
    answers = folder / ANSWERS
    if answers.exists():
        raise DataError(
            f"{answers}: there already, it may hold answers; another --out needed"
        )
    every = probes()
    for name, probe in every.items():
        write_network(probe.network, folder / f"{name}.net")
        with atomic(folder / f"{name}.npy") as path, path.open("wb") as file:
            np.save(file, probe.images)
        possible = {f"answer{i}": r for i, r in enumerate(probe.recordings)}
        _write_arrays(folder / f"{name}.possible.npz", possible)
    read = f"loihi-unet probes {answers}"
    write_text(folder / "README.md", page(every, read))
    empty = {n: np.full(p.shape, NOT_READ, np.int32) for n, p in every.items()}
    _write_arrays(answers, empty)
    return {"out": str(folder), "probes": list(every), "read": read}


def _write_arrays(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_answers(path: Path) -> list[Finding]:
    """Read what a chip recorded, and say which answers it has given.

    Parameters
    ----------
    path : Path
        ``.npz`` file of an array of integers for each probe, by its name: (steps,
        neurons). What is missing, or still the template's, counts as not read.

    Returns
    -------
    list of Finding
        One for each probe.

    Raises
    ------
    DataError
        If the file is no such file, or an array has another name or shape.
    """
    every, arrays = probes(), _arrays(path)
    for name in arrays:
        if name not in every:
            raise DataError(f"{path}: '{name}' found; allowed: {', '.join(every)}")
    return [
        _finding(path, probe, arrays.get(name, np.full(probe.shape, NOT_READ)))
        for name, probe in every.items()
    ]


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise DataError(f"{path}: one array found, a .npz of arrays needed")
        with loaded as file:
            return {name: file[name] for name in file.files}
    except DataError:
        raise
    except OSError as error:
        if error.filename is None:
            raise DataError(f"{path}: no .npz of arrays, or damaged") from error
        raise
    except Exception as error:  # a damaged archive may raise anything
        raise DataError(f"{path}: no .npz of arrays, or damaged") from error


def _finding(path: Path, probe: Probe, answer: npt.NDArray[Any]) -> Finding:
    where = f"{path}: '{probe.name}'"
    if answer.dtype.kind not in "iub":
        raise DataError(f"{where}: {answer.dtype} found, integers needed")
    if answer.shape != probe.shape:
        raise DataError(
            f"{where}: shape {answer.shape} found, {probe.shape} needed "
            "(steps, neurons)"
        )
    recorded = answer.astype(np.int64)
    if (recorded == NOT_READ).all():
        return Finding(probe=probe, answer=None, state="not read", text="")
    index = probe.answered(recorded)
    if index is None:
        text = _nearest(probe, recorded)
        return Finding(probe=probe, answer=None, state="unknown", text=text)
    state = "otherwise" if index else "as simulated"
    return Finding(
        probe=probe, answer=index, state=state, text=probe.answers[index].text
    )


def _nearest(probe: Probe, answer: npt.NDArray[np.int64]) -> str:
    """Where a recording first leaves the answer that it is nearest to."""
    differ = [recording != answer for recording in probe.recordings]
    index = min(range(len(differ)), key=lambda i: int(differ[i].sum()))
    step, neuron = (int(n) for n in np.argwhere(differ[index])[0])
    wanted = probe.recordings[index][step, neuron]
    return (
        f"none of these; nearest: {probe.answers[index].text}, but step {step}, neuron "
        f"{neuron} is {answer[step, neuron]} instead of {wanted}, and "
        f"{int(differ[index].sum())} of {answer.size} values differ"
    )
