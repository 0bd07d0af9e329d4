# SPDX-License-Identifier: BSD-3-Clause
"""Questions about windows, soft reset and graded spikes, which stock Lava lacks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.compartment import MTIF, Bias
from export.mapping import MappingName
from export.network import Connection, Input, Layer, Network
from export.synapse import Conv, IntArray
from sim.probes.probe import Answer, Probe
from sim.probes.rules import WindowRules


def _layer(
    name: str,
    sources: Sequence[tuple[str, int, int]],
    channels: int,
    *,
    vth: int,
    thresholds: int,
    bias: Sequence[int] = (),
    bias_exp: int = 0,
    mapping: MappingName = "graded",
    delay: int = 0,
) -> Layer:
    """A layer whose neurons read one neuron each; sources are (name, weight, exp)."""
    return Layer(
        name=name,
        shape=(channels, 1, 1),
        connections=tuple(
            Connection(
                source=source,
                synapse=Conv(
                    weight=np.full((channels, 1, 1, 1), weight), groups=channels
                ),
                weight_exp=exponent,
                delay=delay if index == 0 else 0,
            )
            for index, (source, weight, exponent) in enumerate(sources)
        ),
        compartment=MTIF(
            vth_mant=np.array([vth]),
            num_thresholds=thresholds,
            bias=Bias(mant=np.asarray(bias or [0] * channels), exp=bias_exp),
            mapping=mapping,
        ),
        scale=1.0,
    )


def _network(channels: int, layers: Sequence[Layer], steps: int) -> Network:
    return Network(
        input=Input(shape=(channels, 1, 1), minimum=-255, maximum=255, scale=1.0),
        layers=tuple(layers),
        num_steps=steps,
        task="probe",
    )


def _images(*rows: Sequence[int]) -> IntArray:
    return np.array(rows, np.int32)[:, :, None, None]


def soft_reset() -> Probe:
    """Strong and weak currents over two windows, one threshold."""
    layer = _layer(
        "neurons", [("input", 2, 0)], 4, vth=100, thresholds=1, mapping="parallel-if"
    )
    return Probe(
        name="soft-reset",
        question="Does a spike subtract the threshold, and when?",
        reason="A Loihi 1 resets to zero. NxTF builds a soft reset of two compartments "
        "whose subtraction arrives a step later; Lava has no such neuron.",
        network=_network(4, [layer], 8),
        images=_images([35, 60, 80, 49], [10, 20, 30, 40]),
        layer="neurons",
        answers=(
            Answer(text="it subtracts, before the next step", rules=WindowRules()),
            Answer(
                text="v becomes 0",
                rules=WindowRules(at_spike="zero"),
                then="No mapping of this project runs; build the soft reset of NxTF.",
            ),
            Answer(
                text="it subtracts, after the next comparison",
                rules=WindowRules(at_spike="late"),
                then="Neurons fire too often. The subtraction has to arrive with the "
                "next input.",
            ),
            Answer(
                text="it subtracts before the next comparison, also in the next window",
                rules=WindowRules(at_spike="left over"),
                then="Clear the pending subtraction at the window's end.",
            ),
        ),
    )


def residual() -> Probe:
    """Three thresholds, every payload from 0 to 7."""
    layer = _layer(
        "neurons", [("input", 2, 0)], 8, vth=20, thresholds=3, mapping="binary-if"
    )
    return Probe(
        name="residual",
        question="Do smaller thresholds see what larger ones left over, in one step?",
        reason="binary-if hands the rest from threshold to threshold inside a step; "
        "whether compartment trees can do that is not public.",
        network=_network(8, [layer], 4),
        images=_images([3, 12, 25, 34, 45, 52, 66, 77]),
        layer="neurons",
        answers=(
            Answer(text="yes, in the same step", rules=WindowRules()),
            Answer(
                text="no, all see the same potential",
                rules=WindowRules(residual="shared"),
                then="binary-if does not run; parallel-if needs no such thing.",
            ),
            Answer(
                text="one step later for each threshold",
                rules=WindowRules(residual="next step"),
                then="binary-if does not run; parallel-if needs no such thing.",
            ),
        ),
    )


def window_start() -> Probe:
    """A bias alone, over three windows, in the second stage."""
    first = _layer("first", [("input", 2, 0)], 4, vth=100, thresholds=2)
    second = _layer(
        "neurons", [("first", 2, 0)], 4, vth=90, thresholds=2, bias=[5, 17, 40, -30]
    )
    return Probe(
        name="window-start",
        question="When does a picture's window clear the potential?",
        reason="A layer's window starts at its own phase; netx has reset_interval and "
        "reset_offset for it, whose order on the chip is not public.",
        network=_network(4, [first, second], 5),
        images=_images([0, 90, 120, 255], [60, 0, 10, 200], [255, 31, 0, 100]),
        layer="neurons",
        answers=(
            Answer(
                text="before its first step, and nothing runs before",
                rules=WindowRules(),
            ),
            Answer(
                text="after its first step",
                rules=WindowRules(window="after"),
                then="Reset one step earlier.",
            ),
            Answer(
                text="never",
                rules=WindowRules(window="never"),
                then="Feed each picture to a freshly loaded network.",
            ),
            Answer(
                text="before its first step, but the first window has run too early",
                rules=WindowRules(window="early"),
                then="Drop the first picture, or write biases late.",
            ),
        ),
    )


def graded() -> Probe:
    """Payloads around every border between 7 and 16 bits."""
    values = [1, 7, 8, 15, 16, 17, 40, 2047, 2048, 2500, 4095]
    send = _layer(
        "send",
        [("input", 2, 0)],
        len(values),
        vth=2,
        thresholds=16,
        bias=values,
        bias_exp=5,
    )
    read = _layer("neurons", [("send", 2, 0)], len(values), vth=2, thresholds=16)
    return Probe(
        name="graded-spike",
        question="How many bits of a graded spike arrive?",
        reason="A Loihi 2 is said to carry 32 and typically 8; Lava carries 24, or "
        "none where num_message_bits is 0.",
        network=_network(len(values), [send, read], 2),
        images=_images([0] * len(values)),
        layer="neurons",
        answers=(
            Answer(text="16 or more", rules=WindowRules()),
            Answer(
                text="one: every spike counts 1",
                rules=WindowRules(payload="1 bit"),
                then="Set the message bits, or export with --mapping parallel-if.",
            ),
            Answer(
                text="7, larger ones arrive as 127",
                rules=WindowRules(payload="to 127"),
                then="Convert with --thresholds 7 or fewer.",
            ),
            Answer(
                text="8, larger ones arrive as 255",
                rules=WindowRules(payload="to 255"),
                then="Convert with --thresholds 8 or fewer.",
            ),
            Answer(
                text="8, the others are cut off",
                rules=WindowRules(payload="8 bits"),
                then="Convert with --thresholds 8 or fewer.",
            ),
            Answer(
                text="16 with a sign: large ones arrive negative",
                rules=WindowRules(payload="16 bits signed"),
                then="Convert with --thresholds 15 or fewer.",
            ),
        ),
    )


def weight_exponent() -> Probe:
    """The same weight without and with an exponent of 3."""
    plain = _layer("first", [("input", 4, 0)], 3, vth=16, thresholds=4)
    layer = _layer("neurons", [("first", 16, 3)], 3, vth=64, thresholds=6)
    return Probe(
        name="weight-exponent",
        question="What does a weight exponent of 3 do?",
        reason="Lava's Conv ignores it (lava issue 803), its Dense does not.",
        network=_network(3, [plain, layer], 4),
        images=_images([10, 22, 33]),
        layer="neurons",
        answers=(
            Answer(text="weights count eight times", rules=WindowRules()),
            Answer(
                text="nothing",
                rules=WindowRules(exponent="ignored"),
                then="Write mantissas that are shifted, where 8 bits hold them.",
            ),
            Answer(
                text="weights count an eighth",
                rules=WindowRules(exponent="right"),
                then="Write exponents with the other sign.",
            ),
        ),
    )


def skip_delay() -> Probe:
    """A skip past two layers, as every U-Net has."""

    def plain(name: str, source: str) -> Layer:
        return _layer(name, [(source, 6, 0)], 3, vth=11, thresholds=4)

    first = _layer("first", [("input", 2, 0)], 3, vth=23, thresholds=4)
    join = _layer(
        "neurons",
        [("first", 10, 0), ("third", 2, 0)],
        3,
        vth=7,
        thresholds=4,
        delay=2,
    )
    layers = [first, plain("second", "first"), plain("third", "second"), join]
    return Probe(
        name="skip-delay",
        question="Does a skip's spike wait for the layers that it jumps over?",
        reason="netx drops the delay of a convolution; synapses of a Loihi have one.",
        network=_network(3, layers, 5),
        images=_images([17, 40, 99], [3, 200, 10]),
        layer="neurons",
        answers=(
            Answer(text="yes, as many steps as the file says", rules=WindowRules()),
            Answer(
                text="no, it arrives at the next step",
                rules=WindowRules(delay="none"),
                then="Skips need relay neurons.",
            ),
            Answer(
                text="one step less",
                rules=WindowRules(delay="one less"),
                then="Write delays more by 1.",
            ),
        ),
    )
