# SPDX-License-Identifier: BSD-3-Clause
"""The inferred Loihi 2 rules against the tables that Intel's compiler printed.

Oracle: outputs stored in lava-dl 0.6.0's netx tutorial notebooks.
"""

import pytest
import structures

from export import facts
from export.errors import NetworkError, RangeError
from export.fit import loihi2
from export.fit.link import Link
from export.fit.loihi2 import NEWER, OLDER, kernel_words, partition
from export.fit.structure import LayerStructure, Structure
from export.mapping import Mapping

GRADED = Mapping(name="graded", num_thresholds=4)


def cores(structure, **arguments):
    return [u.cores for u in partition(structure, GRADED, **arguments).values()]


def test_yolo_kp_layer_by_layer():
    printed = [224, 112, 56, 28, 56, 16, 32, 14, 32, 4]
    assert cores(structures.yolo_kp()) == printed
    assert sum(printed) == 574


def test_pilotnet_input_and_convolutions():
    printed = [13, 25, 13, 3, 3, 2]
    found = cores(structures.pilotnet(held=True), rules=OLDER)
    assert found[:6] == printed
    assert sum(printed) == 59
    assert sum(cores(structures.pilotnet(held=False), rules=OLDER)[:5]) == 46


# Weight bits of the first dense layer, from the allocation printed before it was
# split: 61,440 words for LIF, 66,560 for SDNN.
@pytest.mark.parametrize(
    ("held", "bits", "total"), [(True, 3, 74), (False, 4, 61)], ids=["LIF", "SDNN"]
)
def test_pilotnet_totals_with_the_older_compilers_doubling(held, bits, total):
    found = cores(structures.pilotnet(held=held), rules=OLDER, weight_bits=bits)
    assert found[-4:] == [12, 1, 1, 1]
    assert sum(found) == total


def test_mnist_mlp():
    assert cores(structures.mnist_mlp()) == [3, 1, 1]


def test_the_older_compilers_oxford_network_is_not_reproduced():
    # Printed: 3 + 2. The rule cuts 16,200 words in two; Intel cut them in three.
    assert cores(structures.oxford(), rules=OLDER) == [2, 2]


@pytest.mark.parametrize(
    ("inputs", "outputs", "bits", "printed"),
    [
        (2560, 100, 3, 61440),
        (2560, 100, 4, 66560),
        (2560, 17, 4, 12800),
        (200, 256, 8, 16200),
        (64, 10, 8, 256),
        (128, 64, 8, 2688),
        (784, 50, 8, 12544),
    ],
)
def test_words_of_a_dense_layer(inputs, outputs, bits, printed):
    link = Link(
        source="input",
        source_shape=(inputs, 1, 1),
        shape=(outputs, 1, 1),
        kernel=(1, 1),
    )
    assert link.dense
    assert kernel_words(link, outputs, bits) == printed


# YOLO-KP and MNIST rows as printed: shares in percent of axons in, neurons, synapses,
# axon map, axon memory, the total.
PRINTED = [
    (0.01, 87.52, 0.34, 1.40, 0.70, 19.88),
    (0.01, 87.52, 3.60, 0.70, 0.35, 21.65),
    (0.01, 87.52, 10.80, 0.35, 0.17, 26.99),
    (0.01, 87.52, 39.60, 0.17, 0.35, 50.03),
    (0.01, 87.52, 79.20, 0.17, 0.17, 81.57),
    (0.01, 87.52, 72.00, 0.35, 2.80, 78.05),
    (0.01, 87.52, 86.40, 0.35, 0.35, 87.61),
    (0.01, 87.52, 67.20, 0.09, 0.35, 72.04),
    (0.01, 87.52, 86.40, 0.35, 0.17, 87.47),
    (0.40, 0.24, 1.60, 0.06, 0.00, 1.71),
    (0.80, 1.56, 16.80, 0.40, 0.00, 14.72),
    (4.90, 1.22, 78.40, 0.31, 0.00, 67.14),
]


@pytest.mark.parametrize("row", PRINTED)
def test_core_budget_gives_the_printed_total(row):
    part = facts.L2_PART_WORDS.count
    axons, synapses, axon_map, memory = (
        round(share / 100 * part) for share in (row[0], row[2], row[3], row[4])
    )
    use = loihi2.CoreUse(
        cores=1,
        tile=(1, 1, 1),
        neurons=round(row[1] / 100 * facts.L2_NEURONS.count),
        synapse_words=synapses,
        axons_in=axons,
        axon_map=axon_map,
        axon_memory=memory,
    )
    # Five printed shares are rounded to 0.01 % of up to 16,000: 0.8 words each.
    assert use.words / facts.L2_CORE_WORDS.count * 100 == pytest.approx(
        row[5], abs=5 * 0.8 / 200 + 0.005
    )


# PilotNet's printed synapse words per layer: kernel 3x3, printed channels of a tile.
@pytest.mark.parametrize(
    ("inputs", "channels", "printed"),
    [(3, 24, 81), (24, 36, 864), (36, 48, 1620), (48, 64, 2592), (64, 64, 2880)],
)
def test_eight_bits_bound_every_printed_kernel(inputs, channels, printed):
    link = Link(
        source="input",
        source_shape=(inputs, 9, 9),
        shape=(channels, 7, 7),
        kernel=(3, 3),
    )
    assert printed <= kernel_words(link, channels, 8) <= 2 * printed


def test_a_core_holds_4095_neurons():
    # 64 channels on 8x8 are 4,096 neurons: PilotNet's 20x2x64 layer shows it too.
    shape = (64, 8, 8)
    link = Link(source="input", source_shape=shape, shape=shape, kernel=(1, 1))
    layer = LayerStructure(name="a", shape=shape, links=(link,))
    assert cores(Structure((layer,))) == [2]


def test_more_inputs_than_a_core_has_words():
    link = Link(
        source="input",
        source_shape=(20000, 1, 1),
        shape=(2, 1, 1),
        kernel=(1, 1),
    )
    layer = LayerStructure(name="a", shape=(2, 1, 1), links=(link,))
    with pytest.raises(
        RangeError,
        match="layer 'a': no tile fits a core; one neuron needs 20000 synapse words, "
        "16000 allowed",
    ):
        partition(Structure((layer,)), GRADED)


def test_parallel_if_multiplies_neurons_and_shares_the_kernel():
    shape = (16, 32, 32)
    link = Link(
        source="input",
        source_shape=shape,
        shape=shape,
        kernel=(3, 3),
        padding=(1, 1),
    )
    structure = Structure((LayerStructure(name="a", shape=shape, links=(link,)),))
    graded = partition(structure, GRADED)["a"]
    parallel = partition(structure, Mapping(name="parallel-if", num_thresholds=4))["a"]
    assert graded.neurons * graded.cores == 16 * 32 * 32
    assert parallel.neurons * parallel.cores == 15 * 16 * 32 * 32
    assert parallel.synapse_words == graded.synapse_words == 16 * 9 * 3
    binary = partition(structure, Mapping(name="binary-if", num_thresholds=4))["a"]
    assert binary.synapse_words == 4 * graded.synapse_words


def test_unknown_mapping():
    allowed = "graded, parallel-if, binary-if are allowed"
    with pytest.raises(NetworkError, match=f"mapping 'if': {allowed}"):
        Mapping(name="if", num_thresholds=4)


def test_rules_differ_in_synapse_memory():
    assert (NEWER.synapse_words, OLDER.synapse_words) == (16000, 12000)
