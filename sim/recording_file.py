# SPDX-License-Identifier: BSD-3-Clause
"""Recording <-> HDF5 file, schema 2; documented in docs/recording_format.md."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from export.errors import NetworkError
from export.files.hdf5 import create_file, open_file, write_text
from export.files.hdf5_group import Group
from export.synapse import Shape
from sim.recording import Payload, Recording, RecordingError

SCHEMA = 2
# Of schema 1 are files without a list of layers: nothing that they hold is EXACT.
READABLE = (1, SCHEMA)


class RecordingWriter:
    """Writes one recording, part by part, to an open file.

    Parameters
    ----------
    file : h5py.File
        Empty.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._seconds = 0.0
        self._empty = True

    def append(self, part: Recording) -> None:
        """Write the next images.

        Parameters
        ----------
        part : Recording
            Of the backend, network, image size and layers of those before.

        Raises
        ------
        RecordingError
            If its images or layers are others.
        """
        if self._empty:
            self._begin(part)
        arrays = {"images": part.images}
        if part.output is not None:
            arrays["output"] = part.output
        arrays |= {f"payload/{name}": values for name, values in part.payloads.items()}
        shapes = {key: values.shape[1:] for key, values in arrays.items()}
        if shapes != self._shapes:
            keys = [*shapes, *self._shapes]
            key = next(k for k in keys if shapes.get(k) != self._shapes.get(k))
            raise RecordingError(
                f"recording {key}: shape {shapes.get(key)} of one image found, "
                f"{self._shapes.get(key)} before; one recording has one size"
            )
        for key, values in arrays.items():
            dataset = self._file[key]
            before = len(dataset)
            dataset.resize(before + len(values), axis=0)
            dataset[before:] = values
        self._seconds += part.seconds
        self._file["seconds"][()] = self._seconds

    def append_step(self, part: Recording) -> None:
        """Write the next step of one run, of all layers that are recorded.

        Parameters
        ----------
        part : Recording
            Of a single step and run, what entered at it included; `num_steps` is that
            of the whole run.
        """
        if self._empty:
            self._begin(part, steps=part.num_steps)
            for key in self._shapes:
                self._file[key].resize(1, axis=0)
        [t] = part.steps
        self._file["images"][0, t] = part.images[0, 0]
        for name, values in part.payloads.items():
            self._file[f"payload/{name}"][0, t] = values[0, 0]
        self._seconds += part.seconds
        self._file["seconds"][()] = self._seconds

    def note_white_levels(self, levels: Sequence[Mapping[str, int]]) -> None:
        """Write how pictures of more than 8 bits became the images.

        Parameters
        ----------
        levels : sequence of mapping
            A record for each white level; empty where all pictures have 8 bits, of
            which nothing is written.
        """
        if levels:
            write_text(self._file, "whiteLevels", json.dumps([*map(dict, levels)]))

    def _begin(self, part: Recording, steps: int | None = None) -> None:
        """Write what all parts share; arrays are as long as ``steps`` or the part's."""
        file = self._file
        file.create_dataset("schema", data=SCHEMA)
        write_text(file, "backend", part.backend)
        write_text(file, "networkSha256", part.network_sha256 or "")
        write_text(file, "networkSha256AnySize", part.network_sha256_any_size or "")
        file.create_dataset("numSteps", data=part.num_steps)
        if part.layers is not None:
            pairs = [[name, list(shape)] for name, shape in part.layers.items()]
            write_text(file, "layers", json.dumps(pairs))
        if part.has_output is not None:
            file.create_dataset("hasOutput", data=int(part.has_output))
        numbers = part.steps if steps is None else range(steps)
        file.create_dataset("steps", data=np.array(numbers, dtype=np.int32))
        file.create_dataset("seconds", data=0.0)
        write_text(file, "versions", json.dumps(dict(part.versions)))
        _make_array(file, "images", part.images, steps)
        if part.output is not None:
            _make_array(file, "output", part.output)
        # Tracked, so that layers are read in the order of the network.
        payload = file.create_group("payload", track_order=True)
        for name, values in part.payloads.items():
            _make_array(payload, name, values, steps)
        self._shapes = {"images": part.images.shape[1:]}
        if part.output is not None:
            self._shapes["output"] = part.output.shape[1:]
        for name, values in part.payloads.items():
            self._shapes[f"payload/{name}"] = values.shape[1:]
        self._empty = False


@contextlib.contextmanager
def recording_writer(path: str | Path) -> Iterator[RecordingWriter]:
    """Open a recording file for writing; it appears when the block has ended well.

    Parameters
    ----------
    path : str or Path
        File, by custom ``*.h5``.

    Yields
    ------
    RecordingWriter
        To be given at least one part.

    Raises
    ------
    ValueError
        If the file cannot be written.
    """
    with create_file(Path(path)) as file:
        yield RecordingWriter(file)


def write_recording(recording: Recording, path: str | Path) -> None:
    """Write a recording, atomically.

    Parameters
    ----------
    recording : Recording
        What to write.
    path : str or Path
        File, by custom ``*.h5``.

    Raises
    ------
    ValueError
        If the file cannot be written.
    """
    with recording_writer(path) as writer:
        writer.append(recording)


def _make_array(
    group: h5py.Group, key: str, like: Payload, steps: int | None = None
) -> None:
    """Make an empty array that grows along its first axis, of so many steps."""
    shape = like.shape[1:] if steps is None else (steps, *like.shape[2:])
    # A chunk is one image, one step of a payload: what is read and written at once.
    chunks = tuple(max(1, n) for n in like.shape)
    lead = 2 if like.ndim == 5 else 1
    group.create_dataset(
        key,
        shape=(0, *shape),
        maxshape=(None, *(n or None for n in shape)),
        dtype=like.dtype,
        chunks=(1,) * lead + chunks[lead:],
        # Payloads are mostly zeros: the fastest deflate level gets most of the gain.
        compression="gzip",
        compression_opts=1,
    )


def read_recording(path: str | Path) -> Recording:
    """Read a recording of schema 2, or of schema 1, which has no list of layers.

    Parameters
    ----------
    path : str or Path
        File.

    Returns
    -------
    Recording
        Validated.

    Raises
    ------
    RecordingError
        If the file is missing, damaged or of another schema: one line with
        file, place, found and allowed.
    """
    try:
        with open_file(path, "recording") as root:
            schema = root.integer("schema")
            if schema not in READABLE:
                raise RecordingError(
                    f"{path}: schema {schema} found, {' or '.join(map(str, READABLE))} "
                    "allowed"
                )
            return _read(root)
    except NetworkError as error:
        raise RecordingError(str(error)) from None
    except RecordingError as error:
        where = "" if str(error).startswith(str(path)) else f"{path}: "
        raise RecordingError(f"{where}{error}") from None


def _read(root: Group) -> Recording:
    payload = root.group("payload")
    versions = _json(root, "versions")
    if not isinstance(versions, dict):
        raise root.error("versions", "not a JSON object")
    return Recording(
        backend=root.text("backend"),
        network_sha256=root.text("networkSha256") or None,
        network_sha256_any_size=_optional_text(root, "networkSha256AnySize"),
        num_steps=root.integer("numSteps"),
        steps=tuple(root.integers("steps", ndim=1).tolist()),
        images=root.array("images", "iu"),
        payloads={name: payload.array(name, "iu") for name in payload.names()},
        output=root.array("output", "iu") if "output" in root else None,
        seconds=root.real("seconds"),
        versions={str(k): str(v) for k, v in versions.items()},
        layers=_layers(root) if "layers" in root else None,
        has_output=bool(root.flag("hasOutput")) if "hasOutput" in root else None,
    )


def _json(root: Group, key: str) -> Any:
    try:
        return json.loads(root.text(key))
    except (ValueError, RecursionError) as error:  # ValueError: or 4300 digits
        raise root.error(key, "not JSON") from error


def _optional_text(root: Group, key: str) -> str | None:
    return (root.text(key) or None) if key in root else None


def _layers(root: Group) -> dict[str, Shape]:
    """Names and shapes of all layers, in order."""
    layers: dict[str, Shape] = {}
    pairs = _json(root, "layers")
    for pair in pairs if isinstance(pairs, list) else [None]:
        match pair:
            case [str(name), [int(c), int(h), int(w)]]:
                if name in layers:
                    raise root.error("layers", f"'{name}' found twice")
                layers[name] = (c, h, w)
            case _:
                raise root.error(
                    "layers", 'a JSON list of ["name", [C, H, W]] of every layer needed'
                )
    return layers
