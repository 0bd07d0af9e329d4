# SPDX-License-Identifier: BSD-3-Clause
"""Every hardware number: once, named, with source and confidence.

A `Limit` is a range of integers that a chip, or Lava's model of it, can hold: no
Network exceeds it, whatever the chip. A `Fact` is one number of a chip, which fitting
uses; its name says which chip.

Confidence is about the number: ``high`` (stated by the publisher or in source code,
or reproduced by several independent texts), ``medium`` (one text, or inferred and
reproduced in sample), ``low`` (an estimate).
"""

from __future__ import annotations

from dataclasses import dataclass

DAVIES_2018 = "Davies et al. 2018, doi:10.1109/MM.2018.112130359"
FRADY_2020 = "Frady et al. 2020, doi:10.1145/3381755.3398695"
INTEL_2021 = "Intel technology brief, Loihi 2, 2021"
INTEL_2024 = "Intel newsroom, Hala Point, April 2024"
NXTF = "NxTF, arXiv:2101.04261, nxsdk_modules_ncl/dnn/src, intel-nrc-ecosystem 3dc53bf"
NXTF_RUNS = "NxTF tutorial notebooks, intel-nrc-ecosystem 3dc53bf"
SANA_FE = "SANA-FE arch/loihi.yaml 8951ab07, doi:10.1109/TCAD.2025.3537971"
LAVA_LIF = "lava-nc 0.10.0, lava.proc.lif.models"
LAVA_SDN = "lava-nc 0.10.0, lava.proc.sdn.models"
LAVA_CONV = "lava-nc 0.10.0, lava.proc.conv.models"
LAVA_DENSE = "lava-nc 0.10.0, lava.proc.dense.models"
NETX = "lava-dl 0.6.0, lava.lib.dl.netx"
NETX_RUNS = "lava-dl 0.6.0, tutorials/lava/lib/dl/netx notebooks"
INFERRED = f"inferred from compiler tables printed in {NETX_RUNS}"


@dataclass(frozen=True, kw_only=True)
class IntRange:
    """Closed interval of integers.

    Parameters
    ----------
    minimum, maximum : int
        Smallest and largest allowed value.
    """

    minimum: int
    maximum: int

    def contains(self, low: int, high: int) -> bool:
        """Whether ``low`` and ``high`` both lie in the interval."""
        return self.minimum <= low and high <= self.maximum

    def __str__(self) -> str:
        return f"{self.minimum}..{self.maximum}"


@dataclass(frozen=True, kw_only=True)
class Limit(IntRange):
    """Integers that the hardware can hold.

    Parameters
    ----------
    unit : str
        What the integers are.
    source : str
        Where the range was published.
    confidence : str
        ``high``, ``medium`` or ``low``.
    """

    unit: str
    source: str
    confidence: str = "high"


@dataclass(frozen=True)
class Fact:
    """One number about a chip.

    Parameters
    ----------
    value : float
        The number.
    unit : str
        Its unit.
    source : str
        Where it was published, or how it was inferred.
    confidence : str
        ``high``, ``medium`` or ``low``.
    """

    value: float
    unit: str
    source: str
    confidence: str

    @property
    def count(self) -> int:
        """The value as an integer."""
        return int(self.value)


def _signed(bits: int, unit: str, source: str) -> Limit:
    """Two's complement of so many bits."""
    return Limit(
        minimum=-(1 << bits - 1),
        maximum=(1 << bits - 1) - 1,
        unit=unit,
        source=source,
    )


# --- Both chips: what a Network holds ----------------------------------------------
# The mixed-sign synapse of 8 bits has no low bit, so mantissas are twice the levels.
WEIGHT_BITS = Fact(
    8, "bits per weight", f"{NETX}.utils.optimize_weight_bits; {NXTF}", "high"
)
WEIGHT_LEVEL = _signed(
    WEIGHT_BITS.count, "weight levels", f"{NETX}.utils.optimize_weight_bits"
)
WEIGHT_MANT = Limit(
    minimum=2 * WEIGHT_LEVEL.minimum,
    maximum=2 * WEIGHT_LEVEL.maximum,
    unit="weight mantissas, even",
    source=WEIGHT_LEVEL.source,
)
# 4 bits signed on Loihi 1; only left shifts are exact, so only those are used.
WEIGHT_EXP = Limit(
    minimum=0, maximum=7, unit="weight exponents", source=f"{LAVA_DENSE}; {NXTF}"
)
BIAS_MANT = _signed(13, "bias mantissas", LAVA_LIF)
BIAS_EXP = Limit(minimum=0, maximum=7, unit="bias exponents", source=LAVA_LIF)
VTH_MANT = Limit(
    minimum=1, maximum=(1 << 17) - 1, unit="threshold mantissas", source=LAVA_LIF
)
STATE = _signed(24, "current, potential", LAVA_LIF)
DELAY = Limit(
    minimum=0, maximum=62, unit="time steps", source=f"{NETX}.hdf5, create_dense"
)
# A graded spike as Lava exposes it; the chip's own limit is L2_PAYLOAD_BITS.
PAYLOAD = _signed(24, "graded spikes", LAVA_CONV)
# 12 bits, and ds_offset adds 1.
DECAY = Limit(minimum=0, maximum=1 << 12, unit="1/4096 per step", source=LAVA_LIF)
# Above the 17-bit register lies "never": netx's default is ``1 << 18 - 1``, which is
# 2**17, and slayer's Affine writes ``(1 << 18) - 1``. v of 24 bits exceeds neither.
CUBA_VTH = Limit(
    minimum=0,
    maximum=(1 << 18) - 1,
    unit="threshold mantissas",
    source=f"{NETX}.hdf5; slayer.block.base.AbstractAffine",
)
SPIKE_EXP = Limit(minimum=0, maximum=7, unit="fraction bits", source=LAVA_SDN)
WORD_BITS = Fact(64, "bits per word of a core's memory", DAVIES_2018, "high")

# --- Loihi 1: capacity -------------------------------------------------------------
#: What the names of a chip's own numbers begin with.
PREFIXES = {"loihi1": "L1_", "loihi2": "L2_"}

L1_CORES = Fact(128, "cores per chip", DAVIES_2018, "high")
L1_COMPARTMENTS = Fact(1024, "compartments per core", DAVIES_2018, "high")
L1_SYNAPSE_WORDS = Fact(16384, "64-bit words per core", DAVIES_2018, "high")
L1_AXONS_IN = Fact(4096, "input axons per core", DAVIES_2018, "high")
L1_AXONS_OUT = Fact(4096, "output axons per core", DAVIES_2018, "high")
L1_WORDS_PER_AXON = Fact(256, "64-bit words per input axon", NXTF, "high")
L1_SYNAPSES_PER_ENTRY = Fact(60, "synapses per entry", NXTF, "high")
L1_ENTRY_BITS = Fact(10, "prefix bits per synapse entry", NXTF, "high")
L1_INDEX_BITS = Fact(6, "bits per target index at least", NXTF, "high")
L1_PAYLOAD_BITS = Fact(1, "bits per spike", DAVIES_2018, "high")
L1_DELAY_BITS = Fact(3, "delay bits at 1,024 compartments", NXTF, "high")
L1_RESET_MANT = Fact(255, "largest mantissa of the reset synapse", NXTF, "high")
L1_RESET_COMPARTMENTS = Fact(2, "compartments per soft-reset neuron", NXTF, "high")

# --- Loihi 1: time and energy ------------------------------------------------------
L1_PJ_SYNAPSE = Fact(23.6, "pJ per synaptic operation", DAVIES_2018, "high")
L1_PJ_NEURON_ACTIVE = Fact(81, "pJ per active neuron update", DAVIES_2018, "high")
L1_PJ_NEURON_INACTIVE = Fact(52, "pJ per inactive neuron update", DAVIES_2018, "high")
L1_PJ_TILE = Fact(1.7, "pJ per spike within a tile", DAVIES_2018, "high")
L1_PJ_FIT_SYNAPSE_MIN = Fact(24.0, "pJ per synaptic operation", SANA_FE, "medium")
L1_PJ_FIT_SYNAPSE_MAX = Fact(35.5, "pJ per synaptic operation", SANA_FE, "medium")
L1_PJ_FIT_INACTIVE = Fact(51.2, "pJ per inactive neuron", SANA_FE, "medium")
L1_PJ_FIT_ACTIVE = Fact(51.2 + 21.6, "pJ per active neuron", SANA_FE, "medium")
L1_PJ_FIT_SPIKE = Fact(69.3, "pJ per spike of a neuron", SANA_FE, "medium")
L1_PJ_FIT_MESSAGE = Fact(111, "pJ per output-axon message", SANA_FE, "medium")
L1_PJ_FIT_HOP_EW = Fact(3.0, "pJ per east-west hop", SANA_FE, "medium")
L1_PJ_FIT_HOP_NS = Fact(4.2, "pJ per north-south hop", SANA_FE, "medium")
L1_HOPS_EW = Fact(7, "east-west hops across the mesh of 8 x 4 tiles", SANA_FE, "medium")
L1_HOPS_NS = Fact(3, "north-south hops across the mesh", SANA_FE, "medium")
L1_STATIC_MW = Fact(104, "mW static per chip", FRADY_2020, "high")
L1_X86_MW = Fact(65, "mW of the x86 cores per chip", FRADY_2020, "high")
L1_NS_SYNAPSE = Fact(3.5, "ns per synaptic operation", DAVIES_2018, "high")
L1_NS_NEURON = Fact(5.3, "ns per inactive neuron update", DAVIES_2018, "high")
L1_NS_BARRIER = Fact(113, "ns, shortest barrier of one chip", DAVIES_2018, "high")
L1_US_STEP_MEASURED_MIN = Fact(57.4, "us per step, MNIST network", NXTF_RUNS, "high")
L1_US_STEP_MEASURED_MAX = Fact(137.3, "us per step, CIFAR-10 net", NXTF_RUNS, "high")

# --- Loihi 2: capacity -------------------------------------------------------------
L2_CORES = Fact(120, "cores per chip (128 at most)", "several papers", "medium")
L2_CORE_WORDS = Fact(20000, "64-bit words per core, all uses", INFERRED, "medium")
L2_PART_WORDS = Fact(16000, "64-bit words per core and use", INFERRED, "medium")
L2_PART_WORDS_OLD = Fact(
    12000, "64-bit synapse words per core, older compiler", NETX_RUNS, "high"
)
L2_NEURONS = Fact(4095, "neurons per core", INFERRED, "medium")
L2_DENSE_INDEX_BITS = Fact(
    12, "index and delay bits, dense synapse", INFERRED, "medium"
)
L2_ENTRY_BITS = Fact(10, "bits per 60 synapses", INFERRED, "medium")
L2_ENTRY_SYNAPSES = Fact(60, "synapses per entry", INFERRED, "medium")
L2_CONV_AXONS_IN = Fact(2, "input axons per convolution and core", INFERRED, "medium")
L2_DELAY_BITS = Fact(6, "bits per delay", "lava-nc 0.10.0, DelayDense", "high")
L2_PAYLOAD_BITS = Fact(32, "bits per graded spike", INTEL_2021, "medium")

# --- Loihi 2: time and energy ------------------------------------------------------
L2_NS_STEP = Fact(200, "ns, shortest time step", INTEL_2021, "medium")
L2_US_STEP_PILOTNET = Fact(
    152.8, "us per step, PilotNet LIF on 74 cores", NETX_RUNS, "high"
)
L2_MJ_PILOTNET_DYNAMIC = Fact(
    1.094, "mJ dynamic per PilotNet LIF inference of 16 steps", NETX_RUNS, "high"
)
L2_MJ_PILOTNET_TOTAL = Fact(
    1.661, "mJ per PilotNet LIF inference of 16 steps", NETX_RUNS, "high"
)
L2_HOST_MESSAGES = Fact(
    160e6, "32-bit host messages per second", "arXiv:2503.18002", "medium"
)
L2_W_CHIP_MAX = Fact(2600 / 1152, "W per chip at most, whole system", INTEL_2024, "low")

# --- The paper's own formula -------------------------------------------------------
# The code multiplies so; the equation itself was not at hand.
PAPER = (
    "arXiv:2307.10974, eq. 13, as its authors compute it: SNNresearch/Spiking-UNet "
    "fcf4d378, snn/simulation/__init__.py"
)
PAPER_PJ_SPIKE = Fact(0.9, "pJ per emitted spike", PAPER, "medium")
PAPER_PJ_MAC = Fact(4.6, "pJ per multiply-accumulate", PAPER, "medium")
