"""Triangular types: each side of the mode in the distance to its own end, so that both tails are exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mechdsl.distributions.arguments import DistributionError, Number, as_floats, bounded_support, exact, number_text
from mechdsl.distributions.distribution import Array, Distribution
from mechdsl.distributions.regularity import Regularity, log_concave

__all__ = ["Triangular", "triangular"]

_HALF = 0.5


@dataclass(frozen=True, slots=True, repr=False)
class Triangular(Distribution):
    """Density rising linearly from a to its mode m, falling linearly to b."""

    mode: float = field(compare=False)

    def _rising(self, c: Array) -> npt.NDArray[np.bool_]:
        return (c < self.mode) | (self.mode == self.upper)

    def _pdf(self, c: Array) -> Array:
        a, m, b = self.lower, self.mode, self.upper
        return 2 / (b - a) * np.where(self._rising(c), (c - a) / (m - a or 1.0), (b - c) / (b - m or 1.0))

    def _cdf(self, c: Array) -> Array:
        a, m, b = self.lower, self.mode, self.upper
        low = (c - a) * ((c - a) / (m - a or 1.0))
        return np.where(self._rising(c), low, (m - a) + (c - m) * (1 + (b - c) / (b - m or 1.0))) / (b - a)

    def _survival(self, c: Array) -> Array:
        a, m, b = self.lower, self.mode, self.upper
        high = (b - c) * ((b - c) / (b - m or 1.0))
        return np.where(self._rising(c), (b - m) + (m - c) * (1 + (c - a) / (m - a or 1.0)), high) / (b - a)

    def _lower_ratio(self, c: Array) -> Array:
        return np.where(self._rising(c), _HALF * (c - self.lower), self._cdf(c) / self._pdf(c))

    def _upper_ratio(self, c: Array) -> Array:
        return np.where(self._rising(c), self._survival(c) / self._pdf(c), _HALF * (self.upper - c))

    def _log_pdf_slope(self, c: Array) -> Array:
        return np.where(self._rising(c), 1 / (c - self.lower), -1 / (self.upper - c))

    def _pdf_slope(self, c: Array) -> Array:
        a, m, b = self.lower, self.mode, self.upper
        return 2 / (b - a) * np.where(self._rising(c), 1 / (m - a or 1.0), -1 / (b - m or 1.0))

    def _lower_point(self, u: Array) -> Array:
        a, m, b = self.lower, self.mode, self.upper
        left, right = (m - a) / (b - a), (b - m) / (b - a)
        past = np.clip((u - left) / (right or 1.0), 0.0, 1.0)  # of the mass right of the mode
        low = a + (b - a) * np.sqrt(u) * math.sqrt(left)
        return np.where((u <= left) | (right == 0), low, m + (b - m) * past / (1 + np.sqrt(1 - past)))

    def _upper_point(self, s: Array) -> Array:
        a, m, b = self.lower, self.mode, self.upper
        left, right = (m - a) / (b - a), (b - m) / (b - a)
        past = np.clip((s - right) / (left or 1.0), 0.0, 1.0)  # of the mass left of the mode
        high = b - (b - a) * np.sqrt(s) * math.sqrt(right)
        return np.where((s <= right) | (left == 0), high, m - (m - a) * past / (1 + np.sqrt(1 - past)))

    @property
    def mean(self) -> float:
        return self.lower + ((self.mode - self.lower) + (self.upper - self.lower)) / 3

    @property
    def variance(self) -> float:
        return ((self.upper - self.lower) ** 2 - (self.mode - self.lower) * (self.upper - self.mode)) / 18

    @property
    def kinks(self) -> tuple[float, ...]:
        return (self.mode,) if self.lower < self.mode < self.upper else ()

    @property
    def affine_virtual_cost(self) -> tuple[float, float] | None:
        return (1.5, -_HALF * self.lower) if self.mode == self.upper else None

    def cost_theorem(self) -> Regularity:
        return log_concave("the density is concave, hence log-concave")

    def value_theorem(self) -> Regularity:
        return self.cost_theorem()

    def _symbols(self) -> Sequence[Any]:
        return [exact(argument) for argument in self.arguments]

    def symbolic_pdf(self, c: Any) -> Any:
        a, m, b = self._symbols()
        return _by_mode(c, a, m, b, lambda: 2 * (c - a) / (b - a) / (m - a), lambda: 2 * (b - c) / (b - a) / (b - m))

    def symbolic_cdf(self, c: Any) -> Any:
        a, m, b = self._symbols()
        return _by_mode(
            c, a, m, b, lambda: (c - a) ** 2 / (b - a) / (m - a), lambda: 1 - (b - c) ** 2 / (b - a) / (b - m)
        )

    def symbolic_virtual_cost(self, c: Any) -> Any:
        a, m, b = self._symbols()
        return _by_mode(
            c, a, m, b, lambda: (3 * c - a) / 2, lambda: c + ((b - a) * (b - m) - (b - c) ** 2) / (2 * (b - c))
        )


def triangular(a: Number, m: Number, b: Number) -> Triangular:
    """Triangular on [a, b] with mode m."""
    _, mode, _ = as_floats((a, m, b), ("a", "m", "b"), "triangular")
    _, lower, upper = bounded_support((a, b), "triangular")
    if not lower <= mode <= upper:
        raise DistributionError(
            f"the mode {number_text(m)} of triangular lies outside [{number_text(a)}, {number_text(b)}]",
            "Write triangular(a, m, b) with a <= m <= b.",
            argument=1,
        )
    return Triangular("triangular", (a, m, b), None, lower, upper, mode)


def _by_mode(c: Any, a: Any, m: Any, b: Any, rising: Callable[[], Any], falling: Callable[[], Any]) -> Any:
    import sympy as sp

    if m == b:
        return rising()
    return falling() if m == a else sp.Piecewise((rising(), c < m), (falling(), True))
