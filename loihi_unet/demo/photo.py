# SPDX-License-Identifier: BSD-3-Clause
"""One's own photo, of any size, gray or colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage.transform import resize

from loihi_unet.data.pictures import Picture, load_pictures
from loihi_unet.demo.subject import Photograph, Retina, Subject
from loihi_unet.errors import DataError

#: Longest side that is run and shown; a page holds several pictures of it.
LONGEST = 1024


def own_photo(path: Path, task: str, sigma: float) -> tuple[Subject, str]:
    """Read a photo for the demo.

    Parameters
    ----------
    path : Path
        A picture; of several pages, the first.
    task : str
        ``"denoise"``: gray pictures take the gray network, others the colour one;
        ``"segment"``: the vessels of a retina.
    sigma : float
        Noise to add (denoising); 0: the photo has its own.

    Returns
    -------
    subject : Subject
        For `loihi_unet.demo.run.run_demo`.
    note : str
        That the photo was made smaller; empty if it was not.

    Raises
    ------
    DataError
        If there is no such picture, or it cannot be read.
    """
    if path.is_dir():
        raise DataError(f"{path}: a folder found, a picture needed")
    photo = load_pictures(path, 1 if task == "segment" else 3)[0]
    if len(photo.pixels) == 3 and (photo.pixels == photo.pixels[:1]).all():
        photo = load_pictures(path, 1)[0]
    height, width = photo.size
    photo = _not_larger(photo)
    note = ""
    if photo.size != (height, width):
        note = (
            f"{path}: {height}x{width} pixels, made smaller to "
            f"{photo.size[0]}x{photo.size[1]}: at most {LONGEST} are run and shown"
        )
    if task == "segment":
        return Retina(photo), note
    return Photograph(photo, sigma), note


def _not_larger(photo: Picture) -> Picture:
    """The photo with no side above `LONGEST`."""
    factor = LONGEST / max(photo.size)
    if factor >= 1:
        return photo
    height, width = (max(1, round(side * factor)) for side in photo.size)
    planes = photo.pixels.transpose(1, 2, 0)
    smaller = resize(planes, (height, width), anti_aliasing=True, preserve_range=True)
    levels = np.rint(smaller).astype(np.uint8).transpose(2, 0, 1)
    return Picture(name=photo.name, pixels=np.ascontiguousarray(levels))
