"""Substitutes or complements, and what the optimum leaves open: how outputs answer when one cost moves.

Where the answer follows from theory it is not searched for. Where it is searched for, `Psi`, the least cost at given
weights, is the judge: its differences say what outputs do also where the minimiser is not unique, and a place found is
a fact with numbers, while a search that finds none proves nothing and says how far it went.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mechdsl.distributions import Distribution
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.market import Market, PrivateType
from mechdsl.mechanism import Mechanism
from mechdsl.program import Solution, Status
from mechdsl.structure import Report
from mechdsl.theory.essential import output_names
from mechdsl.theory.private_cost import PrivateCost, private_cost

__all__ = ["Complements", "Loose", "Substitution", "loose_outputs", "substitution"]

_SEED = 20250822
_SHOWN = 6  # types named in a sentence
_EFFORT = 120  # solves of a search
_CONFIRMED = 6  # candidates that Psi is asked about
_FALL = 1e-4  # of an output, relative to its size: less is no complement
_WHOLE = 0.999  # a fall after which nothing worse need be looked for
_STEPS = (1e-5, 1e-6)  # of a weight, relative: a jump that both show is one
_JUMP = 1e-3  # of an output, relative to the largest, that leaves it open
_MOST = 40  # outputs whose being pinned down is tried


@dataclass(frozen=True, slots=True)
class Complements:
    """One place where an output falls when another's cost rises.

    Args:
        raised, before, after: the type entry that rises, from what to what.
        fallen, high, low: the output that falls (`y`, what the type is multiplied by), from what to what.
        at: all types before the rise, by entry.
        slope: the mean fall over a small interval of its own weight, from differences of Psi: what confirms it.
    """

    raised: str
    before: float
    after: float
    fallen: str
    high: float
    low: float
    at: Mapping[str, float] = field(hash=False)
    slope: float

    def __str__(self) -> str:
        types = ", ".join(f"{name} = {value:.4g}" for name, value in tuple(self.at.items())[:_SHOWN])
        types += f" and {len(self.at) - _SHOWN} more" if len(self.at) > _SHOWN else ""
        return (
            f"when {self.raised} rises from {self.before:.4g} to {self.after:.4g}, {self.fallen} falls from "
            f"{self.high:.4g} to {self.low:.4g} (at {types})"
        )


@dataclass(frozen=True, slots=True)
class Substitution:
    """Whether outputs are substitutes (Definition 2.1: none falls when another's cost rises).

    Args:
        holds: True: it follows; False: refuted by `worst`; None: a search found nothing against it.
        because: why, or how it was searched.
        worst: the largest relative fall found.
        solves: how many programmes were solved.
    """

    holds: bool | None
    because: str
    worst: Complements | None = None
    solves: int = 0

    def __str__(self) -> str:
        words = {True: "substitutes", False: "complements", None: "no complements found"}
        return (
            f"{words[self.holds]}: {self.worst}. {self.because}"
            if self.worst
            else f"{words[self.holds]}: {self.because}"
        )


@dataclass(frozen=True, slots=True)
class Loose:
    """An output that the optimum does not pin down: any value from `low` to `high` is optimal; `given` is reported."""

    output: str
    low: float
    high: float
    given: float

    def __str__(self) -> str:
        return f"{self.output} may be anything from {self.low:.4g} to {self.high:.4g}; {self.given:.4g} is reported"


def substitution(mechanism: Mechanism) -> Substitution | None:
    """Does any output fall when another's cost rises? `d2 Psi / dw_i dw_k >= 0` for i != k says no.

    For two outputs or fewer, priced by nothing but their weights, none can: if both fell, the old decision would not
    have been the cheapest. For more it is searched: types at random over their supports, each cost raised in turn, the
    largest falls confirmed by `[Psi(w_i', w_k + h) - Psi(w_i', w_k) - Psi(w_i, w_k + h) + Psi(w_i, w_k)] / h < 0`.

    Returns:
        None where no provider has a private cost, where the programme cannot be solved, and where it is not known to be
        convex: a local optimum then says nothing.

    Source: Ai, Simchi-Levi & Xu (2025), Definition 2.1; two outputs and the test by Psi: ours,
    tests/test_substitution.py.
    """
    market = mechanism.market
    outputs = _Outputs.of(market)
    if outputs is None:
        return None
    if len(outputs.names) == 1:
        return Substitution(True, "there is but one output.")
    if len(outputs.names) == 2 and outputs.priced_alone:
        return Substitution(True, "there are two outputs, and only their costs count: both cannot fall at once.")
    return _searched(mechanism, outputs) if mechanism.program.convex is True else None


def loose_outputs(mechanism: Mechanism, report: Report) -> tuple[Loose, ...]:
    """The outputs that the optimum at `report` does not pin down, each with the ends of its interval.

    `[Psi'(w_k +), Psi'(w_k -)]` holds what output k is over all minimisers, so its output a little above and a little
    below its weight are the ends of that interval; a jump that stays when the step shrinks is a tie.

    Source: Rockafellar (1970), Convex Analysis, theorem 25.1 and corollary 23.5.3, for the concave function Psi.
    """
    outputs = _Outputs.of(mechanism.market)
    if outputs is None or mechanism.program.convex is not True:
        return ()
    weights = mechanism.structure.parameters(mechanism.market, report)
    flat, here = outputs.weights(weights), mechanism.solve_at(weights)
    if flat is None or here.status is not Status.OPTIMAL:
        return ()
    given = outputs.values(here)
    found = []
    for k in range(min(len(flat), _MOST)):
        if flat[k] <= 0:
            continue
        ends = [_ends(mechanism, outputs, weights, here, k, step) for step in _STEPS]
        if any(e is None for e in ends):
            continue
        (low, high), (low_in, high_in) = (e for e in ends if e is not None)
        size = max(float(np.max(np.abs(given))), high, 1e-300)
        if high_in - low_in > _JUMP * size and high_in - low_in > 0.9 * (high - low):
            found.append(Loose(outputs.names[k], low_in, high_in, float(given[k])))
    return tuple(found)


def _ends(
    mechanism: Mechanism, outputs: _Outputs, weights: Report, here: Solution, k: int, step: float
) -> tuple[float, float] | None:
    ends = []
    for sign in (1, -1):
        solution = mechanism.solve_at(outputs.moved(weights, k, 1 + sign * step), here)
        if solution.status is not Status.OPTIMAL:
            return None
        ends.append(float(outputs.values(solution)[k]))
    return ends[0], ends[1]


# ----------------------------------------------------------------------------------------------------------- the search


def _searched(mechanism: Mechanism, outputs: _Outputs) -> Substitution | None:
    rng = np.random.default_rng(_SEED)
    count = len(outputs.names)
    raised = min(count, 12)  # costs raised at each draw of the types
    candidates: list[tuple[float, Array, int, float, int]] = []
    solves = draws = 0
    while solves + 1 + raised <= _EFFORT and not any(fall > _WHOLE for fall, *_ in candidates):
        shares = rng.uniform(0, 1, count)
        report = outputs.report(shares)
        base = _solved(mechanism, report)
        solves, draws = solves + 1, draws + 1
        if base is None:
            continue
        before = outputs.values(base)
        for j in rng.permutation(count)[:raised]:
            higher = shares.copy()
            higher[j] = 1.0 if draws % 2 else rng.uniform(shares[j], 1)
            if outputs.laws[j].is_point:
                continue
            after = _solved(mechanism, outputs.report(higher), base)
            solves += 1
            if after is None:
                continue
            fall = (before - outputs.values(after)) / np.maximum(before, 1e-9 * np.max(np.abs(before)) + 1e-300)
            fall[j] = -np.inf
            k = int(np.argmax(fall))
            if fall[k] > _FALL:
                candidates.append((float(fall[k]), shares, int(j), float(higher[j]), k))
    if solves == draws:
        return None
    searched = f"{draws} draw{'s' if draws > 1 else ''} of the types, each cost raised in turn ({{}} solves)."
    for _, shares, j, top, k in sorted(candidates, key=lambda c: -c[0])[:_CONFIRMED]:
        worst = _confirmed(mechanism, outputs, shares, j, top, k)
        solves += 2
        if worst is not None:
            return Substitution(False, "Worst of " + searched.format(solves), worst, solves)
    return Substitution(None, searched.format(solves), None, solves)


def _confirmed(
    mechanism: Mechanism, outputs: _Outputs, shares: Array, j: int, top: float, k: int
) -> Complements | None:
    """The candidate, if Psi says so too: its mixed difference over the rise of `w_j` and a little of `w_k` is < 0."""
    higher = shares.copy()
    higher[j] = top
    market, sides = mechanism.market, []
    for report in (outputs.report(shares), outputs.report(higher)):
        weights = mechanism.structure.parameters(market, report)
        flat = outputs.weights(weights)
        at = mechanism.solve_at(weights)
        beside = mechanism.solve_at(outputs.moved(weights, k, 1 + 1e-3), at)
        if flat is None or flat[k] <= 0 or at.status is not Status.OPTIMAL or beside.status is not Status.OPTIMAL:
            return None
        sides.append((at, (beside.objective - at.objective) / (1e-3 * flat[k])))
    (base, mean), (after, mean_after) = sides
    if not mean_after - mean < -_FALL / 2 * max(abs(mean), 1e-300):
        return None
    low, high = outputs.costs(shares), outputs.costs(higher)
    return Complements(
        outputs.types[j], float(low[j]), float(high[j]), outputs.names[k],
        float(outputs.values(base)[k]), float(outputs.values(after)[k]),
        dict(zip(outputs.types, map(float, low), strict=True)), mean_after - mean,
    )  # fmt: skip


def _solved(mechanism: Mechanism, report: Report, start: Solution | None = None) -> Solution | None:
    weights = mechanism.structure.parameters(mechanism.market, report)
    solution = mechanism.solve_at(weights, start)
    return solution if solution.status is Status.OPTIMAL else None


@dataclass(frozen=True, slots=True, eq=False)
class _Outputs:
    """The outputs of the one layer with private costs, laid out flat, beside the types that price them.

    Args:
        names: of the outputs: the choice itself where the layer has one for each of its own, else its `phi`.
        priced_alone: whether the programme's objective is `sum(w * y)` and nothing else.
        shown: the choice whose values stand for the outputs, None: `phi` evaluated.
    """

    market: Market
    cost: PrivateCost
    type: PrivateType
    names: tuple[str, ...]
    types: tuple[str, ...]
    priced_alone: bool
    shown: Quantity | None

    @classmethod
    def of(cls, market: Market) -> _Outputs | None:
        costs = [private_cost(market, layer) for layer in market.layers]
        parts = [c for c in costs if isinstance(c, PrivateCost)]
        bearers = [c for c in parts if c.type is not None]
        if len(bearers) != 1 or len(parts) < len(costs) or bearers[0].type is None:
            return None
        cost, private = bearers[0], bearers[0].type
        choices = market.choices_of(cost.layer.name)
        shown = choices[0] if len(choices) == 1 and choices[0].quantity.sets == private.quantity.sets else None
        types = output_names(private.declaration.quantity)
        names = output_names(shown.quantity) if shown else tuple(f"the output priced by {name}" for name in types)
        alone = all(layer.value == 0 for layer in market.layers) and all(c.known == 0 for c in parts)
        return cls(market, cost, private, names, types, alone, shown.quantity if shown else None)

    @property
    def laws(self) -> tuple[Distribution, ...]:
        return self.type.distributions

    def costs(self, shares: Array) -> Array:
        """(K,) the types at these shares of their distributions."""
        pairs = zip(self.laws, shares, strict=True)
        return np.array([law.upper if law.is_point else float(law.quantile(share)) for law, share in pairs])

    def report(self, shares: Array) -> dict[Quantity, Array]:
        return {self.type.quantity: self.costs(shares).reshape(self.type.quantity.shape)}

    def values(self, solution: Solution) -> Array:
        """(K,) the outputs of a solution."""
        if self.shown is not None:
            return np.reshape(solution.values[str(self.shown.name)], -1)
        decided = {c.quantity: solution.values[str(c.quantity.name)] for c in self.market.choices}
        return np.reshape(evaluate(self.cost.coefficient, {**self.market.data, **decided}, self.cost.layer.letters), -1)

    def weights(self, parameters: Mapping[Quantity, Array]) -> Array | None:
        """(K,) the open weights, where they are one for each type."""
        tables = list(parameters.values())
        fits = len(tables) == 1 and np.shape(tables[0]) == self.type.quantity.shape
        return np.reshape(np.asarray(tables[0], dtype=np.float64), -1) if fits else None

    def moved(self, parameters: Mapping[Quantity, Array], k: int, factor: float) -> dict[Quantity, Array]:
        """The weights with the k-th multiplied."""
        found = {}
        for quantity, table in parameters.items():
            moved = np.array(table, dtype=np.float64)
            moved.reshape(-1)[k] *= factor
            found[quantity] = moved
        return found
