# SPDX-License-Identifier: BSD-3-Clause
"""What no file may make the product do."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.torture.result import Result
from export.errors import UserError
from export.netx import read_network, write_network
from loihi_unet.config import load_config
from loihi_unet.data.pictures import load_pictures
from loihi_unet.files.checkpoint import load_checkpoint
from sim.recording_file import read_recording
from sim.selftest import small_network

ROOT = Path(__file__).parents[2]
PACKAGES = ("loihi_unet", "export", "sim")
# Calls that run what a file says, by the last parts of their names.
FORBIDDEN = (
    "torch.load", "torch.jit.load", "pickle.load", "pickle.loads", "joblib.load",
    "yaml.load", "os.system", "eval", "exec", "marshal.loads", "shelve.open",
    "np.load", "numpy.load", "__import__", "xml.etree.ElementTree.parse",
)  # fmt: skip


def security(result: Result, count: int) -> None:
    """Search the source; offer files that would run code or leave their place."""
    result.what = (
        "no call in the packages loads pickled data or runs text; a pickle under any "
        "of our suffixes, HDF5 links and storage outside the file are refused"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in result.cases(count):
            if number == 0:
                _search(result)
            _offer_pickle(result, number, folder)
            path = folder / "f.net"
            _net_with_link(path, folder, np.random.default_rng([0, number]))
            refused = _refused(read_network, path)
            result.check(refused, "HDF5 link or outside storage refused", str(number))


def _search(result: Result) -> None:
    for path in sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py")):
        calls = _calls(path)
        result.check(not calls, "source file without such calls", f"{path}: {calls}")


def _offer_pickle(result: Result, number: int, folder: Path) -> None:
    readers = sorted(READERS.items())
    suffix, read = readers[number % len(readers)]
    path, proof = folder / f"f{suffix}", folder / "proof"
    path.write_bytes(_pickle(proof, number))
    refused = _refused(read, path)
    safe = refused and not proof.exists()
    result.check(safe, f"pickle as {suffix} refused", str(number))


def _calls(path: Path) -> list[str]:
    """Forbidden calls of a source file."""
    calls = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            arrays_only = any(
                word.arg == "allow_pickle" and ast.unparse(word.value) == "False"
                for word in node.keywords
            )
            if name in FORBIDDEN and not arrays_only:
                calls.append(f"{name} in line {node.lineno}")
        if isinstance(node, ast.Import) and any(
            item.name in ("pickle", "dill", "joblib", "yaml") for item in node.names
        ):
            calls.append(f"import in line {node.lineno}")
    return calls


def _pickle(proof: Path, number: int) -> bytes:
    """A pickle that makes a file when it is loaded; in several protocols."""
    import pickle

    class Exploit:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (proof,)

    return pickle.dumps(Exploit(), protocol=number % 6)


READERS: dict[str, Callable[[Path], Any]] = {
    ".net": read_network,
    ".safetensors": load_checkpoint,
    ".pt": load_checkpoint,
    ".toml": load_config,
    ".h5": read_recording,
    ".png": lambda path: load_pictures(path, 1),
}


def _refused(read: Callable[[Path], Any], path: Path) -> bool:
    try:
        read(path)
    except UserError:
        return True
    return False


def _net_with_link(path: Path, folder: Path, random: np.random.Generator) -> None:
    """A network whose first weights lie elsewhere, in one of four ways."""
    write_network(small_network(), path)
    outside = folder / "outside.h5"
    with h5py.File(path, "r+") as file, h5py.File(outside, "w") as other:
        key = "layer/1/weight"
        weight = file[key][()]
        other["weight"] = weight
        del file[key]
        case = int(random.integers(4))
        if case == 0:
            file[key] = h5py.ExternalLink(str(outside), "/weight")
        elif case == 1:
            file["elsewhere"] = weight
            file[key] = h5py.SoftLink("/elsewhere")
        elif case == 2:
            raw = folder / "raw"
            weight.tofile(raw)
            storage = [(str(raw), 0, weight.nbytes)]
            file.create_dataset(key, weight.shape, weight.dtype, external=storage)
        else:
            layout = h5py.VirtualLayout(shape=weight.shape, dtype=weight.dtype)
            layout[...] = h5py.VirtualSource(str(outside), "weight", weight.shape)
            file.create_virtual_dataset(key, layout)
