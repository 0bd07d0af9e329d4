# SPDX-License-Identifier: BSD-3-Clause
"""The whole report: errors, energy by hand, suggestions that hold, JSON, tables."""

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.random_unet import random_unet
from export import facts
from export.errors import NetworkError
from export.fit import Activity, fit, fit_tables
from export.fit.activity import LayerActivity, LinkActivity
from export.fit.structure import describe
from export.fit.systems import SYSTEMS
from sim.selftest import small_network


@pytest.fixture(scope="module")
def unet():
    return random_unet(base_channels=16, height=128, width=128)


@pytest.fixture(scope="module")
def small():
    return small_network(num_thresholds=2)


def counted(network):
    """Round numbers: every layer 100 messages, 250 payload, 150 bits in two images."""
    names = [n for n in network.nodes if n != network.output.name]
    return Activity(
        network_sha256=network.sha256,
        images=2,
        layers=tuple(
            LayerActivity(name=n, messages=100, payload=250, bits=150)
            if n != "input"
            else LayerActivity(name=n, messages=80, payload=0, bits=0)
            for n in names
        ),
        links=tuple(
            LinkActivity(
                source=c.source,
                target=layer.name,
                effective=900,
                messages=1000,
                payload=0 if c.source == "input" else 2500,
                bits=0 if c.source == "input" else 1500,
            )
            for layer in network.layers
            for c in layer.connections
        ),
    )


def test_unet_of_the_design(unet):
    report = fit(unet, chip="loihi2", system="kapoho-point")
    assert report.cores == 1284
    assert report.chips == 11
    assert not report.fits
    assert report.errors == ("system 'kapoho-point': 11 chips needed, 8 there",)
    assert report.binding_layer.cores == 128
    assert (report.timing.steps_per_image, report.timing.latency_steps) == (10, 37)
    assert sum(layer.neurons for layer in report.layers) == 2629632


def test_suggestions_hold(unet):
    report = fit(unet, chip="loihi2", system="kapoho-point")
    image, width = report.suggestions
    assert image.change == "images or tiles of 112x112 at this width"
    assert width.change == "15 base channels at this image size"
    tile = fit(unet.resized(112, 112), chip="loihi2", system="kapoho-point")
    narrow = random_unet(base_channels=15, height=128, width=128)
    narrow = fit(narrow, chip="loihi2", system="kapoho-point")
    for suggestion, other in ((image, tile), (width, narrow)):
        assert other.fits
        assert (other.cores, other.chips) == (suggestion.cores, suggestion.chips)
    for larger in (
        unet.resized(144, 144),
        random_unet(base_channels=17, height=128, width=128),
    ):
        assert not fit(larger, chip="loihi2", system="kapoho-point").fits


def test_loihi_1_suggests_fewer_thresholds():
    network = random_unet(base_channels=8, height=32, width=32)
    report = fit(network, chip="loihi1", mapping="parallel-if", system="nahuku")
    assert any("no tile fits a core" in line for line in report.errors)
    fewer = [s for s in report.suggestions if s.change.startswith("N = ")]
    assert [s.change for s in fewer] == ["N = 2 thresholds, mapping parallel-if"]
    for thresholds in (2, 3):
        other = random_unet(
            base_channels=8, height=32, width=32, num_thresholds=thresholds
        )
        report = fit(other, chip="loihi1", mapping="parallel-if", system="nahuku")
        enough = report.chips is not None and report.chips <= 32
        assert enough == (thresholds == 2)


def test_another_mapping_is_suggested(unet):
    report = fit(unet, chip="loihi2", mapping="parallel-if", system="vpx")
    assert report.errors == (
        *[line for line in report.errors if "threshold" in line],
        f"system 'vpx': {report.chips} chips needed, 16 there",
    )
    change = [s for s in report.suggestions if s.change.startswith("mapping")]
    assert [(s.change, s.cores) for s in change] == [("mapping graded", 1284)]


def test_every_extrapolation_is_named(unet):
    lines = {x.name: x.extrapolated for x in fit(unet, chip="loihi2").layers}
    micro = "multi-threshold state in microcode, one word per neuron"
    assert lines["enc0.conv1"] == (micro,)
    assert lines["pool0"] == ("pool as grouped convolution", micro)
    assert lines["up3"] == ("transposed convolution", micro)
    assert lines["dec3.conv1"] == ("skip join", "delayed convolution", micro)
    assert lines["out"] == ("skip join", "delayed convolution")
    parallel = fit(unet, chip="loihi2", mapping="parallel-if")
    assert parallel.layers[0].extrapolated == (
        "15 copies share one kernel and one input axon",
    )
    binary = fit(unet, chip="loihi2", mapping="binary-if")
    assert binary.layers[0].extrapolated == (
        "residual handed from compartment to compartment within a step: unproven",
    )


def test_loihi_1_says_what_a_soft_reset_costs(small):
    report = fit(small, chip="loihi1", mapping="parallel-if")
    spiking = sum(x.neurons for x in describe(small).layers if x.spiking)
    assert f"adds {3 * spiking:,} compartments to {3 * spiking:,}" in report.notes[0]
    assert sum(x.compartments for x in report.layers) == 6 * spiking + 64
    assert "bias per compartment" in report.notes[1]


def test_energy_on_loihi_1_by_hand(small):
    report = fit(small, chip="loihi1", mapping="parallel-if", activity=counted(small))
    synops, updates, spikes, static = report.energy.terms
    # Per image: six on-chip connections; five into spiking layers with K = 3 copies,
    # one into the output; the image itself is a bias.
    into_spiking, into_output = 5, 1
    assert synops.count == 1250 * (3 * into_spiking + into_output)
    assert synops.low == pytest.approx(synops.count * 23.6e-12)
    assert synops.high == pytest.approx(synops.count * 35.5e-12)
    compartments = sum(x.compartments for x in report.layers)
    assert updates.count == compartments * small.num_steps
    assert updates.low == pytest.approx(updates.count * 51.2e-12)
    assert updates.high == pytest.approx(updates.count * 81e-12)
    assert sum(report.traffic.spikes.values()) == 5 * 125
    assert spikes.count >= 5 * 125
    assert spikes.low == pytest.approx(spikes.count * 1.7e-12)
    across = 111 + 7 * 3.0 + 3 * 4.2
    assert spikes.high == pytest.approx(625 * 69.3e-12 + spikes.count * across * 1e-12)
    watts = report.chips * (0.104 + 0.065)
    assert static.high == pytest.approx(watts * small.num_steps * 137.3e-6)
    assert static.low == pytest.approx(watts * small.num_steps * report.timing.step_low)
    assert report.energy.low == sum(t.low for t in report.energy.terms)


def test_energy_of_a_network_that_has_no_cores(small):
    """Operations are what they are; spikes' ways and powered chips are unknown."""
    wide = random_unet(base_channels=8, height=32, width=32)
    report = fit(wide, chip="loihi1", mapping="parallel-if", activity=counted(wide))
    assert "no tile fits a core" in report.problem
    synops, updates = report.energy.terms
    assert synops.low == pytest.approx(sum(report.traffic.synops.values()) * 23.6e-12)
    assert updates.high == pytest.approx(report.traffic.updates * 81e-12)
    assert report.energy.note.startswith(f"Not placed ({report.problem}): only the")


def test_papers_formula_beside_it_with_its_defect(small):
    energy = fit(small, chip="loihi2", activity=counted(small)).energy
    links = 8
    # The first layer: 3x3 from one channel, and a bias, for every neuron.
    first = small.layers[0]
    assert [c.source for c in first.connections] == ["input"]
    macs = 10 * first.shape[0] * first.shape[1] * first.shape[2] * 4.6e-12
    assert energy.paper_snn == pytest.approx(5 * 75 * 0.9e-12 + macs)
    assert energy.paper_snn_synops == pytest.approx((links - 2) * 750 * 0.9e-12 + macs)
    synapses = sum(k.synapses for x in describe(small).layers for k in x.links)
    assert energy.paper_ann == pytest.approx(synapses * 4.6e-12)
    assert "leaves out the fan-out" in energy.paper_note


def test_no_energy_on_loihi_2(small):
    report = fit(small, chip="loihi2", activity=counted(small))
    assert report.energy.terms == ()
    assert "nobody has published the energy of an operation" in report.energy.note
    assert "1.094 mJ" in report.energy.note
    # Graded: one message per payload; the image is sent as graded spikes.
    assert sum(report.traffic.synops.values()) == 8 * 500
    assert report.traffic.effective_synops == 8 * 450
    assert sum(report.traffic.spikes.values()) == 5 * 50


def test_busiest_core_bounds_a_step(small):
    slow = counted(small)
    links = tuple(dataclasses.replace(x, payload=10**9) for x in slow.links)
    report = fit(
        small,
        chip="loihi1",
        mapping="parallel-if",
        activity=dataclasses.replace(slow, links=links),
    )
    layers = {x.name: x for x in report.layers}
    busiest = max(
        report.traffic.synops[n] / layers[n].cores / small.num_steps for n in layers
    )
    # Its compartments are updated too.
    assert report.timing.step_low >= busiest * 3.5e-9
    assert report.timing.step_high >= report.timing.step_low


def test_time_without_a_recording(small):
    one = fit(small, chip="loihi1", mapping="parallel-if").timing
    assert one.step_low >= 113e-9
    assert one.step_high == pytest.approx(137.3e-6)
    two = fit(small, chip="loihi2").timing
    assert two.step_low == pytest.approx(200e-9)
    assert two.images_per_second[1] == pytest.approx(1 / (3 * 200e-9))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"chip": "loihi3"}, "chip 'loihi3': loihi1, loihi2 are allowed"),
        (
            {"chip": "loihi2", "system": "nahuku"},
            "system 'nahuku': oheo-gulch, kapoho-point, vpx, hala-point are allowed "
            "for loihi2",
        ),
        ({"chip": "loihi2", "mapping": "x"}, "mapping 'x': graded, parallel-if"),
    ],
)
def test_names_that_do_not_exist(small, arguments, message):
    with pytest.raises(NetworkError, match=message):
        fit(small, **arguments)


def test_recording_of_another_network(small):
    other = small_network(seed=1)
    with pytest.raises(NetworkError, match=r"recording: of network .*, this one is"):
        fit(small, chip="loihi2", activity=counted(other))


def test_no_system_is_large_enough(small):
    huge = dataclasses.replace(
        fit(small, chip="loihi2"), cores=10**6, chips=8334, system_chips=None
    )
    assert huge.errors == ("8334 chips needed, no system of loihi2 has them",)


def test_json_holds_verdict_and_sources(unet):
    record = json.loads(json.dumps(fit(unet, chip="loihi2").to_json()))
    assert record["fits"] is True
    assert record["system"] == "vpx"
    assert record["cores"] == sum(layer["cores"] for layer in record["layers"])
    assert record["facts"]["L2_CORE_WORDS"]["value"] == 20000
    assert record["facts"]["STATE"]["maximum"] == 2**23 - 1
    assert not any(name.startswith("L1_") for name in record["facts"])


def test_tables_have_one_cell_per_column(unet, small):
    reports = [
        fit(unet, chip="loihi2", system="oheo-gulch"),
        fit(small, chip="loihi1", mapping="parallel-if", activity=counted(small)),
        fit(unet, chip="loihi1"),
    ]
    for report in reports:
        tables = fit_tables(report)
        for table in tables:
            assert table.rows
            assert all(len(row) == len(table.columns) for row in table.rows)
        layers = next(t for t in tables if t.title == "layers")
        assert [row[0] for row in layers.rows] == [x.name for x in report.layers]


def test_every_fact_names_a_source():
    found = [f for f in vars(facts).values() if isinstance(f, facts.Fact | facts.Limit)]
    assert len(found) > 60
    for fact in [*found, *(system.chips for system in SYSTEMS)]:
        if isinstance(fact, facts.Limit):
            assert fact.minimum < fact.maximum
        else:
            assert fact.value > 0
        assert fact.unit
        assert fact.source
        assert fact.confidence in ("high", "medium", "low")


def test_the_table_in_the_documents_is_what_fit_says_now(unet):
    table = Path(__file__).parents[2] / "docs" / "fit_table.json"
    rows = json.loads(table.read_text(encoding="utf-8"))["rows"]
    checked = 0
    for row in rows:
        if row["network"] != "16 channels, 128x128, N = 4":
            continue
        # Cores do not depend on the weights.
        report = fit(unet, chip=row["chip"], mapping=row["mapping"])
        found = {**report.totals, "cores": report.cores, "chips": report.chips}
        assert {key: row[key] for key in found} == found
        assert row["problem"] == report.problem
        checked += 1
    assert checked == 5


def test_the_widest_network_of_the_table_was_counted():
    table = Path(__file__).parents[2] / "docs" / "fit_table.json"
    record = json.loads(table.read_text(encoding="utf-8"))
    wide = [row for row in record["rows"] if row["network"].startswith("64 channels")]
    static = describe(random_unet(base_channels=64, height=256, width=256)).layers
    synapses = sum(link.synapses for layer in static for link in layer.links)
    assert {(row["chip"], row["mapping"]) for row in wide} == {
        ("loihi2", "graded"),
        ("loihi2", "parallel-if"),
        ("loihi2", "binary-if"),
        ("loihi1", "parallel-if"),
        ("loihi1", "binary-if"),
    }
    for row in wide:
        assert row["synapses"] == synapses
        copies = 15 if row["mapping"] == "parallel-if" else 1
        # Between nothing and a spike of every threshold at every step.
        assert 0 < row["synops"] < synapses * row["steps"] * copies * 15
        assert row["updates"] == row["compartments"] * row["steps"]
        assert (row["energy_mj"] is None) == (row["chip"] == "loihi2")


def test_headroom_of_a_recording(small):
    counts = counted(small)
    layers = [
        dataclasses.replace(x, potential_minimum=-(2**21), potential_maximum=2**20)
        if x.name == "mid"
        else dataclasses.replace(x, potential_minimum=0, potential_maximum=1000)
        if x.name != "input"
        else x
        for x in counts.layers
    ]
    counts = dataclasses.replace(counts, layers=tuple(layers))
    report = fit(small, chip="loihi2", activity=counts)
    assert (report.headroom.layer, report.headroom.bits) == ("mid", 2.0)
    assert "measured potential" in {check.quantity for check in report.checks}
    # A copy of parallel-if holds up to 2 thetas more; theta of "down" is 9,000.
    copies = fit(small, chip="loihi2", mapping="parallel-if", activity=counts)
    down = next(c for c in copies.checks if c.quantity == "measured potential")
    assert down.found == "0..19000"
    assert fit(small, chip="loihi2").headroom is None


def test_recorded_potential_that_overflows(small):
    counts = counted(small)
    layers = [
        dataclasses.replace(x, potential_minimum=0, potential_maximum=2**23)
        if x.name == "mid"
        else x
        for x in counts.layers
    ]
    counts = dataclasses.replace(counts, layers=tuple(layers))
    assert fit(small, chip="loihi2", activity=counts).errors == (
        "layer 'mid': measured potential 0..8388608 found, -8388608..8388607 allowed",
    )
