"""The conformance kit: what every market structure must pass, the built-in ones included.

Each example of a structure is solved, and then asked what no derivation can answer for itself: are the numbers stated
elsewhere met, does any feasible decision do better, does any provider gain by lying, do the books balance, does money
scale, do labels matter, do the formulas and the exported Pyomo model say the same. Failures come as sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from mechdsl import pipeline, syntax
from mechdsl import syntax_tree as tree
from mechdsl.accounting import constraint_slack, settle, stated_values
from mechdsl.distributions.conformance import check_family
from mechdsl.elaborate import elaborate
from mechdsl.errors import MechError, Source
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import IndexSet, Quantity
from mechdsl.market import Contract, Layer, Market
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Outcome
from mechdsl.program import Optimum, given, optima
from mechdsl.structure import Example, Registry, Report, Structure, match, verify

__all__ = ["Failure", "NonconformingError", "check_family", "check_structure", "failures"]

SEED = 20_250_101
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing a structure does not do as it must: the example, the check, what is wrong."""

    example: str
    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.example}: {self.check}: {self.message}"


class NonconformingError(AssertionError):
    """A structure failed the kit; the message lists every failure."""


def check_structure(structure: Structure) -> None:
    """Run the whole kit.

    Raises:
        NonconformingError: with every failure, in words.
    """
    found = list(failures(structure))
    if found:
        raise NonconformingError("\n".join([f"structure '{structure.name}' does not conform:", *map(str, found)]))


def failures(structure: Structure) -> Iterator[Failure]:
    """Every failure of the kit; none for a conforming structure."""
    reason = verify(structure)
    if reason is not None:
        yield Failure("structure", "registration", reason)
        return
    if not structure.examples:
        yield Failure(
            "structure", "examples", "there is none: a structure needs a market with a number stated elsewhere"
        )
    for example in structure.examples:
        yield from _example_failures(structure, example)


def _example_failures(structure: Structure, example: Example) -> Iterator[Failure]:
    try:
        file = syntax.parse(example.text, "example")
        market = elaborate(file, Source("example", example.text)).markets[example.regime]
    except MechError as error:
        yield Failure("example", "reading", str(error))
        return
    name = market.name
    chosen = match(market, Registry((structure,)))
    if chosen.structure is None:
        yield Failure(name, "matching", f"the structure does not take its own example: {chosen.reasons}")
        return
    mechanism = pipeline.mechanism(market, structure)
    report = pipeline.stated_report(market)
    outcome = structure.recover(mechanism, report)
    if not outcome.status.found:
        yield Failure(name, "solving", f"status {outcome.status}: {outcome.message}")
        return
    for check in _CHECKS:
        yield from (Failure(name, _words(check), message) for message in check(mechanism, report, outcome, example))
    yield from (Failure(name, "relabelling", m) for m in _relabelled(structure, file, example, outcome))


_Check = Callable[[Mechanism, Report, Outcome, Example], Iterator[str]]


def expected_numbers(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[str]:
    """The example's own numbers, from outside the derivation."""
    del report
    from mechdsl.report.json_report import outcome_object

    document = outcome_object(mechanism.market, outcome)
    for path, wanted in example.expect.items():
        found = _at(document, path.split("."))
        if found is None:
            yield f"the outcome has no '{path}'"
        elif not abs(found - wanted) <= example.tolerance * max(1.0, abs(wanted)):
            yield f"{path} = {found!r}, stated by {example.source}: {wanted!r}"


def certificate(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[str]:
    """Every check of the certificate passes."""
    del example
    from mechdsl.certify import certify

    for check in certify(mechanism, report, outcome).checks:
        if not check.passed:
            yield f"{check.name} = {check.value:.3g}, tolerance {check.tolerance:.3g}. {check.detail}"


def no_better_decision(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[str]:
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


def truth_is_best(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[str]:
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


def participation(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[str]:
    """Every layer with a private type is at least as well off as outside; a planner, who has no contracts, commands."""
    del report, example
    if not mechanism.market.contracts:
        return
    for private in mechanism.market.types:
        layer = mechanism.market.layer(private.layer)
        outside = evaluate(layer.outside, mechanism.market.data, layer.letters)
        worst = float(np.min(np.asarray(outcome.utilities[layer.name]) - outside))
        if worst < -TOLERANCE:
            yield f"{layer.name} is {-worst:.3g} worse off than outside"


def books_balance(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[str]:
    """Payments are what the accounts say, and utilities add up to values minus costs as stated."""
    del example
    books = settle(mechanism.market, report, outcome.allocation, outcome.accounts)
    for layer, amounts in outcome.payments.items():
        if not np.allclose(books.received[layer], amounts, rtol=1e-9, atol=1e-9):
            yield f"payments to {layer} differ from the accounts"
    total = sum(float(np.sum(u)) for u in outcome.utilities.values())
    if outcome.welfare is not None and abs(total - books.welfare) > 1e-9 * (1 + abs(books.welfare)):
        yield f"utilities add up to {total:.10g}, values minus costs to {books.welfare:.10g}"


def money_scales(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[str]:
    """Seven times every cost, value and outside option: the same allocation, seven times every payment."""
    del example
    factor = sp.Integer(7)
    money = mechanism.structure.handles.money
    market = replace(
        mechanism.market,
        layers=tuple(_scaled(y, factor) for y in mechanism.market.layers),
        contracts=tuple(_paid(c, factor, money.get(c.kind, ())) for c in mechanism.market.contracts),
    )
    other = mechanism.structure.recover(pipeline.mechanism(market, mechanism.structure), report)
    if not other.status.found:
        yield f"with money scaled it ends {other.status}: {other.message}"
        return
    for name, x in outcome.allocation.items():
        if not np.allclose(other.allocation[name], x, rtol=TOLERANCE, atol=TOLERANCE):
            yield f"{name} changes with the unit of money"
    for name, p in outcome.payments.items():
        if not np.allclose(other.payments[name], 7 * np.asarray(p), rtol=TOLERANCE, atol=TOLERANCE):
            yield f"payments to {name} do not scale with money"


def renderings_agree(mechanism: Mechanism, report: Report, outcome: Outcome, example: Example) -> Iterator[str]:
    """At random points the exported Pyomo model and the formulas give the same objective."""
    del outcome, example
    if not optima(mechanism.program):
        return
    parameters = mechanism.structure.parameters(mechanism.market, report)
    solution = mechanism.solve(report)
    for stage in optima(mechanism.program):
        yield from _rendered_alike(stage, given(stage, parameters, solution.values))


def _rendered_alike(program: Optimum, parameters: Mapping[Quantity, Array]) -> Iterator[str]:
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


_CHECKS: tuple[_Check, ...] = (
    expected_numbers,
    certificate,
    no_better_decision,
    truth_is_best,
    participation,
    books_balance,
    money_scales,
    renderings_agree,
)


def _words(check: _Check) -> str:
    return getattr(check, "__name__", "check").replace("_", " ")


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


def _relabelled(structure: Structure, file: tree.File, example: Example, outcome: Outcome) -> Iterator[str]:
    """Labels in the opposite order change nothing but the order."""
    turned = replace(file, statements=_turned(file.statements))
    try:
        market = elaborate(turned, Source("example, relabelled", example.text)).markets[example.regime]
    except MechError as error:
        yield str(error)
        return
    if market.sets == () or all(s.labels == t.labels for s, t in zip(market.sets, _sets(file, example), strict=True)):
        return
    other = structure.recover(pipeline.mechanism(market, structure), pipeline.stated_report(market))
    flip = {s.name for s, t in zip(market.sets, _sets(file, example), strict=True) if s.labels != t.labels}
    for choice in market.choices:
        name = str(choice.quantity.name)
        back = _flipped(np.asarray(other.allocation[name]), tuple(s.name in flip for s in choice.quantity.sets))
        if not np.allclose(back, outcome.allocation[name], rtol=1e-5, atol=1e-6):
            yield f"{name} depends on the order of the labels"
    if (
        outcome.revenue is not None
        and other.revenue is not None
        and not np.isclose(outcome.revenue, other.revenue, rtol=TOLERANCE, atol=TOLERANCE)
    ):
        yield "revenue depends on the order of the labels"


def _sets(file: tree.File, example: Example) -> tuple[IndexSet, ...]:
    return elaborate(file, Source("example", example.text)).markets[example.regime].sets


def _flipped(table: Array, axes: tuple[bool, ...]) -> Array:
    return np.flip(table, axis=tuple(j for j, flip in enumerate(axes) if flip))


def _turned(statements: tuple[tree.Statement, ...]) -> tuple[tree.Statement, ...]:
    """Every set of labels reversed, and every list of values along it."""
    reversed_letters = {
        letter.id
        for s in statements
        if isinstance(s, tree.IndexStatement) and isinstance(s.members, tree.LabelSet)
        for letter in s.letters
    }

    def turn(node: tree.Expression | None, letters: tuple[tree.Name, ...]) -> tree.Expression | None:
        if not isinstance(node, tree.Sequence) or not letters:
            return node
        items = tuple(turn(item, letters[1:]) for item in node.items)
        kept = tuple(item for item in items if item is not None)
        return replace(node, items=kept[::-1] if letters[0].id in reversed_letters else kept)

    types = {
        item.target.name: item.target.letters
        for s in statements
        if isinstance(s, tree.LayerStatement)
        for item in s.items
        if isinstance(item, tree.TypeStatement)
    }
    turned: list[tree.Statement] = []
    for s in statements:
        if isinstance(s, tree.IndexStatement) and isinstance(s.members, tree.LabelSet):
            turned.append(replace(s, members=replace(s.members, labels=s.members.labels[::-1])))
        elif isinstance(s, tree.ParamStatement):
            turned.append(replace(s, value=turn(s.value, s.target.letters)))
        elif isinstance(s, tree.ReportStatement):
            value = turn(s.value, types.get(s.name.id, ()))
            turned.append(s if value is None else replace(s, value=value))
        elif isinstance(s, tree.RegimeStatement):
            turned.append(replace(s, body=_turned(s.body)))
        else:
            turned.append(s)
    return tuple(turned)


def slack_of(market: Market, report: Report, outcome: Outcome) -> Mapping[str, Array]:
    """The slack of every constraint at an outcome, for tests of structures."""
    return constraint_slack(market, stated_values(market, report, outcome.allocation))
