"""Costs of 0 as the limit of vanishing ones: first what costs something, then the least of what costs nothing.

Where some outputs are free, many decisions are optimal, and prices that are merely small are not those of the programme
as stated. As the costs of the free outputs vanish together, the optimum tends to that of two programmes, one after the
other: with as much of them as could be of use, the least of all other costs; then, with all else as found, the least
of what the free ones would cost at a weight of 1 each [ours; tests/test_engine_extremes.py].
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mechdsl.engines.form import Form, Numbers, Point, added
from mechdsl.engines.scaling import Costs, completed
from mechdsl.evaluate import Array

__all__ = ["costless", "least_of_free", "plenty"]

_MOST = 600.0  # of the logarithm of an output
_ROUNDS = 60
_SPARE = 2.0  # times what is just enough


def costless(costs: Costs, numbers: Numbers, own: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(columns,) those that have costs, all of weight 0."""
    if all(w.min(initial=1.0) > 0 for w in costs.weights(numbers)):
        return np.zeros(costs.n, dtype=bool)
    total = added(costs.columns, np.concatenate(costs.weights(numbers)), costs.n)
    return np.asarray(own & (costs.counts > 0) & (total == 0) & (numbers.lower < numbers.upper))


def plenty(form: Form, numbers: Numbers, free: npt.NDArray[np.bool_]) -> Numbers:
    """The numbers with the free columns held at their upper bounds, or where more of them would meet no other row."""

    def at(log: float) -> Array:
        return np.where(free, np.minimum(numbers.lower + np.exp(log), numbers.upper), numbers.lower)

    def body(log: float) -> Array:
        return Point(form, numbers, completed(form, numbers, at(log))).rows()

    high = _MOST
    while high > 1.0 and not np.isfinite(body(high)).all():
        high *= 0.8
    reached, low = body(high)[1:] * form.relation >= 0, -_MOST
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if np.all((body(middle)[1:] * form.relation >= 0) | ~reached) else (middle, high)
    held = np.where(free & np.isfinite(numbers.upper), numbers.upper, at(min(high + np.log(_SPARE), _MOST)))
    lower, upper = np.where(free, held, numbers.lower), np.where(free, held, numbers.upper)
    return replace(numbers, lower=lower, upper=upper, orthant=False, gains=False)


def least_of_free(
    form: Form, costs: Costs, numbers: Numbers, free: npt.NDArray[np.bool_], own: npt.NDArray[np.bool_], x: Array
) -> Numbers:
    """The numbers with a weight of 1 on each free column, every other held at `x`."""
    linear, changed = numbers.linear.copy(), list(numbers.weights)
    linear[costs.linear_terms[free[costs.linear_columns]]] = 1.0
    for f, _, terms, _, columns in costs.pieces:
        changed[f] = changed[f].copy()
        changed[f][terms[free[columns]]] = 1.0
    held = own & ~free
    lower, upper = np.where(held, x, numbers.lower), np.where(held, x, numbers.upper)
    weighed = form.reweighted(numbers, changed, linear)
    return replace(weighed, lower=lower, upper=upper, orthant=False, gains=False)
