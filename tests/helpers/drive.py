# SPDX-License-Identifier: BSD-3-Clause
"""A small folder in DRIVE's official layout, out of scikit-image's retina.

DRIVE itself may not be given away. The vessels are those that a threshold finds: dark
against their surroundings in the green channel.
"""

from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from scipy.ndimage import gaussian_filter

SIDE = (88, 96)  # height, width; DRIVE's pictures are 584x565
# Top left corners in the retina at half its size: the eye is a disc of 705 pixels.
TRAINING = ((150, 150), (150, 300), (150, 450), (300, 150), (450, 200), (300, 420))
TEST = ((450, 400), (60, 330))


def make_drive(folder):
    """Write 6 training and 2 test pictures, with vessels and masks."""
    path = Path(skimage.__file__).parent / "data" / "retina.jpg"
    with Image.open(path) as image:
        eye = np.asarray(image.reduce(2)).astype(float)
    green = eye[..., 1]
    surroundings = gaussian_filter(green, 8)
    vessels = gaussian_filter(green, 1) < surroundings - 4
    inside = gaussian_filter(eye.max(axis=2), 4) > 40
    for part, corners in (("training", TRAINING), ("test", TEST)):
        first = 21 if part == "training" else 1
        for number, (top, left) in enumerate(corners, first):
            window = np.s_[top : top + SIDE[0], left : left + SIDE[1]]
            name = f"{number:02d}_{part}"
            place = folder / part
            for kind in ("images", "1st_manual", "mask"):
                (place / kind).mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(eye[window].astype(np.uint8))
            picture.save(place / "images" / f"{name}.tif")
            masks = {
                f"1st_manual/{number:02d}_manual1.gif": vessels & inside,
                f"mask/{name}_mask.gif": inside,
            }
            for file, mask in masks.items():
                levels = (255 * mask[window]).astype(np.uint8)
                Image.fromarray(levels).save(place / file)
    return folder
