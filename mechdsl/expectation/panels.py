"""Integrals over [0, 1] of many functions at once, each with kinks and jumps: panels between them, halved where needed.

Pieces are found first, where the caller's label (what binds) changes, by bisection; on each a Gauss-Kronrod rule says
the integral and how far to trust it. All lines advance together, so whoever evaluates them meets large batches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mechdsl.evaluate import Array

__all__ = ["Integrals", "Whole", "integrals"]

Whole: TypeAlias = npt.NDArray[np.intp]
Values: TypeAlias = Callable[[Whole, Array], tuple[Array, Array]]
"""(line of each point (N,), points (N,)) -> values (N, C) and their own errors (N, C)."""
Labels: TypeAlias = Callable[[Whole, Array], Sequence[Hashable]]
"""The same points -> what binds there."""

# Kronrod's 15 points and weights, and Gauss's 7 among them (QUADPACK's dqk15).
_X = np.array([
    0.9914553711208126, 0.9491079123427585, 0.8648644233597691, 0.7415311855993945,
    0.5860872354676911, 0.4058451513773972, 0.2077849550078985, 0.0,
])  # fmt: skip
_K = np.array([
    0.0229353220105292, 0.0630920926299786, 0.1047900103222502, 0.1406532597155259,
    0.1690047266392679, 0.1903505780647854, 0.2044329400752989, 0.2094821410847278,
])  # fmt: skip
_G = np.array([0.1294849661688697, 0.2797053914892767, 0.3818300505051189, 0.4179591836734694])
NODES = np.concatenate([-_X, _X[-2::-1]])
KRONROD = np.concatenate([_K, _K[-2::-1]])
GAUSS = np.zeros(15)
GAUSS[1::2] = np.concatenate([_G, _G[-2::-1]])

_EDGE = 1e-12  # the ends themselves may be singular
_SAMPLES = 6
_ROUNDS = 12  # of halving panels
_AGAIN = 1000.0  # how much narrower a bracket is before its ends are compared again: they cost more than labels
_HALVINGS = 50  # rounds of narrowing brackets
_FEW = 100  # brackets up to which three halvings are looked up in one call: a call costs more than its points


@dataclass(frozen=True, slots=True, eq=False)
class Integrals:
    """Of every line: the integral and its error, (L, C)."""

    values: Array
    errors: Array


def integrals(
    values: Values,
    labels: Labels,
    count: int,
    tolerance: float,
    scale: Callable[[Array], Array],
    cuts: Sequence[float] = (),
    narrow: float = 1e-6,
) -> Integrals:
    """`int_0^1` of every column of every line.

    Args:
        values: of points on lines; smooth where labels do not change.
        labels: of the same points.
        count: of lines.
        tolerance: wanted, relative to `scale`.
        scale: (..., C) absolute integrals -> what errors in each column are relative to.
        cuts: where no line is smooth.
        narrow: width below which a bracket of a change is left alone if its ends nearly agree.
    """
    edges = _brackets(values, labels, count, tolerance, scale, cuts, narrow)
    line, left, right = _gaps(edges, count, cuts)
    total, sizes, slivers = _slivers(values, edges, count)
    found = np.zeros_like(total)
    errors = slivers.copy()
    weight = sizes
    for round_ in range(_ROUNDS + 1):
        if not len(line):
            break
        integral, error, size = _kronrod(values, line, left, right)
        np.add.at(weight, line, size)
        allowed = tolerance * scale(weight)[line] * np.maximum((right - left)[:, None], 1e-3)
        rough = np.any(error > allowed, axis=1) & (round_ < _ROUNDS) & (right - left > 1e-9)
        kept = ~rough
        np.add.at(found, line[kept], integral[kept])
        np.add.at(errors, line[kept], error[kept])
        np.add.at(weight, line[rough], -size[rough])
        middle = (left[rough] + right[rough]) / 2
        line = np.concatenate([line[rough], line[rough]])
        left, right = np.concatenate([left[rough], middle]), np.concatenate([middle, right[rough]])
    return Integrals(found + total, errors)


@dataclass(slots=True)
class _Bracket:
    """A change of label between two places of a line."""

    line: int
    left: float
    right: float
    at_left: Hashable
    at_right: Hashable
    settled: bool = False
    checked: float = np.inf  # width below which its ends are worth another look

    def narrowed(self, points: Array, met: Sequence[Hashable]) -> list[_Bracket]:
        """Halved as often as the labels met at evenly spread points inside allow; other changes found on the way."""
        low, high, others = -1, len(points), []
        while high - low > 1:
            middle = (low + high) // 2
            if met[middle] == self.at_left:
                low, self.left = middle, float(points[middle])
                continue
            if met[middle] != self.at_right:  # a third label: the piece between has two ends
                others.append(_Bracket(self.line, float(points[middle]), self.right, met[middle], self.at_right))
            high, self.right, self.at_right = middle, float(points[middle]), met[middle]
        return others


def _brackets(
    values: Values, labels: Labels, count: int, tolerance: float, scale: Callable[[Array], Array],
    cuts: Sequence[float], narrow: float,
) -> list[_Bracket]:  # fmt: skip
    places = _places(cuts)
    lines = np.repeat(np.arange(count), len(places))
    seen = labels(lines, np.tile(places, count))
    brackets = []
    for one in range(count):
        row = seen[one * len(places) : (one + 1) * len(places)]
        for j in range(len(places) - 1):
            between = any(places[j] < cut < places[j + 1] for cut in cuts)
            if row[j] != row[j + 1] and not between:
                brackets.append(_Bracket(one, float(places[j]), float(places[j + 1]), row[j], row[j + 1]))
    for _ in range(_HALVINGS):
        active = [b for b in brackets if not b.settled]
        if not active:
            break
        halvings = 3 if len(active) <= _FEW else 1
        parts = np.linspace(0.0, 1.0, 2**halvings + 1)[1:-1]
        left, width = (
            np.array(ends)[:, None] for ends in ([b.left for b in active], [b.right - b.left for b in active])
        )
        points = left + width * parts
        met = labels(np.repeat([b.line for b in active], len(parts)), points.ravel())
        for j, bracket in enumerate(active):
            brackets += bracket.narrowed(points[j], met[j * len(parts) : (j + 1) * len(parts)])
        _settle(values, [b for b in active if b.right - b.left < min(narrow, b.checked)], tolerance, scale)
    return brackets


def _settle(values: Values, near: list[_Bracket], tolerance: float, scale: Callable[[Array], Array]) -> None:
    """Leave alone what is narrow enough for a straight line."""
    if not near:
        return
    lines = np.array([b.line for b in near])
    low, high = np.split(values(np.tile(lines, 2), np.array([b.left for b in near] + [b.right for b in near]))[0], 2)
    width = np.array([b.right - b.left for b in near])[:, None]
    allowed = tolerance * scale(np.maximum(np.abs(low), np.abs(high)))
    small = np.all(np.abs(high - low) * width <= 0.1 * allowed, axis=1) | (width[:, 0] < 1e-13)
    for bracket, settled in zip(near, small, strict=True):
        bracket.settled = bool(settled)
        bracket.checked = max((bracket.right - bracket.left) / _AGAIN, 1e-13)


def _places(cuts: Sequence[float]) -> Array:
    """Where labels are looked at: evenly, near the ends, and on both sides of every cut."""
    near = [c + side for c in cuts for side in (-_EDGE, _EDGE)]
    return np.unique(np.clip([*np.linspace(0, 1, _SAMPLES), *near], _EDGE, 1 - _EDGE))


def _gaps(brackets: list[_Bracket], count: int, cuts: Sequence[float]) -> tuple[Whole, Array, Array]:
    """The smooth pieces between brackets and cuts: line, left end, right end."""
    found = []
    changes: dict[int, list[tuple[float, float]]] = {one: [(c, c) for c in cuts] for one in range(count)}
    for b in brackets:
        changes[b.line].append((b.left, b.right))
    for one in range(count):
        stops = sorted(changes[one])
        at = 0.0
        for left, right in (*stops, (1.0, 1.0)):
            if left > at:
                found.append((one, at, left))
            at = max(at, right)
    table = np.array(found, dtype=float).reshape(-1, 3)
    return table[:, 0].astype(np.intp), table[:, 1], table[:, 2]


def _slivers(values: Values, brackets: list[_Bracket], count: int) -> tuple[Array, Array, Array]:
    """What the brackets themselves hold, as straight lines: integral, absolute integral, error."""
    if not brackets:
        width = values(np.array([0]), np.array([0.5]))[0].shape[1]
        return np.zeros((count, width)), np.zeros((count, width)), np.zeros((count, width))
    lines = np.array([b.line for b in brackets])
    ends = np.array([b.left for b in brackets] + [b.right for b in brackets])
    (low, high), (low_error, high_error) = (np.split(table, 2) for table in values(np.tile(lines, 2), ends))
    width = np.array([b.right - b.left for b in brackets])[:, None]
    total = np.zeros((count, low.shape[1]))
    sizes, errors = np.zeros_like(total), np.zeros_like(total)
    np.add.at(total, lines, (low + high) / 2 * width)
    np.add.at(sizes, lines, (np.abs(low) + np.abs(high)) / 2 * width)
    bend = width * (np.abs(low) + np.abs(high)).max(axis=1, keepdims=True)  # a kink between two equal ends
    np.add.at(errors, lines, (np.abs(high - low) / 2 + bend + low_error + high_error) * width)
    return total, sizes, errors


def _kronrod(values: Values, line: Whole, left: Array, right: Array) -> tuple[Array, Array, Array]:
    """Integral, error and absolute integral of every panel, (J, C)."""
    half, middle = (right - left) / 2, (left + right) / 2
    points = middle[:, None] + half[:, None] * NODES
    at, own = values(np.repeat(line, 15), points.ravel())
    at, own = at.reshape(len(line), 15, -1), own.reshape(len(line), 15, -1)
    integral = np.einsum("j,pjc->pc", KRONROD, at) * half[:, None]
    difference = np.abs(integral - np.einsum("j,pjc->pc", GAUSS, at) * half[:, None])
    size = np.einsum("j,pjc->pc", KRONROD, np.abs(at)) * half[:, None]
    spread = np.einsum("j,pjc->pc", KRONROD, np.abs(at - integral[:, None] / (2 * half[:, None, None]))) * half[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        smooth = np.where(spread > 0, spread * (200 * difference / spread) ** 1.5, 0.0)
    error = np.minimum(difference, smooth) + 5e-15 * size + np.einsum("j,pjc->pc", KRONROD, own) * half[:, None]
    return integral, error, size
