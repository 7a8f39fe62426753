"""What is claimed of posted prices against the first best, each claim with its condition, decided on an instance.

The claims are the paper's; that some need a condition, and which, was found by looking for counterexamples. A claim
that fails where its condition does not hold is no mistake of the solver, and one that holds without it is luck.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sympy as sp

from mechdsl.accounting import stated_values
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity, derivative, precision_of, quantities
from mechdsl.market import Layer, Market
from mechdsl.program import Status
from mechdsl.signals import residuals
from mechdsl.structure import Claim, Finding
from mechdsl.theory.precision import learning, precision_misfit

if TYPE_CHECKING:
    from mechdsl.mechanism import Mechanism
    from mechdsl.outcome import Outcome

    One = tuple[Mechanism, Outcome]
    Solved = Mapping[str, One]

__all__ = ["NOT_HERE", "POSTED_PRICE_CLAIMS", "answered", "who"]

NOT_HERE = (
    "It says nothing here: it compares posted prices or a tariff with a planner, and needs both regimes, or it is "
    "about a special case."
)
_PAPER = "Dai, Farboodi, Golrezaei & Shahshahani (2026)"
_CONDITIONS = "condition: ours, tests/test_data_claims.py"
_TOLERANCE = 1e-8  # relative; solved efforts are good to 1e-9
_MONEY = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """A market of posted prices and its first best: efforts, costs and what is told, provider by provider.

    Args:
        led, best: efforts under the leader and under the planner.
        w: loadings on the one common factor; None where there is not exactly one, or slopes differ.
        left: `1 - lambda* w` at the first best, of every provider.
    """

    market: Market
    provider: Layer
    led: Array
    best: Array
    w: Array | None
    left: Array
    values: tuple[dict[Quantity, Array], dict[Quantity, Array]]

    @property
    def ratio(self) -> Array:
        """`r = e_m / e*`; NaN where the first best is 0, or so near that the ratio has no digits."""
        small = self.best < 1e-7 * max(float(np.max(self.best, initial=0.0)), 1e-300)
        with np.errstate(all="ignore"):
            return np.where(small, np.nan, self.led / self.best)

    @property
    def correlated_mildly(self) -> bool:
        """`lambda* max w < 1`: nobody's content is so correlated that the estimator subtracts it."""
        return bool(np.all(self.left > 0))

    @property
    def quadratic(self) -> bool:
        return _elasticity(self.market, self.provider) == 2

    def both(self, formula: sp.Expr) -> tuple[float, float]:
        """A formula of the provider's letters, summed, under the leader and under the planner."""
        led, best = (float(np.sum(evaluate(formula, v, self.provider.letters))) for v in self.values)
        return led, best


def _elasticity(market: Market, provider: Layer) -> sp.Expr | None:
    """`e c'(e) / c(e)` where it is one number: costs are then multiples of one power, the same multiple for all."""
    entry = market.choices_of(provider.name)[0].declaration.entry
    found = sp.simplify(entry * derivative(provider.cost, entry) / provider.cost)
    alike = not quantities(found, "decision") and not found.has(*provider.letters)
    factor = sp.simplify(provider.cost / entry**found) if alike else sp.S.Zero
    return found if alike and not factor.has(*provider.letters) else None


def _pair(solved: Solved) -> _Pair | None:
    """The first regime of posted prices and the planner's of the same data."""
    for led in answered(solved, "posted_price"):
        for best in answered(solved, "planner"):
            market = led[0].market
            same = all(np.array_equal(v, best[0].market.data.get(q, np.nan)) for q, v in market.data.items())
            provider = market.layer(market.contracts[0].provider)
            if not same or provider.cost != best[0].market.layer(provider.name).cost or precision_misfit(market):
                continue
            name = str(market.choices_of(provider.name)[0].quantity.name)
            values = tuple(stated_values(m.market, {}, o.allocation) for m, o in (led, best))
            known = learning(market)
            mine = [
                j for j, t in enumerate(known.told) if t.layer.name == provider.name and t.letters == provider.letters
            ]
            if len(mine) != 1:
                continue
            one = known.told[mine[0]]
            slopes = evaluate(one.slope, market.data, one.letters)
            alone = len(known.factors) == 1 and bool(np.all(slopes == 1))
            return _Pair(
                market,
                provider,
                np.asarray(led[1].allocation[name]),
                np.asarray(best[1].allocation[name]),
                np.asarray(evaluate(one.loadings[0], market.data, one.letters)) if alone else None,
                residuals(best[0].market, values[1])[mine[0]],
                (values[0], values[1]),
            )
    return None


def answered(solved: Solved, structure: str) -> list[One]:
    """The regimes that this structure solved."""
    return [
        (mechanism, outcome)
        for mechanism, outcome in solved.values()
        if mechanism.structure.name == structure and outcome.status is Status.OPTIMAL
    ]


# --------------------------------------------------------------------------------------------------- under-investment

_Facts = tuple[bool | None, bool | None, str]


def _of_pair(facts: Callable[[_Pair], _Facts | None]) -> Callable[[Solved], Finding]:
    def decide(solved: Solved) -> Finding:
        pair = _pair(solved)
        found = facts(pair) if pair is not None else None
        return Finding(None, None, NOT_HERE) if found is None else Finding(*found)

    return decide


def _below(led: float, best: float, what: str, met: bool | None) -> _Facts:
    slack = _TOLERANCE * max(abs(led), abs(best))
    return led <= best + slack, met, f"{what} is {led:.10g} under posted prices, {best:.10g} in the first best."


def _by_precision(pair: _Pair) -> _Facts:
    state = precision_of(pair.market.states[0].quantity)
    led, best = (float(v[state]) for v in pair.values)
    return _below(led, best, "The precision", _elasticity(pair.market, pair.provider) is not None or None)


def _by_cost(pair: _Pair) -> _Facts:
    met = _elasticity(pair.market, pair.provider) is not None or None
    return _below(*pair.both(pair.provider.cost), "The creators' total cost", met)


def _by_effort(pair: _Pair) -> _Facts:
    return _below(float(np.sum(pair.led)), float(np.sum(pair.best)), "Total effort", None)


def _by_creator(pair: _Pair) -> _Facts:
    excess = pair.led - pair.best
    worst = tuple(int(j) for j in np.unravel_index(int(np.argmax(excess)), np.shape(excess)))
    holds = bool(excess[worst] <= _TOLERANCE * float(np.max(pair.best, initial=0.0)))
    compared = f"{pair.led[worst]:.10g} under posted prices, {pair.best[worst]:.10g} in the first best"
    return holds, None, f"{who(pair.provider, worst)} works {compared}."


def _penalty(pair: _Pair) -> _Facts | None:
    """`r` rises in `w`: every creator's ratio is at least that of those who share less."""
    if pair.w is None:
        return None
    w, r = pair.w.ravel(), pair.ratio.ravel()
    kept = np.isfinite(r)
    order = np.argsort(w[kept], kind="stable")
    w, r, labels = w[kept][order], r[kept][order], np.flatnonzero(kept)[order]
    first, detail, holds = 0, "The ratios rise throughout.", True
    for j in range(1, len(w)):
        if w[j] > w[first] and r[j] < r[first] * (1 - _TOLERANCE) and holds:
            holds = False
            a, b = (who(pair.provider, _place(pair.provider, int(labels[k]))) for k in (first, j))
            detail = f"It falls from {r[first]:.6g} of {a} (w = {w[first]:.6g}) to {r[j]:.6g} of {b} (w = {w[j]:.6g})."
        if r[j] >= r[first]:
            first = j
    return holds, pair.correlated_mildly, f"{detail} {_regime(pair)}"


def _half(pair: _Pair) -> _Facts | None:
    if pair.w is None:
        return None
    least = np.nanmin(pair.ratio)
    least_of = who(pair.provider, _place(pair.provider, int(np.nanargmin(pair.ratio))))
    met = pair.correlated_mildly if pair.quadratic else None
    return (
        bool(least >= 0.5 * (1 - _TOLERANCE)),
        met,
        f"The least ratio is {least:.10g}, of {least_of}. {_regime(pair)}",
    )


def _originals(pair: _Pair) -> _Facts | None:
    if pair.w is None or not np.any(pair.w == 0):
        return None
    ratios = pair.ratio[pair.w == 0]
    off = float(np.max(np.abs(ratios - 0.5)))
    detail = f"Creators with w = 0 have ratios within {off:.2g} of 1/2."
    return off <= _TOLERANCE, pair.quadratic or None, detail


def _imitators(pair: _Pair) -> _Facts | None:
    """`2^(-1/3) (1 - x)^(2/3) <= r <= 2^(-1/3)` with `1 - x = kappa x^3 / 2`, `kappa = n V w^2`: x vanishes as "
    "it grows.
    """
    if pair.w is None or np.ptp(pair.w) > 0 or not pair.quadratic or pair.w.ravel()[0] == 0:
        return None
    known = learning(pair.market)
    entry = pair.market.choices_of(pair.provider.name)[0].declaration.entry
    scale = float(np.ravel(evaluate(2 * pair.provider.cost / entry**2, pair.values[1], pair.provider.letters))[0])
    strength = (
        pair.w.size * float(evaluate(known.factors[0].variance, pair.market.data)) * float(pair.w.ravel()[0]) ** 2
    )
    kappa = strength / scale
    x = next(float(z.real) for z in np.roots([kappa / 2, 0, 1, -1]) if abs(z.imag) < 1e-9) if kappa > 0 else 1.0
    limit = 2 ** (-1 / 3)
    low, ratio = limit * (1 - x) ** (2 / 3), float(np.mean(pair.ratio))
    holds = low * (1 - _TOLERANCE) <= ratio <= limit * (1 + _TOLERANCE)
    detail = f"With n V w^2 = {strength:.6g} the ratio is {ratio:.10g}, between {low:.10g} and 2^(-1/3) = {limit:.10g}."
    return holds, True, detail


def _regime(pair: _Pair) -> str:
    return f"lambda* max w = {1 - float(np.min(pair.left)):.6g}."


def _mild(market: Market) -> bool | None:
    """`V w_max sum w (1 - w/w_max)^3 < 1`, for costs `e^2/2` and a value that is the precision."""
    provider = market.layer(market.contracts[0].provider)
    buyer = market.layer(market.contracts[0].payer)
    if precision_misfit(market):
        return None
    known = learning(market)
    told = known.told[0]
    entry = market.choices_of(provider.name)[0].declaration.entry
    plain = buyer.value == precision_of(known.state) and sp.simplify(2 * provider.cost - entry**2) == 0
    if not plain or len(known.told) > 1 or len(known.factors) != 1 or told.slope != 1 or told.noise != entry:
        return None
    w = np.asarray(evaluate(told.loadings[0], market.data, told.letters))
    top = float(np.max(w, initial=0.0))
    if np.min(w, initial=0.0) < 0:
        return None
    return (
        top == 0
        or float(evaluate(known.factors[0].variance, market.data)) * top * float(np.sum(w * (1 - w / top) ** 3)) < 1
    )


def _unknown(market: Market) -> bool | None:
    del market
    return None


def _is_quadratic(market: Market) -> bool | None:
    return _elasticity(market, market.layer(market.contracts[0].provider)) == 2 or None


def _are_powers(market: Market) -> bool | None:
    return _elasticity(market, market.layer(market.contracts[0].provider)) is not None or None


_POWERS = "costs are one power of effort: adding up who prefers what shows it"
_MILD = "lambda* max w < 1, equivalently (costs e^2/2) V w_max sum w (1 - w/w_max)^3 < 1"


def _claim(
    name: str,
    text: str,
    condition: str,
    guaranteed: Callable[[Market], bool | None],
    place: str,
    facts: Callable[[_Pair], _Facts | None],
) -> Claim:
    return Claim(name, text, condition, guaranteed, f"{_PAPER}, {place}; {_CONDITIONS}", _of_pair(facts))


POSTED_PRICE_CLAIMS: tuple[Claim, ...] = (
    _claim("under_investment_precision", "Under posted prices the precision is below the first best.",
           _POWERS, _are_powers, "Proposition 3", _by_precision),
    _claim("under_investment_cost", "Under posted prices creators spend less than in the first best.",
           _POWERS, _are_powers, "Proposition 3", _by_cost),
    _claim("under_investment_creator", "Under posted prices every creator works less than in the first best.",
           "(1 - lambda_m w)^2 <= 2 (1 - lambda* w)^2 for every creator (quadratic costs); it can fail near w = "
           "1/lambda*",
           _unknown, "Proposition 3", _by_creator),
    _claim("under_investment_effort", "Under posted prices total effort is below the first best.",
           "none is known; it can fail", _unknown, "Proposition 3", _by_effort),
    _claim("originality_penalty", "The ratio of effort to first best, r, rises in the reliance w on the common factor.",
           _MILD, _mild, "Proposition 4", _penalty),
    _claim("originality_half", "r is at least 1/2 for every creator.", f"{_MILD}; quadratic costs", _mild,
           "Proposition 4", _half),
    _claim("originality_innovator", "r = 1/2 for a creator with w = 0.", "quadratic costs", _is_quadratic,
           "Proposition 4", _originals),
    _claim("originality_limit", "r tends to 2^(-1/3) where everyone has the same w and n V w^2 grows.",
           "quadratic costs; 2^(-1/3) (1 - x)^(2/3) <= r <= 2^(-1/3) with 1 - x = n V w^2 x^3 / 2", _is_quadratic,
           "Proposition 4", _imitators),
)  # fmt: skip
"""Of posted prices against the first best."""


def who(layer: Layer, place: tuple[int, ...]) -> str:
    """`creator[3]`."""
    labels = [a.index_set.labels[j] for a, j in zip(layer.letters, place, strict=True)]
    return f"{layer.name}[{', '.join(labels)}]" if labels else layer.name


def _place(layer: Layer, position: int) -> tuple[int, ...]:
    return tuple(int(j) for j in np.unravel_index(position, layer.shape))
