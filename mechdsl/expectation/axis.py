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
_ROWS = 1000  # of the table that Newton's method starts from


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """A law with a density, seen along `v` in [0, 1].

    Args:
        law: whose support it is.
        table: types, rising from one end to the other, and G at them; where `points` starts from.
    """

    law: Distribution
    table: tuple[Array, Array]

    @classmethod
    def of(cls, law: Distribution) -> Axis:
        spread = np.linspace(0.0, 1.0, _ROWS // 2)
        evenly = float(law.lower) + spread * (float(law.upper) - float(law.lower))
        types = np.unique(np.concatenate([evenly, np.asarray(law.quantile(spread))]))
        bare = cls(law, (types, types))
        return cls(law, (types, np.maximum.accumulate(bare.levels(types))))

    def points(self, v: Array) -> Array:
        """The types at `v`: G inverted by Newton's method, bisection where it leaves the bracket."""
        a, b = float(self.law.lower), float(self.law.upper)
        if self.law.affine_virtual_cost is not None and self.law.piecewise_uniform and not self.law.kinks:
            return np.clip(a + v * (b - a), a, b)
        wanted, back = np.unique(v, return_inverse=True)
        return self._inverted(wanted)[back].reshape(v.shape)

    def _inverted(self, v: Array) -> Array:
        types, levels = self.table
        place = np.clip(np.searchsorted(levels, v), 1, len(types) - 1)
        low, high = types[place - 1], types[place]
        at: Array = np.clip(np.interp(v, levels, types), low, high)
        left = np.arange(len(v))  # not there yet
        width = types[-1] - types[0]
        for _ in range(_STEPS):
            here = at[left]
            excess = self.levels(here) - v[left]
            low[left], high[left] = np.where(excess < 0, here, low[left]), np.where(excess < 0, high[left], here)
            step = here - excess * self.weights(here)[1]
            inside = (step > low[left]) & (step < high[left])
            moved = np.where(inside, step, low[left] + (high[left] - low[left]) / 2)
            done = (np.abs(excess) <= 5e-16) | (np.abs(moved - here) <= 4e-16 * np.maximum(np.abs(here), width))
            at[left] = np.where(done, here, moved)
            left = left[~done]
            if not len(left):
                break
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
