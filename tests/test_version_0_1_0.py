# SPDX-License-Identifier: BSD-3-Clause
"""Files that version 0.1.0 wrote are read, and give the same integers."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from export.lowering import lower
from export.netx import read_network
from loihi_unet.files.checkpoint import (
    load_checkpoint,
    read_checkpoint,
    weights_sha256,
)
from loihi_unet.files.spiking_file import load_spiking_unet
from sim.backend import create
from sim.recording_file import read_recording

HERE = Path(__file__).parent / "golden"
FILES = HERE / "v0.1.0"
GRADED = "b7de53d314b936c92cec215fae308d4907b31f2e832d2ba2cdeaadd23eba3e9d"
PARALLEL = "324b98332d86ebe3a776c04d2b138c6e2f750abbd2abcc65727703b855713830"


@pytest.mark.parametrize("path", sorted(FILES.iterdir()), ids=lambda path: path.name)
def test_the_files_are_those_of_the_readme(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest in (HERE / "README.md").read_text(encoding="utf-8")


def test_the_checkpoint():
    model, config = load_checkpoint(FILES / "checkpoint.safetensors")
    assert (config.model.base_channels, config.model.levels) == (2, 1)
    assert read_checkpoint(FILES / "checkpoint.safetensors").record.iteration == 60
    converted = load_spiking_unet(FILES / "converted.safetensors")
    assert converted.provenance["weights_sha256"] == weights_sha256(model)


@pytest.mark.parametrize(
    ("name", "mapping", "sha256"),
    [
        ("finetuned", "graded", GRADED),
        ("converted", "parallel-if", PARALLEL),
    ],
)
def test_converted_networks_become_the_same_integers(name, mapping, sha256):
    snn = load_spiking_unet(FILES / f"{name}.safetensors")
    assert lower(snn, 16, 16, mapping=mapping).sha256 == sha256
    assert read_network(FILES / f"{mapping}.net").sha256 == sha256


@pytest.mark.parametrize(
    "backend",
    ["reference", "torch", *(pytest.param("lava", marks=pytest.mark.lava),)],
)
def test_the_recording_is_made_again(backend):
    recorded = read_recording(FILES / "recording.h5")
    assert recorded.network_sha256 == GRADED
    image = data.camera()[200:216, 200:216].astype(np.int32)[None, None]
    assert np.array_equal(recorded.images, image)
    network = read_network(FILES / "graded.net")
    again = create(backend).run(network, recorded.images)
    assert recorded.payloads.keys() == again.payloads.keys()
    for name, payload in recorded.payloads.items():
        assert payload.any(), name
        assert np.array_equal(payload, again.payloads[name]), name
    assert np.array_equal(recorded.output, again.output)
