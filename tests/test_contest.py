"""Contests against closed forms, another parametrisation, brute force, and the published counterexample."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import brentq

import mechdsl
from mechdsl import pipeline, theory
from mechdsl.certify import certify
from mechdsl.cli import main
from mechdsl.errors import UsageError
from mechdsl.evaluate import Array, evaluate
from mechdsl.program import Equilibrium
from mechdsl.resources import folder
from mechdsl.results import Result
from mechdsl.structure import installed, match
from mechdsl.theory.contest import contest, own_slope

TEXT = """
market contest "A contest"
index i in creators = 1..{n}
param c[i] in (0, inf) = {c}
param rho in [1, inf) = {rho}
param mu in (0, inf) = {mu}
param alpha in [0, inf) = {alpha}
param bt in [0, 1] = {bt}
param gt in [0, 1] = {gt}
layer audience
layer creator[i] {{ choose x[i] >= 0  cost {cost} }}
let s = sum(i: x[i])
regime exclusive {{ contract audience -> creator: contest(prize = mu * s^gt, rival = alpha * s^bt) }}
regime inclusive {{ contract audience -> creator: contest(prize = mu * s^gt, option = alpha * s^bt) }}
"""

FILE = folder("models") / "yao_2024" / "attention_contest.mech"


def text(c: Sequence[float], cost: str = "c[i] * x[i]^rho", /, **given: float) -> str:
    numbers = {"rho": 2.0, "mu": 50.0, "alpha": 0.8, "bt": 0.6, "gt": 0.3} | given
    return TEXT.format(n=len(c), c=list(map(float, c)), cost=cost, **numbers)


def solved(regime: str, c: Sequence[float], cost: str = "c[i] * x[i]^rho", /, **given: float) -> Result:
    return mechdsl.parse(text(c, cost, **given)).solve(regime)


def choices(result: Result) -> Array:
    return np.array(list(result.allocation["x"].values()))


def by_shares(c: Array, rho: float, mu: float, alpha: float, bt: float, gt: float) -> Array:
    """The equilibrium in shares `p`, as theory has it: `f(s) (1 - p m(s)) <= c rho (p s)^(rho - 1)`, `sum p = 1`."""
    beta, gamma = bt - gt, 1 - gt

    def shares(s: float) -> Array:
        h = alpha * s**beta + s**gamma
        f, m = mu / h, (alpha * beta * s**beta + gamma * s**gamma) / h
        if rho == 1:
            return np.asarray(np.clip((1 - c / f) / m, 0, 1))
        low, high = np.zeros_like(c), np.ones_like(c)
        for _ in range(200):
            middle = (low + high) / 2
            above = f * (1 - middle * m) > c * rho * (middle * s) ** (rho - 1)
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.asarray((low + high) / 2)

    ends = 1e-6, 1e6
    s = brentq(lambda t: float(shares(float(np.exp(t))).sum()) - 1, *np.log(ends), xtol=1e-15, rtol=1e-15)
    return np.asarray(shares(float(np.exp(s))) * np.exp(s))


@pytest.mark.parametrize("rho", [1.0, 1.2, 2.0, 3.0])
@pytest.mark.parametrize("n", [2, 6, 60, 1000])
def test_equilibria_in_choices_are_those_in_shares(n: int, rho: float) -> None:
    c = np.random.default_rng(n).uniform(1, 4, n)
    result = solved("exclusive", c.tolist(), rho=rho)
    assert result.status == "optimal"
    assert result.certified
    np.testing.assert_allclose(choices(result), by_shares(c, rho, 50, 0.8, 0.6, 0.3), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("c", [[1, 1], [1, 2, 3], [1, 1.1, 1.2, 9]])
def test_tullock_has_its_closed_form_inactive_players_included(c: list[float]) -> None:
    cheap, total = sorted(c), np.inf
    for active in range(len(c), 1, -1):  # S = P (m - 1) / sum of the m lowest costs, all of them below P / S
        total = 50 * (active - 1) / sum(cheap[:active])
        if cheap[active - 1] < 50 / total:
            break
    expected = [max(0.0, total * (1 - k * total / 50)) for k in c]
    result = solved("exclusive", c, rho=1, alpha=0, gt=0)
    np.testing.assert_allclose(choices(result), expected, rtol=1e-10, atol=1e-12)


def test_one_creator_maximises_alone() -> None:
    s = np.linspace(1e-6, 20, 4_000_001)
    u = 50 * s / (0.8 * s**0.3 + s**0.7) - s**2
    assert choices(solved("exclusive", [1]))[0] == pytest.approx(s[np.argmax(u)], abs=1e-5)


@pytest.mark.parametrize(
    ("cost", "marginal"),
    [
        ("c[i] * (exp(x[i]) - 1)", lambda c, x: c * np.exp(x)),
        ("c[i] * (x[i] + x[i]^2)", lambda c, x: c * (1 + 2 * x)),
        ("c[i] * x[i]^1.5 + 0.3 * x[i]^2", lambda c, x: 1.5 * c * np.sqrt(x) + 0.6 * x),
    ],
)
def test_any_convex_cost(cost: str, marginal: Callable[[Array, Array], Array]) -> None:
    c = np.array([1.0, 2.0, 30.0])
    x = choices(solved("exclusive", c.tolist(), cost))
    s, e = float(x.sum()), 1e-6

    def gain(t: float) -> float:
        return float(50 / (0.8 * t**0.3 + t**0.7))

    slope = (gain(s + e) - gain(s - e)) / (2 * e)
    pull = gain(s) + x * slope - marginal(c, x)
    assert np.all(np.abs(np.where(x > 0, pull, np.maximum(pull, 0))) < 1e-7)


def brute_gains(x: Array, adopters: npt.NDArray[np.bool_], c: Array, exponent: float, g: dict[str, float]) -> Array:
    """(n,) largest gain of each player, over a fine grid and both ways; `exponent`: of s in what an adopter earns."""
    beta, gamma = g["bt"] - g["gt"], 1 - g["gt"]

    def human(own: Array, others: float, m: float) -> Array:
        s = others + own
        return own * g["mu"] / (m * g["alpha"] * s**beta + s**gamma)

    def taker(s: float, m: float) -> float:
        return g["alpha"] * s**exponent * g["mu"] / (m * g["alpha"] * s**beta + s**gamma) if s > 0 else 0.0

    grid = np.geomspace(1e-6, 100, 40_001)
    m = float(adopters.sum())
    gains = []
    for i in range(len(c)):
        others = float(x.sum() - x[i])
        here = taker(float(x.sum()), m) if adopters[i] else human(x[i : i + 1], others, m)[0] - c[i] * x[i] ** g["rho"]
        best = float(np.max(human(grid, others, m - adopters[i]) - c[i] * grid ** g["rho"]))
        if not adopters[i]:
            best = max(best, taker(others, m + 1))
        gains.append(best - here)
    return np.array(gains)


NONE = {"rho": 2.0, "mu": 50.0, "alpha": 1.5, "bt": 0.9, "gt": 0.65}


def humans_alone(adopters: npt.NDArray[np.bool_], c: Array, g: dict[str, float]) -> Array:
    """The human creators' game at given adopters, by best replies in turn on a grid refined around the last one."""
    beta, gamma, m = g["bt"] - g["gt"], 1 - g["gt"], float(adopters.sum())
    x = np.where(adopters, 0.0, 1.0)
    for _ in range(30):
        for i in np.flatnonzero(~adopters):
            others = float(x.sum() - x[i])
            low, high = 1e-9, 1e3
            best = 0.0
            for _ in range(14):
                grid = np.geomspace(low, high, 41)
                s = others + grid
                u = grid * g["mu"] / (m * g["alpha"] * s**beta + s**gamma) - c[i] * grid ** g["rho"]
                at = int(np.argmax(u))
                low, high = grid[max(at - 1, 0)], grid[min(at + 1, 40)]
                best = float(grid[at])
            x[i] = best
    return x


def test_the_instance_without_an_equilibrium_is_reported_with_its_smallest_regret() -> None:
    result = solved("inclusive", [1, 1.2], **NONE)
    assert (result.status, result["equilibria"], result.certificate) == ("no_equilibrium", [], None)
    c = np.array([1.0, 1.2])
    regrets = [
        brute_gains(humans_alone(a, c, NONE), a, c, NONE["bt"], NONE).max()
        for a in (np.array(p) for p in product([False, True], repeat=2))
        if not a.all()
    ]
    assert min(regrets) > 1
    assert result["smallest_regret"] == pytest.approx(min(regrets), rel=1e-5)


def test_with_the_exponent_of_the_notes_the_instance_has_an_equilibrium() -> None:
    """In the notes an adopter earns `alpha s^beta mu / (...)`: payoffs then do not add up to attention."""
    c = np.array([1.0, 1.2])
    beta = NONE["bt"] - NONE["gt"]
    regrets = [
        brute_gains(humans_alone(a, c, NONE), a, c, beta, NONE).max()
        for a in (np.array(p) for p in product([False, True], repeat=2))
        if not a.all()
    ]
    assert min(regrets) < 1e-6


def test_every_inclusive_equilibrium_stands_brute_force_and_all_are_found() -> None:
    c = np.array([1, 1.5, 2, 2.5, 3, 4])
    g = {"rho": 1.5, "mu": 50.0, "alpha": 0.8, "bt": 0.6, "gt": 0.3}
    found = mechdsl.load(FILE).solve("inclusive")
    stated = {tuple(e["humans"]) for e in found["equilibria"]}
    by_force = set()
    for pattern in product([False, True], repeat=6):
        adopters = np.array(pattern)
        if adopters.all():
            continue
        if brute_gains(humans_alone(adopters, c, g), adopters, c, g["bt"], g).max() < 1e-5:
            by_force.add(tuple(str(i + 1) for i in np.flatnonzero(~adopters)))
    assert stated == by_force
    assert found.certified


def test_adopters_and_humans_divide_the_whole_prize() -> None:
    result = mechdsl.load(FILE).solve("inclusive")
    s = sum(result.allocation["x"].values())
    assert sum(result.payments["creator"].values()) == pytest.approx(50 * s**0.3, rel=1e-12)
    assert result.welfare == pytest.approx(-sum(result["costs"]["creator"].values()), rel=1e-12)


@pytest.mark.parametrize(
    "given", [{"bt": 0.1, "gt": 0.6, "alpha": 1.5, "mu": 5}, {"bt": 0, "gt": 0.9, "alpha": 2, "mu": 5}]
)
def test_a_negative_beta_is_searched_and_each_answer_stands(given: dict[str, float]) -> None:
    c = np.array([1, 1.5, 2])
    result = solved("exclusive", c.tolist(), rho=1.5, **given)
    g = {"rho": 1.5, "mu": 5.0, "alpha": 0.0, "bt": 0.0, "gt": 0.0} | given
    assert result["equilibria"]
    assert "others cannot be excluded" in result.message

    def reply(i: int, x: Array) -> float:
        grid = np.concatenate(([0.0], np.geomspace(1e-9, 100, 20_001)))
        s = x.sum() - x[i] + grid
        with np.errstate(all="ignore"):
            u = np.nan_to_num(grid * g["mu"] / (g["alpha"] * s ** (g["bt"] - g["gt"]) + s ** (1 - g["gt"])))
        u -= c[i] * grid**1.5
        return float(grid[int(np.argmax(u))])

    for e in result["equilibria"]:
        x = np.array(list(e["x"].values()))
        assert [reply(i, x) for i in range(3)] == pytest.approx(x.tolist(), rel=2e-3, abs=1e-8)
    totals = [e["total"] for e in result["equilibria"]]
    for start in (1e-6, 1.0, 50.0):  # where best replies in turn come to rest is among them
        x = np.full(3, start)
        for _ in range(200):
            for i in range(3):
                x[i] = reply(i, x)
        assert min(abs(x.sum() - t) for t in totals) < 2e-2 * max(1.0, x.sum())


def test_nobody_creates_where_the_first_unit_costs_more_than_all_attention() -> None:
    result = solved("exclusive", [60, 70], rho=1, gt=1)
    assert choices(result).tolist() == [0, 0]
    assert result.certified
    assert result["equilibria"][0]["humans"] == ["1", "2"]


def test_payoffs_without_a_maximum_are_said_to_grow_without_end() -> None:
    result = solved("exclusive", [10, 70], rho=1, gt=1)
    assert (result.status, result["equilibria"]) == ("unbounded", [])


def test_equal_creators_are_counted_once() -> None:
    result = solved("inclusive", [1, 1, 1, 1], rho=2)
    assert result["equilibria"]
    assert len({(len(e["humans"]), round(e["total"], 9)) for e in result["equilibria"]}) == len(result["equilibria"])


TOPICS = """
market topics "Two topics"
index i in creators = 1..3
index k in topics = {{sports, music}}
param a[i, k] in (0, inf) = [[1, 2], [1.5, 1], [3, 1.2]]
param mu[k] in (0, inf) = {{sports: 30, music: 50}}
param B[i] in (0, inf) = {budget}
layer audience
layer creator[i] {{ choose x[i, k] >= 0  cost sum(k: a[i, k] * x[i, k]^1.5) }}
let s[k] = sum(i: x[i, k])
constraint budget[i]: sum(k: x[i, k]) <= B[i]
contract[k] audience -> creator: contest(score = x[i, k], prize = mu[k] * s[k]^0.3, rival = 0.8 * s[k]^0.6)
"""


def test_topics_without_a_binding_budget_are_contests_of_their_own() -> None:
    result = mechdsl.parse(TOPICS.format(budget=100)).solve("main")
    assert result.certified
    for k, c, mu in (("sports", [1, 1.5, 3], 30), ("music", [2, 1, 1.2], 50)):
        expected = by_shares(np.array(c, dtype=float), 1.5, mu, 0.8, 0.6, 0.3)
        found = [row[k] for row in result.allocation["x"].values()]
        np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_a_binding_budget_is_spent_where_it_is_worth_most() -> None:
    result = mechdsl.parse(TOPICS.format(budget=[3, 3, 30])).solve("main")
    assert result.certified
    x = np.array([list(row.values()) for row in result.allocation["x"].values()])
    a, mu = np.array([[1, 2], [1.5, 1], [3, 1.2]]), np.array([30, 50])

    def payoff(i: int, own: Array) -> float:
        s = x.sum(axis=0) - x[i] + own
        return float(np.sum(own * mu / (0.8 * s**0.3 + s**0.7)) - np.sum(a[i] * own**1.5))

    for i, budget in enumerate([3, 3]):
        shares = np.linspace(0, budget, 30_001)
        best = max(payoff(i, np.array([share, budget - share])) for share in shares)
        assert x[i].sum() == pytest.approx(budget, rel=1e-10)
        assert best <= payoff(i, x[i]) + 1e-7


def test_mirror_descent_comes_to_the_same_rest() -> None:
    market = mechdsl.load(FILE)
    here, there = (choices(market.solve("exclusive", method=m)) for m in ("conditions", "mirror"))
    np.testing.assert_allclose(here, there, rtol=1e-9)
    with pytest.raises(UsageError, match=r"no method 'miror'.*Did you mean 'mirror'"):
        market.solve("exclusive", method="miror")


def test_own_slopes_are_the_payoffs_slopes() -> None:
    market = mechdsl.parse(TOPICS.format(budget=100)).model.markets["main"]
    game, posed = contest(market), theory.contest_game(market)
    slope, letters = own_slope(game, game.choices[0])
    x = np.random.default_rng(3).uniform(0.5, 3, (3, 2))
    values = {**market.data, game.choices[0].quantity: x}
    table = evaluate(slope, values, letters)
    for i, k in product(range(3), range(2)):
        ends = []
        for e in (1e-6, -1e-6):
            moved = np.array(x)
            moved[i, k] += e
            ends.append(float(evaluate(posed.payoff, {**values, game.choices[0].quantity: moved}, (game.player,))[i]))
        assert table[i, k] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-7)


def test_powers_between_0_and_1_leave_one_equilibrium() -> None:
    """`g' <= 0` and `2 g' + S g'' <= 0` in numbers, at random sums of powers."""
    generator = np.random.default_rng(5)
    s = np.geomspace(1e-3, 1e3, 2001)
    for _ in range(200):
        a, e = generator.uniform(0, 3, 3), generator.uniform(0, 1, 3)
        h, h1, h2 = (
            sum(ai * w * s ** (ei - d) for ai, ei, w in zip(a, e, ws, strict=True))
            for d, ws in enumerate((np.ones(3), e, e * (e - 1)))
        )
        slope, bend = -h1 / h**2, 2 * h1**2 / h**3 - h2 / h**2
        assert np.all(slope <= 0)
        assert np.all(2 * slope + s * bend <= 1e-12 * np.abs(slope))


def test_a_profile_that_is_none_loses_its_certificate() -> None:
    market = mechdsl.load(FILE).model.markets["exclusive"]
    structure = match(market, installed()).structure
    assert structure is not None
    ready = pipeline.mechanism(market, structure)
    game = ready.program
    assert isinstance(game, Equilibrium)
    true = ready.engine.solve()
    first = true.profiles[0]
    values = {"x": 1.01 * first.values["x"]}
    from mechdsl.engines.replies import gains, payoffs

    wrong = replace(
        first,
        values=values,
        payoffs=payoffs(game, values, first.adopters),
        gains=gains(game, values, first.adopters)[0],
    )
    ready.keep("equilibria", lambda: replace(true, profiles=(wrong,)))
    outcome = structure.recover(ready, {})
    failed = {c.name for c in certify(ready, {}, outcome).checks if not c.passed}
    assert failed == {"largest unilateral gain", "largest gain, solved again"}


def test_what_does_not_fit_is_said() -> None:
    two = text([1, 2]).replace("choose x[i] >= 0", "choose x[i] >= 0  choose z[i] >= 0")
    result = mechdsl.parse(two).solve("exclusive")
    assert "say which is the score" in result.message
    pair = text([1, 2]).replace("rival = alpha * s^bt", "rival = alpha * s^bt, option = 1")
    assert "either a rival or an option" in mechdsl.parse(pair).solve("exclusive").message


def test_the_command_shows_equilibria_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", str(FILE), "--json", "--method", "conditions"]) == 0
    regimes = json.loads(capsys.readouterr().out)["regimes"]
    (one,) = regimes["exclusive"]["equilibria"]
    assert one["humans"] == list("123456")
    assert one["x"] == regimes["exclusive"]["allocation"]["x"]
    assert one["utilities"] == pytest.approx(regimes["exclusive"]["utilities"]["creator"])
    assert 0 <= one["regret"] < 1e-10


def test_inspect_and_export_show_the_conditions(capsys: pytest.CaptureFixture[str]) -> None:
    market = mechdsl.load(FILE)
    shown = market.inspect("exclusive")
    for words in ("payoff", "first-order condition of x", "aggregate", "uniqueness", "equilibrium"):
        assert words in shown
    model = market.export("pyomo", "exclusive")
    assert "ConcreteModel" in model
    assert "pull" in model
    assert main(["inspect", str(FILE), "--format", "latex"]) == 0
    assert r"\begin{document}" in capsys.readouterr().out
