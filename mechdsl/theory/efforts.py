"""Who chooses the efforts, and for what: the leader who pays for them by the unit, the planner, and nobody.

All three solve one programme over the efforts themselves, `benefit - outlay`; they differ in what an effort costs them:
`c'(e) e` (prices must induce it), `c(e)` (it is commanded), or nothing to choose (it is not paid for).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from mechdsl.accounting import Books, constraint_slack, settle, stated_values
from mechdsl.derivation import Step
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, Letter, Quantity, entries, precision_of, quantities
from mechdsl.market import Choice, Layer, Market
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Account, Outcome
from mechdsl.program import Optimum, Solution, Status, Variable, optima
from mechdsl.structure import Report
from mechdsl.theory.curvature import curvature, is_convex_program, variables_of
from mechdsl.theory.precision import informed, learning, precision_misfit, written_out
from mechdsl.theory.private_cost import total
from mechdsl.theory.supply import supply, supply_misfit

__all__ = [
    "Part",
    "Separable",
    "effort_outcome",
    "effort_program",
    "effort_step",
    "free_objective",
    "leader_objective",
    "others_misfit",
    "planner_misfit",
    "planner_objective",
    "posted_misfit",
    "solved_at",
    "unsolved",
]

_PAPER = "Dai, Farboodi, Golrezaei & Shahshahani (2026)"


def posted_misfit(market: Market) -> str | None:
    """Why a market is none where one layer pays providers by the unit of what they do; None where it is."""
    contract = market.contracts[0]
    if len(market.contracts) != 1:
        return "it is for one contract between the payer and the providers"
    if market.objectives[0].layer != contract.payer:
        return f"the objective must be {contract.payer}'s, who pays"
    payer = market.layer(contract.payer)
    if payer.letters or market.choices_of(payer.name):
        return f"'{payer.name}' must be one layer that chooses nothing but the terms"
    return others_misfit(market, (contract.payer, contract.provider)) or supply_misfit(market, contract.provider)


def others_misfit(market: Market, involved: Sequence[str]) -> str | None:
    """Why what stands beside the contract does not fit: formulas of the precision, and layers that choose."""
    if any(quantities(f, "precision") for layer in market.layers for f in (layer.cost, layer.value, layer.outside)):
        reason = precision_misfit(market)
        if reason is not None:
            return reason
    for layer in market.layers:
        if layer.name not in involved and market.choices_of(layer.name):
            return f"layer '{layer.name}' chooses, and has no contract"
    return None


def planner_misfit(market: Market) -> str | None:
    """Why a market is none where a planner chooses every decision; None where it is."""
    planner = market.objectives[0].layer
    if market.choices_of(planner):
        return f"layer '{planner}' chooses itself; a planner has no choice of its own, and decides everyone's"
    if not market.choices:
        return "there is nothing to choose"
    if not market.constraints and all(layer.value == 0 for layer in market.layers):
        return "nothing is worth its cost: state a demand, or a value"
    return others_misfit(market, [layer.name for layer in market.layers])


@dataclass(frozen=True, slots=True)
class Part:
    """What the choices of one layer cost the one who decides on them: `outlay`, in the layer's letters and its own
    choice alone.
    """

    layer: Layer
    choice: Choice
    outlay: sp.Expr


@dataclass(frozen=True, slots=True)
class Separable:
    """`benefit - sum of outlays`, as stated: the precision stands in it by name."""

    benefit: sp.Expr
    parts: tuple[Part, ...]

    @property
    def objective(self) -> sp.Expr:
        return sp.Add(self.benefit, *(-total(part.outlay, part.layer) for part in self.parts))


def leader_objective(market: Market) -> Separable:
    """`value - own cost - sum c'(e) e`: the payer's profit as a function of the efforts it induces.

    Source: Dai, Farboodi, Golrezaei & Shahshahani (2026), equation (5); costs that are not quadratic: ours.
    """
    contract = market.contracts[0]
    payer, provided = market.layer(contract.payer), supply(market, contract.provider)
    outlay = provided.cost if market.objectives[0].goal == "welfare" else provided.outlay
    parts = (Part(provided.layer, provided.choice, outlay),)
    return Separable(payer.value - payer.cost, parts)


def planner_objective(market: Market) -> Separable:
    """`sum of values - sum of costs` over all choices: what transfers cannot add to.

    Source: Dai, Farboodi, Golrezaei & Shahshahani (2026), equation (6).
    """
    parts, rest = [], []
    for layer in market.layers:
        choices = market.choices_of(layer.name)
        entry = choices[0].declaration.entry if len(choices) == 1 else None
        if entry is not None and entries(layer.cost, "decision") == {entry}:
            parts.append(Part(layer, choices[0], layer.cost))
        else:
            rest.append(-total(layer.cost, layer))
        rest.append(total(layer.value, layer))
    return Separable(sp.Add(*rest), tuple(parts))


def free_objective(market: Market) -> Separable:
    """`- sum c(e)`: what providers do who are not paid for it."""
    provided = supply(market, market.contracts[0].provider)
    return Separable(sp.S.Zero, (Part(provided.layer, provided.choice, provided.cost),))


def effort_program(market: Market, goal: Separable, name: str) -> Optimum:
    """`maximise benefit - sum of outlays` over all choices, the precision written out, subject to what was stated."""
    known = informed(market)
    objective = _without_zeros(written_out(market, goal.objective), market)
    found = {q for c in known.constraints for e in (c.left, c.right) for q in quantities(e)} | quantities(objective)
    program = Optimum(
        sense="maximize",
        objective=objective,
        variables=variables_of(market),
        constraints=known.constraints,
        data=market.data,
        parameters=tuple(sorted((q for q in found if q.role == "type"), key=lambda q: str(q.name))),
        name=name,
    )
    return replace(program, convex=_convex(market, program, goal.objective))


def _without_zeros(objective: sp.Expr, market: Market) -> sp.Expr:
    """The objective with single numbers that are 0 put in: a factor of variance 0 then brings nothing to solve for."""
    zeros = {}
    for entry in entries(objective, "param"):
        head, place = (entry.quantity, entry.indices) if isinstance(entry, Entry) else (entry, ())
        if all(i.is_Integer for i in place) and market.data[head][tuple(map(int, place))] == 0:
            zeros[entry] = sp.S.Zero
    found: sp.Expr = objective.xreplace(zeros)
    return found


def _convex(market: Market, program: Optimum, stated: sp.Expr) -> bool | None:
    """Whether a local optimum is global: by the concavity of the precision where the objective is concave and rises in
    it, else by the formula as it stands.
    """
    asked = sorted(quantities(stated, "precision"), key=str)
    constrained = any(quantities(c.left - c.right, "precision") for c in market.constraints)
    if len(asked) == 1 and not constrained:
        known = learning(market)
        noises = all(curvature(one.noise, market, "concave").holds is True for one in known.told)
        stand_in = Quantity("precision", (), "decision", precision_of(known.state).domain)
        objective = stated.xreplace({asked[0]: stand_in})
        extended = replace(program, objective=objective, variables=(*program.variables, Variable(stand_in, ())))
        found = curvature(objective, extended, "concave", sample=False)
        rows = is_convex_program(replace(program, objective=sp.S.Zero))
        if noises and found.holds is True and stand_in not in found.shape.falls and rows is True:
            return True
    return is_convex_program(program)


def effort_step(program: Optimum, name: str, because: str, source: str = _PAPER) -> Step:
    """The programme over efforts: who maximises what, and whether a local optimum is a global one."""
    convex = {
        True: "It is concave in the efforts, so a local optimum is the optimum.",
        False: "As posed it is not concave: what is found may be a local optimum.",
        None: "It was not shown to be concave: what is found may be a local optimum.",
    }[program.convex]
    return Step(name, program.objective, f"{because} {convex}", source, proved=True)


def unsolved(mechanism: Mechanism, report: Report, solution: Solution) -> Outcome | None:
    """The outcome where the solve ended otherwise than in an optimum; None where it is one."""
    if solution.status is Status.OPTIMAL:
        return None
    return Outcome(mechanism.structure.name, solution.status, solution.message, report=_by_name(report))


def effort_outcome(
    mechanism: Mechanism,
    report: Report,
    accounts: Iterable[Account],
    extra: Mapping[str, object],
    payer: str | None = None,
    notes: Iterable[str] = (),
) -> Outcome:
    """The outcome of chosen efforts and given transfers: books from what was stated, slack and shadow prices.

    The allocation is the programme's solution at `report`, with the slack of every constraint, stated or added by the
    structure; `accounts` say who pays whom; `extra` holds further quantities by name, to which `precision` is added
    where the market asks for it; `payer` is whose profit is the outcome's `profit`.
    """
    market, solution = mechanism.market, mechanism.solve(report)
    lines = tuple(accounts)
    books: Books = settle(market, report, solution.values, lines)
    values = stated_values(market, report, solution.values)
    stated = {c.name for c in market.constraints}
    added = tuple(c for stage in optima(mechanism.program) for c in stage.constraints if c.name not in stated)
    slack = constraint_slack(replace(market, constraints=(*market.constraints, *added)), values)
    shadow = {n: np.where(np.isnan(slack[n]), np.nan, np.abs(m)) for n, m in solution.multipliers.items()}
    told = [float(v) for q, v in values.items() if q.role == "precision" and not q.sets]
    local = (
        () if mechanism.program.convex else ("The programme was not shown to be convex: this may be a local optimum.",)
    )
    return Outcome(
        mechanism.structure.name, solution.status, solution.message,
        report=_by_name(report),
        report_is_mean=market.report is None and bool(market.types),
        allocation=solution.values,
        payments={n: books.received[n] for n in dict.fromkeys(a.receiver for a in lines)},
        utilities=books.utilities, costs=books.costs, values=books.values,
        welfare=books.welfare,
        profit=books.profit(payer) if payer is not None else None,
        slack=slack, shadow_price=shadow, accounts=lines,
        extra={**({"precision": told[0]} if len(told) == 1 else {}), **extra},
        notes=(*notes, *local),
    )  # fmt: skip


def solved_at(mechanism: Mechanism, report: Report, formula: sp.Expr, letters: Sequence[Letter] = ()) -> Array:
    """A formula without `precision(theta)`, at the programme's solution."""
    market, solution = mechanism.market, mechanism.solve(report)
    chosen = {c.quantity: solution.values[str(c.quantity.name)] for c in market.choices}
    values = {**market.data, **report, **chosen}
    return np.array(evaluate(formula, values, letters))


def _by_name(report: Report) -> dict[str, Array]:
    return {str(q.name): np.asarray(table) for q, table in report.items()}
