"""The frontier of bundles seen from one side, sandwiched: items on it are a menu, lines that support it are a bound.

Every solve at a slope kappa gives a point of the frontier and a line that no bundle lies below. The polygon of points
lies inside, that of lines outside; the same formula for the cost of a menu, applied to both, is attained and cannot be
undercut. The next solve is at the chord's slope, where the two differ most: frontiers that jump by decades within a
hair's breadth of kappa, kinks and vertices are all found, and none is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mechdsl.evaluate import Array
from mechdsl.mechanism import Mechanism
from mechdsl.program import Menu, Solution, Status
from mechdsl.theory.union_lines import Side

__all__ = ["MOST_CORNERS", "Corner", "Trace", "corner", "trace"]

MOST_CORNERS = 1200  # of a side: what is still a menu that can be printed
_REACH = 1e15  # of slopes, where the other cost may be as low as 0
_SAME = 1e-13  # of the larger output: items closer than this are one


@dataclass(frozen=True, slots=True)
class Corner:
    """A point of the frontier.

    Args:
        slope: kappa, the weight of the first good over that of the second; least: `kappa y_1 + y_2` there.
        first, second: the outputs, in the order of the side.
        gap: relative, of the solve.
        solution: as found.
    """

    slope: float
    least: float
    first: float
    second: float
    gap: float
    solution: Solution


@dataclass(frozen=True, slots=True)
class Trace:
    """One side of a menu.

    Args:
        corners: by rising slope; the first is at the branch point.
        chords: slopes between neighbours; prices: `pi` at each; steps: what each adds to the price.
        attained: what the side adds to the expected payment where the union skips no item (at most 0).
        outer: the same for the outer polygon: no menu comes below.
    """

    corners: tuple[Corner, ...]
    chords: Array
    prices: Array
    steps: Array
    attained: float
    outer: float


def corner(mechanism: Mechanism, goods: tuple[int, int], slope: float, near: Corner | None = None) -> Corner:
    """The item of least cost at weights `(slope, 1)` of the goods.

    Raises:
        ValueError: it could not be found; the status in words.
    """
    program = mechanism.program
    assert isinstance(program, Menu)
    weights = np.ones(len(program.laws))
    weights[goods[0]], weights[goods[1]] = (1.0, 1.0 / slope) if slope > 1 else (slope, 1.0)
    solution = mechanism.solve_at(
        {program.types: weights.reshape(program.types.shape)}, start=None if near is None else near.solution
    )
    if solution.status is not Status.OPTIMAL:
        raise ValueError(f"at relative weight {slope:.6g}: {solution.message}")
    y = mechanism.engine.outputs(solution)
    first, second = float(y[goods[0]]), float(y[goods[1]])
    gap = max(0.0, float(solution.residuals.get("gap", 0.0)))
    return Corner(slope, slope * first + second, first, second, gap, solution)


def trace(mechanism: Mechanism, side: Side, goods: tuple[int, int], start: Corner, tolerance: float) -> Trace:
    """One side of the menu and of the bound, until they differ by no more than `tolerance` (absolute).

    Source: ours; chord rule as in Eisner & Severance (1976), J. ACM 23, 619-635.
    """
    corners = _ends(mechanism, side, goods, start, tolerance / 10)
    priced: dict[float, tuple[float, float]] = {}
    while True:
        sandwich = _Sandwich(side, tuple(corners), priced)
        gaps = sandwich.gaps
        if gaps.sum() <= tolerance or len(corners) >= MOST_CORNERS:
            return sandwich.trace()
        wide = np.flatnonzero(gaps > tolerance / (2 * len(gaps)))
        added = [
            corner(mechanism, goods, float(sandwich.chords[j]), corners[j])
            for j in sorted(wide, key=lambda j: -gaps[j])[: MOST_CORNERS - len(corners)]
            if corners[j].slope < sandwich.chords[j] < corners[j + 1].slope
        ]
        if not added:
            return sandwich.trace()
        corners = sorted([*corners, *added], key=lambda c: c.slope)


def _ends(mechanism: Mechanism, side: Side, goods: tuple[int, int], start: Corner, tolerance: float) -> list[Corner]:
    """The first corner and a last one, beyond which nothing, or next to nothing, is earned."""
    if side.second.lower > 0:
        last = side.first.upper / side.second.lower
        return [start] if last <= start.slope else [start, corner(mechanism, goods, last, start)]
    slope, found = start.slope, [start]
    while slope < _REACH:
        slope *= 10.0
        found.append(corner(mechanism, goods, slope, found[-1]))
        if float(side.best(np.array([slope]))[1][0]) * found[-1].first <= tolerance:
            break
    return found


@dataclass(frozen=True, slots=True)
class _Sandwich:
    side: Side
    corners: tuple[Corner, ...]
    priced: dict[float, tuple[float, float]]

    def _best(self, slopes: Array) -> tuple[Array, Array]:
        """As the side's, each slope asked once."""
        wanted = [s for s in dict.fromkeys(slopes.tolist()) if s not in self.priced]
        if wanted:
            found = self.side.best(np.array(wanted))
            self.priced.update(zip(wanted, zip(*(column.tolist() for column in found), strict=True), strict=True))
        table = np.array([self.priced[s] for s in slopes.tolist()]).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def _columns(self) -> tuple[Array, Array, Array, Array]:
        table = np.array([(c.slope, c.least, c.first, c.second) for c in self.corners])
        return table[:, 0], table[:, 1], table[:, 2], table[:, 3]

    @property
    def chords(self) -> Array:
        """Slope of the frontier's chord between neighbouring corners."""
        slope, _, first, second = self._columns()
        fall, rise = first[:-1] - first[1:], second[1:] - second[:-1]
        same = fall <= _SAME * np.maximum(np.abs(first[:-1]), 1e-300)
        with np.errstate(all="ignore"):
            between = np.where(same, np.sqrt(slope[:-1] * slope[1:]), rise / fall)
        return np.clip(between, slope[:-1], slope[1:])

    def _parts(self) -> tuple[Array, Array, Array, Array, float]:
        """Prices at chords; attained and outer additions of each interval; of the tail."""
        slope, least, first, _ = self._columns()
        prices, earned = self._best(self.chords)
        at = self._best(slope)[1]
        fall = np.maximum(first[:-1] - first[1:], 0.0)
        with np.errstate(all="ignore"):
            middle = np.diff(least) / np.diff(slope)
        middle = np.clip(np.where(np.isfinite(middle), middle, first[1:]), first[1:], np.maximum(first[:-1], first[1:]))
        outer = -at[:-1] * (first[:-1] - middle) - at[1:] * (middle - first[1:])
        return prices, fall, -earned * fall, np.minimum(outer, -earned * fall), float(at[-1] * first[-1])

    @property
    def gaps(self) -> Array:
        _, _, inner, outer, _ = self._parts()
        return inner - outer

    def trace(self) -> Trace:
        prices, fall, inner, outer, tail = self._parts()
        return Trace(self.corners, self.chords, prices, -prices * fall, float(inner.sum()), float(outer.sum()) - tail)
