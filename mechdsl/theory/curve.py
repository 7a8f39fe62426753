"""A function of one variable with kinks and jumps, as Chebyshev series on its smooth pieces, to integrate anywhere.

Rules that assume smoothness lose their order at a kink, so the pieces are found first: where the caller's pattern
(which constraints bind) changes, by bisection. On each piece nested Chebyshev points are doubled until the series has
died out, else the piece is halved.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from mechdsl.evaluate import Array

__all__ = ["Curve", "curve"]

_ORDERS = (8, 16, 32)
_DEPTH = 14
_SAMPLES = 6  # at which a change of pattern is looked for, on each stretch between known kinks


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


def curve(
    function: Callable[[float], float],
    pattern: Callable[[float], Hashable],
    lower: float,
    upper: float,
    kinks: Sequence[float] = (),
    tolerance: float = 1e-10,
) -> Curve:
    """The function on `[lower, upper]` as a `Curve`.

    Args:
        function: continuous but for finitely many jumps.
        pattern: constant on its smooth pieces.
        lower: left end.
        upper: right end.
        kinks: places known beforehand where it is not smooth.
        tolerance: of the integral over the whole, relative to that of the absolute value.
    """
    cuts = [lower, *sorted(k for k in kinks if lower < k < upper), upper]
    scale = (upper - lower) * max(abs(function(lower)), abs(function(upper)), abs(function((lower + upper) / 2)))
    edges, series, errors = [lower], [], []
    for left, right in itertools.pairwise(cuts):
        at = left
        for before, after in (*changes(function, pattern, left, right, tolerance * scale), (right, right)):
            pieces = _pieces(function, at, before, tolerance * scale, _DEPTH)
            if before < after:  # the sliver that holds the kink: a straight line
                pieces.append(_line(function, before, after))
            for end, coefficients, error in pieces:
                edges.append(end)
                series.append(coefficients)
                errors.append(error)
            at = after
    return Curve(np.array(edges), tuple(series), np.array(errors))


def changes(
    function: Callable[[float], float],
    pattern: Callable[[float], Hashable],
    lower: float,
    upper: float,
    tolerance: float,
) -> list[tuple[float, float]]:
    """Where the pattern changes, between samples that differ: the last place before and the first after.

    A misplaced kink costs the square of the distance, a misplaced jump its height times the distance: bisection goes on
    until either is below the tolerance.
    """
    points = [float(t) for t in np.linspace(lower, upper, _SAMPLES + 1)]
    found: list[tuple[float, float]] = []
    for left, right in itertools.pairwise(points):
        at_left = pattern(left)
        if at_left == pattern(right):
            continue
        a, b = left, right
        while b - a > 1e-6 * (upper - lower) or abs(function(b) - function(a)) * (b - a) > tolerance:
            middle = (a + b) / 2
            if not a < middle < b:
                break
            a, b = (middle, b) if pattern(middle) == at_left else (a, middle)
        found.append((a, b))
    return found


def _line(function: Callable[[float], float], left: float, right: float) -> tuple[float, Array, float]:
    """(right end, coefficients, error) of the straight line between two near places."""
    first, last = function(left), function(right)
    return right, np.array([(first + last) / 2, (last - first) / 2]), (right - left) * abs(last - first) / 2


def _pieces(
    function: Callable[[float], float], left: float, right: float, tolerance: float, depth: int
) -> list[tuple[float, Array, float]]:
    """(right end, coefficients, error) of the piece, or of its halves where its series does not die out."""
    half, middle = (right - left) / 2, (left + right) / 2
    coefficients = np.zeros(1)
    error = np.inf
    for order in _ORDERS:
        nodes = np.cos(np.pi * np.arange(order + 1) / order)
        values = np.array([function(min(max(middle + half * z, left), right)) for z in nodes])
        coefficients = _interpolated(values)
        tail = np.abs(coefficients[-3:]).max()
        error = 2 * half * float(tail)
        if error <= tolerance or tail <= 1e-13 * np.abs(coefficients).max():
            return [(right, coefficients, error)]
    if depth == 0 or not left < middle < right:
        return [(right, coefficients, error)]
    lower_half = _pieces(function, left, middle, tolerance / 2, depth - 1)
    return [*lower_half, *_pieces(function, middle, right, tolerance / 2, depth - 1)]


def _interpolated(values: Array) -> Array:
    """Chebyshev coefficients of the polynomial through values at `cos(pi j / n)`: a discrete cosine transform."""
    order = len(values) - 1
    spectrum = np.fft.rfft(np.concatenate([values, values[-2:0:-1]])).real / order
    spectrum[0] /= 2
    spectrum[-1] /= 2
    coefficients: Array = spectrum
    return coefficients
