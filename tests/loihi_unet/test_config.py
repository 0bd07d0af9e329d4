# SPDX-License-Identifier: BSD-3-Clause
import pytest

from loihi_unet.config import (
    TrainConfig,
    config_toml,
    load_config,
    named_configs,
    parse_config,
)
from loihi_unet.errors import ConfigError


def test_named_configs_are_what_their_names_say():
    names = named_configs()
    laptop = [name for name in names if not name.endswith("-paper")]
    assert names == sorted([*laptop, *(f"{name}-paper" for name in laptop)])
    for name in names:
        config = load_config(name)
        kind, data = name.removesuffix("-paper").split("-", 1)
        assert config.task.kind == kind
        paper = name.endswith("-paper")
        assert config.model.base_channels == (64 if paper else 16)
        if kind == "segment":
            assert config.task.dataset == data.removesuffix("-fcn")
            assert config.model.kind == ("fcn" if data.endswith("-fcn") else "unet")
        else:
            noise = (config.task.sigma_min, config.task.sigma_max)
            assert config.model.kind == ("dncnn" if data == "spiden" else "unet")
            assert noise == ((0, 55) if data in ("gray", "colour") else (25, 25))
            channels = 3 if data.startswith("colour") else 1
            assert config.model.in_channels == config.model.out_channels == channels


def test_effective_settings_read_back_equal(tmp_path, tiny):
    path = tmp_path / "config.toml"
    path.write_text(config_toml(tiny), encoding="utf-8")
    assert load_config(path) == tiny


def test_overrides_reach_nested_keys():
    config = load_config(
        "denoise-gray25", {"model.base_channels": 8, "seed": 3, "loss": "l2"}
    )
    assert (config.model.base_channels, config.seed, config.loss) == (8, 3, "l2")
    assert config.model.levels == 4


def test_settings_are_frozen(tiny):
    with pytest.raises(ValueError, match="frozen"):
        tiny.seed = 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"sed": 1},
            "here: sed: unknown key; allowed: model, task, patch_size, batch_size,",
        ),
        (
            {"model": {"chanels": 1}},
            "model.chanels: unknown key; allowed: in_channels, out_channels, residual",
        ),
        ({"seed": -1}, "seed: .*greater than or equal to 0, found -1"),
        ({"loss": "l3"}, "loss: .*'l1', 'l2' or 'cross_entropy', found 'l3'"),
        ({"learning_rate": float("nan")}, "learning_rate: .*finite.*, found nan"),
        ({"model": 3}, "model: .*, found 3"),
        ({"patch_size": 20}, "patch_size 20 is not a multiple of 16"),
        (
            {"model": {"in_channels": 3}},
            "model: residual needs as many output .* found 3 in and 1 out",
        ),
        (
            {"task": {"sigma_min": 30.0}},
            "task: sigma_min 30 is above sigma_max 25",
        ),
        (
            {"task": {"kind": "segment", "sigma": 1}, "loss": "cross_entropy"},
            "here: task.sigma: unknown key; allowed: kind, dataset",
        ),
        ({"task": {"kind": "x"}}, "here: task: a table with kind denoise or segment"),
        (
            {"model": {"kind": "dncnn", "levels": 3}},
            "here: model.levels: unknown key; allowed: .*, depth",
        ),
        ({"model": {"kind": "fcn", "depth": 3}}, "here: model.depth: unknown key; "),
        (
            {"model": {"kind": "x"}},
            "here: model: a table with kind unet, dncnn, fcn needed",
        ),
        ({"model": {"kind": "dncnn", "depth": 1}}, "here: model.depth: .* found 1"),
        (
            {"model": {"kind": "fcn"}, "patch_size": 12},
            "patch_size 12 is not a multiple of 8, as fcn needs",
        ),
        ({"task": 3}, "here: task: a table with kind denoise or segment .*, found 3"),
        ({"task": "segment"}, "here: task: .*dictionary.*, found 'segment'"),
        ({"loss": "cross_entropy"}, "denoise needs l1 or l2"),
        ({"task": {"kind": "segment"}}, "loss l1: segment needs cross_entropy"),
        (
            {"task": {"kind": "segment"}, "loss": "cross_entropy"},
            "drive needs 1 input and 1 output .* found 1, 1 and residual = True",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_settings_are_one_line(table, message):
    with pytest.raises(ConfigError, match=message) as info:
        parse_config(table, where="here")
    assert "\n" not in str(info.value)


def test_all_problems_are_named_at_once():
    with pytest.raises(ConfigError, match=r"here: seed: .*; sed: unknown key"):
        parse_config({"seed": -1, "sed": 0}, where="here")


def test_an_unknown_name_lists_those_that_exist():
    with pytest.raises(ConfigError, match=r"nope: neither a file .* denoise-gray25, "):
        load_config("nope")


@pytest.mark.parametrize("content", [b"seed = ", b"\xff\xfe"], ids=["syntax", "utf-8"])
def test_a_file_that_is_not_toml(tmp_path, content):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.toml: not TOML: "):
        load_config(path)


def test_an_override_below_a_plain_value():
    with pytest.raises(ConfigError, match=r"seed\.x: seed is a value, not a table"):
        load_config("denoise-gray25", {"seed.x": 1})


def test_defaults_are_valid():
    assert TrainConfig() == parse_config({}, where="defaults")


def test_a_config_that_would_take_minutes_is_refused(tmp_path):
    path = tmp_path / "long.toml"
    path.write_text("a." * 20_000 + "b = 1")
    with pytest.raises(ConfigError, match=r"40005 characters found, 10000 allowed"):
        load_config(path)
