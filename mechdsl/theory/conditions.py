"""What a mechanism must satisfy (truth-telling, participation) and what its allocation does (the KKT conditions).

Incentive compatibility and participation are written with the cost as it was stated. The KKT conditions are
differentiated from the programme that is solved, once for each indexed template; certificates and tests may evaluate
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from mechdsl.derivation import Step
from mechdsl.formula import (
    Entry,
    IndexProduct,
    IndexSum,
    Interval,
    Letter,
    Quantity,
    derivative,
    entries,
    rename_letters,
)  # fmt: skip
from mechdsl.market import Layer, Market, PrivateType
from mechdsl.program import Constraint, Optimum, Variable
from mechdsl.theory.notation import Expectation, Others, Rule, free_name, misreport, own
from mechdsl.theory.private_cost import providers

__all__ = ["KKT", "kkt", "kkt_step", "participation_step", "truthtelling_step"]

_NONNEGATIVE = Interval(0.0, float("inf"), False, True)
_FREE = Interval(-float("inf"), float("inf"), True, True)


def truthtelling_step(market: Market) -> Step:
    """Interim and ex-post incentive compatibility: no provider gains by a report that is not its type."""
    formulas: list[tuple[str, sp.Basic]] = []
    for layer, private in _screened(market):
        letters = layer.letters
        cost, lie, rest = own(private, letters), misreport(private, letters), _rest(market, private, letters)
        truth, deviation = _utility(market, layer, (cost, *rest)), _utility(market, layer, (lie, *rest))
        if rest:
            interim = sp.Ge(Expectation(truth, letters), Expectation(deviation, letters), evaluate=False)
            formulas.append((f"{layer.name}: interim", interim))
        formulas.append((f"{layer.name}: after every report", sp.Ge(truth, deviation, evaluate=False)))
    because = (
        "By the revelation principle nothing is lost by asking for types and making the truth a best reply: for every "
        "true type and every misreport (with a hat) in the support. "
    )
    if any(isinstance(formula.lhs, Expectation) for _, formula in formulas):
        because += (
            "The paper states it in expectation over everyone else's types; after every report of theirs is more. "
        )
    because += "The payment rule delivers it, because own output falls as one's own weight rises."
    source = "Ai, Simchi-Levi & Xu (2025), section 2.1 and Problem (1); ex post: its footnote 2 and C.3.1"
    return _shown("incentive compatibility", formulas, because, source)


def participation_step(market: Market) -> Step:
    """Interim and ex-post participation: no provider is left below its outside option."""
    formulas: list[tuple[str, sp.Basic]] = []
    for layer, private in _screened(market):
        rest = _rest(market, private, layer.letters)
        truth = _utility(market, layer, (own(private, layer.letters), *rest))
        if rest:
            interim = sp.Ge(Expectation(truth, layer.letters), layer.outside, evaluate=False)
            formulas.append((f"{layer.name}: interim", interim))
        formulas.append((f"{layer.name}: after every report", sp.Ge(truth, layer.outside, evaluate=False)))
    because = (
        "A provider may refuse. Utility falls in the type, so it is enough that the highest type is left its outside "
        "option, which the payment rule sees to after every report."
    )
    source = "Ai, Simchi-Levi & Xu (2025), section 2.1 and Proposition C.2; ex post: C.3.1"
    return _shown("participation", formulas, because, source)


@dataclass(frozen=True, slots=True)
class KKT:
    """The optimality conditions of a programme, as formulas.

    Args:
        program: minimised (a maximised objective enters with its sign changed).
        multipliers: one quantity for each constraint, in their order; >= 0 for inequalities, free for equalities.
        bounds: for each variable, the multipliers of its finite bounds: (lower or None, upper or None).
        lagrangian: objective minus multipliers times slacks; bounds are left to `stationarity`.
        stationarity: for each variable, what must be 0, in `letters` (its own, renamed where a sum binds them).
        letters: for each variable.
    """

    program: Optimum
    multipliers: tuple[Quantity, ...]
    bounds: tuple[tuple[Quantity | None, Quantity | None], ...]
    lagrangian: sp.Expr
    stationarity: tuple[sp.Expr, ...]
    letters: tuple[tuple[Letter, ...], ...]


def kkt(program: Optimum) -> KKT:
    """The KKT conditions of a programme.

    Source: Boyd & Vandenberghe (2004), Convex Optimization, section 5.5.3; derivatives are tested against finite
    differences in tests/test_theory_conditions.py.
    """
    objective = program.objective if program.sense == "minimize" else -program.objective
    several = len(program.constraints) > 1
    known = {*program.data, *program.parameters, *(v.quantity for v in program.variables)}
    taken = frozenset(str(q.name) for q in known)
    multipliers = tuple(_multiplier(c, several, taken) for c in program.constraints)
    lagrangian = objective - sp.Add(*(_weighted(c, m) for c, m in zip(program.constraints, multipliers, strict=True)))
    bounds = tuple(_bound_multipliers(v, len(program.variables) > 1, taken) for v in program.variables)
    stationarity, letters = [], []
    for variable, (below, above) in zip(program.variables, bounds, strict=True):
        fresh = tuple(Letter(f"{a.name}_own", a.index_set) for a in variable.letters)
        slope = derivative(lagrangian, _entry(variable.quantity, fresh))
        named = _unbound(variable.letters, slope, program)
        slope = _tidy(rename_letters(slope, dict(zip(fresh, named, strict=True))))
        if below is not None:
            slope -= _entry(below, named)
        if above is not None:
            slope += _entry(above, named)
        stationarity.append(slope)
        letters.append(named)
    return KKT(program, multipliers, bounds, lagrangian, tuple(stationarity), tuple(letters))


def kkt_step(program: Optimum) -> Step:
    """Stationarity, feasibility, signs of multipliers and complementary slackness of the programme that is solved."""
    conditions = kkt(program)
    formulas: list[tuple[str, sp.Basic]] = [("Lagrangian", conditions.lagrangian)]
    pairs = zip(program.variables, conditions.stationarity, strict=True)
    formulas += [(f"stationarity in {v.name}", sp.Eq(slope, 0, evaluate=False)) for v, slope in pairs]
    for constraint, multiplier in zip(program.constraints, conditions.multipliers, strict=True):
        formulas += _constraint_conditions(constraint, multiplier)
    for variable, letters, pair in zip(program.variables, conditions.letters, conditions.bounds, strict=True):
        formulas += _bound_conditions(variable, letters, pair)
    convex = {
        True: "The programme is convex, so a point that meets them is a global optimum; where a constraint "
        "qualification holds (some point has slack in every nonlinear constraint), every optimum meets them.",
        False: "The programme as posed is not convex: a point that meets them may be a local optimum only.",
        None: "Convexity of the programme was not shown: a point that meets them may be a local optimum only.",
    }[program.convex]
    infinite = "Where a slope is infinite at a bound (a power below 1 at 0), stationarity is read as a limit."
    because = f"First-order conditions of the programme, differentiated from its formulas. {convex} {infinite}"
    source = "Boyd & Vandenberghe (2004), Convex Optimization, section 5.5.3"
    main = formulas[1][1] if len(formulas) > 1 else formulas[0][1]
    return Step("KKT conditions", main, because, source, tuple(f for f in formulas if f[1] is not main))


def _screened(market: Market) -> list[tuple[Layer, PrivateType]]:
    """The layers whose type is private, with it."""
    return [(part.layer, part.type) for part in providers(market) if part.type is not None]


def _rest(market: Market, private: PrivateType, letters: Sequence[Letter]) -> tuple[sp.Expr, ...]:
    """`c₋ₖ`, if anyone else has a type."""
    return (Others(private.quantity, letters),) if letters or len(market.types) > 1 else ()


def _utility(market: Market, layer: Layer, report: tuple[sp.Expr, ...]) -> sp.Expr:
    """`p(report) - cost + value`: the layer's choices follow the mechanism's rules at the report, its type is true."""
    payment = Quantity(free_name("p", market.declarations), tuple(a.index_set for a in layer.letters), "open")
    stated = layer.value - layer.cost
    ruled = {e: Rule(e, *report) for e in entries(stated, "decision")}
    return Rule(_entry(payment, layer.letters), *report) + stated.xreplace(ruled)


def _shown(name: str, formulas: list[tuple[str, sp.Basic]], because: str, source: str) -> Step:
    if not formulas:
        return Step(name, sp.true, "No type is private: there is nothing to report.", "ours", proved=None)
    return Step(name, formulas[0][1], because, source, tuple(formulas[1:]), proved=None)


def _entry(quantity: Quantity, letters: Sequence[Letter]) -> sp.Expr:
    return Entry(quantity, *letters) if letters else quantity


def _multiplier(constraint: Constraint, several: bool, taken: frozenset[str]) -> Quantity:
    domain = _FREE if constraint.relation == "==" else _NONNEGATIVE
    name = f"lambda_{constraint.name}" if several else "lambda"
    return Quantity(free_name(name, taken), tuple(a.index_set for a in constraint.letters), "open", domain)


def _bound_multipliers(
    variable: Variable, several: bool, taken: frozenset[str]
) -> tuple[Quantity | None, Quantity | None]:
    def named(word: str) -> Quantity:
        name = free_name(f"{word}_{variable.name}" if several else word, taken)
        return Quantity(name, tuple(a.index_set for a in variable.letters), "open", _NONNEGATIVE)

    return (None if variable.lower is -sp.oo else named("nu"), None if variable.upper is sp.oo else named("xi"))


def _slack(constraint: Constraint) -> sp.Expr:
    """What is >= 0 where the constraint holds (0 for an equality)."""
    difference = constraint.left - constraint.right
    return -difference if constraint.relation == "<=" else difference


def _weighted(constraint: Constraint, multiplier: Quantity) -> sp.Expr:
    term = _entry(multiplier, constraint.letters) * _slack(constraint)
    return IndexSum(term, constraint.letters, constraint.where) if constraint.letters else term


def _unbound(letters: tuple[Letter, ...], expression: sp.Expr, program: Optimum) -> tuple[Letter, ...]:
    """Letters for a stationarity condition: the variable's own, unless a sum binds them; then others of the model's."""
    taken = set(_bound(expression))
    known = [a for c in program.constraints for a in (*c.letters, *_bound(c.left), *_bound(c.right))]
    chosen: list[Letter] = []
    for letter in letters:
        spare = [Letter(f"{letter.name}{n}", letter.index_set) for n in range(1, len(taken) + len(letters) + 2)]
        free = (a for a in (letter, *known, *spare) if a not in taken and a not in chosen)
        chosen.append(next(a for a in free if a.index_set == letter.index_set))
    return tuple(chosen)


def _bound(expression: sp.Expr) -> list[Letter]:
    aggregates = (n for n in sp.preorder_traversal(expression) if isinstance(n, IndexSum | IndexProduct))
    return [letter for node in aggregates for letter in node.letters]


def _tidy(expression: sp.Expr) -> sp.Expr:
    """`x^a / x` as `x^(a - 1)`, and `sum(k: [k = home[n]] f(k))` as `f(home[n])`, in every term and inside sums."""
    inner = {nested for s in expression.atoms(IndexSum) for nested in s.body.atoms(IndexSum)}
    tidied = {s: _picked(s.func(_tidy(s.body), s.letters, s.where)) for s in expression.atoms(IndexSum) - inner}
    return sp.powsimp(expression.xreplace(tidied))


def _picked(node: IndexSum) -> sp.Expr:
    """A sum over one letter whose terms vanish but at one place is the term at that place."""
    if len(node.letters) != 1 or node.where != sp.true:
        return node
    letter = node.letters[0]
    for factor in sp.Mul.make_args(node.body):
        if not isinstance(factor, sp.Piecewise) or len(factor.args) != 2 or factor.args[1].expr != 0:
            continue
        value, condition = factor.args[0]
        if isinstance(condition, sp.Eq) and letter in condition.args:
            place = condition.rhs if condition.lhs == letter else condition.lhs
            if isinstance(place, Entry | Quantity) and letter not in place.free_symbols:
                return rename_letters(value * node.body / factor, {letter: place})
    return node


def _constraint_conditions(constraint: Constraint, multiplier: Quantity) -> list[tuple[str, sp.Basic]]:
    relation = {">=": sp.Ge, "<=": sp.Le, "==": sp.Eq}[constraint.relation]
    shadow = _entry(multiplier, constraint.letters)
    shown = [(f"feasibility of {constraint.name}", relation(constraint.left, constraint.right, evaluate=False))]
    if constraint.relation != "==":
        shown.append((f"multiplier of {constraint.name}", sp.Ge(shadow, 0, evaluate=False)))
        slack = sp.Eq(shadow * _slack(constraint), 0, evaluate=False)
        shown.append((f"complementary slackness of {constraint.name}", slack))
    return shown


def _bound_conditions(
    variable: Variable, letters: tuple[Letter, ...], pair: tuple[Quantity | None, Quantity | None]
) -> list[tuple[str, sp.Basic]]:
    entry = _entry(variable.quantity, letters)
    renamed = dict(zip(variable.letters, letters, strict=True))
    shown: list[tuple[str, sp.Basic]] = []
    for multiplier, bound, upper in ((pair[0], variable.lower, False), (pair[1], variable.upper, True)):
        if multiplier is None:
            continue
        end = rename_letters(bound, renamed)
        word = "upper" if upper else "lower"
        relation = (sp.Le if upper else sp.Ge)(entry, end, evaluate=False)
        shown.append((f"{word} bound of {variable.name}", relation))
        gap = end - entry if upper else entry - end
        product = sp.Eq(_entry(multiplier, letters) * gap, 0, evaluate=False)
        shown.append((f"complementary slackness of the {word} bound of {variable.name}", product))
    return shown
