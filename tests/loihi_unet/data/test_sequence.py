# SPDX-License-Identifier: BSD-3-Clause
"""Pictures are read once for what is remembered, and again when they are needed."""

from dataclasses import replace

import numpy as np

from loihi_unet.data.pictures import Picture, fingerprint, hold_out
from loihi_unet.data.sequence import Pictures, sizes


def source():
    """Ten pictures of 100 bytes, and the numbers of those that were read."""
    asked = []

    def read(index):
        asked.append(index)
        pixels = np.full((1, 10, 10), index, np.uint8)
        return Picture(name=f"{index}", pixels=pixels)

    return read, asked


def test_memory_does_not_grow_with_the_set():
    read, asked = source()
    pictures = Pictures.read(read, 10, limit=350)
    assert asked == list(range(10))
    for index in (9, 8, 9, 7):
        assert (pictures[index].pixels == index).all()
    assert asked == list(range(10))  # the latest three were kept
    assert (pictures[0].pixels == 0).all()
    assert asked[10:] == [0]
    store = pictures._store
    assert store.bytes <= 350
    assert len(store.kept) == 3


def test_nothing_is_read_for_what_is_remembered():
    read, asked = source()
    pictures = Pictures.read(read, 10, limit=0)
    asked.clear()
    train, held = hold_out(pictures, 3)
    assert sizes(train) == [(10, 10)] * 7
    assert held.names == ["0", "3", "6"]
    assert len(fingerprint(pictures)) == 64
    assert pictures.levels == [None] * 10
    assert asked == []
    assert [int(p.pixels[0, 0, 0]) for p in held] == [0, 3, 6]


def test_a_fingerprint_is_that_of_a_list():
    read, _ = source()
    pictures = Pictures.read(read, 10)
    assert fingerprint(pictures) == fingerprint(list(pictures))
    assert fingerprint(pictures[::-1]) == fingerprint(list(pictures)[::-1])
    assert fingerprint(pictures[1:]) != fingerprint(pictures)
    one = pictures[0]
    prints = {
        fingerprint([one]),
        fingerprint([replace(one, number=0)]),
        fingerprint([replace(one, number=1)]),
        fingerprint([replace(one, target=one.pixels)]),
        fingerprint([replace(one, target=one.pixels + 1)]),
    }
    assert len(prints) == 5


def test_a_change_is_made_at_each_look():
    read, _ = source()
    pictures = Pictures.read(read, 10)
    brighter = pictures.changed(lambda p: replace(p, pixels=p.pixels + 1))
    both = brighter.changed(lambda p: replace(p, pixels=2 * p.pixels))
    assert (both[3].pixels == 8).all()
    assert (both.subset([4])[0].pixels == 10).all()
    assert (pictures[3].pixels == 3).all()
