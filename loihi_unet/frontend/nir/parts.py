# SPDX-License-Identifier: BSD-3-Clause
"""What the layers of a stock network are put together from."""

from __future__ import annotations

import numpy as np

from export.compartment import Bias
from export.facts import DECAY, DELAY
from export.stock_compartment import CUBA, STATE_SHIFT
from export.stock_network import StockConnection, StockLayer
from export.synapse import Conv, Dense, IntArray, Shape
from loihi_unet.frontend.nir.folding import Kernel
from loihi_unet.frontend.nir.graph import Float, Graph
from loihi_unet.frontend.nir.paths import Link, Matrix
from loihi_unet.frontend.nir.primitives import SILENT, NIRError


def named(links: list[Link]) -> list[tuple[int, Link]]:
    """Links with how many of the same source came before."""
    seen: dict[str, int] = {}
    numbered = []
    for x in links:
        numbered.append((seen.get(x.source, 0), x))
        seen[x.source] = seen.get(x.source, 0) + 1
    return numbered


def is_relayed(x: Link) -> bool:
    """Whether a convolution is to be reached later than its source sends."""
    return isinstance(x.synapse, Kernel) and x.delay is not None


def channels_of(values: Float, shape: Shape, what: str) -> Float:
    """One value per channel."""
    full = values.reshape(shape)
    each = full[:, :1, :1]
    if not np.allclose(full, each, rtol=1e-6, atol=0):
        raise NIRError(
            f"{what} differs within a feature map; a layer holds one value per channel"
        )
    return each.reshape(-1)


def integer_synapse(
    synapse: Kernel | Matrix, weight: IntArray, extra: int, where: str
) -> Conv | Dense:
    """Return a link in integers, held back by so many steps more.

    Raises
    ------
    NIRError
        If a delay is longer than a chip's.
    """
    if isinstance(synapse, Kernel):
        return Conv(
            weight=weight,
            stride=synapse.stride,
            padding=synapse.padding,
            dilation=synapse.dilation,
            groups=synapse.groups,
        )
    delay = synapse.delay
    if extra:
        delay = (0 if delay is None else delay) + np.full(weight.shape, extra)
    if delay is not None and int(delay.max()) > DELAY.maximum:
        raise NIRError(
            f"node '{where}': a delay of {int(delay.max())} steps, skips included, "
            f"found, {DELAY} allowed"
        )
    return Dense(weight=weight, delay=delay)


def relay_layer(name: str, source: str, shape: Shape, steps: IntArray) -> StockLayer:
    """Return a layer that sends every spike on, each channel so many steps later.

    Raises
    ------
    NIRError
        If a delay is longer than a chip's.
    """
    channels = shape[0]
    if int(steps.max()) - 1 > DELAY.maximum:
        raise NIRError(
            f"'{source}': a delay of {int(steps.max())} steps, skips included, found, "
            f"{DELAY.maximum + 1} allowed before a convolution"
        )
    compartment = CUBA(
        i_decay=DECAY.maximum,
        v_decay=DECAY.maximum,
        vth_mant=1,
        bias=Bias(mant=np.zeros(channels, dtype=np.int32), exp=STATE_SHIFT),
    )
    weight = np.full((channels, 1, 1, 1), 2)
    synapse = Conv(weight=weight, groups=channels)
    held = steps - 1
    return StockLayer(
        name=name,
        shape=shape,
        connections=(StockConnection(source=source, synapse=synapse),),
        compartment=compartment,
        scale=1.0,
        delay=held if held.any() else None,
    )


def check_silent(graph: Graph) -> None:
    """Refuse potentials that anything but the output reads.

    Raises
    ------
    NIRError
        With the node, and what it sends to.
    """
    for node in graph.of_kind(*SILENT):
        readers = set(graph.targets(node.name))
        if readers != {graph.output.name} or len(graph.sources(graph.output.name)) > 1:
            raise NIRError(
                f"{node.where}: it sends its potential to {sorted(readers)}; only the "
                "output can read that"
            )
