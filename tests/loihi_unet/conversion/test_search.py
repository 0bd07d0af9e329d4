# SPDX-License-Identifier: BSD-3-Clause
"""The search finds thresholds that are better where it was not looking."""

import pytest
import torch

from loihi_unet.conversion.convert import convert
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.conversion.search import ALLOWANCE, RANGES, Trials, search_thresholds
from loihi_unet.data.pictures import load_pictures
from loihi_unet.errors import ConversionError
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.spiking.run_float import run


def test_thresholds_found_are_better_on_other_crops(model, tiny, calibration, folder):
    pictures = load_pictures(folder, 1)
    settings = {"num_steps": 4, "num_thresholds": 4}
    thresholds = search_thresholds(model, tiny, calibration, pictures, **settings)
    found, q = thresholds.calibration, thresholds.base_threshold
    assert thresholds.numbers == {}
    assert q in [top / 16 for top in RANGES]
    assert found.scales != calibration.scales
    assert found.scales["pool0"] == found.scales["enc0.conv2"]
    x = torch.from_numpy(pictures[3].pixels[None, :, :32, :36] / 255).float()
    errors = []
    with torch.no_grad():
        for scales, threshold in ((calibration, 4 / 16), (found, q)):
            snn = spiking_unet(model, scales, base_threshold=threshold, **settings)
            errors.append(float((run(snn, x).output - model(x)).square().mean()))
    assert errors[1] < 0.8 * errors[0]


def test_layers_get_fewer_thresholds_as_far_as_the_output_allows(
    model, tiny, calibration, folder
):
    pictures = load_pictures(folder, 1)
    settings = {"num_steps": 4, "num_thresholds": 8}
    arguments = (model, tiny, calibration, pictures)
    full = search_thresholds(*arguments, **settings)
    found = search_thresholds(*arguments, **settings, fewer=True)
    assert found.base_threshold == full.base_threshold
    numbers = found.numbers
    assert numbers["pool0"] == numbers["enc0.conv2"]
    assert min(numbers.values()) < 8 >= max(numbers.values())
    trials = Trials(*arguments, **settings)
    q = found.base_threshold
    best = trials.error(full.calibration.scales, q)
    error = trials.error(found.calibration.scales, q, numbers)
    assert error <= (1 + ALLOWANCE) * best
    # The limit binds: one more taken away everywhere is too much.
    less = {name: max(1, number - 1) for name, number in numbers.items()}
    assert trials.error(found.calibration.scales, q, less) > (1 + ALLOWANCE) * best


def test_layer_normalisation_keeps_its_scales(model, tiny, calibration, folder):
    equal = calibration.model_copy(update={"normalisation": "layer"})
    found = search_thresholds(
        model, tiny, equal, load_pictures(folder, 1), num_steps=3, num_thresholds=4
    )
    assert found.calibration == equal
    found = search_thresholds(
        model,
        tiny,
        equal,
        load_pictures(folder, 1),
        num_steps=3,
        num_thresholds=8,
        fewer=True,
    )
    assert found.calibration == equal


def test_conversion_searches_when_asked(trained, folder, tmp_path):
    path = tmp_path / "s.safetensors"
    plain = convert(trained, tmp_path / "p.safetensors", folder, num_steps=4)
    found = convert(trained, path, folder, num_steps=4, search=True)
    assert found.provenance["search"] is True
    assert [x.scale for x in found.layers] != [x.scale for x in plain.layers]
    assert load_spiking_unet(path).base_threshold == found.base_threshold
    with pytest.raises(ConversionError, match="not together with a search"):
        convert(trained, path, folder, search=True, base_threshold=0.5)
    with pytest.raises(ConversionError, match="found by a search only"):
        convert(trained, path, folder, fewer=True)


@pytest.mark.parametrize(("thresholds", "q"), [(1, 1.0), (4, 0.125), (6, 2**-5)])
def test_the_default_base_threshold(trained, folder, tmp_path, thresholds, q):
    snn = convert(
        trained, tmp_path / "s.safetensors", folder, num_thresholds=thresholds
    )
    assert snn.base_threshold == q
