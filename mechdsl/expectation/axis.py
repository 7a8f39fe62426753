"""One type's support as the unit interval, half of it by probability and half by length.

`G = (F + (c - a)/(b - a))/2`. What is integrated against the law has weight `f/g <= 2`, what is integrated against the
length `1/g <= 2 (b - a)`: both stay bounded where the density dies out (virtual costs are infinite there) and where it
is infinite itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mechdsl.distributions import Distribution
from mechdsl.evaluate import Array

__all__ = ["Axis"]

_STEPS = 100


@dataclass(frozen=True, slots=True)
class Axis:
    """A law with a density, seen along `v` in [0, 1]."""

    law: Distribution

    def points(self, v: Array) -> Array:
        """The types at `v`: G inverted by Newton's method, bisection where it leaves the bracket."""
        a, b = float(self.law.lower), float(self.law.upper)
        if self.law.affine_virtual_cost is not None and self.law.piecewise_uniform and not self.law.kinks:
            return np.clip(a + v * (b - a), a, b)
        low, high = np.full(v.shape, a), np.full(v.shape, b)
        at: Array = low + v * (high - low)
        for _ in range(_STEPS):
            excess = self.levels(at) - v
            low, high = np.where(excess < 0, at, low), np.where(excess < 0, high, at)
            step = at - excess * self.weights(at)[1]
            inside = (step > low) & (step < high)
            moved: Array = np.where(inside, step, low + (high - low) / 2)
            if np.all((np.abs(excess) <= 5e-16) | (np.abs(moved - at) <= 4e-16 * np.maximum(np.abs(at), b - a))):
                break
            at = moved
        return at

    def levels(self, c: Array) -> Array:
        """G at types."""
        a, b = float(self.law.lower), float(self.law.upper)
        level: Array = (np.asarray(self.law.cdf(c)) + (c - a) / (b - a)) / 2
        return level

    def weights(self, c: Array) -> tuple[Array, Array]:
        """`f/g` and `1/g`."""
        width = float(self.law.upper) - float(self.law.lower)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            density = np.asarray(self.law.pdf(c))
            by_law = np.where(np.isinf(density), 2.0, 2 * density / (density + 1 / width))
            by_length = 2 / (density + 1 / width)
        return by_law, by_length

    @property
    def cuts(self) -> tuple[float, ...]:
        """Where the density is not smooth."""
        kinks = np.array([float(k) for k in self.law.kinks if self.law.lower < k < self.law.upper])
        return tuple(float(v) for v in self.levels(kinks)) if kinks.size else ()
