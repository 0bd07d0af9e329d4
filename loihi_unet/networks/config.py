# SPDX-License-Identifier: BSD-3-Clause
"""The shapes and neurons of the networks that can be trained."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_serializer,
    model_validator,
)


class Settings(BaseModel):
    """Frozen settings; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _ModelSettings(Settings):
    in_channels: int = Field(default=1, ge=1)
    out_channels: int = Field(default=1, ge=1)
    residual: bool = True
    batch_norm: bool = False

    @model_validator(mode="after")
    def _check_residual(self) -> "_ModelSettings":
        if self.residual and self.in_channels != self.out_channels:
            raise ValueError(
                f"residual needs as many output channels as input channels, found "
                f"{self.in_channels} in and {self.out_channels} out"
            )
        return self


class UNetConfig(_ModelSettings):
    """The shape of a U-Net.

    Attributes
    ----------
    kind : str
        Names the network.
    in_channels, out_channels : int
        1 for gray, 3 for RGB.
    base_channels : int
        Channels of the first level; level ``l`` has ``base_channels * 2**l``.
    levels : int
        Number of poolings; a picture's sides must be multiples of
        ``stem * 2**levels``.
    residual : bool
        Add the input to the output, so the network learns the difference only.
    batch_norm : bool
        Normalise what drives every neuron over batch and steps while training; folded
        into weights and biases by conversion.
    stem : int
        Space to depth (arXiv 1609.05158, backwards): side of the blocks of pixels that
        the first layer takes for one and the last one puts out at once. With 2, 4
        everything between them has a quarter, a sixteenth of the positions.
    """

    kind: Literal["unet"] = "unet"
    base_channels: int = Field(default=16, ge=1)
    levels: int = Field(default=4, ge=1, le=6)
    stem: Literal[1, 2, 4] = 1

    @model_serializer(mode="wrap")
    def _leave_out_one(self, handler: Any) -> dict[str, Any]:
        # What was written before there were stems has the same bytes.
        table: dict[str, Any] = handler(self)
        if table.get("stem") == 1:
            del table["stem"]
        return table

    @property
    def multiple(self) -> int:
        """What a picture's sides must be multiples of."""
        return self.stem << self.levels


class DnCNNConfig(_ModelSettings):
    """The shape of a DnCNN (doi:10.1109/TIP.2017.2662206), SPIDEN's network.

    Attributes
    ----------
    kind : str
        Names the network.
    in_channels, out_channels : int
        1 for gray, 3 for RGB.
    base_channels : int
        Channels of every layer but the last.
    depth : int
        3x3 convolutions.
    residual, batch_norm : bool
        As for the U-Net.
    """

    kind: Literal["dncnn"] = "dncnn"
    base_channels: int = Field(default=64, ge=1)
    depth: int = Field(default=17, ge=2, le=60)

    @property
    def multiple(self) -> int:
        """Any size fits."""
        return 1


class FCNConfig(_ModelSettings):
    """The shape of the fully convolutional network of Spiking-FCN (arXiv 2110.07742).

    Its VGG-9 encoder has three levels of ``base_channels``, twice and four times as
    many channels, and two layers of 16 times as many below them.

    Attributes
    ----------
    kind : str
        Names the network.
    in_channels, out_channels : int
        As for the U-Net.
    base_channels : int
        Channels of the first level; 64 in the paper.
    residual, batch_norm : bool
        As for the U-Net.
    """

    kind: Literal["fcn"] = "fcn"
    base_channels: int = Field(default=64, ge=1)

    @property
    def multiple(self) -> int:
        """Three poolings."""
        return 8


#: ``"relu"``: an ordinary U-Net, to be converted.
NeuronKind = Literal["relu", "if", "if-zero", "lif", "mt", "ml", "rs"]


class NeuronConfig(Settings):
    """What stands after every convolution.

    Attributes
    ----------
    kind : str
        ``"relu"``, or a spiking neuron: integrate-and-fire with reset by subtraction
        (``"if"``) or to zero (``"if-zero"``), leaky (``"lif"``), multi-threshold
        (``"mt"``), Multi-Level Firing (``"ml"``), Real Spike (``"rs"``); see
        `loihi_unet.networks.surrogate`.
    num_steps : int
        T: time steps of a picture, where it spikes.
    """

    kind: NeuronKind = "relu"
    num_steps: int = Field(default=8, ge=1, le=64)


#: Networks by the kind that settings name.
MODELS: dict[str, type[UNetConfig] | type[DnCNNConfig] | type[FCNConfig]]
MODELS = {"unet": UNetConfig, "dncnn": DnCNNConfig, "fcn": FCNConfig}


def _kind(value: Any) -> Any:
    kind = value.get("kind", "unet") if isinstance(value, dict) else value
    return getattr(kind, "kind", kind)


ModelConfig = Annotated[
    Annotated[UNetConfig, Tag("unet")]
    | Annotated[DnCNNConfig, Tag("dncnn")]
    | Annotated[FCNConfig, Tag("fcn")],
    Discriminator(
        _kind,
        custom_error_type="model",
        custom_error_message=f"a table with kind {', '.join(MODELS)} needed",
    ),
]
