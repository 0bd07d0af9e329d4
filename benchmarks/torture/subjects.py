# SPDX-License-Identifier: BSD-3-Clause
"""What is fuzzed: for each kind of file, valid ones, a mutation and its reader."""

from __future__ import annotations

import io
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.torture import file_mutations, net_mutations
from benchmarks.torture.stock_subjects import read_stock_net, stock_nets

Mutate = Callable[[list[bytes], np.random.Generator], tuple[str, bytes]]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A kind of file that a user may hand over.

    Parameters
    ----------
    what : str
        For the report.
    suffix : str
        Of the file's name.
    seeds : callable
        Bytes of valid files.
    mutate : callable
        Damage one of them.
    read : callable
        The product's reader, and what a command does next.
    """

    what: str
    suffix: str
    seeds: Callable[[], list[bytes]]
    mutate: Mutate
    read: Callable[[Path], Any]


def _written(write: Callable[[Path], Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed"
        write(path)
        return path.read_bytes()


def _tiny_unet() -> Any:
    import torch

    from loihi_unet.config import UNetConfig
    from loihi_unet.networks.net import Net

    torch.manual_seed(0)
    return Net(UNetConfig(base_channels=2, levels=1))


def tiny_spiking_unet() -> Any:
    """A converted network of two channels and one level."""
    with tempfile.TemporaryDirectory() as folder:
        from loihi_unet.conversion.convert import convert

        checkpoint = Path(folder) / "checkpoint.safetensors"
        checkpoint.write_bytes(tiny_checkpoint())
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        (pictures / "a.png").write_bytes(_png((32, 32)))
        return convert(str(checkpoint), Path(folder) / "snn", pictures)


def _sums() -> Any:
    """A network whose layers are sums of connections of several kinds."""
    import torch

    from loihi_unet.config import FCNConfig, TrainConfig
    from loihi_unet.conversion.normalise import trained_directly
    from loihi_unet.files.checkpoint import CheckpointRecord
    from loihi_unet.networks.config import NeuronConfig
    from loihi_unet.networks.net import Net

    torch.manual_seed(0)
    neuron = NeuronConfig(kind="if", num_steps=2)
    model = Net(FCNConfig(base_channels=1, residual=False), neuron)
    record = CheckpointRecord(
        config=TrainConfig(model=model.config, neuron=neuron, patch_size=8),
        iteration=1,
        measures={},
        best_score=0.0,
        data_sha256="",
        torch_version="0",
    )
    return trained_directly(model, record)


def tiny_checkpoint(*, resumable: bool = False) -> bytes:
    from loihi_unet.config import TrainConfig
    from loihi_unet.files.checkpoint import CheckpointRecord, save_checkpoint

    model = _tiny_unet()
    record = CheckpointRecord(
        config=TrainConfig(model=model.config, patch_size=16),
        iteration=1,
        measures={"psnr": 20.0},
        best_score=20.0,
        data_sha256="0" * 64,
        torch_version="0",
    )
    weights = model.tensors()
    moments = {
        f"{moment}.{name}": value.clone()  # safetensors refuses shared memory
        for name, value in weights.items()
        for moment in ("exp_avg", "exp_avg_sq")
    }
    extra = moments if resumable else None
    return _written(lambda path: save_checkpoint(path, weights, record, extra))


def _png(size: tuple[int, int], mode: str = "L", form: str = "PNG") -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, format=form)
    return buffer.getvalue()


def _nets() -> list[bytes]:
    from export.lowering import lower
    from export.netx import write_network
    from sim.selftest import small_network

    networks = [small_network(), small_network(seed=1, channels=1, num_thresholds=1)]
    networks.append(lower(tiny_spiking_unet(), 16, 16))
    networks.append(lower(_sums(), 8, 8))
    return [_written(lambda path, n=n: write_network(n, path)) for n in networks]


def _read_net(path: Path) -> None:
    from export.network import Network
    from export.netx import read_network

    assert isinstance(read_network(path), Network)


def _recordings() -> list[bytes]:
    from sim.backend import create
    from sim.recording_file import write_recording
    from sim.selftest import small_network

    network = small_network()
    images = np.random.default_rng(0).integers(-256, 512, (2, *network.input.shape))
    whole = create("reference").run(network, images)
    part = create("reference").run(network, images, layers=("mid",))
    return [_written(lambda path, r=r: write_recording(r, path)) for r in (whole, part)]


def _read_recording(path: Path) -> None:
    from sim.recording_file import read_recording
    from sim.verify.comparison import compare

    recording = read_recording(path)
    compare(recording, recording)


def _read_checkpoint(path: Path) -> None:
    import torch

    from loihi_unet.files.checkpoint import read_checkpoint
    from loihi_unet.training.moments import restore_moments

    checkpoint = read_checkpoint(path)
    assert sum(p.numel() for p in checkpoint.model.parameters()) < 10**6
    if checkpoint.moments:
        optimiser = torch.optim.Adam(checkpoint.model.parameters())
        restore_moments(
            optimiser,
            checkpoint.model.named_parameters(),
            checkpoint.moments,
            checkpoint.record.iteration,
            where=path,
        )


def _read_spiking(path: Path) -> None:
    from export.lowering import lower
    from loihi_unet.files.spiking_file import load_spiking_unet

    lower(load_spiking_unet(path), 16, 16)


def _save_sigma_delta(path: Path) -> None:
    import torch

    from loihi_unet.files.sigma_delta_file import save_sigma_delta
    from loihi_unet.sigma_delta.quantise import quantise
    from loihi_unet.spiking.graph import graph_of

    graph = graph_of(_tiny_unet().eval())
    x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    network = quantise(graph, x, size=(8, 8), task="denoise", provenance={})
    save_sigma_delta(path, network)


def _read_sigma_delta(path: Path) -> None:
    from export.netx import write_network
    from loihi_unet.files.sigma_delta_file import load_sigma_delta

    with tempfile.TemporaryDirectory() as folder:
        write_network(load_sigma_delta(path, (16, 16)), Path(folder) / "a.net")


def _configs() -> list[bytes]:
    from loihi_unet.config import config_toml, load_config, named_configs

    return [config_toml(load_config(name)).encode() for name in named_configs()]


def _read_config(path: Path) -> None:
    from loihi_unet.config import load_config

    load_config(path)


def _png_bomb() -> bytes:
    """60000 x 60000 gray pixels in a few kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + crc

    side = (60000).to_bytes(4, "big")
    body = zlib.compress(bytes(10**7), 9)
    head = chunk(b"IHDR", side + side + b"\x08\x00\x00\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _pictures() -> list[bytes]:
    small = (24, 20)
    kinds = [("L", "PNG"), ("RGB", "JPEG"), ("P", "GIF"), ("RGB", "BMP"), ("L", "TIFF")]
    files = [_png(small, mode, form) for mode, form in kinds]
    return [*files, _png(small, "RGB", "WEBP"), _png(small, "L", "PPM"), _png_bomb()]


def _read_picture(path: Path) -> None:
    from loihi_unet.data.pictures import load_pictures

    load_pictures(path, 1)


SUBJECTS: dict[str, Subject] = {
    "net": Subject(
        what="mutated .net files",
        suffix=".net",
        seeds=_nets,
        mutate=net_mutations.mutate,
        read=_read_net,
    ),
    "stock": Subject(
        what="mutated .net files of lava-dl, read with netx's arguments",
        suffix=".net",
        seeds=stock_nets,
        mutate=net_mutations.mutate,
        read=read_stock_net,
    ),
    "checkpoint": Subject(
        what="mutated checkpoints",
        suffix=".safetensors",
        seeds=lambda: [tiny_checkpoint(), tiny_checkpoint(resumable=True)],
        mutate=file_mutations.mutate_safetensors,
        read=_read_checkpoint,
    ),
    "spiking": Subject(
        what="mutated converted networks, then exported",
        suffix=".safetensors",
        seeds=lambda: [_written(lambda p: _save_spiking(p))],
        mutate=file_mutations.mutate_safetensors,
        read=_read_spiking,
    ),
    "sigma_delta": Subject(
        what="mutated converted networks of sigma-delta neurons, then exported",
        suffix=".safetensors",
        seeds=lambda: [_written(_save_sigma_delta)],
        mutate=file_mutations.mutate_safetensors,
        read=_read_sigma_delta,
    ),
    "config": Subject(
        what="mutated settings (TOML)",
        suffix=".toml",
        seeds=_configs,
        mutate=file_mutations.mutate_toml,
        read=_read_config,
    ),
    "recording": Subject(
        what="mutated recordings, then verified",
        suffix=".h5",
        seeds=_recordings,
        mutate=net_mutations.mutate_recording,
        read=_read_recording,
    ),
    "picture": Subject(
        what="mutated pictures of eight formats",
        suffix=".png",
        seeds=_pictures,
        mutate=file_mutations.mutate_bytes,
        read=_read_picture,
    ),
}


def _save_spiking(path: Path) -> None:
    from loihi_unet.files.spiking_file import save_spiking_unet

    save_spiking_unet(path, tiny_spiking_unet())
