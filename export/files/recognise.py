# SPDX-License-Identifier: BSD-3-Clause
"""What a file or folder is, told by its content.

A name proves nothing: a download that failed is a page of HTML called ``network.net``.
"""

from __future__ import annotations

import json
import re
import stat
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

#: Bytes at the beginning that tell most kinds.
HEAD = 4096
#: Of a safetensors header, and of a JSON file.
LONGEST_JSON = 64 * 2**20
#: The one metadata key of our safetensors files; its value is a JSON object.
RECORD_KEY = "loihi_unet"


def recognise(path: Path) -> str | None:
    """Say what a file or folder is, by its content.

    Parameters
    ----------
    path : Path
        Read in small parts only; a pipe or device is not read at all.

    Returns
    -------
    str or None
        A key of `export.files.kind.KINDS`. None: a file of no kind that is known here,
        or a damaged one.

    Raises
    ------
    OSError
        If there is nothing of that name, or it cannot be read.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return _folder(path)
    if not stat.S_ISREG(mode):
        return "special"
    with path.open("rb") as file:
        return _file(path, file, file.read(HEAD))


def _folder(path: Path) -> str:
    if (path / "checkpoints").is_dir() or (
        (path / "config.toml").is_file() and (path / "tb").is_dir()
    ):
        return "run"
    return "report-folder" if (path / "report.json").is_file() else "folder"


# Beginnings, in this order. Pictures: what `loihi_unet.data.picture_files.FORMATS` has.
_MAGIC = (
    (rb"\x89HDF\r\n\x1a\n", "hdf5"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF....WEBP|P[0-7fFy]\s", "picture"),
    (rb"II\*\0|MM\0\*|II\0\*|MM\*\0|II\+\0|MM\0\+", "picture"),
    (rb"\x93NUMPY", "npy"),
    (rb"PK(\x03\x04|\x05\x06)", "zip"),
    (rb"\x1f\x8b", "gzip"),
    (rb"BZh[1-9]|\xfd7zXZ\0|\x28\xb5\x2f\xfd|7z\xbc\xaf\x27\x1c", "archive"),
    (rb".{257}ustar", "archive"),
    # torch.save before 1.6: its magic number, pickled.
    (rb"\x80[\x02-\x05]\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", "pytorch"),
    (rb"\x80[\x02-\x05]", "pickle"),
    (rb"\0\x05\x16[\0\x07]", "appledouble"),
    (rb"version https://git-lfs\.github\.com/spec/", "lfs"),
    (rb"(/|\.git/|[./\\]*)annex[/\\]objects[/\\]", "annex"),
    (
        rb"(?i)(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*"
        rb"<(!doctype\s+html|html|head|body)\b",
        "html",
    ),
)


def _file(path: Path, file: BinaryIO, head: bytes) -> str | None:
    if not head:
        return "empty"
    for pattern, name in _MAGIC:
        if re.match(pattern, head, re.DOTALL):
            match name:
                case "hdf5":
                    return _hdf5(path)
                case "zip":
                    return _zip(file)
                case _:
                    return name
    if head[8:9] == b"{":
        return _safetensors(file)
    return "onnx" if _is_onnx(file) else _text(file, head)


def _hdf5(path: Path) -> str | None:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            for key, name in (
                ("layer", "network"),
                ("loihi_unet", "network"),
                ("payload", "recording"),
                ("networkSha256", "recording"),
                ("node", "nir"),
            ):
                if key in file:
                    return name
    except (OSError, ValueError, RuntimeError, LookupError):  # damaged
        return None
    return "hdf5"


def _zip(file: BinaryIO) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, LookupError, OSError):
        return "zip"
    if any(re.search(r"(^|/)constants\.pkl$", name) for name in names):
        return "torchscript"
    if any(re.search(r"(^|/)data\.pkl$", name) for name in names):
        return "pytorch"
    return "npz" if names and all(n.endswith(".npy") for n in names) else "zip"


def _safetensors(file: BinaryIO) -> str | None:
    """Kind of what begins with the length of a JSON header."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_JSON:
        return None
    header = _json(file.read(length))
    if not isinstance(header, dict):
        return None
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or RECORD_KEY not in metadata:
        return "safetensors"
    record = _json(metadata[RECORD_KEY])
    kinds = {
        "unet": "checkpoint",
        "spiking-unet": "converted",
        "sigma-delta": "sigma-delta",
        "fine-tuning": "finetuning",
    }
    kind = record.get("kind") if isinstance(record, dict) else None
    return kinds.get(kind) if isinstance(kind, str) else None


def _json(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def _is_onnx(file: BinaryIO) -> bool:
    """Whether it is a protobuf message with the fields of ONNX's ModelProto."""
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    fields: set[int] = set()
    while (place := file.tell()) < size:
        tag = _varint(file)
        if tag is None or len(fields) > 20:
            return False
        field, wire = tag >> 3, tag & 7
        value = _varint(file)
        if value is None or field not in _ONNX or wire != _ONNX[field]:
            return False
        if place == 0 and not (field == 1 and 0 < value < 32):  # ir_version
            return False
        fields.add(field)
        if wire == 2:
            if file.tell() + value > size:
                return False
            file.seek(value, 1)
        if 7 in fields:  # the graph
            return True
    return False


# Fields of ModelProto and their wire types (0: number, 2: bytes).
_ONNX = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for index, byte in enumerate(iter(lambda: file.read(1), b"")):
        value |= (byte[0] & 127) << 7 * index
        if byte[0] < 128:
            return value
        if index == 9:
            break
    return None


def _text(file: BinaryIO, head: bytes) -> str | None:
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(head) < HEAD or error.start < HEAD - 4:  # else cut in a character
            return None
        text = head[: error.start].decode("utf-8-sig")
    if any(not (c.isprintable() or c in "\t\n\r\f") for c in text):
        return None
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and line[0] != "#"), "")
    if first[:1] in ("{", "["):
        file.seek(0)
        content = _json(file.read(LONGEST_JSON))
        if isinstance(content, dict) and {"title", "comparisons"} & content.keys():
            return "report"
        if content is not None:
            return "json"
    if re.match(r"\[\[?[\w.\"' -]+\]|[\w.\"'-]+\s*=", first):
        return "toml"
    return None
