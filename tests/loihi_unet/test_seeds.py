# SPDX-License-Identifier: BSD-3-Clause
from loihi_unet.seeds import Stream, generator


def test_streams_are_functions_of_seed_purpose_and_index():
    def draw(*arguments):
        return generator(*arguments).integers(2**62)

    assert draw(0, Stream.TEST, 1) == draw(0, Stream.TEST, 1)
    draws = {
        draw(seed, stream, index)
        for seed in (0, 1)
        for stream in Stream
        for index in (0, 1)
    }
    assert len(draws) == 4 * len(Stream)
