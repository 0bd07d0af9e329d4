# SPDX-License-Identifier: BSD-3-Clause
"""Whatever torch is set to: the same integers, or one line that refuses."""

import contextlib
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from sim.backend import BackendError, create
from sim.selftest import small_network
from sim.verify.comparison import compare


@contextlib.contextmanager
def attribute(place, name, value):
    """Another value of an attribute, for a while."""
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


@contextlib.contextmanager
def called(function, value, before):
    function(value)
    try:
        yield
    finally:
        function(before)


@contextlib.contextmanager
def unset(place, value):
    """A precision of torch 2.9's interface, given back to its parent afterwards."""
    before = place.fp32_precision
    place.fp32_precision = value
    try:
        yield
    finally:
        place.fp32_precision = before


BACKENDS = torch.backends
SETTINGS = {
    **{
        f"autocast {device} {dtype}": lambda device=device, dtype=dtype: torch.autocast(
            device, dtype=dtype
        )
        for device in ("cpu", "cuda")
        for dtype in (torch.bfloat16, torch.float16)
        if device == "cpu" or torch.cuda.is_available()
    },
    **{
        f"default dtype {dtype}": lambda dtype=dtype: called(
            torch.set_default_dtype, dtype, torch.float32
        )
        for dtype in (torch.float64, torch.bfloat16, torch.float16)
    },
    "default device meta": lambda: called(torch.set_default_device, "meta", None),
    "device meta as a context": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "enable_grad": torch.enable_grad,
    "inference_mode": torch.inference_mode,
    "no inference_mode": lambda: torch.inference_mode(False),
    "detect_anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    **{
        f"matmul precision {name}": lambda name=name: called(
            torch.set_float32_matmul_precision, name, "highest"
        )
        for name in ("high", "medium")
    },
    "allow_tf32 of matmul": lambda: attribute(BACKENDS.cuda.matmul, "allow_tf32", True),
    "allow_tf32 of cuDNN": lambda: attribute(BACKENDS.cudnn, "allow_tf32", True),
    "reduced precision of fp16": lambda: attribute(
        BACKENDS.cuda.matmul, "allow_fp16_reduced_precision_reduction", True
    ),
    "oneDNN off": lambda: BACKENDS.mkldnn.flags(enabled=False),
    "NNPACK on": lambda: BACKENDS.nnpack.flags(enabled=True),
    "cuDNN tries": lambda: BACKENDS.cudnn.flags(enabled=True, benchmark=True),
    "deterministic": lambda: called(torch.use_deterministic_algorithms, True, False),
    "denormals flushed": lambda: called(torch.set_flush_denormal, True, False),
    **{
        f"{count} threads": lambda count=count: called(
            torch.set_num_threads, count, torch.get_num_threads()
        )
        for count in (1, 2, 5)
    },
    **{
        f"quantised engine {name}": lambda name=name: attribute(
            BACKENDS.quantized, "engine", name
        )
        for name in BACKENDS.quantized.supported_engines
    },
}
if hasattr(BACKENDS.mkldnn, "conv"):  # torch 2.9
    PLACES = {
        "everything": BACKENDS,
        "oneDNN": BACKENDS.mkldnn,
        "oneDNN's convolution": BACKENDS.mkldnn.conv,
        "oneDNN's matmul": BACKENDS.mkldnn.matmul,
        "cuDNN": BACKENDS.cudnn,
        "cuBLAS": BACKENDS.cuda.matmul,
    }
    SETTINGS |= {
        f"fp32_precision {value} of {name}": lambda place=place, value=value: unset(
            place, value
        )
        for name, place in PLACES.items()
        for value in ("tf32", "bf16", "ieee")
        if not (value == "bf16" and name in ("cuDNN", "cuBLAS"))
    }

NETWORK = small_network(num_steps=4, size=(16, 16), channels=5, num_thresholds=8)
IMAGES = np.random.default_rng(0).integers(-256, 512, (2, 1, 16, 16))


@pytest.fixture(scope="module")
def expected():
    return create("reference").run(NETWORK, IMAGES)


@contextlib.contextmanager
def one_line():
    """Refusals are of one line; anything else is a failure."""
    refusal = "backend 'torch': "
    try:
        yield
    except BackendError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert refusal.startswith("backend 'torch': ")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SETTINGS)
def test_same_integers_or_one_line(name, expected):
    with SETTINGS[name](), one_line():
        # A backend of before, and one that prepares the network within the setting.
        for simulator in (READY, create("torch")):
            run = simulator.run(NETWORK, IMAGES)
            assert compare(run, expected).identical


READY = create("torch")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_is_left_and_comes_back(dtype, expected):
    """A convolution of the caller's own does change; ours does not."""
    x, weight = torch.full((1, 1, 1, 1), 257.0), torch.ones(1, 1, 1, 1)
    with torch.autocast("cpu", dtype=dtype):
        try:
            changed = functional.conv2d(x, weight).dtype
        except RuntimeError:
            pytest.skip("no such convolution on this processor")
        assert changed == dtype
        assert compare(create("torch").run(NETWORK, IMAGES), expected).identical
        assert functional.conv2d(x, weight).dtype == dtype


def test_a_mode_that_gives_no_numbers_is_refused():
    fake = pytest.importorskip("torch._subclasses.fake_tensor").FakeTensorMode
    with fake(), pytest.raises(BackendError, match="a mode of torch gives FakeTensor"):
        create("torch").run(NETWORK, IMAGES)


CHILD = """
import hashlib, numpy as np
from sim.backend import BackendError, create
from sim.selftest import small_network
network = small_network(num_steps=4, size=(16, 16), channels=5, num_thresholds=8)
images = np.random.default_rng(0).integers(-256, 512, (2, 1, 16, 16))
try:
    run = create("torch").run(network, images)
except BackendError as error:
    print("refused", error)
else:
    digest = hashlib.sha256(run.output.astype(np.int64).tobytes())
    for name in sorted(run.payloads):
        digest.update(run.payloads[name].astype(np.int64).tobytes())
    print(digest.hexdigest())
"""


@pytest.mark.parametrize(
    "environment",
    [
        {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
        {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
        {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_CBWR": "COMPATIBLE"},
        {"ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "OMP_NUM_THREADS": "3"},
        {
            "ONEDNN_DEFAULT_FPMATH_MODE": "ANY",
            "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
        },
    ],
    ids=lambda environment: " ".join(environment.values()),
)
def test_same_integers_in_every_environment(environment, expected):
    digest = hashlib.sha256(expected.output.astype(np.int64).tobytes())
    for name in sorted(expected.payloads):
        digest.update(expected.payloads[name].astype(np.int64).tobytes())
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines == [digest.hexdigest()] or (
        len(lines) == 1 and lines[0].startswith("refused backend 'torch'")
    )
