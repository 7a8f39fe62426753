"""Beta(p, q), rescaled to [a, b].

Incomplete beta functions come from scipy, each tail from its own end; the ratios F/f from a continued fraction where
F underflows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import betainc, betaincc, betainccinv, betaincinv

from mechdsl.distributions.arguments import Number, Support, bounded_support, exact
from mechdsl.distributions.beta_function import log_beta
from mechdsl.distributions.distribution import Array
from mechdsl.distributions.inversion import tail_points
from mechdsl.distributions.regularity import Regularity, log_concave
from mechdsl.distributions.rescaled import (
    Rescaled,
    concave_change,
    infinite_at_top,
    shape_arguments,
    times,
    unbounded_below,
)

__all__ = ["Beta", "beta"]

_HALF = 0.5
_UNDERFLOW = 1e-250
_SUMMED = 12  # integer parameters up to here have F/f by a sum


@dataclass(frozen=True, slots=True, repr=False)
class Beta(Rescaled):
    """f proportional to u^(p - 1) (1 - u)^(q - 1)."""

    p: float = field(compare=False)
    q: float = field(compare=False)

    def _log_pdf(self, c: Array) -> Array:
        log_u, log_w = self._logs(c)
        scale = -log_beta(self.p, self.q) - math.log(self.upper - self.lower)
        density = np.full(c.shape, scale)
        if self.p != 1:
            density += (self.p - 1) * log_u
        if self.q != 1:
            density += (self.q - 1) * log_w
        return density

    def _pdf(self, c: Array) -> Array:
        return np.exp(self._log_pdf(c))

    def _cdf(self, c: Array) -> Array:
        return _regularised(self.p, self.q, *self._shares(c))

    def _survival(self, c: Array) -> Array:
        u, w = self._shares(c)
        return _regularised(self.q, self.p, w, u)

    def _lower_ratio(self, c: Array) -> Array:
        u, w = self._shares(c)
        return self._ratio(self.p, self.q, u, w, self._pdf(c))

    def _upper_ratio(self, c: Array) -> Array:
        u, w = self._shares(c)
        return self._ratio(self.q, self.p, w, u, self._pdf(c))

    def _ratio(self, p: float, q: float, u: Array, w: Array, density: Array) -> Array:
        """F/f: a sum where q is a small integer; else the quotient or, where F underflows, a continued fraction."""
        if q <= _SUMMED and q.is_integer():
            return (self.upper - self.lower) * u * _finite_sum(p, int(q), w)
        tail = _regularised(p, q, u, w)
        ratio = tail / density
        lost = (u < _HALF) & (tail < _UNDERFLOW)
        if lost.any():
            ratio[lost] = (self.upper - self.lower) * u[lost] * w[lost] / p * _continued_fraction(p, q, u[lost])
        return ratio

    def _log_pdf_slope(self, c: Array) -> Array:
        slope = np.zeros(c.shape)
        if self.p != 1:
            slope += (self.p - 1) / (c - self.lower)
        if self.q != 1:
            slope -= (self.q - 1) / (self.upper - c)
        return slope

    def _pdf_slope(self, c: Array) -> Array:
        density = self._pdf(c)
        slope = density * self._log_pdf_slope(c)
        return np.where(np.isfinite(slope) & (density > _UNDERFLOW), slope, self._end_slope(c))

    def _end_slope(self, c: Array) -> Array:
        """f' where f is 0 or infinite, at the ends or by rounding: term by term."""
        log_u, log_w = self._logs(c)
        p, q, slope = self.p, self.q, np.zeros(c.shape)
        scale = -log_beta(p, q) - 2 * math.log(self.upper - self.lower)
        if p != 1:
            slope += (p - 1) * np.exp(scale + times(p - 2, log_u) + times(q - 1, log_w))
        if q != 1:
            slope -= (q - 1) * np.exp(scale + times(p - 1, log_u) + times(q - 2, log_w))
        return slope

    def _lower_point(self, u: Array) -> Array:
        share = _share(self.p, self.q, u)
        start = self._place(share, betainccinv(self.q, self.p, u))
        near, far = np.full(u.shape, self.lower), np.full(u.shape, self.upper)

        def tail(c: Array) -> tuple[Array, Array]:
            ratio = self._lower_ratio(c)
            return self._log_pdf(c) + np.log(ratio), ratio

        return tail_points(tail, u, self.lower, near, far, start)

    def _upper_point(self, s: Array) -> Array:
        share = _share(self.q, self.p, s)
        start = self._place(betainccinv(self.p, self.q, s), share)
        near, far = np.full(s.shape, self.upper), np.full(s.shape, self.lower)

        def tail(c: Array) -> tuple[Array, Array]:
            ratio = self._upper_ratio(c)
            return self._log_pdf(c) + np.log(ratio), ratio

        return tail_points(tail, s, self.upper, near, far, start)

    @property
    def mean(self) -> float:
        return self._stretched(self.p / (self.p + self.q))

    @property
    def variance(self) -> float:
        total = self.p + self.q
        return (self.upper - self.lower) ** 2 * (self.p / total) * (self.q / total) / (total + 1)

    @property
    def affine_virtual_cost(self) -> tuple[float, float] | None:
        return (1 + 1 / self.p, -self.lower / self.p) if self.q == 1 else None

    def cost_theorem(self) -> Regularity:
        if self.q < 1:
            return infinite_at_top()
        if self.p >= 1:
            return log_concave("the density is log-concave for p, q >= 1")
        return concave_change("in t = u^p, concave in u, the density is (1 - t^(1/p))^(q - 1), log-concave for q >= 1")

    def value_theorem(self) -> Regularity:
        if self.p < 1:
            return unbounded_below()
        if self.q >= 1:
            return log_concave("the density is log-concave for p, q >= 1")
        return concave_change("the mirror image of beta(q, p) with q < 1 <= p, whose F is log-concave")

    def symbolic_pdf(self, c: Any) -> Any:
        import sympy as sp

        (u, width), p, q = self._symbolic_share(c), exact(self.arguments[0]), exact(self.arguments[1])
        return u ** (p - 1) * (1 - u) ** (q - 1) / (sp.gamma(p) * sp.gamma(q) / sp.gamma(p + q)) / width

    def symbolic_cdf(self, c: Any) -> Any:
        import sympy as sp

        (u, _), p, q = self._symbolic_share(c), exact(self.arguments[0]), exact(self.arguments[1])
        if q.is_Integer and q <= _SUMMED:
            terms = (sp.rf(p, k) / sp.factorial(k) * (1 - u) ** k for k in range(int(q)))
            return u**p * sp.Add(*terms)
        return sp.betainc_regularized(p, q, 0, u)

    def symbolic_virtual_cost(self, c: Any) -> Any:
        import sympy as sp

        (u, width), p, q = self._symbolic_share(c), exact(self.arguments[0]), exact(self.arguments[1])
        if q.is_Integer and q <= _SUMMED:
            constant = sp.gamma(p) * sp.gamma(q) / sp.gamma(p + q)
            terms = (sp.rf(p, k) / sp.factorial(k) * (1 - u) ** (k + 1 - q) for k in range(int(q)))
            return c + width * u * sp.gammasimp(constant) * sp.Add(*terms)
        return c + self.symbolic_cdf(c) / self.symbolic_pdf(c)


def beta(p: Number, q: Number, on: Support | None = None) -> Beta:
    """Beta(p, q) rescaled to [a, b]."""
    stated, lower, upper = bounded_support(on, "beta", (0, 1))
    first, second = shape_arguments((p, q), ("p", "q"), "beta")
    return Beta("beta", (p, q), stated, lower, upper, first, second)


def _share(p: float, q: float, probability: Array) -> Array:
    """A first guess at the u with I_u(p, q) = probability; by the leading term where scipy's underflows."""
    guess = betaincinv(p, q, probability)
    leading = np.exp((np.log(probability) + math.log(p) + log_beta(p, q)) / p)
    return np.asarray(np.where(guess > 1e-290, guess, leading), dtype=np.float64)


def _regularised(p: float, q: float, u: Array, w: Array) -> Array:
    """I_u(p, q), u + w = 1, from the smaller of the two shares."""
    low = u <= _HALF
    if low.all():
        return np.asarray(betainc(p, q, u), dtype=np.float64)
    return np.asarray(np.where(low, betainc(p, q, u), betaincc(q, p, w)), dtype=np.float64)


def _finite_sum(p: float, q: int, w: Array) -> Array:
    """`B(p, q) sum_{k < q} (p)_k / k! w^(k + 1 - q)`, F/f over c - a: positive terms only.

    Source: integration by parts, q - 1 times.
    """
    coefficients = [1.0]
    for k in range(1, q):
        coefficients.append(coefficients[-1] * (p + k - 1) / k)
    total = np.full(w.shape, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * w + coefficient
    return math.exp(log_beta(p, q)) * total / w ** (q - 1)


def _continued_fraction(p: float, q: float, u: Array) -> Array:
    """`1/(1 + d1/(1 + d2/(1 + ...)))`, with which F = u f (1 - u)/p times it; converges fast below the mean.

    Source: DLMF 8.17.22, evaluated by the modified Lentz method.
    """
    numerator, denominator = np.ones_like(u), 1 - (p + q) * u / (p + 1)
    denominator = 1 / denominator
    value = denominator.copy()
    for m in range(1, 500):
        even = m * (q - m) * u / ((p + 2 * m - 1) * (p + 2 * m))
        odd = -(p + m) * (p + q + m) * u / ((p + 2 * m) * (p + 2 * m + 1))
        before = value
        for coefficient in (even, odd):
            denominator = 1 / (1 + coefficient * denominator)
            numerator = 1 + coefficient / numerator
            value = value * denominator * numerator
        if (np.abs(value - before) <= 2e-16 * value).all():
            break
    return value
