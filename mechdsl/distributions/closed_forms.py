"""Families whose cdf and quantiles are elementary: uniform, triangular, exponential, power, Kumaraswamy; and known types.

Each works in the distances to *both* ends of its support, `c - a` and `b - c`, so that neither tail is a difference of
numbers near 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from mechdsl.distributions.regularity import BAGNOLI_BERGSTROM, Regularity, log_concave

__all__ = [
    "Exponential",
    "Kumaraswamy",
    "Point",
    "Power",
    "Rescaled",
    "Triangular",
    "Uniform",
    "exponential",
    "kumaraswamy",
    "log_one_minus_exp",
    "point",
    "power",
    "triangular",
    "uniform",
]

_HALF = 0.5


# --------------------------------------------------------------------------------------------------------------- uniform


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


# ----------------------------------------------------------------------------------------------------------------- point


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

    _upper_ratio = _lower_ratio
    _log_pdf_slope = _lower_ratio

    def _lower_point(self, u: Array) -> Array:
        return np.full(u.shape, self.lower)

    _upper_point = _lower_point

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


# ------------------------------------------------------------------------------------------------------------ triangular


@dataclass(frozen=True, slots=True, repr=False)
class Triangular(Distribution):
    """Density rising linearly from a to its mode m, falling linearly to b."""

    mode: float = field(compare=False)

    def _rising(self, c: Array) -> Array:
        return (c < self.mode) | (self.mode == self.upper)

    def _pdf(self, c: Array) -> Array:
        a, m, b = self.lower, self.mode, self.upper
        return 2 / (b - a) * np.where(self._rising(c), (c - a) / (m - a or 1.0), (b - c) / (b - m or 1.0))

    def _low(self, c: Array) -> Array:
        """F where the density rises."""
        return (c - self.lower) / (self.upper - self.lower) * ((c - self.lower) / (self.mode - self.lower or 1.0))

    def _high(self, c: Array) -> Array:
        """1 - F where the density falls."""
        return (self.upper - c) / (self.upper - self.lower) * ((self.upper - c) / (self.upper - self.mode or 1.0))

    def _cdf(self, c: Array) -> Array:
        return np.where(self._rising(c), self._low(c), 1 - self._high(c))

    def _survival(self, c: Array) -> Array:
        return np.where(self._rising(c), 1 - self._low(c), self._high(c))

    def _lower_ratio(self, c: Array) -> Array:
        return np.where(self._rising(c), _HALF * (c - self.lower), (1 - self._high(c)) / self._pdf(c))

    def _upper_ratio(self, c: Array) -> Array:
        return np.where(self._rising(c), (1 - self._low(c)) / self._pdf(c), _HALF * (self.upper - c))

    def _log_pdf_slope(self, c: Array) -> Array:
        return np.where(self._rising(c), 1 / (c - self.lower), -1 / (self.upper - c))

    def _pdf_slope(self, c: Array) -> Array:
        a, m, b = self.lower, self.mode, self.upper
        return 2 / (b - a) * np.where(self._rising(c), 1 / (m - a or 1.0), -1 / (b - m or 1.0))

    def _lower_point(self, u: Array) -> Array:
        return self._place(u, 1 - u, True)

    def _upper_point(self, s: Array) -> Array:
        return self._place(1 - s, s, False)

    def _place(self, u: Array, s: Array, from_below: bool) -> Array:
        """The c with F = u, 1 - F = s; the side of the mode is decided from the number that is exact."""
        width, left, right = self.upper - self.lower, self.mode - self.lower, self.upper - self.mode
        rising = u <= left / width if from_below else s > right / width
        below = self.lower + np.sqrt(u) * math.sqrt(width) * math.sqrt(left)
        return np.where(rising, below, self.upper - np.sqrt(s) * math.sqrt(width) * math.sqrt(right))

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


# ----------------------------------------------------------------------------------------------------------- exponential


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
        return self.lower + self._moment(lambda x: x, lambda x: 1 / x - (1 / math.expm1(x) if x < 700 else 0.0))  # noqa: PLR2004

    @property
    def variance(self) -> float:
        centre = (self.mean - self.lower) * self.rate

        def closed(x: float) -> float:
            return 1 / x**2 - (1 / (2 * math.sinh(x / 2)) ** 2 if x < 1400 else 0.0)  # noqa: PLR2004

        width = self.upper - self.lower if math.isfinite(self.upper) else 1 / self.rate
        return width * self._moment(lambda u: (u - centre / (self.rate * width)) ** 2, closed)

    def _moment(self, of: Any, closed: Any) -> float:
        """(b - a) E[of(u)], u = (c - a)/(b - a): closed where nothing cancels, else by Gauss on a short exponential."""
        if math.isinf(self.upper):
            return 1 / self.rate
        width = self.upper - self.lower
        steepness = self.rate * width
        if steepness > 4:  # noqa: PLR2004
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
    if slope * lower > 700:  # noqa: PLR2004
        raise DistributionError(
            f"exponential({number_text(rate)}) leaves no mass on its support that floating point could hold",
            f"The support starts {slope * lower:.3g} means above 0.",
            at_support=True,
        )
    if not 1e-150 < slope < 1e150:  # noqa: PLR2004
        raise DistributionError(f"the rate {number_text(rate)} of exponential is out of scale", "Choose other units.", 0)
    return Exponential("exponential", (rate,), on, lower, upper, slope)


# ------------------------------------------------------------------------------------------------------ rescaled to [a, b]


@dataclass(frozen=True, slots=True, repr=False)
class Rescaled(Distribution):
    """A law of `u = (c - a)/(b - a)` on [0, 1]."""

    def _shares(self, c: Array) -> tuple[Array, Array]:
        """u and 1 - u."""
        width = self.upper - self.lower
        return (c - self.lower) / width, (self.upper - c) / width

    def _logs(self, c: Array) -> tuple[Array, Array]:
        """log u and log(1 - u)."""
        u, w = self._shares(c)
        return np.where(u < _HALF, np.log(u), np.log1p(-w)), np.where(w < _HALF, np.log(w), np.log1p(-u))

    def _place(self, u: Array, w: Array) -> Array:
        """The c at shares u and w = 1 - u, counted from the nearer end."""
        width = self.upper - self.lower
        return np.where(u < _HALF, self.lower + width * u, self.upper - width * w)

    def _stretched(self, u: float) -> float:
        return self.lower + (self.upper - self.lower) * u

    def _symbolic_share(self, c: Any) -> tuple[Any, Any]:
        """u and b - a."""
        lower, upper = self.on if self.on is not None else (0, 1)
        width = exact(upper) - exact(lower)
        return (c - exact(lower)) / width, width


@dataclass(frozen=True, slots=True, repr=False)
class Power(Rescaled):
    """F = u^p; virtual cost c + (c - a)/p."""

    p: float = field(compare=False)

    def _log_pdf(self, c: Array) -> Array:
        return math.log(self.p) - math.log(self.upper - self.lower) + _times(self.p - 1, self._logs(c)[0])

    def _pdf(self, c: Array) -> Array:
        return np.exp(self._log_pdf(c))

    def _cdf(self, c: Array) -> Array:
        return np.exp(self.p * self._logs(c)[0])

    def _survival(self, c: Array) -> Array:
        return -np.expm1(self.p * self._logs(c)[0])

    def _lower_ratio(self, c: Array) -> Array:
        return (c - self.lower) / self.p

    def _upper_ratio(self, c: Array) -> Array:
        log_u = self._logs(c)[0]
        scale = (self.upper - self.lower) / self.p
        return -scale * np.expm1(self.p * log_u) * np.exp(_times(1 - self.p, log_u))

    def _log_pdf_slope(self, c: Array) -> Array:
        return (self.p - 1) / (c - self.lower) if self.p != 1 else np.zeros(c.shape)

    def _pdf_slope(self, c: Array) -> Array:
        scale = self.p * (self.p - 1) / (self.upper - self.lower) ** 2
        return scale * np.exp(_times(self.p - 2, self._logs(c)[0])) if scale else np.zeros(c.shape)

    def _lower_point(self, u: Array) -> Array:
        log_u = np.log(u) / self.p
        return self._place(np.exp(log_u), -np.expm1(log_u))

    def _upper_point(self, s: Array) -> Array:
        log_u = np.log1p(-s) / self.p
        return self._place(np.exp(log_u), -np.expm1(log_u))

    @property
    def mean(self) -> float:
        return self._stretched(self.p / (self.p + 1))

    @property
    def variance(self) -> float:
        return (self.upper - self.lower) ** 2 * self.p / (self.p + 1) ** 2 / (self.p + 2)

    @property
    def affine_virtual_cost(self) -> tuple[float, float]:
        return 1 + 1 / self.p, -self.lower / self.p

    @property
    def piecewise_uniform(self) -> bool:
        return self.p == 1

    def cost_theorem(self) -> Regularity:
        return Regularity(True, True, "c + F/f = c + (c - a)/p", "ours: F/f = (c - a)/p")

    def value_theorem(self) -> Regularity:
        if self.p >= 1:
            return log_concave("the density (p - 1) log u is concave in logs for p >= 1")
        return unbounded_below()

    def symbolic_pdf(self, c: Any) -> Any:
        (u, width), p = self._symbolic_share(c), exact(self.arguments[0])
        return p * u ** (p - 1) / width

    def symbolic_cdf(self, c: Any) -> Any:
        return self._symbolic_share(c)[0] ** exact(self.arguments[0])

    def symbolic_virtual_cost(self, c: Any) -> Any:
        import sympy as sp

        u, width = self._symbolic_share(c)
        return sp.expand(c + u * width / exact(self.arguments[0]))


def power(p: Number, on: Support | None = None) -> Power:
    """F = u^p on [a, b]."""
    stated, lower, upper = bounded_support(on, "power", (0, 1))
    (exponent,) = shape_arguments((p,), ("p",), "power")
    return Power("power", (p,), stated, lower, upper, exponent)


@dataclass(frozen=True, slots=True, repr=False)
class Kumaraswamy(Rescaled):
    """F = 1 - (1 - u^p)^q. Source: Kumaraswamy (1980), J. Hydrology 46, 79-88."""

    p: float = field(compare=False)
    q: float = field(compare=False)

    def _parts(self, c: Array) -> tuple[Array, Array, Array]:
        """log u, t = u^p, log(1 - t)."""
        log_u = self._logs(c)[0]
        return log_u, np.exp(self.p * log_u), log_one_minus_exp(self.p * log_u)

    def _log_pdf(self, c: Array) -> Array:
        log_u, _, log_rest = self._parts(c)
        scale = math.log(self.p) + math.log(self.q) - math.log(self.upper - self.lower)
        return scale + _times(self.p - 1, log_u) + _times(self.q - 1, log_rest)

    def _pdf(self, c: Array) -> Array:
        return np.exp(self._log_pdf(c))

    def _cdf(self, c: Array) -> Array:
        return -np.expm1(self.q * self._parts(c)[2])

    def _survival(self, c: Array) -> Array:
        return np.exp(self.q * self._parts(c)[2])

    def _lower_ratio(self, c: Array) -> Array:
        _, t, log_rest = self._parts(c)
        first_order = np.where(t > 1e-290, -np.expm1(self.q * log_rest) / (self.q * t), 1.0)  # noqa: PLR2004
        return (c - self.lower) / self.p * first_order * np.exp(_times(1 - self.q, log_rest))

    def _upper_ratio(self, c: Array) -> Array:
        log_u, _, log_rest = self._parts(c)
        scale = (self.upper - self.lower) / (self.p * self.q)
        return scale * np.exp(log_rest + _times(1 - self.p, log_u))

    def _log_pdf_slope(self, c: Array) -> Array:
        log_u, _, log_rest = self._parts(c)
        rising = (self.p - 1) / (c - self.lower) if self.p != 1 else np.zeros(c.shape)
        if self.q == 1:
            return rising
        falling = np.exp(_times(self.p - 1, log_u) - log_rest)
        return rising - (self.q - 1) * self.p / (self.upper - self.lower) * falling

    def _pdf_slope(self, c: Array) -> Array:
        log_u, _, log_rest = self._parts(c)
        p, q = self.p, self.q
        slope = np.zeros(c.shape)
        if p != 1:
            slope += (p - 1) * np.exp(_times(p - 2, log_u) + _times(q - 1, log_rest))
        if q != 1:
            slope -= (q - 1) * p * np.exp(_times(2 * p - 2, log_u) + _times(q - 2, log_rest))
        return slope * p * q / (self.upper - self.lower) ** 2

    def _lower_point(self, u: Array) -> Array:
        return self._surviving(np.log1p(-u))

    def _upper_point(self, s: Array) -> Array:
        return self._surviving(np.log(s))

    def _surviving(self, log_survival: Array) -> Array:
        """The c with the given log(1 - F)."""
        log_u = log_one_minus_exp(log_survival / self.q) / self.p
        return self._place(np.exp(log_u), -np.expm1(log_u))

    @property
    def mean(self) -> float:
        from mechdsl.distributions.beta import log_beta

        return self._stretched(self.q * math.exp(log_beta(1 + 1 / self.p, self.q)))

    @property
    def variance(self) -> float:
        from mechdsl.distributions.quadrature import unit_integral

        centre = self.mean
        lower = unit_integral(lambda u: (self._lower_point(u * _HALF) - centre) ** 2)
        upper = unit_integral(lambda u: (self._upper_point(u * _HALF) - centre) ** 2)
        return _HALF * (lower + upper)

    @property
    def affine_virtual_cost(self) -> tuple[float, float] | None:
        return (1 + 1 / self.p, -self.lower / self.p) if self.q == 1 else None

    def cost_theorem(self) -> Regularity:
        if self.q < 1:
            return infinite_at_top()
        if self.p >= 1:
            return log_concave("the density is log-concave for p, q >= 1")
        return concave_change("F is 1 - (1 - t)^q, log-concave and rising in t = u^p for q >= 1, and t is concave in u")

    def value_theorem(self) -> Regularity:
        if self.p < 1:
            return unbounded_below()
        return Regularity(True, True, "log(1 - F) = q log(1 - u^p) is concave for p >= 1", "ours: u^p is convex")

    def symbolic_pdf(self, c: Any) -> Any:
        (u, width), p, q = self._symbolic_share(c), exact(self.arguments[0]), exact(self.arguments[1])
        return p * q * u ** (p - 1) * (1 - u**p) ** (q - 1) / width

    def symbolic_cdf(self, c: Any) -> Any:
        (u, _), p, q = self._symbolic_share(c), exact(self.arguments[0]), exact(self.arguments[1])
        return 1 - (1 - u**p) ** q

    def symbolic_virtual_cost(self, c: Any) -> Any:
        (u, width), p, q = self._symbolic_share(c), exact(self.arguments[0]), exact(self.arguments[1])
        rest = 1 - u**p
        return c + width * u ** (1 - p) * (rest ** (1 - q) - rest) / (p * q)


def kumaraswamy(p: Number, q: Number, on: Support | None = None) -> Kumaraswamy:
    """F = 1 - (1 - u^p)^q on [a, b]."""
    stated, lower, upper = bounded_support(on, "kumaraswamy", (0, 1))
    first, second = shape_arguments((p, q), ("p", "q"), "kumaraswamy")
    return Kumaraswamy("kumaraswamy", (p, q), stated, lower, upper, first, second)


# --------------------------------------------------------------------------------------------------------- shared formulas


def shape_arguments(values: Sequence[Number], names: Sequence[str], family: str) -> tuple[float, ...]:
    """Positive shape parameters, between 1e-3 and 1e6: beyond, a density is a point mass to any rounding."""
    floats = as_floats(values, names, family)
    for position, (number, name) in enumerate(zip(floats, names, strict=True)):
        shown = f"{name} = {number_text(values[position])} of {family}"
        if number <= 0:
            raise DistributionError(f"{shown} is not positive", f"Shape parameters of {family} are positive.", position)
        if not 1e-3 <= number <= 1e6:  # noqa: PLR2004
            raise DistributionError(
                f"{shown} is out of scale", "Shape parameters lie between 0.001 and 1e6; else write point(v).", position
            )
    return floats


def log_one_minus_exp(x: Array) -> Array:
    """log(1 - exp(x)) for x <= 0. Source: Maechler (2012), Accurately computing log(1 - exp(-|a|))."""
    return np.where(x > -math.log(2), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def infinite_at_top() -> Regularity:
    """Irregular, as f is infinite at b: F/f is 0 there but of larger order than b - c just below."""
    reason = "the density is infinite at b like (b - c)^(q - 1), so c + F/f exceeds b just below b and equals b there"
    return Regularity(False, True, reason, "ours: F/f ~ (b - c)^(1 - q) falls with infinite slope", None)


def unbounded_below() -> Regularity:
    """Irregular on the seller's side, the mirror image of `infinite_at_top`."""
    reason = "the density is infinite at a like (v - a)^(p - 1), so v - (1 - F)/f is below a just above a and equals a there"
    return Regularity(False, True, reason, "ours: (1 - F)/f ~ (v - a)^(1 - p) rises with infinite slope", None)


def concave_change(reason: str) -> Regularity:
    """A log-concave rising function of a concave one is log-concave."""
    return Regularity(True, True, reason, BAGNOLI_BERGSTROM)


def _times(factor: float, x: Array) -> Array:
    """factor * x with 0 * inf = 0: the exponent of u^0."""
    return factor * x if factor else np.zeros(x.shape)
