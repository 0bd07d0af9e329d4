# SPDX-License-Identifier: BSD-3-Clause
"""Ways to damage checkpoints, converted networks, settings and pictures."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from benchmarks.torture.byte_mutations import damage_bytes

Random = np.random.Generator
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 7, 2**31, 2**63, 10**400, 1.5, -0.0, 1e308,
    float("nan"), float("inf"), "", "unet", "conv", "a\nb", "\x1b[31m", "x" * 70000,
    [], {}, [1, 2, 3, 4], [[0, 4]], {"a": 1}, [0, 10**18], "F64", "I64", "BOOL", "U8",
)  # fmt: skip


def _slots(value: Any) -> list[tuple[Any, Any]]:
    """All (container, key) of a JSON value."""
    slots: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    else:
        items = list(enumerate(value)) if isinstance(value, list) else []
    for key, child in items:
        slots.append((value, key))
        slots.extend(_slots(child))
    return slots


def damage_json(value: Any, random: Random) -> Any:
    """Change one to three places of a JSON value, in place."""
    for _ in range(int(random.integers(1, 4))):
        slots = _slots(value)
        if not slots:
            return ODD_VALUES[int(random.integers(len(ODD_VALUES)))]
        container, key = slots[int(random.integers(len(slots)))]
        odd = ODD_VALUES[int(random.integers(len(ODD_VALUES)))]
        case = int(random.integers(5))
        if case == 0:
            del container[key]
        elif case == 1 and isinstance(container, dict):
            container[f"{key}x"] = container.pop(key)
        elif case == 2 and type(container[key]) in (int, float):
            container[key] = container[key] * int(random.integers(-3, 4))
        elif case == 3 and len(slots) > 1:
            other, name = slots[int(random.integers(len(slots)))]
            container[key] = (
                json.loads(json.dumps(other.get(name, None)))
                if isinstance(other, dict)
                else odd
            )
        else:
            container[key] = odd
    return value


def damage_text(text: str, random: Random) -> str:
    case = int(random.integers(4))
    if case == 0:
        return "[" * int(random.integers(1, 200000)) + text
    if case == 1:
        return '{"a":' * int(random.integers(1, 100000))
    if case == 2:
        return text.replace("1", "1" * 5000, 1)
    return text + text


def mutate_safetensors(seed_files: list[bytes], random: Random) -> tuple[str, bytes]:
    """Damage a file of header length, JSON header and raw tensors."""
    data = seed_files[int(random.integers(len(seed_files)))]
    if random.random() < 0.3:
        return "bytes", damage_bytes(data, random)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    record = json.loads(header["__metadata__"]["loihi_unet"])
    body = data[8 + length :]
    case = int(random.integers(4))
    if case == 0:
        what, header = "tensor table", damage_json(header, random)
    elif case == 1:
        what, text = "record text", damage_text(json.dumps(record), random)
        header["__metadata__"]["loihi_unet"] = text
    elif case == 2:  # weights: any 32 bits, so NaN and infinity as well
        what, array = "tensor bytes", np.frombuffer(body, np.uint8).copy()
        at = 4 * int(random.integers(len(array) // 4))
        bits = (b"\0\0\x80\x7f", b"\0\0\xc0\x7f", b"\xff\xff\x7f\x7f", b"\1\0\0\0")
        array[at : at + 4] = np.frombuffer(bits[int(random.integers(4))], np.uint8)
        body = array.tobytes()
    else:
        what, record = "record", damage_json(record, random)
        header["__metadata__"]["loihi_unet"] = json.dumps(record)
    encoded = json.dumps(header).encode()
    return what, len(encoded).to_bytes(8, "little") + encoded + body


def mutate_toml(seed_files: list[bytes], random: Random) -> tuple[str, bytes]:
    """Damage settings: bytes, values, keys and nesting."""
    data = seed_files[int(random.integers(len(seed_files)))]
    if random.random() < 0.4:
        return "bytes", damage_bytes(data, random)
    lines = data.decode().splitlines()
    at = int(random.integers(len(lines)))
    values = (
        "-1", "0", "1e400", "nan", "1" * 5000, "true", '"x"', "[" * 50000, "{}", "[1]",
        "{a." * 20000, "0xFFFFFFFFFFFFFFFFFF", "2026-01-01", "1e9", "1000000000",
        '"a\\nb"',
    )  # fmt: skip
    key = lines[at].partition("=")[0].strip() or "seed"
    lines[at] = f"{key} = {values[int(random.integers(len(values)))]}"
    if random.random() < 0.3:
        lines.insert(0, f"{'a.' * int(random.integers(1, 20000))}b = 1")
    return "values", "\n".join(lines).encode()


def mutate_bytes(seed_files: list[bytes], random: Random) -> tuple[str, bytes]:
    """Damage any file."""
    data = seed_files[int(random.integers(len(seed_files)))]
    for _ in range(int(random.integers(1, 4))):
        data = damage_bytes(data, random) or b"\0"
    return "bytes", data
