"""What is claimed of contests for attention, each decided on the instance by solving it again with one thing changed.

A published statement stands with the condition under which it is guaranteed; where that fails the numbers decide, and
say so. Source: Yao, Li, Nekipelov, Wang & Xu (2024); conditions marked ours are tested in tests/test_contest_claims.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, quantities, rename_letters
from mechdsl.market import Market
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Outcome
from mechdsl.program import Equilibria, Equilibrium
from mechdsl.structure import Claim, Finding
from mechdsl.theory.contest import contest, contest_game
from mechdsl.theory.contest_outcome import equilibria

__all__ = ["CONTEST_CLAIMS"]

SOURCE = "Yao, Li, Nekipelov, Wang & Xu (2024)"
STEP = 1.01  # factor by which one thing is changed
FEW = 12  # players up to which each is changed in turn; beyond, that many of them, evenly spread
SAME = 1e-9  # relative change that counts as none

Runs = Mapping[str, tuple[Mechanism, Outcome]]


@dataclass(frozen=True, slots=True)
class _Powers:
    """A contest in powers: prize `mu S^gt`, rival or option `alpha S^bt`, costs `c[i] x[i]^rho`."""

    mu: float
    gt: float
    alpha: float
    bt: float
    c: Array
    rho: float


def _powers(market: Market) -> _Powers | None:
    """The instance in powers, where it is one."""
    game, posed = contest(market), contest_game(market)
    if posed.aggregate is None:
        return None
    prize = game.prizes[0]
    s = sp.Dummy(positive=True)
    read = [_power(e.xreplace({prize.total: s}), s, market) for e in (prize.prize, prize.option or prize.rival)]
    own = Entry(game.choices[0].quantity, game.player)
    cost = game.cost.xreplace({own: s})
    c = evaluate(cost.xreplace({s: sp.S.One}), market.data, (game.player,))
    twice = evaluate(cost.xreplace({s: sp.Integer(2)}), market.data, (game.player,))
    eightfold = evaluate(cost.xreplace({s: sp.Integer(8)}), market.data, (game.player,))
    rho = float(np.log2(twice[0] / c[0]))
    if None in read or not (np.allclose(twice, c * 2**rho) and np.allclose(eightfold, c * 8**rho)):
        return None
    (mu, gt), (alpha, bt) = (r for r in read if r is not None)
    return _Powers(mu, gt, alpha, bt, np.asarray(c), rho)


def _power(formula: sp.Expr, s: sp.Symbol, market: Market) -> tuple[float, float] | None:
    coefficient, power = sp.powsimp(formula).as_independent(s, as_Add=False)
    base, exponent = power.as_base_exp() if power != 1 else (s, sp.S.Zero)
    if base != s or not quantities(coefficient) | quantities(exponent) <= set(market.data):
        return None
    return float(evaluate(coefficient, market.data)), float(evaluate(exponent, market.data))


# ------------------------------------------------------------------------------------- the same with one thing changed


def _again(market: Market) -> Equilibria:
    from mechdsl.engines.nash import compile_game

    found: Equilibria = compile_game(contest_game(market)).solve()
    return found


def _with_cost(market: Market, place: int, factor: float) -> Market:
    """One player's cost times `factor`."""
    game = contest(market)
    here = sp.Eq(game.player, place)
    scaled = sp.Piecewise((sp.Float(factor) * game.layer.cost, here), (game.layer.cost, True))
    layer = replace(game.layer, cost=rename_letters(scaled, {game.player: game.layer.letters[0]}))
    return replace(market, layers=tuple(layer if y.name == layer.name else y for y in market.layers))


def _with_rival(market: Market, factor: float) -> Market:
    """Rivals and options `factor` times as efficient."""
    contracts = []
    for c in market.contracts:
        changed = {n: a if n not in ("rival", "option") else sp.Float(factor) * a for n, a in c.arguments.items()}
        contracts.append(replace(c, arguments=changed))
    return replace(market, contracts=tuple(contracts))


def _some(count: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, FEW)).round()})


def _choices(posed: Equilibrium, found: Equilibria) -> Array:
    return np.asarray(found.profiles[0].values[posed.variables[0].name])


def _exclusive(runs: Runs) -> tuple[Mechanism, Equilibria] | None:
    for mechanism, _ in runs.values():
        if isinstance(mechanism.program, Equilibrium) and mechanism.program.option is None:
            return mechanism, equilibria(mechanism)
    return None


def _inclusive(runs: Runs) -> tuple[Mechanism, Equilibria] | None:
    for mechanism, _ in runs.values():
        if isinstance(mechanism.program, Equilibrium) and mechanism.program.option is not None:
            return mechanism, equilibria(mechanism)
    return None


def _unique(mechanism: Mechanism) -> bool:
    return bool(mechanism.program.aggregate and mechanism.program.aggregate.unique)  # type: ignore[union-attr]


NOT_HERE = "The file has no regime of this kind with an equilibrium to look at."


# ------------------------------------------------------------------------------------------------------------- claims


def _existence_unique(runs: Runs) -> Finding:
    found = _exclusive(runs)
    if found is None:
        return Finding(None, None, NOT_HERE)
    mechanism, all_found = found
    met = _unique(mechanism)
    count = len(all_found.profiles)
    words = "One equilibrium, and there is no other" if met and count == 1 else f"{count} found"
    holds = None if count == 1 and not met else count == 1  # another cannot be excluded
    return Finding(holds, met, f"{words}: {all_found.searched}.")


def _own_cost(runs: Runs) -> Finding:
    found = _exclusive(runs)
    if found is None or not found[1].profiles or found[0].program.aggregate is None:  # type: ignore[union-attr]
        return Finding(None, None, NOT_HERE)
    mechanism, here = found
    posed = contest_game(mechanism.market)
    x = _choices(posed, here)
    worst, who = -np.inf, ""
    for i in _some(len(x)):
        there = _again(_with_cost(mechanism.market, i, STEP))
        if not there.profiles:
            return Finding(None, _unique(mechanism), "With one cost raised there was no equilibrium to compare with.")
        change = float((_choices(posed, there)[i] - x[i]) / max(x[i], 1e-300))
        if change > worst:
            worst, who = change, posed.player.index_set.labels[i]
    detail = f"A cost 1% higher changes the own creation by at most {100 * worst:+.3g}% (creator {who})."
    return Finding(bool(worst <= SAME), _unique(mechanism), detail)


def _entry(runs: Runs) -> Finding:
    found = _exclusive(runs)
    if found is None or not found[1].profiles or found[0].program.aggregate is None:  # type: ignore[union-attr]
        return Finding(None, None, NOT_HERE)
    mechanism, here = found
    posed = contest_game(mechanism.market)
    x = _choices(posed, here)
    met = _unique(mechanism) and bool(np.max(x) <= 0.5 * np.sum(x))
    worst, words = -np.inf, "There is one creator alone."
    for i in _some(len(x)) if len(x) > 1 else []:
        without = _without(posed, mechanism.market, i)
        if without is None:
            return Finding(None, met, "Without one of the creators there was no equilibrium to compare with.")
        others = np.arange(len(x)) != i
        rise = (x[others] - without[others]) / np.maximum(without[others], 1e-300)
        if rise.max() > worst:
            worst = float(rise.max())
            j = posed.player.index_set.labels[int(np.flatnonzero(others)[int(np.argmax(rise))])]
            new = posed.player.index_set.labels[i]
            words = f"Entry of creator {new} changes creator {j}'s output by {100 * worst:+.3g}%."
    return Finding(bool(worst <= SAME), met, words)


def _without(posed: Equilibrium, market: Market, place: int) -> Array | None:
    """The equilibrium among the others: one creator's cost made prohibitive by leaving it out of the sum."""
    from mechdsl.engines.aggregate import profiles

    assert posed.aggregate is not None
    active = np.arange(len(posed.player.index_set)) != place
    known = {**market.data, posed.adopters: np.zeros(())}
    with np.errstate(all="ignore"):  # S is tried to the ends of the floats
        return next(profiles(posed.aggregate, posed.player, posed.variables[0].quantity, known, active), None)


def _efficiency(runs: Runs) -> Finding:
    found = _exclusive(runs)
    if found is None or not found[1].profiles:
        return Finding(None, None, NOT_HERE)
    mechanism, here = found
    there = _again(_with_rival(mechanism.market, STEP))
    if not there.profiles:
        return Finding(None, None, "With a more efficient rival there was no equilibrium to compare with.")
    totals = [sum(float(np.sum(v)) for v in e.profiles[0].values.values()) for e in (here, there)]
    change = (totals[1] - totals[0]) / max(totals[0], 1e-300)
    return Finding(
        bool(change <= SAME), None, f"A rival 1% more efficient changes total creation by {100 * change:+.3g}%."
    )


def _bounds(runs: Runs) -> Finding:
    found = _exclusive(runs)
    if found is None or not found[1].profiles:
        return Finding(None, None, NOT_HERE)
    mechanism, here = found
    p = _powers(mechanism.market)
    if p is None:
        return Finding(None, False, "Prize, rival and costs are not single powers: the bounds are not stated for it.")
    posed = contest_game(mechanism.market)
    x = _choices(posed, here)
    s, gamma = float(x.sum()), 1 - p.gt
    norm = float(np.max(1 / p.c)) if p.rho == 1 else float(np.sum(p.c ** (-1 / (p.rho - 1))) ** (p.rho - 1))
    ratio = s ** (gamma + p.rho - 1) / (p.mu * norm)
    low, high = 1 / p.rho / (2 * p.alpha + 2), 1 / p.rho
    met = p.bt >= p.gt and s >= 1 and float(x.max()) <= 0.5 * s
    detail = f"{low:.6g} < {ratio:.6g} < {high:.6g}; s = {s:.6g}, largest share {x.max() / max(s, 1e-300):.3g}."
    return Finding(bool(low < ratio < high), met, detail)


def _inclusive_existence(runs: Runs) -> Finding:
    found = _inclusive(runs)
    if found is None:
        return Finding(None, None, NOT_HERE)
    mechanism, all_found = found
    p = _powers(mechanism.market)
    met = None if p is None else bool(p.bt + p.gt >= 1)
    if all_found.profiles:
        return Finding(True, met, f"{len(all_found.profiles)} found: {all_found.searched}.")
    regret = all_found.nearest.regret if all_found.nearest else float("nan")
    stated = " although bt + gt >= 1, the condition of the notes" if met else ""
    return Finding(False, met, f"None found{stated}; smallest regret {regret:.6g}. {all_found.searched}.")


def _threshold(runs: Runs) -> Finding:
    found = _inclusive(runs)
    if found is None or not found[1].profiles:
        return Finding(None, None, NOT_HERE)
    mechanism, all_found = found
    p = _powers(mechanism.market)
    if p is None:
        return Finding(None, None, "Costs are not ordered by one number.")
    sorted_ones = [
        e for e in all_found.profiles if e.adopters.all() or not e.adopters.any() or _ordered(p.c, e.adopters.tolist())
    ]
    detail = f"In {len(sorted_ones)} of {len(all_found.profiles)} equilibria found the costliest use GenAI."
    return Finding(bool(sorted_ones), None, detail)


def _ordered(c: Array, adopters: Sequence[bool]) -> bool:
    taken = np.asarray(adopters, dtype=np.bool_)
    return bool(c[taken].min() >= c[~taken].max())


def _share(runs: Runs) -> Finding:
    found = _inclusive(runs)
    if found is None or not found[1].profiles:
        return Finding(None, None, NOT_HERE)
    mechanism, here = found
    there = _again(_with_rival(mechanism.market, 1.25))
    if not there.profiles:
        return Finding(None, None, "With a more efficient option there was no equilibrium to compare with.")
    shares = [np.mean(e.profiles[0].adopters) for e in (here, there)]
    words = f"Share of GenAI users {shares[0]:.3g}, with an option a quarter more efficient {shares[1]:.3g}"
    return Finding(bool(shares[1] >= shares[0]), None, f"{words} (the equilibrium with the fewest users in each).")


def _claim(name: str, text: str, condition: str, decide: Callable[[Any], Finding]) -> Claim:
    return Claim(name, text, condition, lambda market: None, SOURCE, decide)


CONTEST_CLAIMS = (
    _claim(
        "exclusive_unique",
        "with GenAI as a rival there is one equilibrium",
        "1/g a sum of powers of S between 0 and 1 (bt >= gt), convex costs",
        _existence_unique,
    ),
    _claim("own_cost", "a creator's output falls in its own cost", "one equilibrium (bt >= gt)", _own_cost),
    _claim(
        "entry",
        "an entrant lowers everyone else's output",
        "one equilibrium and no share above 1/2 [ours: then g' + x g'' <= 0]",
        _entry,
    ),
    _claim("genai_efficiency", "a more efficient GenAI lowers total creation", "", _efficiency),
    _claim(
        "total_creation",
        "C/(2 alpha + 2) < s^(gamma + rho - 1) / (mu ||1/c||) < C with C = 1/rho",
        "powers, bt >= gt; the lower half needs s >= 1 and shares <= 1/2",
        _bounds,
    ),
    _claim(
        "inclusive_existence",
        "with GenAI as an option there is an equilibrium",
        "the notes: bt + gt >= 1, which does not suffice",
        _inclusive_existence,
    ),
    _claim(
        "costliest_adopt",
        "in some equilibrium those who use GenAI are those with the highest costs",
        "",
        _threshold,
    ),
    _claim("adoption_share", "a more efficient GenAI raises the share of its users", "large n and mu", _share),
)
