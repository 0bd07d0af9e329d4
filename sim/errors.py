# SPDX-License-Identifier: BSD-3-Clause
"""What a backend says when it cannot run a network."""

from __future__ import annotations

from export.errors import UserError


class OverflowLayerError(UserError):
    """A sum or a potential left 24 bits signed; names layer and step.

    Where several do, every backend names the same one: of the first image in which
    any does, what happens at the first time step of the chip (a layer of stage l does
    step t at time step t + l of its image); of that time step, the first layer in the
    order of the network; of that layer, the first connection, or else the potential.
    The value is the worst of that layer's at that step: the smallest if it is too
    small, else the largest.

    Parameters
    ----------
    layer : str
        Layer whose compartment would overflow.
    step : int
        Algorithm step 0..T-1.
    what : str
        Which quantity, and its value.
    image : int
        Index of the image in its run.
    """

    def __init__(self, layer: str, step: int, what: str, image: int = 0) -> None:
        super().__init__(f"layer '{layer}', step {step}: {what} outside 24 bits signed")
        self.layer = layer
        self.step = step
        self.what = what
        self.image = image

    def __reduce__(self) -> tuple[type[OverflowLayerError], tuple[str, int, str, int]]:
        # Raised in the processes of Lava's runtime; must survive pickling.
        return type(self), (self.layer, self.step, self.what, self.image)


class BackendError(UserError):
    """A backend that does not exist or cannot run here; says what to do.

    Parameters
    ----------
    text : str
        Kept as it is: may end in the traceback of a Lava process.
    """

    def __init__(self, text: str) -> None:
        ValueError.__init__(self, text)
