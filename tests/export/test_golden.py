# SPDX-License-Identifier: BSD-3-Clause
"""Files of schema 1 are read for ever; the recipes are in tests/golden/README.md."""

import hashlib
from pathlib import Path

import pytest
import stocks

from export.difference import diff
from export.netx import read_network
from export.stock_network import Reset
from sim.selftest import small_network

GOLDEN = Path(__file__).parents[1] / "golden"


def stream():
    reset = Reset(interval=4, offset=1)
    return stocks.spiking(0, injected=True, delayed=True, reset=reset)


FILES = [
    (
        "window",
        "92177bf8850be843b7da1044e91beb5f4e7524f4d4341a0df2f07dd30356eedd",
        small_network,
    ),
    (
        "stream",
        "164102a2f7ab89f63f48882c08366796a1a09c2b74fa8bf7d70eb9f4e43ba80e",
        stream,
    ),
    (
        "sigma_delta",
        "18624acbb7eef06d4154f9ceb82e458b9dd8c895edad9088f43f634527b7c8b3",
        stocks.sigma_delta,
    ),
]


@pytest.mark.parametrize(("name", "sha256", "recipe"), FILES)
def test_schema_1(name, sha256, recipe):
    network = read_network(GOLDEN / f"{name}.net")
    assert network.sha256 == sha256
    assert diff(network, recipe()) == []


@pytest.mark.parametrize("name", [row[0] for row in FILES])
def test_file_is_the_one_that_the_recipe_names(name):
    text = (GOLDEN / "README.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((GOLDEN / f"{name}.net").read_bytes()).hexdigest()
    assert digest in text
