"""What a union of two is offered along a line `c_1 = pi + kappa c_2`: the price that earns most, and what it earns.

A step along the frontier of bundles is a good of its own, sold to the types beyond a line of slope kappa in the box of
types. Its best price `pi(kappa)` depends on the cost laws alone, as a monopolist's depends on demand alone. One side is
written; the other is the same with the goods exchanged. All functions take many slopes at once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from mechdsl.distributions import Distribution
from mechdsl.evaluate import Array

__all__ = ["Side", "Sides", "branch_point", "panels", "unbounded_ends"]

# Quadrature panels end at these quantiles, so densities that rise or fall by decades, or without bound, do no harm.
_QUANTILES = np.array([1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5])
_LADDER = 0.5 ** np.arange(1, 61)  # of the support
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)
_GRID = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0.0, 1.0, 17))  # where the best price is looked for before it is refined


def unbounded_ends(law: Distribution) -> tuple[bool, bool]:
    """Whether the density has no bound at the lower end of the support, at the upper one."""
    with np.errstate(all="ignore"):
        return not np.isfinite(law.pdf(law.lower)), not np.isfinite(law.pdf(law.upper))


def panels(law: Distribution) -> Array:
    """Ends of panels between which the density is smooth and changes little: kinks, and quantiles to both tails."""
    if law.is_point:
        return np.array([law.lower])
    rungs = (law.upper - law.lower) * _LADDER
    # Where the density has no bound, no panel may reach from near that end to much farther from it.
    low, high = (rungs if unbounded else rungs[:0] for unbounded in unbounded_ends(law))
    tails = np.concatenate([
        law.quantile(_QUANTILES), law.upper_quantile(_QUANTILES), law.kinks, law.lower + low, law.upper - high,
    ])  # fmt: skip
    inside = tails[(tails > law.lower) & (tails < law.upper)]
    return np.unique(np.concatenate([[law.lower], inside, [law.upper]]))


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """Lines `first = pi + slope * second`: types beyond them, `first` dearer, take the step.

    The same laws have the same side, so what follows from laws alone is found once for all demands.

    Args:
        first, second: the cost laws of the two goods.
        ends: of their quadrature panels.
    """

    first: Distribution
    second: Distribution
    ends: tuple[Array, Array]

    @classmethod
    @functools.lru_cache(maxsize=16)
    def of(cls, first: Distribution, second: Distribution) -> Side:
        """The side of two laws."""
        return cls(first, second, (panels(first), panels(second)))

    def nodes(self, slope: Array, price: Array) -> tuple[Array, Array]:
        """Values of the second cost and weights (its probability included), a row for each line: `(n, m)`."""
        first, second = self.ends
        rows = len(slope)
        if self.second.is_point:
            return np.full((rows, 1), self.second.lower), np.ones((rows, 1))
        images = np.clip((first[None, :] - price[:, None]) / slope[:, None], second[0], second[-1])
        ends = np.sort(np.concatenate([np.broadcast_to(second, (rows, len(second))), images], axis=1), axis=1)
        half, middle = np.diff(ends, axis=1) / 2, (ends[:, 1:] + ends[:, :-1]) / 2
        s = (middle[:, :, None] + half[:, :, None] * _NODES).reshape(rows, -1)
        weights = (half[:, :, None] * _WEIGHTS).reshape(rows, -1)
        live = weights > 0
        density = np.zeros_like(s)
        density[live] = _finite(self.second.pdf(s[live]))
        return s, np.where(live, density * weights, 0.0)

    def beyond(self, slope: Array, price: Array) -> tuple[Array, Array]:
        """`S = P(c_1 - kappa c_2 > pi)` and `N = S - pi g`, g the density of `c_1 - kappa c_2` at pi: `(n,)` each.

        `N` is the derivative of `pi S(pi)`, and the nu-mass of the types beyond the line.
        """
        slope, price = np.atleast_1d(slope).astype(float), np.atleast_1d(price).astype(float)
        if self.first.is_point:
            reached = (self.first.lower - price) / slope
            share = np.asarray(self.second.cdf(reached))
            return share, share - price * np.asarray(self.second.pdf(reached)) / slope
        s, weights = self.nodes(slope, price)
        t = price[:, None] + slope[:, None] * s
        live = weights > 0
        survival, density = np.zeros_like(t), np.zeros_like(t)
        survival[live], density[live] = self.first.survival(t[live]), _finite(self.first.pdf(t[live]))
        share = np.sum(weights * survival, axis=1)
        return share, share - price * np.sum(weights * density, axis=1)

    def best(self, slope: Array) -> tuple[Array, Array]:
        """`pi(kappa) = argmax pi S(pi)`, by the root of N, and `A(kappa) = max pi S(pi)`.

        Where no type lies beyond any line at a positive price, the price is that of the last type, and A is 0.
        """
        slope = np.atleast_1d(slope).astype(float)
        low = np.maximum(0.0, self.first.lower - slope * self.second.upper)
        high = self.first.upper - slope * self.second.lower
        sold = high > low
        price, earned = np.array(high), np.zeros(len(slope))
        if sold.any():
            price[sold], earned[sold] = self._best(slope[sold], low[sold], high[sold])
        return price, earned

    def _best(self, slope: Array, low: Array, high: Array) -> tuple[Array, Array]:
        rows, count = len(slope), len(_GRID)
        grid = low[:, None] + (high - low)[:, None] * _GRID
        share, marginal = (a.reshape(rows, count) for a in self.beyond(np.repeat(slope, count), grid.reshape(-1)))
        place = np.clip(np.argmax(grid * share, axis=1), 1, count - 2)
        row = np.arange(rows)
        a, b = grid[row, place - 1], grid[row, place + 1]
        fa, fb = marginal[row, place - 1], marginal[row, place + 1]
        price = _roots(lambda p: self.beyond(slope, p)[1], a, b, fa, fb)
        share_at = self.beyond(slope, price)[0]
        ends = grid[row, np.argmax(grid * share, axis=1)]
        grid_best = np.max(grid * share, axis=1)
        better = grid_best > price * share_at * (1 + 1e-12)
        return np.where(better, ends, price), np.maximum(price * share_at, grid_best)


def _finite(density: Array) -> Array:
    """0 for a density without bound at an end of its support: rounding may put a node there, a set of no mass."""
    return np.where(np.isfinite(density), density, 0.0)


def _roots(function: object, a: Array, b: Array, fa: Array, fb: Array) -> Array:
    """Roots of many falling functions at once, each bracketed: the Illinois rule, then bisection where it is slow."""
    assert callable(function)
    a, b, fa, fb = (np.array(v, dtype=float) for v in (a, b, fa, fb))
    none = fa * fb > 0  # no change of sign: the end nearer to one
    best = np.where(np.abs(fa) < np.abs(fb), a, b)
    for turn in range(80):
        width = b - a
        with np.errstate(all="ignore"):
            x = b - fb * width / (fb - fa)
        x = np.where(np.isfinite(x) & (x > a) & (x < b) & (turn % 4 != 3), x, (a + b) / 2)
        fx = np.asarray(function(x))
        left = fx > 0
        with np.errstate(all="ignore"):
            fa_next = np.where(left, fx, np.where(turn % 2 == 1, fa / 2, fa))
            fb_next = np.where(left, np.where(turn % 2 == 1, fb / 2, fb), fx)
        a, b = np.where(left, x, a), np.where(left, b, x)
        fa, fb = fa_next, fb_next
        best = np.where(none, best, x)
        if np.all(none | (b - a <= 4e-15 * np.maximum(np.abs(a), np.abs(b))) | (fx == 0)):
            break
    return best


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Both sides of the menu: steps towards good 2 (`a`, slopes kappa) and towards good 1 (`b`, slopes 1/kappa)."""

    a: Side
    b: Side

    @classmethod
    @functools.lru_cache(maxsize=8)
    def of(cls, first: Distribution, second: Distribution) -> Sides:
        """Both sides of two laws."""
        return cls(Side.of(first, second), Side.of(second, first))


@functools.lru_cache(maxsize=8)
def branch_point(sides: Sides) -> float:
    """`kappa_b`: the root of `b_1 - kappa b_2 = A(kappa) + B(kappa)`, B = `-kappa A'(1/kappa)` of the exchanged side.

    There the two sides meet: it is the slope at which the item that the highest types take supports the frontier.
    """
    from scipy.optimize import brentq

    first, second = sides.a.first, sides.a.second

    def excess(u: float) -> float:
        kappa = np.exp(u)
        a = float(sides.a.best(np.array([kappa]))[1][0])
        b = -kappa * float(sides.b.best(np.array([1 / kappa]))[1][0])
        return float((first.upper - kappa * second.upper - a - b) / (first.upper + kappa * second.upper))

    ratio = np.log(first.upper / second.upper)
    for reach in (1.0, 3.0, 10.0, 30.0):
        if excess(ratio - reach) > 0 > excess(ratio + reach):
            return float(np.exp(brentq(excess, ratio - reach, ratio + reach, xtol=1e-14, rtol=1e-14)))
    return float(np.exp(ratio))
