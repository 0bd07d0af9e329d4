# SPDX-License-Identifier: BSD-3-Clause
"""Restoration: pairs of pictures, of one size or of several."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from loihi_unet.config import RestoreConfig, TrainConfig
from loihi_unet.data.crops import check_sizes, draw_crops, pad_to_multiple
from loihi_unet.data.pictures import Picture
from loihi_unet.seeds import Purpose, generator
from loihi_unet.tasks.denoise import Network
from loihi_unet.tasks.metrics import Quality, mean_quality, quality
from loihi_unet.tasks.task import Validation


def shuffled(output: torch.Tensor, scale: int, channels: int) -> torch.Tensor:
    """Put a network's outputs in place: a pixel shuffle, where it does none itself.

    Parameters
    ----------
    output : Tensor, shape (B, channels * scale**2, H, W), or what results
        Of the network.
    scale : int
        How many times as large a target is as its input.
    channels : int
        Of a target.

    Returns
    -------
    Tensor, shape (B, channels, scale * H, scale * W)
        Pixels divided by 255.
    """
    if scale == 1 or output.shape[1] == channels:
        return output
    return functional.pixel_shuffle(output, scale)


@torch.no_grad()
def restored(
    network: Network,
    picture: Picture,
    task: RestoreConfig,
    *,
    multiple: int | tuple[int, int],
    device: torch.device | None = None,
) -> NDArray[np.float32]:
    """Run a network on one picture.

    Parameters
    ----------
    network : Network
        As in `loihi_unet.tasks.denoise.restore`.
    picture : Picture
        Its pixels are the input.
    task : RestoreConfig
        Gives the scale.
    multiple : int or tuple of int
        What the input's sides are reflected up to multiples of.
    device : torch.device, optional
        Where the network is; the CPU if None.

    Returns
    -------
    ndarray, shape (C, scale * H, scale * W), float32
        Gray levels, neither clipped nor rounded.
    """
    pixels = picture.pixels.astype(np.float32)
    _, height, width = pixels.shape
    padded = pad_to_multiple(pixels, multiple) / np.float32(255)
    x = torch.from_numpy(padded).to(device or "cpu")[None]
    output = shuffled(network(x), task.scale, task.channels)[0]
    output = output[:, : height * task.scale, : width * task.scale]
    levels: NDArray[np.float32] = (output.float() * 255).cpu().numpy()
    return levels


def target_of(picture: Picture) -> NDArray[np.uint8]:
    """Return what a picture should become."""
    assert picture.target is not None  # load_data gives every picture of a pair one
    return picture.target


class RestoreTask:
    """Make of crops of pictures the same crops of their targets.

    Parameters
    ----------
    config : TrainConfig
        With a `RestoreConfig` as its task.
    train, validation : sequence of Picture
        Pictures with targets.

    Raises
    ------
    DataError
        If a picture is smaller than a crop.
    """

    def __init__(
        self,
        config: TrainConfig,
        train: Sequence[Picture],
        validation: Sequence[Picture],
    ) -> None:
        assert isinstance(config.task, RestoreConfig)
        check_sizes(train, config.patch_size)
        self.config = config
        self.task = config.task
        self.train = train
        self.validation = validation

    def batch(
        self, index: int, purpose: Purpose = Purpose.TRAINING
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return crops of inputs and of targets.

        Parameters
        ----------
        index : int
            Iteration.
        purpose : Purpose
            Which of the seed's streams to draw from.

        Returns
        -------
        inputs : Tensor, shape (batch_size, C, patch_size, patch_size), float32
            Pixels divided by 255.
        targets : Tensor, of scale times the height and width
            The same.
        """
        config, task = self.config, self.task
        random = generator(config.seed, purpose, index)
        size, turn = config.patch_size, task.folders.crops == "turned"
        crops = draw_crops(self.train, config.batch_size, size, random, turn=turn)
        inputs, targets = [], []
        for crop in crops:
            picture = self.train[crop.place]
            inputs.append(crop.of(picture.pixels, size))
            targets.append(crop.of(target_of(picture), size, task.scale))
        full = np.float32(255)
        return (
            torch.from_numpy(np.stack(inputs) / full),
            torch.from_numpy(np.stack(targets) / full),
        )

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean absolute or mean squared error, as configured."""
        output = shuffled(output, self.task.scale, self.task.channels)
        if self.config.loss == "l1":
            return functional.l1_loss(output, target)
        return functional.mse_loss(output, target)

    def validate(self, network: Network, device: torch.device) -> Validation:
        """Score held-out pictures.

        Parameters
        ----------
        network : Network
            To be scored.
        device : torch.device
            Where it is.

        Returns
        -------
        Validation
            The score is the mean PSNR in dB.
        """
        multiple = self.config.model.multiple
        found: list[Quality] = []
        shown = None
        for picture in self.validation:
            output = restored(
                network, picture, self.task, multiple=multiple, device=device
            )
            found.append(quality(target_of(picture), output))
            if shown is None:
                shown = _panel(picture, output, self.task.scale)
        assert shown is not None  # one is held out at least
        scores = mean_quality(found)
        return Validation(score=scores.psnr, measures=scores._asdict(), panel=shown)


def _panel(picture: Picture, output: NDArray[np.float32], scale: int) -> torch.Tensor:
    """Input, output and target side by side."""
    large = picture.pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    panel = np.concatenate([large, output, target_of(picture)], axis=2)
    return torch.from_numpy(np.clip(panel / np.float32(255), 0, 1))
