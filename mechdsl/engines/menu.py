"""A menu over a type space: its items, found by weights, and what it costs exactly when types are continuous.

What an agent keeps is the upper envelope of planes over the box of types. Along one coordinate it is an envelope of
lines, integrated exactly through the cdf of that type; over the other coordinates stands a quadrature, adaptive where
there is one, quasi-random where there are more. No type is ever sampled on a grid of reports.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mechdsl.distributions import Distribution
from mechdsl.engines.optimum import Compiled
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.program import Menu, Solution

__all__ = ["CompiledMenu", "Value", "menu_cost", "menu_value"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_FINE_NODES, _FINE_WEIGHTS = np.polynomial.legendre.leggauss(8)
_ROUNDS = 14  # of halving where the quadrature is worst
_PANELS = 20_000
_QUANTILES = np.array([1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5])
_DRAWS = 13  # quasi-random points: 2^13, in each of _SHIFTS independent scramblings
_SHIFTS = 8


class CompiledMenu:
    """A menu's items ready to be found at any weights. Made by `compiled`.

    Attributes:
        program: as it was given.
    """

    def __init__(self, program: Menu, items: Compiled) -> None:
        self.program = program
        self._items = items

    def solve(
        self,
        parameters: Mapping[Quantity, Array] | None = None,
        start: Solution | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Solution:
        """The item of least cost at weights; see `Compiled.solve`."""
        return self._items.solve(parameters, start, options)

    def outputs(self, solution: Solution) -> Array:
        """`y`, what each type multiplies, at an item: one entry a type, in C order."""
        values = {v.quantity: np.asarray(solution.values[v.name]) for v in self.program.items.variables}
        table = evaluate(self.program.outputs, {**self.program.items.data, **values}, self.program.letters)
        return np.asarray(table, dtype=np.float64).reshape(-1)

    def pyomo(self, parameters: Mapping[Quantity, Array] | None = None) -> Any:
        """The programme of one item as a Pyomo model."""
        return self._items.pyomo(parameters)

    def write_nl(self, path: str | Path, parameters: Mapping[Quantity, Array] | None = None) -> None:
        """The programme of one item as an AMPL `.nl` file."""
        self._items.write_nl(path, parameters)


@dataclass(frozen=True, slots=True)
class Value:
    """What a menu comes to over the types.

    Args:
        price: expected; error: of it, estimated by a second, finer quadrature.
        probabilities: `(M,)` of each item.
    """

    price: float
    error: float
    probabilities: Array


def menu_value(
    outputs: Array, prices: Array, laws: Sequence[Distribution], along: int = 0, tolerance: float = 1e-9,
    draws: int = _DRAWS,
) -> Value:  # fmt: skip
    """`E[p]` of the item that maximises `p - c . y`, exact in the type `along`, by quadrature over the others.

    Args:
        outputs: `(M, K)` y of each item.
        prices: `(M,)`.
        laws: of the K independent types.
        along: the coordinate integrated exactly.
        tolerance: absolute error of the expected price aimed at, where there is one other type.
        draws: where there are more, `2^draws` quasi-random points in each of eight scramblings.

    Source: ours; tests/test_menu.py against integration by scipy and by hand.
    """
    order = np.argsort(-outputs[:, along], kind="stable")
    others = [k for k in range(len(laws)) if k != along]
    y = outputs[order]
    exact = _Exact(y[:, along], y[:, others], prices[order], laws[along])
    shares, error = _integrated(exact, exact.shares, exact.price, [laws[k] for k in others], tolerance, draws)
    found = np.empty_like(shares)
    found[order] = shares
    return Value(float(prices @ found), error, found)


def menu_cost(
    outputs: Array, prices: Array, laws: Sequence[Distribution], tolerance: float = 1e-9
) -> tuple[float, float]:
    """`E[c . y]` of the item taken, and its error: what the agent bears, as `menu_value` has what it is paid.

    Source: ours; tests/test_menu.py.
    """
    order = np.argsort(-outputs[:, 0], kind="stable")
    y = outputs[order]
    exact = _Exact(y[:, 0], y[:, 1:], prices[order], laws[0])
    cost, error = _integrated(exact, exact.costs, np.ones(1), laws[1:], tolerance, _DRAWS)
    return float(cost[0]), error


@dataclass(frozen=True, slots=True)
class _Exact:
    """What a menu comes to at given other types, items in order of falling output in the coordinate that is exact."""

    own: Array
    others: Array
    price: Array
    law: Distribution

    def ends(self, types: Array) -> Array:
        """`(n, M - 1)` own type at which each item gives way to the next, given the other types `(n, K - 1)`."""
        kept = self.price - types @ self.others.T  # what an item leaves, but for the own type's cost
        steps = self.own[:-1] - self.own[1:]
        with np.errstate(all="ignore"):
            ends = (kept[:, :-1] - kept[:, 1:]) / steps
        same = steps <= 0  # equal outputs: the better item takes all
        if same.any():
            ends[:, same] = np.where(kept[:, :-1] >= kept[:, 1:], np.inf, -np.inf)[:, same]
        crossing = ~np.all(ends[:, 1:] >= ends[:, :-1], axis=1)
        for row in np.flatnonzero(crossing):
            ends[row] = _hull(self.own, kept[row])
        return ends

    def shares(self, types: Array) -> Array:
        """`(n, M)` probability of each item."""
        ends = self.ends(types)
        below = np.ones((len(types), len(self.price) + 1))
        below[:, 0] = 0.0
        below[:, 1:-1] = self._inside(self.law.cdf, ends, 0.0, 1.0)
        return np.diff(below, axis=1)

    def costs(self, types: Array) -> Array:
        """`(n, 1)` expected cost: `sum over items of E[c; taken] own + P(taken) others`."""
        ends = self.ends(types)
        below = np.empty((len(types), len(self.price) + 1))
        below[:, 0], below[:, -1] = 0.0, self.law.mean
        below[:, 1:-1] = self._inside(self._partial_mean, ends, 0.0, self.law.mean)
        others = types @ self.others.T
        own = np.diff(below, axis=1) * self.own
        return np.asarray(np.sum(own + self.shares(types) * others, axis=1, keepdims=True))

    def _inside(self, function: Callable[[Array], Array], ends: Array, low: float, high: float) -> Array:
        """A function of the own type, evaluated only where it is not at an end of its support."""
        found = np.where(ends >= self.law.upper, high, low)
        inside = (ends > self.law.lower) & (ends < self.law.upper)
        found[inside] = function(ends[inside])
        return found

    def _partial_mean(self, x: Array) -> Array:
        """`E[c; c <= x]`, panel by panel."""
        edges = _panel_ends(self.law)
        a, b = edges[:-1], edges[1:]
        whole = np.concatenate([[0.0], np.cumsum(_mean_over(self.law, a, b))])
        j = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(a) - 1)
        return np.asarray(whole[j] + _mean_over(self.law, a[j], x))


def _mean_over(law: Distribution, a: Array, b: Array) -> Array:
    half, middle = (b - a) / 2, (a + b) / 2
    c = middle[:, None] + half[:, None] * _FINE_NODES
    return np.asarray(half * np.sum(_FINE_WEIGHTS * c * law.pdf(c), axis=1))


def _panel_ends(law: Distribution) -> Array:
    """Between them the density is smooth and changes little: kinks, and quantiles to both tails."""
    tails = np.concatenate([law.quantile(_QUANTILES), law.upper_quantile(_QUANTILES), law.kinks])
    inside = tails[(tails > law.lower) & (tails < law.upper)]
    return np.unique(np.concatenate([[law.lower], inside, [law.upper]]))


def _hull(own: Array, kept: Array) -> Array:
    """Ends of the items on the upper envelope of `kept - c own`; an item that is never best gets an empty stretch."""
    outputs, values = own.tolist(), kept.tolist()
    stack: list[int] = []
    starts: list[float] = []
    for j, (output, value) in enumerate(zip(outputs, values, strict=True)):
        start = -math.inf
        while stack:
            step = outputs[stack[-1]] - output
            if step > 0:
                start = (values[stack[-1]] - value) / step
            else:
                start = -math.inf if value > values[stack[-1]] else math.inf
            if start > starts[-1]:
                break
            stack.pop()
            starts.pop()
            start = -math.inf
        if start < math.inf:
            stack.append(j)
            starts.append(start)
    # Items up to j end where the first one after j on the envelope starts.
    following = np.searchsorted(stack, np.arange(len(outputs) - 1), side="right")
    return np.append(starts, math.inf)[following]


def _integrated(
    exact: _Exact,
    integrand: Callable[[Array], Array],
    measure: Array,
    laws: Sequence[Distribution],
    tolerance: float,
    draws: int,
) -> tuple[Array, float]:
    """The integrand's columns over the other types, and the error of `columns @ measure`."""
    if not laws:
        return integrand(np.zeros((1, 0)))[0], 0.0
    if len(laws) == 1:
        return _adaptive(exact, integrand, measure, laws[0], tolerance)
    return _quasi_random(integrand, measure, laws, draws)


def _adaptive(
    exact: _Exact, integrand: Callable[[Array], Array], measure: Array, law: Distribution, tolerance: float
) -> tuple[Array, float]:
    """One other type: panels halved where two rules disagree, or where an item comes or goes in their midst."""
    if law.is_point:
        return integrand(np.array([[law.lower]]))[0], 0.0
    edges = _edges(exact, law)
    a, b = edges[:-1], edges[1:]
    total, error = np.zeros(len(measure)), 0.0
    for turn in range(_ROUNDS + 1):
        middle = (a + b) / 2
        coarse = _panels(integrand, law, a, b)
        left, right = _panels(integrand, law, a, middle), _panels(integrand, law, middle, b)
        fine = left + right
        wrong = np.abs((fine - coarse) @ measure)
        # A kink that both rules step over shows in who takes what at the ends; there the halves' difference bounds it.
        turned = _taken(exact, a, b)
        wrong = np.where(turned, np.maximum(wrong, 0.1 * np.abs((left - right) @ (measure - measure.mean()))), wrong)
        good = wrong <= tolerance * np.maximum((b - a) / (law.upper - law.lower), 1.0 / _PANELS) / 4
        if turn == _ROUNDS or len(a) > _PANELS or wrong.sum() + error <= tolerance / 2:
            good[:] = True
        total += fine[good].sum(axis=0)
        error += float(wrong[good].sum())
        if good.all():
            break
        a, b = (np.concatenate(pair) for pair in ((a[~good], middle[~good]), (middle[~good], b[~good])))
    return total, error


def _taken(exact: _Exact, a: Array, b: Array) -> Array:
    """Whether the items that are taken differ between the two ends of a panel."""
    inset = 1e-6 * (b - a)
    sets = [np.diff(exact.ends((end)[:, None]), axis=1) > 0 for end in (a + inset, b - inset)]
    return np.asarray(np.any(sets[0] != sets[1], axis=1))


def _edges(exact: _Exact, law: Distribution) -> Array:
    """Where the shares have kinks, in the other type: an item's stretch reaches an end of the support, or a kink."""
    own = np.array([exact.law.lower, *exact.law.kinks, exact.law.upper])
    steps = exact.own[:-1] - exact.own[1:]
    change = exact.others[:-1, 0] - exact.others[1:, 0]
    with np.errstate(all="ignore"):
        images = ((exact.price[:-1] - exact.price[1:])[:, None] - own * steps[:, None]) / change[:, None]
    points = images[np.isfinite(images) & (images > law.lower) & (images < law.upper)]
    return np.unique(np.concatenate([_panel_ends(law), points]))


def _panels(integrand: Callable[[Array], Array], law: Distribution, a: Array, b: Array) -> Array:
    """`(n, q)` integral over each panel, by Gauss-Legendre."""
    half, middle = (b - a) / 2, (a + b) / 2
    t = (middle[:, None] + half[:, None] * _NODES).reshape(-1)
    weights = (half[:, None] * _WEIGHTS).reshape(-1) * law.pdf(t)
    found = integrand(t[:, None]) * weights[:, None]
    return np.asarray(found.reshape(len(a), len(_NODES), -1).sum(axis=1))


def _quasi_random(
    integrand: Callable[[Array], Array], measure: Array, laws: Sequence[Distribution], draws: int
) -> tuple[Array, float]:
    """Several other types: scrambled Sobol points, the error from independent scramblings."""
    from scipy.stats import qmc

    rows = []
    for seed in range(_SHIFTS):
        points = qmc.Sobol(len(laws), scramble=True, seed=seed).random_base2(draws)
        types = np.stack([law.quantile(points[:, k]) for k, law in enumerate(laws)], axis=1)
        rows.append(integrand(types).mean(axis=0))
    table = np.array(rows)
    return table.mean(axis=0), float(3.0 * (table @ measure).std(ddof=1) / np.sqrt(_SHIFTS))
