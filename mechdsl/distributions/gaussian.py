"""A Gaussian coordinate truncated to [alpha, beta], anchored at its mode there: for normal and log-normal laws.

Densities are taken relative to the density at the anchor, and both tails over the density are Mills ratios or, over
short distances, a Gauss rule; nothing underflows, wherever the truncation lies. Source: ours (tested to 1e-12 against
arbitrary precision); Mills ratios through erfcx.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import erf, erfcx, log_ndtr, ndtri_exp

from mechdsl.distributions.arguments import DistributionError
from mechdsl.distributions.distribution import Array, Distribution
from mechdsl.distributions.inversion import tail_points
from mechdsl.distributions.quadrature import gauss

__all__ = ["Gaussian", "anchored", "tail_ratio"]

_HALF = 0.5
_ROOT_HALF_PI = math.sqrt(math.pi / 2)
_ROOT_HALF = math.sqrt(0.5)
_LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)


def tail_ratio(z: Array, distance: Array) -> Array:
    """`[Phi(z) - Phi(z - distance)] / phi(z) = int_0^distance exp(z t - t^2/2) dt`, to full relative accuracy.

    Args:
        z: standardised points, shape (N,).
        distance: to the point of truncation below, >= 0, possibly infinite, shape (N,).
    """
    if z.size == 1:  # what payments call in loops
        return _rule(float(z[0]), float(distance[0]))(z, distance)
    ratio = np.full(z.shape, math.nan)
    short = distance * np.maximum(np.abs(z), 1.0) <= 1.0
    left, across = ~short & (z <= 0), ~short & (z > 0) & (distance >= z)
    right = ~short & (z > 0) & (distance < z)
    for rule, part in ((_short_ratio, short), (_left_ratio, left), (_across_ratio, across), (_right_ratio, right)):
        if part.any():
            ratio[part] = rule(z[part], distance[part])
    return ratio


def _rule(z: float, distance: float) -> Callable[[Array, Array], Array]:
    """The formula that loses no digits: by quadrature over short distances, else by where the interval lies."""
    if distance * max(abs(z), 1.0) <= 1.0:
        return _short_ratio
    if z <= 0:
        return _left_ratio
    return _across_ratio if distance >= z else _right_ratio


def _short_ratio(z: Array, distance: Array) -> Array:
    nodes, weights = gauss(8)
    if z.size == 1:
        t = nodes * distance
        return distance * (weights @ np.exp(t * (z - _HALF * t)))
    total = np.zeros_like(z)
    for node, weight in zip(nodes, weights, strict=True):
        t = node * distance
        total += weight * np.exp(t * (z - _HALF * t))
    return distance * total


def _left_ratio(z: Array, distance: Array) -> Array:
    return _mills(-z) - np.exp(distance * (z - _HALF * distance)) * _mills(distance - z)


def _across_ratio(z: Array, distance: Array) -> Array:
    between = np.asarray(erf(z * _ROOT_HALF) + erf((distance - z) * _ROOT_HALF), dtype=np.float64)
    return _ROOT_HALF_PI * np.exp(_HALF * z * z) * between


def _right_ratio(z: Array, distance: Array) -> Array:
    return np.exp(distance * (z - _HALF * distance)) * _mills(z - distance) - _mills(z)


def _mills(x: Array) -> Array:
    """(1 - Phi(x))/phi(x)."""
    return np.asarray(_ROOT_HALF_PI * erfcx(x * _ROOT_HALF), dtype=np.float64)


@dataclass(frozen=True, slots=True, repr=False)
class Gaussian(Distribution):
    """A type whose coordinate z is standard normal between alpha and beta.

    Args:
        m: mean of the coordinate's normal law before it is standardised.
        s: its standard deviation.
        anchor: the mode of z on [alpha, beta].
        below: distance from alpha to the anchor.
        above: distance from the anchor to beta.
        window: mass of [alpha, beta] under exp(-(z^2 - anchor^2)/2).
    """

    m: float = field(compare=False)
    s: float = field(compare=False)
    anchor: float = field(compare=False)
    below: float = field(compare=False)
    above: float = field(compare=False)
    window: float = field(compare=False)

    @abstractmethod
    def _coordinates(self, c: Array) -> tuple[Array, Array, Array]:
        """z, its distance to alpha, its distance to beta."""

    @abstractmethod
    def _scale(self, c: Array) -> Array:
        """dc/dz."""

    @abstractmethod
    def _type(self, z: Array, below: Array, above: Array) -> Array:
        """The type at z, given its distances to alpha and beta."""

    def _relative(self, z: Array, below: Array, above: Array) -> Array:
        """Log of the density of z over that at the anchor."""
        if self.anchor == 0:
            return -_HALF * z * z
        if self.below == 0:
            return -below * (self.anchor + _HALF * below)
        return above * (self.anchor - _HALF * above)

    def _log_pdf(self, c: Array) -> Array:
        scale = self._scale(c)
        density = self._relative(*self._coordinates(c)) - np.log(scale) - math.log(self.window)
        return np.where(scale > 0, density, -math.inf)

    def _pdf(self, c: Array) -> Array:
        scale = self._scale(c)
        density = np.exp(self._relative(*self._coordinates(c))) / scale / self.window
        return np.where(scale > 0, density, 0.0)

    def _tails(self, c: Array) -> tuple[Array, Array]:
        """F and 1 - F, each computed on its own where it is the smaller."""
        z, below, above = self._coordinates(c)
        left = z <= 0
        near = tail_ratio(np.where(left, z, -z), np.where(left, below, above))
        weight = np.exp(self._relative(z, below, above)) / self.window
        outer = weight * near
        far = 1.0 - outer
        large = outer > _HALF
        if large.any():
            z, weight = np.where(left, -z, z)[large], weight[large]
            far[large] = weight * tail_ratio(z, np.where(left, above, below)[large])
        return np.where(left, outer, far), np.where(left, far, outer)

    def _cdf(self, c: Array) -> Array:
        return self._tails(c)[0]

    def _survival(self, c: Array) -> Array:
        return self._tails(c)[1]

    def _lower_ratio(self, c: Array) -> Array:
        z, below, _ = self._coordinates(c)
        scale = self._scale(c)
        return np.where(scale > 0, scale * tail_ratio(z, below), 0.0)

    def _upper_ratio(self, c: Array) -> Array:
        z, _, above = self._coordinates(c)
        scale = self._scale(c)
        ratio = np.where(scale > 0, scale * tail_ratio(-z, above), math.inf)
        lost = np.isinf(ratio) & (scale > 0) & (scale < 1)  # overflow in z that the scale may bring back
        if lost.any():
            ratio[lost] = self._survival(c[lost]) * np.exp(-self._log_pdf(c[lost]))
        return ratio

    def _lower_point(self, u: Array) -> Array:
        return self._tail_point(u, 1.0)

    def _upper_point(self, s: Array) -> Array:
        return self._tail_point(s, -1.0)

    def _tail_point(self, p: Array, side: float) -> Array:
        """The type with probability p below it (side 1) or above it (side -1); seen from its end, z rises inwards."""
        first, width = (-self.below, self.below + self.above) if side > 0 else (-self.above, self.below + self.above)
        first += side * self.anchor  # minus infinity where that side is not truncated
        log_mass = math.log(self.window) - _HALF * self.anchor**2 - _LOG_ROOT_TWO_PI
        if first < 3:
            guess = ndtri_exp(np.logaddexp(log_ndtr(first), np.log(p) + log_mass))
        else:
            guess = -ndtri_exp(log_ndtr(-first) + np.log1p(-p * math.exp(min(0.0, log_mass - log_ndtr(-first)))))
        if math.isfinite(first):
            return self._from_end(p, guess - first, first, width, side)
        last = side * self.anchor + (self.above if side > 0 else self.below)
        ends = np.full(p.shape, -60.0), np.full(p.shape, min(40.0, last))

        def tail(z: Array) -> tuple[Array, Array]:
            ratio = tail_ratio(z, np.full(z.shape, math.inf))
            relative = -_HALF * (z - self.anchor) * (z + self.anchor)
            return np.log(ratio) + relative - math.log(self.window), ratio

        z = tail_points(tail, p, -math.inf, *ends, guess)
        far = np.full(p.shape, math.inf)
        return self._type(side * z, far, far)

    def _from_end(self, p: Array, guess: Array, first: float, width: float, side: float) -> Array:
        """The same, in the distance from a finite end."""

        def relative(z: Array, distance: Array) -> Array:
            if self.anchor == 0:
                return -_HALF * z * z
            if (self.below == 0) == (side > 0):
                return -distance * (abs(self.anchor) + _HALF * distance)
            rest = width - distance
            return -rest * (abs(self.anchor) + _HALF * rest)

        def tail(z: Array, distance: Array) -> tuple[Array, Array]:
            ratio = tail_ratio(z, distance)
            return np.log(ratio) + relative(z, distance) - math.log(self.window), ratio

        small = p * self.window * np.exp(-relative(np.full(p.shape, first), np.zeros(p.shape)))
        start = np.where((guess > 0) & (guess < width), guess, small)
        ends = np.zeros(p.shape), np.full(p.shape, min(width, 40.0 + max(0.0, -first)))
        near = tail_points(lambda distance: tail(first + distance, distance), p, 0.0, *ends, start)
        z = first + near
        logarithm, ratio = tail(z, near)
        polished = z - (logarithm - np.log(p)) * ratio  # near the mean the distance has fewer digits than z
        z = np.where(np.abs(z) < near, polished, z)
        far = width - near
        return self._type(side * z, *((near, far) if side > 0 else (far, near)))

    def average(self, of: Any, reach: float = 0.0) -> float:
        """E[of(z - anchor, log-density offset)] by Gauss rules over the window that carries the mass."""
        left = min(self.below, _decay(abs(self.anchor)) + reach)
        right = min(self.above, _decay(abs(self.anchor)) + reach)
        edges = np.unique(np.concatenate((np.linspace(-left, 0, 48), np.linspace(0, right, 48))))
        nodes, weights = gauss(16)
        t = (edges[:-1, None] + np.diff(edges)[:, None] * nodes).reshape(-1)
        mass = (np.diff(edges)[:, None] * weights).reshape(-1) * np.exp(-t * (self.anchor + _HALF * t))
        return math.fsum(mass * of(t)) / self.window


def anchored(family: str, low: float, high: float, width: float) -> tuple[float, float, float, float]:
    """The anchor on [low, high], its distances to both, and the mass of the window relative to it."""
    anchor = min(max(0.0, low), high)
    below, above = (0.0, width) if anchor == low else (width, 0.0) if anchor == high else (-low, high)
    with np.errstate(all="ignore"):
        sides = tail_ratio(np.array([anchor, -anchor]), np.array([below, above]))
    log_mass = math.log(sides.sum()) - _HALF * anchor * anchor - _LOG_ROOT_TWO_PI
    if not log_mass > -708:
        raise DistributionError(
            f"{family} leaves no mass on its support that floating point could hold",
            f"The support lies {abs(anchor):.3g} standard deviations from the mean; 37 are too many.",
            at_support=True,
        )
    return anchor, below, above, float(sides.sum())


def _decay(anchor: float) -> float:
    """Distance from the anchor at which the density has fallen by exp(-60)."""
    return math.sqrt(anchor * anchor + 120) - anchor
