"""What correlated signals tell of a state: covariance, best linear unbiased estimator and precision, from `signal`
statements.

The precision is `a' S^-1 a` with `S = D + sum V w w'`. Common factors are eliminated one at a time (Woodbury, a rank
at a step), with sums left as sums: for one factor `E - V A^2 / (1 + V C)`, which holds for V = 0 and for efforts of 0
as it stands, and never divides by less than 1.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from mechdsl.derivation import Step
from mechdsl.errors import InternalError
from mechdsl.evaluate import evaluate
from mechdsl.formula import (
    Entry,
    IndexSum,
    Letter,
    Quantity,
    derivative,
    precision_of,
    quantities,
    rename_letters,
    substitute,
)
from mechdsl.market import Layer, Market, Signal
from mechdsl.signals import signal_letters
from mechdsl.theory.curvature import curvature
from mechdsl.theory.notation import free_name

__all__ = ["Factor", "Learning", "Told", "informed", "learning", "precision_misfit", "precision_steps", "written_out"]

_PAPER = "Dai, Farboodi, Golrezaei & Shahshahani (2026), section 3.1"
_WOODBURY = "Aitken (1936), On least squares; Woodbury (1950), Inverting modified matrices"
_LARGEST = 4_000  # operations in a formula of the precision that is still worth writing down


@dataclass(frozen=True, slots=True)
class Factor:
    """One common factor, or one entry of an indexed one: its head, as formulas show it, and its variance."""

    entry: sp.Expr
    variance: sp.Expr


@dataclass(frozen=True, slots=True)
class Told:
    """One signal, taken apart: `slope * theta + sum(loading * factor) + noise`, formulas in `letters`.

    Args:
        layer, signal, letters: whose it is, and what it is repeated over.
        slope: of the state.
        loadings: of the factors, in order.
        noise: precision of the noise.
        residual: `slope` less what the factors' best estimates take away: `1 - lambda w[i]`; its square is the marginal
            precision of the signal in the precision of its noise.
    """

    layer: Layer
    signal: Signal
    letters: tuple[Letter, ...]
    slope: sp.Expr
    loadings: tuple[sp.Expr, ...]
    noise: sp.Expr
    residual: sp.Expr = sp.S.Zero


@dataclass(frozen=True, slots=True)
class Learning:
    """What the signals of a market tell of its state.

    Args:
        state: the unknown.
        factors: in the order in which they are eliminated.
        told: the signals.
        precision: `1 / Var(BLUE)`, a scalar formula in the choices and the data.
        estimate: `lambda`: for one factor, the formula of `V A / (1 + V C)`; None for none or several.
    """

    state: Quantity
    factors: tuple[Factor, ...]
    told: tuple[Told, ...]
    precision: sp.Expr
    estimate: sp.Expr | None


def precision_misfit(market: Market) -> str | None:
    """Why the precision of the market's state has no formula here, in the market's words; None where it has."""
    if not market.states:
        return "there is no state that signals could tell of"
    if len(market.states) > 1 or market.states[0].letters:
        return "it is for one unknown state"
    told = _signals(market, _factors(market))
    if not told:
        return f"no signal tells of {market.states[0].quantity.name}"
    for one in told:
        if any(quantities(f, role) for f in (one.slope, *one.loadings) for role in ("decision", "type")):
            return f"how signal '{one.signal.declaration.quantity.name}' depends on what is unknown must be known data"
    if learning(market).precision.count_ops() > _LARGEST:
        return f"{len(_factors(market))} common factors that overlap make too long a formula"
    return None


@functools.lru_cache(maxsize=16)
def learning(market: Market) -> Learning:
    """The signals taken apart, and the precision they have together.

    Source: Aitken (1936) for the estimator; Woodbury (1950), applied a factor at a time; ours in this form
    (tests/test_theory_precision.py: against the inverse of the covariance).
    """
    factors = _factors(market)
    told = _signals(market, factors)
    gram = _gram(market, told, factors)
    order = sorted(range(len(factors)), key=lambda k: sum(gram[k, j] != 0 for j in range(len(factors))))
    state = -1
    rows = [{k: one.loadings[k] for k in order} | {state: one.slope} for one in told]
    for position, k in enumerate(order):
        share = factors[k].variance / (1 + factors[k].variance * gram[k, k])
        left = [*order[position + 1 :], state]
        rows = [row | {j: row[j] - share * row[k] * gram[k, j] for j in left} for row in rows]
        gram |= {(i, j): gram[i, j] - share * gram[i, k] * gram[k, j] for i in left for j in left}
    alone = factors[0].variance * gram[0, state] / (1 + factors[0].variance * gram[0, 0]) if len(factors) == 1 else None
    return Learning(
        market.states[0].quantity,
        tuple(factors[k] for k in order),
        tuple(replace(one, residual=_apart(row[state])) for one, row in zip(told, rows, strict=True)),
        gram[state, state],
        alone,
    )


def informed(market: Market) -> Market:
    """The market with `precision(theta)` written out wherever it stands.

    Raises:
        InternalError: it has no formula; a structure refuses such a market before (`precision_misfit` says why).
    """

    def out(formula: sp.Expr) -> sp.Expr:
        return written_out(market, formula)

    return replace(
        market,
        layers=tuple(
            replace(y, cost=out(y.cost), value=out(y.value), outside=out(y.outside)) for y in market.layers
        ),
        constraints=tuple(replace(c, left=out(c.left), right=out(c.right)) for c in market.constraints),
        objectives=tuple(o if isinstance(o.goal, str) else replace(o, goal=out(o.goal)) for o in market.objectives),
    )  # fmt: skip


def written_out(market: Market, formula: sp.Expr) -> sp.Expr:
    """A formula of the market with `precision(theta)` written out. Raises as `informed` does."""
    if not quantities(formula, "precision"):
        return formula
    reason = precision_misfit(market)
    if reason is not None:
        raise InternalError(reason)
    known = learning(market)
    found: sp.Expr = substitute(formula, precision_of(known.state), (), known.precision)
    return found


def precision_steps(market: Market) -> tuple[Step, ...]:
    """Covariance, estimator, precision and its curvature; none where no formula asks for the precision."""
    if not any(quantities(f, "precision") for f in _formulas(market)):
        return ()
    known = learning(market)
    return (
        _covariance_step(known),
        _estimator_step(market, known),
        _precision_step(known),
        _concavity_step(market, known),
    )


def _covariance_step(known: Learning) -> Step:
    formulas: list[tuple[str, sp.Basic]] = []
    for one in known.told:
        head = _head(one.signal.declaration.quantity, one.signal.declaration.letters)
        fresh = {a: Letter(f"{a.name}′", a.index_set) for a in one.letters}
        other = {k: rename_letters(v, fresh) for k, v in enumerate(one.loadings)}
        common = sp.Add(*(f.variance * one.loadings[k] * other[k] for k, f in enumerate(known.factors)))
        same = sp.Mul(*(sp.KroneckerDelta(a, b) for a, b in fresh.items()))
        covariance = Quantity("Cov", tuple(a.index_set for a in (*fresh, *fresh)), "open")
        formulas.append((f"signal of {one.layer.name}", sp.Eq(head, one.signal.mean, evaluate=False)))
        entry = _head(covariance, (*fresh, *fresh.values()))
        formulas.append((f"covariance, {one.layer.name}", sp.Eq(entry, common + same / one.noise, evaluate=False)))
    because = (
        "Given the state, signals vary with their noise, each for itself, and with the common factors, together: the "
        "covariance is a diagonal and one matrix of rank one for each factor. (The signal is shown without its noise.)"
    )
    return Step("covariance of the signals", formulas[0][1], because, _PAPER, tuple(formulas[1:]))


def _estimator_step(market: Market, known: Learning) -> Step:
    formulas: list[tuple[str, sp.Basic]] = []
    total = precision_of(known.state)
    for one in known.told:
        weight = Quantity(free_name("h", market.declarations), tuple(a.index_set for a in one.letters), "open")
        formula = one.noise * _in_estimate(market, known, one) / total
        formulas.append((f"weight of {one.layer.name}", sp.Eq(_head(weight, one.letters), formula, evaluate=False)))
    if known.estimate is not None:
        formulas.append(("factor", sp.Eq(_lambda(market), known.estimate, evaluate=False)))
    because = (
        "Among the linear estimators that are right on average, the one with weights $\\Sigma^{-1} a / (a' "
        "\\Sigma^{-1} "
        "a)$ varies least, with $a$ the signals' slopes in the state. $\\Sigma^{-1}$ is written out a factor at a time "
        "(Woodbury): what is left of a slope once the factor's best estimate is taken away."
    )
    return Step(
        "best linear unbiased estimator", formulas[0][1], because, f"{_PAPER}; {_WOODBURY}", tuple(formulas[1:])
    )


def _precision_step(known: Learning) -> Step:
    because = (
        "The precision is one over the estimator's variance, $a' \\Sigma^{-1} a$. Written with $1 + V \\sum w^2 "
        "e$ below "
        "instead of $1/V + \\sum w^2 e$ it holds for a factor of variance 0, and an effort of 0 is a signal without "
        "information."
    )
    shown = sp.Eq(precision_of(known.state), known.precision, evaluate=False)
    return Step(
        "precision", shown, because, f"{_PAPER}; {_WOODBURY}; in this form ours, tests/test_theory_precision.py"
    )


def _concavity_step(market: Market, known: Learning) -> Step:
    formulas: list[tuple[str, sp.Basic]] = []
    bends = [curvature(one.noise, market, "concave") for one in known.told]
    for one in known.told:
        for entry in sorted(_own_entries(one), key=str):
            slope = derivative(one.noise, entry)
            head = Quantity(f"d{precision_of(known.state).name}/d{entry}", (), "open")
            formulas.append((f"marginal precision of {one.layer.name}",
                             sp.Eq(head, slope * _in_estimate(market, known, one) ** 2, evaluate=False)))  # fmt: skip
    shown = formulas[0][1] if formulas else sp.true
    because = (
        "For any values $b$ of the factors, $\\sum q (a - w \\cdot b)^2 + \\sum b^2/V$ is linear in the noise's "
        "precisions $q$, and the precision is the least of these over b (generalised least squares): a minimum "
        "of linear "
        "functions is concave, with any number of factors. By the envelope theorem its slope in $q$ is the "
        "square at the "
        "best b: never negative, so it is nondecreasing too, and stays concave in choices of which $q$ is concave. "
    ) + " ".join(f"For {one.layer.name}, $q$ {bend.verdict}" for one, bend in zip(known.told, bends, strict=True))
    return Step(
        "concavity of the precision", shown, because, "ours, tests/test_theory_precision.py", tuple(formulas[1:]),
        proved=all(b.proved for b in bends), holds=all(b.holds is not False for b in bends),
    )  # fmt: skip


def _own_entries(one: Told) -> set[sp.Expr]:
    """The choices in a signal's noise that carry its own letters."""
    return {e for e in one.noise.atoms(Entry) if e.quantity.role == "decision" and e.indices == one.letters} | {
        q for q in quantities(one.noise, "decision") if not q.sets
    }


def _in_estimate(market: Market, known: Learning, one: Told) -> sp.Expr:
    """`1 - lambda w[i]`, with lambda by name where there is one factor."""
    if known.estimate is None:
        return one.residual
    return one.slope - _lambda(market) * one.loadings[0]


def _lambda(market: Market) -> Quantity:
    return Quantity(free_name("lambda", market.declarations), (), "open")


def _formulas(market: Market) -> list[sp.Expr]:
    found = [f for layer in market.layers for f in (layer.cost, layer.value, layer.outside)]
    found += [side for c in market.constraints for side in (c.left, c.right)]
    return found + [o.goal for o in market.objectives if not isinstance(o.goal, str)]


def _factors(market: Market) -> tuple[Factor, ...]:
    """Every common factor, an indexed one entry by entry."""
    found = []
    for common in market.commons:
        letters = common.declaration.letters
        for place in np.ndindex(*common.declaration.quantity.shape):
            at = {a: sp.Integer(j) for a, j in zip(letters, place, strict=True)}
            found.append(Factor(rename_letters(common.declaration.entry, at), rename_letters(common.variance, at)))
    return tuple(found)


def _signals(market: Market, factors: tuple[Factor, ...]) -> tuple[Told, ...]:
    state = market.states[0].entry
    return tuple(
        Told(
            layer,
            signal,
            signal_letters(layer, signal),
            derivative(signal.mean, state),
            tuple(derivative(signal.mean, f.entry) for f in factors),
            signal.noise_precision,
        )
        for layer in market.layers
        for signal in layer.signals
    )


def _gram(market: Market, told: tuple[Told, ...], factors: tuple[Factor, ...]) -> dict[tuple[int, int], sp.Expr]:
    """`sum of q x y` over all signals, for x, y the loadings and (at -1) the slopes; 0 where the data make it so."""
    places = [*range(len(factors)), -1]
    found: dict[tuple[int, int], sp.Expr] = {}
    for i in places:
        for j in places:
            terms = []
            for one in told:
                pair = sp.Mul(*(one.slope if k < 0 else one.loadings[k] for k in (i, j)))
                if pair != 0 and np.any(evaluate(pair, market.data, one.letters) != 0):
                    body = one.noise * pair
                    terms.append(IndexSum(body, one.letters) if one.letters else body)
            found[i, j] = sp.Add(*terms)
    return found


def _apart(formula: sp.Expr) -> sp.Expr:
    """The formula with the letters its sums bind renamed: outside they are free."""
    renamed = {}
    for node in formula.atoms(IndexSum):
        fresh = {a: Letter(f"{a.name}′", a.index_set) for a in node.letters}
        renamed[node] = IndexSum(rename_letters(node.body, fresh), tuple(fresh.values()), node.where)
    found: sp.Expr = formula.xreplace(renamed)
    return found


def _head(quantity: Quantity, letters: tuple[Letter, ...]) -> sp.Expr:
    return Entry(quantity, *letters) if letters else quantity
