"""The checks of the kit, one a function: each yields what it finds wrong, a sentence at a time.

None reads the derivation. What a check asks for and what to do where it fails stand beside it in `CHECKS`; where a
finding has a remedy of its own, it comes with the sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import sympy as sp

from mechdsl import pipeline
from mechdsl.accounting import constraint_slack, settle, stated_values
from mechdsl.errors import InternalError
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity, letters_of, quantities
from mechdsl.market import Contract, Layer, Market
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Outcome
from mechdsl.program import Optimum, given, optima
from mechdsl.structure import Example, Report

__all__ = ["CHECKS", "Found", "slack_of"]

SEED = 20_250_101
TOLERANCE = 1e-6

Found: TypeAlias = str | tuple[str, str]
"""What is wrong; or that, and what to do about it."""

_Check: TypeAlias = Callable[[Mechanism, Report, Outcome, Example], Iterator[Found]]


def expected_numbers(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[Found]:
    """The example's own numbers, from outside the derivation."""
    del report
    from mechdsl.report.json_report import outcome_object

    document = outcome_object(mechanism.market, outcome)
    for path, wanted in example.expect.items():
        found = _at(document, path.split("."))
        if found is None:
            said = "Paths are those of `mechdsl solve FILE --json` below the regime; "
            yield f"the outcome has no number '{path}'", f"{said}on its first level there are {', '.join(document)}."
        elif not abs(found - wanted) <= example.tolerance * max(1.0, abs(wanted)):
            stated = f"{path} is {found:.10g}, stated {wanted:.10g} ({example.source})"
            opposite = wanted and abs(found + wanted) <= example.tolerance * max(1.0, abs(wanted))
            yield (stated, _OPPOSITE) if opposite else stated


def certificate(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[Found]:
    """Every check of the certificate passes."""
    del example
    from mechdsl.certify import certify

    for check in certify(mechanism, report, outcome).checks:
        if not check.passed:
            found = f"{check.name} is {check.value:.3g}, more than {check.tolerance:.3g}. {check.detail}".rstrip()
            yield found, _remedy_of(check.name)


def _remedy_of(check: str) -> str:
    """What to do about a check of the certificate that fails."""
    for start, remedy in _CERTIFICATE.items():
        if check.startswith(start):
            return remedy
    if check.endswith((" met", " within bounds")):
        return "The allocation must be the solution of a programme that has every stated constraint and bound."
    return "It is the structure's own check (`checks`): either the outcome is wrong, or the check asks too much."


def every_constraint(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[Found]:
    """The programme has every constraint that the market states, under its name."""
    del report, outcome, example
    if optima(mechanism.program):
        posed = {row.name for stage in optima(mechanism.program) for row in stage.constraints}
        for row in mechanism.market.constraints:
            if row.name not in posed:
                yield f"the programme has no constraint '{row.name}', which the market states"


def derivation_leads_there(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[Found]:
    """Every step has a reason and a source, and some step's formula is the objective of what is solved."""
    del report, outcome, example
    derivation = mechanism.derivation
    if not derivation.steps:
        yield "the derivation has no step", "Return Derivation(title, (Step(name, formula, because, source), ...))."
    for step in derivation.steps:
        if not (step.name.strip() and step.because.strip() and step.source.strip()):
            yield f"step '{step.name}' lacks its name, its reason or its source", "Say why, and who showed it."
    formulas = [f for step in derivation.steps for f in (step.formula, *(g for _, g in step.formulas))]
    sides = [side for f in formulas for side in (f.args if isinstance(f, sp.core.relational.Relational) else (f,))]
    for stage in optima(mechanism.program):
        if not any(_same(side, stage) for side in sides if isinstance(side, sp.Expr)):
            yield f"no step comes to the objective of the {stage.name}, {stage.objective}"


def _same(formula: sp.Expr, stage: Optimum) -> bool:
    """Whether a formula is the objective, up to sign and rewriting: compared at random points."""
    if formula == stage.objective:
        return True
    if letters_of(formula) - letters_of(stage.objective):
        return False
    generator = np.random.default_rng(SEED)
    every = quantities(formula) | quantities(stage.objective)
    if any(q.role == "decision" and q not in {v.quantity for v in stage.variables} for q in every):
        return False
    for _ in range(3):
        values = {
            q: np.asarray(stage.data.get(q, generator.uniform(0.5, 1.5, q.shape))) for q in sorted(every, key=str)
        }
        try:
            one, other = (float(np.sum(evaluate(f, values))) for f in (formula, stage.objective))
        except InternalError:  # a rule, an expectation: nothing that has a value
            return False
        if not (np.isclose(one, other, rtol=1e-9) or np.isclose(one, -other, rtol=1e-9)):
            return False
    return True


def no_better_decision(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[Found]:
    """No feasible decision near the optimum, or far from it, has a better objective: random search."""
    del outcome, example
    if not optima(mechanism.program):  # a game, say: its certificate asks every player
        return
    best = mechanism.solve(report)
    parameters = mechanism.structure.parameters(mechanism.market, report)
    for stage in optima(mechanism.program):
        generator = np.random.default_rng(SEED)
        fixed = {**stage.data, **given(stage, parameters, best.values)}
        here = {v: np.asarray(best.values[v.name]) for v in stage.variables}
        sign = 1.0 if stage.sense == "minimize" else -1.0
        objective = sign * float(evaluate(stage.objective, {**fixed, **{v.quantity: x for v, x in here.items()}}))
        found = np.inf
        for scale in np.repeat([1e-4, 1e-2, 0.3, 2.0], 100):
            moved = {v.quantity: _perturbed(generator, x, scale) for v, x in here.items()}
            if _feasible(stage, {**fixed, **moved}):
                found = min(found, sign * float(evaluate(stage.objective, {**fixed, **moved})))
        if found < objective - TOLERANCE * (1 + abs(objective)):
            yield f"a feasible decision has objective {sign * found:.10g}, better than the solution's {objective:.10g}"


def truth_is_best(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[Found]:
    """No provider gains from a misreport, asking `recover` at the lie and stated costs at the truth.

    Where a layer represents the providers, the gain is all of theirs together.
    """
    del example
    market = mechanism.market
    money = 1.0 + sum(float(np.sum(np.abs(p))) for p in outcome.payments.values())
    for private in market.types:
        layer = market.layer(private.layer)
        union = next((y for y in market.layers if y.represents == layer.name), None)
        for place, law in zip(np.ndindex(*private.quantity.shape), private.distributions, strict=True):
            for misreport in np.linspace(law.lower, law.upper, 5):
                table = np.array(report[private.quantity], dtype=float)
                table[place] = misreport
                lie = mechanism.structure.recover(mechanism, {**report, private.quantity: table})
                if not lie.status.found:
                    continue
                if union is not None:
                    gain = _kept(market, report, lie, (union, layer)) - sum(
                        float(np.sum(outcome.utilities[y.name])) for y in (union, layer)
                    )
                elif layer.name in lie.payments:
                    values = stated_values(market, report, lie.allocation)
                    utility = lie.payments[layer.name] + evaluate(layer.value - layer.cost, values, layer.letters)
                    gain = float(utility[place] - outcome.utilities[layer.name][place])
                else:
                    continue
                if gain > TOLERANCE * money:
                    who = f"{layer.name} {place}" if union is None else union.name
                    yield f"{who} gains {gain:.3g} by reporting {misreport:.6g} for {private.name} {place}"


def _kept(market: Market, report: Report, lie: Outcome, layers: tuple[Layer, ...]) -> float:
    """What the contract leaves these layers together at a lie: payments less costs, as stated, at the true types."""
    values = stated_values(market, report, lie.allocation)
    worth = sum(float(np.sum(evaluate(y.value - y.cost, values, y.letters))) for y in layers)
    return worth + sum(float(np.sum(lie.payments[y.name])) for y in layers if y.represents is not None)


def participation(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[Found]:
    """Every provider is at least as well off as outside; a planner, who has no contracts, commands.

    Where a layer represents the providers, or they sell through one between, what counts is what all of them get.
    """
    del report, example
    market = mechanism.market
    typed = {t.layer for t in market.types} if market.contracts else set()
    for layer in (y for y in market.layers if y.name in {c.provider for c in market.contracts} | typed):
        outside = evaluate(layer.outside, market.data, layer.letters)
        above = np.asarray(outcome.utilities[layer.name]) - outside
        place = np.unravel_index(int(np.argmin(above)), above.shape)
        if above[place] < -TOLERANCE:
            labels = ", ".join(a.index_set.labels[j] for a, j in zip(layer.letters, place, strict=True))
            who = f"{layer.name}[{labels}]" if labels else layer.name
            yield f"{who} is {-above[place]:.3g} worse off than outside"


def books_balance(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[Found]:
    """Payments are what the accounts say, and utilities add up to values minus costs as stated."""
    del example
    books = settle(mechanism.market, report, outcome.allocation, outcome.accounts)
    for layer, amounts in outcome.payments.items():
        if not np.allclose(books.received[layer], amounts, rtol=1e-9, atol=1e-9):
            yield f"payments to {layer} differ from the accounts"
    total = sum(float(np.sum(u)) for u in outcome.utilities.values())
    if outcome.welfare is not None and abs(total - books.welfare) > 1e-9 * (1 + abs(books.welfare)):
        yield f"utilities add up to {total:.10g}, values minus costs to {books.welfare:.10g}"


def money_scales(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[Found]:
    """Seven times every cost, value and outside option: the same allocation, seven times every payment."""
    factor = sp.Integer(7)
    money = mechanism.structure.handles.money
    named = {*example.money, *(name for names in money.values() for name in names)}
    market = replace(
        mechanism.market,
        layers=tuple(_scaled(y, factor) for y in mechanism.market.layers),
        contracts=tuple(_paid(c, factor, money.get(c.kind, ())) for c in mechanism.market.contracts),
        data={q: 7 * table if str(q.name) in example.money else table for q, table in mechanism.market.data.items()},
    )
    other = mechanism.structure.recover(pipeline.mechanism(market, mechanism.structure), report)
    if not other.status.found:
        yield f"with money scaled it ends {other.status}: {other.message}"
        return
    for name, x in outcome.allocation.items():
        wanted = (7 if name in named else 1) * np.asarray(x)
        if not np.allclose(other.allocation[name], wanted, rtol=TOLERANCE, atol=TOLERANCE):
            yield f"{name} changes with the unit of money"
    for name, p in outcome.payments.items():
        if not np.allclose(other.payments[name], 7 * np.asarray(p), rtol=TOLERANCE, atol=TOLERANCE):
            yield f"payments to {name} do not scale with money"


def renderings_agree(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[Found]:
    """At random points the exported Pyomo model and the formulas give the same objective."""
    del outcome, example
    if not optima(mechanism.program):
        return
    parameters = mechanism.structure.parameters(mechanism.market, report)
    solution = mechanism.solve(report)
    for stage in optima(mechanism.program):
        yield from _rendered_alike(stage, given(stage, parameters, solution.values))


def _rendered_alike(program: Optimum, parameters: Mapping[Quantity, Array]) -> Iterator[Found]:
    from pyomo.environ import value as pyomo_value

    from mechdsl.engines.pyomo_model import concrete_model

    generator = np.random.default_rng(SEED)
    model = concrete_model(program, parameters)
    for _ in range(5):
        point = {v: generator.uniform(0.1, 2.0, v.quantity.shape) for v in program.variables}
        values = {**program.data, **parameters, **{v.quantity: x for v, x in point.items()}}
        for variable, x in point.items():
            component = getattr(model, variable.name)
            for key, number in zip(component, x.ravel(), strict=True):
                component[key].set_value(float(number), skip_validation=True)
        stated = float(evaluate(program.objective, values))
        rendered = float(pyomo_value(model.objective))
        if not np.isclose(stated, rendered, rtol=1e-10, atol=1e-12):
            yield f"objective: formula {stated!r}, Pyomo {rendered!r}"


_OPPOSITE = (
    "It is the opposite number: in Account(payer, receiver, amounts) amounts are >= 0 where the first pays the second."
)

_CERTIFICATE = {
    "first-order": "The solution of the programme is not its optimum: is `convex` said of one that is not?",
    "complementary": "The multipliers are not those of the solution: return mechanism.solve(report) as it is.",
    "duality gap": "The programme is said to be convex, and a better decision may exist: leave `convex` to "
    "theory.optimum_of, which proves it or does not.",
    "accounts add up": "Utilities and welfare must come from the same books: theory.effort_outcome, or "
    "mechdsl.accounting.settle, keeps them from the accounts alone.",
    "participation": "Pay at least cost and outside option.",
}

CHECKS: tuple[tuple[str, str, str, _Check], ...] = (
    (
        "expected numbers",
        "the numbers that the example states",
        "Work the number out by hand once more; if it stands, it is the payment rule or the programme that is wrong.",
        expected_numbers,
    ),
    (
        "constraints",
        "what the market demands is demanded of the solver",
        "Give the programme market.constraints, and what else there is after them.",
        every_constraint,
    ),
    ("certificate", "every check of the certificate passes", "Look at the check's own detail.", certificate),
    (
        "derivation",
        "`inspect` shows how one comes from what is stated to what is solved",
        "Let one step have the programme's objective for its formula: make both from the same function.",
        derivation_leads_there,
    ),
    (
        "no better decision",
        "no feasible decision has a better objective, of 400 tried at random",
        "Is the sense right (maximize, minimize)? Is the programme not concave, so that the optimum is a local one?",
        no_better_decision,
    ),
    (
        "truth is best",
        "no provider gains by reporting another type than its own",
        "The payment must be the one of the allocation: theory.envelope_payments, with the slope at which the weight "
        "moves with the type; it works where own output falls as the own type rises.",
        truth_is_best,
    ),
    (
        "participation",
        "every provider is at least as well off as outside",
        "Pay at least cost and outside option; of a private type, at the worst type too.",
        participation,
    ),
    (
        "books balance",
        "payments are what the accounts say, and utilities add up to values minus costs",
        "Let theory.effort_outcome (or mechdsl.accounting.settle) keep the books: whatever is paid is one Account.",
        books_balance,
    ),
    (
        "money scales",
        "seven times every cost, value and outside option: the same allocation, seven times every payment",
        "An amount of money is written into the structure: take it from the contract's arguments, and name those that "
        "are money in Handles(money=...); params and choices of the market that are (prices, a budget) in "
        "Example(money=...).",
        money_scales,
    ),
    (
        "renderings agree",
        "the Pyomo model that `export` writes has the objective of the formulas, at random points",
        "The objective has something that only one of the two knows: keep to the functions of the language.",
        renderings_agree,
    ),
)


def _at(document: Mapping[str, object], path: list[str]) -> float | None:
    here: object = document
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            return None
        here = here[key]
    return float(here) if isinstance(here, int | float) else None


def _perturbed(generator: np.random.Generator, x: Array, scale: float) -> Array:
    """Each entry multiplied and shifted at random, some set to 0."""
    factor = np.exp(scale * generator.standard_normal(x.shape))
    shift = scale * np.abs(generator.standard_normal(x.shape)) * (generator.random(x.shape) < 0.5)
    zero = generator.random(x.shape) < 0.1 * scale
    return np.where(zero, 0.0, x * factor + shift)


def _feasible(program: Optimum, values: Mapping[Quantity, Array]) -> bool:
    for variable in program.variables:
        x = values[variable.quantity]
        lower, upper = (evaluate(e, values, variable.letters) for e in (variable.lower, variable.upper))
        if np.any(x < lower) or np.any(x > upper):
            return False
    for constraint in program.constraints:
        gap = evaluate(constraint.left - constraint.right, values, constraint.letters)
        held = {">=": gap >= 0, "<=": gap <= 0, "==": np.abs(gap) <= 1e-12}[constraint.relation]
        if constraint.where != sp.true:
            held = held | ~evaluate(constraint.where, values, constraint.letters).astype(bool)
        if not np.all(held):
            return False
    return True


def _scaled(layer: Layer, factor: sp.Expr) -> Layer:
    return replace(layer, cost=factor * layer.cost, value=factor * layer.value, outside=factor * layer.outside)


def _paid(contract: Contract, factor: sp.Expr, money: tuple[str, ...]) -> Contract:
    scaled = {n: a if n not in money or isinstance(a, str) else factor * a for n, a in contract.arguments.items()}
    return replace(contract, arguments=scaled)


def slack_of(market: Market, report: Report, outcome: Outcome) -> Mapping[str, Array]:
    """The slack of every constraint at an outcome, for tests of structures."""
    return constraint_slack(market, stated_values(market, report, outcome.allocation))
