"""Families whose cdf and quantiles are elementary: uniform, triangular, exponential; and types that are known.

Each works in the distances to *both* ends of its support, `c - a` and `b - c`, so that neither tail is a difference
of numbers near 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mechdsl.distributions.arguments import (
    DistributionError,
    Number,
    Support,
    as_floats,
    bounded_support,
    exact,
    number_text,
    wide_support,
)
from mechdsl.distributions.distribution import Array, Distribution
from mechdsl.distributions.regularity import Regularity, log_concave

__all__ = ["Exponential", "Point", "Triangular", "Uniform", "exponential", "point", "triangular", "uniform"]

_HALF = 0.5


# -------------------------------------------------------------------------------------------------------------- uniform


@dataclass(frozen=True, slots=True, repr=False)
class Uniform(Distribution):
    """f = 1/(b - a); virtual cost 2c - a."""

    def _pdf(self, c: Array) -> Array:
        return np.full(c.shape, 1.0 / (self.upper - self.lower))

    def _cdf(self, c: Array) -> Array:
        return (c - self.lower) / (self.upper - self.lower)

    def _survival(self, c: Array) -> Array:
        return (self.upper - c) / (self.upper - self.lower)

    def _lower_ratio(self, c: Array) -> Array:
        return c - self.lower

    def _upper_ratio(self, c: Array) -> Array:
        return self.upper - c

    def _log_pdf_slope(self, c: Array) -> Array:
        return np.zeros(c.shape)

    def _lower_point(self, u: Array) -> Array:
        return self.lower + (self.upper - self.lower) * u

    def _upper_point(self, s: Array) -> Array:
        return self.upper - (self.upper - self.lower) * s

    @property
    def mean(self) -> float:
        return self.lower + _HALF * (self.upper - self.lower)

    @property
    def variance(self) -> float:
        return (self.upper - self.lower) ** 2 / 12

    @property
    def affine_virtual_cost(self) -> tuple[float, float]:
        return 2.0, -self.lower

    @property
    def piecewise_uniform(self) -> bool:
        return True

    def cost_theorem(self) -> Regularity:
        return log_concave("the density is constant")

    def value_theorem(self) -> Regularity:
        return self.cost_theorem()

    def symbolic_pdf(self, c: Any) -> Any:
        return (c * 0 + 1) / (exact(self.arguments[1]) - exact(self.arguments[0]))

    def symbolic_cdf(self, c: Any) -> Any:
        return (c - exact(self.arguments[0])) / (exact(self.arguments[1]) - exact(self.arguments[0]))

    def symbolic_virtual_cost(self, c: Any) -> Any:
        return 2 * c - exact(self.arguments[0])


def uniform(a: Number, b: Number) -> Uniform:
    """Uniform on [a, b]."""
    as_floats((a, b), ("a", "b"), "uniform")
    _, lower, upper = bounded_support((a, b), "uniform")
    return Uniform("uniform", (a, b), None, lower, upper)


# ---------------------------------------------------------------------------------------------------------------- point


@dataclass(frozen=True, slots=True, repr=False)
class Point(Distribution):
    """All mass at one value: a type that is known, whose virtual cost is its cost."""

    def _pdf(self, c: Array) -> Array:
        return np.full(c.shape, math.inf)

    def _cdf(self, c: Array) -> Array:
        return np.ones(c.shape)

    def _survival(self, c: Array) -> Array:
        return np.zeros(c.shape)

    def _lower_ratio(self, c: Array) -> Array:
        return np.zeros(c.shape)

    def _upper_ratio(self, c: Array) -> Array:
        return np.zeros(c.shape)

    def _log_pdf_slope(self, c: Array) -> Array:
        return np.zeros(c.shape)

    def _lower_point(self, u: Array) -> Array:
        return np.full(u.shape, self.lower)

    def _upper_point(self, s: Array) -> Array:
        return np.full(s.shape, self.lower)

    def cdf(self, c: Any) -> Any:
        return self._over(self._cdf, c, 0.0, 1.0)

    def survival(self, c: Any) -> Any:
        return self._over(self._survival, c, 1.0, 0.0)

    def log_cdf(self, c: Any) -> Any:
        return self._over(self._lower_ratio, c, -math.inf, 0.0)

    def log_survival(self, c: Any) -> Any:
        return self._over(lambda c: np.full(c.shape, -math.inf), c, 0.0, -math.inf)

    @property
    def mean(self) -> float:
        return self.lower

    @property
    def variance(self) -> float:
        return 0.0

    @property
    def affine_virtual_cost(self) -> tuple[float, float]:
        return 1.0, 0.0

    def cost_theorem(self) -> Regularity:
        return Regularity(True, True, "the type is known and leaves no rent")

    def value_theorem(self) -> Regularity:
        return self.cost_theorem()

    def reflected(self) -> Distribution:
        return point(-self.arguments[0])

    def symbolic_pdf(self, c: Any) -> Any:
        import sympy as sp

        return sp.DiracDelta(c - exact(self.arguments[0]))

    def symbolic_cdf(self, c: Any) -> Any:
        import sympy as sp

        return sp.Heaviside(c - exact(self.arguments[0]), 1)

    def symbolic_virtual_cost(self, c: Any) -> Any:
        return c


def point(v: Number) -> Point:
    """The type is v, and everyone knows."""
    (value,) = as_floats((v,), ("v",), "point")
    return Point("point", (v,), None, value, value)


# ----------------------------------------------------------------------------------------------------------- triangular


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


def _by_mode(c: Any, a: Any, m: Any, b: Any, rising: Any, falling: Any) -> Any:
    import sympy as sp

    if m == b:
        return rising()
    return falling() if m == a else sp.Piecewise((rising(), c < m), (falling(), True))


# ---------------------------------------------------------------------------------------------------------- exponential


@dataclass(frozen=True, slots=True, repr=False)
class Exponential(Distribution):
    """f proportional to exp(-rate c) on [a, b], b possibly infinite."""

    rate: float = field(compare=False)

    @property
    def _spread(self) -> float:
        """1 - exp(-rate (b - a)): the mass of [a, b] relative to [a, inf)."""
        return -math.expm1(-self.rate * (self.upper - self.lower))

    def _pdf(self, c: Array) -> Array:
        return self.rate / self._spread * np.exp(-self.rate * (c - self.lower))

    def _log_pdf(self, c: Array) -> Array:
        return math.log(self.rate / self._spread) - self.rate * (c - self.lower)

    def _cdf(self, c: Array) -> Array:
        return -np.expm1(-self.rate * (c - self.lower)) / self._spread

    def _survival(self, c: Array) -> Array:
        return -np.exp(-self.rate * (c - self.lower)) * np.expm1(-self.rate * (self.upper - c)) / self._spread

    def _lower_ratio(self, c: Array) -> Array:
        return np.expm1(self.rate * (c - self.lower)) / self.rate

    def _upper_ratio(self, c: Array) -> Array:
        return -np.expm1(-self.rate * (self.upper - c)) / self.rate

    def _log_pdf_slope(self, c: Array) -> Array:
        return np.full(c.shape, -self.rate)

    def _lower_point(self, u: Array) -> Array:
        return self.lower - np.log1p(-u * self._spread) / self.rate

    def _upper_point(self, s: Array) -> Array:
        left_out = math.exp(-self.rate * (self.upper - self.lower))
        beyond = np.log(s + left_out * (1 - s)) if left_out < _HALF else np.log1p((s - 1) * self._spread)
        return self.lower - beyond / self.rate

    @property
    def mean(self) -> float:
        return self.lower + self._moment(lambda x: x, lambda x: 1 / x - (1 / math.expm1(x) if x < 700 else 0.0))

    @property
    def variance(self) -> float:
        centre = (self.mean - self.lower) * self.rate

        def closed(x: float) -> float:
            return 1 / x**2 - (1 / (2 * math.sinh(x / 2)) ** 2 if x < 700 else 0.0)

        width = self.upper - self.lower if math.isfinite(self.upper) else 1 / self.rate
        return width * self._moment(lambda u: (u - centre / (self.rate * width)) ** 2, closed)

    def _moment(self, of: Any, closed: Any) -> float:
        """(b - a) E[of(u)], u = (c - a)/(b - a): closed where nothing cancels, else by Gauss on a short exponential."""
        if math.isinf(self.upper):
            return 1 / self.rate
        width = self.upper - self.lower
        steepness = self.rate * width
        if steepness > 4:
            return float(width * closed(steepness))
        nodes, weights = np.polynomial.legendre.leggauss(24)
        u = _HALF * (nodes + 1)
        density = weights * np.exp(-steepness * u)
        return float(width * (density @ of(u)) / density.sum())

    def cost_theorem(self) -> Regularity:
        return log_concave("the density is log-linear")

    def value_theorem(self) -> Regularity:
        return self.cost_theorem()

    def _symbols(self) -> tuple[Any, Any, Any]:
        import sympy as sp

        lower, upper = self.on if self.on is not None else (0, math.inf)
        return exact(self.arguments[0]), exact(lower), sp.oo if math.isinf(self.upper) else exact(upper)

    def symbolic_pdf(self, c: Any) -> Any:
        import sympy as sp

        rate, a, b = self._symbols()
        return rate * sp.exp(-rate * (c - a)) / (1 - sp.exp(-rate * (b - a)))

    def symbolic_cdf(self, c: Any) -> Any:
        import sympy as sp

        rate, a, b = self._symbols()
        return (1 - sp.exp(-rate * (c - a))) / (1 - sp.exp(-rate * (b - a)))

    def symbolic_virtual_cost(self, c: Any) -> Any:
        import sympy as sp

        rate, a, _ = self._symbols()
        return c + (sp.exp(rate * (c - a)) - 1) / rate


def exponential(rate: Number, on: Support | None = None) -> Exponential:
    """Exponential with the given rate (mean 1/rate), restricted to [a, b] in [0, inf)."""
    (slope,) = as_floats((rate,), ("rate",), "exponential")
    lower, upper = wide_support(on, "exponential", (0, math.inf))
    if slope <= 0:
        raise DistributionError(
            f"the rate {number_text(rate)} of exponential is not positive",
            "The rate is one over the mean; for a density that rises write density(c: exp(c)) on [a, b].",
            argument=0,
        )
    if slope * lower > 700:
        raise DistributionError(
            f"exponential({number_text(rate)}) leaves no mass on its support that floating point could hold",
            f"The support starts {slope * lower:.3g} means above 0.",
            at_support=True,
        )
    if not 1e-150 < slope < 1e150:
        raise DistributionError(
            f"the rate {number_text(rate)} of exponential is out of scale", "Choose other units.", 0
        )
    return Exponential("exponential", (rate,), on, lower, upper, slope)
