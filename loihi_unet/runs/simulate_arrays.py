# SPDX-License-Identifier: BSD-3-Clause
"""Networks of stock neurons on integers from ``.npy`` files."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.files.kind import expect
from export.stock_network import StockNetwork
from loihi_unet.errors import DataError
from loihi_unet.runs.totals import Totals
from sim.backend import BackendError, Progress, create
from sim.recording import Recording
from sim.recording_file import write_recording


def load_runs(
    paths: list[Path], network: StockNetwork, num_steps: int | None = None
) -> tuple[StockNetwork, NDArray[np.signedinteger[Any]]]:
    """Read the input of all runs, and set the network's T to fit it.

    Parameters
    ----------
    paths : list[Path]
        ``.npy`` files in the axis order of this project: (C, H, W) for a constant
        input, (T, C, H, W) for one that changes; with one more axis for several runs.
    network : StockNetwork
        What will run.
    num_steps : int, optional
        T; if None that of the frames, or of `network` where the input is constant.

    Returns
    -------
    StockNetwork, ndarray
        With that T, and its input, checked.

    Raises
    ------
    DataError
        If a file is no array of integers, or the files differ in shape.
    NetworkError, RangeError
        If the network cannot take what they hold.
    """
    ndim = len(network.input.shape) + (1 if network.input.changes else 0)
    runs = [run for path in paths for run in _read(path, ndim)]
    shapes = {run.shape for run in runs}
    if len(shapes) > 1:
        raise DataError(f"arrays of shapes {sorted(shapes)} found, one shape needed")
    if num_steps is None and network.input.changes:
        num_steps = len(runs[0])
    if num_steps is not None:
        network = dataclasses.replace(network, num_steps=num_steps)
    return network, network.check_runs(np.stack(runs))


def _read(path: Path, ndim: int) -> list[NDArray[np.signedinteger[Any]]]:
    """Runs in one file, each of so many axes."""
    expect(path, "npy", error=DataError)
    try:
        # Mapped first: a header that promises more than the file holds is refused.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        line = str(error).splitlines()[0]
        raise DataError(f"{path}: not a .npy array ({line})") from error
    if array.dtype.kind not in "iu" or array.ndim not in (ndim, ndim + 1):
        raise DataError(
            f"{path}: dtype {array.dtype} with {array.ndim} axes found, integers with "
            f"{ndim} axes needed, or {ndim + 1} for several runs"
        )
    return list(np.array(array if array.ndim > ndim else array[None]))


def record_both(
    network: StockNetwork, path: Path, backends: tuple[str, str]
) -> tuple[Recording, Recording]:
    """Run two backends on one array.

    Parameters
    ----------
    network : StockNetwork
        What runs.
    path : Path
        As in `load_runs`.
    backends : tuple of str
        Two different names that `sim.backend.create` knows.

    Returns
    -------
    Recording, Recording
        Everything that both recorded.

    Raises
    ------
    BackendError
        If the two backends are one, or one does not exist.
    DataError, UserError
        As `load_runs` and the backends.
    """
    if backends[0] == backends[1]:
        raise BackendError(f"verify: backend '{backends[0]}' twice; two needed")
    left, right = (create(name) for name in backends)
    network, inputs = load_runs([path], network)
    return left.run(network, inputs), right.run(network, inputs)


def run_arrays(
    network: StockNetwork,
    paths: list[Path],
    recording: Path,
    *,
    backend: str,
    num_steps: int | None,
    layers: tuple[str, ...] | None,
    progress: Progress,
) -> dict[str, Any]:
    """Run a network of stock neurons on arrays, and write its recording.

    Parameters
    ----------
    network : StockNetwork
        What runs.
    paths, num_steps
        As in `load_runs`.
    recording : Path
        HDF5 file to write.
    backend : str
        A name that `sim.backend.create` knows.
    layers : tuple of str or None
        Layers to record; None means all.
    progress : callable
        Called with (steps or images done, all of them).

    Returns
    -------
    dict[str, Any]
        As `loihi_unet.runs.totals.Totals.result`.

    Raises
    ------
    DataError, UserError
        As `load_runs` and the backend.
    """
    simulator = create(backend)
    network, inputs = load_runs(paths, network, num_steps)
    recorded = simulator.run(network, inputs, layers=layers, progress=progress)
    write_recording(recorded, recording)
    total = Totals(network, layers)
    total.add(recorded)
    return total.result(recorded.backend, recording)
