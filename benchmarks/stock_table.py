# SPDX-License-Identifier: BSD-3-Clause
"""Stock files on every backend, beside stock netx: docs/netx_stock_table.json, .md.

    python benchmarks/stock_table.py FOLDER ...    # of .net files; needs lava-dl

Also trains a small U-Net in slayer, exports it by slayer's own calls and runs it. What
is found is written at once: `--only TEXT` does the files whose name has it, `--timed`
and `--toy` one part, and all leave the rest as it was. `--render` only writes the page
again.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from stock_page import render
from stock_toy import toy_unet

import sim.lava.mends  # noqa: F401  before anything of Lava
from export.errors import NetworkError
from export.files.atomic import write_text
from export.netx import StockOptions, read_stock
from export.stock_network import StockNetwork
from export.synapse import ConvTranspose, Injection
from sim.backend import create
from sim.verify.comparison import compare

DOCS = Path(__file__).parents[1] / "docs"
STEPS = 12
#: Products a step from which on a file is large: then the slow backends run fewer
#: steps, and stock netx with our Conv.
LARGE, LARGE_STEPS = 10**8, 2
#: netx's arguments that a file's own tutorial gives.
ARGUMENTS = {"yolo_kp4.net": {"spike_exp": 4}, "ntidigits.net": {"num_layers": 5}}
#: Files that are timed, ten steps each.
TIMED = ("pilotnet_sdnn.net", "yolo_kp4.net")


def upstream() -> Path:
    """lava-dl's own files, in its wheel."""
    import lava.lib.dl.netx as netx

    return Path(str(netx.__file__)).parents[4] / "tests" / "lava/lib/dl/netx"


def values_for(network: StockNetwork, rng: np.random.Generator) -> np.ndarray:  # type: ignore[type-arg]
    """Random input of one run."""
    shape = network.input.shape
    if not network.input.changes:
        return rng.integers(0, 120, (1, *shape))
    frames = (1, network.num_steps, *shape)
    if network.input.maximum == 1:
        return (rng.random(frames) < 0.2).astype(np.int32)
    still = rng.integers(0, 30, shape)
    moving = [np.roll(still, t, axis=-1) for t in range(network.num_steps)]
    return np.stack(moving)[None]


def products(network: StockNetwork) -> int:
    """Multiplications a step, roughly: weights times positions."""
    total = 0
    for layer in network.layers:
        for c in layer.connections:
            if isinstance(c.synapse, Injection):
                continue
            transposed = isinstance(c.synapse, ConvTranspose)
            shape = network.nodes[c.source].shape if transposed else layer.shape
            total += c.synapse.weight.size * shape[1] * shape[2]
    return total


def netx_output(
    path: Path,
    network: StockNetwork,
    values: Any,
    steps: int,
    arguments: dict[str, int],
    own_conv: bool,
) -> tuple[Any, float]:
    """Output of stock netx, (T, ...), and seconds of its steps after the first."""
    from lava.lib.dl import netx
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc import io
    from lava.proc.conv.process import Conv

    from sim.lava.conv import PyFastConvModel

    more = {**arguments, "input_shape": network.input.shape[::-1]}
    net = netx.hdf5.Network(net_config=str(path), **more)
    first = net.in_layer
    injected = isinstance(network.layers[0].connections[0].synapse, Injection)
    if not network.input.changes:
        first.neuron.bias_mant.init = values[0].transpose(2, 1, 0).reshape(first.shape)
    else:
        frames = values[0, :steps].transpose(3, 2, 1, 0)
        port = first.neuron.a_in if injected else first.inp
        source = io.source.RingBuffer(data=frames.reshape(*port.shape, steps))
        source.s_out.connect(port)
    sink = io.sink.RingBuffer(shape=net.out.shape, buffer=steps)
    net.out.connect(sink.a_in)
    models = {} if own_conv else {Conv: PyFastConvModel}
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)
    try:
        net.run(RunSteps(num_steps=1), config)
        started = time.perf_counter()
        if steps > 1:
            net.run(RunSteps(num_steps=steps - 1), config)
        seconds = time.perf_counter() - started
        data = sink.data.get()
    finally:
        net.stop()
    axes = (*range(data.ndim - 1),)
    return np.moveaxis(data, -1, 0).transpose(0, *(a + 1 for a in axes[::-1])), seconds


def row_of(path: Path, rng: np.random.Generator) -> dict[str, Any]:
    """One file: read, run on every backend, and beside stock netx."""
    arguments = ARGUMENTS.get(path.name, {})
    name = f"{path.parent.name}/{path.name}"
    row: dict[str, Any] = {"file": name, "arguments": arguments}
    try:
        network = read_stock(path, StockOptions(num_steps=STEPS, **arguments))
    except NetworkError as error:
        text = str(error).removeprefix(f"{path}: ")
        return row | {"reads": f"refused: {text}"}
    values = values_for(network, rng)
    large = products(network) > LARGE
    backends = ["torch", "reference", "lava", "lava-stock"]
    first = create("torch").run(network, values)
    steps = LARGE_STEPS if large else STEPS
    part = replace(network, num_steps=steps)
    cut = values[:, :steps] if network.input.changes else values
    left, *others = [create(name).run(part, cut) for name in backends]
    row |= {
        "reads": f"{len(network.layers)} layers",
        "backends": backends,
        "steps": steps,
        "exact": all(compare(left, other).identical for other in others),
        "spikes": int(np.count_nonzero(first.payloads[network.output.name])),
    }
    payload = first.payloads[network.output.name][0]
    try:
        output, _ = netx_output(path, network, values, STEPS, arguments, not large)
    except (NotImplementedError, RuntimeError, OverflowError, ValueError) as error:
        return row | {"netx": f"does not load it ({type(error).__name__})"}
    same = bool((payload.reshape(STEPS, -1) == output.reshape(STEPS, -1)).all())
    return row | {"netx": "equal" if same else "differs"}


def _children() -> float:
    """Processor seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(path: Path, rng: np.random.Generator) -> dict[str, Any]:
    """Ten steps on torch and in stock netx, of a large file two steps, in one run."""
    arguments = ARGUMENTS.get(path.name, {})
    network = read_stock(path, StockOptions(num_steps=10, **arguments))
    measured = 2 if products(network) > LARGE else 9  # after a first step
    values = values_for(network, rng)
    torch, wanted = create("torch"), (network.output.name,)
    torch.run(network, values, layers=wanted)
    spent = []
    for steps in (1, 1 + measured):
        before = _children()
        _, seconds = netx_output(path, network, values, steps, arguments, True)
        spent.append(_children() - before)
    ours, cpu = [], []
    for _ in range(9):
        started = time.process_time()
        ours.append(torch.run(network, values, layers=wanted).seconds)
        cpu.append(time.process_time() - started)
    return {
        "file": path.name,
        "ours": min(ours),
        "ours_cpu": min(cpu),
        "netx_cpu": 10 * (spent[1] - spent[0]) / measured,
        "netx_step": seconds / measured,
        "netx": 10 * seconds / measured,
        "measured": measured,
    }


class Record:
    """docs/netx_stock_table.json, written whenever something is found."""

    def __init__(self) -> None:
        self.path = DOCS / "netx_stock_table.json"
        self.values = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.values["steps"] = STEPS

    def keep(self, part: str, entries: Any) -> None:
        """Take a part in place of what was there; of a list, rows of the same file."""
        if isinstance(entries, list):
            measured = {row["file"]: row for row in entries}
            old = self.values.get(part, [])
            kept = [measured.pop(row["file"], row) for row in old]
            entries = [*kept, *measured.values()]
        self.values[part] = entries
        for name in ("lava-nc", "lava-dl"):
            self.values[name] = importlib.metadata.version(name)
        write_text(self.path, json.dumps(self.values, indent=2) + "\n")


def main() -> None:
    """Measure, and write JSON and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--render", action="store_true")
    parser.add_argument("--only", default="", help="part of the files' names")
    parser.add_argument("--timed", action="store_true", help="measure only the times")
    parser.add_argument("--toy", action="store_true", help="train only the U-Net")
    arguments = parser.parse_args()
    record = Record()
    every = not (arguments.render or arguments.timed or arguments.toy)
    folders = [*arguments.folders, *([upstream()] if every else [])]
    paths = [p for folder in folders for p in sorted(folder.rglob("*.net"))]
    paths = [path for path in paths if arguments.only in path.name]
    for path in paths if every else ():
        row = row_of(path, np.random.default_rng(0))
        print(row, flush=True)
        record.keep("rows", [row])
    if arguments.timed or (every and not arguments.only):
        for path in (p for p in paths if p.name in TIMED):
            record.keep("timed", [timed(path, np.random.default_rng(0))])
    if arguments.toy or (every and not arguments.only):
        record.keep("toy", toy_unet(STEPS))
    write_text(DOCS / "netx_stock_table.md", render(record.values, LARGE_STEPS))


if __name__ == "__main__":
    main()
