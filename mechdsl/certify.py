"""Certificates: what is promised is checked against what was stated, each check with its number and its tolerance.

Feasibility is evaluated from the stated constraints, optimality from the programme's Lagrangian differentiated afresh,
misreports by asking the mechanism again, payments by a second quadrature, the books by adding them up. Nothing here
reads the derivation, and none of it shares code with the callbacks Ipopt ran on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import sympy as sp

from mechdsl.accounting import constraint_slack, stated_values
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import IndexSum, Letter, Quantity, derivative
from mechdsl.mechanism import Mechanism, Unsolved
from mechdsl.outcome import Certificate, Check, Outcome
from mechdsl.program import Constraint, Optimum, Variable, given, optima
from mechdsl.structure import Report

__all__ = ["bookkeeping", "certify", "feasibility", "optimality"]

FEASIBILITY_TOLERANCE = 1e-8
STATIONARITY_TOLERANCE = 1e-6
_BESIDE = 1e-7  # relative distance at which a kink beside a decision is the decision's own
GAP_TOLERANCE = 1e-8
MONEY_TOLERANCE = 1e-9
NOTHING = 1e-14  # share of the objective that is less than any digit of it
NO_MONEY = 1e-200  # amounts below are none: outputs too small to be numbers cost that


def certify(mechanism: Mechanism, report: Report, outcome: Outcome) -> Certificate:
    """All checks of an outcome: the general ones, then the structure's own."""
    checks = [
        *feasibility(mechanism, report, outcome),
        *optimality(mechanism, report),
        *bookkeeping(outcome),
    ]
    try:
        checks.extend(mechanism.structure.checks(mechanism, report, outcome))
    except Unsolved as why:
        checks.append(Check("every report is answered", 1.0, 0.0, f"No optimum was found {why}"))
    return Certificate(tuple(checks))


def feasibility(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterator[Check]:
    """Every stated constraint and bound holds: the largest violation, relative to the magnitude of the row's terms."""
    market = mechanism.market
    values = stated_values(market, report, outcome.allocation)
    slack = constraint_slack(market, values)
    for constraint in market.constraints:
        letters = constraint.letters
        scale = 1.0 + sum(np.abs(evaluate(side, values, letters)) for side in (constraint.left, constraint.right))
        gap = np.abs(slack[constraint.name]) if constraint.relation == "==" else -slack[constraint.name]
        stated = np.broadcast_to(evaluate(constraint.where, values, letters), np.shape(gap)).astype(bool)
        relative = np.where(stated, gap / scale, -np.inf)
        worst = _argmax(relative)
        detail = f"Worst at {_label(constraint, worst)}." if relative.ndim else ""
        yield Check(f"{constraint.name} met", _at_least_zero(relative[worst]), FEASIBILITY_TOLERANCE, detail)
    for choice in market.choices:
        x = np.asarray(outcome.allocation[str(choice.quantity.name)])
        letters = choice.declaration.letters
        low, high = evaluate(choice.lower, values, letters), evaluate(choice.upper, values, letters)
        with np.errstate(invalid="ignore"):
            outside = np.maximum(np.where(np.isinf(low), 0, low - x), np.where(np.isinf(high), 0, x - high)) / (
                1 + np.abs(x)
            )
        yield Check(f"{choice.quantity.name} within bounds", max(0.0, float(outside.max())), FEASIBILITY_TOLERANCE)


def optimality(mechanism: Mechanism, report: Report) -> Iterator[Check]:
    """First-order conditions of the programme at the solution, and its duality gap where it is convex.

    Stationarity is relative to the larger of marginal cost and marginal benefit of each decision; at a bound only the
    improving direction counts. Where there are stages, each is checked at what the others have decided.
    """
    stages = optima(mechanism.program)
    if not stages:
        return
    solution = mechanism.solve(report)
    parameters = mechanism.structure.parameters(mechanism.market, report)
    for stage in stages:
        about = f": {stage.name}" if len(stages) > 1 else ""
        values = {**stage.data, **given(stage, parameters, solution.values),
                  **{v.quantity: solution.values[v.name] for v in stage.variables}}  # fmt: skip
        yield from _conditions(stage, values, solution.multipliers, about)
    if "gap" in solution.residuals:
        yield Check(
            "duality gap",
            max(0.0, solution.residuals["gap"]),
            GAP_TOLERANCE,
            "Relative distance to a lower bound that holds for every feasible decision.",
        )


def _conditions(
    program: Optimum, known: Mapping[Quantity, Array], shadow: Mapping[str, Array], about: str
) -> Iterator[Check]:
    """Stationarity and complementary slackness of one programme."""
    multipliers = {
        c.name: Quantity(f"multiplier of {c.name}", tuple(a.index_set for a in c.letters), "open")
        for c in program.constraints
    }
    values = {**known, **{q: np.asarray(shadow[name]) for name, q in multipliers.items()}}
    sign = 1 if program.sense == "minimize" else -1
    benefit = sp.Add(*(_priced(c, multipliers[c.name]) for c in program.constraints))
    worst, where = 0.0, ""
    least = max(NOTHING * abs(float(evaluate(program.objective, values))), NO_MONEY)
    for variable in program.variables:
        relative = _stationarity(variable, sign * program.objective, benefit, values, least)
        place = _argmax(relative)
        if relative[place] > worst:
            worst = float(relative[place])
            where = f"Worst at {variable.name}{_labels(variable.quantity, place)}."
    yield Check(f"first-order conditions{about}", worst, STATIONARITY_TOLERANCE, where)
    yield Check(
        f"complementary slackness{about}",
        _complementarity(program, shadow, values, float(evaluate(program.objective, values))),
        GAP_TOLERANCE,
        "Multiplier times slack, summed, relative to the objective.",
    )


def _priced(constraint: Constraint, multiplier: Quantity) -> sp.Expr:
    """`sum(k: multiplier[k] * (left - right))`, the constraint's part of the Lagrangian."""
    price = multiplier[constraint.letters] if constraint.letters else multiplier
    body = price * (constraint.left - constraint.right)
    return IndexSum(body, constraint.letters, constraint.where) if constraint.letters else body


def _stationarity(
    variable: Variable, objective: sp.Expr, benefit: sp.Expr, values: Mapping[Quantity, Array], least: float
) -> Array:
    """`|marginal cost - marginal benefit| / magnitude of their terms` for every entry, one-sided at bounds.

    An entry counts as at its lower bound where moving it there would save less than `least`.
    """
    fresh = tuple(type(a)(f"{a.name}_", a.index_set) for a in variable.letters)
    entry = variable.quantity[fresh] if fresh else variable.quantity
    slopes = derivative(objective, entry), derivative(benefit, entry)
    x = np.asarray(values[variable.quantity])
    balance = _balance(slopes, values, fresh)
    relative = _one_sided(variable, balance, x, values)
    with np.errstate(all="ignore"):
        (cost, _), (gain, _) = (_marginal(slope, values, fresh) for slope in slopes)
        saved = (x - evaluate(variable.lower, values, variable.letters)) * (cost - gain)
        relative = np.where((saved > 0) & (saved < least), np.maximum(-balance, 0), relative)
    if not any(formula.has(sp.Max, sp.Min, sp.Abs, sp.Piecewise) for formula in (objective, benefit)):
        return relative
    return _at_kinks(variable, slopes, relative, values, fresh)


def _at_kinks(
    variable: Variable,
    slopes: tuple[sp.Expr, sp.Expr],
    relative: Array,
    values: Mapping[Quantity, Array],
    letters: tuple[Letter, ...],
) -> Array:
    """`relative`, and where a formula may have a kink: by how much the slope points down on either side of it.

    At the kink of a convex function no derivative is 0; what counts is that it falls before and rises after.
    """
    x, found = np.asarray(values[variable.quantity], dtype=np.float64), np.array(relative)
    for place in zip(*np.nonzero(~(relative <= STATIONARITY_TOLERANCE)), strict=True) if x.ndim else [()]:
        found[place] = min(float(found[place]), _descent(variable, slopes, values, letters, place))
    return found


def _descent(
    variable: Variable,
    slopes: tuple[sp.Expr, sp.Expr],
    values: Mapping[Quantity, Array],
    letters: tuple[Letter, ...],
    place: tuple[int, ...],
) -> float:
    """How steeply the programme falls away from one decision, on the worse side of it, a little beside it."""
    x = np.asarray(values[variable.quantity], dtype=np.float64)
    sides = []
    for way in (1.0, -1.0):
        beside = np.array(x)
        beside[place] += way * (_BESIDE * abs(float(x[place])) + 1e-12)
        net = _balance(slopes, {**values, variable.quantity: beside}, letters)
        sides.append(float(_one_sided(variable, net, beside, values, way)[place]))
    return max(sides)


def _balance(slopes: tuple[sp.Expr, sp.Expr], values: Mapping[Quantity, Array], letters: tuple[Letter, ...]) -> Array:
    """Marginal cost less marginal benefit, relative to the larger."""
    with np.errstate(all="ignore"):
        (cost, cost_size), (gain, gain_size) = (_marginal(slope, values, letters) for slope in slopes)
        scale = np.maximum(cost_size, gain_size)
        return np.where(scale > 0, (cost - gain) / scale, 0.0)


def _one_sided(
    variable: Variable, relative: Array, x: Array, values: Mapping[Quantity, Array], way: float = 0.0
) -> Array:
    """How far the balance is from 0; at a bound, and to one `way` of a kink, in the improving direction alone."""
    lower, upper = (evaluate(end, values, variable.letters) for end in (variable.lower, variable.upper))
    if way:
        falling = np.maximum(-relative if way > 0 else relative, 0.0)
        return np.where((x < lower) | (x > upper), 0.0, falling)
    improving = np.abs(relative)
    improving = np.where(x <= lower, np.maximum(-relative, 0), improving)
    improving = np.where(x >= upper, np.where(x <= lower, 0.0, np.maximum(relative, 0)), improving)
    # At 0 both sides may be infinite or 0 * inf (a multiplier of 0 on an infinite slope): nothing pulls the decision
    # up.
    return np.where((x <= lower) & np.isnan(improving), 0.0, improving)


def _marginal(slope: sp.Expr, values: Mapping[Quantity, Array], letters: tuple[Letter, ...]) -> tuple[Array, Array]:
    """A derivative's value and the sum of the magnitudes of its terms, those that sums stand for among them."""
    terms = sp.Add.make_args(slope)
    sizes = [
        term.xreplace({s: IndexSum(sp.Abs(s.body), s.letters, s.where) for s in term.atoms(IndexSum)}) for term in terms
    ]
    value = sum(np.asarray(evaluate(term, values, letters)) for term in terms)
    return np.asarray(value), np.asarray(sum(np.abs(evaluate(size, values, letters)) for size in sizes))


def _complementarity(
    program: Optimum, multipliers: Mapping[str, Array], values: Mapping[Quantity, Array], objective: float
) -> float:
    total = 0.0
    for constraint in program.constraints:
        slack = evaluate(constraint.left - constraint.right, values, constraint.letters)
        total += float(np.sum(np.abs(np.asarray(multipliers[constraint.name]) * slack)))
    return total / abs(objective) if objective else total


def bookkeeping(outcome: Outcome) -> Iterator[Check]:
    """Transfers cancel: everyone's utility adds up to values minus costs."""
    if outcome.welfare is None or not outcome.utilities:
        return
    total = sum(float(np.sum(u)) for u in outcome.utilities.values())
    scale = 1.0 + sum(float(np.sum(np.abs(p))) for p in outcome.payments.values()) + abs(outcome.welfare)
    yield Check(
        "accounts add up",
        abs(total - outcome.welfare) / scale,
        MONEY_TOLERANCE,
        "Utilities of all layers against values minus costs.",
    )


def _at_least_zero(value: float) -> float:
    """`max(0, value)`, NaN kept: what is undefined does not pass."""
    return float(value) if np.isnan(value) else max(0.0, float(value))


def _argmax(values: Array) -> tuple[int, ...]:
    """The place of the largest entry; NaN counts as largest, so that nothing undefined passes."""
    values = np.where(np.isnan(values), np.inf, values)
    return tuple(int(j) for j in np.unravel_index(int(np.argmax(values)), np.shape(values)))


def _label(constraint: Constraint, place: tuple[int, ...]) -> str:
    labels = [a.index_set.labels[j] for a, j in zip(constraint.letters, place, strict=True)]
    return f"{constraint.name}[{', '.join(labels)}]" if labels else constraint.name


def _labels(quantity: Quantity, place: tuple[int, ...]) -> str:
    labels = [s.labels[j] for s, j in zip(quantity.sets, place, strict=True)]
    return f"[{', '.join(labels)}]" if labels else ""
