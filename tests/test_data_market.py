"""The data market: figures, an independent scalar root, certificates that fail where they must."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

import mechdsl
from mechdsl import pipeline
from mechdsl.certify import certify
from mechdsl.cli import main
from mechdsl.outcome import Account, Certificate, Outcome
from mechdsl.results import Result

MODEL = Path(__file__).parent.parent / "models" / "dai_2026" / "data_market.mech"
TEXT = MODEL.read_text(encoding="utf-8")


def solved(regime: str, text: str = TEXT, **params: Any) -> Result:
    return mechdsl.parse(text).solve(regime, set=params or None)


def efforts(result: Result) -> np.ndarray:
    return np.array(list(result.allocation["e"].values()))


def failing(certificate: Certificate | None) -> set[str]:
    assert certificate is not None
    return {c.name for c in certificate.checks if not c.passed}


def detail(result: Result, name: str) -> str:
    assert result.certificate is not None
    return next(c.detail for c in result.certificate.checks if c.name == name)


def sized(n: int, w: np.ndarray, power: float = 2.0) -> str:
    """The market with n creators, reliances w and costs `e^power / power`."""
    text = TEXT.replace("1..5", f"1..{n}").replace("[0, 0.2, 0.5, 0.8, 1]", str([float(x) for x in w]))
    return text.replace("e[i]^2 / 2", f"e[i]^{power!r} / {power!r}")


def by_root(w: np.ndarray, V: float, power: float, factor: float) -> np.ndarray:
    """`factor * e^(power - 1) = (1 - lambda w)^2`, lambda the root of `lambda/V = sum w e (1 - lambda w)`."""

    def at(lam: float) -> np.ndarray:
        return ((1 - lam * w) ** 2 / factor) ** (1 / (power - 1))

    if V == 0 or not w.any():
        return at(0.0)
    lam = brentq(
        lambda z: z - V * np.sum(w * at(z) * (1 - z * w)), 0.0, 1 / w[w > 0].min(), xtol=1e-300, rtol=1e-15, maxiter=500
    )
    return at(float(lam))


def precision(e: np.ndarray, w: np.ndarray, V: float) -> float:
    return float(e.sum() - V * (w @ e) ** 2 / (1 + V * (w**2 @ e)))


# ------------------------------------------------------------------------------------------------------------- figures


def test_strict_ip() -> None:
    found = solved("strict_ip")
    assert found.profit == pytest.approx(0.7766551800, abs=1e-10)
    assert efforts(found) == pytest.approx([0.5, 0.4199600730, 0.3129820536, 0.2217022796, 0.1695703443], abs=1e-10)
    assert found["prices"] == found.allocation["e"]  # c' = e
    assert found.certified


def test_free_for_all() -> None:
    found = solved("free_for_all")
    assert efforts(found).tolist() == [0] * 5
    assert (found.profit, found.welfare, found["precision"]) == (0, 0, 0)
    assert found.certified


def test_first_best() -> None:
    found = solved("first_best")
    assert found.welfare == pytest.approx(1.3239633580, abs=1e-10)
    assert found.profit is None
    assert "prices" not in found.json
    assert found.certified


def test_linear() -> None:
    found = solved("linear")
    assert found.profit == pytest.approx(0.2579082297, abs=1e-10)
    e, w = efforts(found), np.array([0, 0.2, 0.5, 0.8, 1])
    lam = (w @ e) / (1 + w**2 @ e)
    assert found.profit == pytest.approx(lam**2 - 0.05, abs=1e-12)
    assert found.utilities["intermediary"] == pytest.approx(0, abs=1e-15)
    assert found.certified


def test_tariff() -> None:
    found = solved("tariff")
    assert found["surplus"] == pytest.approx(1.2739633580, abs=1e-10)
    assert found.payments["intermediary"] == pytest.approx(1.7030368073, abs=1e-10)
    assert found["fee"] == pytest.approx(-0.3290734493, abs=1e-10)
    weights = [0.3776539562, 0.2880899517, 0.1783659674, 0.0974117245, 0.0584784003]
    assert list(found["weights"].values()) == pytest.approx(weights, abs=1e-10)
    assert found.profit == pytest.approx(0.5 * found["surplus"], abs=1e-12)
    assert list(found.utilities["creator"].values()) == pytest.approx(
        [0.5 * found["surplus"] * phi for phi in found["weights"].values()], abs=1e-12
    )
    paid = {n: found["prices"][n] * found.allocation["e"][n] + found["subsidies"][n] for n in found["prices"]}
    assert found.payments["creator"] == pytest.approx(paid, abs=1e-14)
    assert any("fee to enter: creator (3 of 5)" in note for note in found.notes)
    assert any("rebate" in note for note in found.notes)
    assert found.certified


def test_the_noise_may_be_stated_by_its_precision() -> None:
    found = solved("tariff", TEXT.replace("noise(variance = 1 / e[i])", "noise(precision = e[i])"))
    assert found["fee"] == pytest.approx(-0.3290734493, abs=1e-10)


# ------------------------------------------------------------------------------------------- the scalar root, an oracle

MIXED = np.random.default_rng(11).uniform(0, 1.5, 1000)
MIXED[::7] = 0.0


@pytest.mark.parametrize(
    ("n", "w", "V", "power"),
    [
        (1, MIXED, 0.0, 2.0),
        (1, MIXED + 0.5, 100.0, 3.0),
        (5, 0 * MIXED, 1.0, 2.0),
        (5, MIXED, 100.0, 1.5),
        (40, MIXED, 0.0, 3.0),
        (40, MIXED, 1.0, 1.5),
        (40, MIXED, 100.0, 2.0),
        (40, 0 * MIXED + 0.6, 100.0, 2.0),
    ],
)
def test_the_scalar_root(n: int, w: np.ndarray, V: float, power: float) -> None:
    text = sized(n, w[:n], power)
    for regime, factor in (("strict_ip", power), ("first_best", 1.0)):
        found = solved(regime, text, V=V)
        expected = by_root(w[:n], V, power, factor)
        assert efforts(found) == pytest.approx(expected, abs=1e-9)
        assert found["precision"] == pytest.approx(precision(expected, w[:n], V), rel=1e-9)
        assert found.certified, failing(found.certificate)


@pytest.mark.parametrize(("w", "V", "power"), [(MIXED, 1.0, 2.0), (MIXED, 100.0, 1.5), (0 * MIXED + 1, 100.0, 2.0)])
def test_a_thousand_creators(w: np.ndarray, V: float, power: float) -> None:
    file = mechdsl.parse(sized(1000, w, power))
    for regime, factor in (("strict_ip", power), ("first_best", 1.0)):
        found = file.solve(regime, set={"V": V})
        assert efforts(found) == pytest.approx(by_root(w, V, power, factor), abs=1e-9)
        assert found.certified, failing(found.certificate)


def test_weights_against_their_closed_form() -> None:
    """The integral of `(1 - w lambda(t))^2 - t e` in t, `lambda(t) = V t A / (1 + V t C)`, by hand."""
    w = np.array([0, 0.2, 0.5, 0.8, 1])
    for V in (0.3, 1.0, 100.0):
        found = solved("tariff", V=V)
        e = efforts(found)
        A, k = w @ e, V * (w**2 @ e)
        ratio = A / (w**2 @ e)
        first = ratio * (1 - np.log1p(k) / k)
        second = ratio**2 * (1 - 2 * np.log1p(k) / k + 1 / (1 + k))
        parts = e * (1 - 2 * w * first + w**2 * second) - e**2 / 2
        assert list(found["weights"].values()) == pytest.approx(parts / parts.sum(), abs=1e-9)


def test_weights_by_precision_leave_the_costs_out() -> None:
    text = TEXT.replace("creator: two_part_tariff", "creator: two_part_tariff(weights = precision)")
    found = solved("tariff", text)
    e, w = efforts(found), np.array([0, 0.2, 0.5, 0.8, 1])
    whole = precision(e, w, 1.0)
    expected = [
        e[j] * quad(lambda t, j=j: (1 - w[j] * t * (w @ e) / (1 + t * (w**2 @ e))) ** 2, 0, 1)[0] / whole
        for j in range(5)
    ]
    assert list(found["weights"].values()) == pytest.approx(expected, abs=1e-9)
    assert found.certified


def test_a_cost_without_a_closed_inverse() -> None:
    text = TEXT.replace("e[i]^2 / 2", "(exp(e[i]) - 1 + e[i]^2) / 4")
    found = solved("strict_ip", text)
    e, w = efforts(found), np.array([0, 0.2, 0.5, 0.8, 1])
    lam = (w @ e) / (1 + w**2 @ e)
    marginal = (np.exp(e) * (1 + e) + 4 * e) / 4  # of (exp(e) + 2 e) e / 4
    assert np.all(e > 0)
    assert (1 - lam * w) ** 2 == pytest.approx(marginal, abs=1e-9)
    assert list(found["prices"].values()) == pytest.approx((np.exp(e) + 2 * e) / 4, abs=1e-12)
    assert found.certified
    step = next(s for s in found.run.derivation.steps if s.name == "best response")  # type: ignore[union-attr]
    assert "no closed inverse" in step.because


def test_who_is_not_worth_the_first_unit_does_nothing() -> None:
    """Marginal costs start at 0.7, above the marginal precision of those who share most."""
    found = solved("strict_ip", TEXT.replace("e[i]^2 / 2", "0.7 * e[i] + e[i]^2 / 20"))
    e, w = efforts(found), np.array([0, 0.2, 0.5, 0.8, 1])
    lam = (w @ e) / (1 + w**2 @ e)
    assert e[0] == pytest.approx(0.3 / 0.2, abs=1e-9)
    assert (e > 0).tolist() == [True, True, True, False, False]
    assert np.all((1 - lam * w)[3:] ** 2 < 0.7)
    assert found.certified


@pytest.mark.parametrize("cost", ["e[i] + e[i]^2", "2 * e[i] + e[i]^2 / 2"])
def test_where_nothing_is_worth_its_cost_nobody_works(cost: str) -> None:
    text = TEXT.replace("e[i]^2 / 2", cost)
    for regime in ("strict_ip", "first_best"):
        found = solved(regime, text)
        assert (found.status, efforts(found).tolist()) == ("optimal", [0] * 5)
        assert found.certified
    assert solved("tariff", text).status == "no_market"


def test_efforts_may_be_capped() -> None:
    found = solved("tariff", TEXT.replace("choose e[i] >= 0 ", "choose e[i] in [0, 0.4]"))
    assert efforts(found).max() == 0.4
    assert found.certified


def test_a_value_that_rises_ever_less() -> None:
    text = TEXT.replace("value precision(theta)", "value 3 * log(1 + precision(theta)) - 0.1")
    for regime in ("strict_ip", "first_best", "tariff"):
        found = solved(regime, text)
        assert found.certified
        assert detail(found, "largest possible gain of another allocation")


def test_two_factors() -> None:
    text = TEXT.replace("state  theta", "common B2 ~ normal(0, 1)\nstate  theta").replace(
        "w[i] * B", "w[i] * B - 0.3 * B2"
    )
    for regime, result in mechdsl.parse(text).solve(["strict_ip", "tariff"]).items():
        assert result.certified, regime


# -------------------------------------------------------------------------------------------------------- participation


def test_participation_that_fails_is_named_and_is_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.mech"
    path.write_text(
        TEXT.replace("cost   e[i]^2 / 2\n  outside 0", "cost   e[i]^2 / 2\n  outside 0.05"), encoding="utf-8"
    )
    assert main(["solve", str(path), "--regime", "strict_ip", "--json"]) == 3
    regime = json.loads(capsys.readouterr().out)["regimes"]["strict_ip"]
    check = next(c for c in regime["certificate"]["checks"] if c["name"] == "participation")
    assert not check["passed"]
    assert "creator[5] is 0.0356229 below its outside option of 0.05" in check["detail"]
    assert "creator[3]" in check["detail"]
    assert "creator[2]" not in check["detail"]
    tariff = solved("tariff", path.read_text(encoding="utf-8"))
    assert tariff.certified
    assert min(tariff.utilities["creator"].values()) > 0.05


def test_linear_prices_fail_the_firm_whose_outside_option_is_better() -> None:
    def linear(outside: float) -> Result:
        return solved(
            "linear", TEXT.replace("value precision(theta)  outside 0", f"value precision(theta)  outside {outside}")
        )

    assert linear(0.2579).certified
    failed = linear(0.258)
    assert failing(failed.certificate) == {"participation"}
    assert failed.status == "optimal"
    assert detail(failed, "participation").startswith("firm is 9.17703e-05 below")


def test_no_surplus_is_no_market(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.mech"
    path.write_text(TEXT, encoding="utf-8")
    assert main(["solve", str(path), "--regime", "tariff", "--set", "F=2", "--json"]) == 0
    regime = json.loads(capsys.readouterr().out)["regimes"]["tariff"]
    assert regime["status"] == "no_market"
    assert regime["surplus"] == pytest.approx(1.3239633580 - 2, abs=1e-9)
    assert "falls 0.676037 short" in regime["message"]
    assert "allocation" not in regime


def test_the_whole_surplus_goes_to_who_has_all_the_power() -> None:
    for power, gains in ((0, 0.0), (1, 1.0)):
        found = solved("tariff", TEXT.replace("bargaining 0.5", f"bargaining {power}"))
        assert sum(found.utilities["creator"].values()) == pytest.approx(gains * found["surplus"], abs=1e-12)
        assert found.certified


# ----------------------------------------------------------------------------------------- certificates that must fail


def recertified(result: Result, **changes: Any) -> Certificate:
    mechanism, outcome = result.run.mechanism, result.run.outcome
    assert mechanism is not None
    assert isinstance(outcome, Outcome)
    return certify(mechanism, {}, replace(outcome, **changes))


def test_other_efforts_are_no_optimum_and_no_best_response() -> None:
    found = solved("strict_ip")
    moved = {"e": efforts(found) * 1.01}
    assert {"best responses", "largest possible gain of another allocation"} <= failing(
        recertified(found, allocation=moved)
    )


def test_prices_that_do_not_induce_the_efforts() -> None:
    found = solved("tariff")
    prices = {**found.run.outcome.extra, "prices": 0.999 * found.run.outcome.extra["prices"]}  # type: ignore[union-attr]
    assert {"best responses", "the buyer's demand at the prices"} <= failing(recertified(found, extra=prices))


def test_money_that_is_lost_on_the_way() -> None:
    found = solved("tariff")
    accounts = found.run.outcome.accounts  # type: ignore[union-attr]
    short = (*accounts[:-1], Account("intermediary", "creator", accounts[-1].amounts - 0.01, "subsidies"))
    assert "budget balance" in failing(recertified(found, accounts=short))


def test_another_split_is_no_nash_bargain() -> None:
    found = solved("tariff")
    utilities = dict(found.run.outcome.utilities)  # type: ignore[union-attr]
    utilities |= {"firm": utilities["firm"] - 0.1, "creator": utilities["creator"] + 0.02}
    assert "Nash product" in failing(recertified(found, utilities=utilities))


def test_a_wrong_precision_is_found_out() -> None:
    found = solved("first_best")
    mechanism, outcome = found.run.mechanism, found.run.outcome
    assert mechanism is not None
    assert outcome is not None
    wrong = replace(
        mechanism.market, commons=tuple(replace(c, variance=2 * c.variance) for c in mechanism.market.commons)
    )
    tampered = replace(mechanism, market=wrong)
    tampered.remember({}, mechanism.solve({}))
    assert "largest possible gain of another allocation" in failing(certify(tampered, {}, outcome))


# ------------------------------------------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("choose e[i] >= 0 ", "choose e[i] >= 0.1 ", "must start at 0"),
        ("cost   e[i]^2 / 2", "cost   e[i]^2 / (1 + e[1])", "own choice alone"),
        ("cost   e[i]^2 / 2", "cost   sqrt(e[i])", "not convex"),
        ("outside 0\n}", "outside 0\n  value e[i]\n}", "must value nothing"),
        ("choose e[i] >= 0 ", "type c[i] ~ uniform(1, 2)\n  choose e[i] >= 0 ", "posted prices are for costs"),
        ("w[i] * B", "w[i] * e[i] * B", "must be known data"),
        (
            "objective firm: maximize profit }\nregime free",
            "objective creator: maximize profit }\nregime free",
            "who pays",
        ),
    ],
)
def test_refusals_say_why(old: str, new: str, reason: str) -> None:
    assert old in TEXT
    found = solved("strict_ip", TEXT.replace(old, new))
    assert found.status == "unhandled"
    assert reason in found.message


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("bargaining 0.5", "bargaining 1.5", "between 0 and 1"),
        ("creator: two_part_tariff", "creator: two_part_tariff(weights = size)", "'weights' is surplus or precision"),
        ("objective intermediary", "objective firm", "who stands between"),
        ("layer intermediary { cost F", "layer intermediary { value 1  cost F", "nothing of its own"),
    ],
)
def test_an_intermediary_that_does_not_fit(old: str, new: str, reason: str) -> None:
    assert old in TEXT
    found = solved("tariff", TEXT.replace(old, new))
    assert found.status == "unhandled"
    assert reason in found.message


def test_everything_is_derived_in_the_open() -> None:
    text = mechdsl.parse(TEXT).inspect("tariff")
    for step in ("covariance of the signals", "best linear unbiased estimator", "concavity of the precision",
                 "best response", "efficient efforts", "prices", "surplus", "weights", "lump sums"):  # fmt: skip
        assert step in text
    for style in ("markdown", "latex", "json"):
        assert mechdsl.parse(TEXT).inspect(format=style)


def test_the_chain_is_the_same_for_the_model_as_it_stands() -> None:
    model = pipeline.load(MODEL)
    assert list(model.markets) == ["strict_ip", "free_for_all", "first_best", "linear", "tariff"]


def test_the_figures_are_experiments_of_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Efforts by regime, from the model beside this one; every outcome certified."""
    figures = MODEL.with_name("figures.mech")
    assert main(["run", str(figures), "efforts", "payments", "--out", str(tmp_path)]) == 0
    assert "5 of 5 outcomes certified" in capsys.readouterr().out
    written = (tmp_path / "efforts.csv").read_text(encoding="utf-8").splitlines()
    assert len(written) == 6
    assert (tmp_path / "payments_bar_payments_creator_profit.png").stat().st_size > 1000
