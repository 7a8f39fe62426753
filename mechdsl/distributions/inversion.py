"""Quantiles where there is no formula for them: Newton's method on log F, safeguarded by a bracket, many at once.

Steps are taken in the logarithm of the distance to the end of the support: near it F is a power of that distance, for
which one step is exact, however small the probability.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["tail_points"]

_Array = npt.NDArray[np.float64]


def tail_points(
    tail: Callable[[_Array], tuple[_Array, _Array]],
    probabilities: _Array,
    origin: float,
    near: _Array,
    far: _Array,
    start: _Array,
) -> _Array:
    """The points c between `near` and `far` at which F(c) (or 1 - F(c)) has the given values.

    Args:
        tail: log F and F/f (or those of 1 - F), log F growing with the distance from `origin`.
        probabilities: targets in (0, 1), shape (N,).
        origin: the end of the support where the tail is 0, possibly infinite.
        near: end of the bracket on the side of `origin`, shape (N,).
        far: its other end, shape (N,).
        start: first guesses, shape (N,).

    Returns:
        points, shape (N,), to the last few bits; `origin` where they lie between it and the next number.
    """
    target = np.log(probabilities)
    away = 1.0 if origin < far[0] or origin == -math.inf else -1.0
    points = np.where(_strictly_between(start, near, far), start, 0.5 * (near + far))
    near, far = near.copy(), far.copy()
    active = np.arange(len(points))
    for _ in range(200):
        c = points[active]
        logarithm, ratio = tail(c)
        excess = logarithm - target[active]
        near[active] = np.where(excess <= 0, c, near[active])
        far[active] = np.where(excess >= 0, c, far[active])
        newton = _step(c, excess, ratio, origin, away)
        newton = np.where(newton == near[active], np.nextafter(near[active], far[active]), newton)
        noise = 4 * np.spacing(np.maximum(np.abs(target[active]), 1.0))  # of log F: no later step is better
        bit = 2 * np.spacing(np.abs(c))
        settled = (np.abs(excess) <= noise) | (np.abs(newton - c) <= bit)
        other = np.where(settled, c, _between(near[active], far[active], origin))
        points[active] = np.where(_strictly_between(newton, near[active], far[active]), newton, other)
        settled |= np.abs(far[active] - near[active]) <= bit
        active = active[~settled]
        if not active.size:
            break
    unresolved = (near == origin) & (np.abs(far - near) <= np.spacing(np.abs(near)))
    return np.where(unresolved, origin, points)


def _strictly_between(c: _Array, one: _Array, other: _Array) -> npt.NDArray[np.bool_]:
    return (c > np.minimum(one, other)) & (c < np.maximum(one, other))


def _step(c: _Array, excess: _Array, ratio: _Array, origin: float, away: float) -> _Array:
    """Newton's step for log F, in log |c - origin| where the end is finite."""
    if math.isinf(origin):
        return c - away * excess * ratio
    distance = np.abs(c - origin)
    growth = np.clip(-excess * ratio / distance, -700.0, 700.0)
    small = c + away * distance * np.expm1(growth)  # keeps the digits of a c that is small and far from the origin
    return np.where(np.abs(growth) < 0.5, small, origin + away * distance * np.exp(growth))


def _between(near: _Array, far: _Array, origin: float) -> _Array:
    """A point of the bracket: the middle, or the middle in decades where the bracket spans many of them."""
    middle = 0.5 * (near + far)
    if math.isinf(origin):
        return middle
    inner, outer = np.abs(near - origin), np.abs(far - origin)
    spread = np.maximum(inner, 1e-12 * outer)
    decades = origin + np.sign(far - origin) * np.sqrt(spread * outer)
    return np.where(outer > 16 * inner, decades, middle)
