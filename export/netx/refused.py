# SPDX-License-Identifier: BSD-3-Clause
"""What no option can mend in a stock file: said before anything else."""

from __future__ import annotations

from collections.abc import Sequence

from export.files.hdf5_group import Group

# Why a layer type is refused.
LAYERS = {
    "average": "stock netx has no averaging either; num_layers reads what is before it",
    "dense_comp": "complex weights are not supported",
    "conv_comp": "complex weights are not supported",
}
# Neurons of slayer, by what device_params calls them; a prefix of the name is enough.
NEURONS = {
    "RF_IZ": "resonate-and-fire, Izhikevich's",
    "RF": "resonate-and-fire",
    "ADRF_IZ": "adaptive resonate-and-fire, Izhikevich's",
    "ADRF": "adaptive resonate-and-fire",
    "ALIF": "adaptive leaky integrate-and-fire",
    "KWTA": "k winners take all",
}
ALLOWED = ("CUBA", "LOIHI", "SDNN")


def survey(entries: Sequence[Group]) -> None:
    """Refuse the first entry that is of a kind nobody here can run.

    Parameters
    ----------
    entries : sequence of Group
        Entries of ``layer``, in order.

    Raises
    ------
    UnsupportedLayerError
        With its place, and what it is.
    """
    for group in entries:
        if not group.names():
            raise group.unsupported(
                "type",
                "an empty entry found, as slayer's KWTA (k winners take all) writes",
            )
        if "neuron" in group and "type" in (neuron := group.group("neuron")):
            kind = neuron.text("type")
            if kind not in ALLOWED:
                raise neuron.unsupported("type", _neuron(kind))
        if "type" in group and (kind := group.text("type")) in LAYERS:
            raise group.unsupported("type", f"'{kind}' found: {LAYERS[kind]}")


def _neuron(kind: str) -> str:
    name = next((text for key, text in NEURONS.items() if kind.startswith(key)), None)
    meaning = f" ({name})" if name else ""
    return f"neuron '{kind}'{meaning} found, CUBA, LOIHI or SDNN allowed"
