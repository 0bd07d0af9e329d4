# SPDX-License-Identifier: BSD-3-Clause
"""Layers and connections: what float networks and Spiking-UNets are made of."""

from dataclasses import dataclass

import torch
from torch import Tensor

from loihi_unet.networks.topology import ConnectionKind

Pair = tuple[int, int]  # (along H, along W)
#: One number for a layer, or one for each of its channels.
Scale = float | tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where the taps of a connection lie, in torch's words.

    Attributes
    ----------
    stride, padding, dilation : tuple of int
        Along (H, W). Of an average pool the stride is the window.
    output_padding : tuple of int
        Of a transposed convolution, whose dilation and groups are always 1.
    groups : int
        Channel groups.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    output_padding: Pair = (0, 0)
    groups: int = 1


_POOL = Geometry(stride=(2, 2))
_TRANSPOSE = Geometry(stride=(2, 2), padding=(1, 1), output_padding=(1, 1))


def usual(kind: ConnectionKind, weight: Tensor | None) -> Geometry:
    """Return the geometry of a connection that names none: this project's networks.

    Parameters
    ----------
    kind : str
        Of the connection.
    weight : Tensor or None
        Its weights.

    Returns
    -------
    Geometry
        Convolutions keep the size, transposed ones double it, pools halve it.
    """
    match kind:
        case "average_pool":
            return _POOL
        case "conv_transpose":
            return _TRANSPOSE
        case _ if weight is not None and weight.ndim == 4:
            height, width = weight.shape[2:]
            return Geometry(padding=(height // 2, width // 2))
        case _:
            return Geometry()


@dataclass(frozen=True, kw_only=True, eq=False)
class Connection:
    """What a layer receives from one other layer.

    Attributes
    ----------
    source : str
        Name of the layer it comes from, or ``"input"``.
    kind : str
        ``"conv"``, ``"conv_transpose"``, ``"average_pool"`` or ``"identity"``: the
        residual skip, the value itself.
    weight : Tensor or None
        Normalised weights w_hat, shape (C_out, C_in // groups, kh, kw) for ``"conv"``,
        (C_in, C_out, kh, kw) for ``"conv_transpose"``, None for the other two.
    geometry : Geometry or None
        None: as `usual` says.
    """

    source: str
    kind: ConnectionKind
    weight: torch.Tensor | None = None
    geometry: Geometry | None = None

    @property
    def place(self) -> Geometry:
        """Geometry, named or usual."""
        if self.geometry is not None:
            return self.geometry
        return usual(self.kind, self.weight)


@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """How a layer's floats become integers, once that is settled.

    Fine-tuning trains weights for the very integers they are rounded to, so it keeps
    these; `export.theta` takes them instead of choosing its own.

    Attributes
    ----------
    gain : float or tuple[float, ...]
        theta of a spiking layer, or of each of its channels; units of v per unit of
        output of the last one.
    weight_exps : tuple[int, ...]
        One exponent per connection.
    bias_exp : int
        Exponent of the layer's biases.
    """

    gain: Scale
    weight_exps: tuple[int, ...]
    bias_exp: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A group of compartments: the sum of its connections plus a bias.

    Attributes
    ----------
    name : str
        Name of the trained network's layer.
    channels : int
        Feature maps.
    connections : tuple[Connection, ...]
        One per branch of a concatenation, in its order.
    bias : Tensor or None
        Normalised bias b_hat, shape (channels,), added at every step.
    scale : float or tuple[float, ...]
        lambda: the activation of the trained network that stands for the value 1, of
        the layer or of each channel. A neuron's lowest threshold is q times that.
    spiking : bool
        False: the layer only accumulates.
    quantisation : Quantisation or None
        Set by fine-tuning; None leaves the choice to the exporter.
    num_thresholds : int or None
        N of this layer's neurons; None: the network's.
    """

    name: str
    channels: int
    connections: tuple[Connection, ...]
    bias: torch.Tensor | None
    scale: Scale
    spiking: bool
    quantisation: Quantisation | None = None
    num_thresholds: int | None = None


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a network asks of a picture.

    Attributes
    ----------
    size : tuple[int, int] or None
        (H, W) that the network was read with; None: any multiple.
    fixed : bool
        Whether it takes no other size.
    constant : bool
        The input's last channel is a plane of ones that is not part of the picture:
        it carries what the network adds before a border of zeros.
    safety : int
        Levels are chosen so that no picture makes a potential leave 24 bits, as far
        as it takes no more than this factor from them; 1: weights fill theirs.
    """

    size: tuple[int, int] | None = None
    fixed: bool = False
    constant: bool = False
    safety: int = 1

    def completed(self, x: torch.Tensor, channels: int) -> torch.Tensor:
        """Return pictures (B, C, H, W) with the constant plane, where it belongs."""
        if not self.constant or x.ndim != 4 or x.shape[1] != channels - 1:
            return x
        return torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
