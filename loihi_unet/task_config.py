# SPDX-License-Identifier: BSD-3-Clause
"""What a network learns: four kinds of task, frozen and checked."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_serializer, model_validator
from typing_extensions import assert_never

from loihi_unet.builtin_sets import BUILT_IN
from loihi_unet.folder_config import ClassFolders, LabelFolders, PairFolders, Sparse
from loihi_unet.networks.config import Settings


class DenoiseConfig(Settings):
    """Removing noise.

    Attributes
    ----------
    kind : str
        Names the task.
    sigma_min, sigma_max : float
        Standard deviation of white Gaussian noise in gray levels of 0..255; every crop
        draws its own, uniformly between the two.
    noise : str
        ``"gaussian"``, or ``"poisson-gaussian"`` as of cameras and microscopes: shot
        noise of photons, then read noise; sigma counts for nothing then.
    gain : float
        Of Poisson-Gaussian noise: gray levels per photon.
    read_noise : float
        Of Poisson-Gaussian noise: standard deviation in gray levels.
    """

    kind: Literal["denoise"] = "denoise"
    sigma_min: float = Field(default=25.0, ge=0, le=255)
    sigma_max: float = Field(default=25.0, ge=0, le=255)
    noise: Literal["gaussian", "poisson-gaussian"] = "gaussian"
    gain: float = Field(default=1.0, gt=0, le=255)
    read_noise: float = Field(default=2.0, ge=0, le=255)

    @model_serializer(mode="wrap")
    def _as_before(self, handler: Any) -> dict[str, Any]:
        # What was written before there was other noise has the same bytes.
        table: dict[str, Any] = handler(self)
        if self.noise == "gaussian":
            for key in ("noise", "gain", "read_noise"):
                del table[key]
        return table

    @model_validator(mode="after")
    def _check_order(self) -> "DenoiseConfig":
        if self.sigma_min > self.sigma_max:
            raise ValueError(
                f"sigma_min {self.sigma_min:g} is above sigma_max {self.sigma_max:g}"
            )
        return self

    @property
    def gaussian(self) -> bool:
        """Whether the noise is Gaussian alone."""
        return self.noise == "gaussian"


class SegmentConfig(Sparse):
    """Naming the class of every pixel.

    Attributes
    ----------
    kind : str
        Names the task.
    dataset : str
        A set of `loihi_unet.builtin_sets`, or ``"folders"``: one's own.
    folders : LabelFolders or None
        Of one's own set.
    """

    kind: Literal["segment"] = "segment"
    dataset: Literal["drive", "isbi2012", "camseq01", "folders"] = "drive"
    folders: LabelFolders | None = None

    @model_validator(mode="after")
    def _check_folders(self) -> "SegmentConfig":
        if (self.dataset == "folders") != (self.folders is not None):
            raise ValueError(
                "dataset = 'folders' goes with a table task.folders, and other data "
                "sets with none"
            )
        return self

    @property
    def layouts(self) -> tuple[LabelFolders, ...]:
        """Folders that the set may have; classes and channels are the same in all."""
        return BUILT_IN[self.dataset] if self.folders is None else (self.folders,)

    @property
    def settings(self) -> LabelFolders:
        """What the set is, wherever its files lie."""
        return self.layouts[0]

    @property
    def classes(self) -> int:
        """Number of classes; 2 are told apart by the sign of one output."""
        return len(self.settings.classes)

    @property
    def channels(self) -> int:
        """1 for gray pictures, 3 for RGB."""
        return self.settings.channels


class RestoreConfig(Settings):
    """Making of every picture its pair: sharp of blurred, large of small.

    Attributes
    ----------
    kind : str
        Names the task.
    dataset : str
        One's own.
    scale : int
        How many times as high and wide as its input a target is. The network puts out
        ``scale**2`` pixels for each of the input in as many channels; they are put in
        place by a pixel shuffle.
    folders : PairFolders
        Where the files are.
    """

    kind: Literal["restore"] = "restore"
    dataset: Literal["folders"] = "folders"
    scale: int = Field(default=1, ge=1, le=8)
    folders: PairFolders

    @property
    def layouts(self) -> tuple[PairFolders, ...]:
        """Folders that the set may have."""
        return (self.folders,)

    @property
    def settings(self) -> PairFolders:
        """What the set is."""
        return self.folders

    @property
    def channels(self) -> int:
        """1 for gray pictures, 3 for RGB."""
        return self.folders.channels

    @model_validator(mode="after")
    def _check_sizes(self) -> "RestoreConfig":
        if self.folders.contrast != "none":
            raise ValueError("contrast: of pairs the pixels are restored as they are")
        return self


class ClassifyConfig(Settings):
    """Naming the class of a picture.

    Attributes
    ----------
    kind : str
        Names the task.
    dataset : str
        One's own.
    folders : ClassFolders
        Where the files are.
    """

    kind: Literal["classify"] = "classify"
    dataset: Literal["folders"] = "folders"
    folders: ClassFolders

    @property
    def layouts(self) -> tuple[ClassFolders, ...]:
        """Folders that the set may have."""
        return (self.folders,)

    @property
    def settings(self) -> ClassFolders:
        """What the set is."""
        return self.folders

    @property
    def classes(self) -> int:
        """Number of classes, and of outputs."""
        return len(self.folders.classes)

    @property
    def channels(self) -> int:
        """1 for gray pictures, 3 for RGB."""
        return self.folders.channels


TASKS: dict[str, Any] = {
    "denoise": DenoiseConfig,
    "segment": SegmentConfig,
    "restore": RestoreConfig,
    "classify": ClassifyConfig,
}


def _task_kind(value: Any) -> Any:
    kind = value.get("kind", "denoise") if isinstance(value, dict) else value
    return getattr(kind, "kind", kind)


#: Tasks whose files lie in folders that settings describe.
SetConfig = SegmentConfig | RestoreConfig | ClassifyConfig

TaskConfig = Annotated[
    Annotated[DenoiseConfig, Tag("denoise")]
    | Annotated[SegmentConfig, Tag("segment")]
    | Annotated[RestoreConfig, Tag("restore")]
    | Annotated[ClassifyConfig, Tag("classify")],
    Discriminator(
        _task_kind,
        custom_error_type="task",
        custom_error_message=f"a table with kind {' or '.join(TASKS)} needed",
    ),
]


def ends(task: TaskConfig) -> tuple[int, int] | None:
    """Return the input and output channels that a task needs; None: any."""
    match task:
        case SegmentConfig():
            return task.channels, 1 if task.classes == 2 else task.classes
        case RestoreConfig():
            return task.channels, task.channels * task.scale**2
        case ClassifyConfig():
            return task.channels, task.classes
        case DenoiseConfig():
            return None
        case _:
            assert_never(task)
