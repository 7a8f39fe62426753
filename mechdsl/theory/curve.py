"""A function of one variable with kinks and jumps, as Chebyshev series on its smooth pieces, to integrate anywhere.

Rules that assume smoothness lose their order at a kink, so the pieces are found first: they end where one of the
caller's margins (multipliers of constraints) vanishes, which extrapolation tells. On each piece nested Chebyshev points
are doubled until the series has died out, else the piece is halved.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.polynomial import chebyshev

from mechdsl.evaluate import Array

__all__ = ["Curve", "curve"]

_ORDERS = (8, 16, 32)
_DEPTH = 14
_LEVEL = 1e-2  # of the tolerance: where margins change but the function does not, as at the ties of a linear market
_SLIVER = 1e-6  # of the whole, within which kinks are enclosed


@dataclass(frozen=True, slots=True)
class Curve:
    """Chebyshev series by piece.

    Args:
        edges: ends of the pieces, increasing, shape (J + 1,).
        series: coefficients of each piece on [-1, 1].
        errors: bound on the error of each piece's integral, from the size of the last coefficients, shape (J,).
    """

    edges: Array
    series: tuple[Array, ...]
    errors: Array

    def integral(self, lower: float, upper: float) -> float:
        """`int_lower^upper`, both within the curve's ends."""
        total = 0.0
        for left, right, series in zip(self.edges[:-1], self.edges[1:], self.series, strict=True):
            a, b = max(lower, left), min(upper, right)
            if a < b:
                half, middle = (right - left) / 2, (left + right) / 2
                primitive = chebyshev.chebint(series)
                ends = chebyshev.chebval(np.array([(a - middle) / half, (b - middle) / half]), primitive)
                total += half * float(ends[1] - ends[0])
        return total

    def error(self, lower: float, upper: float) -> float:
        """Bound on the error of `integral(lower, upper)`."""
        inside = (self.edges[:-1] < upper) & (self.edges[1:] > lower)
        return float(self.errors[inside].sum())


Piece: TypeAlias = tuple[float, Array, float]
"""Right end, coefficients, error bound."""


def curve(
    function: Callable[[float], float],
    margins: Callable[[float], Array],
    lower: float,
    upper: float,
    kinks: Sequence[float] = (),
    tolerance: float = 1e-10,
) -> Curve:
    """The function on `[lower, upper]` as a `Curve`.

    Args:
        function: falling or rising throughout, continuous but for finitely many jumps; may be asked again at the same
            place.
        margins: numbers >= 0; the function is smooth where none of them becomes 0 or ceases to be 0.
        lower: left end.
        upper: right end.
        kinks: places known beforehand where it is not smooth.
        tolerance: of the integral over the whole, relative to that of the absolute value.
    """
    cuts = [lower, *sorted(k for k in kinks if lower < k < upper), upper]
    scale = (upper - lower) * max(abs(function(lower)), abs(function(upper)), abs(function((lower + upper) / 2)))
    traced = _Traced(function, margins, _SLIVER * (upper - lower), tolerance * scale)
    pieces: list[Piece] = []
    for left, right in itertools.pairwise(cuts):
        pieces += traced.pieces(left, right, tolerance * scale, _DEPTH)
    return Curve(
        np.array([lower, *(end for end, _, _ in pieces)]),
        tuple(series for _, series, _ in pieces),
        np.array([error for _, _, error in pieces]),
    )


@dataclass(frozen=True, slots=True)
class _Traced:
    """A function with its margins.

    Args:
        width: within which a kink has to be enclosed: misplacing it costs the square of the distance.
        tolerance: likewise of a jump, its height times the distance.
    """

    function: Callable[[float], float]
    margins: Callable[[float], Array]
    width: float
    tolerance: float

    def pieces(self, left: float, right: float, tolerance: float, depth: int) -> list[Piece]:
        """The stretch as one series; split where its nodes show changes, halved where the series does not die out."""
        half, middle = (right - left) / 2, (left + right) / 2
        coefficients, error = np.zeros(1), np.inf
        for order in _ORDERS:
            cosines = np.cos(np.pi * np.arange(order + 1) / order)
            nodes = [min(max(middle + half * float(z), left), right) for z in cosines]
            values = np.array([self.function(t) for t in nodes])
            if depth and (found := self.changes(nodes[::-1])):
                return self.split(left, right, found, tolerance, depth - 1)
            coefficients = _interpolated(values)
            tail = np.abs(coefficients[-3:]).max()
            error = 2 * half * float(tail)
            if error <= tolerance or tail <= 1e-13 * np.abs(coefficients).max():
                return [(right, coefficients, error)]
        if depth == 0 or not left < middle < right:
            return [(right, coefficients, error)]
        return [
            *self.pieces(left, middle, tolerance / 2, depth - 1),
            *self.pieces(middle, right, tolerance / 2, depth - 1),
        ]

    def split(
        self, left: float, right: float, found: Sequence[tuple[float, float]], tolerance: float, depth: int
    ) -> list[Piece]:
        """The stretches between changes, and the slivers that hold one as straight lines."""
        pieces: list[Piece] = []
        at = left
        for before, after in found:
            if at < before:
                pieces += self.pieces(at, before, tolerance, depth)
            pieces.append(_line(self.function, before, after))
            at = after
        return pieces + (self.pieces(at, right, tolerance, depth) if at < right else [])

    def changes(self, places: Sequence[float]) -> list[tuple[float, float]]:
        """Between neighbouring places that differ in which margins are 0: the last place before and the first after."""
        patterns = [self.margins(t) > 0 for t in places]
        return [
            self.enclosed(left, right)
            for (left, here), (right, there) in itertools.pairwise(zip(places, patterns, strict=True))
            if not (np.array_equal(here, there) or self.level(left, right))
        ]

    def level(self, left: float, right: float) -> bool:
        """Whether a function that falls or rises throughout changes too little in between to matter, kinks or not."""
        return abs(self.function(right) - self.function(left)) * (right - left) <= _LEVEL * self.tolerance

    def enclosed(self, left: float, right: float) -> tuple[float, float]:
        """The change nearest to `left`: where vanishing margins are extrapolated to 0 from either side, or halfway."""
        before, after = [(left, self.margins(left))], [(right, self.margins(right))]
        pattern, last, closing = before[0][1] > 0, np.nan, True
        while True:
            a, b = before[-1][0], after[-1][0]
            middle, height = (a + b) / 2, abs(self.function(b) - self.function(a))
            narrow = min(self.width, self.tolerance / height) if height else self.width
            if b - a <= narrow or not a < middle < b:
                return a, b
            aim = _vanishing(before, after)
            beyond = max(narrow / 4, 2 * abs(aim - last))  # aimed a little past the change, so that both ends close in
            last, t = aim, aim + beyond if b - aim > aim - a else aim - beyond
            if not (closing and a < t < b):
                t = middle
            here = self.margins(t)
            (before if np.array_equal(here > 0, pattern) else after).append((t, here))
            closing = t == middle or after[-1][0] - before[-1][0] < 0.6 * (b - a)


def _vanishing(before: Sequence[tuple[float, Array]], after: Sequence[tuple[float, Array]]) -> float:
    """The first place between the two sides at which a margin that is 0 on one of them gets there; nan if unseen."""
    found = [np.inf]
    for side, other in ((before, after), (after, before)):
        (t, here), there = side[-1], other[-1][1]
        if len(side) > 1:
            earlier, was = side[-2]
            alone = (here > 0) & (was > 0) & (there <= 0) & (was > here)
            found += list(t + here[alone] * (t - earlier) / (was[alone] - here[alone]))
    first = min(found)
    return first if np.isfinite(first) else np.nan


def _line(function: Callable[[float], float], left: float, right: float) -> tuple[float, Array, float]:
    """(right end, coefficients, error) of the straight line between two near places."""
    first, last = function(left), function(right)
    return right, np.array([(first + last) / 2, (last - first) / 2]), (right - left) * abs(last - first) / 2


def _interpolated(values: Array) -> Array:
    """Chebyshev coefficients of the polynomial through values at `cos(pi j / n)`: a discrete cosine transform."""
    order = len(values) - 1
    spectrum = np.fft.rfft(np.concatenate([values, values[-2:0:-1]])).real / order
    spectrum[0] /= 2
    spectrum[-1] /= 2
    coefficients: Array = spectrum
    return coefficients
