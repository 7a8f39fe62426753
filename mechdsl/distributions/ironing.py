"""Ironed virtual costs, exactly: the slope of the convex hull of the curve `q -> q * cost(q)`, q = F(c).

`int_0^q (c + F/f) dF = c F(c)`, so Myerson's integral needs no quadrature: the virtual cost is the slope of the plane
curve (F(c), c F(c)), and ironing replaces that curve by its greatest convex minorant. Between the stretches where the
virtual cost falls the curve consists of convex arcs; arcs are joined by common tangents, scanned from the left as in
a convex hull of points. Each tangent is a root to rounding, not a point of a grid.
Source: Myerson (1981), Optimal auction design, section 6; arcs and the integral in closed form: ours (tested against
a hull of points and against linear programmes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from mechdsl.distributions.regularity import falling_stretches

if TYPE_CHECKING:
    from mechdsl.distributions.distribution import Array, Distribution, Real

__all__ = ["Ironed", "Level", "iron"]

_MANY = 32


class Level(NamedTuple):
    """A stretch of types `[lower, upper]` that share the virtual cost `level`."""

    lower: float
    upper: float
    level: float


@dataclass(frozen=True, slots=True)
class Ironed:
    """The ironed virtual cost: nondecreasing, the virtual cost itself outside of `intervals`."""

    distribution: Distribution
    intervals: tuple[Level, ...]

    def __call__(self, c: Real) -> Real:
        """The ironed virtual cost of c; NaN outside the support."""
        cost = self.distribution.virtual_cost(c)
        if not self.intervals:
            return cost
        values = np.asarray(cost, dtype=np.float64)
        lower, upper, level = (np.array(column) for column in zip(*self.intervals, strict=True))
        place = np.clip(np.searchsorted(lower, c, side="right") - 1, 0, len(level) - 1)
        pooled = (lower[place] <= c) & (c <= upper[place])
        ironed = np.where(pooled, level[place], values)
        return float(ironed) if isinstance(c, float | int) else cast("Real", ironed)

    @property
    def kinks(self) -> tuple[float, ...]:
        """Points inside the support where the ironed virtual cost is not smooth."""
        law = self.distribution
        ends = {end for interval in self.intervals for end in interval[:2] if law.lower < end < law.upper}
        if not self.intervals:
            return law.kinks
        kinks = np.array(law.kinks)
        lower, upper, _ = (np.array(column) for column in zip(*self.intervals, strict=True))
        place = np.clip(np.searchsorted(lower, kinks, side="right") - 1, 0, len(lower) - 1)
        outside = (kinks < lower[place]) | (kinks > upper[place]) if kinks.size else np.zeros(0, dtype=bool)
        return tuple(sorted(ends | set(kinks[outside].tolist())))

    def __str__(self) -> str:
        if not self.intervals:
            return "the virtual cost rises; nothing is ironed"
        shown = [f"[{i.lower:.6g}, {i.upper:.6g}] at {i.level:.6g}" for i in self.intervals[:8]]
        more = f" and {len(self.intervals) - 8} more" if len(self.intervals) > 8 else ""
        return f"ironed on {', '.join(shown)}{more}"


@dataclass(slots=True)
class _Arc:
    """A stretch [lower, upper] of types where the curve is convex, and the slope of the hull that arrives at it."""

    lower: float
    upper: float
    arrival: float = -math.inf
    joined_from: float | None = None


def iron(distribution: Distribution) -> Ironed:
    """The ironed virtual cost of a distribution; the virtual cost itself where a theorem says that it rises."""
    known = distribution.cost_theorem()
    if known is not None and known.regular:
        return Ironed(distribution, ())
    falls = falling_stretches(distribution)
    if not falls:
        return Ironed(distribution, ())
    starts = [_first(distribution), *(fall.upper for fall in falls)]
    ends = [*(fall.lower for fall in falls), _last(distribution)]
    arcs = [_Arc(start, end) for start, end in zip(starts, ends, strict=True)]
    hull: list[_Arc] = []
    for arc in _near_hull(distribution, arcs):
        _join(distribution, hull, arc)
    return Ironed(distribution, _levels(hull))


def _levels(hull: list[_Arc]) -> tuple[Level, ...]:
    """The tangents of the hull; those that follow one another on one line are one."""
    levels: list[Level] = []
    for arc in hull:
        if arc.joined_from is None or arc.lower <= arc.joined_from:
            continue
        previous = levels[-1] if levels else None
        if (
            previous is not None
            and previous.upper == arc.joined_from
            and arc.arrival <= previous.level + math.ulp(1e2) * abs(previous.level)
        ):
            levels[-1] = Level(previous.lower, arc.lower, previous.level)
        else:
            levels.append(Level(arc.joined_from, arc.lower, arc.arrival))
    return tuple(levels)


def _join(distribution: Distribution, hull: list[_Arc], arc: _Arc) -> None:
    """Adds an arc to the convex hull of those before it: arcs that its tangent passes below are dropped."""
    while hull:
        left = hull[-1]
        lower, upper, level = _tangent(distribution, left, arc)
        if level >= left.arrival or len(hull) == 1:
            left.upper = lower
            arc.lower, arc.arrival, arc.joined_from = upper, level, lower
            break
        hull.pop()
    hull.append(arc)


def _tangent(distribution: Distribution, left: _Arc, right: _Arc) -> Level:
    """The common tangent from below of two arcs: where it leaves the left one, where it meets the right one, its slope.

    For a slope, each arc has a point where the line of that slope supports it; the slope of the chord between the two
    points is Newton's next slope, and tells on which side the common tangent lies.
    """
    low, high = -math.inf, math.inf
    level = _start(distribution, left, right)
    lower, upper = left.upper, right.lower
    for _ in range(200):
        lower = distribution.level_point(level, left.lower, left.upper)
        upper = distribution.level_point(level, right.lower, right.upper)
        chord = _chord(distribution, lower, upper)
        if chord > level:
            low = max(low, level)
        elif chord < level:
            high = min(high, level)
        else:
            break
        following = chord if low < chord < high else _middle(low, high, level, upper - lower)
        if abs(following - level) <= 2 * math.ulp(level) or not low < following < high:
            break
        level = following
    return Level(lower, upper, level)


def _chord(distribution: Distribution, lower: float, upper: float) -> float:
    """Slope of the curve (F, c F) between two types."""
    mass = distribution.mass(lower, upper)
    rise = (upper - lower) * distribution.cdf(lower)
    return upper + rise / mass if mass > 0 else math.inf if rise > 0 else upper


def _middle(low: float, high: float, level: float, scale: float) -> float:
    if math.isfinite(low) and math.isfinite(high):
        return 0.5 * (low + high)
    step = 2 * abs(level) + abs(scale) + 1e-300
    return level + step if math.isinf(high) else level - step


def _start(distribution: Distribution, left: _Arc, right: _Arc) -> float:
    """A finite slope near the tangent's: the virtual cost where the right arc begins, or the chord of the gap."""
    cost = distribution.virtual_cost(math.nextafter(right.lower, math.inf))
    if math.isfinite(cost):
        return cost
    chord = _chord(distribution, left.upper, right.lower)
    return chord if math.isfinite(chord) else right.lower


def _near_hull(distribution: Distribution, arcs: list[_Arc]) -> list[_Arc]:
    """The arcs that can touch the hull, where there are many.

    An arc lies above both its end tangents, and the hull below the hull of all ends; an arc whose end tangents meet
    above the latter is left out.
    """
    if len(arcs) <= _MANY:
        return arcs
    lower, upper = np.array([a.lower for a in arcs]), np.array([a.upper for a in arcs])
    start, stop = np.nextafter(lower, np.inf), np.nextafter(upper, -np.inf)
    wide = start < stop
    q = distribution.cdf(lower), distribution.cdf(upper)
    height = lower * q[0], upper * q[1]
    slope = (
        distribution.virtual_cost(np.where(wide, start, lower)),
        distribution.virtual_cost(np.where(wide, stop, upper)),
    )
    bend = np.where(slope[1] > slope[0], slope[1] - slope[0], 1.0)
    meet = (height[0] - height[1] + slope[1] * q[1] - slope[0] * q[0]) / bend
    meet = np.clip(np.where(wide & np.isfinite(meet), meet, q[1]), q[0], q[1])
    floor = height[0] + slope[0] * (meet - q[0])
    hull_q, hull_height = _points_hull(np.concatenate(q), np.concatenate(height))
    ceiling = np.interp(meet, hull_q, hull_height)
    above = floor > ceiling + 1e-12 * (np.abs(floor) + np.abs(ceiling))
    on_hull = np.isin(q[0], hull_q) | np.isin(q[1], hull_q)
    keep = on_hull | ~above
    keep[0] = keep[-1] = True
    return [arc for arc, kept in zip(arcs, keep, strict=True) if kept]


def _points_hull(q: Array, height: Array) -> tuple[Array, Array]:
    """Lower convex hull of points.

    Source: Andrew (1979), Another efficient algorithm for convex hulls in two dimensions, IPL 9, 216-219.
    """
    order = np.lexsort((height, q))
    hull: list[tuple[float, float]] = []
    for x, y in zip(q[order].tolist(), height[order].tolist(), strict=True):
        while len(hull) > 1 and not _turns_up(hull[-2], hull[-1], (x, y)):
            hull.pop()
        if not hull or x > hull[-1][0]:
            hull.append((x, y))
    points = np.array(hull)
    return points[:, 0], points[:, 1]


def _turns_up(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    """Whether the way from first to last over middle turns left."""
    along, onward = middle[0] - first[0], last[0] - first[0]
    return along * (last[1] - first[1]) > (middle[1] - first[1]) * onward


def _first(distribution: Distribution) -> float:
    return distribution.lower if math.isfinite(distribution.lower) else distribution.quantile(1e-280)


def _last(distribution: Distribution) -> float:
    return distribution.upper if math.isfinite(distribution.upper) else distribution.upper_quantile(1e-280)
