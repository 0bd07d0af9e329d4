# SPDX-License-Identifier: BSD-3-Clause
"""Choose a threshold for each channel, layer by layer, on calibration crops.

Every layer is driven by what the layers before it really send, with their thresholds
settled; each channel then takes the threshold, and the lead, at which its mean over
the steps comes closest to the activation of the trained network. A search for one
channel costs no convolution.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from export.facts import BIAS_MANT, STATE, WEIGHT_LEVEL
from export.units import PIXEL_MINIMUM, PIXEL_SCALE
from loihi_unet.checkpoint import Calibration, weights_sha256
from loihi_unet.config import TrainConfig
from loihi_unet.convert import spiking_unet, unscaled
from loihi_unet.graph import INPUT, Layer, Scale, SpikingUNet
from loihi_unet.net import Net
from loihi_unet.pictures import Picture, fingerprint
from loihi_unet.simulate import current
from loihi_unet.streams import Stream
from loihi_unet.tasks import make_task

#: Crops that thresholds are chosen on.
CROPS = 8
#: Full range of a step, as a multiple of the channel's largest activations.
RANGES = tuple(4 * 0.84**k for k in range(20))
#: Leads tried, in thresholds over all steps.
LEADS = (0.0, 0.25, 0.5)
#: Share of activations that lies below "largest".
PERCENTILE = 0.999
#: Least range of a channel, as a share of the middle of its layer.
SMALLEST = 1 / 64
#: Integer that stands for a threshold, at least.
LEAST_THETA = 16
#: A bias of a larger exponent would be coarse for the other channels.
LARGEST_BIAS_EXP = 4


def convert_channels(
    model: Net,
    config: TrainConfig,
    pictures: list[Picture],
    *,
    num_steps: int,
    num_thresholds: int,
    fewer: bool = False,
    bits: float | None = None,
) -> SpikingUNet:
    """Convert a trained network with a threshold for each channel.

    Parameters
    ----------
    model, config, pictures, num_steps, num_thresholds
        As in `search_channels`.
    fewer, bits
        As in `loihi_unet.convert.convert`.

    Returns
    -------
    SpikingUNet
        Not settled.

    Raises
    ------
    ConversionError
        If not even one threshold each keeps to `bits`.
    """
    crops = Crops(model, config, pictures)
    numbers: dict[str, int] = {}
    if fewer or bits is not None:
        # Not at the top: sensitivities are measured with this search.
        from loihi_unet.sensitivity import share_out

        numbers = share_out(
            crops, num_steps=num_steps, num_thresholds=num_thresholds, bits=bits
        )
    found = search_channels(
        crops, num_steps=num_steps, num_thresholds=num_thresholds, numbers=numbers
    )
    return spiking_unet(
        model,
        Calibration(
            normalisation="connection",
            percentile=100 * PERCENTILE,
            scales=found.scales,
            data_sha256=fingerprint(pictures),
            weights_sha256=weights_sha256(model),
        ),
        num_steps=num_steps,
        num_thresholds=num_thresholds,
        base_threshold=found.base_threshold,
        thresholds=numbers,
        leads=found.leads,
        provenance={
            "train": config.model_dump(mode="json"),
            "search": True,
            "thresholds_per": "channel",
            **({} if bits is None else {"bits": bits}),
        },
    )


class Crops:
    """What all trials see: crops, and what the trained network makes of them.

    Parameters
    ----------
    model : Net
        The trained network, on the CPU.
    config : TrainConfig
        Gives crop size, noise and seed.
    pictures : list[Picture]
        Where the crops come from.

    Attributes
    ----------
    x : Tensor, shape (B, C, H, W)
        The crops.
    wanted : dict[str, Tensor]
        Activation of every layer.
    layers : tuple[Layer, ...]
        The spiking ones, with the weights that the network was trained with.
    last : Layer
        The one that does not spike, alike but without a residual skip.
    """

    @torch.no_grad()
    def __init__(
        self, model: Net, config: TrainConfig, pictures: list[Picture]
    ) -> None:
        config = config.model_copy(update={"batch_size": CROPS})
        task = make_task(config, train=pictures, validation=[])
        # A batch that no scale was measured on, while the generator has any.
        self.x, _ = task.batch(2**20, Stream.CALIBRATION)
        self.model = model
        self.wanted = dict(model.layers(self.x))
        *spiking, last = unscaled(model, config).layers
        self.layers = tuple(spiking)
        learned = tuple(c for c in last.connections if c.kind != "identity")
        self.last = replace(last, connections=learned)


@dataclass(frozen=True, kw_only=True)
class Channels:
    """What a search found.

    Attributes
    ----------
    scales : dict[str, tuple[float, ...]]
        Of each spiking layer's channels, for `base_threshold`.
    leads : dict[str, tuple[float, ...]]
        As in `loihi_unet.convert.spiking_unet`.
    base_threshold : float
        q.
    """

    scales: dict[str, Scale]
    leads: dict[str, Scale]
    base_threshold: float


@torch.no_grad()
def search_channels(
    crops: Crops,
    *,
    num_steps: int,
    num_thresholds: int,
    numbers: Mapping[str, int],
) -> Channels:
    """Choose the thresholds of all channels.

    Parameters
    ----------
    crops : Crops
        What to judge by.
    num_steps, num_thresholds : int
        T and N.
    numbers : Mapping[str, int]
        N of layers that have their own, by name.

    Returns
    -------
    Channels
        A pool has its source's thresholds: then its weights are level 1.
    """
    q = 2 / 2**num_thresholds
    sent = {INPUT: crops.x[None]}
    scales: dict[str, Tensor] = {}
    leads: dict[str, Scale] = {}
    # Gray levels reach far beyond 0..255.
    sends = {INPUT: (torch.tensor([PIXEL_SCALE]), -PIXEL_MINIMUM)}
    for layer in crops.layers:
        top = 2 ** numbers.get(layer.name, num_thresholds) - 1
        drive = current(layer, sent).expand(num_steps, *([-1] * 4))
        neurons = Trial(drive, crops.wanted[layer.name], top)
        source = layer.connections[0].source
        if layer.connections[0].kind == "average_pool":
            theta = scales[source] * q
        else:
            full = largest(neurons.target) / top
            theta = neurons.best_threshold(full, least_threshold(layer, sends))
        lead = neurons.best_lead(theta)
        scales[layer.name] = theta / q
        sends[layer.name] = theta, top
        leads[layer.name] = tuple(lead.tolist())
        sent[layer.name] = neurons.values(theta, lead)
    return Channels(
        scales={name: tuple(s.double().tolist()) for name, s in scales.items()},
        leads=leads,
        base_threshold=q,
    )


def largest(activation: Tensor) -> Tensor:
    """Return the percentile of each channel, shape (C,); never 0.

    A channel that hardly fires takes at least a small part of what is usual in its
    layer.
    """
    flat = activation.transpose(0, 1).flatten(1)
    count = max(1, round(flat.shape[1] * (1 - PERCENTILE)))
    found = flat.topk(count, dim=1).values[:, -1]
    alive = found > 0
    usual = found[alive].median() if alive.any() else torch.tensor(1.0)
    return found.clamp(min=float(usual) * SMALLEST)


def least_threshold(layer: Layer, sends: Mapping[str, tuple[Tensor, int]]) -> Tensor:
    """Return the smallest threshold of each channel that theta can stand for.

    All that may arrive in a step has to fit 24 bits (`export.gain.largest_sum_gain`),
    each weight 8 and the bias 13, so the smaller a threshold, the smaller its integer.

    Parameters
    ----------
    layer : Layer
        Who receives, with the trained network's weights.
    sends : Mapping[str, tuple[Tensor, int]]
        What one unit of payload means in each channel of a source, and the largest
        payload.

    Returns
    -------
    Tensor, shape (C,)
        In the trained network's unit.
    """
    total, weights = torch.zeros(layer.channels), torch.zeros(layer.channels)
    for c in layer.connections:
        assert c.weight is not None  # not a pool
        weight = c.weight.abs()
        if c.kind == "conv_transpose":
            weight = weight.transpose(0, 1)
        unit, top = sends[c.source]
        weight = weight * unit.view(1, -1, 1, 1)
        total += weight.sum(dim=(1, 2, 3)) * top
        weights = weights.maximum(weight.amax(dim=(1, 2, 3)))
    assert layer.bias is not None
    needs = (
        total / (STATE.maximum / 2),
        weights / (2 * WEIGHT_LEVEL.maximum),
        layer.bias.abs() / (BIAS_MANT.maximum << LARGEST_BIAS_EXP),
    )
    return LEAST_THETA * torch.stack(needs).amax(dim=0)


class Trial:
    """Neurons of one layer, on a drive that stays.

    Parameters
    ----------
    drive : Tensor, shape (T, B, C, H, W)
        Input of every step, in the trained network's unit.
    target : Tensor, shape (B, C, H, W)
        The trained network's activation.
    top : int
        Largest payload.
    """

    def __init__(self, drive: Tensor, target: Tensor, top: int) -> None:
        self.drive = drive
        self.target = target
        self.top = top

    def values(self, theta: Tensor, lead: Tensor) -> Tensor:
        """Return what is sent at every step, shape (T, B, C, H, W)."""
        steps = len(self.drive)
        theta = theta[:, None, None]
        extra = theta * (lead[:, None, None] / steps)
        v = torch.zeros_like(self.drive[0])
        sent = []
        for drive in self.drive:
            v = v + drive + extra
            value = (v / theta).floor_().clamp_(0, self.top).mul_(theta)
            v = v - value
            sent.append(value)
        return torch.stack(sent)

    def error(self, theta: Tensor, lead: Tensor) -> Tensor:
        """Return each channel's mean squared error, shape (C,)."""
        mean = self.values(theta, lead).mean(dim=0)
        return (mean - self.target).square_().mean(dim=(0, 2, 3))

    def best_threshold(self, full: Tensor, least: Tensor) -> Tensor:
        """Return the best of `RANGES` for each channel, times ``full``."""
        half = torch.full_like(full, 0.5)
        errors = torch.stack(
            [self.error((full * r).maximum(least), half) for r in RANGES]
        )
        return (full * torch.tensor(RANGES)[errors.argmin(dim=0)]).maximum(least)

    def best_lead(self, theta: Tensor) -> Tensor:
        """Return the best of `LEADS` for each channel."""
        errors = torch.stack(
            [self.error(theta, torch.full_like(theta, lead)) for lead in LEADS]
        )
        return torch.tensor(LEADS)[errors.argmin(dim=0)]
