# SPDX-License-Identifier: BSD-3-Clause
"""The compartments that stand for a neuron, other than the graded one, in torch.

Any layout: potentials have a leading axis of copies, and ``theta`` is broadcast
against one copy. Integers only, so nothing rounds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from export.compartment import MTIF
from sim.overflow import check_range


def rest(compartment: MTIF, theta: Tensor, like: Tensor) -> Tensor:
    """Potentials at the start of a window.

    Parameters
    ----------
    compartment : MTIF
        Of mapping ``parallel-if`` or ``binary-if``.
    theta : Tensor, int32
        Base threshold, broadcast against ``like``.
    like : Tensor
        Of the neurons' shape and device.

    Returns
    -------
    Tensor, shape (copies, *like.shape), int32
        0 for ``binary-if``; 0, theta, ..., (K - 1) * theta for ``parallel-if``.
    """
    stagger = torch.arange(compartment.copies, dtype=torch.int32, device=like.device)
    stagger = stagger.reshape(-1, *[1] * like.ndim)
    zeros = torch.zeros_like(like, dtype=torch.int32)
    return zeros + stagger * theta


def fire(compartment: MTIF, v: Tensor, theta: Tensor) -> Tensor:
    """Binary spikes of every compartment, summed up to the neuron's payload.

    Parameters
    ----------
    compartment : MTIF
        Of mapping ``parallel-if`` or ``binary-if``.
    v : Tensor, shape (copies, ...), int32
        Potentials after integration; reset by subtraction in place.
    theta : Tensor, int32
        Base threshold, broadcast against ``v[0]``.

    Returns
    -------
    Tensor, shape (...), int32
        Payload 0 .. 2**N - 1.
    """
    if compartment.mapping == "parallel-if":
        threshold = theta * compartment.copies
        spikes = v >= threshold
        v -= spikes * threshold
        return spikes.sum(dim=0, dtype=torch.int32)
    payload = torch.zeros_like(v[0])
    for plane in reversed(range(compartment.num_thresholds)):
        # int64: a threshold of 17 bits times 2**15 leaves 32 bits.
        threshold = theta.long() << plane
        spikes = v[0] >= threshold
        v[0] -= (spikes * threshold).int()
        payload += spikes.int() << plane
    return payload


class MappedPotential:
    """State of all compartments of one layer, carried from block to block of steps.

    The counterpart of `sim.torch.compartment.Potential`, step by step and always
    checked: here the compartments themselves are what is simulated.

    Parameters
    ----------
    layer : str
        Named in an error.
    compartment : MTIF
        Of mapping ``parallel-if`` or ``binary-if``.
    shape : tuple of int
        (pixels, channels) of the neurons, images included in the pixels.
    device : torch.device
        Where the sums are.
    """

    def __init__(
        self,
        layer: str,
        compartment: MTIF,
        shape: tuple[int, int],
        device: torch.device,
    ) -> None:
        self.layer = layer
        self.compartment = compartment
        self.theta = torch.from_numpy(compartment.vth_mant.astype("int32")).to(device)
        self.v = rest(compartment, self.theta, torch.empty(shape, device=device))

    def run(self, current: Tensor, steps: range, payload: Tensor | None) -> None:
        """Do the given steps.

        Parameters
        ----------
        current : Tensor, shape (len(steps), pixels, channels)
            Bias and sums of each step.
        steps : range
            Algorithm steps, for errors.
        payload : Tensor, shape of ``current``, integers
            Where to write the neurons' payloads.

        Raises
        ------
        OverflowLayerError
            If a potential leaves 24 bits signed.
        """
        assert payload is not None  # these compartments spike
        for index, step in enumerate(steps):
            # int64: sums of very many connections might come round in 32 bits.
            after = self.v + current[index].long()
            low, high = torch.aminmax(after)
            check_range((int(low), int(high)), self.layer, step, "potential")
            self.v.copy_(after)
            payload[index] = fire(self.compartment, self.v, self.theta)
