# SPDX-License-Identifier: BSD-3-Clause
"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from export.errors import UserError


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it there on success.

    A process that is killed leaves its temporary file; the next one to write ``path``
    on the same machine removes it.

    Parameters
    ----------
    path : Path
        Final place. Its folder is made if it is missing.

    Yields
    ------
    Path
        Temporary file to write; removed if the block raises.

    Raises
    ------
    UserError
        If the folder or the file cannot be written: no permission, disk full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f"{_prefix(path)}{os.getpid()}-", suffix=".tmp"
        )
    except OSError as error:
        raise _unwritable(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; a result is as readable as any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        # For writing: Windows syncs no descriptor that only reads.
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    # Process numbers mean something on one machine; a folder may be shared by many.
    return f".{path.name}.{zlib.crc32(platform.node().encode()):08x}-"


def _sweep(path: Path) -> None:
    """Remove what processes that were killed while writing ``path`` have left."""
    prefix = _prefix(path)
    for entry in os.scandir(path.parent):
        name = entry.name
        if not (name.startswith(prefix) and name.endswith(".tmp")):
            continue
        writer = name.removeprefix(prefix).partition("-")[0]
        if writer.isdigit() and not _runs(int(writer)):
            Path(entry).unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    if os.name != "posix":  # there, signal 0 is one that a process receives
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no such number
        return True
    return True


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written ({error.strerror or error})")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
