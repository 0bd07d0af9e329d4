# SPDX-License-Identifier: BSD-3-Clause
"""Ways to damage an HDF5 file, each a pure function of a random generator."""

from __future__ import annotations

import io
from collections.abc import Callable

import h5py
import numpy as np

from benchmarks.torture.byte_mutations import damage_bytes

Random = np.random.Generator
NUMBERS = (0, 1, -1, 2, 3, 7, 62, 63, 255, 256, 4096, 2**15, 2**24, 2**31 - 1)
NUMBERS += (2**31, -(2**31), 2**63 - 1, -(2**63))
ODD_FLOATS = (np.nan, np.inf, -np.inf, 0.5, -0.0, 1e-320, 1e308, 2.0**53 + 2)
TEXTS = (
    b"", b"conv", b"convT", b"pool", b"unpool", b"concat", b"input", b"flatten",
    b"dense", b"dense_rec", b"sum", b"average",
    b"SDNN", b"RF", b"MTIF", b"ACC", b"CUBA",
    b"\xff\xfe", b"a\nb", b"a/b", b"..", b"\x00\x00", b"x" * 70000, b"[" * 100000,
    b'{"a":' * 50000, b"9" * 6000, b'{"a": NaN}', b'{"a": 1e999}', b"null", b"[]",
    "\u202e\u0007".encode(),
)  # fmt: skip


def members(file: h5py.File, kind: type | None = None) -> list[str]:
    """Paths of all groups and datasets, in order."""
    names: list[str] = []
    file.visititems(
        lambda name, item: (
            names.append(name) if kind is None or isinstance(item, kind) else None
        )
    )
    return sorted(names)


def pick(random: Random, items: list[str]) -> str:
    return items[int(random.integers(len(items)))]


def remove(file: h5py.File, random: Random) -> None:
    del file[pick(random, members(file))]


def rename(file: h5py.File, random: Random) -> None:
    old = pick(random, members(file))
    new = pick(
        random, ["x", "layer/99", "layer/-1", "layer/1/neuron/neuron", old + "x"]
    )
    if new not in file and not new.startswith(old):
        file.move(old, new)


def swap(file: h5py.File, random: Random) -> None:
    a, b = pick(random, members(file)), pick(random, members(file))
    if a == b or a.startswith(b + "/") or b.startswith(a + "/"):
        return
    file.move(a, "swapped")
    file.move(b, a)
    file.move("swapped", b)


def wrong_kind(file: h5py.File, random: Random) -> None:
    name = pick(random, members(file))
    group = isinstance(file[name], h5py.Group)
    del file[name]
    if group:
        file[name] = 1
    else:
        file.create_group(name)


def copy_over(file: h5py.File, random: Random) -> None:
    source, target = pick(random, members(file)), pick(random, members(file))
    if source == target or source.startswith(target + "/"):
        return
    if target.startswith(source + "/"):
        return
    del file[target]
    file.copy(source, target)


def more_layers(file: h5py.File, random: Random) -> None:
    last = len(file["layer"])
    source = str(int(random.integers(last)))
    for index in range(int(random.integers(1, 40))):
        file.copy(f"layer/{source}", f"layer/{last + index}")


def other_type(file: h5py.File, random: Random) -> None:
    name = pick(random, members(file, h5py.Dataset))
    shape = file[name].shape
    del file[name]
    dtypes = [
        "f2", "f4", "f8", ">f8", "u1", "i1", ">i2", "u8", "i8", "?", "c16", "S3",
        "S70000", np.dtype([("a", "i4"), ("b", "f8")]), np.dtype(("i4", (3,))),
        h5py.string_dtype(), h5py.ref_dtype, h5py.regionref_dtype,
        h5py.vlen_dtype(np.int32), h5py.enum_dtype({"A": 1, "B": 2}), "V7", "f16",
    ]  # fmt: skip
    dtype = dtypes[int(random.integers(len(dtypes)))]
    file.create_dataset(name, shape=shape, dtype=dtype)


def other_shape(file: h5py.File, random: Random) -> None:
    name = pick(random, members(file, h5py.Dataset))
    dtype, value = file[name].dtype, np.asarray(file[name][()])
    del file[name]
    case = int(random.integers(7))
    if case == 0:
        file.create_dataset(name, data=value.reshape(-1)[:0])
    elif case == 1:
        file.create_dataset(name, data=value[..., None])
    elif case == 2:
        file.create_dataset(name, data=np.concatenate([value.reshape(-1)] * 2))
    elif case == 3:
        file.create_dataset(name, data=h5py.Empty(dtype))
    elif case == 4:
        file.create_dataset(name, data=value.reshape(-1)[:1].reshape(()))
    elif case == 5:
        file.create_dataset(name, data=value.T)
    else:
        file.create_dataset(name, data=value.reshape((1,) * 20 + value.shape))


def other_value(file: h5py.File, random: Random) -> None:
    for _ in range(int(random.integers(1, 4))):
        name = pick(random, members(file, h5py.Dataset))
        value = np.asarray(file[name][()])
        if value.dtype.kind not in "iuf":
            continue
        if random.random() < 0.3:
            value = value.astype(np.float64)
            odd = ODD_FLOATS[int(random.integers(len(ODD_FLOATS)))]
        else:
            value = value.astype(np.int64) if value.dtype.kind != "f" else value
            odd = NUMBERS[int(random.integers(len(NUMBERS)))]
            if random.random() < 0.5 and value.size:
                odd = int(np.clip(value.flat[0], -1e9, 1e9)) + int(
                    random.integers(-2, 3)
                )
        if value.size:
            value.flat[int(random.integers(value.size))] = odd
        del file[name]
        file[name] = value


def other_text(file: h5py.File, random: Random) -> None:
    names = [n for n in members(file, h5py.Dataset) if file[n].dtype.kind in "SO"]
    if not names:
        return
    name = pick(random, names)
    text = TEXTS[int(random.integers(len(TEXTS)))]
    shape = file[name].shape
    del file[name]
    if random.random() < 0.2:
        file.create_dataset(
            name, data=text.replace(b"\0", b""), dtype=h5py.string_dtype()
        )
    else:
        array = np.full(shape or (), text, dtype=f"S{max(1, len(text))}")
        file.create_dataset(name, data=array)


def links(file: h5py.File, random: Random) -> None:
    name = pick(random, members(file))
    external = h5py.ExternalLink("/etc/passwd", "/")
    cases = [h5py.SoftLink("/" + name), h5py.SoftLink("/layer"), external, None]
    link = cases[int(random.integers(4))]
    kind = file[name].shape if isinstance(file[name], h5py.Dataset) else None
    if link is not None:
        del file[name]
        file[name] = link
    elif kind is None:
        parent = name.rpartition("/")[0]
        del file[name]
        file[name] = file[parent or "/"]  # a cycle of hard links
    elif random.random() < 0.5:
        del file[name]
        shape = kind or (1,)
        size = int(np.prod(shape)) * 4
        file.create_dataset(name, shape, "i4", external=[("/etc/passwd", 0, size)])
    elif kind:
        del file[name]
        layout = h5py.VirtualLayout(shape=kind, dtype="i4")
        layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape=kind)
        file.create_virtual_dataset(name, layout)


def bombs(file: h5py.File, random: Random) -> None:
    """Small files that claim or unpack to gigabytes, or very many members."""
    name = pick(random, members(file, h5py.Dataset))
    case = int(random.integers(6))
    if case == 0:  # nothing stored: all fill value
        shape = [(2**28,), (2**14, 2**14), (2**40,), (2**28 - 1,)][random.integers(4)]
        dtype = ["i8", "f8", "i1", "S16", "u2"][random.integers(5)]
        del file[name]
        chunks = tuple(min(n, 2**10) for n in shape)
        file.create_dataset(name, shape, dtype, chunks=chunks, compression="gzip")
    elif case == 1:  # deflated zeros that are stored
        del file[name]
        data = np.zeros(int(random.integers(1, 2**22)), dtype="i8")
        file.create_dataset(name, data=data, compression="gzip", compression_opts=1)
    elif case == 2:
        del file[name]
        file.create_dataset(name, (), "S2147483647")
    elif case == 3:
        group = file["layer"]
        for _ in range(int(random.integers(50, 400))):
            group = group.create_group("g")
    elif case == 4:
        for index in range(int(random.integers(100, 2000))):
            file["layer"].create_group(str(len(file["layer"]) + index))
    else:  # one dataset read by very many layers
        del file[name]
        file.create_dataset(name, (2**22,), "f8", chunks=(2**12,), compression="gzip")
        parent = name.rpartition("/")[0]
        if parent.startswith("layer/"):
            for index in range(len(file["layer"]), len(file["layer"]) + 300):
                file[f"layer/{index}"] = file[parent]


STRUCTURAL: tuple[Callable[[h5py.File, Random], None], ...] = (
    remove, rename, swap, wrong_kind, copy_over, more_layers, other_type, other_shape,
    other_value, other_value, other_text, links, bombs,
)  # fmt: skip


def mutate(seed_files: list[bytes], random: Random) -> tuple[str, bytes]:
    """Damage one of the files; return the kind of damage and the bytes."""
    data = seed_files[int(random.integers(len(seed_files)))]
    if random.random() < 0.35:
        return "bytes", damage_bytes(data, random)
    change = STRUCTURAL[int(random.integers(len(STRUCTURAL)))]
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        # Else the checksum refuses what the checks behind it should see.
        if random.random() < 0.9 and "loihi_unet/sha256" in file:
            del file["loihi_unet/sha256"]
        change(file, random)
    if random.random() < 0.1:
        return f"{change.__name__}, bytes", damage_bytes(buffer.getvalue(), random)
    return change.__name__, buffer.getvalue()


def mutate_recording(seed_files: list[bytes], random: Random) -> tuple[str, bytes]:
    """As `mutate`; a recording has no layers to copy and no checksum."""
    data = seed_files[int(random.integers(len(seed_files)))]
    if random.random() < 0.35:
        return "bytes", damage_bytes(data, random)
    changes = (remove, rename, swap, wrong_kind, copy_over, other_type, other_shape)
    changes += (other_value, other_value, other_text, links, bombs)
    change = changes[int(random.integers(len(changes)))]
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        file.require_group("layer/0")
        change(file, random)
    return change.__name__, buffer.getvalue()
