"""A rigorous bound on how far a point of a convex programme is from optimal.

`L(x', m) >= L(x, m) + L_x(x, m) (x' - x)` by convexity, and an optimum lies in a box: where the objective is a sum of
convex costs, none can exceed what the others leave of the value at a feasible point. The bound is linear over that
box, so its minimum is a sum.
"""

from __future__ import annotations

import numpy as np

from mechdsl.engines.form import Numbers
from mechdsl.engines.scaling import Costs
from mechdsl.evaluate import Array

__all__ = ["duality_gap", "reach"]

_STEPS = 80
_FAR = 600.0


def duality_gap(
    objective: float, slack_worth: float, reduced: Array, x: Array, box: tuple[Array, Array]
) -> float | None:
    """`(f(x) - lower bound of the optimum) / |f(x)|`; None where the box is unbounded in a direction that matters.

    Args:
        objective: `f(x)`, minimised.
        slack_worth: `multipliers . (left - right)`, which `f` exceeds the Lagrangian by.
        reduced: (columns,) the Lagrangian's derivative.
        x: (columns,) the point.
        box: (lower, upper), where the optimum lies.
    """
    low, high = box
    gain = np.maximum(
        np.where(reduced == 0, 0.0, reduced * (x - low)), np.where(reduced == 0, 0.0, reduced * (x - high))
    )
    total = slack_worth + float(np.sum(np.maximum(gain, 0.0)))
    if not np.isfinite(total):
        return None
    return max(total, 0.0) / abs(objective) if objective else (0.0 if total <= 0 else float("inf"))


def reach(costs: Costs, numbers: Numbers, x: Array, increasing: bool) -> tuple[Array, Array] | None:
    """A box that holds every optimum, given a feasible `x`; None where the objective's form does not give one."""
    if not costs.separable:
        return None
    lower, upper = numbers.lower, numbers.upper
    if increasing:
        base = costs.at(numbers, lower)[0]
        spent = costs.at(numbers, x)[0] - base
        room = np.log(max(float(np.sum(spent)), 1e-300) * (1 + 1e-9))
        if costs.powers and not lower.any():
            weight, exponent = costs.power_law(numbers)
            high = np.exp(np.clip((room - np.log(weight)) / exponent, -_FAR, _FAR))
        else:
            high = costs.inverse(numbers, np.full(costs.n, room), lower)
        return lower, np.minimum(high, upper)
    if not np.isfinite(lower).all():
        return None
    bottom = _least(costs, numbers, lower, upper)
    least = costs.at(numbers, bottom)[0]
    spare = costs.at(numbers, x)[0] - least
    limit = least + float(np.sum(spare)) + 1e-9 * np.abs(least)
    return lower, np.minimum(_last(costs, numbers, bottom, limit), upper)


def _least(costs: Costs, numbers: Numbers, lower: Array, upper: Array) -> Array:
    """Where each convex `f_k` is smallest, by bisection on the sign of its slope over the logarithm of the distance."""
    low, high = np.full(costs.n, -_FAR), np.full(costs.n, _FAR)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        rising = ~(costs.at(numbers, np.minimum(lower + np.exp(middle), upper))[1] < 0)
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return np.asarray(np.minimum(lower + np.exp(high), upper))


def _last(costs: Costs, numbers: Numbers, bottom: Array, limit: Array) -> Array:
    """The largest `x_k` with `f_k(x_k) <= limit_k`, `f_k` rising from `bottom_k` on; inf where there is no largest."""
    low, high = np.full(costs.n, -_FAR), np.full(costs.n, _FAR)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        within = costs.at(numbers, bottom + np.exp(middle))[0] <= limit
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    return np.where(high >= _FAR, np.inf, bottom + np.exp(high))
