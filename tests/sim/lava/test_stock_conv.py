# SPDX-License-Identifier: BSD-3-Clause
"""`lava-stock` leaves out what stock's Conv would compute again, and nothing else."""

import numpy as np
import pytest

pytest.importorskip("lava.magma", reason="no Lava: loihi-unet setup-lava")

from lava.proc.conv import utils
from lava.proc.conv.models import PyConvModelFixed

from sim.lava.stock_conv import PyRememberingConvModel

pytestmark = pytest.mark.lava


class Port:
    """Gives messages, and keeps what is sent."""

    def __init__(self, messages=()):
        self.messages = list(messages)
        self.sent = []

    def recv(self):
        return self.messages.pop(0)

    def send(self, sums):
        self.sent.append(sums.copy())


def model_of(kind, weight, messages, bits=8):
    model = kind({})
    model.weight = weight
    model.kernel_size = np.array(weight.shape[1:3])
    model.stride = model.dilation = np.array([1, 1])
    model.padding = np.array([1, 1])
    model.groups = np.array([1])
    model.num_message_bits = np.array(bits)
    model.s_in, model.a_out = Port(messages), Port()
    model.a_buf = np.zeros((4, 5, len(weight)), np.int32)
    return model


@pytest.fixture
def messages():
    rng = np.random.default_rng(0)
    first, second, third = rng.integers(0, 255, (3, 4, 5, 2), dtype=np.int32)
    silence = np.zeros_like(first)
    order = [silence, silence, first, silence, first, second, third, third, silence]
    return [message.copy() for message in [*order, first, second]]


@pytest.fixture
def weight():
    return np.random.default_rng(1).integers(-128, 127, (3, 3, 3, 2), dtype=np.int32)


@pytest.mark.parametrize("bits", [0, 8])
def test_every_step_sends_what_stock_sends(messages, weight, bits):
    stock = model_of(PyConvModelFixed, weight, messages, bits)
    remembering = model_of(PyRememberingConvModel, weight, messages, bits)
    for _ in range(len(messages)):
        stock.run_spk()
        remembering.run_spk()
    np.testing.assert_array_equal(remembering.a_out.sent, stock.a_out.sent)
    np.testing.assert_array_equal(remembering.a_buf, stock.a_buf)


def test_stock_adds_up_each_message_that_is_new(messages, weight, monkeypatch):
    seen, conv = [], utils.conv

    def counted(message, *arguments):
        seen.append(message)
        return conv(message, *arguments)

    monkeypatch.setattr(utils, "conv", counted)
    model = model_of(PyRememberingConvModel, weight, messages)
    for _ in range(len(messages)):
        model.run_spk()
    new = [messages[n] for n in (0, 2, 5, 6, 8, 9, 10)]
    assert len(seen) == len(new)
    assert all(map(np.array_equal, seen, new))


def test_another_weight_gives_other_sums(messages, weight):
    model = model_of(PyRememberingConvModel, weight, [messages[2]] * 2)
    model.run_spk()
    before = model.a_buf
    model.weight = -weight
    model.on_var_update()
    model.run_spk()
    np.testing.assert_array_equal(model.a_buf, -before)
