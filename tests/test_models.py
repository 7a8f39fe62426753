"""The published and classical markets of models/, solved from their files, against answers worked outside mechdsl.

The numbers stand here as the closed forms they come from; each file's comment derives its own. What a regime has no
answer for is not named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import mechdsl
from mechdsl.resources import folder
from mechdsl.results import Result, Results

MODELS = folder("models")
log = math.log

# file: regime: path into the JSON of `solve`: number, or a list in the order of the labels.
ANSWERS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "yao_2024/attention_contest.mech": {  # in shares, by bisection: `by_shares` of tests/test_contest.py
        "exclusive": {
            "allocation.x": [
                7.132946283400344,
                4.122985847623149,
                2.6142720843120197,
                1.7821377558043443,
                1.2840482624011857,
                0.7507854907860301,
            ]
        }
    },
    "yao_2024/attention_sweeps.mech": {  # likewise
        "exclusive": {
            "allocation.x": [
                5.208943099714002,
                3.984533632235524,
                3.1246704227758584,
                2.5043378531053087,
                2.045501373211355,
                1.6983666958782324,
            ]
        }
    },
    "ai_2025/figure_3.mech": {  # s + 2^(1/3) s^(7/3) = 20 for s = sqrt(x_1), by bisection; and 19.5 / (1 + 2^(-4/3))
        "mu_12": {"allocation.x": [9.281955070507271, 16.953369882885802]},
        "gamma_12": {"allocation.x": [19.5 / (1 + 2 ** (-4 / 3)) / 2 ** (1 / 3), 19.5 / (1 + 2 ** (-4 / 3))]},
    },
    "ai_2025/six_regimes.mech": {  # computed apart from mechdsl, by two solvers and adaptive quadrature
        "M1": {"allocation.x": [6.33404964, 0.1243397], "payments.creator": [7.33264618, 0.07808724]},
        "M2": {"allocation.x": [5.02961009, 0.6952829], "payments.creator": [4.45683924, 0.83982926]},
    },
    "dai_2026/data_market.mech": {  # by the root of one scalar equation, apart from mechdsl
        "strict_ip": {
            "profit": 0.7766551800,
            "allocation.e": [0.5, 0.4199600730, 0.3129820536, 0.2217022796, 0.1695703443],
        },
        "free_for_all": {"profit": 0, "precision": 0},
        "first_best": {"welfare": 1.3239633580},
        "linear": {"profit": 0.2579082297, "payments.intermediary": 2.0821102566},
        "tariff": {"surplus": 1.2739633580, "payments.intermediary": 1.7030368073, "fee": -0.3290734493},
    },
    "dai_2026/figures.mech": {"tariff": {"profit": 1.2739633580 / 2}},
    "ai_2025/no_genai.mech": {
        regime: {
            "allocation.x": [3, 4, 2],
            "payments.creator": [18, 6, 2**1.5],
            "welfare": -(1.5 * 9 + 0.8 * 4 + 0.4 * 2**1.5),
            "revenue": -(24 + 2**1.5),
        }
        for regime in ("revenue", "welfare")
    },
    "ai_2025/linear_costs.mech": {
        "revenue": {"allocation.x": [16 / 7, 20 / 7], "payments.creator": [32 / 7, 40 / 7], "revenue": -72 / 7},
        "welfare": {
            "allocation.x": [16 / 7, 20 / 7],
            "payments.creator": [32 / 7, 50 / 7],
            "welfare": -(1.25 * 16 + 1.75 * 20) / 7,
        },
    },
    "ai_2025/complements.mech": {
        "revenue": {"allocation.x": [1, 0, 0], "payments.creator": [0.975, 0, 0], "revenue": -0.975, "welfare": -0.97},
        "welfare": {"allocation.x": [0, 1, 1], "payments.creator": [0, 0.67, 0.77], "revenue": -1.44, "welfare": -0.5},
    },
    "ai_2025/several_creators.mech": {
        "revenue": {
            "allocation.x": [36 / 11, 18 / 11, 12 / 11, 3],
            "payments.creator": [
                (36 / 11) ** 2 + (216 / 7 - 216 / 11) / 2,
                1.5 * (18 / 11) ** 2 + (108 / 5 - 216 / 11) / 2,
                2 * (12 / 11) ** 2,
                18,
            ],
        },
        "welfare": {
            "allocation.x": [36 / 13, 24 / 13, 18 / 13, 3],
            "payments.creator": [
                (36 / 13) ** 2 + 108 / 5 - 216 / 13,
                1.5 * (24 / 13) ** 2 + 18 - 216 / 13,
                2 * (18 / 13) ** 2,
                18,
            ],
            "welfare": -216 / 13 - 1.2 * 9,
        },
    },
    "baron_myerson_1982/regulation.mech": {
        "revenue": {"allocation.q": 7, "payments.firm": 20, "revenue": 25.5, "welfare": 31.5, "utilities.firm": 6},
        "welfare": {"allocation.q": 8, "payments.firm": 23.5, "revenue": 24.5, "welfare": 32, "utilities.firm": 7.5},
    },
    "baron_myerson_1982/elastic.mech": {
        "revenue": {
            "allocation.x": 2,
            "payments.supplier": 5 / 2 + 3 * log(3 / 2),
            "revenue": 6 * log(3) - 5 / 2 - 3 * log(3 / 2),
            "welfare": 6 * log(3) - 3,
        },
        "welfare": {
            "allocation.x": 3,
            "payments.supplier": 4 + 6 * log(4 / 3),
            "revenue": 6 * log(4) - 4 - 6 * log(4 / 3),
            "welfare": 6 * log(4) - 4.5,
        },
    },
    "laffont_martimort_2002/quadratic_cost.mech": {
        "revenue": {"allocation.x": 3, "payments.agent": 8.25, "revenue": 9.75, "welfare": 11.25},
        "welfare": {"allocation.x": 4, "payments.agent": 15, "revenue": 9, "welfare": 12},
    },
    "myerson_1981/fixed_order.mech": {
        regime: {"allocation.x": 4, "payments.supplier": 16, "utilities.supplier": 6, "revenue": -16, "welfare": -10}
        for regime in ("revenue", "welfare")
    },
    "vickrey_1961/procurement_auction.mech": {
        "revenue": {"allocation.x": [0, 1, 0], "payments.supplier": [0, 0.65, 0], "revenue": -0.65, "welfare": -0.5},
        "welfare": {"allocation.x": [1, 0, 0], "payments.supplier": [0.5, 0, 0], "revenue": -0.5, "welfare": -0.45},
    },
}
UNSOLVED = {  # drawn by the seed: tests/test_studies.py, tests/test_reproduction.py
    "ai_2025/two_regimes.mech",
    "ai_2025/figure_2.mech",
    "ai_2025/mechanisms.mech",
}
CASES = [(file, regime) for file, regimes in ANSWERS.items() for regime in regimes]


@cache
def solved(file: str) -> Results:
    return mechdsl.load(MODELS / file).solve(list(ANSWERS[file]))


def result(file: str, regime: str) -> Result:
    return solved(file)[regime]


def at(found: Result, path: str) -> Any:
    """The number there, or the numbers in the order of the labels."""
    value: Any = found.json
    for step in path.split("."):
        value = value[step]
    return list(value.values()) if isinstance(value, dict) else value


def test_every_model_has_its_answers_or_its_reason() -> None:
    files = {str(path.relative_to(MODELS)) for path in MODELS.rglob("*.mech")}
    assert files == ANSWERS.keys() | UNSOLVED


@pytest.mark.parametrize(("file", "regime"), CASES)
def test_the_known_answer(file: str, regime: str) -> None:
    found = result(file, regime)
    assert found.status == "optimal"
    for path, value in ANSWERS[file][regime].items():
        assert at(found, path) == pytest.approx(value, rel=1e-7, abs=1e-7), path


@pytest.mark.parametrize(("file", "regime"), CASES)
def test_it_is_certified(file: str, regime: str) -> None:
    found = result(file, regime)
    assert found.certificate is not None
    assert not [check for check in found.certificate.checks if not check.passed]


@pytest.mark.parametrize(("file", "regime"), CASES)
def test_the_accounts_add_up(file: str, regime: str) -> None:
    found = result(file, regime)
    utilities = sum(sum(v.values()) if isinstance(v, dict) else v for v in found.utilities.values())
    assert utilities == pytest.approx(found.welfare)


@pytest.mark.parametrize("file", sorted(UNSOLVED | ANSWERS.keys()))
def test_it_is_laid_out_as_fmt_would(file: str) -> None:
    from mechdsl.formatter import format_file

    text = (MODELS / file).read_text(encoding="utf-8")
    if Path(file).stem not in {"six_regimes", "two_regimes", "data_market", "attention_contest"}:  # kept byte for byte
        assert format_file(text) == text
