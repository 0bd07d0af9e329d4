# SPDX-License-Identifier: BSD-3-Clause
"""What is refused is refused by name; what needs consent says which."""

import pytest
import torch
from foreign import Calls, conv, net, seeded
from torch import nn
from torch.nn import functional

from loihi_unet.errors import ConversionError
from loihi_unet.frontend.module.fidelity import CHOICES
from loihi_unet.frontend.module.read import read_module


def attention(m, x):
    y = m.c(x).flatten(2).transpose(1, 2)
    return m.a(y, y, y)[0]


def recurrent(m, x):
    return m.l(m.c(x).flatten(2))[0]


def control(m, x):
    y = m.c(x)
    return y.relu() if y.mean() > 0 else y


def unpooled(m, x):
    y, where = functional.max_pool2d(m.c(x).relu(), 2, return_indices=True)
    return functional.max_unpool2d(y, where, 2)


def squeezed(m, x):
    y = m.c(x).relu()
    return y * y.mean((2, 3), keepdim=True)


def shuffled(m, x):
    y = m.c(x)
    return y.view(2, 2, 2, 8, 8).transpose(1, 2).reshape(2, 4, 8, 8)


REFUSED = {
    "attention": (
        lambda: Calls(attention, c=conv(2, 4), a=nn.MultiheadAttention(4, 1)),
        "multi_head_attention_forward.*attention multiplies values",
    ),
    "recurrent": (
        lambda: Calls(recurrent, c=conv(2, 4), l=nn.LSTM(64, 3)),
        "lstm.*a recurrent layer",
    ),
    "control flow": (
        lambda: Calls(control, c=conv(2, 4)),
        "bool.*control flow or a number that depends on the picture",
    ),
    "a product": (
        lambda: Calls(squeezed, c=conv(2, 4)),
        "mul.*a product of two values",
    ),
    "reflecting border": (
        lambda: net(nn.Conv2d(2, 4, 3, padding=1, padding_mode="reflect")),
        "layer '0': pad.*mode 'reflect'",
    ),
    "statistics of the batch": (
        lambda: net(conv(2, 4), nn.BatchNorm2d(4, track_running_stats=False)),
        "layer '1': batch_norm.*statistics of the batch",
    ),
    "something unknown": (
        lambda: net(conv(2, 4), nn.LocalResponseNorm(2)),
        "layer '1'",
    ),
    "axes exchanged": (
        lambda: Calls(lambda m, x: m.c(x).permute(0, 1, 3, 2), c=conv(2, 4)),
        r"permute \(test_refused\.py:\d+\): no spiking layer does it",
    ),
    "channels shuffled by a view of five axes": (
        lambda: Calls(shuffled, c=conv(2, 4)),
        r"view \(test_refused\.py:\d+\): a view as \(2, 2, 2, 8, 8\)",
    ),
    "a view that exchanges height and width": (
        lambda: Calls(lambda m, x: m.c(x).reshape(2, 4, 4, 16), c=conv(2, 4)),
        r"reshape.*a view as \(2, 4, 4, 16\)",
    ),
    "sigmoid inside": (
        lambda: net(conv(2, 4), nn.Sigmoid(), conv(4, 2)),
        "layer '2': conv2d.*after one that is left to the reader",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_name(name):
    build, message = REFUSED[name]
    reading = read_module(seeded(build), torch.rand(2, 2, 8, 8), allow=CONSENTS)
    assert reading.graph is None
    with pytest.raises(ConversionError, match=message):
        reading.usable()


#: One way for each operation.
CONSENTS = [
    f"{name}={next(iter(ways))}"
    for name, ways in CHOICES.items()
    if name != "bilinear" or ways
]


def test_unpooling_is_refused_with_the_line_of_the_source():
    module = seeded(lambda: Calls(unpooled, c=conv(2, 4)))
    reading = read_module(module, torch.rand(2, 2, 8, 8), allow=CONSENTS)
    with pytest.raises(
        ConversionError, match=r"max_unpool2d \(test_refused\.py:\d+\): it needs the pl"
    ):
        reading.usable()


NEED_CONSENT = {
    "max_pool2d": nn.MaxPool2d(2),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "leaky_relu": nn.LeakyReLU(0.2),
    "prelu": nn.PReLU(),
    "elu": nn.ELU(),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "hardswish": nn.Hardswish(),
    "mish": nn.Mish(),
    "softplus": nn.Softplus(),
    "tanh": nn.Tanh(),
    "group_norm": nn.GroupNorm(2, 4),
    "instance_norm": nn.InstanceNorm2d(4),
}
AT_THE_OUTPUT = {
    "sigmoid": nn.Sigmoid(),
    "softmax": nn.Softmax(dim=1),
    "log_softmax": nn.LogSoftmax(dim=1),
    "argmax": Calls(lambda m, x: x.argmax(dim=1)),
}


def build(part, last=True):
    return lambda: net(conv(2, 4), part, *([conv(4, 2)] if last else []))


@pytest.mark.parametrize("name", CHOICES)
def test_without_consent_the_choices_are_named(name):
    part = NEED_CONSENT.get(name) or AT_THE_OUTPUT[name]
    module = seeded(build(part, last=name in NEED_CONSENT))
    x = torch.rand(2, 2, 8, 8)
    with pytest.raises(ConversionError, match=rf"layer '1'.*--allow {name}="):
        read_module(module, x).usable()
    for way in CHOICES[name]:
        reading = read_module(module, x, allow=[f"{name}={way}"])
        labels = {item.fidelity for item in reading.operations}
        assert labels == (
            {"faithful"} if way == "exact" else {"faithful", "approximated"}
        )
        wanted = module(x)
        if name in NEED_CONSENT:
            # An approximation differs: a label that said faithful would be wrong.
            found = reading.usable()(x)
            assert torch.allclose(found, wanted, atol=1e-5) == (way == "exact")
        else:
            assert reading.head == name


@pytest.mark.parametrize("kernel", [(2, 2, 0), (3, 2, 1), (3, 1, 0)])
def test_an_exact_maximum(kernel):
    size, stride, padding = kernel
    module = seeded(
        lambda: net(
            conv(2, 4),
            nn.ReLU(),
            nn.MaxPool2d(size, stride, padding),
            conv(4, 2),
        )
    )
    x = torch.rand(2, 2, 9, 9)
    graph = read_module(module, x, allow=["max_pool2d=exact"]).usable()
    assert torch.allclose(graph(x), module(x), atol=1e-5)


def test_a_pool_that_fine_tuning_trains_has_weights_of_its_own():
    module = seeded(lambda: net(conv(2, 4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 2)))
    x = torch.rand(2, 2, 8, 8)
    graph = read_module(module, x, allow=["max_pool2d=convolution"]).usable()
    kinds = [(layer.name, layer.connections[0].place.stride) for layer in graph.layers]
    assert kinds == [("0", (1, 1)), ("0_2", (2, 2)), ("out", (1, 1))]


def test_bilinear_upsampling_is_torchs_but_at_the_border():
    module = seeded(lambda: net(nn.Upsample(scale_factor=2, mode="bilinear")))
    x = torch.rand(2, 2, 8, 8)
    found = read_module(module, x, allow=["bilinear=fixed"]).usable()(x)
    inside = (..., slice(1, -1), slice(1, -1))
    assert torch.allclose(found[inside], module(x)[inside], atol=1e-5)
    assert not torch.allclose(found, module(x), atol=1e-3)


def test_group_norm_has_the_statistics_of_the_pictures():
    module = seeded(lambda: net(conv(2, 4), nn.GroupNorm(2, 4), nn.ReLU(), conv(4, 2)))
    x = torch.rand(1, 2, 8, 8)
    graph = read_module(module, x, allow=["group_norm=calibrated"]).usable()
    assert torch.allclose(graph(x), module(x), atol=1e-5)
    other = 3 * torch.rand(1, 2, 8, 8)
    assert not torch.allclose(graph(other), module(other), atol=1e-3)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["max_pool2d"], "--allow max_pool2d: allowed are max_pool2d=average"),
        (
            ["max_pool2d=average", "max_pool2d=exact"],
            "max_pool2d=average is allowed already",
        ),
    ],
)
def test_consents_are_checked(names, message):
    with pytest.raises(ConversionError, match=message):
        read_module(conv(2, 4), torch.rand(1, 2, 8, 8), allow=names)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Calls(lambda m, x: (x, x)), "returns a tuple: one tensor is needed"),
        (Calls(lambda m, x: torch.zeros(1)), "does not depend on its input"),
        (conv(3, 4), r"cannot be run on input of shape \(1, 2, 8, 8\)"),
        (Calls(lambda m, x: m.c(x).flatten(1), c=conv(2, 2)), "is a flattened map"),
        (
            Calls(lambda m, x: x + torch.from_numpy(x.detach().clone().numpy())),
            "numpy",
        ),
    ],
)
def test_networks_that_cannot_be_read(module, message):
    with pytest.raises(ConversionError, match=message):
        read_module(module, torch.rand(1, 2, 8, 8)).usable()


def test_a_tensor_changed_behind_a_view_is_not_mistaken():
    def behind(m, x):
        y = m.c(x)
        flat = y.view(y.size(0), -1)
        y.relu_()
        return m.last(flat)

    module = Calls(behind, c=conv(2, 4), last=nn.Linear(256, 3)).eval()
    reading = read_module(module, torch.rand(2, 2, 8, 8))
    assert reading.graph is None
