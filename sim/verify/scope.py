# SPDX-License-Identifier: BSD-3-Clause
"""What two recordings hold in common, and what of their network they do not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from export.errors import NetworkError
from export.network import Network
from sim.recording import Payload, Recording, RecordingError, hashes_of, identity


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What two recordings have to hold for everything to have been compared.

    Parameters
    ----------
    payloads : tuple of str
        Layers whose payloads decide.
    output : bool
        Whether the output accumulator does.
    unknown : tuple of str
        Why one cannot tell.
    """

    payloads: tuple[str, ...]
    output: bool
    unknown: tuple[str, ...]


def at_size(network: Network, recording: Recording) -> Network:
    """The network as it ran: at the size, or with the T, of what entered.

    Raises
    ------
    RecordingError
        If it cannot take these images.
    """
    shape = recording.images.shape[1:]
    try:
        network = network.as_ran(recording.num_steps, shape)
    except NetworkError as error:
        raise RecordingError(f"images of shape {shape} found: {error}") from None
    steps = (recording.num_steps,) if network.input.changes else ()
    if shape != (*steps, *network.input.shape):
        raise RecordingError(
            f"images of shape {shape} found, {(*steps, *network.input.shape)} needed"
        )
    return network


def check_network(network: Network, recording: Recording) -> None:
    """Refuse a recording of another network.

    Parameters
    ----------
    network : Network
        From `at_size`.
    recording : Recording
        Whose hashes, T, list of layers and names have to be the network's, as far as
        it has them.

    Raises
    ------
    RecordingError
        If it is of another network.
    """
    hashes = hashes_of(recording)
    if not hashes <= {network.sha256, network.sha256_any_size}:
        raise RecordingError(
            f"sha256 {network.sha256[:12]} at this image size "
            f"({network.sha256_any_size[:12]} at any), recorded was "
            f"{' and '.join(sorted(h[:12] for h in hashes))}"
        )
    if recording.num_steps != network.num_steps:
        raise RecordingError(
            f"T = {network.num_steps}, recorded was {recording.num_steps}"
        )
    facts = identity(network)
    if recording.has_output not in (None, facts["has_output"]) or (
        recording.output is not None and not facts["has_output"]
    ):
        has = "an" if facts["has_output"] else "no"
        raise RecordingError(f"{has} output accumulator, recorded was the contrary")
    if recording.layers is not None and list(recording.layers) != list(facts["layers"]):
        other = set(recording.layers) ^ set(facts["layers"])
        raise RecordingError(f"other layers than recorded: {_quoted(other) or 'order'}")
    # What has no list of its own is checked by the network's.
    replace(recording, layers=facts["layers"])


def same_network(left: Recording, right: Recording) -> bool | None:
    """Whether both ran one network by their hashes; None if these cannot tell.

    One that states a single hash may state either of the two; none may contradict.
    Where images of two sizes entered, only the hash of any size can tell.
    """
    if left.images.shape[1:] != right.images.shape[1:]:
        left, right = (replace(s, network_sha256=None) for s in (left, right))
    a, b = hashes_of(left), hashes_of(right)
    if not a or not b:
        return None
    if a <= b or b <= a:
        return True
    sides = (
        (left.network_sha256, right.network_sha256),
        (left.network_sha256_any_size, right.network_sha256_any_size),
    )
    return False if any(x and y for x, y in sides) else None


def scope(left: Recording, right: Recording, network: Network | None) -> Scope:
    """What has to be compared.

    Parameters
    ----------
    left, right : Recording
        Their own lists count if no network is given: a layer of either.
    network : Network or None
        What both ran, checked.
    """
    if network is not None:
        facts = identity(network)
        names, last = list(facts["layers"]), facts["has_output"]
        return Scope(
            payloads=tuple(names[:-1] if last else names), output=last, unknown=()
        )
    sides = {"left": left, "right": right}
    unknown = [
        f"cannot tell which layers the network has ({name} does not list them; "
        "--network tells)"
        for name, side in sides.items()
        if side.layers is None
    ]
    if same_network(left, right) is None:
        without = [name for name, side in sides.items() if not hashes_of(side)]
        unknown.append(
            "cannot tell whether both ran one network "
            f"({' and '.join(without)} states no sha256; --network tells)"
            if without
            else "cannot tell whether both ran one network (sha256 of one size left or "
            "right, of any size on the other side; --network tells)"
        )
    # One network, by its hash: what one side states holds for both.
    stated = {side.has_output for side in sides.values()} - {None}
    if len(stated) != 1:
        unknown.append(
            "cannot tell whether the network has an output accumulator (left and right "
            f"{'contradict each other' if stated else 'do not say'}; --network tells)"
        )
    payloads: dict[str, None] = {}
    for side in sides.values():
        names = list(side.layers or ())
        payloads |= dict.fromkeys(names[:-1] if True in stated else names)
    return Scope(
        payloads=tuple(payloads), output=True in stated, unknown=tuple(unknown)
    )


def not_compared(
    needed: Scope,
    left: Recording,
    right: Recording,
    *,
    payloads: Collection[str],
    output: bool,
) -> Iterator[str]:
    """Say what was left out, one phrase each.

    Parameters
    ----------
    needed : Scope
        All that should have been compared.
    left, right : Recording
        As they were given, not cut to common images.
    payloads : collection of str
        Layers of which values were compared.
    output : bool
        Whether values of the output were.
    """
    for name in needed.payloads:
        if name not in payloads:
            yield f"layer '{name}'"
    if needed.output and not output:
        yield "output accumulator"
    steps = set(range(left.num_steps)) - set(left.steps).intersection(right.steps)
    if steps and (needed.payloads or left.payloads):
        yield f"{_many(len(steps), 'step')} {_numbers(steps)}"
    places = common_images(left, right)
    if places is not None:
        for name, side, held in zip(
            ("left", "right"), (left, right), places, strict=True
        ):
            missing = set(range(len(side.images))) - set(held)
            if missing:
                yield f"{_many(len(missing), 'image')} {_numbers(missing)} of {name}"
    yield from needed.unknown


def common_images(
    left: Recording, right: Recording
) -> tuple[list[int], list[int]] | None:
    """Places of the images that both hold: all of one side, in the order of both.

    None if neither side's images are among the other's.
    """
    a, b = left.images, right.images
    if a.shape[1:] != b.shape[1:]:
        return None
    if len(a) <= len(b):
        places = _places(a, b)
        return None if places is None else (list(range(len(a))), places)
    places = _places(b, a)
    return None if places is None else (places, list(range(len(b))))


def aligned(left: Recording, right: Recording) -> tuple[Recording, Recording] | None:
    """Both recordings, cut to the images that both hold; None if they hold others."""
    places = common_images(left, right)
    return None if places is None else (cut(left, places[0]), cut(right, places[1]))


def _places(few: Payload, many: Payload) -> list[int] | None:
    places: list[int] = []
    rest = iter(range(len(many)))
    for image in few:
        place = next((i for i in rest if np.array_equal(image, many[i])), None)
        if place is None:
            return None
        places.append(place)
    return places


def cut(recording: Recording, places: list[int]) -> Recording:
    """The recording of some of its images."""
    if len(places) == len(recording.images):
        return recording
    output = recording.output
    return replace(
        recording,
        images=recording.images[places],
        payloads={name: values[places] for name, values in recording.payloads.items()},
        output=None if output is None else output[places],
    )


def _quoted(names: Collection[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))


def _many(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _numbers(values: Collection[int]) -> str:
    """``"0, 2..5"``."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and runs[-1][-1] == value - 1:
            runs[-1][1:] = [value]
        else:
            runs.append([value])
    return ", ".join("..".join(map(str, run)) for run in runs)
