# SPDX-License-Identifier: BSD-3-Clause
"""Where a video loses against pictures: payloads that are cut off at each change.

    python benchmarks/sigma_delta_drift.py --frames CamSeq01/image --train BSDS500-train

Streams frames with fresh noise of sigma 25 through denoise-gray in sigma-delta form,
at threshold 0, in float64: as it is, and as if nothing that relays cut off, or all
layers, were forgotten at the next change. Prints the PSNR of each.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sigma_delta import noise, psnr

from export.images import completed, decode
from export.stock_compartment import Delta, Sigma
from export.stock_network import StockNetwork
from export.synapse import Conv, ConvTranspose
from loihi_unet.data.crops import centre_crop
from loihi_unet.data.pictures import load_pictures
from loihi_unet.sigma_delta.convert import convert
from loihi_unet.sigma_delta.stages import HANDED_ON, sums


def outputs(
    network: StockNetwork,
    entering: npt.NDArray[np.float32],
    remembers: Callable[[str], bool],
) -> npt.NDArray[np.float64]:
    """What frames give where some layers make good what they have cut off."""
    frames = np.stack([completed(network, frame) for frame in entering])
    first, *layers = network.layers
    assert isinstance(first.compartment, Delta)
    values = torch.from_numpy(frames).double()
    sent = {first.name: _changes(values)}
    for layer in layers:
        arrived = torch.zeros(())
        for c in layer.connections:
            assert isinstance(c.synapse, Conv | ConvTranspose)
            arrived = arrived + sums(c.synapse, sent[c.source])
        values = arrived.cumsum(0)
        if isinstance(layer.compartment, Sigma):
            break
        x = values.clamp(min=0) / 64
        whole = remembers(layer.name)
        sent[layer.name] = _changes(x.floor()) if whole else _changes(x).floor()
    return decode(network, values.numpy())


def _changes(x: torch.Tensor) -> torch.Tensor:
    return torch.diff(x, dim=0, prepend=torch.zeros_like(x[:1]))


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--side", type=int, default=64)
    words = parser.parse_args()
    side = words.side
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.net"
        network = convert("denoise-gray", path, words.train, size=(side, side))
    pictures = load_pictures(words.frames, 1)
    clean = np.stack(
        [centre_crop(pictures[n].pixels, side, side, "") for n in range(words.count)]
    ).astype(np.float32)
    entering = clean + noise(clean.shape, 25.0, False)
    for what, remembers in (
        ("as it is", lambda name: False),
        ("relays forget nothing", lambda name: HANDED_ON in name),
        ("nothing is forgotten", lambda name: True),
    ):
        found = psnr(clean, outputs(network, entering, remembers))
        print(f"{what}: {np.mean(found[1:]):.3f} dB after the first frame; {found}")


if __name__ == "__main__":
    main()
