# SPDX-License-Identifier: BSD-3-Clause
"""Every board's largest picture fits, and the next one does not."""

from dataclasses import replace

import pytest

from benchmarks.random_unet import random_unet
from export.fit import boards, fit
from export.fit.tables import board_table


@pytest.fixture(scope="module")
def unet():
    return random_unet(base_channels=4, height=64, width=64, levels=3)


def test_largest_pictures_fit_and_the_next_do_not(unet):
    report = fit(unet, chip="loihi2")
    found = boards(unet, report)
    assert [board.system for board in found] == [
        *("oheo-gulch", "kapoho-point", "vpx", "hala-point"),
    ]
    assert [board.chips for board in found] == [1, 8, 16, 1152]
    # The largest system takes seconds to fill.
    for board in found[:3]:
        there = fit(unet, chip="loihi2", system=board.system)
        assert board.fits == there.fits
        height, width = board.largest
        largest = fit(unet.resized(height, width), chip="loihi2", system=board.system)
        assert largest.fits
        assert (largest.cores, largest.chips) == (
            board.needed_cores,
            board.needed_chips,
        )
    for board in found[:2]:
        side = board.largest[0] + 8
        larger = unet.resized(side, side)
        assert not fit(larger, chip="loihi2", system=board.system).fits
    assert found[0].fits
    assert len(board_table(found).rows) == 4


def test_one_size_only(unet):
    fixed = replace(unet, provenance={**unet.provenance, "fixed_size": True})
    small, *_, large = boards(fixed, fit(fixed, chip="loihi2"))
    assert small.largest == large.largest == (64, 64)
    whole = fixed.resized(256, 256)
    small, *_ = boards(whole, fit(whole, chip="loihi2"))
    assert (small.fits, small.largest) == (False, None)


def test_nothing_fits_where_a_limit_is_broken(unet):
    report = fit(unet, chip="loihi1", mapping="parallel-if")
    assert report.errors
    assert not any(board.fits or board.largest for board in boards(unet, report))
    rows = board_table(boards(unet, report)).rows
    assert rows[0] == ("kapoho-bay", 2, "no", "none", "")
