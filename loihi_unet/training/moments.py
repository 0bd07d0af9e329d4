# SPDX-License-Identifier: BSD-3-Clause
"""What a run keeps to be taken up again: Adam's moments and its own settings."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from loihi_unet.errors import CheckpointError
from loihi_unet.files.checkpoint import MOMENTS


def adam_moments(
    optimiser: torch.optim.Adam, parameters: Iterable[tuple[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """Return Adam's two moments by the names they have in a file.

    Parameters
    ----------
    optimiser : torch.optim.Adam
        After at least one step.
    parameters : iterable of (str, Tensor)
        What it changes, by name.

    Returns
    -------
    dict[str, Tensor]
        ``<moment>.<parameter>``.
    """
    return {
        f"{moment}.{name}": optimiser.state[parameter][moment]
        for name, parameter in parameters
        for moment in MOMENTS
    }


def restore_moments(
    optimiser: torch.optim.Adam,
    parameters: Iterable[tuple[str, torch.Tensor]],
    moments: Mapping[str, torch.Tensor],
    iteration: int,
    *,
    where: Path,
) -> None:
    """Give Adam the state it had when a file was written.

    Parameters
    ----------
    optimiser : torch.optim.Adam
        Freshly made over the parameters.
    parameters : iterable of (str, Tensor)
        What it changes, by name.
    moments : mapping of str to Tensor
        By the names of `adam_moments`; others are not looked at.
    iteration : int
        Steps done.
    where : Path
        Named in errors.

    Raises
    ------
    CheckpointError
        If a moment is missing, or is that of another network.
    """
    for name, parameter in parameters:
        state = optimiser.state[parameter]
        state["step"] = torch.tensor(float(iteration))
        for moment in MOMENTS:
            key = f"{moment}.{name}"
            if key not in moments:
                raise CheckpointError(
                    f"{where}: incomplete run without {key}: cannot go on from it"
                )
            value = moments[key]
            # A file may leave out axes of length 1.
            if value.squeeze().shape != parameter.squeeze().shape:
                raise CheckpointError(
                    f"{where}: {key}: found shape {tuple(value.shape)}, its parameter "
                    f"has {tuple(parameter.shape)}"
                )
            # The parameter's memory format, as Adam itself allocates it.
            state[moment] = torch.empty_like(parameter, requires_grad=False)
            state[moment].copy_(value.reshape(parameter.shape))


def check_same_run(
    where: Path, theirs: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    """Refuse to go on with other settings than a run began with.

    Parameters
    ----------
    where : Path
        The run's file, named in the error.
    theirs, now : mapping
        Settings it began with, and those it is to go on with.

    Raises
    ------
    CheckpointError
        If one of `now` differs.
    """
    for key, value in now.items():
        if theirs.get(key) != value:
            raise CheckpointError(
                f"{where}: {key} was {theirs.get(key)!r}, now {value!r}; a run resumes "
                "with its own settings only"
            )
