# SPDX-License-Identifier: BSD-3-Clause
"""What the torch backend's exactness rests on."""

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import runs

from export.compartment import Accumulator, Bias
from export.fit.bounds import potential_bounds
from export.network import Connection, Input, Layer, Network
from export.synapse import Conv
from sim.backend import BackendError, OverflowLayerError, create
from sim.reference import synapse
from sim.reference.simulator import mtif_step
from sim.selftest import small_network
from sim.torch import exact as torch_exact
from sim.torch import int8 as torch_int8
from sim.torch import synapse as torch_synapse
from sim.torch import window as torch_window
from sim.torch.compartment import Firing, Potential, reciprocal_is_exact
from sim.torch.plan import prepare_network
from sim.torch.simulator import TorchSimulator
from sim.verify.comparison import compare

CPU = torch.device("cpu")


def test_dtype_follows_the_bound():
    assert torch_exact.float_dtype(2**24 - 1, "x") == torch.float32
    assert torch_exact.float_dtype(2**24, "x") == torch.float64
    with pytest.raises(BackendError, match=r"layer 'a': bound \d+ of the sums >= 2"):
        torch_exact.float_dtype(2**53, "layer 'a'")


def test_dtype_of_a_connection():
    connection = small_network().layers[0].connections[0]
    bound = int(connection.synapse.absolute_sum().max()) // 2
    largest = (2**24 - 1) // bound
    assert torch_exact.conv_dtype(connection, largest) == torch.float32
    assert torch_exact.conv_dtype(connection, largest + 1) == torch.float64
    with pytest.raises(BackendError, match="connection from 'input': bound"):
        torch_exact.conv_dtype(connection, 2**53)


def test_lower_precision_is_refused():
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(BackendError, match="'medium' found, 'highest' needed"):
            create("torch").run(small_network(), np.zeros((1, 1, 8, 8), int))
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.skipif(
    not hasattr(torch.backends.mkldnn, "conv"), reason="switches of newer torch"
)
@pytest.mark.parametrize(
    ("library", "operation", "value"),
    [
        ("mkldnn", "conv", "bf16"),
        ("mkldnn", "matmul", "bf16"),
        ("cuda", "matmul", "tf32"),
    ],
)
def test_lower_precision_of_one_operation_is_refused(library, operation, value):
    switch = getattr(getattr(torch.backends, library), operation)
    before = switch.fp32_precision
    switch.fp32_precision = value
    message = rf"'{value}' found, 'ieee' needed \(torch.backends.{library}.{operation}."
    try:
        with pytest.raises(BackendError, match=message):
            create("torch").run(small_network(), np.zeros((1, 1, 8, 8), int))
    finally:
        switch.fp32_precision = before


def test_onednn_switched_off_is_refused():
    network, images = small_network(), np.zeros((1, 1, 8, 8), int)
    off = pytest.raises(BackendError, match="oneDNN is missing or switched off")
    with torch.backends.mkldnn.flags(enabled=False), off:
        create("torch").run(network, images)


@contextlib.contextmanager
def fresh_self_test():
    torch_int8.has_onednn_int8.cache_clear()
    try:
        yield
    finally:
        torch_int8.has_onednn_int8.cache_clear()


def test_int8_convolution_that_saturates_is_an_error(monkeypatch):
    """What vpmaddubsw would do to payloads beyond 127, played by a wrong class."""

    class Saturating(torch_int8.OneDnnConv):
        def __call__(self, payload):
            return super().__call__(payload).clamp(-(2**15), 2**15 - 1)

    if not torch_int8.has_onednn_int8():
        pytest.skip("no int8 convolution on this processor")
    with fresh_self_test():
        monkeypatch.setattr(torch_int8, "OneDnnConv", Saturating)
        with pytest.raises(
            BackendError, match=r"int8 convolution of torch .* not exact"
        ):
            torch_int8.has_onednn_int8()


def test_missing_int8_convolution_means_float32(monkeypatch):
    class Missing:
        def __init__(self, *_):
            raise RuntimeError("no such operator")

    network, images = small_network(), np.full((1, 1, 8, 8), 300)
    with fresh_self_test():
        monkeypatch.setattr(torch_int8, "OneDnnConv", Missing)
        run = create("torch").run(network, images)
    assert compare(run, create("reference").run(network, images)).identical


def test_int8_at_its_limits():
    """Largest payload 127, extreme levels, and a fan-in just below 2**24."""
    fan_in = 2**24 // (128 * 127) // 9
    source = Input(shape=(fan_in, 4, 5), minimum=0, maximum=127, scale=1.0)
    weight = np.full((3, fan_in, 3, 3), -256)
    weight[1], weight[2, ::2] = 254, 254
    layer = Layer(
        name="a",
        shape=(3, 4, 5),
        connections=(
            Connection(source="input", synapse=Conv(weight=weight, padding=(1, 1))),
        ),
        compartment=Accumulator(bias=Bias(mant=np.array([1, -1, 3]))),
        scale=1.0,
    )
    network = Network(input=source, layers=(layer,), num_steps=1, task="test")
    assert torch_synapse.int8_fits(layer.connections[0], 127, signed=False)
    assert not torch_synapse.int8_fits(layer.connections[0], 128, signed=False)
    assert not torch_synapse.int8_fits(layer.connections[0], 127, signed=True)
    images = np.random.default_rng(0).integers(0, 16, (1, *source.shape))
    images[0, :, 1, 1] = 127
    run = create("torch").run(network, images)
    assert compare(run, create("reference").run(network, images)).identical


@given(
    v=st.integers(-(2**23), 2**23 - 1),
    theta=st.integers(1, 131071),
    num_thresholds=st.integers(1, 16),
)
@example(v=15 * 131071, theta=131071, num_thresholds=4)
@example(v=15 * 131071 - 1, theta=131071, num_thresholds=4)
@example(v=31 * 131071 - 1, theta=131071, num_thresholds=5)
def test_closed_form_equals_compare_and_subtract(v, theta, num_thresholds):
    exact = reciprocal_is_exact(theta, num_thresholds)
    potential = Potential(
        "a",
        (1, 1),
        firing=Firing(
            theta=torch.tensor([theta], dtype=torch.float64),
            maximum=2**num_thresholds - 1,
        ),
        dtype=torch.float32 if exact else torch.float64,
        device=CPU,
        check=True,
        last=1,
        tell=True,
    )
    payload = torch.empty((1, 1, 1), dtype=torch.int32)
    potential.run(torch.full((1, 1, 1), float(v)), range(1), payload)
    left, expected = mtif_step(np.array([v]), np.array([theta]), num_thresholds)
    assert payload.item() == expected[0]
    assert potential.accumulated().item() == left[0]


def test_closed_form_at_every_multiple():
    """Around all multiples of thresholds at the edge of what float32 can do."""
    for theta in (1, 2, 3, 7, 1000, 4093, 131071, 2**17 - 2):
        num_thresholds = max(n for n in range(1, 17) if reciprocal_is_exact(theta, n))
        maximum = 2**num_thresholds - 1
        multiples = np.arange(maximum + 3)[:, None] * theta + [-1, 0, 1]
        v = multiples[np.abs(multiples) < 2**23]
        potential = Potential(
            "a",
            (len(v), 1),
            firing=Firing(theta=torch.tensor([float(theta)]), maximum=maximum),
            dtype=torch.float32,
            device=CPU,
            check=True,
            last=1,
            tell=True,
        )
        payload = torch.empty((1, len(v), 1), dtype=torch.int32)
        potential.run(torch.from_numpy(v)[None, :, None].float(), range(1), payload)
        left, expected = mtif_step(v, np.array([theta]), num_thresholds)
        np.testing.assert_array_equal(payload.flatten(), expected)
        np.testing.assert_array_equal(potential.accumulated().flatten(), left)


@pytest.mark.parametrize("before", [-(2**23), 0, 2**23 - 1])
@pytest.mark.parametrize("drive", [-1, 0, 1])
def test_check_at_the_edge_of_24_bits(before, drive):
    potential = Potential(
        *("a", (1, 1)),
        firing=None,
        dtype=torch.float32,
        device=CPU,
        check=True,
        last=1,
        tell=True,
    )
    potential.run(torch.full((1, 1, 1), float(before)), range(1), None)
    total = before + drive
    if -(2**23) <= total < 2**23:
        potential.run(torch.full((1, 1, 1), float(drive)), range(1, 2), None)
        assert potential.accumulated().item() == total
    else:
        with pytest.raises(OverflowLayerError, match=rf"step 1: potential {total} out"):
            potential.run(torch.full((1, 1, 1), float(drive)), range(1, 2), None)


def test_bounds_count_the_silence_of_the_padding():
    """A corner misses most taps of a payload that is never below 100."""
    weight = np.full((1, 1, 3, 3), 254)
    weight[0, 0, 0, 0] = -254
    layer = Layer(
        name="a",
        shape=(1, 4, 4),
        connections=(
            Connection(source="input", synapse=Conv(weight=weight, padding=(2, 2))),
        ),
        compartment=Accumulator(bias=Bias(mant=np.array([0]))),
        scale=1.0,
    )
    source = Input(shape=(1, 2, 2), minimum=100, maximum=200, scale=1.0)
    network = Network(input=source, layers=(layer,), num_steps=3, task="test")
    images = np.full((1, 1, 2, 2), 200)
    output = create("reference").run(network, images).output
    low, high = potential_bounds(layer, network)
    assert low <= output.min() < 0 < output.max() <= high
    assert compare(
        create("torch").run(network, images), create("reference").run(network, images)
    ).identical


def test_a_trained_like_network_needs_few_checks():
    prepared = prepare_network(small_network(), CPU)
    assert not any(layer.check for layer in prepared)
    assert all(layer.dtype == torch.float32 for layer in prepared)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batch_of_images_and_blocks_of_steps(batch, monkeypatch):
    """Neither how many images run together nor how many steps changes anything."""
    monkeypatch.setattr("sim.torch.window.BLOCK", 300)
    monkeypatch.setattr("sim.torch.compartment.TILE", 64)
    network = small_network(num_steps=5, size=(8, 12))
    images = np.random.default_rng(1).integers(-256, 512, (5, 1, 8, 12))
    run = TorchSimulator(batch=batch).run(network, images)
    assert compare(run, create("reference").run(network, images)).identical


def strict_int_mm(a, b):
    """``torch._int_mm`` with CUDA's demands (at::native, Blas.cpp: _int_mm_cuda)."""
    assert a.dtype == b.dtype == torch.int8
    assert a.shape[0] > 16
    assert a.shape[1] % 8 == b.shape[1] % 8 == 0
    assert a.is_contiguous()
    assert b.is_contiguous()
    return a.int() @ b.int()


@pytest.fixture(scope="module")
def as_on_cuda():
    """Everything that a GPU would do, on the CPU: kernels, batch, blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "_int_mm", strict_int_mm)
        patch.setattr("sim.torch.synapse.int8_kernel", lambda _: "matmul")
        patch.setattr("sim.torch.plan.prepare_counting", lambda *_: None)
        patch.setattr("sim.torch.window.BLOCK", torch_window.BLOCK_CUDA)
        patch.setattr("sim.torch.compartment.TILE", 2**40)
        yield TorchSimulator(batch=8)


@pytest.mark.skipif(torch.__version__ < "2.4", reason="not on CPUs before torch 2.4")
@pytest.mark.parametrize("shape", [(17, 8, 8), (40, 576, 64), (100, 1152, 24)])
def test_torchs_own_product_is_the_strict_one(shape):
    rows, inner, columns = shape
    random = torch.Generator().manual_seed(0)
    a = torch.randint(0, 128, (rows, inner), generator=random).to(torch.int8)
    b = torch.randint(-128, 128, (inner, columns), generator=random).to(torch.int8)
    a[0], b[:, 0] = 127, -128
    assert torch.equal(torch._int_mm(a, b), strict_int_mm(a, b))


@given(runs())
def test_the_path_of_cuda_equals_the_reference(as_on_cuda, run):
    network, images = run
    try:
        judge = create("reference").run(network, images)
    except OverflowLayerError:
        with pytest.raises(OverflowLayerError):
            as_on_cuda.run(network, images)
        return
    assert compare(judge, as_on_cuda.run(network, images)).identical


@pytest.mark.parametrize("count", [1, 7, 8, 9, 17])
def test_batches_of_the_path_of_cuda(as_on_cuda, count):
    network = small_network(num_steps=3, channels=5)
    images = np.random.default_rng(count).integers(-256, 512, (count, 1, 8, 8))
    run = as_on_cuda.run(network, images)
    assert compare(run, create("reference").run(network, images)).identical


def test_the_path_of_cuda_takes_the_integer_product(as_on_cuda, monkeypatch):
    """Else the tests above would compare floating point with itself."""
    calls = []

    def counting(a, b):
        calls.append(tuple(a.shape))
        return strict_int_mm(a, b)

    monkeypatch.setattr(torch, "_int_mm", counting)
    as_on_cuda.run(small_network(num_steps=2), np.zeros((8, 1, 8, 8), int))
    assert len(calls) >= 3


@given(runs())
def test_integer_matrix_products_equal_the_reference(as_on_cuda, run):
    """The synapses of the CUDA path, with every payload that int8 holds."""
    network, _ = run
    rng = np.random.default_rng(0)
    for layer in network.layers:
        for c in layer.connections:
            shape = network.nodes[c.source].shape
            payload = rng.integers(0, 128, (2, *shape))
            conv, phases = torch_synapse.as_convolution(c.synapse, shape)
            if conv.groups > 1:
                continue
            bias = torch.arange(len(conv.weight)).float()
            sums = torch_synapse.MatmulConv(conv, 2 << c.weight_exp, bias, CPU)
            last = torch.channels_last
            x = torch.from_numpy(payload).to(torch.uint8)
            found = sums(x.contiguous(memory_format=last)) - bias[:, None, None]
            found = found if phases is None else phases(found)
            for index in range(2):
                expected = synapse.apply(c.synapse, payload[index]) << c.weight_exp
                np.testing.assert_array_equal(found[index], expected)
