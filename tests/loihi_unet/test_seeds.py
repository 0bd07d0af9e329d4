# SPDX-License-Identifier: BSD-3-Clause
from loihi_unet.seeds import Purpose, generator


def test_streams_are_functions_of_seed_purpose_and_index():
    def draw(*arguments):
        return generator(*arguments).integers(2**62)

    assert draw(0, Purpose.TEST, 1) == draw(0, Purpose.TEST, 1)
    draws = {
        draw(seed, purpose, index)
        for seed in (0, 1)
        for purpose in Purpose
        for index in (0, 1)
    }
    assert len(draws) == 4 * len(Purpose)
