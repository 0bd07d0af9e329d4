# SPDX-License-Identifier: BSD-3-Clause
"""Damage of bytes and of text, whatever they mean."""

from __future__ import annotations

import numpy as np

EXTREME = (0, 1, 0x7F, 0x80, 0xFF)


def damage_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """Flip, overwrite, cut, repeat or move bytes; never returns equal bytes."""
    array = np.frombuffer(data, dtype=np.uint8).copy()
    size = len(array)
    # Half of the damage goes to the first bytes, where formats keep structure.
    reach = size if random.random() < 0.5 else min(size, 4096)
    at = int(random.integers(reach))
    length = int(random.integers(1, 65))
    case = int(random.integers(8))
    if case == 0:
        return data[: int(random.integers(size))]
    if case == 1:
        return data[:at] + data[at + length :]
    if case == 2:
        return data[:at] + random.bytes(length) + data[at:]
    if case == 3:  # a whole field: sizes and addresses are 8 bytes
        at -= at % 8
        array[at : at + 8] = EXTREME[int(random.integers(len(EXTREME)))]
    elif case == 4:
        source = int(random.integers(size))
        piece = array[source : source + length].copy()
        target = array[at : at + len(piece)]
        target[:] = piece[: len(target)]
    elif case == 5:
        array[at : at + length] = 0
    else:
        for index in random.integers(reach, size=int(random.integers(1, 17))):
            array[index] ^= 1 << int(random.integers(8))
    result = array.tobytes()
    return result if result != data else data + b"\0"
