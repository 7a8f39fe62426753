"""The simplest families: uniform and exponential types, and types that are known.

Each works in the distances to *both* ends of its support, `c - a` and `b - c`, so that neither tail is a difference
of numbers near 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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

__all__ = ["Exponential", "Point", "Uniform", "exponential", "point", "uniform"]

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
