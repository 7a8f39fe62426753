"""Families on [0, 1], rescaled to [a, b]: power and Kumaraswamy laws, and what they share with beta.

Each works in `log u` and `log(1 - u)`, u = (c - a)/(b - a), each taken from the nearer end, so that powers of both
are exact in both tails.
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
)
from mechdsl.distributions.beta_function import log_beta
from mechdsl.distributions.distribution import Array, Distribution
from mechdsl.distributions.regularity import BAGNOLI_BERGSTROM, Regularity, log_concave

__all__ = [
    "Kumaraswamy",
    "Power",
    "Rescaled",
    "concave_change",
    "infinite_at_top",
    "kumaraswamy",
    "log_one_minus_exp",
    "power",
    "shape_arguments",
    "times",
    "unbounded_below",
]

_HALF = 0.5


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
        return math.log(self.p) - math.log(self.upper - self.lower) + times(self.p - 1, self._logs(c)[0])

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
        return -scale * np.expm1(self.p * log_u) * np.exp(times(1 - self.p, log_u))

    def _log_pdf_slope(self, c: Array) -> Array:
        return (self.p - 1) / (c - self.lower) if self.p != 1 else np.zeros(c.shape)

    def _pdf_slope(self, c: Array) -> Array:
        scale = self.p * (self.p - 1) / (self.upper - self.lower) ** 2
        return scale * np.exp(times(self.p - 2, self._logs(c)[0])) if scale else np.zeros(c.shape)

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
        return scale + times(self.p - 1, log_u) + times(self.q - 1, log_rest)

    def _pdf(self, c: Array) -> Array:
        return np.exp(self._log_pdf(c))

    def _cdf(self, c: Array) -> Array:
        return -np.expm1(self.q * self._parts(c)[2])

    def _survival(self, c: Array) -> Array:
        return np.exp(self.q * self._parts(c)[2])

    def _lower_ratio(self, c: Array) -> Array:
        _, t, log_rest = self._parts(c)
        first_order = np.where(t > 1e-290, -np.expm1(self.q * log_rest) / (self.q * t), 1.0)
        return (c - self.lower) / self.p * first_order * np.exp(times(1 - self.q, log_rest))

    def _upper_ratio(self, c: Array) -> Array:
        log_u, _, log_rest = self._parts(c)
        scale = (self.upper - self.lower) / (self.p * self.q)
        return scale * np.exp(log_rest + times(1 - self.p, log_u))

    def _log_pdf_slope(self, c: Array) -> Array:
        log_u, _, log_rest = self._parts(c)
        rising = (self.p - 1) / (c - self.lower) if self.p != 1 else np.zeros(c.shape)
        if self.q == 1:
            return rising
        falling = np.exp(times(self.p - 1, log_u) - log_rest)
        return rising - (self.q - 1) * self.p / (self.upper - self.lower) * falling

    def _pdf_slope(self, c: Array) -> Array:
        log_u, _, log_rest = self._parts(c)
        p, q = self.p, self.q
        slope = np.zeros(c.shape)
        if p != 1:
            slope += (p - 1) * np.exp(times(p - 2, log_u) + times(q - 1, log_rest))
        if q != 1:
            slope -= (q - 1) * p * np.exp(times(2 * p - 2, log_u) + times(q - 2, log_rest))
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


def shape_arguments(values: Sequence[Number], names: Sequence[str], family: str) -> tuple[float, ...]:
    """Positive shape parameters, between 1e-3 and 1e6: beyond, a density is a point mass to any rounding."""
    floats = as_floats(values, names, family)
    for position, (number, name) in enumerate(zip(floats, names, strict=True)):
        shown = f"{name} = {number_text(values[position])} of {family}"
        if number <= 0:
            raise DistributionError(f"{shown} is not positive", f"Shape parameters of {family} are positive.", position)
        if not 1e-3 <= number <= 1e6:
            raise DistributionError(
                f"{shown} is out of scale", "Shape parameters lie between 0.001 and 1e6; else write point(v).", position
            )
    return floats


def log_one_minus_exp(x: Array) -> Array:
    """log(1 - exp(x)) for x <= 0. Source: Maechler (2012), Accurately computing log(1 - exp(-|a|))."""
    with np.errstate(all="ignore"):
        return np.where(x > -math.log(2), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


def infinite_at_top() -> Regularity:
    """Irregular, as f is infinite at b: F/f is 0 there but of larger order than b - c just below."""
    reason = "the density is infinite at b like (b - c)^(q - 1), so c + F/f exceeds b just below it, where it equals b"
    return Regularity(False, True, reason, "ours: F/f ~ (b - c)^(1 - q) falls with infinite slope", None)


def unbounded_below() -> Regularity:
    """Irregular on the seller's side, the mirror image of `infinite_at_top`."""
    reason = "the density is infinite at a like (v - a)^(p - 1), so v - (1 - F)/f falls below a just above it"
    return Regularity(False, True, reason, "ours: (1 - F)/f ~ (v - a)^(1 - p) rises with infinite slope", None)


def concave_change(reason: str) -> Regularity:
    """A log-concave rising function of a concave one is log-concave."""
    return Regularity(True, True, reason, BAGNOLI_BERGSTROM)


def times(factor: float, x: Array) -> Array:
    """factor * x with 0 * inf = 0: the exponent of u^0."""
    return factor * x if factor else np.zeros(x.shape)
