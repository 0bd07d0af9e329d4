# SPDX-License-Identifier: BSD-3-Clause
"""A U-Net as its users write and train it, for docs/your-own-network.md.

Max pools, BatchNorm, bilinear upsampling; plain PyTorch, which knows nothing of spikes.

    python -m benchmarks.reach_unet train BSDS500-train   # resumes where it stopped
    python -m benchmarks.reach_unet noisy BSDS500-train runs/reach/noisy
    python -m benchmarks.reach_unet score Set12 runs/reach/tuned.net

Between the last two ``loihi-unet convert`` and ``finetune`` take
``benchmarks/reach_unet.py:load``, and ``export`` what they made. Seed 0 everywhere;
noise of sigma 25 is rounded and clipped, as a file of 8 bits holds it.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from export.images import completed, decode
from export.netx import read_network
from loihi_unet import simulate

RUN = Path("runs/reach")
SIGMA, SEED = 25.0, 0
ITERATIONS, BATCH, PATCH = 1500, 8, 64
LEARNING_RATE, SAVE_EVERY = 2e-3, 100


def double_conv(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [
            nn.Conv2d(channels, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Three levels of 16, 32 and 64 channels; puts out the input less its noise."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.inc = double_conv(1, width)
        self.down1 = double_conv(width, 2 * width)
        self.down2 = double_conv(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.up1 = double_conv(6 * width, 2 * width)
        self.up2 = double_conv(3 * width, width)
        self.outc = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Denoise pixels of 0..1, shape (B, 1, H, W)."""
        full = self.inc(x)
        half = self.down1(self.pool(full))
        quarter = self.down2(self.pool(half))
        half = self.up1(torch.cat([half, self.up(quarter)], dim=1))
        full = self.up2(torch.cat([full, self.up(half)], dim=1))
        return x - self.outc(full)


def load() -> nn.Module:
    """Return the trained network: what ``convert`` is given."""
    net = UNet()
    state = torch.load(RUN / "last.pth", weights_only=True)
    net.load_state_dict(state["net"])
    return net.eval()


def gray(folder: Path) -> dict[str, NDArray[np.uint8]]:
    files = sorted(p for p in folder.iterdir() if p.suffix in (".png", ".jpg"))
    return {p.stem: np.asarray(Image.open(p).convert("L")) for p in files}


def noisy(clean: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    levels = clean + random.normal(0, SIGMA, clean.shape)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def batch(pictures: list[NDArray[np.uint8]], iteration: int) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng([SEED, iteration])
    crops = []
    for _ in range(BATCH):
        picture = pictures[random.integers(len(pictures))]
        y, x = (random.integers(side - PATCH + 1) for side in picture.shape)
        crop = np.rot90(picture[y : y + PATCH, x : x + PATCH], random.integers(4))
        crops.append(crop[:, ::-1] if random.integers(2) else crop)
    clean = np.stack(crops)[:, None]
    pair = (noisy(clean, random), clean.copy())
    seen, wanted = (torch.from_numpy(levels).float() / 255 for levels in pair)
    return seen, wanted


def train(folder: Path) -> None:
    torch.manual_seed(SEED)
    pictures = list(gray(folder).values())
    net = UNet()
    optimiser = torch.optim.Adam(net.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, ITERATIONS)
    parts = {"net": net, "optimiser": optimiser, "schedule": schedule}
    begin, seconds = 0, 0.0
    last = RUN / "last.pth"
    if last.exists():
        state = torch.load(last, weights_only=True)
        begin, seconds = state["iteration"], state["seconds"]
        for name, part in parts.items():
            part.load_state_dict(state[name])
    started = time.process_time() - seconds
    for iteration in range(begin, ITERATIONS):
        seen, wanted = batch(pictures, iteration)
        loss = nn.functional.l1_loss(net(seen), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (iteration + 1) % SAVE_EVERY == 0:
            seconds = time.process_time() - started
            state = {name: part.state_dict() for name, part in parts.items()}
            state |= {"iteration": iteration + 1, "seconds": seconds}
            RUN.mkdir(parents=True, exist_ok=True)
            torch.save(state, last.with_suffix(".new"))
            os.replace(last.with_suffix(".new"), last)
            print(iteration + 1, f"{loss.item():.5f} {seconds:.0f} s", flush=True)


def write_noisy(folder: Path, out: Path) -> None:
    random = np.random.default_rng(SEED)
    out.mkdir(parents=True, exist_ok=True)
    for stem, clean in gray(folder).items():
        Image.fromarray(noisy(clean, random)).save(out / f"{stem}.png")


def psnr(clean: NDArray[np.uint8], output: NDArray[np.floating]) -> float:
    error = np.clip(255 * output, 0, 255) - clean
    return float(20 * np.log10(255 / np.sqrt(np.square(error).mean())))


def score(folder: Path, file: Path) -> None:
    """Print mean PSNR of noise, float network and integers on clean pictures."""
    network, net = read_network(file), load()
    random = np.random.default_rng(SEED + 1)
    rows = []
    for stem, clean in gray(folder).items():
        seen = noisy(clean, random)
        with torch.no_grad():
            wanted = net(torch.from_numpy(seen / np.float32(255))[None, None])
        sized = network.resized(*seen.shape)
        images = completed(sized, seen[None].astype(np.int32))[None]
        sums = simulate(sized, images, layers=()).output
        integers = decode(sized, sums)[0, 0]
        outputs = (seen / 255, wanted[0, 0].numpy(), integers)
        rows.append([psnr(clean, output) for output in outputs])
        print(stem, *(f"{value:.3f}" for value in rows[-1]), flush=True)
    noise, floats, chip = np.mean(rows, axis=0)
    print(f"noisy {noise:.3f}, float {floats:.3f}, integers {chip:.3f} dB")
    print(f"integers - float: {chip - floats:+.3f} dB")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "noisy", "score"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    arguments = parser.parse_args()
    if arguments.what == "train":
        train(arguments.folder)
    elif arguments.what == "noisy":
        write_noisy(arguments.folder, arguments.out)
    else:
        score(arguments.folder, arguments.out)


if __name__ == "__main__":
    main()
