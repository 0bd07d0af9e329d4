# SPDX-License-Identifier: BSD-3-Clause
"""The Lava runtime against the reference: all layers, all steps, and failures."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from multiprocessing import managers

import numpy as np
import pytest
import sweep_jobs

pytest.importorskip("lava.magma", reason="no Lava: loihi-unet setup-lava")

from lava.magma.core.process.process import ProcessServer
from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess
from lava.magma.runtime.message_infrastructure.shared_memory_manager import (
    SharedMemoryManager,
)
from lava.magma.runtime.runtime import Runtime

from export.compartment import MTIF, Accumulator, Bias
from export.network import Connection, Input, Layer, Network
from export.synapse import Conv
from sim.backend import BackendError, OverflowLayerError, create
from sim.lava.processes.layer import PyLayerModel
from sim.lava.simulator import LavaSimulator
from sim.reference.simulator import ReferenceSimulator
from sim.selftest import small_network
from sim.sweeps.sweep import sweep

pytestmark = pytest.mark.lava

BACKENDS = ["lava", "lava-stock"]


def images_for(network, count, seed=1):
    rng = np.random.default_rng(seed)
    low, high = network.input.minimum, network.input.maximum
    return rng.integers(low, high, (count, *network.input.shape), endpoint=True)


def differing(left, right):
    """Layers, in network order, whose payloads differ anywhere."""
    return [
        name
        for name in left.payloads
        if not np.array_equal(left.payloads[name], right.payloads[name])
    ]


def assert_equal(left, right):
    assert left.payloads.keys() == right.payloads.keys()
    assert differing(left, right) == []
    np.testing.assert_array_equal(left.output, right.output)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "arguments",
    [
        {"size": (8, 12), "num_steps": 3},
        {"size": (12, 4), "num_steps": 1, "seed": 1},
        {"size": (4, 6), "num_steps": 5, "num_thresholds": 1, "seed": 2},
        {"size": (4, 6), "num_thresholds": 10, "seed": 3},
    ],
    ids=["graded", "one-step", "binary", "wide"],
)
def test_stream_of_images_equals_reference(backend, arguments):
    network = small_network(**arguments)
    images = images_for(network, 3)
    expected = ReferenceSimulator().run(network, images)
    assert all(payload.any() for payload in expected.payloads.values())
    assert_equal(create(backend).run(network, images), expected)


def per_channel_network():
    """One threshold per channel, strided, dilated and grouped convolutions."""
    rng = np.random.default_rng(5)
    weight = 2 * rng.integers(-60, 60, (4, 2, 3, 2))
    return Network(
        input=Input(shape=(2, 11, 8), minimum=-50, maximum=255, scale=1.0),
        layers=(
            Layer(
                name="strided",
                shape=(4, 5, 4),
                connections=(
                    Connection(
                        source="input",
                        synapse=Conv(weight=weight, stride=(2, 2), padding=(0, 0)),
                        weight_exp=1,
                    ),
                ),
                compartment=MTIF(
                    vth_mant=np.array([1000, 3, 131071, 20000]),
                    num_thresholds=5,
                    bias=Bias(mant=np.array([1, -2, 4095, -4096]), exp=3),
                ),
                scale=1.0,
            ),
            Layer(
                name="out",
                shape=(2, 3, 2),
                connections=(
                    Connection(
                        source="strided",
                        synapse=Conv(weight=weight[:2], dilation=(1, 2), groups=2),
                    ),
                ),
                compartment=Accumulator(bias=Bias(mant=np.array([7, -9]))),
                scale=1.0,
            ),
        ),
        num_steps=4,
        task="denoise",
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_thresholds_per_channel_and_odd_convolutions(backend):
    network = per_channel_network()
    images = images_for(network, 2)
    expected = ReferenceSimulator().run(network, images)
    assert_equal(create(backend).run(network, images), expected)


def test_records_only_what_is_asked_and_reports_progress():
    network = small_network()
    images = images_for(network, 2)
    calls = []
    recording = LavaSimulator().run(
        network, images, layers=("mid",), progress=lambda *call: calls.append(call)
    )
    total = 2 * network.num_steps + network.stages["out"]
    assert calls[-1] == (total, total)
    assert calls == sorted(calls)
    assert list(recording.payloads) == ["mid"]
    assert recording.backend == "lava"
    assert recording.network_sha256 == network.sha256
    assert recording.versions.keys() == {"lava-nc", "numpy"}
    np.testing.assert_array_equal(
        recording.output, ReferenceSimulator().run(network, images).output
    )


def test_silence_and_repeated_messages_are_not_stale():
    # Messages repeat within a window and differ between windows, to and from 0.
    network = small_network(size=(4, 6), num_steps=4)
    images = images_for(network, 4)
    images[1] = 0
    images[2] = images[3]
    expected = ReferenceSimulator().run(network, images)
    assert_equal(LavaSimulator().run(network, images), expected)


def test_unknown_conv_is_refused():
    with pytest.raises(BackendError, match="conv 'slow': fast, stock are allowed"):
        LavaSimulator(conv="slow")


# A backend that computes something else must be found out, at the right layer.


def with_flipped_weight_bit(network):
    synapse = network.layers[0].connections[0].synapse
    weight = synapse.weight.copy()
    weight[0, 0, 1, 1] ^= 2
    object.__setattr__(synapse, "weight", weight)


def with_threshold_off_by_one(network):
    compartment = network.layers[2].compartment
    object.__setattr__(compartment, "vth_mant", compartment.vth_mant + 1)


def with_delay_off_by_one(network):
    skip = next(c for c in network.layers[4].connections if c.delay)
    object.__setattr__(skip, "delay", skip.delay - 1)


@pytest.mark.parametrize(
    ("spoil", "layer"),
    [
        (with_flipped_weight_bit, 0),
        (with_threshold_off_by_one, 2),
        (with_delay_off_by_one, 4),
    ],
)
def test_a_fault_shows_in_its_layer_first(spoil, layer):
    network = small_network(size=(8, 12))
    images = images_for(network, 2)
    spoilt = small_network(size=(8, 12))
    spoil(spoilt)
    expected = ReferenceSimulator().run(network, images)
    recording = LavaSimulator().run(spoilt, images)
    assert differing(recording, expected)[0] == network.layers[layer].name


# Overflow: the same error as the reference's, never a silent wrap.


def chain(first, second, *, bias=0, num_steps=6):
    """Two one-pixel layers; ``first`` and ``second`` are weight and exponent."""

    def connection(source, weight, weight_exp):
        synapse = Conv(weight=np.full((1, 1, 1, 1), weight))
        return Connection(source=source, synapse=synapse, weight_exp=weight_exp)

    return Network(
        input=Input(shape=(1, 1, 1), minimum=-(2**20), maximum=2**20, scale=1.0),
        layers=(
            Layer(
                name="first",
                shape=(1, 1, 1),
                connections=(connection("input", *first),),
                compartment=MTIF(
                    vth_mant=np.array([1]), num_thresholds=10, bias=Bias(mant=[bias])
                ),
                scale=1.0,
            ),
            Layer(
                name="out",
                shape=(1, 1, 1),
                connections=(connection("first", *second),),
                compartment=Accumulator(bias=Bias(mant=[0])),
                scale=1.0,
            ),
        ),
        num_steps=num_steps,
        task="denoise",
    )


@pytest.mark.parametrize(
    ("network", "pixels", "message"),
    [
        (chain((2, 0), (2, 0)), [3, 2**20], "layer 'first', step 4: potential"),
        (chain((2, 0), (2, 0)), [-(2**20)], "layer 'first', step 4: potential"),
        (chain((254, 0), (2, 0)), [5, 2**17], "step 0: input from 'input' 33292288"),
        (chain((2, 0), (254, 5)), [1, 511], "layer 'out', step 1: potential"),
    ],
    ids=["potential", "negative", "input", "accumulator"],
)
def test_overflow_is_the_reference_error(network, pixels, message):
    images = np.array(pixels).reshape(-1, 1, 1, 1)
    with pytest.raises(OverflowLayerError, match=message) as expected:
        ReferenceSimulator().run(network, images)
    with pytest.raises(OverflowLayerError) as found:
        LavaSimulator().run(network, images)
    assert str(found.value) == str(expected.value)


def test_overflow_after_the_last_window_does_not_count():
    # The bias alone would overflow one step after the only window has ended.
    network = chain((2, 0), (2, 0), bias=4095, num_steps=4)
    images = np.full((1, 1, 1, 1), 2**20 - 2048)
    expected = ReferenceSimulator().run(network, images)
    assert_equal(LavaSimulator().run(network, images), expected)


def test_stock_conv_is_refused_where_it_might_wrap():
    network = chain((254, 0), (2, 0))
    images = np.zeros((1, 1, 1, 1), dtype=int)
    with pytest.raises(BackendError, match=r"layer 'first' <- 'input': sums up to"):
        LavaSimulator(conv="stock").run(network, images)
    assert LavaSimulator().run(network, images).output.item() == 0


# Failures end the run with a reason and leave nothing.


@pytest.fixture
def segments(monkeypatch):
    """Names of all shared memory that Lava asks for."""
    names = []
    create_shared_memory = SharedMemoryManager.create_shared_memory

    def record(self, size):
        handle = create_shared_memory(self, size)
        names.append(handle.name)
        return handle

    monkeypatch.setattr(SharedMemoryManager, "create_shared_memory", record)
    return names


def assert_freed(segments):
    assert set(segments).isdisjoint(os.listdir("/dev/shm"))


@pytest.fixture
def nothing_left(tmp_path, monkeypatch, segments):
    """Fails the test if a run leaves processes, memory, files or handlers."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    handlers = list(logging.getLogger().handlers)
    known = len(ProcessServer().processes)
    interrupt = signal.getsignal(signal.SIGINT)
    yield
    assert multiprocessing.active_children() == []
    assert_freed(segments)
    assert list(tmp_path.iterdir()) == []
    assert logging.getLogger().handlers == handlers
    assert len(ProcessServer().processes) == known
    assert signal.getsignal(signal.SIGINT) is interrupt


@pytest.mark.usefixtures("nothing_left")
def test_a_run_leaves_nothing(segments):
    network = small_network()
    LavaSimulator().run(network, images_for(network, 1))
    assert segments


@pytest.mark.usefixtures("nothing_left")
def test_a_failing_model_gives_its_traceback(monkeypatch):
    def fail(self, window, step):
        raise RuntimeError("no such compartment")

    monkeypatch.setattr(PyLayerModel, "_integrate", fail)
    network = small_network()
    with pytest.raises(BackendError, match=r"(?s)Traceback.*no such compartment"):
        LavaSimulator().run(network, images_for(network, 1))


@pytest.mark.usefixtures("nothing_left")
def test_a_model_that_cannot_be_made_gives_its_error(monkeypatch):
    def fail(self, proc_params):
        raise RuntimeError("no such model")

    monkeypatch.setattr(PyLayerModel, "__init__", fail)
    network = small_network()
    with pytest.raises(BackendError, match="no such model"):
        LavaSimulator().run(network, images_for(network, 1))


class KillOnce:
    """Progress callback that kills one of the run's processes."""

    def __init__(self, kind):
        self.kind = kind
        self.victim = None

    def __call__(self, done, total):
        if self.victim is None:
            self.victim = next(
                child
                for child in multiprocessing.active_children()
                if isinstance(child, SystemProcess) == (self.kind == "actor")
            )
            os.kill(self.victim.pid, signal.SIGKILL)


KILLED = r"Lava process '.*' was killed by signal 9"


@pytest.mark.usefixtures("nothing_left")
def test_a_process_killed_while_running_ends_the_run():
    network = small_network(num_steps=60)
    with pytest.raises(BackendError, match=KILLED):
        LavaSimulator().run(network, images_for(network, 5), progress=KillOnce("actor"))


@pytest.mark.usefixtures("nothing_left")
def test_a_process_killed_while_starting_ends_the_run(monkeypatch):
    def die(self, proc_params):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(PyLayerModel, "__init__", die)
    network = small_network()
    with pytest.raises(BackendError, match=KILLED):
        LavaSimulator().run(network, images_for(network, 1))


def test_shared_memory_is_freed_when_its_manager_was_killed(segments):
    network = small_network()
    images = images_for(network, 1)
    kill = KillOnce("manager")
    recording = LavaSimulator().run(network, images, progress=kill)
    assert kill.victim is not None
    assert segments
    assert_freed(segments)
    assert_equal(recording, ReferenceSimulator().run(network, images))


@pytest.mark.parametrize("moment", ["__init__", "serve_forever", "track_segment"])
def test_a_manager_killed_while_starting_ends_the_run(monkeypatch, segments, moment):
    def die(self, *arguments, **options):
        os.kill(os.getpid(), signal.SIGKILL)

    # Before it says where it is, before it answers, at the first segment.
    monkeypatch.setattr(managers.SharedMemoryServer, moment, die)
    network = small_network()
    with pytest.raises(BackendError, match="memory manager was killed by signal 9"):
        LavaSimulator().run(network, images_for(network, 1))
    assert multiprocessing.active_children() == []
    assert_freed(segments)


@pytest.mark.usefixtures("nothing_left")
def test_an_interrupt_ends_the_run():
    network = small_network(num_steps=60)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LavaSimulator().run(network, images_for(network, 5), progress=interrupt)


def test_lava_starts_in_a_spawned_process():
    """Python tells spawned processes how to start others, and Lava insists too."""
    items = {"a": "lava", "b": "lava"}
    outputs = sweep(sweep_jobs.run_small_network, items, workers=2)
    expected = sweep_jobs.run_small_network("reference")
    for output in outputs.values():
        np.testing.assert_array_equal(output, expected)


def test_a_process_that_may_not_start_others(monkeypatch):
    process = multiprocessing.current_process()
    monkeypatch.setitem(process._config, "daemon", True)
    with pytest.raises(BackendError, match="DASK_DISTRIBUTED__WORKER__DAEMON=False"):
        create("lava").run(small_network(), np.zeros((1, 1, 8, 8), int))


@pytest.mark.usefixtures("nothing_left")
def test_an_interrupt_while_starting_is_not_lost(monkeypatch):
    build = Runtime._build_runtime_services

    def interrupt(self):
        os.kill(os.getpid(), signal.SIGINT)
        build(self)

    monkeypatch.setattr(Runtime, "_build_runtime_services", interrupt)
    network = small_network()
    with pytest.raises(KeyboardInterrupt):
        LavaSimulator().run(network, images_for(network, 1))


def test_runs_where_processes_were_started_before():
    code = (
        "import multiprocessing; multiprocessing.Queue(); "
        "from sim.backend import create; from sim.selftest import small_network; "
        "import numpy as np; "
        "create('lava').run(small_network(), np.zeros((1, 1, 8, 8), int))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
