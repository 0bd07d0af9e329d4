# SPDX-License-Identifier: BSD-3-Clause
import pytest
import torch
from torch.nn import functional

from loihi_unet.config import DnCNNConfig, FCNConfig, UNetConfig
from loihi_unet.networks.net import Net


def _by_hand(state, x, *, residual):
    """A U-Net of one level, written out."""

    def conv(name, value):
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.conv2d(value, weight, bias, padding=weight.shape[-1] // 2)

    skip = conv("enc0.conv2", conv("enc0.conv1", x).relu()).relu()
    pooled = (
        skip[..., ::2, ::2]
        + skip[..., 1::2, ::2]
        + skip[..., ::2, 1::2]
        + skip[..., 1::2, 1::2]
    ) / 4
    mid = conv("mid.conv2", conv("mid.conv1", pooled).relu()).relu()
    # A transposed convolution with stride 2 spreads each pixel by the kernel.
    weight, bias = state["up0.weight"], state["up0.bias"]
    batch, _, height, width = mid.shape
    spread = torch.zeros(batch, weight.shape[1], 2 * height + 2, 2 * width + 2)
    spread = spread.to(mid)
    for row in range(3):
        for column in range(3):
            spread[
                :, :, row : row + 2 * height : 2, column : column + 2 * width : 2
            ] += torch.einsum("bihw,io->bohw", mid, weight[:, :, row, column])
    up = (spread[..., 1:-1, 1:-1] + bias[:, None, None]).relu()
    joined = torch.cat([skip, up], dim=1)
    output = conv("out", conv("dec0.conv2", conv("dec0.conv1", joined).relu()).relu())
    return x + output if residual else output


@pytest.mark.parametrize("residual", [True, False])
def test_one_level_equals_the_network_written_out(residual):
    torch.manual_seed(0)
    network = Net(UNetConfig(base_channels=3, levels=1, residual=residual)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1)
        x = torch.rand(2, 1, 6, 10, dtype=torch.float64)
        expected = _by_hand(network.state_dict(), x, residual=residual)
        # Both sum a few hundred products of order 1 in float64.
        torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-12)


def test_module_names_and_channels_of_four_levels():
    network = Net(UNetConfig(base_channels=2))
    shapes = {
        name: tuple(value.shape)
        for name, value in network.named_parameters()
        if name.endswith("weight")
    }
    assert list(shapes) == [
        *[f"enc{level}.conv{i}.weight" for level in range(4) for i in (1, 2)],
        "mid.conv1.weight",
        "mid.conv2.weight",
        *[
            f"{name}.weight"
            for level in (3, 2, 1, 0)
            for name in (f"up{level}", f"dec{level}.conv1", f"dec{level}.conv2")
        ],
        "out.weight",
    ]
    assert shapes["enc3.conv1.weight"] == (16, 8, 3, 3)
    assert shapes["mid.conv2.weight"] == (32, 32, 3, 3)
    assert shapes["up3.weight"] == (32, 16, 3, 3)
    assert shapes["dec3.conv1.weight"] == (16, 32, 3, 3)
    assert shapes["out.weight"] == (1, 2, 1, 1)
    assert all(f"{name[:-6]}bias" in network.state_dict() for name in shapes)


def test_initial_activations_neither_grow_nor_vanish():
    torch.manual_seed(0)
    network = Net(UNetConfig(base_channels=16))
    sizes = {}
    for name in ("enc0.conv2", "mid.conv2", "dec0.conv2"):
        network.get_submodule(name).register_forward_hook(
            lambda _m, _i, output, name=name: sizes.update({name: output.std().item()})
        )
    with torch.no_grad():
        x = torch.randn(2, 1, 64, 64)
        difference = network(x) - x
    # PyTorch's own initial weights leave less than 0.05 at dec0.conv2.
    assert all(0.1 < size < 10 for size in sizes.values()), sizes
    assert difference.std() < x.std()


def _conv(state, name, value):
    weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
    return functional.conv2d(value, weight, bias, padding=weight.shape[-1] // 2)


def _shaken(config):
    torch.manual_seed(0)
    network = Net(config).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02)
    return network


def test_dncnn_written_out():
    network = _shaken(DnCNNConfig(base_channels=3, depth=4))
    state, x = network.state_dict(), torch.rand(2, 1, 5, 7, dtype=torch.float64)
    value = x
    for number in range(3):
        value = _conv(state, f"conv{number}", value).relu()
    with torch.no_grad():
        found = network(x)
    torch.testing.assert_close(found, x + _conv(state, "out", value))
    assert len(list(network.named_parameters())) == 2 * 4


def test_fcn_written_out():
    config = FCNConfig(base_channels=2, out_channels=3, residual=False)
    network = _shaken(config)
    state = network.state_dict()
    x = torch.rand(2, 1, 16, 8, dtype=torch.float64)

    def up(name, value):
        bias = state.get(f"{name}.up.bias")
        return functional.conv_transpose2d(
            value, state[f"{name}.up.weight"], bias, stride=2, padding=1,
            output_padding=1,
        )  # fmt: skip

    value, skips = x, []
    for level, count in enumerate((2, 2, 3)):
        for number in range(1, count + 1):
            value = _conv(state, f"enc{level}.conv{number}", value).relu()
        skips.append(value)
        value = functional.avg_pool2d(value, 2)
    for number in (1, 2):
        value = _conv(state, f"mid.conv{number}", value).relu()
    assert value.shape == (2, 32, 2, 1)
    for name, skip in (("fuse2", skips[2]), ("fuse1", skips[1])):
        value = (up(name, value) + _conv(state, f"{name}.score", skip)).relu()
        assert value.shape[1] == 3
    expected = up("out", value) + _conv(state, "out.score", skips[0])
    with torch.no_grad():
        torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize(
    "config",
    [
        UNetConfig(base_channels=2, levels=1, batch_norm=True),
        DnCNNConfig(base_channels=3, depth=3, batch_norm=True),
        FCNConfig(base_channels=2, residual=False, batch_norm=True),
    ],
)
def test_batch_normalisation_folds_into_weights(config):
    network = _shaken(config)
    for _ in range(3):  # running means and variances
        network(torch.rand(4, 1, 16, 16, dtype=torch.float64))
    network.eval()
    plain = Net(config.model_copy(update={"batch_norm": False})).double()
    entries = {}
    for node in network.nodes:
        if not node.pools:
            weights, bias = network.folded(node)
            entries |= {f"{module}.weight": value for module, value in weights.items()}
            entries[f"{node.branches[0].module}.bias"] = bias
    plain.load_state_dict(entries)
    x = torch.rand(1, 1, 16, 24, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), network(x), rtol=1e-9, atol=1e-12)
        # Not for nothing: without folding the two differ.
        plain.load_state_dict(network.tensors(), strict=False)
        assert not torch.allclose(plain(x), network(x), rtol=1e-3)
