"""Normal and log-normal laws, truncated to [a, b] or not: a Gaussian in the type or in its logarithm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from mechdsl.distributions.arguments import (
    DistributionError,
    Number,
    Support,
    as_floats,
    exact,
    number_text,
    wide_support,
)
from mechdsl.distributions.distribution import Array
from mechdsl.distributions.gaussian import Gaussian, anchored
from mechdsl.distributions.regularity import BAGNOLI_BERGSTROM, Regularity, log_concave

__all__ = ["LogNormal", "Normal", "lognormal", "normal"]

_HALF = 0.5


@dataclass(frozen=True, slots=True, repr=False)
class Normal(Gaussian):
    """N(m, s^2) on [a, b]; s is a standard deviation."""

    def _coordinates(self, c: Array) -> tuple[Array, Array, Array]:
        return (c - self.m) / self.s, (c - self.lower) / self.s, (self.upper - c) / self.s

    def _scale(self, c: Array) -> Array:
        return np.full(c.shape, self.s)

    def _type(self, z: Array, below: Array, above: Array) -> Array:
        middle = self.m + self.s * z
        low = self.lower + self.s * below if math.isfinite(self.lower) else middle
        high = self.upper - self.s * above if math.isfinite(self.upper) else middle
        return _nearest(middle, low, high, np.abs(z), below, above)

    def _log_pdf_slope(self, c: Array) -> Array:
        return (self.m - c) / self.s / self.s

    @property
    def mean(self) -> float:
        centre = self.lower if self.below == 0 else self.upper if self.above == 0 else self.m
        return centre + self.s * self.average(lambda t: t)

    @property
    def variance(self) -> float:
        if not math.isfinite(self.below + self.above) and self.below == self.above:
            return self.s**2
        centre = self.average(lambda t: t)
        return self.s**2 * self.average(lambda t: (t - centre) ** 2)

    def cost_theorem(self) -> Regularity:
        return log_concave("the normal density is log-concave")

    def value_theorem(self) -> Regularity:
        return self.cost_theorem()

    def symbolic_pdf(self, c: Any) -> Any:
        import sympy as sp

        z, low, high, s = self._symbols(c)
        return sp.sqrt(2) * sp.exp(-(z**2) / 2) / (s * sp.sqrt(sp.pi) * _symbolic_between(low, high, low))

    def symbolic_cdf(self, c: Any) -> Any:
        z, low, high, _ = self._symbols(c)
        return _symbolic_between(low, z, low) / _symbolic_between(low, high, low)

    def symbolic_virtual_cost(self, c: Any) -> Any:
        z, low, _, s = self._symbols(c)
        return c + s * _symbolic_ratio(z, low)

    def _symbols(self, c: Any) -> tuple[Any, Any, Any, Any]:
        m, s = exact(self.arguments[0]), exact(self.arguments[1])
        low, high = ((_symbolic_end(end) - m) / s for end in self.on or (-math.inf, math.inf))
        return (c - m) / s, low, high, s


@dataclass(frozen=True, slots=True, repr=False)
class LogNormal(Gaussian):
    """log c ~ N(m, s^2), c on [a, b] in [0, inf); m and s are those of the logarithm."""

    def _coordinates(self, c: Array) -> tuple[Array, Array, Array]:
        below = _log_ratio(c, self.lower) / self.s if self.lower > 0 else np.full(c.shape, math.inf)
        above = -_log_ratio(c, self.upper) / self.s if math.isfinite(self.upper) else np.full(c.shape, math.inf)
        if self.lower > 0 and math.isfinite(self.upper):  # from the nearer end, known to the last bit
            z = np.where(below <= above, (self.anchor - self.below) + below, (self.anchor + self.above) - above)
        else:
            z = (np.log(c) - self.m) / self.s
        return z, below, above

    def _scale(self, c: Array) -> Array:
        return self.s * c

    def _type(self, z: Array, below: Array, above: Array) -> Array:
        middle = np.exp(self.m + self.s * z)
        low = self.lower * np.exp(self.s * below) if self.lower > 0 else middle
        high = self.upper * np.exp(-self.s * above) if math.isfinite(self.upper) else middle
        return _nearest(middle, low, high, np.abs(z), below, above)

    def _log_pdf_slope(self, c: Array) -> Array:
        return -(1 + (np.log(c) - self.m) / self.s / self.s) / c

    def _pdf(self, c: Array) -> Array:
        return np.exp(self._log_pdf(c))

    def _pdf_slope(self, c: Array) -> Array:
        return np.where(c > 0, self._pdf(c) * self._log_pdf_slope(c), 0.0)

    @property
    def _centre(self) -> float:
        """The type at the anchor."""
        return self.lower if self.below == 0 else self.upper if self.above == 0 else math.exp(self.m)

    @property
    def mean(self) -> float:
        return self._centre * self.average(lambda t: np.exp(self.s * t), reach=self.s)

    @property
    def variance(self) -> float:
        centre = self.mean / self._centre
        return self._centre**2 * self.average(lambda t: (np.exp(self.s * t) - centre) ** 2, reach=2 * self.s)

    def cost_theorem(self) -> Regularity:
        reason = "F is the log-concave cdf of a truncated normal, rising, at log c, which is concave in c"
        return Regularity(True, True, reason, BAGNOLI_BERGSTROM)

    def symbolic_pdf(self, c: Any) -> Any:
        import sympy as sp

        z, low, high, s = self._symbols(c)
        return sp.sqrt(2) * sp.exp(-(z**2) / 2) / (s * c * sp.sqrt(sp.pi) * _symbolic_between(low, high, low))

    def symbolic_cdf(self, c: Any) -> Any:
        z, low, high, _ = self._symbols(c)
        return _symbolic_between(low, z, low) / _symbolic_between(low, high, low)

    def symbolic_virtual_cost(self, c: Any) -> Any:
        z, low, _, s = self._symbols(c)
        return c + s * c * _symbolic_ratio(z, low)

    def _symbols(self, c: Any) -> tuple[Any, Any, Any, Any]:
        import sympy as sp

        m, s = exact(self.arguments[0]), exact(self.arguments[1])
        low, high = ((sp.log(_symbolic_end(end)) - m) / s if end else -sp.oo for end in self.on or (0, math.inf))
        return (sp.log(c) - m) / s, low, high, s


def normal(m: Number, s: Number, on: Support | None = None) -> Normal:
    """Normal with mean m and standard deviation s, restricted to [a, b] where one is stated."""
    mean, deviation = as_floats((m, s), ("m", "s"), "normal")
    lower, upper = wide_support(on, "normal", (-math.inf, math.inf))
    _check_deviation("normal", s, deviation)
    below, above = (lower - mean) / deviation, (upper - mean) / deviation
    window = anchored("normal", below, above, (upper - lower) / deviation)
    return Normal("normal", (m, s), on, lower, upper, mean, deviation, *window)


def lognormal(m: Number, s: Number, on: Support | None = None) -> LogNormal:
    """The exponential of a normal with mean m and standard deviation s, restricted to [a, b] where one is stated."""
    mean, deviation = as_floats((m, s), ("m", "s"), "lognormal")
    lower, upper = wide_support(on, "lognormal", (0, math.inf))
    _check_deviation("lognormal", s, deviation)
    if abs(mean) > 300 or (deviation > 10 and math.isinf(upper)):
        raise DistributionError(
            f"lognormal({number_text(m)}, {number_text(s)}) is out of scale", "m and s are those of log c, not of c.", 0
        )
    if upper <= 0:
        raise DistributionError("lognormal has no mass at or below 0", "Its support lies in [0, inf).", at_support=True)
    below = _exact_excess(lower, mean) / deviation if lower > 0 else -math.inf
    above = _exact_excess(upper, mean) / deviation if math.isfinite(upper) else math.inf
    width = float(_log_ratio(np.array([upper]), lower)[0]) / deviation if math.isfinite(above - below) else math.inf
    return LogNormal(
        "lognormal", (m, s), on, lower, upper, mean, deviation, *anchored("lognormal", below, above, width)
    )


def _check_deviation(family: str, s: Number, deviation: float) -> None:
    if deviation <= 0:
        raise DistributionError(
            f"the standard deviation {number_text(s)} of {family} is not positive",
            "For a type that is known write point(v).",
            argument=1,
        )
    if not 1e-150 < deviation < 1e150:
        raise DistributionError(
            f"the standard deviation {number_text(s)} of {family} is out of scale", "Choose other units.", argument=1
        )


def _exact_excess(end: float, mean: float) -> float:
    """log(end) - mean, rounded once: a narrow support around the median leaves few digits otherwise."""
    with localcontext() as context:
        context.prec = 50
        return float(Decimal(end).ln() - Decimal(mean))


def _log_ratio(c: Array, end: float) -> Array:
    """log(c/end), to full relative accuracy also where c is near the end."""
    near = np.abs(c - end) < _HALF * end
    return np.where(near, np.log1p((c - end) / end), np.log(c / end))


def _nearest(middle: Array, low: Array, high: Array, z: Array, below: Array, above: Array) -> Array:
    """The type counted from the nearest of the mean and the two ends."""
    return np.where((below <= above) & (below < z), low, np.where((above < below) & (above < z), high, middle))


def _symbolic_end(end: Number) -> Any:
    import sympy as sp

    if isinstance(end, float) and math.isinf(end):
        return sp.oo if end > 0 else -sp.oo
    return exact(end)


def _symbolic_between(x: Any, y: Any, low: Any) -> Any:
    """2 [Phi(y) - Phi(x)]: by erfc where all lies above the mean, so that numbers put in do not cancel."""
    import sympy as sp

    root = sp.sqrt(2)
    if low.is_positive:
        return sp.erfc(x / root) - sp.erfc(y / root)
    return sp.erf(y / root) - sp.erf(x / root)


def _symbolic_ratio(z: Any, low: Any) -> Any:
    import sympy as sp

    return sp.sqrt(sp.pi / 2) * sp.exp(z**2 / 2) * _symbolic_between(low, z, low)
