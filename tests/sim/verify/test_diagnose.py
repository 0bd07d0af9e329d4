# SPDX-License-Identifier: BSD-3-Clause
"""A backend that makes a known mistake is told which; others are not accused."""

import dataclasses

import numpy as np
import pytest

from sim.backend import create
from sim.recording import RecordingError
from sim.selftest import small_network
from sim.torch.trace import currents, potentials
from sim.verify.comparison import compare
from sim.verify.diagnose import diagnose
from sim.verify.layer_report import layer_reports

SIZE = (12, 16)
IMAGES = np.random.default_rng(0).integers(-256, 512, (2, 1, *SIZE))
NETWORK = small_network(size=SIZE, num_steps=6)
MID = NETWORK.layers[2]


@pytest.fixture(scope="module")
def recording():
    return create("reference").run(NETWORK, IMAGES)


def naive(layer, current, mistake):
    """One compartment loop in plain Python, with a mistake."""
    vth = int(layer.compartment.vth_mant[0])
    bias = layer.compartment.bias.effective()
    sent = np.zeros(current.shape, dtype=np.uint8)
    for c, y, x in np.ndindex(current.shape[1:]):
        v = int(bias[c]) * 3 if mistake == "early" else 0
        for t in range(len(current)):
            v += int(current[t, c, y, x])
            if mistake == "wrap":
                v = (v + 1024) % 2048 - 1024
            fired = False
            for i in (3, 2, 1, 0):
                beyond = v > vth << i if mistake == "strict" else v >= vth << i
                if beyond:
                    v -= vth << i
                    sent[t, c, y, x] += 1 << i
                    fired = True
            if fired and mistake == "zero":
                v = 0
    return sent


def changed(recording, payload):
    payloads = {**recording.payloads, "mid": payload}
    return dataclasses.replace(recording, payloads=payloads, backend="chip")


def causes(recording, payload):
    right = changed(recording, payload)
    found = diagnose(compare(recording, right), recording, right, NETWORK)
    assert found.layer == "mid"
    return found


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("early", "bias counted early: 3 steps before"),
        ("wrap", "wraps: the potential is kept in 11 bits signed"),
        ("zero", "resets the potential to zero"),
    ],
)
def test_wrong_compartment(recording, mistake, message):
    payload = np.stack(
        [naive(MID, currents(NETWORK, MID, recording, i), mistake) for i in range(2)]
    )
    assert message in causes(recording, payload).causes[0]


def test_strict_comparison(recording):
    # Thresholds at which ties are frequent: the pool's.
    pool = NETWORK.layers[1]
    payload = np.stack(
        [naive(pool, currents(NETWORK, pool, recording, i), "strict") for i in range(2)]
    )
    right = dataclasses.replace(
        recording, payloads={**recording.payloads, "pool": payload}
    )
    found = diagnose(compare(recording, right), recording, right, NETWORK)
    assert found.causes == ("fires above the threshold only, not at it (> for >=)",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w[:, :, ::-1, ::-1], "kernel flipped"),
        (lambda w: w.swapaxes(2, 3), "kernel transposed"),
    ],
)
def test_wrong_kernel(recording, change, message):
    synapse = MID.connections[0].synapse
    wrong = dataclasses.replace(synapse, weight=change(synapse.weight).copy())
    connection = dataclasses.replace(MID.connections[0], synapse=wrong)
    layer = dataclasses.replace(MID, connections=(connection,))
    layers = tuple(layer if x.name == "mid" else x for x in NETWORK.layers)
    other = dataclasses.replace(NETWORK, layers=layers)
    right = create("torch").run(other, IMAGES)
    found = diagnose(compare(recording, right), recording, right, NETWORK)
    assert found.layer == "mid"
    assert [message in cause for cause in found.causes] == [True]
    assert found.sources[0].left == found.sources[0].right


def test_one_step_late_needs_no_network(recording):
    payload = np.roll(recording.payloads["mid"], 1, axis=1)
    payload[:, 0] = 0
    right = changed(recording, payload)
    found = diagnose(compare(recording, right), recording, right)
    assert found.causes[0].startswith("one step late")
    assert found.potentials_left == ()


def test_unknown_mistake_accuses_nobody(recording):
    payload = recording.payloads["mid"].copy()
    payload[1, 2, 3, 1, 2] += 1
    found = causes(recording, payload)
    assert found.causes == ()
    assert found.differences == ((1, 1),)
    at = found.first
    assert (at.image, at.step, at.c, at.y, at.x) == (1, 2, 3, 1, 2)
    row, column = at.y - found.top, at.x - found.leftmost
    assert found.neighbourhood_right[row][column] == at.right
    assert found.neighbourhood_left[row][column] == at.left
    # Until the mismatch the potentials are the same; then one has spiked more.
    assert found.potentials_left[:3] == found.potentials_right[:3]
    vth = int(MID.compartment.vth_mant[0])
    assert found.potentials_left[3] - found.potentials_right[3] == vth


def test_identical_recordings_have_no_diagnosis(recording):
    assert diagnose(compare(recording, recording), recording, recording) is None


def test_layer_reports(recording):
    reports = {r.name: r for r in layer_reports(recording, NETWORK)}
    assert list(reports) == [layer.name for layer in NETWORK.layers]
    up = recording.payloads["up"]
    report = reports["up"]
    assert report.histogram == tuple((up == g).sum() for g in range(up.max() + 1))
    assert report.spike_rate == (up > 0).mean()
    assert report.saturated == (up == 15).mean()
    out = reports["out"]
    # An accumulator's potentials end in the recorded output.
    v = potentials(NETWORK, NETWORK.output, recording, 0)
    np.testing.assert_array_equal(v[-1], recording.output[0])
    assert out.potential[0] <= v.min()
    assert out.potential[1] >= v.max()
    assert out.headroom_bits == np.log2(2**23 / max(map(abs, out.potential)))


def test_layer_reports_without_network(recording):
    report = layer_reports(recording)[0]
    assert (report.name, report.potential, report.saturated) == ("down", None, None)


def test_missing_source(recording):
    some = dataclasses.replace(
        recording, payloads={"mid": recording.payloads["mid"]}, output=None
    )
    with pytest.raises(RecordingError, match="sources of layer 'mid' missing"):
        currents(NETWORK, MID, some, 0)
    some = dataclasses.replace(
        recording, payloads={"pool": recording.payloads["pool"]}, output=None
    )
    with pytest.raises(RecordingError, match="layer 'mid' is missing"):
        potentials(NETWORK, MID, some, 0)
