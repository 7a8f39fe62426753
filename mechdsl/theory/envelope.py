"""The envelope payment `p = known + c y + int_c^b y(t) dt`, derived from the stated cost, and when it needs no integral.

Truthful reports fix every provider's utility up to a constant (its slope in the type is minus the coefficient of the type
in the cost), participation fixes the constant. Where the weight is affine in the type, the integral is a difference of
two optimum values: one further solve a provider replaces a quadrature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import sympy as sp

from mechdsl.derivation import Step
from mechdsl.distributions import Distribution
from mechdsl.errors import InternalError
from mechdsl.formula import Letter, Quantity, derivative, quantities
from mechdsl.market import Market, PrivateType
from mechdsl.theory.change_of_variables import ChangeOfVariables, changes_of_variables
from mechdsl.theory.notation import Rule, highest, others, own, running

__all__ = ["Affine", "envelope_step"]

Affine: TypeAlias = Callable[[Distribution], tuple[float, float] | None]
"""Slope and intercept of the weight in the type on the whole support, or None."""

_PAPER = (
    "Ai, Simchi-Levi & Xu (2025), Algorithm 1, Proposition C.2 and the proofs of Theorems 2.1 (C.3.1) and 2.2 (C.5.1)"
)
_OURS = "the closed form: ours (envelope theorem), tests/test_theory_envelope.py"


def envelope_step(market: Market, weight: Quantity | None = None, affine: Affine | None = None) -> Step:
    """The payment that truthful reports and participation leave, and its closed form where there is one.

    Args:
        market: whose providers are paid.
        weight: the open quantity that stands for the type in the programme (a virtual cost); None: the type itself.
        affine: slope and intercept of the weight in the type, for each distribution; None with types as weights.
    """
    name = "envelope payment"
    changes = changes_of_variables(market)
    if not changes:
        return Step(name, sp.true, "No type is private: every provider is paid its cost.", "ours", proved=None)
    formulas: list[tuple[str, sp.Basic]] = []
    sentences = [
        "The slope of a provider's utility in its own type is minus the coefficient of the type in its cost, for at the "
        "truth a small change of the report changes nothing (the envelope theorem; without smoothness, from the two "
        "inequalities of truth-telling). It is integrated down from the highest type, who is left at its outside option "
        "and no more, since every type above pays for a higher one below.",
        "The payment is nonnegative net of cost, so participation holds after every report, not only on average; it "
        "makes truth a best reply after every report because own output falls as one's own weight rises.",
    ]
    for change in changes:
        private = _private(change)
        formulas += _payment_formulas(market, change, private)
        sentence, closed = _closed_forms(change, private, weight, affine)
        sentences.append(sentence)
        formulas += closed
    payment = next(f for label, f in formulas if label.endswith("payment"))
    shown = tuple(pair for pair in formulas if pair[1] is not payment)
    return Step(name, payment, " ".join(sentences), f"{_PAPER}; {_OURS}", shown)


def _private(change: ChangeOfVariables) -> PrivateType:
    if change.cost.type is None:
        raise InternalError("a change of variables without a private type")
    return change.cost.type


def _payment_formulas(market: Market, change: ChangeOfVariables, private: PrivateType) -> list[tuple[str, sp.Basic]]:
    """The slope of utility, taken from the stated cost; utility; payment."""
    letters, layer = change.letters, change.cost.layer
    cost, top, t = own(private, letters), highest(private, letters), running(private)
    rest = (others(private, letters),) if _has_others(market, letters) else ()
    slope = -derivative(layer.cost, cost)
    if private.quantity in quantities(slope):
        raise InternalError(f"the cost of '{layer.name}' is not affine in its type")
    # -phi(x) is -y by the change of variables; the sign and the absence of other terms are what differentiation shows.
    coefficient = slope.xreplace({change.phi: change.entry, -change.phi: -change.entry})
    utility, payment = _named("U", letters), _named("p", letters)
    rent = sp.Integral(Rule(change.entry, t, *rest), (t, cost, top))
    net = layer.outside - layer.value
    return [
        (
            f"{layer.name}: slope of utility",
            sp.Eq(sp.Derivative(Rule(utility, cost), cost), coefficient, evaluate=False),
        ),
        (f"{layer.name}: utility of the highest type", sp.Eq(Rule(utility, top), layer.outside, evaluate=False)),
        (f"{layer.name}: utility", sp.Eq(Rule(utility, cost), layer.outside + rent, evaluate=False)),
        (
            f"{layer.name}: payment",
            sp.Eq(payment, change.cost.known + net + cost * change.entry + rent, evaluate=False),
        ),
    ]


def _closed_forms(
    change: ChangeOfVariables, private: PrivateType, weight: Quantity | None, affine: Affine | None
) -> tuple[str, list[tuple[str, sp.Basic]]]:
    """`[Psi(w(b), w_-) - Psi(w(c), w_-)] / slope` for every slope that occurs, and which types have none."""
    letters = change.letters
    cost, top, t = own(private, letters), highest(private, letters), running(private)
    slopes: dict[sp.Expr, int] = {}
    integrals = 0
    for distribution in private.distributions:
        pair = (1.0, 0.0) if weight is None or affine is None else affine(distribution)
        if pair is None:
            integrals += 1
        elif not distribution.is_point:
            slope = sp.nsimplify(pair[0], rational=True)
            slopes[slope] = slopes.get(slope, 0) + 1
    rest = others(private, letters)
    formulas: list[tuple[str, sp.Basic]] = []
    value = sp.Symbol("Psi", real=True)
    rent = sp.Integral(Rule(change.entry, t, rest), (t, cost, top))
    for slope in sorted(slopes, key=sp.default_sort_key):
        ends = (top, cost) if weight is None else tuple(_at(weight, letters, end) for end in (top, cost))
        difference = (Rule(value, ends[0], rest) - Rule(value, ends[1], rest)) / slope
        formulas.append((f"{change.cost.layer.name}: rent, closed", sp.Eq(rent, difference, evaluate=False)))
    where = "Psi is the least value of the programme (weights times y, plus known costs, minus values) as a function of the weights"
    sentences = []
    if slopes:
        sentences.append(
            f"{where}: concave, with slope y in the provider's own weight. The weight is affine in the type, so the rent is "
            "a difference of two values of Psi, exactly."
        )
    if integrals:
        count = f"{integrals} of {len(private.distributions)} types" if slopes else "these types"
        sentences.append(
            f"For {count} the weight is not affine: the rent is a quadrature of a function that falls in t, split where "
            "the set of binding constraints changes."
        )
    if not sentences:
        sentences.append("All types are known: there is no rent.")
    return " ".join(sentences), formulas


def _at(weight: Quantity, letters: tuple[Letter, ...], type_: sp.Expr) -> sp.Expr:
    return Rule(weight[letters] if letters else weight, type_)


def _named(name: str, letters: tuple[Letter, ...]) -> sp.Expr:
    quantity = Quantity(name, tuple(a.index_set for a in letters), "open")
    return quantity[letters] if letters else quantity


def _has_others(market: Market, letters: tuple[Letter, ...]) -> bool:
    """Whether anyone else has a type."""
    return bool(letters) or len(market.types) > 1
