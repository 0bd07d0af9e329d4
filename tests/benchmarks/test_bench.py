# SPDX-License-Identifier: BSD-3-Clause
"""What bench.py takes out of its parts' details, and the count behind the int8 limit."""

import sys
from pathlib import Path

import pytest

from benchmarks.random_unet import random_unet

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import bench

    return bench


def test_multiply_adds_of_a_small_network(bench):
    network = random_unet(base_channels=2, height=8, width=8, levels=1, num_steps=3)
    taps = network.nodes["up0"].connections[0].synapse.weight.shape[-1] ** 2
    of_input = 64 * (2 * 9 + 1)
    of_layers = 64 * (
        2 * 2 * 9  # enc0.conv2
        + 2  # pool0
        + 2 * 4 * 9  # dec0.conv1
        + 2 * 2 * 9  # dec0.conv2
        + 2  # out
    ) + 16 * (4 * 2 * 9 + 4 * 4 * 9 + 4 * 2 * taps)
    found = bench.int8_limit.multiply_adds(network)
    assert found == of_input + 3 * of_layers


def test_headlines_are_the_parts_numbers(bench):
    rows = [
        {"key": "T1N8_128", "over_ann": 0.5, "over_ort_int8": 1.5},
        {"key": "T4N4_128", "over_ann": 1.0, "spikingjelly_over_ours": 4.0},
    ]
    found = bench.headlines({"forwards": rows, "lava": None, "peak": {"value": 2.0}})
    assert found["over_ann"] == {"T1N8_128": 0.5, "T4N4_128": 1.0}
    assert found["over_ort_int8"] == {"T1N8_128": 1.5}
    assert found["spikingjelly_over_ours"] == {"T4N4_128": 4.0}
    assert (found["lava_speedup"], found["peak_gb"]) == (None, 2.0)


@pytest.mark.parametrize(
    ("package", "make"),
    [("onnxruntime", "_onnx"), ("spikingjelly.activation_based", "_spikingjelly")],
)
def test_a_missing_package_is_one_line(bench, monkeypatch, capsys, package, make):
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("peer_onnx", "peer_spikingjelly"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    model, _ = bench.forwards.load_checkpoint("denoise-gray")
    pixels = bench.torch.zeros(1, 1, 16, 16)
    assert getattr(bench.forwards, make)(model, pixels) == {}
    assert capsys.readouterr().err.count("\n") == 1
