"""When the priced frontier is the best of all menus: three conditions on the cost laws, checked on the instance.

(N) the sets of types that accept each step are nested; (C) along every line the measure nu changes sign at most once,
from + to -; (M) N falls across the middle strip at the branch point. They are about the laws alone, so one check serves
every demand. Each is a number, how far it is violated, and a sentence.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from mechdsl.distributions import Distribution
from mechdsl.evaluate import Array
from mechdsl.theory.union_lines import Side, Sides

__all__ = ["Condition", "conditions", "density_jump", "density_of_nu", "middle_ends"]

TOLERANCE = 1e-6
_SLOPES = 240
_ACROSS = 161
_ALONG = 400
_REACH = 1e6  # how far the slopes go where the other cost may be as low as 0


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the theorem: `(N)`, `(C)` or `(M)`; by how much it is violated, in the units of the sentence."""

    letter: str
    name: str
    violation: float
    detail: str

    @property
    def holds(self) -> bool:
        return bool(self.violation <= TOLERANCE)


@functools.lru_cache(maxsize=8)
def conditions(sides: Sides, branch: float) -> tuple[Condition, ...]:
    """(N), (C) and (M) for two cost laws.

    Where one type is known the problem has one dimension and (N) alone, a rising virtual cost, suffices (Myerson 1981).

    Args:
        sides: both sides' lines.
        branch: `kappa_b`.

    Source: ours (theorem and proof in docs/union.md), tests/test_union_conditions.py.
    """
    a, b = _fan(sides.a, branch), _fan(sides.b, 1 / branch)
    known = sides.a.first.is_point or sides.a.second.is_point
    nested = Condition(
        "N", "acceptance regions nest",
        max(_nesting(sides.a, *a), _nesting(sides.b, *b)),
        "Largest step back of the cost up to which an item is accepted, as slopes rise, over the width of the support.",
    )  # fmt: skip
    if known:
        return (nested,)
    low, high = middle_ends(sides, branch)
    levels = np.linspace(low, high, 81)
    strip = np.full(len(levels), branch), levels
    crossing = max(_crossing(sides.a, *a), _crossing(sides.b, *b), _crossing(sides.a, *strip))
    _, mass = sides.a.beyond(np.full(_ALONG, branch), np.linspace(low, high, _ALONG))
    return (
        nested,
        Condition(
            "C", "nu changes sign once along every line", crossing,
            "Positive mass of nu beyond negative mass on the same line, over the largest mass of any line.",
        ),
        Condition(
            "M", "N falls across the middle", float(np.max(mass - np.minimum.accumulate(mass))),
            "Largest rise of N over the strip of types that take the middle item.",
        ),
    )  # fmt: skip


def middle_ends(sides: Sides, branch: float) -> tuple[float, float]:
    """`pi_B, pi_A` at the branch point: types with `c_1 - kappa_b c_2` between them take the middle item."""
    above = float(sides.a.best(np.array([branch]))[0][0])
    below = -branch * float(sides.b.best(np.array([1 / branch]))[0][0])
    return below, above


def _fan(side: Side, start: float) -> tuple[Array, Array]:
    """Slopes from the branch point on, and the best price along each."""
    last = side.first.upper / side.second.lower if side.second.lower > 0 else np.inf
    slopes = np.geomspace(start, max(start, min(last, start * _REACH)), _SLOPES)
    return slopes, side.best(slopes)[0]


def _nesting(side: Side, slopes: Array, prices: Array) -> float:
    """Cumulatively: at each second cost, how far the accepting threshold ever falls behind its largest value yet."""
    law = side.second
    across = np.unique(np.concatenate([np.linspace(law.lower, law.upper, _ACROSS), side.ends[1]]))
    threshold = prices[:, None] + slopes[:, None] * across
    threshold = np.clip(threshold, side.first.lower, side.first.upper)
    behind = np.maximum.accumulate(threshold, axis=0) - threshold
    width = side.first.upper - side.first.lower or side.first.upper
    return float(behind.max() / width)


def _crossing(side: Side, slopes: Array, prices: Array) -> float:
    """Mass of nu that is positive beyond mass that is negative, along lines `first = price + slope * second`."""
    first, second = side.first, side.second
    low = np.maximum(second.lower, (first.lower - prices) / slopes)
    high = np.minimum(second.upper, (first.upper - prices) / slopes)
    inside = high > low
    if not inside.any():
        return 0.0
    slopes, prices, low, high = slopes[inside], prices[inside], low[inside], high[inside]
    cells = (np.arange(_ALONG) + 0.5) / _ALONG
    s = low[:, None] + (high - low)[:, None] * cells
    t = prices[:, None] + slopes[:, None] * s
    mass = density_of_nu(first, second, t, s) * ((high - low) / _ALONG)[:, None]
    places, masses = [s], [mass]
    for kink in first.kinks:
        at = (kink - prices) / slopes
        jump = kink * density_jump(first, kink) * second.pdf(at) / slopes
        places.append(at[:, None])
        masses.append(np.where((at > low) & (at < high), jump, 0.0)[:, None])
    for kink in second.kinks:
        jump = kink * density_jump(second, kink) * first.pdf(prices + slopes * kink)
        places.append(np.full((len(slopes), 1), kink))
        masses.append(np.where((kink > low) & (kink < high), jump, 0.0)[:, None])
    order = np.argsort(np.concatenate(places, axis=1), axis=1)
    mass = np.take_along_axis(np.concatenate(masses, axis=1), order, axis=1)
    before = np.cumsum(np.maximum(-mass, 0.0), axis=1)
    positive = np.maximum(mass, 0.0)
    after = positive.sum(axis=1)[:, None] - np.cumsum(positive, axis=1)
    return float(np.max(np.minimum(before, after)) / max(np.max(np.abs(mass).sum(axis=1)), 1e-300))


def density_of_nu(first: Distribution, second: Distribution, t: Array, s: Array) -> Array:
    """`f_1 f_2 (3 + c_1 f_1'/f_1 + c_2 f_2'/f_2)` at `(t, s)`: what the expected payment weighs utility with."""
    with np.errstate(all="ignore"):
        density = first.pdf(t) * second.pdf(s)
        weighed = density * (3.0 + t * first.log_pdf_slope(t) + s * second.log_pdf_slope(s))
    return np.where(np.isfinite(weighed), weighed, 0.0)


def density_jump(law: Distribution, kink: float) -> float:
    """By how much the density rises at a kink; 0 where only its slope changes."""
    step = 1e-9 * (law.upper - law.lower)
    below, above = law.pdf(kink - step), law.pdf(kink + step)
    return above - below if abs(above - below) > 1e-6 * max(above, below) else 0.0
