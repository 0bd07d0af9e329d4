# SPDX-License-Identifier: BSD-3-Clause
"""One small file or folder of every kind that people give to a command by mistake."""

import gzip
import io
import json
import pickle
import shutil
import tarfile
import zipfile

import h5py
import numpy as np
import sigma_delta
import torch
from PIL import Image
from safetensors.torch import save_file

from export.netx import write_network
from loihi_unet.files.checkpoint import find_checkpoint
from loihi_unet.files.sigma_delta_file import save_sigma_delta
from loihi_unet.files.spiking_file import find_spiking_unet
from loihi_unet.files.tensors import write_tensors
from sim.backend import create
from sim.recording_file import write_recording
from sim.selftest import small_network

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0f\nsize 12\n"
PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def onnx():
    """A ModelProto by hand: ir_version 8, producer, graph, opset."""
    graph = b"\x12\x04main" + b"\0" * 200
    parts = [b"\x08\x08", b"\x12\x07pytorch", b"\x3a" + varint(len(graph)) + graph]
    return b"".join([*parts, b"\x42\x02\x10\x11"])


def saved(save):
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def zipped(**members):
    def save(buffer):
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, text in members.items():
                archive.writestr(name, text)

    return saved(save)


def packed(buffer):
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.net"))


def contents():
    """Bytes by kind, of those that are bytes."""
    legacy = {"_use_new_zipfile_serialization": False}
    return {
        "npy": saved(lambda b: np.save(b, PIXELS)),
        "npz": saved(lambda b: np.savez(b, a=PIXELS)),
        "pytorch": saved(lambda b: torch.save({"a": torch.zeros(1)}, b)),
        "pytorch-old": saved(lambda b: torch.save({"a": torch.zeros(1)}, b, **legacy)),
        "torchscript": zipped(**{"m/data.pkl": "", "m/constants.pkl": ""}),
        "pickle": pickle.dumps({"a": 1}),
        "onnx": onnx(),
        "picture": saved(lambda b: Image.fromarray(PIXELS).save(b, format="PNG")),
        "picture-jpeg": saved(lambda b: Image.fromarray(PIXELS).save(b, "JPEG")),
        "picture-tiff": saved(lambda b: Image.fromarray(PIXELS).save(b, "TIFF")),
        "lfs": LFS,
        "annex": b"/annex/objects/SHA256E-s12--0f.net\n",
        "html": b"\n<!-- a -->\n<!DOCTYPE html>\n<html><title>Sign in</title></html>",
        "gzip": gzip.compress(b"a network"),
        "zip": zipped(a="b"),
        "archive": saved(packed),
        "appledouble": b"\0\x05\x16\x07\0\x02\0\0Mac OS X        " + b"\0" * 100,
        "empty": b"",
        "toml": b'# settings\n[model]\nkind = "unet"\n',
        "report": json.dumps({"title": "r", "comparisons": []}).encode(),
        "json": b"[1, 2]",
    }


def make(folder):
    """Write all of them; kind (and variant) to path."""
    paths = {}

    def path(kind, suffix=""):
        paths[kind] = folder / f"{kind}{suffix}"
        return paths[kind]

    for kind, content in contents().items():
        path(kind, ".bin").write_bytes(content)
    network = small_network()
    write_network(network, path("network", ".net"))
    run = create("reference").run(network, np.zeros((1, 1, 8, 8), dtype=int))
    write_recording(run, path("recording", ".h5"))
    for kind, key in (("nir", "node"), ("hdf5", "model_weights")):
        with h5py.File(path(kind, ".h5"), "w") as file:
            file.create_group(key)
    shutil.copy(find_checkpoint("denoise-gray"), path("checkpoint", ".safetensors"))
    shutil.copy(find_spiking_unet("denoise-gray"), path("converted", ".safetensors"))
    save_sigma_delta(path("sigma-delta", ".safetensors"), sigma_delta.unet()[1])
    tensors = {"a": torch.zeros(1)}
    write_tensors(path("finetuning", ".safetensors"), tensors, {"kind": "fine-tuning"})
    save_file(tensors, path("safetensors", ".safetensors"))
    best = path("run") / "checkpoints" / "best.safetensors"
    best.parent.mkdir(parents=True)
    shutil.copy(paths["checkpoint"], best)
    path("folder").mkdir()
    path("report-folder").mkdir()
    shutil.copy(paths["report"], paths["report-folder"] / "report.json")
    return paths
