"""The law of observed types: a cdf that rises linearly between order statistics, hence a density constant between them.

Observation i of n in order has F = (i - 1)/(n - 1), so the support is the range of the data. Tied observations share
their mean rank, which keeps the law free of atoms; values closer than 1e-9 of the range count as tied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mechdsl.distributions.arguments import DistributionError
from mechdsl.distributions.distribution import Array, Distribution

__all__ = ["Empirical", "empirical"]

_TIED = 1e-9
_SHOWN = 64  # order statistics that a symbolic formula spells out


@dataclass(frozen=True, slots=True, repr=False)
class Empirical(Distribution):
    """Density constant between neighbouring knots.

    Args:
        data: the observations in order.
        label: how the text names them, `empirical("costs.csv", column = "cost")`.
        knots: distinct order statistics, shape (J + 1,).
        density: between them, shape (J,).
        below: F at the left end of each piece, shape (J,).
        above: 1 - F at its right end, shape (J,).
    """

    data: tuple[float, ...]
    label: str
    knots: Array = field(compare=False)
    density: Array = field(compare=False)
    below: Array = field(compare=False)
    above: Array = field(compare=False)

    def __str__(self) -> str:
        return self.label or f"empirical({len(self.data)} observations)"

    __repr__ = __str__

    def _piece(self, c: Array) -> npt.NDArray[np.intp]:
        return np.clip(np.searchsorted(self.knots, c, side="right") - 1, 0, len(self.density) - 1)

    def _pdf(self, c: Array) -> Array:
        return self.density[self._piece(c)]

    def _cdf(self, c: Array) -> Array:
        j = self._piece(c)
        return self.below[j] + self.density[j] * (c - self.knots[j])

    def _survival(self, c: Array) -> Array:
        j = self._piece(c)
        return self.above[j] + self.density[j] * (self.knots[j + 1] - c)

    def _lower_ratio(self, c: Array) -> Array:
        j = self._piece(c)
        return self.below[j] / self.density[j] + (c - self.knots[j])

    def _upper_ratio(self, c: Array) -> Array:
        j = self._piece(c)
        return self.above[j] / self.density[j] + (self.knots[j + 1] - c)

    def _log_pdf_slope(self, c: Array) -> Array:
        return np.zeros(c.shape)

    def _lower_point(self, u: Array) -> Array:
        j = np.searchsorted(self.below, u, side="right") - 1
        return self.knots[j] + (u - self.below[j]) / self.density[j]

    def _upper_point(self, s: Array) -> Array:
        j = len(self.above) - np.searchsorted(self.above[::-1], s, side="right")
        return self.knots[j + 1] - (s - self.above[j]) / self.density[j]

    def mass(self, lower: float, upper: float) -> float:
        """P(lower < type <= upper), summed piece by piece."""
        lower, upper = max(lower, self.lower), min(upper, self.upper)
        first, last = self._piece(np.array([lower, upper]))
        if first == last:
            return float(self.density[first] * (upper - lower))
        ends = self.density[first] * (self.knots[first + 1] - lower) + self.density[last] * (upper - self.knots[last])
        return float(ends + (self.below[last] - self.below[first + 1]))

    def level_point(self, level: float, lower: float, upper: float) -> float:
        """The c in a stretch where the virtual cost does not fall at which it passes `level`, exactly."""
        first = int(self._piece(np.array([lower]))[0])
        last = max(first, int(np.searchsorted(self.knots, upper, side="left")) - 1)
        left = slice(first, last + 1)
        start = self.knots[left] + self.below[left] / self.density[left]
        j = first + int(np.searchsorted(start, level, side="right")) - 1
        if j < first:
            return lower
        c = 0.5 * (level + self.knots[j] - float(self.below[j] / self.density[j]))
        return min(max(min(float(c), float(self.knots[j + 1])), lower), upper)

    @property
    def mean(self) -> float:
        return math.fsum(self._probability() * 0.5 * (self.knots[1:] + self.knots[:-1]))

    @property
    def variance(self) -> float:
        middle, width = 0.5 * (self.knots[1:] + self.knots[:-1]), np.diff(self.knots)
        return math.fsum(self._probability() * ((middle - self.mean) ** 2 + width**2 / 12))

    def _probability(self) -> Array:
        return self.density * np.diff(self.knots)

    @property
    def kinks(self) -> tuple[float, ...]:
        return tuple(self.knots[1:-1].tolist())

    @property
    def piecewise_uniform(self) -> bool:
        return True

    @property
    def affine_virtual_cost(self) -> tuple[float, float] | None:
        return (2.0, -self.lower) if len(self.density) == 1 else None

    def symbolic_pdf(self, c: Any) -> Any:
        return self._symbolic(c, "f", lambda j, c: self.density[j])

    def symbolic_cdf(self, c: Any) -> Any:
        return self._symbolic(c, "F", lambda j, c: self.below[j] + self.density[j] * (c - self.knots[j]))

    def symbolic_virtual_cost(self, c: Any) -> Any:
        return self._symbolic(
            c, "virtual_cost", lambda j, c: 2 * c + float(self.below[j] / self.density[j] - self.knots[j])
        )

    def _symbolic(self, c: Any, name: str, formula: Any) -> Any:
        """Piece by piece; a named function of c where there are more pieces than anyone would read."""
        import sympy as sp

        if len(self.density) > _SHOWN:
            return sp.Function(name)(c)
        pieces = [(formula(j, c), c < float(self.knots[j + 1])) for j in range(len(self.density) - 1)]
        return sp.Piecewise(*pieces, (formula(len(self.density) - 1, c), True))


def empirical(data: Sequence[float], label: str = "") -> Empirical:
    """The law of observations, two different ones at least."""
    values = np.sort(np.asarray(data, dtype=np.float64).reshape(-1))
    named = label or "empirical"
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise DistributionError(f"{named} has {count} of {len(values)} observations that are not finite numbers")
    width = float(values[-1] - values[0]) if len(values) else 0.0
    if not width > 1e-9 * float(np.abs(values).max(initial=0.0)) or not 1e-150 < width < 1e150:
        raise DistributionError(
            f"{named} has no two different observations" if len(values) else f"{named} has no observations",
            "A distribution between order statistics needs two; for a type that is known write point(v).",
        )
    first = np.concatenate(([0], np.flatnonzero(np.diff(values) > _TIED * width) + 1))
    counts = np.diff(np.concatenate((first, [len(values)])))
    rank = 2 * first + counts - 1  # twice the mean rank
    knots: Array = values[first]
    knots[-1] = values[-1]
    below = (rank - rank[0]) / (rank[-1] - rank[0])
    above = (rank[-1] - rank) / (rank[-1] - rank[0])
    probability: Array = np.diff(rank) / (rank[-1] - rank[0])
    density = probability / np.diff(knots)
    arrays = (knots, density, below[:-1].copy(), above[1:].copy())
    for array in arrays:
        array.flags.writeable = False
    return Empirical("empirical", (), None, float(knots[0]), float(knots[-1]), tuple(values.tolist()), label, *arrays)
