# SPDX-License-Identifier: BSD-3-Clause
"""Kinds of files and folders, and which command wants each.

Every opener asks `expect` first, so all of them say the same about the same file.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from export.errors import UserError
from export.files.recognise import recognise


@dataclass(frozen=True)
class Kind:
    """A kind of file or folder.

    Attributes
    ----------
    name : str
        For `expect`.
    what : str
        For people, with its article.
    advice : str
        Which command wants it; ``{0}`` is its path. Empty if there is nothing to say.
    """

    name: str
    what: str
    advice: str = ""


_PICKLE = "loihi-unet reads networks from safetensors only and never unpickles"


def _weights(imported: str, loaded: str) -> str:
    """Return the way from somebody's weights to a network."""
    return (
        f"write a file net.py of five lines, `{imported}`, `from your_code import "
        f"YourNet`, `def load():`, `    net = YourNet(); net.load_state_dict({loaded})"
        "`, `    return net`, and run `loihi-unet convert net.py:load --input CxHxW`"
    )


_ARCHIVE = "unpack it first"

#: All kinds by the names that `recognise` gives.
KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "network",
            "a network file (.net)",
            "`loihi-unet simulate {0} PICTURE` runs it; inspect, evaluate, fit and "
            "verify --backend read it, too",
        ),
        Kind(
            "recording",
            "a recording (.h5)",
            "`loihi-unet verify {0} OTHER.h5` compares it with another one",
        ),
        Kind(
            "checkpoint",
            "a trained network (checkpoint, .safetensors)",
            "`loihi-unet convert {0}` makes a converted network of it",
        ),
        Kind(
            "converted",
            "a converted network (.safetensors)",
            "`loihi-unet export {0} --out NETWORK.net` makes a network file of it; "
            "finetune reads it, too",
        ),
        Kind(
            "sigma-delta",
            "a converted network of sigma-delta neurons (.safetensors)",
            "`loihi-unet export {0} --out NETWORK.net` makes a network file of it",
        ),
        Kind(
            "finetuning",
            "the state of a fine-tuning (.safetensors)",
            "`loihi-unet finetune --resume` goes on from it",
        ),
        Kind(
            "run",
            "the folder of a training run",
            "`loihi-unet convert {0}` makes a converted network of it",
        ),
        Kind(
            "report-folder", "a report's folder", "`loihi-unet report {0}` renders it"
        ),
        Kind("folder", "a folder"),
        Kind("report", "a report.json", "`loihi-unet report {0}` renders it"),
        Kind("json", "a JSON file"),
        Kind("toml", "a TOML file", "`loihi-unet train --config {0}` reads settings"),
        Kind(
            "picture",
            "a picture",
            "`loihi-unet simulate NETWORK.net {0}` runs a network on it",
        ),
        Kind(
            "npy",
            "a NumPy array (.npy)",
            "`loihi-unet simulate NETWORK.net {0}` runs a network of stock neurons "
            "on it",
        ),
        Kind("npz", "a NumPy archive (.npz)", "save one array with numpy.save"),
        Kind(
            "nir",
            "a NIR graph (HDF5 with /node)",
            "`loihi-unet convert {0} --dt SECONDS --out NETWORK.net` makes a network "
            "file of it",
        ),
        Kind("hdf5", "an HDF5 file of another program", ""),
        Kind(
            "safetensors",
            "a safetensors file without a 'loihi_unet' record",
            "its train, convert and finetune write one; of weights of your own, "
            + _weights("from safetensors.torch import load_file", "load_file(PATH)"),
        ),
        Kind(
            "pytorch",
            "a PyTorch file (.pth, .pt: a pickle)",
            f"{_PICKLE}; "
            + _weights("import torch", "torch.load(PATH, weights_only=True)"),
        ),
        Kind("torchscript", "a TorchScript file (.pt)", _PICKLE),
        Kind("pickle", "a Python pickle", _PICKLE),
        Kind("onnx", "an ONNX model", "no command reads ONNX models"),
        Kind(
            "lfs",
            "a Git LFS pointer, not the file itself,",
            "`git lfs pull` fetches the file",
        ),
        Kind(
            "annex",
            "a git-annex pointer, not the file itself,",
            "`git annex get {0}` fetches the file",
        ),
        Kind(
            "html",
            "a page of HTML",
            "a download may have saved the page about a file: fetch the file itself",
        ),
        Kind("gzip", "a gzip file", _ARCHIVE),
        Kind("zip", "a ZIP archive", _ARCHIVE),
        Kind("archive", "an archive (tar, bzip2, xz, zstd or 7z)", _ARCHIVE),
        Kind("appledouble", "what macOS keeps beside a file (._*)", "leave it out"),
        Kind("empty", "an empty file"),
        Kind("special", "a device, pipe or socket"),
    )
}


def expect(path: Path, *names: str, error: type[UserError] = UserError) -> None:
    """Refuse what is clearly something else than one of the kinds that are wanted.

    Parameters
    ----------
    path : Path
        About to be opened.
    *names : str
        Kinds that are right; the first is the one that a message asks for.
    error : type
        What to raise.

    Raises
    ------
    UserError
        If there is nothing of that name, it cannot be read, or it is of another
        kind: one line that says which, and which command wants it. What is of no
        known kind passes; its opener says what is wrong inside.
    """
    try:
        kind = recognise(path)
    except FileNotFoundError:
        what = "folder" if names[0] in ("folder", "run") else "file"
        raise error(f"{path}: no such {what}") from None
    except OSError as reason:
        text = f"{path}: cannot be read ({reason.strerror or reason})"
        raise error(text) from None
    if kind is not None and kind not in names:
        raise error(mistaken(path, kind, names[0]))


def mistaken(path: Path, kind: str, wanted: str) -> str:
    """Return the line about a path of the kind ``kind`` where another is wanted."""
    text = f"{path}: {KINDS[kind].what} found, {KINDS[wanted].what} needed"
    advice = KINDS[kind].advice.format(shlex.quote(str(path)))
    return f"{text}; {advice}" if advice else text
