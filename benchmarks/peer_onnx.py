# SPDX-License-Identifier: BSD-3-Clause
"""The same U-Net as an ANN in onnxruntime: float32, and static int8."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import SIGMA
from torch import nn

from loihi_unet.data.pictures import load_pictures
from loihi_unet.tasks.denoise import noisy_picture

#: Pictures that the int8 network is calibrated on; not the one that is timed.
CALIBRATION, SIDE, TIMED = 6, 128, "camera.png"


def jobs(model: nn.Module, pixels: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """Make both networks; as many threads as torch has.

    Parameters
    ----------
    model : Module
        The float U-Net.
    pixels : Tensor, shape (1, 1, H, W), float32
        What the jobs run on.

    Returns
    -------
    dict of str to callable
        ``float32`` and ``int8``.

    Raises
    ------
    ModuleNotFoundError
        If onnx or onnxruntime is missing.
    """
    import onnxruntime
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = _calibration()

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(Path(folder) / name) for name in ("float32", "int8")}
        torch.onnx.export(
            *(model, (pixels,), paths["float32"]),
            input_names=["x"],
            dynamic_axes={"x": {2: "rows", 3: "columns"}},
            dynamo=False,
            opset_version=17,
        )
        quantize_static(
            *(paths["float32"], paths["int8"], Reader()),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        for name, path in paths.items():
            session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
            found[name] = functools.partial(session.run, None, {"x": pixels.numpy()})
    return found


def _calibration() -> Iterator[dict[str, np.ndarray]]:
    others = [
        picture
        for picture in load_pictures(None, 1)
        if picture.name != TIMED and min(picture.size) >= SIDE
    ]
    for index, picture in enumerate(others[:CALIBRATION]):
        noisy = noisy_picture(picture, index, sigma=SIGMA, seed=1)
        yield {"x": np.asarray(noisy[None, :, :SIDE, :SIDE] / 255, np.float32)}
