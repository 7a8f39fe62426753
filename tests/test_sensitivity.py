"""Derivatives by the implicit function theorem against solving again to either side, and where there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_population import TEXT

from mechdsl import pipeline, syntax
from mechdsl.cli import main
from mechdsl.elaborate import Override
from mechdsl.errors import Source
from mechdsl.market import Model
from mechdsl.sensitivity import Sensitivity, flat_columns, sensitivity
from mechdsl.structure import installed

REPORT = "report c = {left: 0.8, right: 1.1}\n"
MODELS = Path(__file__).parent.parent / "models"


def moved(text: str, regime: str) -> tuple[Sensitivity, dict[str, dict[str, np.ndarray]]]:
    """The sensitivity of a regime, and central differences of what is solved again."""
    file, source = syntax.parse(text, "t"), Source("t", text)

    def remade(more: Sequence[Override]) -> Model:
        return pipeline.elaborated(file, source, None, more)

    market = remade([]).markets[regime]
    run = pipeline.run(market, installed())
    found = sensitivity(run, remade)
    assert found is not None
    again: dict[str, dict[str, np.ndarray]] = {}
    for address in found.addresses:
        name, *labels = address.split(".")
        quantity = market.declarations[name].quantity
        place = tuple(s.position(n) for s, n in zip(quantity.sets, labels, strict=True))
        value = float(np.asarray(market.data[quantity])[place])
        step = 1e-4 * max(abs(value), 0.01)
        ends = []
        for there in (value - step, value + step):
            other = remade([Override(name, tuple(labels), there)]).markets[regime]
            assert run.match.structure is not None
            made = pipeline.mechanism(other, run.match.structure)
            known = {str(q.name): table for q, table in pipeline.stated_report(market).items()}
            ends.append(made.structure.recover(made, {t.quantity: known[t.name] for t in other.types}))
        again[address] = {
            f"{member}.{key}": (np.asarray(getattr(ends[1], member)[key]) - getattr(ends[0], member)[key]) / (2 * step)
            for member in ("allocation", "payments", "utilities", "shadow_price")
            for key in getattr(ends[0], member)
        }
        for figure in ("revenue", "welfare"):
            again[address][figure] = np.asarray((getattr(ends[1], figure) - getattr(ends[0], figure)) / (2 * step))
    return found, again


def agree(text: str, regime: str, tolerance: float = 1e-6) -> Sensitivity:
    found, again = moved(text, regime)
    for n, address in enumerate(found.addresses):
        for key, difference in again[address].items():
            member, _, name = key.partition(".")
            exact = found.columns[member][name][n]
            assert exact == pytest.approx(difference, rel=tolerance, abs=tolerance), (address, key)
    return found


@pytest.mark.parametrize("regime", ["M1", "M2"])
def test_derivatives_are_those_of_solving_again(regime: str) -> None:
    found = agree(TEXT + REPORT, regime)
    assert found.method == "implicit function theorem"
    assert found.kinks == ()
    assert set(found.addresses) == {"d.left", "d.right", "g", "s.left", "s.right"}


@pytest.mark.parametrize("regime", [pytest.param("M1", marks=pytest.mark.slow), "M2"])
def test_payments_by_quadrature_move_too(regime: str) -> None:
    text = (MODELS / "ai_2025" / "six_regimes.mech").read_text()
    agree(text, regime, 2e-6)


def test_known_types_and_a_value_instead_of_a_demand() -> None:
    agree("""
    market elastic "Buying until the marginal value is the marginal cost"
    param a in (0, inf) = 3
    param t in [0, 1] = 0.25
    layer buyer { value a * log(1 + x)  cost t * x^2 }
    layer seller { type c ~ uniform(0.2, 1.2)  choose x >= 0  cost c * x }
    contract buyer -> seller: direct(information = known)
    objective buyer: maximize revenue
    report c = 0.5
    """, "main")  # fmt: skip


def test_a_closed_form() -> None:
    # Psi = c d^2 at one supplier: x = d; the payment of U[a, b] at c under welfare is b d^2.
    text = """
    market one "One supplier"
    param d in (0, inf) = 3
    param b in (0, inf) = 2
    layer buyer
    layer seller { type c ~ uniform(1, b)  choose x >= 0  cost c * x^2 }
    demand: x >= d
    contract buyer -> seller: direct
    objective buyer: maximize welfare
    report c = 1.5
    """
    found, _ = moved(text, "main")
    columns = {n: dict(zip(found.addresses, v, strict=True)) for n, v in found.columns["payments"].items()}
    assert columns["seller"] == pytest.approx({"d": 2 * 2 * 3, "b": 9})
    assert found.columns["objective"][""] == pytest.approx([2 * 1.5 * 3, 0])
    assert found.columns["shadow_price"]["demand"] == pytest.approx([2 * 1.5, 0])


def test_a_kink_is_said() -> None:
    # At equal costs the demand for left begins to bind at d.left = 2 g / (1 + g^2) = 0.8 (g = 1/2, d.right = 1).
    text = TEXT.replace("{left: 2, right: 1}", "{left: 0.8, right: 1}") + "report c = {left: 1, right: 1}\n"
    found, _ = moved(text, "M2")
    assert found.kinks == ("demand[left]",)
    away, _ = moved(text.replace("0.8", "0.801"), "M2")
    assert away.kinks == ()


def test_the_command_says_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pair.mech"
    file.write_text(TEXT + REPORT)
    assert main(["solve", str(file), "--regime", "M2", "--sensitivity", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["regimes"]["M2"]["sensitivity"]
    assert found["method"] == "implicit function theorem"
    assert set(found["parameters"]["d.left"]) >= {"objective", "revenue", "welfare", "allocation", "payments"}
    assert found["parameters"]["d.left"]["allocation"]["x"]["left"] == pytest.approx(
        11 / 13
    )  # 1.25 / (1.25 + 0.25 / 1.1)
    assert main(["solve", str(file), "--regime", "M2", "--sensitivity"]) == 0
    assert "d.left" in capsys.readouterr().out


def test_what_states_no_rates_is_solved_again() -> None:
    text = (MODELS / "dai_2026" / "data_market.mech").read_text()
    file, source = syntax.parse(text, "t"), Source("t", text)

    def remade(more: Sequence[Override]) -> Model:
        return pipeline.elaborated(file, source, None, more)

    run = pipeline.run(remade([]).markets["first_best"], installed())
    found = sensitivity(run, remade)
    assert found is not None
    assert "solved again" in found.method
    columns = flat_columns(found, run.market)
    # Welfare is P - sum e^2 / 2 at the optimum: in F nothing, in V the partial derivative of P, which is negative.
    assert dict(zip(found.addresses, columns["welfare"], strict=True))["V"] < 0
