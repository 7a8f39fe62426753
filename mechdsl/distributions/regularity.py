"""Whether the virtual cost rises: by theorem where the family has one, else by looking everywhere that matters.

`F` log-concave suffices (then `F/f` rises); it is not necessary, as `c + F/f` may rise where `F/f` falls slowly.
Where no theorem applies, the slope of the virtual cost is searched on points that follow the support, both tails and
the mass, and the stretches where it falls are returned for ironing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from mechdsl.distributions.distribution import Array, Distribution

__all__ = ["BAGNOLI_BERGSTROM", "Fall", "Regularity", "checked_regularity", "falling_stretches", "log_concave"]

BAGNOLI_BERGSTROM = "Bagnoli & Bergstrom (2005), Log-concave probability and its applications, Econ. Theory 26, 445-469"

# A fall smaller than this, relative to the virtual cost itself, is rounding.
_NOISE = 1e-11


@dataclass(frozen=True, slots=True)
class Regularity:
    """Whether `c + F/f` rises on the support.

    Args:
        regular: None when it could not be decided.
        proved: by a theorem or an exact argument; otherwise by looking.
        reason: one sentence.
        source: of the theorem.
        worst: where it falls most or, if it was seen to rise, where it rises least; None if nothing was looked at.
    """

    regular: bool | None
    proved: bool
    reason: str
    source: str = ""
    worst: float | None = None

    def __str__(self) -> str:
        word = {True: "regular", False: "irregular", None: "undecided"}[self.regular]
        return f"{word} ({'proved' if self.proved else 'checked'}): {self.reason}"


def log_concave(what: str) -> Regularity:
    """Regular on both sides of the market: a log-concave density has a log-concave cdf and survival function.

    Source: Bagnoli & Bergstrom (2005); a truncated log-concave density stays log-concave.
    """
    return Regularity(True, True, f"{what}, so F and 1 - F are log-concave", BAGNOLI_BERGSTROM)


class Fall(NamedTuple):
    """A stretch where the virtual cost falls, one point where it jumps down; `drop` is how far it comes down."""

    lower: float
    upper: float
    drop: float


def checked_regularity(distribution: Distribution) -> Regularity:
    """Regularity by looking; exact for a density that is constant between its kinks."""
    exactly = distribution.piecewise_uniform
    falls = falling_stretches(distribution)
    if falls:
        worst = max(falls, key=lambda fall: fall.drop)
        place = (
            f"at {worst.lower:.6g}" if worst.lower == worst.upper else f"from {worst.lower:.6g} to {worst.upper:.6g}"
        )
        others = f" and on {len(falls) - 1} other stretches" if len(falls) > 1 else ""
        reason = f"c + F/f falls by {worst.drop:.4g} {place}{others}"
        return Regularity(False, exactly, reason, worst=0.5 * (worst.lower + worst.upper))
    grid = _grid(distribution)
    slope = distribution.virtual_cost_slope(grid)
    least = float(grid[np.nanargmin(slope)]) if np.isfinite(slope).any() else None
    if exactly:
        reason = "the density is constant between kinks, where c + F/f rises with slope 2, and at no kink it falls"
    else:
        reason = f"c + F/f rises at each of {len(grid)} points spread over the support, its tails and its mass"
    return Regularity(True, exactly, reason, worst=least)


def falling_stretches(distribution: Distribution) -> tuple[Fall, ...]:
    """Where `c + F/f` falls, in order: jumps down at kinks, stretches of negative slope, gaps without density.

    The ends of a stretch are the turning points of the virtual cost, to rounding.
    """
    grid = _grid(distribution)
    slope = distribution.virtual_cost_slope(grid)
    cost = distribution.virtual_cost(grid)
    scale = np.abs(cost) + np.abs(grid)
    grid, slope, cost, scale = _with_dips(distribution, grid, slope, cost, scale)
    steep = slope < -1e-9 * (1.0 + np.abs(slope - 2.0))
    gap = np.isinf(cost) & np.maximum.accumulate(np.isfinite(cost)[::-1])[::-1]  # no density here, but again further on
    falling = steep | gap
    kinks = np.asarray(distribution.kinks, dtype=np.float64)
    piece = np.searchsorted(kinks, grid, side="right")
    ends = np.concatenate(([distribution.lower], kinks, [distribution.upper]))
    falls: list[Fall] = []
    starts = np.flatnonzero(falling & ~np.concatenate(([False], falling[:-1] & (piece[1:] == piece[:-1]))))
    for start in starts:
        stop = start
        while stop + 1 < len(grid) and falling[stop + 1] and piece[stop + 1] == piece[start]:
            stop += 1
        lower, upper = float(ends[piece[start]]), float(ends[piece[start] + 1])
        if start and piece[start - 1] == piece[start]:
            lower = _turn(distribution, grid[start - 1], grid[start])
        if stop + 1 < len(grid) and piece[stop + 1] == piece[stop]:
            upper = _turn(distribution, grid[stop + 1], grid[stop])
        drop = _drop(distribution, lower, upper)
        if drop > _NOISE * float(scale[start : stop + 1].max(where=np.isfinite(scale[start : stop + 1]), initial=0.0)):
            falls.append(Fall(lower, upper, drop))
    falls.extend(_jumps(distribution, kinks))
    return tuple(sorted(falls))


def _jumps(distribution: Distribution, kinks: Array) -> list[Fall]:
    """Kinks at which the virtual cost jumps down."""
    if not kinks.size:
        return []
    before = distribution.virtual_cost(np.nextafter(kinks, -np.inf))
    after = distribution.virtual_cost(np.nextafter(kinks, np.inf))
    both = np.isfinite(before) & np.isfinite(after)
    drop = np.where(both, before - after, 0.0)
    down = drop > _NOISE * (np.abs(before) + np.abs(kinks))
    return [Fall(float(k), float(k), float(d)) for k, d in zip(kinks[down], drop[down], strict=True)]


def _with_dips(
    distribution: Distribution, grid: Array, slope: Array, cost: Array, scale: Array
) -> tuple[Array, Array, Array, Array]:
    """The grid and the lowest point of every dip between its points, so that no dip is missed for being narrow."""
    from scipy.optimize import minimize_scalar

    least = (slope[1:-1] <= slope[:-2]) & (slope[1:-1] < slope[2:])
    dips = np.flatnonzero(least & (slope[1:-1] > 0) & (slope[1:-1] < 1)) + 1
    found = []
    for i in dips:
        inside = minimize_scalar(
            lambda c: distribution.virtual_cost_slope(float(c)),
            bounds=(grid[i - 1], grid[i + 1]),
            method="bounded",
            options={"xatol": 1e-6 * (grid[i + 1] - grid[i - 1])},
        )
        if inside.fun < 0:
            found.append(float(inside.x))
    if not found:
        return grid, slope, cost, scale
    grid = np.union1d(grid, found)
    cost = distribution.virtual_cost(grid)
    return grid, distribution.virtual_cost_slope(grid), cost, np.abs(cost) + np.abs(grid)


def _turn(distribution: Distribution, rising: float, falling: float) -> float:
    """The turning point between a point where the virtual cost rises and one where it falls, by bisection."""
    for _ in range(200):
        middle = 0.5 * (rising + falling)
        if middle in (rising, falling):
            break
        slope = distribution.virtual_cost_slope(float(middle))
        if slope >= 0:
            rising = middle
        else:
            falling = middle
    return float(rising)


def _drop(distribution: Distribution, lower: float, upper: float) -> float:
    """How far the virtual cost comes down between two points; infinite across a gap without density."""
    middle = np.linspace(lower, upper, 9)[1:-1] if math.isfinite(upper - lower) else np.array([lower, upper])
    if not np.isfinite(distribution.virtual_cost(middle)).all():
        return math.inf
    first = distribution.virtual_cost(math.nextafter(lower, math.inf))
    last = distribution.virtual_cost(math.nextafter(upper, -math.inf))
    return first - last


def _grid(distribution: Distribution) -> Array:
    """Points inside the support: evenly over it, evenly by mass, by decades into both tails, and beside every kink."""
    share = (np.arange(1000) + 0.5) / 1000
    tail = np.logspace(-280, -3, 278)
    points = [distribution.quantile(np.concatenate((share, tail))), distribution.upper_quantile(tail)]
    kinks = np.asarray(distribution.kinks, dtype=np.float64)
    if distribution.bounded:
        width = distribution.upper - distribution.lower
        decades = width * np.logspace(-14, -3, 56)
        cosine = 0.5 - 0.5 * np.cos(np.pi * share)
        points += [distribution.lower + width * cosine, distribution.lower + decades, distribution.upper - decades]
        ends = np.concatenate(([distribution.lower], kinks, [distribution.upper]))
        if len(kinks) < 200:
            points.append((ends[:-1, None] + np.diff(ends)[:, None] * cosine[None, ::50]).reshape(-1))
    points += [np.nextafter(kinks, -np.inf), np.nextafter(kinks, np.inf)]
    grid = np.unique(np.concatenate(points))
    inside = (grid > distribution.lower) & (grid < distribution.upper) & ~np.isin(grid, kinks)
    return grid[inside]
