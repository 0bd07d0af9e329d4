# SPDX-License-Identifier: BSD-3-Clause
"""What was measured once and is not measured again.

Everything is found by a hash of the settings that decide it, pictures and weights
included: a network trained anew, or another picture, is another measurement.
"""

import functools
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from export.files.atomic import write_text
from loihi_unet.data.picture_files import list_pictures
from loihi_unet.errors import DataError

#: Counts up when the same settings begin to mean something else.
FORMAT = 1

Settings = Mapping[str, Any]


@functools.cache
def folder_sha256(folder: Path) -> str:
    """Return the SHA-256 (hex) of names and bytes of a folder's pictures.

    Parameters
    ----------
    folder : Path
        With sub-folders.

    Returns
    -------
    str
        Once per process: a command sees one state of its data.

    Raises
    ------
    DataError
        If the folder is missing or has no picture.
    """
    _, paths = list_pictures(folder)
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


class Store:
    """Results and files by the hash of their settings.

    Parameters
    ----------
    folder : Path
        Made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, settings: Settings, suffix: str) -> Path:
        """Return where something with these settings lies, or is to lie.

        Parameters
        ----------
        settings : Mapping[str, Any]
            JSON values; ``"kind"`` begins the name.
        suffix : str
            ``".json"``, ``".safetensors"``; nothing for a folder.

        Returns
        -------
        Path
            ``<kind>-<20 hex digits><suffix>``.
        """
        text = json.dumps([FORMAT, settings], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:20]
        return self.folder / f"{settings['kind']}-{key}{suffix}"

    def get(
        self, settings: Settings, measure: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return a measurement, made now if it was not made before.

        Parameters
        ----------
        settings : Mapping[str, Any]
            All that decides the result.
        measure : callable
            Makes the result, JSON values.

        Returns
        -------
        dict[str, Any]
            The result, with ``seconds`` (wall clock) and ``machine`` of the
            process that made it.

        Raises
        ------
        DataError
            If the stored result cannot be read.
        """
        path = self.path(settings, ".json")
        if path.is_file():
            try:
                stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                return stored["result"]  # type: ignore[no-any-return]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path}: no stored result; delete it to measure again"
                ) from error
        started = time.monotonic()
        result = dict(measure())
        result["seconds"] = round(time.monotonic() - started, 1)
        result["machine"] = machine()
        record = {"settings": settings, "result": result}
        write_text(path, json.dumps(record, indent=1, sort_keys=True) + "\n")
        # As it will be read: keys are strings, tuples are lists.
        return json.loads(json.dumps(result))  # type: ignore[no-any-return]


def machine() -> str:
    """Return what measures here, in words."""
    threads, cores = torch.get_num_threads(), os.cpu_count()
    parts = [f"{platform.machine()}, {threads} of {cores} cores"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join([*parts, f"torch {torch.__version__}"])
