# SPDX-License-Identifier: BSD-3-Clause
"""What the fuzzer found: one line for each, and nothing large is allocated."""

import json

import h5py
import numpy as np
import pytest
import torch

from benchmarks.torture.subjects import tiny_checkpoint, tiny_spiking_unet
from export.errors import LONGEST, NetworkError, UserError, one_line
from export.lowering import lower
from export.netx import read_network, write_network
from loihi_unet.config import load_config
from loihi_unet.errors import CheckpointError, ConfigError
from loihi_unet.files.checkpoint import read_checkpoint
from loihi_unet.files.tensors import RECORD_KEY, read_tensors, write_tensors
from sim.backend import create
from sim.recording import RecordingError
from sim.recording_file import read_recording, write_recording
from sim.selftest import small_network


def edited(tmp_path, edit):
    path = tmp_path / "a.net"
    write_network(small_network(), path)
    with h5py.File(path, "r+") as file:
        del file["loihi_unet/sha256"]
        edit(file)
    return path


def replace(key, value):
    def edit(file):
        del file[key]
        file[key] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        # Control characters and 70,000 characters of a damaged name.
        (replace("layer/1/type", np.array([b"a\nb"])), r"layer 'a\\nb' found"),
        (replace("layer/1/type", np.array([b"x" * 70000])), r"xxx \.\.\. xxx"),
        (replace("layer/1/name", np.bytes_(b"a\x07b")), "nor control character"),
        # Python refuses to read integers of more than 4300 digits.
        (
            replace("loihi_unet/provenance", np.bytes_(b'{"a": ' + b"9" * 6000 + b"}")),
            "provenance: not JSON",
        ),
        (replace("loihi_unet/provenance", np.bytes_(b"[" * 100000)), "not JSON"),
        (replace("layer/1/scale", np.ones((2, 2))), r"shape \(2, 2\) found"),
    ],
)
def test_network_file(tmp_path, edit, message):
    with pytest.raises(NetworkError, match=message) as caught:
        read_network(edited(tmp_path, edit))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= LONGEST


def test_one_bomb_read_by_many_layers(tmp_path):
    def edit(file):
        del file["layer/1/weight"]
        shape = (16, 1, 2**8, 2**10)
        file.create_dataset("layer/1/weight", shape, "f8", compression="gzip")
        first = len(file["layer"])
        for index in range(first, first + 60):
            file[f"layer/{index}"] = file["layer/1"]

    with pytest.raises(NetworkError, match="allowed ones left"):
        read_network(edited(tmp_path, edit))


def test_small_integers_count_as_what_they_become(tmp_path):
    def edit(file):
        del file["layer/1/weight"]
        shape = (2**8, 2**8, 2**6, 2**6)  # 2**28 bytes, but gigabytes as int32
        file.create_dataset("layer/1/weight", shape, "i1", compression="gzip")

    with pytest.raises(NetworkError, match="2147483648 bytes found"):
        read_network(edited(tmp_path, edit))


def test_very_many_layers(tmp_path):
    def edit(file):
        for index in range(4100):
            file["layer"].create_group(f"{index + 20}")

    with pytest.raises(NetworkError, match="layers found, 4096 allowed"):
        read_network(edited(tmp_path, edit))


def test_recording_keeps_the_order_of_layers(tmp_path):
    network = small_network()
    run = create("reference").run(network, np.zeros((1, 1, 8, 8), dtype=int))
    write_recording(run, tmp_path / "r.h5")
    assert list(read_recording(tmp_path / "r.h5").payloads) == list(run.payloads)


def test_recording_bomb(tmp_path):
    run = create("reference").run(small_network(), np.zeros((1, 1, 8, 8), dtype=int))
    path = tmp_path / "r.h5"
    write_recording(run, path)
    with h5py.File(path, "r+") as file:
        del file["payload/mid"]
        shape = (1, 3, 2**20, 2**10, 2**3)
        file["payload"].create_dataset("mid", shape, "u1", compression="gzip")
    with pytest.raises(RecordingError, match="allowed ones left"):
        read_recording(path)


@pytest.mark.parametrize(
    "text", ["[" * 100000, '{"a":' * 50000, '{"a": ' + "9" * 5000 + "}"]
)
def test_record_that_json_cannot_take(tmp_path, text):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"a": torch.zeros(1)}, {})
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"][RECORD_KEY] = text
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data[8 + length :])
    with pytest.raises(CheckpointError, match=r"without a 'loihi_unet' record"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.tensor([float("nan")]), "tensor a: a value is not finite"),
        (
            torch.tensor([1]),
            r"torch\.int64 found, allowed are torch\.float16",
        ),
    ],
)
def test_tensors_of_other_numbers(tmp_path, tensor, message):
    write_tensors(tmp_path / "a", {"a": tensor}, {})
    with pytest.raises(CheckpointError, match=message):
        read_tensors(tmp_path / "a")


def test_settings_of_a_gigantic_network(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(tiny_checkpoint())
    tensors, record = read_tensors(path)
    record["config"]["model"]["base_channels"] = 10**6
    write_tensors(path, tensors, record)
    with pytest.raises(CheckpointError, match="its settings ask for"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a." * 20000 + "b = 1", "40005 characters found, 10000 allowed"),
        ("seed = " + "1" * 5000, "not TOML"),
    ],
)
def test_settings_that_toml_cannot_take(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "a.toml")


def test_provenance_without_a_task():
    snn = tiny_spiking_unet()
    snn.provenance.clear()
    with pytest.raises(NetworkError, match=r"train\.task\.kind missing"):
        lower(snn, 16, 16)


def test_one_line():
    assert one_line("a\n\u202eb\ud800") == r"a\n\u202eb\ud800"
    assert len(one_line("x" * 10**6)) <= LONGEST
    assert str(UserError(one_line("a\nb"))) == r"a\nb"
