# SPDX-License-Identifier: BSD-3-Clause
"""From a NIR file to a stock network, and what is said about it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.errors import UserError
from export.files.kind import expect
from export.netx import write_network
from export.stock_network import StockNetwork
from export.synapse import IntArray
from loihi_unet.frontend.nir.agreement import (
    Agreement,
    agreement,
    crowded,
    run_integers,
)
from loihi_unet.frontend.nir.express import step_of
from loihi_unet.frontend.nir.floats import FloatRun, run_floats
from loihi_unet.frontend.nir.graph import Graph
from loihi_unet.frontend.nir.neurons import delay_steps
from loihi_unet.frontend.nir.primitives import NIRError
from loihi_unet.frontend.nir.quantise import Error
from loihi_unet.frontend.nir.read import read_graph
from loihi_unet.frontend.nir.restore import restore
from loihi_unet.frontend.nir.shapes import infer, three
from loihi_unet.frontend.nir.stock import Lowered, Lowering
from sim.recording import Payload


@dataclass(frozen=True, eq=False)
class Converted:
    """A stock network from NIR.

    Attributes
    ----------
    network : StockNetwork
    errors : tuple of Error
        What rounding did to every parameter; empty for integers that were ours.
    proofs : dict of str to str
        Per layer, why its states keep within 24 bits.
    agreement : tuple of Agreement
        Empty without data.
    """

    network: StockNetwork
    errors: tuple[Error, ...] = ()
    proofs: dict[str, str] = dataclasses.field(default_factory=dict)
    agreement: tuple[Agreement, ...] = ()

    def record(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "sha256": self.network.sha256,
            "sha256_any_size": self.network.sha256_any_size,
            "num_steps": self.network.num_steps,
            "errors": [dataclasses.asdict(row) for row in self.errors],
            "within_24_bits": self.proofs,
            "agreement": [dataclasses.asdict(row) for row in self.agreement],
        }


def convert_nir(
    source: str | Path,
    out: str | Path,
    dt: float | None = None,
    data: str | Path | None = None,
) -> Converted:
    """Convert a NIR file and write the network.

    Parameters
    ----------
    source : str or Path
        NIR file.
    out : str or Path
        Network file to write.
    dt : float, optional
        Seconds of a step; a file that holds our integers needs none.
    data : str or Path, optional
        ``.npy`` of integers, (T, C, H, W) or (runs, T, C, H, W), or in NIR's own
        shape with T in front.

    Returns
    -------
    Converted

    Raises
    ------
    UserError
        If the file, dt or the data cannot be used.
    """
    path = Path(source)
    graph = read_graph(path)
    try:
        restored = restore(graph)
        frames = None if data is None else load_frames(Path(data), graph)
        if restored is None:
            result = convert(graph, _step(dt), frames)
        else:
            result = _restored(restored, graph, dt, frames)
    except NIRError as error:
        raise NIRError(f"{path}: {error}") from None
    write_network(result.network, Path(out))
    return result


def _restored(
    network: StockNetwork, graph: Graph, dt: float | None, frames: IntArray | None
) -> Converted:
    """Integers that were ours, beside what their nodes say."""
    recorded_dt = step_of(network)
    if dt is not None and not np.isclose(dt, recorded_dt):
        raise NIRError(f"--dt {dt}: its integers are those of dt {recorded_dt}")
    if frames is None:
        return Converted(network)
    run = run_floats(graph, frames.astype(np.float64), recorded_dt)
    rows = agreement(network, run, run_integers(network, frames))
    return Converted(network, agreement=tuple(rows))


def _step(dt: float | None) -> float:
    if dt is None:
        raise NIRError(
            "--dt SECONDS needed: a NIR graph does not say how long a step is"
        )
    if not (np.isfinite(dt) and dt > 0):
        raise NIRError(f"--dt {dt}: a number of seconds above 0 needed")
    return dt


def convert(graph: Graph, dt: float, frames: IntArray | None = None) -> Converted:
    """Convert a graph.

    Parameters
    ----------
    graph : Graph
    dt : float
        Seconds of a step.
    frames : ndarray of int, shape (runs, T, C, H, W), optional
        Input on which scales are chosen, and the float network is compared.

    Raises
    ------
    NIRError
        If the graph has no stock network.
    OverflowLayerError
        If a sum leaves 24 bits on the data.
    """
    if frames is None:
        made = Lowering(graph, dt).lower()
        return _result(made, graph)
    values = (min(0, int(frames.min())), max(1, int(frames.max())))
    Lowering(graph, dt, values)  # refuses what the float network would stumble over
    run = run_floats(graph, frames.astype(np.float64), dt)
    lowering = Lowering(graph, dt, values, run)
    while True:
        made = lowering.lower(frames.shape[1])
        traces = run_integers(made.network, frames)
        tight = [name for name in crowded(traces) if name in made.layers]
        if not tight:
            return _result(made, graph, run, traces)
        for name in set(tight):
            lowering.halve(name)


def _result(
    made: Lowered,
    graph: Graph,
    run: FloatRun | None = None,
    traces: dict[str, Payload] | None = None,
) -> Converted:
    rows: list[Agreement] = []
    if run is not None and traces is not None:
        rows = agreement(made.network, run, traces)
    errors = [row for layer in made.layers.values() for row in layer.errors]
    errors += _delay_errors(graph, step_of(made.network))
    return Converted(
        made.network,
        tuple(errors),
        {name: layer.proof for name, layer in made.layers.items()},
        tuple(rows),
    )


def _delay_errors(graph: Graph, dt: float) -> list[Error]:
    rows = []
    for node in graph.of_kind("Delay"):
        meant = node.array("delay") / dt
        steps = delay_steps(node, meant.shape, dt)
        largest = float(meant.max())
        rows.append(
            Error(
                layer=node.name,
                parameter="delay in steps",
                nir=(float(meant.min()), largest),
                integers=(int(steps.min()), int(steps.max())),
                error=float(np.abs(steps - meant).max()) / largest if largest else 0.0,
            )
        )
    return rows


def load_frames(path: Path, graph: Graph) -> IntArray:
    """Input of all runs, shape (runs, T, C, H, W), from a ``.npy`` file.

    Raises
    ------
    UserError
        If the file is no array of integers of the graph's input shape.
    """
    expect(path, "npy")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        line = (str(error).splitlines() or [repr(error)])[0]
        raise UserError(f"{path}: not a .npy array ({line})") from error
    shape = infer(graph)[graph.input.name]
    full = three(shape)
    if array.dtype.kind not in "iub":
        raise UserError(f"{path}: dtype {array.dtype} found, integers needed")
    for frame_shape in (full, shape):
        lead = array.ndim - len(frame_shape)
        if lead in (1, 2) and array.shape[lead:] == frame_shape and array.size:
            frames = np.array(array).astype(np.int64)
            return frames.reshape(-1 if lead == 2 else 1, array.shape[lead - 1], *full)
    raise UserError(
        f"{path}: shape {array.shape} found, (T, {', '.join(map(str, full))}) needed, "
        "or one more axis in front for several runs"
    )
