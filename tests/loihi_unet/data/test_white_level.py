# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of more than 8 bits, whatever the mode and format; and pages."""

import numpy as np
import png
import pytest
import tifffile
from PIL import Image

from loihi_unet.data.picture_files import pages
from loihi_unet.data.pictures import load_pictures
from loihi_unet.data.read_picture import read_pages
from loihi_unet.data.white_level import records, warnings
from loihi_unet.errors import DataError

COLOUR = np.random.default_rng(0).integers(0, 4096, (5, 7, 3)).astype(np.uint16)
GRAY = COLOUR[..., 0]
OPAQUE = np.full((5, 7, 1), 65535, np.uint16)


def levels(values, white):
    flat = values if values.ndim == 3 else values[..., None]
    scaled = np.rint(255 * flat.astype(float) / white)
    return scaled.astype(np.uint8).transpose(2, 0, 1)


def write_png(path, values, **how):
    rows = values.reshape(len(values), -1).tolist()
    writer = png.Writer(values.shape[1], values.shape[0], bitdepth=16, **how)
    with path.open("wb") as file:
        writer.write(file, rows)


def write_tiff(path, values, **how):
    tifffile.imwrite(path, values, **how)


WITH_ALPHA = np.concatenate([COLOUR, OPAQUE], axis=2)
GRAY_ALPHA = np.concatenate([GRAY[..., None], OPAQUE], axis=2)
RGB, DARK, LIGHT = (
    {"photometric": name} for name in ("rgb", "minisblack", "miniswhite")
)
FILES = {
    "rgb.png": (write_png, COLOUR, {"greyscale": False}, COLOUR),
    "interlaced.png": (
        *(write_png, COLOUR, {"greyscale": False, "interlace": True}),
        COLOUR,
    ),
    "rgba.png": (write_png, WITH_ALPHA, {"greyscale": False, "alpha": True}, COLOUR),
    "la.png": (write_png, GRAY_ALPHA, {"greyscale": True, "alpha": True}, GRAY),
    "gray.png": (write_png, GRAY, {"greyscale": True}, GRAY),
    "rgb.tif": (write_tiff, COLOUR, RGB, COLOUR),
    "planar.tif": (
        *(write_tiff, COLOUR.transpose(2, 0, 1), RGB | {"planarconfig": "separate"}),
        COLOUR,
    ),
    "big-endian.tif": (write_tiff, COLOUR, RGB | {"byteorder": ">"}, COLOUR),
    "deflate.tif": (
        *(write_tiff, COLOUR, RGB | {"compression": "zlib", "predictor": True}),
        COLOUR,
    ),
    "rgba.tif": (
        *(write_tiff, WITH_ALPHA, RGB | {"extrasamples": ["unassalpha"]}),
        COLOUR,
    ),
    "bigtiff.tif": (write_tiff, COLOUR, RGB | {"bigtiff": True}, COLOUR),
    "gray.tif": (write_tiff, GRAY, DARK, GRAY),
    "signed.tif": (write_tiff, GRAY.astype(np.int16), DARK, GRAY),
    "32bit.tif": (write_tiff, COLOUR.astype(np.uint32), RGB, COLOUR),
}


@pytest.mark.parametrize("name", FILES)
def test_depth_is_kept(tmp_path, name):
    write, values, how, expected = FILES[name]
    write(tmp_path / name, values, **how)
    ((page, size),) = pages(tmp_path / name)
    channels = 1 if expected is GRAY else 3
    (read,) = read_pages(tmp_path / name, channels, 4095)
    np.testing.assert_array_equal(read.pixels, levels(expected, 4095))
    assert (page.count, size) == (1, (5, 7))
    lowest, highest = int(expected.min()), int(expected.max())
    found = (read.levels.white, read.levels.lowest, read.levels.highest)
    assert found == (4095, lowest, highest)
    # Without a white level the file's bits decide.
    (read,) = read_pages(tmp_path / name, channels)
    bits = {"signed.tif": 15, "32bit.tif": 32}.get(name, 16)
    np.testing.assert_array_equal(read.pixels, levels(expected, 2**bits - 1))


def test_what_the_file_states_is_white(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5\n# c\n7 5 4095\n" + GRAY.tobytes()[:0])
    with (tmp_path / "a.pgm").open("ab") as file:
        file.write(GRAY.astype(">u2").tobytes())
    header = b"P6\n7 5\n4095\n"
    (tmp_path / "b.ppm").write_bytes(header + COLOUR.astype(">u2").tobytes())
    text = " ".join(map(str, COLOUR.ravel()))
    (tmp_path / "c.ppm").write_text(f"P3\n7 5\n4095\n{text}\n")
    tag = (281, "H", 1, 4095, True)
    tifffile.imwrite(tmp_path / "d.tif", GRAY, extratags=[tag], **DARK)
    for name, expected in {
        "a.pgm": GRAY,
        "b.ppm": COLOUR,
        "c.ppm": COLOUR,
        "d.tif": GRAY,
    }.items():
        (read,) = read_pages(tmp_path / name, 1 if expected is GRAY else 3)
        np.testing.assert_array_equal(read.pixels, levels(expected, 4095))


def test_zero_may_be_white(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GRAY, **LIGHT)
    (read,) = read_pages(tmp_path / "a.tif", 1, 4095)
    np.testing.assert_array_equal(read.pixels, 255 - levels(GRAY, 4095))


def test_values_above_white_are_clipped_and_counted(tmp_path):
    write_png(tmp_path / "a.png", GRAY, greyscale=True)
    (picture,) = load_pictures(tmp_path, 1, 1000)
    np.testing.assert_array_equal(picture.pixels, levels(np.minimum(GRAY, 1000), 1000))
    (record,) = records([picture.levels, None])
    assert record["clipped"] == (GRAY > 1000).sum() > 0
    assert (record["pictures"], record["white_level"]) == (1, 1000)


@pytest.mark.parametrize(
    ("lowest", "highest", "white", "asked", "lines"),
    [
        (112, 3936, 65535, None, ["values 112..3936 of 65535: --white-level 4095?"]),
        (0, 49151, 65535, None, ["values 0..49151 of 65535: --white-level 49151?"]),
        (0, 49152, 65535, None, []),
        (0, 0, 65535, None, ["values 0..0 of 65535"]),
        (5, 4000, 4095, 4095, []),
    ],
)
def test_an_empty_top_quarter_is_said(lowest, highest, white, asked, lines):
    record = {"white_level": white, "lowest": lowest, "highest": highest}
    assert warnings([record], asked) == lines


def test_a_warning_is_logged(tmp_path, caplog):
    write_png(tmp_path / "a.png", COLOUR, greyscale=False)
    load_pictures(tmp_path, 3)
    assert "of 65535: --white-level 4095?" in caplog.text
    caplog.clear()
    load_pictures(tmp_path, 3, 4095)
    assert caplog.text == ""
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    load_pictures(tmp_path, 3, 4095)
    assert "no picture has more than 8 bits" in caplog.text


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (GRAY.astype(np.float32), "samples that are no integers"),
        (-GRAY.astype(np.int16), "value -.*; allowed are 0 and above"),
    ],
)
def test_what_has_no_white_level_is_refused(tmp_path, values, reason):
    tifffile.imwrite(tmp_path / "a.tif", values, **DARK)
    with pytest.raises(DataError, match=rf"a\.tif: page 1: .*{reason}"):
        list(read_pages(tmp_path / "a.tif", 1))


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.tif", "a.webp"])
def test_pages_are_pictures(tmp_path, name):
    shown = [Image.fromarray(levels(COLOUR, 4095)[index]) for index in range(3)]
    how = {"lossless": True} if name == "a.webp" else {}
    shown[0].save(tmp_path / name, save_all=True, append_images=shown[1:], **how)
    pictures = load_pictures(tmp_path, 1)
    assert [p.name for p in pictures] == [f"{name}#{page}" for page in (1, 2, 3)]
    for picture, image in zip(pictures, shown, strict=True):
        np.testing.assert_array_equal(picture.pixels[0], np.array(image))


def test_pages_of_a_deep_stack_without_its_preview(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GRAY, **DARK)
        file.write(GRAY[::2, ::2], subfiletype=1, **DARK)
        file.write(4095 - GRAY, **DARK)
    first, last = read_pages(tmp_path / "a.tif", 1, 4095)
    np.testing.assert_array_equal(first.pixels, levels(GRAY, 4095))
    np.testing.assert_array_equal(last.pixels, levels(4095 - GRAY, 4095))
    assert [str(read.page)[-2:] for read in (first, last)] == ["#1", "#2"]
