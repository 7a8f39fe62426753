"""Payments in numbers: `p = known + c y + int_c^b y(t) dt`, exactly where the envelope theorem closes the integral.

With the optimum value `V(w) = min sum w y + ...` concave in the weights and `dV/dw_k = y_k`, the integral is
`[V(w_k(b)) - V(w_k(c))] / slope` wherever the weight is affine in the type: one more solve a provider. Elsewhere it
is a quadrature of a monotone function, split where the set of binding constraints changes, for there it has a kink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import sympy as sp

from mechdsl.distributions import Distribution
from mechdsl.draws import uniform_draw
from mechdsl.errors import InternalError
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.market import Market, PrivateType
from mechdsl.mechanism import Mechanism
from mechdsl.program import Solution, Status
from mechdsl.structure import Report
from mechdsl.theory.curve import Curve, curve
from mechdsl.theory.private_cost import PrivateCost, providers
from mechdsl.theory.virtual_cost import weight_kinks

__all__ = [
    "UNBIASED",
    "Affine",
    "Paid",
    "coefficients",
    "cost_payments",
    "envelope_payment",
    "envelope_payments",
    "fixed_part",
    "moved",
    "provider_law",
    "randomized_payments",
    "surely_within",
]

Affine = Callable[[Distribution], tuple[float, float] | None]
"""Slope and intercept of the weight in the type on the whole support, or None: `lambda d: d.affine_virtual_cost`."""

UNBIASED = "No further off than the mean of so many draws strays but in one case of 1.7 million (Hoeffding's bound)."
"""What a check of randomised payments says."""

_FINE, _ROUGH = 1e-10, 1e-8  # of the integral in a payment, and in those at misreports below the type
_BESIDE = 1e-4  # of a support's width
_NEIGHBOURS = 4  # solutions from which the start of another is interpolated
_AMPLIFIED = 8.0  # the sum of their weights up to which that is trusted
_CANCELLATION = 1e-6  # below this share of V, a difference of two V loses more digits than a quadrature


@dataclass(frozen=True, slots=True)
class Paid:
    """Payments to the providers, layer -> array of its shape, with the error bound and how they were got.

    Args:
        error: largest absolute error estimate of any payment (0 where closed).
        method: a sentence for the reader.
        spread: how far apart two draws of a randomised payment can be.
    """

    payments: Mapping[str, Array]
    error: float
    method: str
    spread: float = 0.0


def coefficients(market: Market, part: PrivateCost, solution: Solution) -> Array:
    """`y = phi(x)` of every provider of a layer at a solution; array of the layer's shape."""
    return evaluate(part.coefficient, _values(market, solution), part.layer.letters)


def fixed_part(part: PrivateCost) -> sp.Expr:
    """`known - value + outside`: what a provider must be paid whatever its type."""
    return part.known - part.layer.value + part.layer.outside


def _values(market: Market, solution: Solution) -> dict[Quantity, Array]:
    return {**market.data, **{c.quantity: solution.values[str(c.quantity.name)] for c in market.choices}}


def envelope_payments(mechanism: Mechanism, report: Report, affine: Affine) -> Paid:
    """`p = known - value + outside + c y + int_c^b y(t, c_-) dt` for every provider, so that U(b) = outside.

    Source: Ai, Simchi-Levi & Xu (2025), Algorithm 1 and Theorem 2.1; the closed form is ours (envelope theorem), tested
    against quadrature in tests/test_payments.py.
    """
    solution = mechanism.solve(report)
    payments: dict[str, Array] = {}
    error, closed, count = 0.0, 0, 0
    for part in providers(mechanism.market):
        values = _values(mechanism.market, solution)
        y = evaluate(part.coefficient, values, part.layer.letters)
        fixed = evaluate(fixed_part(part), values, part.layer.letters)
        table = np.empty(part.layer.shape)
        for place in np.ndindex(*part.layer.shape):
            rent, bound, exact = envelope_rent(mechanism, report, part, place, affine)
            table[place] = fixed[place] + _at(report, part, place) * y[place] + rent
            error, closed, count = max(error, bound), closed + exact, count + 1
        payments[part.layer.name] = table
    return Paid(payments, error, _method(closed, count, error))


def envelope_payment(
    mechanism: Mechanism, report: Report, part: PrivateCost, place: tuple[int, ...], affine: Affine
) -> tuple[float, float]:
    """One provider's payment, as in `envelope_payments`, and its error bound."""
    values = _values(mechanism.market, mechanism.solve(report))
    y = float(evaluate(part.coefficient, values, part.layer.letters)[place])
    fixed = float(evaluate(fixed_part(part), values, part.layer.letters)[place])
    rent, error, _ = envelope_rent(mechanism, report, part, place, affine)
    return fixed + float(_at(report, part, place)) * y + rent, error


def _method(closed: int, count: int, error: float) -> str:
    if closed == count:
        return "payments in closed form (envelope theorem)"
    first = f"{closed} of {count} payments in closed form, the others" if closed else "payments"
    return f"{first} by quadrature split at kinks, error at most {error:.1e}"


def envelope_rent(
    mechanism: Mechanism, report: Report, part: PrivateCost, place: tuple[int, ...], affine: Affine
) -> tuple[float, float, bool]:
    """The information rent `int_c^b y(t, c_-) dt` of one provider; with its error bound, and whether it was closed."""
    private, law = type_of(part), provider_law(part, place)
    c, b = float(_at(report, part, place)), float(law.upper)
    if c >= b or law.is_point:
        return 0.0, 0.0, True
    line = affine(law)
    if line is not None and line[0] > 0:
        here = mechanism.solve(report)
        top = mechanism.solved(moved(report, private, place, b), start=here)
        rent = (top.objective - here.objective) / line[0]
        if rent > _CANCELLATION * abs(here.objective) or here.objective == 0:
            return max(rent, 0.0), 1e-14 * abs(top.objective) / line[0], True
    return *outputs(mechanism, report, part, place).rent(c), False


def outputs(mechanism: Mechanism, report: Report, part: PrivateCost, place: tuple[int, ...]) -> Along:
    """`t -> y(t, c_-)` of one provider at a report; the mechanism keeps it, so payments and checks share its solves."""
    key = ("outputs", part.layer.name, place, _others(report, part, place))
    made: Along = mechanism.keep(key, lambda: Along(mechanism, report, part, place))
    own = float(_at(report, part, place))
    made.found.setdefault(own, mechanism.solve(report))
    return made


def _others(report: Report, part: PrivateCost, place: tuple[int, ...]) -> bytes:
    """What everyone else reports, as a key."""
    return np.ascontiguousarray(moved(report, type_of(part), place, 0.0)[type_of(part).quantity]).tobytes()


@dataclass(slots=True)
class Along:
    """`t -> y(t, c_-)`: one provider's coefficient as its own report moves, everyone else's fixed.

    Remembers its solutions and starts each new one from the nearest of them.
    """

    mechanism: Mechanism
    report: Report
    part: PrivateCost
    place: tuple[int, ...]
    found: dict[float, Solution] = field(default_factory=dict)
    curves: list[Curve] = field(default_factory=list)

    def answered(self, t: float) -> float:
        """`t`; at at an end of the support without an answer (a cost of 0 may have too many), a report beside it."""
        law = provider_law(self.part, self.place)
        if t not in (law.lower, law.upper) or self.mechanism.solve(self._moved(t)).status is Status.OPTIMAL:
            return t
        step = _BESIDE * (law.upper - law.lower)
        return float(law.lower + step if t == law.lower else law.upper - step)

    def _moved(self, t: float) -> Report:
        return moved(self.report, type_of(self.part), self.place, t)

    def solution(self, t: float) -> Solution:
        """The programme's solution where the provider reports `t`.

        Raises:
            Unsolved: none was found.
        """
        t = self.answered(t)
        if t not in self.found:
            start = _between({s: self.found[s] for s in sorted(self.found, key=lambda s: abs(s - t))[:_NEIGHBOURS]}, t)
            self.found[t] = self.mechanism.solved(self._moved(t), start=start)
        return self.found[t]

    def __call__(self, t: float) -> float:
        return float(coefficients(self.mechanism.market, self.part, self.solution(t))[self.place])

    def margins(self, t: float) -> Array:
        """The multipliers of constraints and bounds: none vanishes or ceases to along the smooth pieces."""
        return margins(self.solution(t))

    def rent(self, t: float) -> tuple[float, float]:
        """`int_t^b y` and its error bound, b the highest type.

        The first call covers `[t, b]`, all that a payment needs; one below it covers the rest of the support, less
        finely, which is what a search for misreports will ask for next.
        """
        law = provider_law(self.part, self.place)
        low = float(self.curves[-1].edges[0]) if self.curves else float(law.upper)
        if t < low:
            bottom, tolerance = (float(law.lower), _ROUGH) if self.curves else (t, _FINE)
            self.curves.append(curve(self, self.margins, bottom, low, weight_kinks(law), tolerance))
        pieces = [(made, max(t, float(made.edges[0])), float(made.edges[-1])) for made in self.curves]
        inside = [(made, a, b) for made, a, b in pieces if a < b]
        return sum(m.integral(a, b) for m, a, b in inside), sum(m.error(a, b) for m, a, b in inside)


def margins(solution: Solution) -> Array:
    """The sizes of all multipliers, of constraints and of bounds: 0 where they do not hold with equality."""
    bounds = [side for both in solution.bound_multipliers.values() for side in both]
    every: Array = np.abs(np.concatenate([np.ravel(m) for m in (*solution.multipliers.values(), *bounds)]))
    return every


def _between(near: Mapping[float, Solution], t: float) -> Solution | None:
    """A start for `t`: its neighbours, nearest first, interpolated where the same constraints hold with equality."""
    if not near:
        return None
    (at, first), *others = near.items()
    pattern = margins(first) > 0
    same = {at: first, **{s: other for s, other in others if np.array_equal(margins(other) > 0, pattern)}}
    places = np.array(list(same))
    apart = places[:, None] - places + np.eye(len(places))
    weights = np.prod(np.where(np.eye(len(places)) > 0, 1.0, (t - places) / apart), axis=1)
    if not np.sum(np.abs(weights)) <= _AMPLIFIED:
        return first
    found = list(same.values())
    return replace(
        first,
        values={name: _blended([s.values[name] for s in found], weights) for name in first.values},
        multipliers={name: _blended([s.multipliers[name] for s in found], weights) for name in first.multipliers},
    )


def _blended(tables: Sequence[Array], weights: Array) -> Array:
    """`sum(weights * tables)`, of the logarithms where all tables are positive."""
    every = np.array(tables)
    positive = np.all(every > 0, axis=0)
    logs = np.log(np.where(positive, every, 1.0))
    with np.errstate(over="ignore"):
        blended: Array = np.where(positive, np.exp(np.tensordot(weights, logs, 1)), np.tensordot(weights, every, 1))
    return np.where(np.isfinite(blended), blended, every[0])


def cost_payments(mechanism: Mechanism, report: Report) -> Paid:
    """`p = cost - value + outside`: what providers of known types must be paid (`information = known`)."""
    values = {**_values(mechanism.market, mechanism.solve(report)), **report}
    layers = [mechanism.market.layer(contract.provider) for contract in mechanism.market.contracts]
    payments = {y.name: np.array(evaluate(y.cost - y.value + y.outside, values, y.letters)) for y in layers}
    return Paid(payments, 0.0, "types known: every provider is paid its cost")


def randomized_payments(mechanism: Mechanism, report: Report, trials: int, seed: int = 0) -> Paid:
    """`p = known + c y + (b - c) y(t)` averaged over `trials` draws `t ~ U(c, b)`: unbiased, one solve a draw.

    Source: Ai, Simchi-Levi & Xu (2025), equation (7).
    """
    solution = mechanism.solve(report)
    payments: dict[str, Array] = {}
    error = spread = 0.0
    for part in providers(mechanism.market):
        values = _values(mechanism.market, solution)
        y = evaluate(part.coefficient, values, part.layer.letters)
        fixed = evaluate(fixed_part(part), values, part.layer.letters)
        table = np.empty(part.layer.shape)
        for place in np.ndindex(*part.layer.shape):
            rents, apart = _random_rents(mechanism, report, part, place, trials, seed)
            spread = max(spread, apart)
            table[place] = fixed[place] + _at(report, part, place) * y[place] + rents.mean()
            error = max(error, float(rents.std(ddof=1) / np.sqrt(trials)) if trials > 1 else np.inf)
        payments[part.layer.name] = table
    method = f"randomised payments, {trials} trials, standard error at most {error:.2g}"
    return Paid(payments, error, method, spread)


def surely_within(spread: float, trials: int) -> float:
    """`spread sqrt(log(2 / p) / (2 trials))`: what the mean of draws strays from its expectation at most, but for
    one case in `1 / p`, as rare as five standard errors of a normal law; draws lie within `spread` of each other.

    Standard errors estimated from the draws themselves would not do: draws may all miss the reports that matter.
    Source: Hoeffding (1963), Probability inequalities for sums of bounded random variables, theorem 2.
    """
    from scipy.stats import norm

    return spread * float(np.sqrt(-norm.logsf(5.0) / (2 * trials)))


def _random_rents(
    mechanism: Mechanism, report: Report, part: PrivateCost, place: tuple[int, ...], trials: int, seed: int
) -> tuple[Array, float]:
    """`(b - c) y(t)` at the draws, and how far apart two can be: `y` falls in `t`."""
    law = provider_law(part, place)
    c, b = float(_at(report, part, place)), float(law.upper)
    along = outputs(mechanism, report, part, place)
    labels = [a.index_set.labels[j] for a, j in zip(part.layer.letters, place, strict=True)]
    draws = [c + (b - c) * uniform_draw(seed, f"payment.{part.layer.name}", [*labels, str(n)]) for n in range(trials)]
    return np.array([(b - c) * along(t) for t in draws]), (b - c) * abs(along(c) - along(b))


def provider_law(part: PrivateCost, place: tuple[int, ...]) -> Distribution:
    """The distribution of one provider's type."""
    return type_of(part).distributions[int(np.ravel_multi_index(place, part.layer.shape)) if place else 0]


def type_of(part: PrivateCost) -> PrivateType:
    if part.type is None:
        raise InternalError(f"layer '{part.layer.name}' has no private type")
    return part.type


def _at(report: Report, part: PrivateCost, place: tuple[int, ...]) -> float:
    return float(np.asarray(report[type_of(part).quantity])[place])


def moved(report: Report, private: PrivateType, place: tuple[int, ...], value: float) -> Report:
    """The report with one provider's type replaced."""
    table = np.array(report[private.quantity], dtype=np.float64)
    table[place] = value
    return {**report, private.quantity: table}
