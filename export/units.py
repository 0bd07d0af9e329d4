# SPDX-License-Identifier: BSD-3-Clause
"""Normalised weights and biases in units of the threshold that receives them.

In units of its base threshold a float compartment integrates
``sum of W * payload`` with ``W = w_hat * u / q``, where u is what one unit of the
source's payload means: q for a spiking source, 1/255 for the input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.spiking_unet import Connection, Layer, Quantisation

FloatArray = npt.NDArray[np.float64]

# Gray levels with Gaussian noise are not clipped: 11 bits signed hold any that
# occur (sigma 55 reaches -275..530 at five sigma).
PIXEL_MINIMUM, PIXEL_MAXIMUM, PIXEL_SCALE = -1024, 1023, 1 / 255


def payload_unit(layer: Layer, source: str, base_threshold: float) -> float:
    """Value of one unit of payload, in thresholds of the layer that receives it.

    The last layer has no threshold: there the unit is its output's.

    Parameters
    ----------
    layer : Layer
        Who receives.
    source : str
        Who sends.
    base_threshold : float
        q.

    Returns
    -------
    float
        Times the layer's gain: units of v per normalised weight and payload.
    """
    value = PIXEL_SCALE if source == INPUT else base_threshold
    return value / threshold_unit(layer, base_threshold)


def threshold_unit(layer: Layer, base_threshold: float) -> float:
    """Normalised value that the layer's gain stands for: q, or 1 at the output."""
    return base_threshold if layer.spiking else 1.0


def unit_weights(layer: Layer, base_threshold: float) -> list[FloatArray]:
    """Weights W; a single number stands for a pool or the residual skip."""
    return [
        (_array(c.weight) if c.weight is not None else np.array([_uniform_weight(c)]))
        * payload_unit(layer, c.source, base_threshold)
        for c in layer.connections
    ]


def unit_bias(layer: Layer, base_threshold: float) -> FloatArray:
    """Bias per unit of gain."""
    if layer.bias is None:
        return np.zeros(layer.channels)
    return _array(layer.bias) / threshold_unit(layer, base_threshold)


def gains(quantisation: Quantisation) -> FloatArray:
    """Gain of the layer, or of each of its channels, shape (1,) or (channels,)."""
    return np.atleast_1d(np.asarray(quantisation.gain, dtype=np.float64))


def per_row(values: Any, connection: Connection) -> Any:
    """Shape numbers, one or one per channel, to multiply a connection's weights by.

    Parameters
    ----------
    values : ndarray or Tensor, shape (1,) or (channels,)
        Of the layer that receives.
    connection : Connection
        A row of its weights reaches one channel: axis 0, or axis 1 of a transposed
        convolution. A pool's and the residual's single weight is its own row.

    Returns
    -------
    ndarray or Tensor
        A view of `values`.
    """
    if connection.weight is None:
        return values
    if connection.kind == "conv_transpose":
        return values.reshape(1, -1, 1, 1)
    return values.reshape(-1, 1, 1, 1)


def row_maximum(weight: FloatArray, connection: Connection) -> FloatArray:
    """Largest absolute weight of each row, shape (1,) or (channels,)."""
    if connection.weight is None:
        return np.abs(weight)
    axis = 1 if connection.kind == "conv_transpose" else 0
    rows = np.moveaxis(np.abs(weight), axis, 0)
    return np.asarray(rows.reshape(len(rows), -1).max(axis=1))


def row_sum(weight: FloatArray, connection: Connection) -> FloatArray:
    """Sum of the absolute weights of each row, shape (1,) or (channels,)."""
    if connection.weight is None:
        return np.abs(weight)
    axis = 1 if connection.kind == "conv_transpose" else 0
    rows = np.moveaxis(np.abs(weight), axis, 0)
    return np.asarray(rows.reshape(len(rows), -1).sum(axis=1))


def one_sided_sum(weight: FloatArray, connection: Connection) -> FloatArray:
    """Largest sum of each row's weights of one sign, shape (1,) or (channels,).

    Payloads have no sign, and a picture's pixels have none either: no sum is larger.
    """
    positive = row_sum(np.maximum(weight, 0), connection)
    negative = row_sum(np.minimum(weight, 0), connection)
    return np.maximum(positive, negative)


def _array(tensor: Any) -> FloatArray:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)


def _uniform_weight(connection: Connection) -> float:
    """Weight of a connection that has no trained one."""
    if connection.kind == "average_pool":
        height, width = connection.place.stride
        return 1 / (height * width)
    return 1.0
