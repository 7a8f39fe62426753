"""A union: one layer that sells what others produce, and knows all their costs. What it must be paid, and its books.

The union reports the whole vector of types, so truth-telling is a matter of several dimensions; under an efficient
allocation it is still settled by one number, the least cost at the highest types. Inside, the union bears its members'
costs and makes good their outside options, so what it keeps is what the contract leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from mechdsl.accounting import stated_values
from mechdsl.derivation import Step
from mechdsl.draws import uniform_draw
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import IndexSum, Quantity
from mechdsl.market import Layer, Market, PrivateType
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Account, Check, Outcome
from mechdsl.program import Solution, Status
from mechdsl.structure import Report
from mechdsl.theory.notation import Rule, free_name, highest, misreport
from mechdsl.theory.payments import UNBIASED, Paid, coefficients, surely_within
from mechdsl.theory.private_cost import PrivateCost, providers, total
from mechdsl.theory.procurement import by_name, known_types, local_note, purchase_misfit, with_books
from mechdsl.theory.screening_checks import GAIN_TOLERANCE, PAYMENT_TOLERANCE, SLACK_TOLERANCE, money_scale

__all__ = [
    "Union",
    "least_types",
    "top_types",
    "union_books",
    "union_checks",
    "union_misfit",
    "union_of",
    "union_outcome",
    "union_participation",
    "union_participation_step",
    "union_payment",
    "union_payment_steps",
    "union_truthtelling_step",
]

_CORNERS = 6  # members up to which every corner of the box of types is tried as a misreport
_MISREPORTS = 48
_NEAR = (1e-3, 3e-2)  # of the box: how close to the truth some misreports are


@dataclass(frozen=True, slots=True)
class Union:
    """The layer that has the contract, and the layer it represents.

    Args:
        layer: the union; members: the layer whose types and choices are at stake, its cost taken apart.
    """

    layer: Layer
    members: PrivateCost

    @property
    def type(self) -> PrivateType:
        assert self.members.type is not None
        return self.members.type

    @property
    def inside(self) -> tuple[Layer, ...]:
        """The layers whose costs and values are the union's own affair."""
        return self.layer, self.members.layer

    def outside(self, market: Market) -> float:
        """What the union and its members have without the contract, all together."""
        return sum(float(np.sum(evaluate(y.outside, market.data, y.letters))) for y in self.inside)


def union_of(market: Market) -> Union:
    """The union of a market that `union_misfit` finds nothing wrong with."""
    layer = market.layer(market.contracts[0].provider)
    members = next(part for part in providers(market) if part.layer.name == layer.represents)
    return Union(layer, members)


def union_misfit(market: Market) -> str | None:
    """Why procurement from a union does not fit the market, in its own words; None where it does."""
    layer = market.layer(market.contracts[0].provider)
    if layer.letters:
        return f"layer '{layer.name}' is one for each {layer.letters[0]}: it is for one union"
    members = next((y for y in market.layers if y.name == layer.represents), None)
    if members is None:
        return f"'{layer.name}' represents '{layer.represents}', which is no layer"
    if market.choices_of(layer.name) or market.types_of(layer.name):
        return f"'{layer.name}' has a type or a choice of its own beside those of '{members.name}'"
    if not market.types_of(members.name):
        return f"'{members.name}', which '{layer.name}' represents, has no private type"
    return purchase_misfit(market, members)


def top_types(market: Market) -> Report:
    """`b`: every type at the upper end of its support."""
    return {t.quantity: t.table(lambda law: law.upper) for t in market.types}


def least_types(market: Market) -> Report:
    """`a`: every type at the lower end of its support."""
    return {t.quantity: t.table(lambda law: law.lower) for t in market.types}


# ------------------------------------------------------------------------------------------------------------- payment


def union_payment(mechanism: Mechanism, report: Report) -> Paid:
    """`p = c . y + int_c^b y . dt`, exactly `V(b) - (others' costs less values at y(c))`, `V` the least net cost.

    Where the buyer states no cost or value that is the constant `Psi(b)`; where GenAI costs it `cg`, it is
    `Psi(b + cg) - cg . y(c)`. One solve at the highest types serves every report.

    Returns:
        the payment to the union, with its members' and its own outside options made good.

    Raises:
        ValueError: the programme could not be solved at the highest types.

    Source: Ai, Simchi-Levi & Xu (2025), section 2.4.2 and C.1; the closed form for any known costs and values is ours
    (envelope theorem along any path from c to b), tested against line integrals in tests/test_union_welfare.py.
    """
    market, union = mechanism.market, union_of(mechanism.market)
    arguments = market.contracts[0].arguments
    solution = mechanism.solve(report)
    own = _own_cost(market, union, report, solution) + union.outside(market)
    if known_types(market):
        return Paid({union.layer.name: np.array(own)}, 0.0, "types known: the union is paid its cost")
    if arguments.get("payment") == "randomized":
        return _randomized(mechanism, report, own, int(str(arguments.get("trials", 100))))
    top = mechanism.solve(top_types(market), start=solution)
    if top.status is not Status.OPTIMAL:
        raise ValueError(f"at the highest types: {top.message}")
    payment = own + top.objective - solution.objective
    constant = all(y.cost == 0 and y.value == 0 for y in market.layers if y not in union.inside)
    method = "the same at every report: " if constant else ""
    if constant:
        payment = top.objective + union.outside(market)
    return Paid(
        {union.layer.name: np.array(payment)},
        1e-14 * (abs(top.objective) + abs(solution.objective)),
        f"payment in closed form (envelope theorem): {method}the least cost at the highest types"
        + ("" if constant else ", less what the others bear at this report"),
    )


def _own_cost(market: Market, union: Union, report: Report, solution: Solution) -> float:
    """What the union and its members bear, less what they enjoy, at a solution and at these types."""
    values = stated_values(market, report, solution.values)
    return sum(float(np.sum(evaluate(total(y.cost - y.value, y), values, ()))) for y in union.inside)


def _along(mechanism: Mechanism, union: Union, report: Report, s: float) -> float:
    """`(b - c) . y(c + s (b - c))`: the rate at which the union's utility falls on the straight way to the top."""
    own = union.type.quantity
    here, top = np.asarray(report[own]), np.asarray(top_types(mechanism.market)[own])
    solution = mechanism.solve({own: here + s * (top - here)}, start=mechanism.solve(report))
    y = coefficients(mechanism.market, union.members, solution)
    moving = top > here
    return float(np.sum((top - here)[moving] * y[moving]))


def _randomized(mechanism: Mechanism, report: Report, own: float, trials: int, seed: int = 0) -> Paid:
    """`c . y + (b - c) . y(c + s (b - c))` averaged over draws `s ~ U(0, 1)`: unbiased, one solve a draw.

    Source: Ai, Simchi-Levi & Xu (2025), equation (7), along the straight line to the highest types.
    """
    union = union_of(mechanism.market)
    draws = [uniform_draw(seed, f"payment.{union.layer.name}", [str(n)]) for n in range(trials)]
    rents = np.array([_along(mechanism, union, report, s) for s in draws])
    error = float(rents.std(ddof=1) / np.sqrt(trials)) if trials > 1 else np.inf
    method = f"randomised payment, {trials} trials, standard error {error:.2g}"
    apart = abs(_along(mechanism, union, report, 0.0) - _along(mechanism, union, report, 1.0))
    return Paid({union.layer.name: np.array(own + rents.mean())}, error, method, apart)


# ------------------------------------------------------------------------------------------------------------- outcome


def union_outcome(mechanism: Mechanism, report: Report) -> Outcome:
    """The outcome of efficient procurement from a union at a report.

    The buyer pays the union, the union pays its members their costs (and what they would have outside): the rent is
    the union's, how it divides it is not stated.
    """
    market, union = mechanism.market, union_of(mechanism.market)
    solution, name = mechanism.solve(report), mechanism.structure.name
    if solution.status is not Status.OPTIMAL:
        return Outcome(name, solution.status, solution.message, report=by_name(report))
    try:
        paid = union_payment(mechanism, report)
    except ValueError as error:
        return Outcome(name, Status.FAILED, f"The payment could not be found {error}", report=by_name(report))
    outcome = Outcome(
        name, solution.status, solution.message,
        report=by_name(report),
        report_is_mean=market.report is None,
        allocation=solution.values,
        payments=paid.payments,
        notes=(f"{paid.method[0].upper()}{paid.method[1:]}.", *local_note(mechanism)),
    )  # fmt: skip
    return union_books(market, union, report, outcome, solution)


def union_books(market: Market, union: Union, report: Report, outcome: Outcome, solution: Solution) -> Outcome:
    """The outcome with everyone's books: the buyer pays the union, the union its members' costs."""
    members = union.members.layer
    values = stated_values(market, report, outcome.allocation)
    due = np.array(evaluate(members.cost - members.value + members.outside, values, members.letters))
    accounts = (
        Account(market.contracts[0].payer, union.layer.name, np.asarray(outcome.payments[union.layer.name])),
        Account(union.layer.name, members.name, due, "cost"),
    )
    return with_books(market, report, outcome, solution, accounts)


# -------------------------------------------------------------------------------------------------------------- checks


def union_checks(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterable[Check]:
    """What is promised to a union: taking part pays, at the highest types too; no joint misreport pays; the payment is
    the integral it should be.

    Under randomised payments truth pays in expectation over the trials only, so the payment is compared with the exact
    one instead, at five standard errors.
    """
    market, union = mechanism.market, union_of(mechanism.market)
    yield union_participation(market, union, outcome)
    arguments = market.contracts[0].arguments
    if known_types(market):
        return
    if arguments.get("payment") == "randomized":
        yield _unbiased(mechanism, union, report, outcome)
        return
    scale = money_scale(outcome)
    top = mechanism.structure.recover(mechanism, top_types(market))
    short = np.inf if top.status is not Status.OPTIMAL else _wealth(union, top) - union.outside(market)
    yield Check(
        "participation at the highest types", max(0.0, -short) / scale, SLACK_TOLERANCE,
        f"There the union is left {short:.3g} above its outside option, the least of all types.",
    )  # fmt: skip
    yield _misreports(mechanism, union, report, outcome, scale)
    yield _second_payment(mechanism, union, report, outcome, scale)


def union_participation(market: Market, union: Union, outcome: Outcome) -> Check:
    """The union and every member have at least what they would have outside."""
    worst, who = np.inf, ""
    for layer in union.inside:
        outside = evaluate(layer.outside, market.data, layer.letters)
        least = float(np.min(np.asarray(outcome.utilities[layer.name]) - outside))
        if least < worst:
            worst, who = least, layer.name
    detail = f"Smallest utility above the outside option {worst:.6g}, of {who}."
    return Check("participation", max(0.0, -worst) / money_scale(outcome), SLACK_TOLERANCE, detail)


def _wealth(union: Union, outcome: Outcome) -> float:
    """Utility of the union and its members together."""
    return sum(float(np.sum(outcome.utilities[y.name])) for y in union.inside)


def _misreports(mechanism: Mechanism, union: Union, report: Report, outcome: Outcome, scale: float) -> Check:
    """`p(r) - cost(r; c) - U(c)` over joint misreports r: the payment by the rule, the cost as stated."""
    market, own = mechanism.market, union.type.quantity
    truth = _wealth(union, outcome)
    best, at = -np.inf, np.asarray(report[own])
    count = 0
    for lie in joint_misreports(union.type, np.asarray(report[own])):
        answer = mechanism.structure.recover(mechanism, {**report, own: lie})
        if answer.status is not Status.OPTIMAL:
            continue
        count += 1
        values = stated_values(market, report, answer.allocation)
        costs = sum(float(np.sum(evaluate(total(y.cost - y.value, y), values, ()))) for y in union.inside)
        gain = float(answer.payments[union.layer.name]) - costs - truth
        if gain > best:
            best, at = gain, lie
    reported = ", ".join(f"{value:.6g}" for value in at.ravel()[:8]) + (", ..." if at.size > 8 else "")
    return Check(
        "largest gain from misreporting", max(0.0, best) / scale if count else np.nan, GAIN_TOLERANCE,
        f"Searched {count} joint misreports over the whole support; best ({reported}): {best:.2g}.",
    )  # fmt: skip


def joint_misreports(private: PrivateType, truth: Array) -> Iterator[Array]:
    """Vectors of types over the whole box: its corners, each type alone at its ends, near the truth, and spread."""
    low, high = private.table(lambda law: law.lower), private.table(lambda law: law.upper)
    shape, size = truth.shape, truth.size
    if size <= _CORNERS:
        for corner in range(2**size):
            bits = np.array([(corner >> j) & 1 for j in range(size)]).reshape(shape)
            yield np.where(bits == 1, high, low)
    else:
        yield from (low, high)
    for place in list(np.ndindex(*shape))[: _MISREPORTS // 2]:
        for end in (low, high):
            moved = np.array(truth)
            moved[place] = end[place]
            yield moved
    for n in range(_MISREPORTS):
        spread = np.array([uniform_draw(n, "misreport", [str(j)]) for j in range(size)]).reshape(shape)
        aim = low + spread * (high - low)
        yield truth + _NEAR[n % 4 // 2] * (aim - truth) if n % 4 in (0, 2) else aim


def _second_payment(mechanism: Mechanism, union: Union, report: Report, outcome: Outcome, scale: float) -> Check:
    """The payment against the line integral of what is bought, from the report straight to the highest types."""
    from scipy.integrate import quad

    market = mechanism.market
    own = _own_cost(market, union, report, mechanism.solve(report)) + union.outside(market)
    integral, error = quad(
        lambda s: _along(mechanism, union, report, s), 0.0, 1.0, epsabs=PAYMENT_TOLERANCE * scale / 10, epsrel=0,
        limit=30, full_output=1,
    )[:2]  # fmt: skip
    difference = abs(own + integral - float(outcome.payments[union.layer.name]))
    detail = f"Line integral of what is bought up to the highest types, its own error at most {10 * error:.1e}."
    return Check("payment, integrated again", difference / scale, PAYMENT_TOLERANCE + 10 * error / scale, detail)


def _unbiased(mechanism: Mechanism, union: Union, report: Report, outcome: Outcome) -> Check:
    drawn = union_payment(mechanism, report)
    market = mechanism.market
    contract = replace(market.contracts[0], arguments={})
    exact = union_payment(replace(mechanism, market=replace(market, contracts=(contract,))), report)
    worst = abs(float(outcome.payments[union.layer.name]) - float(exact.payments[union.layer.name]))
    strays = surely_within(drawn.spread, int(str(market.contracts[0].arguments.get("trials", 100))))
    allowed = strays + exact.error + GAIN_TOLERANCE * money_scale(outcome)
    return Check("randomised payment unbiased", worst, allowed, UNBIASED)


# --------------------------------------------------------------------------------------------------------------- steps


def union_payment_steps(market: Market) -> tuple[Step, ...]:
    """Truth-telling, participation and the efficient payment; where types are known, cost is all there is to pay."""
    if known_types(market):
        return (_cost_step(market),)
    return union_truthtelling_step(market), union_participation_step(market), union_payment_step(market)


def _cost_step(market: Market) -> Step:
    """`p = cost + outside`: a union of known types is paid what makes it as well off as outside."""
    union = union_of(market)
    payment = Quantity(free_name("p", market.declarations), (), "open")
    due = sp.Add(*(total(y.cost - y.value + y.outside, y) for y in union.inside))
    because = "Types are known, so nothing has to be left for the truth: the union is paid its members' costs."
    return Step(
        "payment of known types", sp.Eq(payment, due, evaluate=False), because, "by definition of participation"
    )


def union_truthtelling_step(market: Market) -> Step:
    """`p(c) - c . y(c) >= p(ĉ) - c . y(ĉ)` for all vectors c, ĉ: one report of all types."""
    union = union_of(market)
    own, lie = union.type.quantity, misreport(union.type, ())
    payment = Quantity(free_name("p", market.declarations), (), "open")
    truth, deviation = (Rule(payment, r) - _costs(union, own, Rule(_y(market, union), r)) for r in (own, lie))
    because = (
        "The union knows all types and reports them together, so no vector of reports may leave it more than the true "
        "one. Its utility is then a supremum of functions affine in the types: convex, with slopes $-y$; and every "
        "convex utility with such slopes is truthful, the union choosing from a menu."
    )
    source = "Ai, Simchi-Levi & Xu (2025), section 2.4; Rochet (1987), J. Math. Econ. 16, 191-200"
    truthful = sp.Ge(truth, deviation, evaluate=False)
    return Step("incentive compatibility of a union", truthful, because, source, proved=None)


def union_participation_step(market: Market) -> Step:
    """`U(c) >= outside`, which binds at the highest types."""
    union = union_of(market)
    own, top = union.type.quantity, highest(union.type, (), market.declarations)
    utility = Quantity(free_name("U", market.declarations), (), "open")
    outside = sp.Add(*(total(y.outside, y) for y in union.inside))
    formulas = (("at the highest types", sp.Eq(Rule(utility, top), outside, evaluate=False)),)
    because = (
        "The union may refuse for all its members. Its utility falls in every type, so it is enough that the highest "
        "types are left the outside options; any more would be paid to all types."
    )
    stated = sp.Ge(Rule(utility, own), outside, evaluate=False)
    return Step(
        "participation of a union", stated, because, "Ai, Simchi-Levi & Xu (2025), section 2.4", formulas, proved=None
    )


def union_payment_step(market: Market) -> Step:
    """`p = c . y + int_c^b y . dt = Psi(b) - (others' costs less values)`."""
    union, taken = union_of(market), market.declarations
    own, top = union.type.quantity, highest(union.type, (), taken)
    payment, least = (Quantity(free_name(n, taken), (), "open") for n in ("p", "Psi"))
    s = Quantity(free_name("s", taken), (), "open")
    others = sp.Add(*(total(z.cost - z.value, z) for z in market.layers if z not in union.inside))
    outside = sp.Add(*(total(z.outside, z) for z in union.inside))
    known = total(union.layer.cost - union.layer.value, union.layer)
    known += total(union.members.known - union.members.layer.value, union.members.layer)
    y = _y(market, union)
    spread = _costs(union, top - own, Rule(y, own + s * (top - own)))
    integral = _costs(union, own, Rule(y, own)) + sp.Integral(spread, (s, 0, 1)) + known + outside
    formulas = (("as a line integral", sp.Eq(payment, integral, evaluate=False)),)
    because = (
        "Truth-telling gives the union's utility the slopes $-y$. The allocation minimises the net cost of all, whose "
        "least value $\\Psi$ has slopes y: the integral is the same along every path to the highest types, a "
        "difference of two values of $\\Psi$. "
    ) + (
        "Nobody else bears a cost or enjoys a value, so what is paid is the same at every report."
        if others == 0
        else "What others bear, less what they enjoy, is taken off, so the payment moves with the report."
    )
    source = (
        "Ai, Simchi-Levi & Xu (2025), section 2.4; the closed form with known costs and values: ours, "
        "tests/test_union_welfare.py"
    )
    closed = sp.Eq(payment, Rule(least, top) + outside - others, evaluate=False)
    return Step("payment to the union", closed, because, source, formulas)


def _y(market: Market, union: Union) -> sp.Expr:
    """`y[k]`: what the type multiplies, for one member."""
    quantity = Quantity(free_name("y", market.declarations), union.type.quantity.sets, "open")
    return quantity[union.members.layer.letters] if union.members.layer.letters else quantity


def _costs(union: Union, prices: sp.Expr, rule: sp.Expr) -> sp.Expr:
    """`sum(k: prices[k] * rule[k])`, prices a formula in quantities indexed as the type is."""
    letters = union.members.layer.letters
    if not letters:
        return prices * rule
    each = prices.xreplace({q: q[letters] for q in prices.atoms(Quantity) if q.sets == union.type.quantity.sets})
    return IndexSum(each * rule, letters)
