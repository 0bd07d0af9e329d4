# SPDX-License-Identifier: BSD-3-Clause
"""Memory of training does not grow with the data set."""

import os
import sys

import pytest

from benchmarks.memory import make, measure
from loihi_unet.data.sequence import CACHE

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="units of ru_maxrss, and hard links"
)


def test_every_name_is_a_picture_with_a_label(tmp_path):
    make(tmp_path, 6, 32)
    for part in ("images", "labels"):
        assert len(list((tmp_path / part).iterdir())) == 6
    first, fifth = (tmp_path / "images" / f"000{i}.png" for i in (0, 4))
    assert os.path.samefile(first, fifth)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_memory_does_not_grow_with_the_data_set():
    # 480 MiB of pixels, which are kept, and 3.2 GiB, of which 1 GiB is.
    few, many = measure(60, 2048)["peak_mib"], measure(400, 2048)["peak_mib"]
    assert many < 4000
    # What is kept grows to the cache's limit, and nothing else grows.
    assert many - few < (CACHE >> 20) - 480 + 300
