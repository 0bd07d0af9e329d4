# SPDX-License-Identifier: BSD-3-Clause
"""Questions about the stock CUBA compartment and its synapses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from export.compartment import Bias
from export.stock_compartment import CUBA
from export.stock_network import (
    Frames,
    Reset,
    StockConnection,
    StockLayer,
    StockNetwork,
)
from export.synapse import Dense, IntArray
from sim.probes.probe import Answer, Probe
from sim.probes.rules import StockRules

LAVA_322 = (
    "Lava's issue 322 reports that current decay and threshold of its bit-accurate LIF "
    "differ from a Loihi 1."
)


def _network(
    weight: npt.ArrayLike,
    bias: Sequence[int],
    *,
    steps: int,
    vth: int,
    i_decay: int = 4096,
    v_decay: int = 0,
    delay: npt.ArrayLike | None = None,
    reset: Reset | None = None,
) -> StockNetwork:
    """One layer of CUBA neurons behind dense synapses."""
    delays = None if delay is None else np.asarray(delay)
    synapse = Dense(weight=np.asarray(weight), delay=delays)
    outputs, inputs = synapse.weight.shape
    layer = StockLayer(
        name="neurons",
        shape=(outputs, 1, 1),
        connections=(StockConnection(source="input", synapse=synapse),),
        compartment=CUBA(
            i_decay=i_decay,
            v_decay=v_decay,
            vth_mant=vth,
            bias=Bias(mant=np.asarray(bias), exp=6),
        ),
        scale=1.0,
    )
    source = Frames(shape=(inputs, 1, 1), minimum=0, maximum=1, scale=1.0)
    return StockNetwork(
        input=source, layers=(layer,), num_steps=steps, reset=reset, task="probe"
    )


def _spikes(steps: int, *trains: Sequence[int]) -> IntArray:
    """Spike trains of the inputs, each given by its steps: (T, inputs, 1, 1)."""
    frames = np.zeros((steps, len(trains), 1, 1), np.int32)
    for index, train in enumerate(trains):
        frames[list(train), index] = 1
    return frames


def threshold() -> Probe:
    """A bias climbs to the threshold exactly."""
    return Probe(
        name="threshold",
        question="Does a neuron fire at its threshold, or above it?",
        reason=LAVA_322 + " slayer fires at v >= threshold, Lava at v > threshold.",
        network=_network(
            np.full((3, 1), 2), bias=[10, 25, 7], steps=20, vth=50, i_decay=4096
        ),
        images=_spikes(20, []),
        layer="neurons",
        answers=(
            Answer(text="above: v > threshold * 64", rules=StockRules()),
            Answer(
                text="at it: v >= threshold * 64",
                rules=StockRules(reached=True),
                then="Raise every vThMant of a stock file by 1. Layers of this project "
                "fire at v >= threshold and keep theirs.",
            ),
            Answer(
                text="the threshold is not shifted by 6",
                rules=StockRules(threshold_shift=0),
                then="Shift every vThMant left by 6.",
            ),
        ),
    )


_ROUNDINGS = {
    "zero": "towards zero",
    "down": "down (an arithmetic shift)",
    "nearest": "to the nearest",
}


def _decays(which: str, offsets: dict[int, str]) -> tuple[Answer, ...]:
    """Every rounding with every offset; the first is Lava's."""
    answers = []
    for offset, text in offsets.items():
        for rounding, way in _ROUNDINGS.items():
            then = "No decay of a file gives Lava's integers but 0 and 4096."
            if rounding == "zero":
                then = f"Write decays that differ by {-offset:+d}." if offset else ""
            fields = {f"{which}_offset": offset, f"{which}_rounding": rounding}
            rules = StockRules(**fields)  # type: ignore[arg-type]
            answers.append(
                Answer(text=f"{text}; rounded {way}", rules=rules, then=then)
            )
    return tuple(answers)


# Weights, biases and thresholds of the next two were searched for: a rounding is worth
# half of 1/64 of a weight's unit a step, and has to decide whether a neuron fires.
def current_decay() -> Probe:
    """Currents of both signs that fade over many steps."""
    return Probe(
        name="current-decay",
        question="How does the current decay, and how does it round?",
        reason=LAVA_322 + " Lava adds 1 to du.",
        network=_network(
            [[-146], [-158], [22]],
            bias=[307, 289, -9],
            steps=128,
            vth=5250,
            i_decay=312,
        ),
        images=_spikes(128, range(0, 128, 8)),
        layer="neurons",
        answers=_decays(
            "current",
            {0: "by iDecay = du + 1, as in Lava", -1: "by du, without Lava's + 1"},
        ),
    )


def potential_decay() -> Probe:
    """Potentials that fall below zero and rise to a threshold again."""
    return Probe(
        name="potential-decay",
        question="How does the potential decay, and how does it round?",
        reason="Lava adds nothing to dv where it adds 1 to du.",
        network=_network(
            [[124], [10], [216], [122]],
            bias=[-74, -3, -142, -83],
            steps=128,
            vth=207,
            v_decay=42,
        ),
        images=_spikes(128, range(56, 128)),
        layer="neurons",
        answers=_decays("potential", {0: "by vDecay = dv, as in Lava", 1: "by dv + 1"}),
    )


def order() -> Probe:
    """One spike, one bias, and decays that tell who comes first."""
    return Probe(
        name="order",
        question="In which order does a step take the current, the bias and the decay?",
        reason="The order is that of Lava's model; no public text gives the chip's.",
        network=_network(
            [[254], [120], [64]],
            bias=[0, 40, 90],
            steps=24,
            vth=150,
            i_decay=1024,
            v_decay=1024,
        ),
        images=_spikes(24, [0, 5, 6, 15]),
        layer="neurons",
        answers=(
            Answer(
                text="v decays, then takes this step's current and the bias",
                rules=StockRules(),
            ),
            Answer(
                text="v decays, then takes the current of the step before",
                rules=StockRules(current="old"),
                then="Every layer is one step later: add 1 to the stage of each.",
            ),
            Answer(
                text="v takes this step's current and the bias, then decays",
                rules=StockRules(decay="after"),
                then="Thresholds and inputs have to be scaled by the decay.",
            ),
            Answer(
                text="v takes the current of the step before and the bias, then decays",
                rules=StockRules(current="old", decay="after"),
                then="One step later, and scaled by the decay.",
            ),
        ),
    )


def spike_reset() -> Probe:
    """A current that outlives the spike it has caused."""
    return Probe(
        name="spike-reset",
        question="What does a spike reset?",
        reason="Lava's model clears v and has no refractory period.",
        network=_network(
            [[254], [120], [40]], bias=[0, 10, 30], steps=24, vth=300, i_decay=700
        ),
        images=_spikes(24, [0, 1, 9]),
        layer="neurons",
        answers=(
            Answer(text="v becomes 0, u stays", rules=StockRules()),
            Answer(
                text="u and v become 0",
                rules=StockRules(at_spike="u and v"),
                then="Only networks with iDecay = 4096 are the same.",
            ),
            Answer(
                text="the threshold is subtracted from v",
                rules=StockRules(at_spike="subtract"),
                then="A soft reset: parallel-if needs one compartment a neuron.",
            ),
            Answer(
                text="v becomes 0 and stays there for one more step",
                rules=StockRules(at_spike="pause"),
                then="A refractory period of one step: set it to none.",
            ),
        ),
    )


def step_reset() -> Probe:
    """A layer that forgets every fifth step, beside its bias and its inputs."""
    return Probe(
        name="reset-and-input",
        question="Does a reset come before or after the input of its step?",
        reason="netx clears u and v before a step integrates; a chip may do it after.",
        network=_network(
            [[254], [64], [2]],
            bias=[0, 20, 45],
            steps=24,
            vth=100,
            i_decay=2048,
            reset=Reset(interval=5, offset=1),
        ),
        images=_spikes(24, range(0, 24, 2)),
        layer="neurons",
        answers=(
            Answer(text="before: the step's input counts", rules=StockRules()),
            Answer(
                text="after: the step's input is lost",
                rules=StockRules(reset="after"),
                then="Reset one step earlier: reset_offset less by 1.",
            ),
            Answer(
                text="before, and u stays",
                rules=StockRules(reset="v only"),
                then="Only networks with iDecay = 4096 are the same.",
            ),
            Answer(
                text="there is none",
                rules=StockRules(reset="never"),
                then="Feed each picture to a freshly loaded network.",
            ),
        ),
    )


def overflow() -> Probe:
    """Currents and potentials beyond 24 bits."""
    inputs, steps = 64, 48
    weight = np.zeros((3, inputs), int)
    weight[0] = 254
    weight[1:, :1] = 2
    return Probe(
        name="overflow",
        question="What happens to a current or a potential beyond 24 bits?",
        reason="Lava wraps u and saturates v; nengo-loihi's emulator does so, too.",
        network=_network(
            weight, bias=[-4096, -4096, 4095], steps=steps, vth=100_000, i_decay=0
        ),
        images=_spikes(steps, *([range(steps)] * inputs)),
        layer="neurons",
        answers=tuple(
            Answer(
                text=f"u {'wraps' if u else 'saturates'}, "
                f"v {'wraps' if v else 'saturates'}",
                rules=StockRules(u_wraps=u, v_wraps=v),
                then=""
                if (u, v) == (True, False)
                else "Keep stock networks within 24 bits; layers of this project are.",
            )
            for u, v in ((True, False), (False, False), (True, True), (False, True))
        ),
    )


def synaptic_delay() -> Probe:
    """One spike through synapses of eleven delays."""
    delays = [0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 62]
    return Probe(
        name="delay",
        question="When does a spike arrive through a delayed synapse?",
        reason="netx counts one bit too few where the longest delay is a power of two; "
        "at 1,024 compartments a Loihi 1 has 3 bits.",
        network=_network(
            np.full((len(delays), 1), 254),
            bias=[0] * len(delays),
            steps=72,
            vth=100,
            delay=[[d] for d in delays],
        ),
        images=_spikes(72, [0]),
        layer="neurons",
        answers=(
            Answer(text="as many steps later as the file says", rules=StockRules()),
            Answer(
                text="at once: delays are dropped",
                rules=StockRules(delay="none"),
                then="Skips need relay neurons.",
            ),
            Answer(
                text="one step more than the file says",
                rules=StockRules(delay="one more"),
                then="Write delays less by 1.",
            ),
            Answer(
                text="delays have 5 bits: 32 becomes 0",
                rules=StockRules(delay="5 bits"),
                then="Skips deeper than 31 steps need relay neurons.",
            ),
            Answer(
                text="delays have 3 bits: 8 becomes 0",
                rules=StockRules(delay="3 bits"),
                then="Skips deeper than 7 steps need relay neurons, or fewer "
                "compartments a core.",
            ),
            Answer(
                text="delays end at 31",
                rules=StockRules(delay="to 31"),
                then="Skips deeper than 31 steps need relay neurons.",
            ),
        ),
    )
