"""Expectations over a few types: nested adaptive Gauss-Kronrod, split where the set of what binds changes.

Along each line the kinks are found by bisection, and so are the places where the sequence of pieces along a line
changes; between them everything is smooth.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from mechdsl.evaluate import Array
from mechdsl.expectation.axis import Axis
from mechdsl.expectation.integrand import Integrand
from mechdsl.expectation.panels import Integrals, Whole, integrals
from mechdsl.expected import Mask

__all__ = ["TooHardError", "quadrature"]

# Where the sequence of pieces along a line is looked at; and that of such sequences across a plane.
_PLACES, _FEWER = np.linspace(0, 1, 8).clip(1e-12, 1 - 1e-12), np.linspace(0, 1, 5).clip(1e-12, 1 - 1e-12)
_INNER = 0.25  # share of the tolerance that goes to the inner integrals
_CHUNK = 20_000
_SLICES = 60  # of three types: four panels or so, each of fifteen
MOST = 2**21  # effort beyond which quadrature gives up


class TooHardError(Exception):
    """Too many points, or too many that have to be solved one at a time."""


def quadrature(integrand: Integrand, tolerance: float) -> tuple[Array, Array, int]:
    """Integrals of all columns over a few open types, their errors, and the number of points.

    Args:
        integrand: of one open type, two or three.
        tolerance: relative to what the columns of a kind come to together.

    Raises:
        TooHardError: it would take too long.
    """
    box = _Box(integrand)
    groups = integrand.groups()

    def scale(sizes: Array) -> Array:
        return sizes @ groups + 1e-300

    def over(heads: Array, share: float) -> Integrals:
        """What is left to integrate beyond each of these heads (L, k), the first k types."""
        axis = box.axes[heads.shape[1]]
        last = heads.shape[1] + 1 == len(box.axes)

        def values(line: Whole, v: Array) -> tuple[Array, Array]:
            points = np.column_stack((heads[line], v))
            if last:
                return box.values(points)
            found = over(points, _INNER * share)
            return found.values, found.errors

        return integrals(
            values, lambda line, v: box.sequences(np.column_stack((heads[line], v))), len(heads), share, scale,
            axis.cuts, narrow=1e-6 if last else 1e-5,
        )  # fmt: skip

    if len(box.axes) > 2:  # one slice tells what all will take
        over(np.full((1, 1), 0.5), _INNER * tolerance)
        if _SLICES * box.effort > MOST:
            raise TooHardError
    whole = over(np.zeros((1, 0)), tolerance)
    return whole.values[0], whole.errors[0], box.asked


class _Box:
    """The open types along their axes; counts what it is asked."""

    def __init__(self, integrand: Integrand) -> None:
        self.integrand = integrand
        self.axes = tuple(Axis.of(integrand.laws[j]) for j in integrand.open)
        self.asked = 0
        self.effort = 0

    def values(self, v: Array) -> tuple[Array, Array]:
        """Integrands over `v`, weights of their measures included, and their errors."""
        types = self._types(v)
        values, errors, _ = self._at(types)
        weights = [axis.weights(types[:, j]) for j, axis in enumerate(self.axes)]
        by_law = np.prod([w[0] for w in weights], axis=0)
        factors = np.empty_like(values)
        for place, measure in enumerate(self.integrand.measures):
            if measure is None or measure not in self.integrand.open:
                factors[:, place] = by_law
            else:
                own = self.integrand.open.index(measure)
                others = [w[0] for j, w in enumerate(weights) if j != own]
                factors[:, place] = weights[own][1] * (np.prod(others, axis=0) if others else 1.0)
        with np.errstate(invalid="ignore"):
            return values * factors, errors * factors

    def sequences(self, heads: Array) -> list[Hashable]:
        """What binds at points; where types are left to choose, the sequence of it along the next one of them."""
        if heads.shape[1] == len(self.axes):
            pattern = self._at(self._types(heads))[2]
            return [row.tobytes() for row in np.packbits(pattern, axis=1)]
        places = _PLACES if heads.shape[1] + 1 == len(self.axes) else _FEWER
        met = self.sequences(np.column_stack((np.repeat(heads, len(places), axis=0), np.tile(places, len(heads)))))
        rows = (met[j : j + len(places)] for j in range(0, len(met), len(places)))
        return [tuple(a for a, b in zip(row, [None, *row], strict=False) if a != b) for row in rows]

    def _types(self, v: Array) -> Array:
        return np.column_stack([axis.points(v[:, j]) for j, axis in enumerate(self.axes)])

    def _at(self, types: Array) -> tuple[Array, Array, Mask]:
        self.asked += len(types)
        parts = [self.integrand.at(types[j : j + _CHUNK]) for j in range(0, len(types), _CHUNK)]
        values, errors, patterns, effort = zip(*parts, strict=True)
        self.effort += sum(effort)
        if self.effort > MOST:
            raise TooHardError
        return np.concatenate(values), np.concatenate(errors), np.concatenate(patterns)
