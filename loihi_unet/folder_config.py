# SPDX-License-Identifier: BSD-3-Clause
"""Where the files of a data set lie, and what their values mean: checked settings."""

import string
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from loihi_unet.networks.config import Settings

Byte = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]

#: Most classes of a set; 255 is the class of no class.
MOST_CLASSES = 255


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


#: Patterns of a file's name, tried in order.
Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(min_length=1)]


class Sparse(Settings):
    """Settings that are written without those that are None, which TOML has not."""

    @model_serializer(mode="wrap")
    def _without_none(self, handler: Any) -> dict[str, Any]:
        table: dict[str, Any] = handler(self)
        return {key: value for key, value in table.items() if value is not None}


class SplitByFolders(Sparse):
    """Every part has folders of its own: ``{part}`` in a path stands for their names.

    Attributes
    ----------
    train, validation, test : str or None
        Names of the folders. Without one for validation,
        ``validation_images`` of the training part are held out.
    """

    by: Literal["folders"] = "folders"
    train: str = "train"
    validation: str | None = None
    test: str = "test"


class SplitByLists(Sparse):
    """Every part is a list of names of pictures.

    Attributes
    ----------
    train, validation, test : str, tuple of str, or None
        A text file in the data folder, of a name a line, or the names: paths as
        ``data check`` prints them, with or without suffix, or file names alone.
    """

    by: Literal["lists"]
    train: str | tuple[str, ...]
    validation: str | tuple[str, ...] | None = None
    test: str | tuple[str, ...]


class SplitBySeed(Settings):
    """Parts are drawn at random.

    Attributes
    ----------
    test, validation : int or float
        How many pictures, or, below 1, which share of them.
    seed : int
        Another seed, other parts.
    """

    by: Literal["seed"]
    test: float = Field(default=0.2, gt=0)
    validation: float = Field(default=0.0, ge=0)
    seed: int = Field(default=0, ge=0)


class SplitLast(Settings):
    """The last pictures test: of stacks and videos, whose neighbours are alike.

    Attributes
    ----------
    test : int
        How many.
    """

    by: Literal["last"]
    test: int = Field(ge=1)


SplitConfig = Annotated[
    SplitByFolders | SplitByLists | SplitBySeed | SplitLast,
    Field(discriminator="by"),
]


class SizesConfig(Settings):
    """What is done with pictures of any size before a network sees them.

    Attributes
    ----------
    how : str
        ``"keep"``: nothing. ``"crop"``: the middle is cut out. ``"resize"``: all
        become one size, pixels bilinear, labels of the nearest pixel. ``"tile"``: cut
        into parts of about equal size, none larger; every pixel is in one.
    height, width : int
        In pixels; for all but ``"keep"``.
    """

    how: Literal["keep", "crop", "resize", "tile"] = "keep"
    height: int = Field(default=0, ge=0)
    width: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_size(self) -> "SizesConfig":
        if (self.how == "keep") != (self.height == self.width == 0) or (
            self.how != "keep" and 0 in (self.height, self.width)
        ):
            raise ValueError(
                f"how = {self.how!r} with height {self.height} and width {self.width}; "
                "crop, resize and tile need both, keep needs neither"
            )
        return self


class PictureFolders(Sparse):
    """What every kind of data set has.

    Attributes
    ----------
    images : str
        Folder of the pictures, or a file of many pages, in the data folder.
    channels : int
        1: gray; 3: RGB.
    split : SplitByFolders, SplitByLists, SplitBySeed or SplitLast
        Which pictures train, which test.
    sizes : SizesConfig
        What is done with their sizes.
    contrast : str
        ``"clahe"``: evened out by CLAHE and gamma, as DRIVE is.
    crops : str
        How crops are varied in training: ``"turned"`` (8 ways), ``"mirrored"`` (left
        and right), ``"street"`` (mirrored, zoomed and lit differently).
    pictures : int or None
        How many there must be in all parts together; None: any number.
    """

    images: str = "images"
    channels: Literal[1, 3] = 1
    split: SplitConfig = SplitByFolders()
    sizes: SizesConfig = SizesConfig()
    contrast: Literal["none", "clahe"] = "none"
    crops: Literal["turned", "mirrored", "street"] = "turned"
    pictures: int | None = Field(default=None, ge=1)

    @property
    def paths(self) -> dict[str, str]:
        """Paths by setting, those that are set."""
        given = {}
        for key in ("images", "labels", "masks", "targets"):
            if (value := getattr(self, key, None)) is not None:
                given[key] = value
        return given

    @model_validator(mode="after")
    def _check_paths(self) -> "PictureFolders":
        by_folders = isinstance(self.split, SplitByFolders)
        for key, path in self.paths.items():
            if extra := _fields(path) - {"part"}:
                raise ValueError(
                    f"{key} = {path!r}: {{{extra.pop()}}}; allowed is {{part}}"
                )
        if by_folders != ("part" in _fields(self.images)):
            need = "needs" if by_folders else "takes no"
            raise ValueError(
                f"images = {self.images!r}: split.by = {self.split.by!r} {need} "
                "{part}, the name of a part's folder"
            )
        for key in ("label_name", "mask_name", "target_name"):
            for name in getattr(self, key, ()):
                if extra := _fields(name) - {"stem", "first"}:
                    raise ValueError(
                        f"{key} = {name!r}: {{{extra.pop()}}}; allowed are {{stem}}, "
                        "the picture's name without suffix, and {first}, what of it "
                        "stands before the first _"
                    )
        if self.contrast == "clahe" and self.channels != 1:
            raise ValueError("contrast = 'clahe' needs channels = 1")
        return self


def _fields(pattern: str) -> set[str]:
    """Names in braces."""
    try:
        parsed = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(f"{pattern!r}: {error}") from None
    return {name for _, name, _, _ in parsed if name is not None}


class ClassConfig(Settings):
    """A class of pixels.

    Attributes
    ----------
    name : str
        In tables.
    values : tuple of int
        Gray levels or palette indices of label files.
    colours : tuple of (int, int, int)
        Colours of label files.
    """

    name: str = Field(min_length=1)
    values: tuple[Annotated[int, Field(ge=0)], ...] = ()
    colours: tuple[Colour, ...] = ()


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Weights = Literal["none", "root", "inverse"] | tuple[Annotated[float, Field(gt=0)], ...]


class LabelFolders(PictureFolders):
    """Pictures and the class of every pixel.

    Attributes
    ----------
    labels : str
        Folder of the labels, or a file of many pages.
    label_name : tuple of str
        Names that the label of a picture may have, without suffix; ``{stem}`` is the
        picture's, ``{first}`` what of it stands before the first ``_``.
    masks : str or None
        Folder of fields of view: pixels that are 0 in them are left out of the
        ``_fov`` scores.
    mask_name : tuple of str
        As `label_name`.
    classes : tuple of ClassConfig
        Names alone mean the values 0, 1, 2, ... in order; of two classes also
        0 and 255.
    ignore, ignore_colours : tuple
        Values and colours of pixels that have no class.
    palette : str
        What of a palette picture counts: ``"indices"`` or ``"colours"``.
    class_weights : str or tuple of float
        Of the classes in the loss: ``"none"``; ``"root"``: the inverse root of their
        share; ``"inverse"``: the inverse of their share; or a number for each.
    score_both : bool
        Of two classes: whether scores of class 0 stand beside those of class 1.
    """

    labels: str = "labels"
    label_name: Names = ("{stem}",)
    masks: str | None = None
    mask_name: Names = ("{stem}",)
    classes: tuple[Annotated[ClassConfig, BeforeValidator(_named)], ...] = Field(
        min_length=2, max_length=MOST_CLASSES
    )
    ignore: tuple[Annotated[int, Field(ge=0)], ...] = ()
    ignore_colours: tuple[Colour, ...] = ()
    palette: Literal["indices", "colours"] = "indices"
    class_weights: Weights = "none"
    score_both: bool = False

    @property
    def names(self) -> list[str]:
        """Of the classes, in order."""
        return [one.name for one in self.classes]

    @property
    def by_place(self) -> bool:
        """Whether classes are known by their place in the list alone."""
        return not any(one.values or one.colours for one in self.classes)

    @property
    def binary(self) -> bool:
        """Whether labels are 0 and 1, or 0 and 255."""
        return self.by_place and len(self.classes) == 2 and not self.ignore

    @property
    def values(self) -> dict[int, int | None]:
        """Class of each value of a label; None: of no class."""
        indices: dict[int, int | None] = dict.fromkeys(self.ignore)
        for index, one in enumerate(self.classes):
            values = (index,) if self.by_place else one.values
            indices |= dict.fromkeys(values, index)
        return indices

    @property
    def colours(self) -> dict[Colour, int | None]:
        """Class of each colour of a label; None: of no class."""
        indices: dict[Colour, int | None] = dict.fromkeys(self.ignore_colours)
        for index, one in enumerate(self.classes):
            indices |= dict.fromkeys(one.colours, index)
        return indices

    @model_validator(mode="after")
    def _check_classes(self) -> "LabelFolders":
        _check_unique("names", self.names)
        values = [index for index in range(len(self.classes)) if self.by_place]
        for one in self.classes:
            values += one.values
        _check_unique("values", [*values, *self.ignore])
        colours = [colour for one in self.classes for colour in one.colours]
        _check_unique("colours", [*colours, *self.ignore_colours])
        if not self.by_place:
            for one in self.classes:
                if not (one.values or one.colours):
                    raise ValueError(
                        f"class {one.name!r} has neither values nor colours, as other "
                        "classes have"
                    )
        _check_weights(self.class_weights, len(self.classes))
        return self


class PairFolders(PictureFolders):
    """Pictures and what they should become.

    Attributes
    ----------
    targets : str
        Folder of the pictures as they should be, or a file of many pages.
    target_name : tuple of str
        As `LabelFolders.label_name`.
    """

    images: str = "input"
    targets: str = "target"
    target_name: Names = ("{stem}",)

    @model_validator(mode="after")
    def _check_crops(self) -> "PairFolders":
        if self.crops == "street":
            raise ValueError("crops = 'street': pairs are turned or mirrored")
        return self


class ClassFolders(PictureFolders):
    """Pictures in a folder for each class.

    Attributes
    ----------
    classes : tuple of str
        Folders in `images`.
    class_weights : str or tuple of float
        As of `LabelFolders`.
    """

    images: str = "{part}"
    classes: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=2, max_length=MOST_CLASSES
    )
    class_weights: Weights = "none"

    @property
    def names(self) -> list[str]:
        """Of the classes, in order."""
        return list(self.classes)

    @model_validator(mode="after")
    def _check_classes(self) -> "ClassFolders":
        _check_unique("classes", list(self.classes))
        _check_weights(self.class_weights, len(self.classes))
        if self.crops == "street":
            raise ValueError("crops = 'street': classified pictures are not zoomed")
        if self.sizes.how == "tile":
            raise ValueError("sizes.how = 'tile': a part of a picture has no class")
        return self


def _check_unique(what: str, items: list[Any]) -> None:
    for item in items:
        if items.count(item) > 1:
            raise ValueError(f"{what} of classes: {item!r} is there more than once")


def _check_weights(weights: Any, count: int) -> None:
    if isinstance(weights, tuple) and len(weights) != count:
        raise ValueError(f"{len(weights)} class_weights for {count} classes")
