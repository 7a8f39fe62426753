"""What no menu for a union of two can undercut, where the theorem's conditions fail.

Expected payment is utility integrated against a signed measure nu that depends on the cost laws alone. Moving positive
mass of nu up a line of slope kappa to where nu is negative is worth at least `Psi(kappa, 1)` a unit of distance. Lines
that would cross are cut at their caustic, what mass is then left over stays, and Jensen's inequality does the rest.
What the argument needs is checked on the instance; where it fails, the least cost of production is always a bound.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mechdsl.distributions import Distribution
from mechdsl.evaluate import Array
from mechdsl.theory.union_conditions import density_jump, density_of_nu
from mechdsl.theory.union_frontier import Trace
from mechdsl.theory.union_lines import Side, Sides, panels, unbounded_ends

__all__ = ["least_cost", "robust_bound", "safe_bound"]

_SLOPES = 400
_REACH = 1e6
_WIDER = 2.0  # how far beyond the branch point lines are looked at: the bound has a branch point of its own
_CUTS = 5  # of every quadrature panel along a line
_MIDDLE = 81
_ALONG = 500
_TOLERANCE = 1e-5  # of masses and shares: what the checks let pass
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_FINE = 20_001


def least_cost(traces: tuple[Trace, Trace], kappa: Array) -> Array:
    """A lower bound of `Psi(kappa, 1)`: chords of a concave function, from both sides' corners; `kappa > 0`."""
    a, b = traces
    points = {c.slope: c.least for c in a.corners}
    points.update({1 / c.slope: c.least / c.slope for c in b.corners})
    slopes = np.array(sorted(points))
    values = np.array([points[s] for s in slopes])
    inside = np.interp(kappa, slopes, values)
    return np.asarray(np.where(kappa < slopes[0], values[0] * kappa / slopes[0], inside))


def safe_bound(sides: Sides, traces: tuple[Trace, Trace], gap: float) -> float:
    """`E[Psi(c)]`: the union is paid what it costs, at least, and production costs Psi at least.

    Args:
        sides: the cost laws.
        traces: both sides of the frontier.
        gap: relative, of its solves.
    """
    first, first_weights = _nodes(sides.a.first)
    second, second_weights = _nodes(sides.a.second)
    with np.errstate(all="ignore"):
        costs = second[None, :] * least_cost(traces, first[:, None] / second[None, :])
    costs = np.where(np.isfinite(costs), costs, 0.0)
    return float(first_weights @ costs @ second_weights) * (1 - gap)


def _nodes(law: Distribution) -> tuple[Array, Array]:
    """Quadrature nodes of a law, its density included in the weights."""
    ends = panels(law)
    if law.is_point:
        return ends, np.ones(1)
    ends = np.unique(np.concatenate([np.linspace(a, b, 5) for a, b in pairwise(ends)]))
    half, middle = np.diff(ends) / 2, (ends[1:] + ends[:-1]) / 2
    nodes = (middle[:, None] + half[:, None] * _NODES).reshape(-1)
    density = law.pdf(nodes)
    # Infinite where rounding puts a node on the end itself, which has no mass.
    weights = (half[:, None] * _WEIGHTS).reshape(-1) * np.where(np.isfinite(density), density, 0.0)
    return nodes, weights / weights.sum()


@dataclass(frozen=True, slots=True)
class _Lines:
    """Lines of one side, cut at their caustics.

    Args:
        slopes, prices: of each; starts: second cost at which it is cut.
        flow: mass times distance moved up it, per unit of slope.
        fault: how far the argument fails on them: mass that is owed, excess below 0, a caustic that turns back.
    """

    side: Side
    slopes: Array
    prices: Array
    starts: Array
    flow: Array
    fault: float

    def beyond(self, kappa: float) -> tuple[Array, Array]:
        """Slopes from kappa on, finely, and the flow along their lines."""
        from scipy.interpolate import PchipInterpolator

        u = np.linspace(np.log(kappa), np.log(self.slopes[-1]), _FINE)
        return np.exp(u), np.asarray(
            PchipInterpolator(np.log(self.slopes), self.flow)(np.clip(u, np.log(self.slopes[0]), None))
        )

    def value(self, kappa: float) -> float:
        """`int_kappa (k - kappa) flow dk`: A, where lines need no cutting."""
        k, flow = self.beyond(kappa)
        return float(np.trapezoid((k - kappa) * flow, k))


def robust_bound(sides: Sides, branch: float, traces: tuple[Trace, Trace]) -> float | None:
    """`int Psi(kappa, 1) flow_A + int Psi(1, kappa) flow_B + Psi(b - what they moved)`; None where a check fails.

    Source: ours; the argument is in docs/union.md, tests/test_union_lines.py.
    """
    found = _dual(sides, branch)
    if found is None:
        return None
    kappa, *both = found
    total, moved = 0.0, 0.0
    for lines, start in zip(both, (kappa, 1 / kappa), strict=True):
        k, flow = lines.beyond(start)
        value = least_cost(traces, k) if lines.side is sides.a else k * least_cost(traces, 1 / k)
        total += float(np.trapezoid(value * flow, k))
        moved += float(np.trapezoid(flow if lines.side is sides.a else k * flow, k))
    rest = float(sides.a.second.upper - moved)
    return total + rest * float(least_cost(traces, np.array(kappa))) if rest >= 0 else None


@functools.lru_cache(maxsize=8)
def _dual(sides: Sides, branch: float) -> tuple[float, _Lines, _Lines] | None:
    """What the laws alone decide: the dual's branch point, lines and flows; None where a check fails."""
    from scipy.optimize import brentq

    laws = sides.a.first, sides.a.second
    if any(law.is_point or any(unbounded_ends(law)) for law in laws):  # nu has no faces, or faces of infinite mass
        return None
    a, b = _lines(sides.a, branch), _lines(sides.b, 1 / branch)
    top = np.array([sides.a.first.upper, sides.a.second.upper])

    def excess(u: float) -> float:
        kappa = float(np.exp(u))
        return float(top[0] - kappa * top[1] - a.value(kappa) + kappa * b.value(1 / kappa))

    near = np.log(branch)
    reach = np.log(_WIDER)
    if not excess(near - reach) > 0 > excess(near + reach):
        return None
    kappa = float(np.exp(brentq(excess, near - reach, near + reach, xtol=1e-12)))
    fault = max(a.fault, b.fault, _middle_fault(sides, a, b, kappa))
    return (kappa, a, b) if fault <= _TOLERANCE else None


def _rise(side: Side, slopes: Array, prices: Array, low: Array, high: Array) -> Array:
    """`pi'(kappa)`: the turn at which the mass of nu on the whole line stays 0, as it is on every line."""
    totals = []
    for turn in (np.zeros(len(slopes)), np.ones(len(slopes))):
        _, mass, _ = _masses(side, slopes, prices, turn, low, high)
        faces = _low_face(side, slopes, prices, turn, low) - _high_face(side, slopes, prices, turn, high)
        totals.append(mass.sum(axis=1) + faces)
    with np.errstate(all="ignore"):
        rise = -totals[0] / (totals[1] - totals[0])
    return np.where(np.isfinite(rise), rise, 0.0)


def _lines(side: Side, start: float) -> _Lines:
    last = side.first.upper / side.second.lower if side.second.lower > 0 else np.inf
    slopes = np.geomspace(start / _WIDER, min(last * (1 - 1e-9), start * _REACH), _SLOPES)
    prices = side.best(slopes)[0]
    low = np.maximum(side.second.lower, (side.first.lower - prices) / slopes)
    high = np.minimum(side.second.upper, (side.first.upper - prices) / slopes)
    rise = _rise(side, slopes, prices, low, high)
    starts = np.clip(-rise, low, high)
    edges, mass, moment = _masses(side, slopes, prices, rise, starts, high)
    gathered = np.concatenate([np.zeros((len(slopes), 1)), np.cumsum(mass, axis=1)], axis=1)
    gathered += (np.where(starts <= low, _low_face(side, slopes, prices, rise, low), 0.0))[:, None]
    left = gathered[:, -1] - _high_face(side, slopes, prices, rise, high)
    over = (gathered[:, :-1] - left[:, None]) * np.diff(edges, axis=1) + moment
    flow = np.sum(np.maximum(over, 0.0), axis=1)
    used = slopes >= start / 1.0001
    scale = float(np.max(np.abs(gathered[used]), initial=1e-300))
    stays = np.minimum(gathered, np.maximum(left, 0.0)[:, None])
    faults = [
        float(np.max(-gathered[used], initial=0.0)) / scale,
        float(np.max(-left[used], initial=0.0)) / scale,
        float(np.max(np.maximum.accumulate(stays[used], axis=1) - stays[used], initial=0.0)) / scale,
        float(np.max(starts[used] - np.minimum.accumulate(starts[used]), initial=0.0))
        / (side.second.upper - side.second.lower),
    ]
    return _Lines(side, slopes, prices, starts, flow, max(faults))


def _masses(
    side: Side, slopes: Array, prices: Array, rise: Array, low: Array, high: Array
) -> tuple[Array, Array, Array]:
    """Ends of cells along each line; the mass of nu in each, and that mass times its distance to the cell's far end;
    per unit of slope, jumps of a density included.
    """
    rows = len(slopes)
    first, second = side.ends
    images = (first[None, :] - prices[:, None]) / slopes[:, None]
    ends = np.concatenate([np.broadcast_to(second, (rows, len(second))), images], axis=1)
    ends = np.sort(np.clip(ends, low[:, None], high[:, None]), axis=1)
    ends = np.concatenate([low[:, None], ends, high[:, None]], axis=1)
    parts = np.linspace(0.0, 1.0, _CUTS + 1)[:-1]
    edges = (ends[:, :-1, None] + np.diff(ends, axis=1)[:, :, None] * parts).reshape(rows, -1)
    edges = np.concatenate([edges, high[:, None]], axis=1)
    half, middle = np.diff(edges, axis=1) / 2, (edges[:, 1:] + edges[:, :-1]) / 2
    mass, moment = np.zeros_like(half), np.zeros_like(half)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        s = middle + half * node
        t = prices[:, None] + slopes[:, None] * s
        nu = density_of_nu(side.first, side.second, t, s) * (s + rise[:, None])
        part = np.where(half > 0, half * weight * nu, 0.0)
        mass += part
        moment += part * half * (1 - node)
    for law, own in ((side.first, True), (side.second, False)):
        for kink in law.kinks:
            s = (kink - prices) / slopes if own else np.full(rows, kink)
            other = side.second.pdf(s) / slopes if own else side.first.pdf(prices + slopes * kink)
            jump = kink * density_jump(law, kink) * other * (s + rise)
            place = np.clip(
                np.array([np.searchsorted(e, x) for e, x in zip(edges, s, strict=True)]) - 1, 0, mass.shape[1] - 1
            )
            inside = (s > low) & (s < high)
            cell = np.flatnonzero(inside), place[inside]
            mass[cell] += jump[inside]
            moment[cell] += (jump * (edges[np.arange(rows), place + 1] - s))[inside]
    return edges, mass, moment


def _low_face(side: Side, slopes: Array, prices: Array, rise: Array, s: Array) -> Array:
    """Mass of nu on the lower faces, where the line enters the box, per unit of slope."""
    first, second = side.first, side.second
    t = prices + slopes * s
    on_first = s > second.lower
    face = np.where(
        on_first,
        _weighed(first.lower, first) * second.pdf(np.clip(s, second.lower, second.upper)) / slopes,
        _weighed(second.lower, second) * first.pdf(np.clip(t, first.lower, first.upper)),
    )
    return np.asarray(face * (s + rise))


def _high_face(side: Side, slopes: Array, prices: Array, rise: Array, s: Array) -> Array:
    """Minus the mass of nu on the upper faces, where the line leaves the box, per unit of slope."""
    first, second = side.first, side.second
    t = prices + slopes * s
    on_first = s < second.upper
    face = np.where(
        on_first,
        _weighed(first.upper, first) * second.pdf(np.clip(s, second.lower, second.upper)) / slopes,
        _weighed(second.upper, second) * first.pdf(np.clip(t, first.lower, first.upper)),
    )
    return np.asarray(face * (s + rise))


def _weighed(end: float, law: Distribution) -> float:
    """`end * f(end)`, 0 where the end is 0."""
    return 0.0 if end == 0 else end * law.pdf(end)


def _middle_fault(sides: Sides, a: _Lines, b: _Lines, kappa: float) -> float:
    """Mass that is owed on the lines of the middle strip, once what the cut lines cover is taken off them."""
    first, second = sides.a.first, sides.a.second
    high = float(sides.a.best(np.array([kappa]))[0][0])
    low = -kappa * float(sides.b.best(np.array([1 / kappa]))[0][0])
    levels = np.linspace(low, high, _MIDDLE)[1:-1]
    s_low = np.maximum(second.lower, (first.lower - levels) / kappa)
    s_high = np.minimum(second.upper, (first.upper - levels) / kappa)
    cells = (np.arange(_ALONG) + 0.5) / _ALONG
    s = s_low[:, None] + (s_high - s_low)[:, None] * cells
    t = levels[:, None] + kappa * s
    free = (t < _cover(a, kappa, s)) & (s < _cover(b, 1 / kappa, t))
    nu = density_of_nu(first, second, t, s) * ((s_high - s_low) / _ALONG)[:, None]
    ones, none = np.full(len(levels), kappa), np.zeros(len(levels))
    # The faces count per unit of the level, which is per unit of slope where lines move apart by 1: rise = 1 - s.
    enter = _low_face(sides.a, ones, levels, 1.0 - s_low, s_low)
    leave = _high_face(sides.a, ones, levels, 1.0 - s_high, s_high)
    del none
    total = np.sum(np.where(free, nu, 0.0), axis=1) + np.where(free[:, 0], enter, 0.0) - leave
    scale = float(np.max(np.sum(np.abs(nu), axis=1)))
    # Both covers apart: at every height the one from above lies beyond the one from below.
    heights = np.linspace(second.lower, second.upper, _ALONG)[1:-1]
    edge = _cover(a, kappa, heights)
    inside = (edge > first.lower) & (edge < first.upper)
    overlap = (heights - _cover(b, 1 / kappa, edge))[inside]
    crossed = float(np.max(overlap, initial=0.0)) / (second.upper - second.lower)
    return max(float(np.max(-total, initial=0.0)) / scale, crossed)


def _cover(lines: _Lines, start: float, second: Array) -> Array:
    """`min over slopes from start on of price + slope * second`: types beyond it are on some cut line."""
    later = lines.slopes > start
    slopes = np.concatenate([[start], lines.slopes[later]])
    prices = np.concatenate([lines.side.best(slopes[:1])[0], lines.prices[later]])
    flat = second.reshape(-1)
    best = np.full(flat.shape, np.inf)
    for slope, price in zip(slopes, prices, strict=True):
        np.minimum(best, price + slope * flat, out=best)
    return best.reshape(second.shape)
