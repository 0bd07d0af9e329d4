# SPDX-License-Identifier: BSD-3-Clause
"""Segmentation data sets in their official folder layouts, as settings.

- ``drive``: DRIVE, doi:10.1109/TMI.2004.825627. Class 1 is vessel, the mask is the
  field of view.
- ``isbi2012``: ISBI 2012 EM, doi:10.1371/journal.pbio.1000502: 30 labelled sections, as
  stacks as released, or as files. The labels of the official test part were never
  published, so the last five sections are the test part: a contiguous block, since
  neighbours resemble each other.
- ``camseq01``: CamSeq01, doi:10.1109/ICCV.2007.4409081, with SegNet's 11 classes and
  void: 101 frames of one drive, of which the last 21 test.
"""

from loihi_unet.folder_config import (
    ClassConfig,
    Colour,
    LabelFolders,
    SizesConfig,
    SplitByFolders,
    SplitLast,
)

#: CamVid's label colours, as SegNet's 11 classes group them.
_CAMVID: dict[str, tuple[Colour, ...]] = {
    "sky": ((128, 128, 128),),
    # Building, wall, tunnel, archway, bridge.
    "building": (
        (128, 0, 0),
        (64, 192, 0),
        (64, 0, 64),
        (192, 0, 128),
        (0, 128, 64),
    ),
    # Column or pole, traffic cone.
    "pole": ((192, 192, 128), (0, 0, 64)),
    # Road, lane markings to drive on and not.
    "road": ((128, 64, 128), (128, 0, 192), (192, 0, 64)),
    # Sidewalk, parking block, road shoulder.
    "pavement": ((0, 0, 192), (64, 192, 128), (128, 128, 192)),
    # Tree, other vegetation.
    "tree": ((128, 128, 0), (192, 192, 0)),
    # Sign, text, traffic light.
    "sign": ((192, 128, 128), (128, 128, 64), (0, 64, 64)),
    "fence": ((64, 64, 128),),
    # Car, pickup, truck or bus, train, other moving.
    "car": (
        (64, 0, 128),
        (64, 128, 192),
        (192, 128, 192),
        (192, 64, 128),
        (128, 64, 64),
    ),
    # Pedestrian, child, cart, animal.
    "pedestrian": ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)),
    # Bicyclist, motorcycle.
    "bicyclist": ((0, 128, 192), (192, 0, 192)),
}

_DRIVE = LabelFolders(
    images="{part}/images",
    labels="{part}/1st_manual",
    label_name=("{first}_manual1",),
    masks="{part}/mask",
    mask_name=("{stem}_mask",),
    split=SplitByFolders(train="training"),
    contrast="clahe",
    classes=(ClassConfig(name="background"), ClassConfig(name="vessel")),
)

_SECTIONS = LabelFolders(
    images="image",
    labels="label",
    label_name=("{stem}", "{stem}_L"),
    split=SplitLast(by="last", test=5),
    classes=(ClassConfig(name="membrane"), ClassConfig(name="other")),
    score_both=True,
)

_FRAMES = LabelFolders(
    images="image",
    labels="label",
    label_name=("{stem}", "{stem}_L"),
    channels=3,
    split=SplitLast(by="last", test=21),
    pictures=101,
    sizes=SizesConfig(how="resize", height=256, width=256),
    crops="street",
    class_weights="root",
    classes=tuple(
        ClassConfig(name=name, values=(index,), colours=colours)
        for index, (name, colours) in enumerate(_CAMVID.items())
    ),
    ignore=(len(_CAMVID),),
    ignore_colours=((0, 0, 0),),
)

#: By name; as their files may lie, in the order that is tried.
BUILT_IN: dict[str, tuple[LabelFolders, ...]] = {
    "drive": (_DRIVE,),
    "isbi2012": (
        _SECTIONS.model_copy(
            update={"images": "train-volume.tif", "labels": "train-labels.tif"}
        ),
        _SECTIONS,
    ),
    "camseq01": (
        _FRAMES,
        _FRAMES.model_copy(
            update={
                "images": ".",
                "labels": ".",
                "label_name": ("{stem}_L",),
                "palette": "colours",
            }
        ),
    ),
}
