# SPDX-License-Identifier: BSD-3-Clause
import pytest
import torch
from safetensors.torch import save_file

from loihi_unet.errors import CheckpointError
from loihi_unet.files.tensors import RECORD_KEY, read_tensors, write_tensors


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "new" / "file.safetensors"
    tensors = {"b": torch.randn(2, 3, 4, 5), "a": torch.tensor(1.5)}
    record = {"z": 1, "a": [0.1, None, "x"]}
    write_tensors(path, tensors, record)
    found, read = read_tensors(path)
    assert read == record
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_equal_content_gives_equal_bytes(tmp_path):
    tensor = torch.randn(2, 3, 4, 5)
    part = tensor[0].clone()
    other = tensor.to(memory_format=torch.channels_last)
    write_tensors(tmp_path / "a", {"x": tensor, "y": part}, {"p": 1, "q": 2})
    write_tensors(tmp_path / "b", {"y": part, "x": other}, {"q": 2, "p": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "content",
    [b"garbage", b"\xff" * 100, b'\x02\0\0\0\0\0\0\0{"'],
    ids=["short", "long", "cut"],
)
def test_garbage_is_one_line(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a safetensors file: ") as info:
        read_tensors(path)
    assert "\n" not in str(info.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match="nope: no such file"):
        read_tensors(tmp_path / "nope")


@pytest.mark.parametrize(
    "metadata", [None, {"other": "{}"}, {RECORD_KEY: "{"}], ids=["none", "key", "json"]
)
def test_a_foreign_safetensors_file(tmp_path, metadata):
    path = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(CheckpointError, match="without a 'loihi_unet' record"):
        read_tensors(path)


def test_a_record_that_is_no_object(tmp_path):
    path = tmp_path / "list.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata={RECORD_KEY: "[]"})
    with pytest.raises(CheckpointError, match="record is not an object"):
        read_tensors(path)
