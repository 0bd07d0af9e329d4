# SPDX-License-Identifier: BSD-3-Clause
"""A claim holds where the numbers say so, and not where they do not."""

import json

from benchmarks import rankings


def write(folder, name, rows):
    (folder / f"{name}.json").write_text(json.dumps({"rows": rows}))


def contest(subject, scores):
    def wrapped(value):
        for key in reversed(rankings.DECIDES[subject][0]):
            value = {key: value}
        return value

    found = [
        {"subject": subject, "system": kind, "way": way, "floats": wrapped(value)}
        for (kind, way), value in scores.items()
    ]
    flow = {"subject": subject, "system": "MT", "way": "flow", "floats": None}
    return [*found, flow]


def test_claims(tmp_path):
    direct = {("ML", "DT"): 1.0, ("RS", "DT"): 2.0, ("MT", "DT"): 3.0}
    tuned = {("ML", "FT"): 1.5, ("RS", "FT"): 1.2, ("MT", "FT"): 3.5}
    write(tmp_path, "table1", contest("denoise-gray", direct | tuned))
    write(tmp_path, "table2", [])
    common = {"subject": "segment-drive", "T": 20, "finetuned": False}
    write(
        tmp_path,
        "table3",
        [
            {**common, "normalisation": n, "neuron": k, "few_snn": v, "chip": v}
            for n, k, v in (
                ("layer", "IF", 0.5),
                ("layer", "MT", 0.4),
                ("connection", "IF", 0.6),
                ("connection", "MT", 0.4),
            )
        ],
    )
    dcnn = {"subject": "trained", "T": None, "floats": {"25": {"psnr": 30.0}}}
    snns = [
        {"subject": "trained", "T": 4, "chip": {"25": {"psnr": 29.5}}},
        {"subject": "tuned", "T": 8, "chip": {"25": {"psnr": 29.8}}},
        {"subject": "converted", "T": 8, "chip": {"25": {"psnr": 10.0}}},
    ]
    write(tmp_path, "spiden", [dcnn, *snns])
    found = {
        (claim.text, claim.where): (claim.numbers, claim.holds)
        for claim in rankings.claims(tmp_path)
    }
    spiden = "SPIDEN at most 0.25 dB below its DCNN"
    connection = "connection-wise above layer-wise"
    thresholds = "MT above IF, integers"
    assert found == {
        ("FT above DT", "denoise-gray, ML"): ("1.50 against 1.00", True),
        ("FT above DT", "denoise-gray, RS"): ("1.20 against 2.00", False),
        ("FT above DT", "denoise-gray, MT"): ("3.50 against 3.00", True),
        ("MT above RS", "denoise-gray, DT"): ("3.00 against 2.00", True),
        ("RS above ML", "denoise-gray, DT"): ("2.00 against 1.00", True),
        ("MT above RS", "denoise-gray, FT"): ("3.50 against 1.20", True),
        ("RS above ML", "denoise-gray, FT"): ("1.20 against 1.50", False),
        (connection, "segment-drive, IF, T = 20"): ("0.600 against 0.500", True),
        (connection, "segment-drive, MT, T = 20"): ("0.400 against 0.400", False),
        (thresholds, "segment-drive, layer-wise, T = 20"): (
            "0.400 against 0.500",
            False,
        ),
        (thresholds, "segment-drive, connection-wise, T = 20"): (
            "0.400 against 0.600",
            False,
        ),
        (spiden, "direct, T = 4"): ("0.50 dB", False),
        (spiden, "from the DCNN's weights, T = 8"): ("0.20 dB", True),
    }
