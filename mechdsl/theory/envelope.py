"""The envelope payment `p = known + c y + int_c^b y(t) dt`, derived from the stated cost; and when it is no integral.

Truthful reports fix every provider's utility up to a constant (its slope in the type is minus the coefficient of the
type in the cost), participation fixes the constant. Where the weight is affine in the type, the integral is a
difference of two optimum values: one further solve a provider replaces a quadrature.
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
from mechdsl.theory.notation import Others, Rule, Slope, free_name, highest, own, running

__all__ = ["Affine", "cost_payment_step", "envelope_step"]

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
        "At the truth a small change of the report changes nothing, so the slope of a provider's utility in its own "
        "type is that of minus its cost (the envelope theorem; without smoothness, the two inequalities of "
        "truth-telling say the same). It is integrated down from the highest type, who is left at its outside "
        "option: any more would be paid to every type.",
        "Net of cost the payment is nonnegative after every report, so participation holds not only on average; and "
        "truth is a best reply after every report, because own output falls as one's own weight rises.",
    ]
    for change in changes:
        private = _private(change)
        formulas += _payment_formulas(market, change, private)
        sentence, closed = _closed_forms(market, change, private, weight, affine)
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
    letters, layer, taken = change.letters, change.cost.layer, market.declarations
    cost, top, t = own(private, letters), highest(private, letters, taken), running(private, taken)
    rest = _rest(market, private.quantity, letters)
    slope = -derivative(layer.cost, cost)
    if private.quantity in quantities(slope):
        raise InternalError(f"the cost of '{layer.name}' is not affine in its type")
    # -phi(x) is -y by the change of variables; the sign and the absence of other terms are what differentiation shows.
    coefficient = slope.xreplace({change.phi: change.entry, -change.phi: -change.entry})
    utility, payment = (_named(free_name(name, taken), letters) for name in ("U", "p"))
    rent = sp.Integral(Rule(change.entry, t, *rest), (t, cost, top))
    net = layer.outside - layer.value
    return [
        (
            f"{layer.name}: slope of utility",
            sp.Eq(Slope(Rule(utility, cost), cost), coefficient, evaluate=False),
        ),
        (f"{layer.name}: utility of the highest type", sp.Eq(Rule(utility, top), layer.outside, evaluate=False)),
        (f"{layer.name}: utility", sp.Eq(Rule(utility, cost), layer.outside + rent, evaluate=False)),
        (
            f"{layer.name}: payment",
            sp.Eq(payment, change.cost.known + net + cost * change.entry + rent, evaluate=False),
        ),
    ]


def _closed_forms(
    market: Market, change: ChangeOfVariables, private: PrivateType, weight: Quantity | None, affine: Affine | None
) -> tuple[str, list[tuple[str, sp.Basic]]]:
    """`[Psi(w(b), w_-) - Psi(w(c), w_-)] / slope` for every slope that occurs, and which types have none."""
    letters, taken = change.letters, market.declarations
    cost, top, t = own(private, letters), highest(private, letters, taken), running(private, taken)
    slopes: dict[sp.Expr, int] = {}
    integrals = 0
    for distribution in private.distributions:
        pair = (1.0, 0.0) if weight is None or affine is None else affine(distribution)
        if pair is None:
            integrals += 1
        elif not distribution.is_point:
            slope = sp.Rational(pair[0]).limit_denominator(10**9)  # nsimplify would run a text
            slopes[slope] = slopes.get(slope, 0) + 1
    rest, rest_weights = (_rest(market, q, letters) for q in (private.quantity, weight or private.quantity))
    formulas: list[tuple[str, sp.Basic]] = []
    value = Quantity(free_name("Psi", taken), (), "open")
    rent = sp.Integral(Rule(change.entry, t, *rest), (t, cost, top))
    for slope in sorted(slopes, key=sp.default_sort_key):
        ends = (top, cost) if weight is None else tuple(_at(weight, letters, end) for end in (top, cost))
        difference = (Rule(value, ends[0], *rest_weights) - Rule(value, ends[1], *rest_weights)) / slope
        formulas.append((f"{change.cost.layer.name}: rent, closed", sp.Eq(rent, difference, evaluate=False)))
    sentences = []
    if slopes:
        sentences.append(
            "$\\Psi$, the least value of the programme (weights times y, plus known costs, less values) as a "
            "function of the weights, is concave with slope y in the provider's own. Where the weight is affine in "
            "the type, the rent is therefore a difference of two values of $\\Psi$, exactly."
        )
    if integrals:
        whose = f"The weight of {integrals} of {len(private.distributions)} types" if slopes else "The weight"
        sentences.append(
            f"{whose} is not affine in the type: the rent is a quadrature of a function that falls in t, "
            "split where the set of binding constraints changes."
        )
    if not sentences:
        sentences.append("All types are known: there is no rent.")
    return " ".join(sentences), formulas


def _at(weight: Quantity, letters: tuple[Letter, ...], type_: sp.Expr) -> sp.Expr:
    return Rule(weight[letters] if letters else weight, type_)


def _named(name: str, letters: tuple[Letter, ...]) -> sp.Expr:
    quantity = Quantity(name, tuple(a.index_set for a in letters), "open")
    return quantity[letters] if letters else quantity


def _rest(market: Market, of: Quantity, letters: tuple[Letter, ...]) -> tuple[sp.Expr, ...]:
    """The types, or weights, of everyone else; nothing where there is nobody else."""
    return (Others(of, letters),) if letters or len(market.types) > 1 else ()


def cost_payment_step(market: Market) -> Step:
    """`p = cost - value + outside`: what providers are paid whose types are known."""
    formulas: list[tuple[str, sp.Basic]] = []
    for layer in (market.layer(contract.provider) for contract in market.contracts):
        payment = _named(free_name("p", {*market.declarations}), layer.letters)
        formulas.append(
            (f"{layer.name}: payment", sp.Eq(payment, layer.cost - layer.value + layer.outside, evaluate=False))
        )
    because = (
        "Types are known, so nothing has to be left for the truth: each provider is paid what makes it as well off as "
        "outside. What private information costs is the difference from the payments without this knowledge."
    )
    return Step(
        "payment of known types", formulas[0][1], because, "by definition of participation", tuple(formulas[1:])
    )
