"""`y = phi(x)`: the variable in which a private cost `c * phi(x) + known(x)` is linear, and demand in that variable.

Screening theory wants costs linear in what is bought; demand is stated in x. The inverse is found by undoing the
formula from outside in, every step an equivalence on the choice's range, so that no branch has to be guessed; where
that fails, the inverse is a number found by bisection, and said to be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from mechdsl.derivation import Step
from mechdsl.errors import InternalError
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, IndexSet, Letter, Quantity, entries, quantities, rename_letters, substitute
from mechdsl.market import Choice, Market
from mechdsl.program import Constraint, Optimum, Variable
from mechdsl.theory.curvature import DATA, DECLARED, Curvature, curvature, is_convex_program, ranges_of
from mechdsl.theory.notation import Rule, free_name
from mechdsl.theory.private_cost import PrivateCost, pointwise_objective, private_cost, providers
from mechdsl.theory.ranges import Ranges

__all__ = [
    "ChangeOfVariables",
    "change_of_variables_step",
    "changes_of_variables",
    "curvatures_in_either",
    "in_linear_variables",
    "inverse_at",
    "inverse_of",
    "is_convex_in_costs",
    "transformed_demand_step",
    "transformed_program",
]

_PAPER = "Ai, Simchi-Levi & Xu (2025), section 2.2 and the proof of Theorem 2.1 (C.3.1)"
_WANTED = {">=": "concave", "<=": "convex", "==": "affine"}


@dataclass(frozen=True, slots=True)
class ChangeOfVariables:
    """One layer's `y = phi(x)`.

    Args:
        cost: the layer's cost, taken apart; `phi` is its coefficient.
        choice: the choice that is inverted; None where phi is not a function of one choice of the layer's own letters.
        linear: y, indexed as the layer is.
        inverse: x as a formula in y, or None.
        convex: of phi in x; its `nondecreasing` says whether phi increases.
        fixed: phi at no output, a formula; a fixed cost where it is not 0.
    """

    cost: PrivateCost
    choice: Choice | None
    linear: Quantity
    inverse: sp.Expr | None
    convex: Curvature
    fixed: sp.Expr

    @property
    def phi(self) -> sp.Expr:
        return self.cost.coefficient

    @property
    def letters(self) -> tuple[Letter, ...]:
        return self.cost.layer.letters

    @property
    def entry(self) -> sp.Expr:
        """`y[k]`."""
        return _entry(self.linear, self.letters)


def changes_of_variables(market: Market) -> tuple[ChangeOfVariables, ...]:
    """The change of variables of every layer with a private type, in the order of the market.

    Raises:
        InternalError: a cost that is not affine in its bearer's own type (a structure refuses such a market before).
    """
    found = providers(market)
    return tuple(_change(market, parts, len(found) > 1) for parts in found)


def inverse_of(phi: sp.Expr, entry: sp.Expr, value: sp.Expr, ranges: Ranges) -> sp.Expr | None:
    """The `entry` at which `phi == value`, on its range; None where the rules do not reach.

    Each step (a sum's constant, a factor, a power of a nonnegative base, an exponential, a quadratic with nonnegative
    coefficients) undoes the outermost operation and is an equivalence wherever `ranges` hold.
    """
    if phi == entry:
        return value
    if isinstance(phi, sp.Add):
        known = sp.Add(*(a for a in phi.args if not a.has(entry)))
        rest = phi - known
        if isinstance(rest, sp.Add):
            return _quadratic_root(rest, entry, value - known, ranges)
        return inverse_of(rest, entry, value - known, ranges)
    if isinstance(phi, sp.Mul):
        factor = sp.Mul(*(a for a in phi.args if not a.has(entry)))
        rest = phi / factor
        nonzero = _is_positive(factor, ranges) or _is_positive(-factor, ranges)
        return inverse_of(rest, entry, value / factor, ranges) if nonzero and not isinstance(rest, sp.Mul) else None
    if isinstance(phi, sp.Pow) and not phi.exp.has(entry):
        fits = ranges.of(phi.base).lower >= 0 and _is_positive(phi.exp, ranges)
        return inverse_of(phi.base, entry, value ** (1 / phi.exp), ranges) if fits else None
    if isinstance(phi, sp.Pow) and not phi.base.has(entry):
        fits = _is_positive(phi.base - 1, ranges)
        return inverse_of(phi.exp, entry, sp.log(value) / sp.log(phi.base), ranges) if fits else None
    if isinstance(phi, sp.exp):
        return inverse_of(phi.args[0], entry, sp.log(value), ranges)
    if isinstance(phi, sp.log):
        return inverse_of(phi.args[0], entry, sp.exp(value), ranges)
    return None


def inverse_at(change: ChangeOfVariables, y: Array, market: Market) -> Array:
    """The x with `phi(x) == y`, in numbers, by bisection to full precision; NaN where y lies outside phi's range.

    Args:
        change: of a single choice.
        y: `(..., *shape)`, in units of phi.
        market: whose data and bounds are used.
    """
    if change.choice is None:
        raise InternalError("a cost of several choices has no inverse")
    quantity, letters, data = change.choice.quantity, change.letters, market.data
    shape = np.shape(y)
    lower = np.broadcast_to(evaluate(change.choice.lower, data, letters), shape).astype(np.float64)
    cap = np.broadcast_to(evaluate(change.choice.upper, data, letters), shape)

    def phi(x: Array) -> Array:
        with np.errstate(over="ignore"):
            return evaluate(change.phi, {**data, quantity: x}, letters)

    low, high = lower.copy(), np.minimum(lower + 1.0, cap)
    while (short := (phi(high) < y) & (high < cap) & (high < 1e300)).any():
        low = np.where(short, high, low)
        high = np.where(short, np.minimum(lower + (high - lower) * 4.0, cap), high)
    outside = (phi(lower) > y) | (phi(high) < y)
    while True:
        middle = low + (high - low) / 2
        if ((middle <= low) | (middle >= high)).all():
            break
        below = phi(middle) < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(outside, np.nan, np.where(phi(low) >= y, low, high))


def transformed_program(market: Market, weight: Quantity | None = None) -> Optimum | None:
    """The pointwise programme in y: `minimise sum(w * y) + ...` subject to the transformed demands; None where x stays.

    Source: Ai, Simchi-Levi & Xu (2025), Algorithm 1.
    """
    changes = changes_of_variables(market)
    if any(change.inverse is None for change in changes):
        return None
    replaced = {change.choice.quantity for change in changes if change.choice is not None}
    variables = [_transformed_variable(change) for change in changes]
    variables += [
        Variable(c.quantity, c.declaration.letters, c.lower, c.upper, c.declaration.doc)
        for c in market.choices
        if c.quantity not in replaced
    ]
    objective = in_linear_variables(pointwise_objective(market, weight), changes)
    open_roles = tuple(sorted(quantities(objective, "type") | quantities(objective, "open"), key=lambda q: str(q.name)))
    return Optimum(
        sense="minimize",
        objective=objective,
        variables=tuple(variables),
        constraints=tuple(
            replace(c, left=in_linear_variables(c.left, changes), right=in_linear_variables(c.right, changes))
            for c in market.constraints
        ),
        data=market.data,
        parameters=open_roles,
        name="transformed programme",
    )


def in_linear_variables(expression: sp.Expr, changes: tuple[ChangeOfVariables, ...]) -> sp.Expr:
    """`expression` in the new variables: phi(x) itself becomes y, any other use of x its inverse."""
    for change in changes:
        if change.choice is None or change.inverse is None:
            continue
        quantity, letters = change.choice.quantity, change.letters
        whole = {}
        for entry in entries(expression, "decision"):
            if entry == quantity or (isinstance(entry, Entry) and entry.quantity == quantity):
                place = dict(zip(letters, entry.indices, strict=True)) if isinstance(entry, Entry) else {}
                whole[rename_letters(change.phi, place)] = rename_letters(change.entry, place)
        expression = substitute(expression.xreplace(whole), quantity, letters, change.inverse)
    return sp.powdenest(expression)


def curvatures_in_either(market: Market) -> dict[str, Curvature]:
    """Of every constraint: whether it keeps the set of decisions convex, in x or, where not there, in `y = phi(x)`.

    A local optimum is a global one if either holds: the one is a continuous image of the other.
    """
    found = {c.name: curvature(c.left - c.right, market, _WANTED[c.relation]) for c in market.constraints}
    stated = [c for c in market.constraints if found[c.name].holds is not True]
    if not stated or not market.types or any(isinstance(private_cost(market, layer), str) for layer in market.layers):
        return found
    program = transformed_program(market)
    if program is None:
        return found
    changes = changes_of_variables(market)
    for c in stated:
        in_y = curvature(in_linear_variables(c.left - c.right, changes), program, _WANTED[c.relation])
        if in_y.holds is True:
            found[c.name] = replace(in_y, variables="y = phi(x)")
    return found


def is_convex_in_costs(market: Market) -> bool:
    """Whether the programme of direct procurement is shown to be convex in `y = phi(x)`, phi increasing."""
    changes = changes_of_variables(market)
    program = transformed_program(market) if changes else None
    rising = all(change.convex.nondecreasing for change in changes)
    return program is not None and rising and is_convex_program(program) is True


def change_of_variables_step(market: Market) -> Step:
    """`y = phi(x)` for every provider: the cost becomes linear; phi is shown to be increasing and convex."""
    changes = changes_of_variables(market)
    if not changes:
        return Step(
            "change of variables",
            sp.true,
            "No layer has a private type: there is nothing to screen.",
            "ours",
            proved=None,
        )
    formulas: list[tuple[str, sp.Basic]] = []
    sentences = ["In $y = \\phi(x)$ the private part of the cost is linear, as screening wants it."]
    for change in changes:
        formulas += _change_formulas(change)
        sentences += _change_sentences(change)
    proved = all(c.convex.proved and (c.choice is None or c.inverse is not None) for c in changes)
    holds = all(c.convex.holds is not False and c.convex.nondecreasing for c in changes)
    general = any(c.choice is None or not isinstance(c.phi, sp.Pow) for c in changes)
    source = f"{_PAPER}; general phi: ours, tests/test_theory_change_of_variables.py" if general else _PAPER
    first = sp.Eq(changes[0].entry, changes[0].phi, evaluate=False)
    return Step("change of variables", first, " ".join(sentences), source, tuple(formulas[1:]), proved, holds)


def transformed_demand_step(market: Market) -> Step:
    """Every constraint in y, and its curvature in x and in y: what keeps the set of allocations convex."""
    name = "transformed demand"
    if not market.constraints:
        return Step(
            name, sp.true, "There is no constraint: what is bought follows from values alone.", "ours", proved=None
        )
    changes = changes_of_variables(market)
    program = transformed_program(market)
    formulas: list[tuple[str, sp.Basic]] = []
    sentences: list[str] = []
    verdicts: list[tuple[bool | None, bool]] = []
    for position, stated in enumerate(market.constraints):
        transformed = program.constraints[position] if program is not None else None
        shown = _with_inverses(stated, changes) if transformed is None else transformed
        formulas.append((stated.name, _relation(shown)))
        sentence, holds, proved = _curvature_in_both(market, program, stated, transformed, changes)
        sentences.append(f"{stated.name.capitalize()}: {sentence}")
        verdicts.append((holds, proved))
    return Step(
        name,
        formulas[0][1],
        " ".join(sentences),
        f"{_PAPER}; Lemma C.3 (without its box, which cuts off overproduction); composition rules: ours",
        tuple(formulas[1:]),
        proved=all(p for _, p in verdicts),
        holds=all(h is True for h, _ in verdicts),
    )


def _change(market: Market, parts: PrivateCost, several: bool) -> ChangeOfVariables:
    layer, phi = parts.layer, parts.coefficient
    inside = entries(phi, "decision")
    choice = None
    if len(inside) == 1:
        entry = next(iter(inside))
        own = entry.indices if isinstance(entry, Entry) else ()
        if own == layer.letters:
            head = entry.quantity if isinstance(entry, Entry) else entry
            choice = next((c for c in market.choices if c.quantity == head), None)
    convex = curvature(phi, market, "convex")
    span = ranges_of(market, DECLARED).of(phi)
    name = f"y_{layer.name}" if several else "y"
    linear = Quantity(free_name(name, market.declarations), _sets(layer.letters), "decision", span)
    inverse = None
    if choice is not None:
        entry = _entry(choice.quantity, layer.letters)
        for evidence in (DECLARED, DATA):
            inverse = inverse_of(phi, entry, _entry(linear, layer.letters), ranges_of(market, evidence))
            if inverse is not None:
                break
    nothing = dict.fromkeys(inside, sp.S.Zero)
    fixed = phi.xreplace(nothing) if all(_reaches_zero(market, e) for e in inside) else sp.S.Zero
    return ChangeOfVariables(parts, choice, linear, inverse, convex, fixed)


def _quadratic_root(rest: sp.Expr, entry: sp.Expr, value: sp.Expr, ranges: Ranges) -> sp.Expr | None:
    """The nonnegative root of `a z^2 + b z == value` with a, b >= 0, where z is a power of something in the entry."""
    powers: dict[sp.Expr, sp.Expr] = {}
    bases: set[sp.Expr] = set()
    for term in rest.args:
        factor = sp.Mul(*(a for a in sp.Mul.make_args(term) if not a.has(entry)))
        base, exponent = (term / factor).as_base_exp()
        if isinstance(term / factor, sp.exp):
            return None
        bases.add(base)
        powers[exponent] = powers.get(exponent, sp.S.Zero) + factor
    if len(bases) != 1 or len(powers) != 2 or any(e.has(entry) for e in powers):
        return None
    base, (p, q) = bases.pop(), sorted(powers, key=sp.default_sort_key)
    if sp.simplify(p - 2 * q) == 0:
        p, q = q, p
    if sp.simplify(q - 2 * p) != 0 or ranges.of(base).lower < 0 or not _is_positive(p, ranges):
        return None
    a, b = powers[q], powers[p]
    if ranges.of(a).lower < 0 or ranges.of(b).lower < 0:
        return None
    root = sp.sqrt(b**2 + 4 * a * value)
    if _is_positive(a, ranges):
        z = (root - b) / (2 * a)
    elif _is_positive(b, ranges):
        z = 2 * value / (b + root)
    else:
        return None
    return inverse_of(base, entry, z ** (1 / p), ranges)


def _is_positive(expression: sp.Expr, ranges: Ranges) -> bool:
    interval = ranges.of(expression)
    return interval.lower > 0 or (interval.lower == 0 and interval.lower_open)


def _reaches_zero(market: Market, entry: sp.Expr) -> bool:
    head = entry.quantity if isinstance(entry, Entry) else entry
    return any(c.quantity == head and c.lower == 0 for c in market.choices)


def _transformed_variable(change: ChangeOfVariables) -> Variable:
    if change.choice is None:
        raise InternalError("a cost of several choices has no transformed variable")
    entry = _entry(change.choice.quantity, change.letters)
    lower, upper = (change.phi.xreplace({entry: end}) for end in (change.choice.lower, change.choice.upper))
    upper = sp.oo if change.choice.upper is sp.oo else upper
    return Variable(change.linear, change.letters, lower, upper, f"{change.cost.layer.name}: output in units of cost")


def _change_formulas(change: ChangeOfVariables) -> list[tuple[str, sp.Basic]]:
    layer = change.cost.layer.name
    shown: list[tuple[str, sp.Basic]] = [(f"{layer}: definition", sp.Eq(change.entry, change.phi, evaluate=False))]
    if change.inverse is not None and change.choice is not None:
        entry = _entry(change.choice.quantity, change.letters)
        shown.append((f"{layer}: inverse", sp.Eq(entry, change.inverse, evaluate=False)))
    if change.cost.type is not None:
        linear = _entry(change.cost.type.quantity, change.letters) * change.entry + change.cost.known
        shown.append((f"{layer}: cost", linear))
    return shown


def _change_sentences(change: ChangeOfVariables) -> list[str]:
    layer = change.cost.layer.name
    shown = change.convex
    strictly = "increasing" if change.inverse is not None else "nondecreasing"
    rising = strictly if shown.nondecreasing else "not shown to be nondecreasing"
    sentences = [f"For {layer}, $\\phi$ is {rising} in what is chosen, and {shown.verdict}"]
    if change.choice is None:
        sentences.append(
            f"The cost of {layer} depends on several choices: y stands for the coefficient of its type and has no "
            "inverse; the programme stays in the choices as stated."
        )
    elif change.inverse is None:
        sentences.append("No closed inverse was found; numbers are found by bisection, and the programme stays in x.")
    if change.fixed != 0:
        sentences.append("$\\phi$ does not vanish at no output: the rest is a fixed cost, due whatever is bought.")
    return sentences


def _curvature_in_both(
    market: Market,
    program: Optimum | None,
    stated: Constraint,
    transformed: Constraint | None,
    changes: tuple[ChangeOfVariables, ...],
) -> tuple[str, bool | None, bool]:
    """The sentence about one constraint's curvature, whether it is convex in y, and whether that is proved."""
    wanted = _WANTED[stated.relation]
    in_x = curvature(stated.left - stated.right, market, wanted)
    words = [f"in x, it {in_x.verdict}"]
    in_y = None
    if program is not None and transformed is not None:
        in_y = curvature(transformed.left - transformed.right, program, wanted)
        if in_y.holds is True:
            return f"{words[0]} In y, it {in_y.verdict}", True, in_y.proved
    convex_phi = all(c.convex.holds is True and c.convex.nondecreasing for c in changes)
    if wanted == "concave" and in_x.holds is True and in_x.nondecreasing and convex_phi:
        words.append(
            "In y, it is concave, for the inverse of an increasing convex function is increasing and concave, and a "
            "nondecreasing concave function of concave functions is concave."
        )
        return " ".join(words), True, in_x.proved and all(c.convex.proved for c in changes)
    if in_y is not None:
        words.append(f"In y, it {in_y.verdict} The programme is therefore solved in x.")
    else:
        words.append("In y it cannot be written down; the programme is solved in x.")
    return " ".join(words), in_y.holds if in_y is not None else None, False


def _with_inverses(constraint: Constraint, changes: tuple[ChangeOfVariables, ...]) -> Constraint:
    """The constraint in y where phi has no closed inverse, for the reader: `φ⁻¹(y[k])` in place of x[k]."""
    for change in changes:
        if change.choice is not None:
            name = Quantity("φ⁻¹", _sets(change.letters), "open", change.choice.quantity.domain, r"\phi^{-1}")
            inverse = change.inverse or Rule(_entry(name, change.letters), change.entry)
            left, right = (
                substitute(e, change.choice.quantity, change.letters, inverse)
                for e in (constraint.left, constraint.right)
            )
            constraint = replace(constraint, left=left, right=right)
    return constraint


def _relation(constraint: Constraint) -> sp.Basic:
    relation = {">=": sp.Ge, "<=": sp.Le, "==": sp.Eq}[constraint.relation]
    return relation(constraint.left, constraint.right, evaluate=False)


def _entry(quantity: Quantity, letters: tuple[Letter, ...]) -> sp.Expr:
    return Entry(quantity, *letters) if letters else quantity


def _sets(letters: tuple[Letter, ...]) -> tuple[IndexSet, ...]:
    return tuple(letter.index_set for letter in letters)
