# SPDX-License-Identifier: BSD-3-Clause
"""Energy of a small network on a Loihi 1, by SANA-FE and by `fit`; for `costs`.

SANA-FE simulates its model of a Loihi 1 neuron by neuron. A chain of
three convolutions with IF neurons is small enough for that: its spikes are replayed
into SANA-FE's neurons, so that every layer begins in its own window as it does here.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np

from export.compartment import MTIF, Accumulator, Bias
from export.fit import fit
from export.network import Connection, Input, Layer, Network
from export.synapse import Conv
from sim.backend import create
from sim.recording import Recording
from sim.statistics import activity

SIDE, CHANNELS, STEPS, THETA = 8, 2, 10, 300
#: No sum comes near it: an output accumulates.
NEVER = 1e12
#: Joules of one spike at one synapse, in SANA-FE's file of a Loihi.
SYNAPSE, SYNAPSE_J = "loihi_conv_synapse", 24.0e-12


def chain() -> Network:
    """Return the network: random mantissas, binary spikes, no biases."""
    random = np.random.default_rng(0)
    source = Input(shape=(1, SIDE, SIDE), minimum=0, maximum=255, scale=1 / 255)
    layers, last = [], source.name
    for number, (entering, leaving) in enumerate(
        ((1, CHANNELS), (CHANNELS, CHANNELS), (CHANNELS, 1))
    ):
        final = number == 2
        # Of the picture, whose values are large, small ones.
        most = 2 if number == 0 else 120
        weight = 2 * random.integers(-most // 2, most + 1, (leaving, entering, 3, 3))
        bias = Bias(mant=np.zeros(leaving, dtype=np.int32))
        layers.append(
            Layer(
                name=f"conv{number}",
                shape=(leaving, SIDE, SIDE),
                connections=(
                    Connection(
                        source=last, synapse=Conv(weight=weight, padding=(1, 1))
                    ),
                ),
                compartment=Accumulator(bias=bias)
                if final
                else MTIF(
                    vth_mant=np.array([THETA * (8 if number == 0 else 1)]),
                    num_thresholds=1,
                    bias=bias,
                ),
                scale=1.0,
            )
        )
        last = layers[-1].name
    return Network(input=source, layers=tuple(layers), num_steps=STEPS, task="denoise")


def synapses(layer: Layer, source: tuple[int, int, int]) -> dict[int, list[Any]]:
    """Return (target, weight) of every neuron of the source, by its number."""
    [connection] = layer.connections
    assert isinstance(connection.synapse, Conv)
    weight = np.asarray(connection.synapse.weight)
    _, height, width = source
    found: dict[int, list[Any]] = {}
    for c_out, c_in, dy, dx in np.ndindex(*weight.shape):
        for y, x in np.ndindex(height, width):
            row, column = y + dy - 1, x + dx - 1
            if 0 <= row < height and 0 <= column < width:
                start = (c_in * height + row) * width + column
                end = (c_out * height + y) * width + x
                value = float(weight[c_out, c_in, dy, dx])
                found.setdefault(start, []).append((end, value))
    return found


def by_sanafe(network: Network, recording: Recording) -> dict[str, Any]:
    """Return what SANA-FE says of the recorded picture, joules.

    Parameters
    ----------
    network, recording
        Of `chain`, one picture, all steps.
    """
    import sanafe

    architecture = sanafe.load_loihi()
    core = architecture.cores()[0]
    snn = sanafe.Network()
    replayed: dict[str, Any] = {}
    for number, (name, payload) in enumerate(recording.payloads.items()):
        spikes = np.asarray(payload)[0].reshape(STEPS, -1)
        group = snn.create_neuron_group(f"sent_{name}", spikes.shape[1])
        for index in range(spikes.shape[1]):
            group.neurons[index].set_attributes(
                soma_hw_name=f"loihi_inputs[{number * spikes.shape[1] + index}]",
                default_synapse_hw_name=SYNAPSE,
                dendrite_hw_name="loihi_dendrites",
                model_attributes={"spikes": spikes[:, index].tolist()},
            )
        replayed[name] = group
    image = recording.images[0].astype(np.int64)
    for layer in network.layers:
        _connect(snn, layer, network, replayed, image)
    for group in snn.groups.values():
        group.map_to_core(core)
    chip = sanafe.SpikingChip(architecture)
    chip.load(snn)
    # A replayed spike is integrated a step later: one step more for the second layer.
    found = chip.sim(STEPS + 1, spike_trace=True)
    fired = [
        sorted((address.group_name, address.neuron_offset) for address in step)
        for step in found["spike_trace"]
    ]
    return {
        "energy": found["energy"],
        "synaptic_events": round(found["energy"]["synapse"] / SYNAPSE_J),
        "same_spikes": all(
            _fired(fired, f"lif_{name}", behind)
            == [np.flatnonzero(step).tolist() for step in np.asarray(payload)[0]]
            for behind, (name, payload) in enumerate(recording.payloads.items())
        ),
        "version": importlib.metadata.version("sanafe"),
    }


def _fired(steps: list[Any], group: str, behind: int) -> list[list[int]]:
    """Numbers of a group's neurons that fired, step by step of its window."""
    window = steps[behind : behind + STEPS]
    return [[number for name, number in step if name == group] for step in window]


def _connect(
    snn: Any, layer: Layer, network: Network, replayed: Any, image: Any
) -> None:
    count = int(np.prod(layer.shape))
    theta = NEVER
    if isinstance(layer.compartment, MTIF):
        # SANA-FE fires above its threshold, the compartment at it. It also subtracts
        # it: sums are whole numbers, so T times a thousandth change nothing.
        theta = float(layer.compartment.vth_mant[0]) - 2**-10
    group = snn.create_neuron_group(f"lif_{layer.name}", count)
    [connection] = layer.connections
    first = connection.source == network.input.name
    links = synapses(layer, network.nodes[connection.source].shape)
    bias = np.zeros(count)
    if first:  # a constant current, as `fit` has it on a Loihi 1
        for start, ends in links.items():
            for end, weight in ends:
                bias[end] += weight * float(image.reshape(-1)[start])
    for index in range(count):
        group.neurons[index].set_attributes(
            soma_hw_name="loihi_lif",
            default_synapse_hw_name=SYNAPSE,
            dendrite_hw_name="loihi_dendrites",
            log_spikes=True,
            model_attributes={
                "threshold": theta,
                "reset_mode": "soft",
                "leak_decay": 1.0,
                "bias": float(bias[index]),
            },
        )
    if not first:
        for start, ends in links.items():
            neuron = replayed[connection.source].neurons[start]
            for end, weight in ends:
                neuron.connect_to_neuron(group.neurons[end], {"w": weight})


def measure() -> dict[str, Any]:
    """Run the chain and return both sides."""
    network = chain()
    image = np.random.default_rng(1).integers(0, 256, (1, 1, SIDE, SIDE))
    recording = create("torch").run(network, image.astype(np.int32))
    counts = activity(network, recording)
    report = fit(network, chip="loihi1", mapping="parallel-if", activity=counts)
    assert report.traffic is not None
    assert report.energy is not None
    traffic = report.traffic
    terms = [term for term in report.energy.terms if "static" not in term.what]
    return {
        "side": SIDE,
        "T": STEPS,
        "sanafe": by_sanafe(network, recording),
        "fit": {
            "synaptic_events": round(sum(traffic.synops.values())),
            "spikes": round(sum(traffic.spikes.values())),
            "terms": [
                {"what": t.what, "count": t.count, "low": t.low, "high": t.high}
                for t in terms
            ],
        },
    }
