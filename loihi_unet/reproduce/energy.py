# SPDX-License-Identifier: BSD-3-Clause
"""What a network spends on a picture, counted from its recording."""

from typing import NamedTuple

import numpy as np

from export.fit import fit
from loihi_unet.data.pictures import Picture
from loihi_unet.reproduce.score import shown_pixels
from loihi_unet.runs.tiling import WholeNetwork
from sim.backend import create
from sim.statistics import activity

#: Millijoules of a joule.
MILLI = 1e3


class Spent(NamedTuple):
    """Means over pictures.

    Attributes
    ----------
    ann_mj, snn_mj, snn_fan_out_mj : float
        Millijoules per picture by eq. 13 of arXiv 2307.10974: of the network of ReLUs,
        of the spikes, and of the spikes with 0.9 pJ for each of their synapses.
    rate : float
        Spikes per neuron and step; of a multi-threshold neuron, bits of its payload.
    """

    ann_mj: float
    snn_mj: float
    snn_fan_out_mj: float
    rate: float


def spent(whole: WholeNetwork, pictures: list[Picture], sigma: float | None) -> Spent:
    """Run an integer network on pictures and count.

    Parameters
    ----------
    whole : WholeNetwork
        The network.
    pictures : list[Picture]
        Of sides that fit it; every spike of a picture is held at once.
    sigma : float or None
        Noise in gray levels; None for segmentation.

    Returns
    -------
    Spent
        Energy and rate.
    """
    of_pictures = []
    for index, picture in enumerate(pictures):
        pixels = shown_pixels(picture, index, sigma)
        network = whole.network.resized(*pixels.shape[1:])
        recording = create("torch").run(network, pixels[None])
        counts = activity(network, recording)
        energy = fit(network, chip="loihi2", activity=counts).energy
        assert energy is not None  # there is an activity
        spikes = sum(layer.bits for layer in counts.layers)
        neurons = sum(payload.size for payload in recording.payloads.values())
        joules = (energy.paper_ann, energy.paper_snn, energy.paper_snn_synops)
        of_pictures.append((*(MILLI * value for value in joules), spikes / neurons))
    return Spent(*(float(value) for value in np.mean(of_pictures, axis=0)))
