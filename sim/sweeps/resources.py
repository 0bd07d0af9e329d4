# SPDX-License-Identifier: BSD-3-Clause
"""What a run needs of this machine, and how many runs it takes at once.

Estimates, for choosing a number of worker processes only: no result depends on
them. The bytes per compartment were measured on U-Nets of 16 and 64 channels.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from export.compartment import Accumulator
from export.network import Network
from export.synapse import AveragePool, Injection
from sim.backend import BACKENDS, check_name

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
#: Of the memory that is available, what a sweep's workers may fill together.
SHARE = 0.8
#: Sums that the torch backend holds at once, in values (`sim.torch.window.BLOCK`).
BLOCK = 2**21
#: Interpreter with torch and oneDNN; with Lava, its processes of a U-Net too. Up to
#: 300 MB of it are pages of the libraries' files (torch 2.3 with CUDA): workers share
#: them, and how many are resident depends on the machine.
BASE = {"torch": 700 * 10**6, "reference": 700 * 10**6, "lava": 1150 * 10**6}
#: Bytes per compartment of backends that keep all layers' states.
STATES = {"reference": 160, "lava": 64, "torch": 0}
#: Of a backend of somebody else's, of which nothing is known.
FOREIGN = 160
ALIKE = {"lava-stock": "lava", "cuda": "torch"}
#: Cores that a run keeps busy by itself, where that is not one. 0, all: a GPU is not
#: shared. All processes of Lava together need about ten times the CPU time of the
#: busiest one, for which they wait (16 channels, 128x128).
CORES = {"cuda": 0, "lava": 8, "lava-stock": 8}


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What one run needs.

    Parameters
    ----------
    memory : int
        Bytes.
    cores : int
        Cores that it keeps busy by itself; 0: all there are.
    """

    memory: int
    cores: int


def demand(network: Network, *backends: str, record: bool) -> Demand:
    """Estimate what a run of one image needs, by each backend in turn.

    Parameters
    ----------
    network : Network
        At the image's size.
    *backends : str
        Names that `sim.backend.create` knows.
    record : bool
        Whether all payloads are recorded, and kept to the end.

    Raises
    ------
    BackendError
        If there is no such backend.
    """
    for backend in backends:
        check_name(backend)
    kinds = {ALIKE.get(backend, backend) for backend in backends}
    compartments = sum(math.prod(layer.shape) for layer in network.layers)
    weights = sum(
        c.synapse.weight.size
        for layer in network.layers
        for c in layer.connections
        if not isinstance(c.synapse, AveragePool | Injection)
    )
    running = {kind: STATES.get(kind, FOREIGN) * compartments for kind in kinds}
    if "torch" in kinds:
        running["torch"] = 2 * layers_bytes(network, payload=1, block=BLOCK)
    # Mantissas of 4 bytes, levels of 1, and copies in the layout of the kernels.
    memory = (
        max(BASE.get(kind, BASE["reference"]) for kind in kinds)
        + 8 * weights
        + max(running.values())
    )
    if record:
        memory += 2 * network.num_steps * compartments * len(backends)
    # A backend of somebody else's may be one board: one run at a time.
    cores = [CORES.get(b, 1 if b in BACKENDS else 0) for b in backends]
    return Demand(memory=memory, cores=0 if 0 in cores else max(cores))


def layers_bytes(network: Network, *, payload: int, block: int) -> int:
    """Bytes that a run layer by layer holds at its fullest.

    Parameters
    ----------
    network : Network
        What runs.
    payload : int
        Bytes of one payload.
    block : int
        Sums held at once, in values; at least those of one step are.
    """
    last_readers = {
        c.source: layer.name for layer in network.layers for c in layer.connections
    }
    sent: dict[str, int] = {}
    fullest = 0
    for layer in network.layers:
        size = math.prod(layer.shape)
        if not isinstance(layer.compartment, Accumulator):
            sent[layer.name] = payload * size * network.num_steps
        sums = min(size * network.num_steps, max(block, size))
        fullest = max(fullest, sum(sent.values()) + 12 * size + 16 * sums)
        for name in [n for n in sent if last_readers.get(n, n) == layer.name]:
            del sent[name]
    return fullest


def share_machine(
    needs: Demand, items: int, workers: int | None = None
) -> tuple[int, int]:
    """How many worker processes, and how many threads each.

    Parameters
    ----------
    needs : Demand
        Of the largest item.
    items : int
        More workers than items are of no use.
    workers : int or None
        Processes, if somebody has decided that already.

    Returns
    -------
    workers, threads : int
        At least 1 each; together as many threads as there are cores, unless memory
        or items are too few.
    """
    cores = usable_cores()
    if workers is None:
        workers = cores // (needs.cores or cores)
        free = available_memory()
        if free is not None:
            workers = min(workers, int(SHARE * free) // needs.memory)
    workers = max(1, min(workers, items))
    return workers, max(1, cores // workers)


def usable_cores() -> int:
    """Cores that this process may use; where no system call tells, all there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux; neither macOS nor Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int | None:
    """Bytes that processes can still get, within a container's limit; None: unknown."""
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        free = 1024 * int(fields["MemAvailable"].split()[0])
    except (OSError, ValueError, KeyError):
        return None
    try:
        limit = int((CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no cgroup of our own, or "max"
        return free
    return min(free, max(0, limit - used))
