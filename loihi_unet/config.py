# SPDX-License-Identifier: BSD-3-Clause
"""What a training run is: frozen, checked settings, read from TOML."""

import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import tomli_w
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    model_serializer,
    model_validator,
)

from export.files.kind import expect
from loihi_unet.errors import ConfigError
from loihi_unet.networks.config import DnCNNConfig as DnCNNConfig
from loihi_unet.networks.config import FCNConfig as FCNConfig
from loihi_unet.networks.config import ModelConfig, NeuronConfig, Settings
from loihi_unet.networks.config import UNetConfig as UNetConfig
from loihi_unet.task_config import ClassifyConfig as ClassifyConfig
from loihi_unet.task_config import DenoiseConfig as DenoiseConfig
from loihi_unet.task_config import RestoreConfig as RestoreConfig
from loihi_unet.task_config import SegmentConfig as SegmentConfig
from loihi_unet.task_config import TaskConfig as TaskConfig
from loihi_unet.task_config import ends

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class TrainConfig(Settings):
    """Everything that decides a training run's result, but the pictures.

    Attributes
    ----------
    model : UNetConfig, DnCNNConfig or FCNConfig
        The network.
    task : DenoiseConfig, SegmentConfig, RestoreConfig or ClassifyConfig
        What it learns.
    patch_size : int
        Side of the square training crops in pixels, a multiple of the network's.
    batch_size : int
        Crops per iteration.
    iterations : int
        Optimiser steps.
    learning_rate, final_learning_rate : float
        Adam's step size, falling from the first to the second along half a cosine.
    warmup_iterations : int
        Over so many, but at most a tenth of the run, the step size first rises
        linearly; large steps at the start can leave layers that never fire again.
    loss : str
        ``"l1"``: mean absolute error; ``"l2"``: mean squared error; for
        segmentation ``"cross_entropy"``, binary where there are two classes, and for
        classification.
    precision : str
        Number format of the forward and backward pass; ``"bfloat16"`` keeps weights
        and optimiser in float32. It is the faster one where the processor has it.
    seed : int
        Decides initial weights, crops and noise.
    validation_images : int
        Pictures held out of training.
    validation_interval : int
        Iterations between validations; each also writes a checkpoint.
    neuron : NeuronConfig
        ReLU, or the spiking neuron that the network is trained with directly.
    white_level : int or None
        What became 255 in pictures of more than 8 bits a channel; None where there
        were none, or before they are read: what their files state.
    """

    model: ModelConfig = UNetConfig()
    task: TaskConfig = DenoiseConfig()
    patch_size: int = Field(default=64, ge=1)
    batch_size: int = Field(default=16, ge=1)
    iterations: int = Field(default=20000, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    final_learning_rate: float = Field(default=1e-6, ge=0)
    warmup_iterations: int = Field(default=0, ge=0)
    loss: Literal["l1", "l2", "cross_entropy"] = "l1"
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(default=0, ge=0)
    validation_images: int = Field(default=4, ge=1)
    validation_interval: int = Field(default=1000, ge=1)
    neuron: NeuronConfig = NeuronConfig()
    white_level: int | None = Field(default=None, ge=1)

    @model_serializer(mode="wrap")
    def _leave_out_nothing(self, handler: Any) -> dict[str, Any]:
        # TOML has no null; and what was written before has the same bytes.
        table: dict[str, Any] = handler(self)
        if table.get("white_level") is None:
            table.pop("white_level", None)
        return table

    @model_validator(mode="after")
    def _check_patch(self) -> "TrainConfig":
        multiple = self.model.multiple
        if self.patch_size % multiple:
            raise ValueError(
                f"patch_size {self.patch_size} is not a multiple of {multiple}, as "
                f"{self.model.kind} needs"
            )
        return self

    @model_validator(mode="after")
    def _check_task(self) -> "TrainConfig":
        model, task = self.model, self.task
        names = isinstance(task, SegmentConfig | ClassifyConfig)
        if names != (self.loss == "cross_entropy"):
            allowed = "cross_entropy" if names else "l1 or l2"
            raise ValueError(f"loss {self.loss}: {task.kind} needs {allowed}")
        needed = ends(task)
        if needed is None or isinstance(task, DenoiseConfig):
            return self
        residual = model.residual and names
        if (model.in_channels, model.out_channels) != needed or residual:
            what = task.kind if task.dataset == "folders" else task.dataset
            raise ValueError(
                f"{what} needs {needed[0]} input and {needed[1]} output "
                f"channels{' and no residual' if names else ''}, found "
                f"{model.in_channels}, {model.out_channels}"
                f"{f' and residual = {model.residual}' if names else ''}"
            )
        return self


#: Ours have a thousand characters. Python 3.11's tomllib takes time quadratic in the
#: parts of a dotted key, half a minute for 20,000.
LONGEST_CONFIG = 10_000


def named_configs() -> list[str]:
    """Return the names of the configurations that come with the package."""
    folder = resources.files("loihi_unet") / "configs"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def load_config(
    source: str | Path, overrides: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Read a configuration.

    Parameters
    ----------
    source : str or Path
        A name from `named_configs`, or the path of a TOML file.
    overrides : Mapping[str, Any], optional
        Values that replace the file's, by dotted key: ``{"model.levels": 3}``.

    Returns
    -------
    TrainConfig
        The checked settings.

    Raises
    ------
    ConfigError
        If the source does not exist or is not TOML, or a key or value is not allowed.
    """
    names = named_configs()
    if str(source) in names:
        file = resources.files("loihi_unet") / "configs" / f"{source}.toml"
    else:
        file = Path(source)
        if not file.exists():
            raise ConfigError(
                f"{source}: neither a file nor a named configuration; allowed names: "
                f"{', '.join(names)}"
            )
        # An empty file is TOML too: all settings have defaults.
        expect(file, "toml", "empty", error=ConfigError)
    try:
        text = file.read_text(encoding="utf-8")
        if len(text) > LONGEST_CONFIG:
            raise ConfigError(
                f"{source}: {len(text)} characters found, {LONGEST_CONFIG} allowed"
            )
        table = tomllib.loads(text)
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:  # all that a TOML reader raises
        raise ConfigError(f"{source}: not TOML: {error}") from error
    for key, value in (overrides or {}).items():
        _set(table, key, value)
    return parse_config(table, where=str(source))


def _set(table: dict[str, Any], dotted: str, value: object) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        inner = table.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{dotted}: {parent} is a value, not a table")
        table = inner
    table[last] = value


def parse_config(table: Mapping[str, Any], *, where: str) -> TrainConfig:
    """Check a table of settings.

    Parameters
    ----------
    table : Mapping[str, Any]
        As read from TOML or JSON.
    where : str
        Named in errors.

    Returns
    -------
    TrainConfig
        The checked settings.

    Raises
    ------
    ConfigError
        If a key or value is not allowed: one line naming each of them.
    """
    try:
        return TrainConfig.model_validate(table)
    except ValidationError as error:
        problems = "; ".join(_describe(dict(item)) for item in error.errors())
        raise ConfigError(f"{where}: {problems}") from None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Settings that a field may hold, whatever unions and tuples are around them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _is_tag(model: type[BaseModel], name: Any) -> bool:
    """Whether a member of a union is called by a name."""
    tags = (model.model_fields.get(key) for key in ("kind", "by"))
    return any(name in get_args(tag.annotation) for tag in tags if tag is not None)


def _walk(loc: tuple[Any, ...]) -> tuple[list[str], list[type[BaseModel]]]:
    """Keys of a place in the settings, and the settings there.

    A union's place names the member too, as in task.denoise.sigma_min.
    """
    settings: list[type[BaseModel]] = [TrainConfig]
    keys: list[str] = []
    for part in loc:
        members = [model for model in settings if _is_tag(model, part)]
        if len(settings) > 1 and members:
            settings = members
            continue
        keys.append(str(part))
        if isinstance(part, str):
            fields = [model.model_fields.get(part) for model in settings]
            annotations = [field.annotation for field in fields if field is not None]
            settings = [model for kind in annotations for model in _models(kind)]
    return keys, settings


def _describe(item: dict[str, Any]) -> str:
    key = ".".join(_walk(item["loc"])[0])
    if item["type"] == "extra_forbidden":
        allowed = _walk(item["loc"][:-1])[1][0].model_fields
        return f"{key}: unknown key; allowed: {', '.join(allowed)}"
    message = item["msg"].removeprefix("Value error, ")
    given = "" if isinstance(item["input"], dict) else f", found {item['input']!r}"
    return f"{key}: {message}{given}" if key else message


def config_toml(config: TrainConfig) -> str:
    """Return the effective settings, defaults included, as TOML.

    Parameters
    ----------
    config : TrainConfig
        The settings.

    Returns
    -------
    str
        `load_config` reads it back to an equal object.
    """
    return tomli_w.dumps(config.model_dump())
