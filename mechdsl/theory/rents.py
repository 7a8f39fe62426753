"""Information rents of many draws at once: `int_c^b y(t, c_-) dt` for all providers of a layer and all draws.

Closed where the weight is affine in the type, one more solve a provider and draw; else by Gauss-Kronrod panels cut at
kinks. Either way every round of solves is one batch. Errors are bounds: of closed rents by the duality gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mechdsl.draws import uniform_draw
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.market import Market
from mechdsl.structure import Report
from mechdsl.theory.panels import Flags, Places, integrals
from mechdsl.theory.payments import Affine, provider_law, type_of
from mechdsl.theory.private_cost import PrivateCost
from mechdsl.theory.virtual_cost import weight_kinks

if TYPE_CHECKING:
    from mechdsl.engines.batch import BatchSolution

__all__ = ["Along", "Rents", "random_rents", "rents"]

TOLERANCE = 1e-8  # of a rent found by quadrature, relative to the payment
_CANCELLATION = 1e-6  # below this share of V, a difference of two V loses more digits than a quadrature
_AT_ONCE = 100_000  # solves in one call


@dataclass(frozen=True, slots=True, eq=False)
class Rents:
    """`rents` and bounds on their `errors`, (N, places), NaN where a solve was not certified; `closed`: how many."""

    rents: Array
    errors: Array
    closed: int


@dataclass(frozen=True, slots=True, eq=False)
class Along:
    """The providers of one layer as their own reports move, everyone else's fixed.

    Args:
        market, part: whose.
        reports: type -> (N, *shape).
        solve: (reports, whether each is near to the one before) -> solutions, N of them.
    """

    market: Market
    part: PrivateCost
    reports: Report
    solve: Callable[[Report, bool], BatchSolution]

    @property
    def own(self) -> Array:
        """(N, places) the layer's own types."""
        table = np.asarray(self.reports[type_of(self.part).quantity], dtype=np.float64)
        return table.reshape(len(table), -1)

    def moved(self, draws: Places, places: Places, t: Array, near: bool = False) -> BatchSolution:
        """The solutions where in draw `draws[i]` the provider at `places[i]` reports `t[i]`."""
        asked = {q: np.array(table, dtype=np.float64)[draws] for q, table in self.reports.items()}
        own = asked[type_of(self.part).quantity]
        own.reshape(len(own), -1)[np.arange(len(own)), places] = t
        return self.solve(asked, near)

    def outputs(self, draws: Places, places: Places, t: Array) -> tuple[Array, Flags]:
        """`y` of the provider that moves, and which constraints and bounds hold with equality."""
        parts = [self._outputs(draws[at], places[at], t[at]) for at in _portions(len(t))]
        return np.concatenate([y for y, _ in parts]), np.concatenate([p for _, p in parts])

    def _outputs(self, draws: Places, places: Places, t: Array) -> tuple[Array, Flags]:
        found = self.moved(draws, places, t, near=True)
        count = len(t)
        decisions: dict[Quantity, Array] = {c.quantity: found.values[str(c.quantity.name)] for c in self.market.choices}
        layer = self.part.layer
        table = evaluate(self.part.coefficient, {**self.market.data, **decisions}, layer.letters)
        y = np.broadcast_to(table, (count, *layer.shape)).reshape(count, -1)[np.arange(count), places]
        held = [m.reshape(count, -1) != 0 for m in found.multipliers.values()]
        zero = [x.reshape(count, -1) == 0 for x in found.values.values()]
        return np.asarray(y), np.concatenate([*held, *zero], axis=1)


def _portions(count: int) -> Iterator[slice]:
    for start in range(0, max(1, count), _AT_ONCE):
        yield slice(start, start + _AT_ONCE)


def rents(along: Along, here: BatchSolution, y: Array, affine: Affine) -> Rents:
    """`int_c^b y(t, c_-) dt` of every provider of a layer in every draw.

    Args:
        along: the layer's providers.
        here: the solutions at the reports.
        y: (N, places) coefficients there.
        affine: slope and intercept of the weight in the type, where it is affine.

    Source: Ai, Simchi-Levi & Xu (2025), Algorithm 1; the closed form is ours, as in `payments.envelope_rent`.
    """
    own = along.own
    laws = [provider_law(along.part, place) for place in np.ndindex(*along.part.layer.shape)]
    top = np.array([float(law.upper) for law in laws])
    lines = [affine(law) for law in laws]
    slope = np.array([line[0] if line is not None else 0.0 for line in lines])
    known = np.array([law.is_point for law in laws])
    found, errors = np.zeros(own.shape), np.zeros(own.shape)
    asked = (own < top) & ~known
    missing = ~here.certified | ~np.isfinite(own).all(axis=1)
    found[missing], errors[missing] = np.nan, np.nan
    asked &= ~missing[:, None]
    draws, places = np.nonzero(asked & (slope > 0))
    for portion in _portions(len(draws)):
        n, k = draws[portion], places[portion]
        if len(n):
            there = along.moved(n, k, top[k])
            rent = (there.objective - here.objective[n]) / slope[k]
            exact = (rent > _CANCELLATION * np.abs(here.objective[n])) | (here.objective[n] == 0)
            exact |= ~there.certified
            off = _worth(there.gap, there.objective) + _worth(here.gap[n], here.objective[n])
            found[n[exact], k[exact]] = np.where(there.certified, np.maximum(rent, 0.0), np.nan)[exact]
            errors[n[exact], k[exact]] = (off / slope[k])[exact]
            asked[n[exact], k[exact]] = False
    draws, places = np.nonzero(asked)
    if len(draws):
        cuts = [np.array(weight_kinks(law)) for law in laws]
        found[draws, places], errors[draws, places] = integrals(
            lambda which, t: along.outputs(draws[which], places[which], t),
            own[draws, places],
            top[places],
            [cuts[k] for k in places],
            np.abs(own * y)[draws, places],
            TOLERANCE,
        )
    return Rents(found, errors, int(np.sum(~np.isnan(found))) - len(draws))


def _worth(gap: Array, objective: Array) -> Array:
    """What a relative gap is in the objective's units; rounding alone where there is none."""
    return (np.where(np.isfinite(gap), gap, 0.0) + 1e-15) * np.abs(objective)


def random_rents(along: Along, trials: int, seed: int = 0) -> Rents:
    """`(b - c) y(t)` averaged over `trials` draws `t ~ U(c, b)`, the same ones as `payments.randomized_payments` takes.

    Source: Ai, Simchi-Levi & Xu (2025), equation (7).
    """
    own, layer = along.own, along.part.layer
    found, errors = np.zeros(own.shape), np.zeros(own.shape)
    draws = np.arange(len(own), dtype=np.intp)
    for k, place in enumerate(np.ndindex(*layer.shape)):
        top = float(provider_law(along.part, place).upper)
        labels = [a.index_set.labels[j] for a, j in zip(layer.letters, place, strict=True)]
        width = top - own[:, k]
        total, squares = np.zeros(len(own)), np.zeros(len(own))
        for n in range(trials):
            share = uniform_draw(seed, f"payment.{layer.name}", [*labels, str(n)])
            y, _ = along.outputs(draws, np.full(len(own), k, dtype=np.intp), own[:, k] + width * share)
            total += width * y
            squares += (width * y) ** 2
        found[:, k] = total / trials
        variance = np.maximum(squares / trials - found[:, k] ** 2, 0.0) * trials / max(1, trials - 1)
        errors[:, k] = np.sqrt(variance / trials) if trials > 1 else np.inf
    return Rents(found, errors, 0)
