"""The least prices that pay for a decision, where more constraints hold than it takes to say what it is.

A cap that what is asked for uses up to the last unit leaves no decision inside. Prices can then be raised against each
other without end: a barrier ends at prices that dwarf all costs and hide every error that is relative to them, and
Newton's method has no one solution to go to. The least of all prices that pay for the same decision are those that say
what a relief would save, and a basis of them is an active set whose conditions are regular.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mechdsl.engines.conditions import Conditions, System
from mechdsl.engines.form import Numbers, added
from mechdsl.engines.refine import Guess
from mechdsl.evaluate import Array

__all__ = ["least_prices"]

_HOLDS = 1e-6  # slack, as a share of a row's terms, up to which a row may be what pays
_UNPAID = 1e6  # what it counts to leave a column's whole marginal cost unpaid, where a row's natural price counts 1
_NONE = 1e-9  # of a row's natural price, a price that is none


def least_prices(conditions: Conditions, numbers: Numbers, guess: Guess) -> Guess | None:
    """`min sum(v_j / u_j)` over prices `v >= 0` of the rows that hold, such that every column is paid for.

    `u_j` is the natural price of row j: what it would have to be to pay for one of its columns alone.

    Args:
        conditions: of the programme.
        numbers: of the programme.
        guess: a decision with some prices; which rows hold with equality is read off the decision.

    Returns:
        the decision with a basic solution of that linear programme, whose rows are independent; None where there is
        none.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, diags_array, eye_array, hstack

    form, inner = conditions.form, conditions.inner
    system = System(conditions, numbers, guess.x, guess.multipliers, guess.free, guess.active)
    size = np.maximum(system.more, system.less)
    holds = (~conditions.flexible | (np.abs(system.slack) <= _HOLDS * size)) & (size > 0)
    rows = np.flatnonzero(holds if numbers.present is None else holds & numbers.present)
    width = np.where(guess.free, system.width, 1.0)
    cost = added(conditions.columns, np.where(conditions.rows == 0, system.slopes, 0.0), form.n) * width
    worth = system.slopes[inner] * width[conditions.inner_columns] * conditions.sign[conditions.inner_rows]
    if not (len(rows) and np.isfinite(cost).all() and np.isfinite(worth).all()):
        return None
    pays = coo_array((worth, (conditions.inner_columns, conditions.inner_rows)), shape=(form.n, form.m)).tocsc()
    pays = pays[:, rows]
    by_column = 1.0 / np.where(cost != 0, np.abs(cost), np.inf)
    price = _inverse(diags_array(by_column) @ pays, 0)
    by_column = np.where(cost != 0, by_column, _inverse(pays @ diags_array(price), 1))  # at natural prices, if at none
    pays = diags_array(by_column) @ pays @ diags_array(price)
    if not np.isfinite(pays.data).all():
        return None
    # A column that stands at its lower bound may be paid too little, one at its upper bound too much.
    unpaid = np.where(~guess.free & (guess.x <= numbers.lower), 0.0, _UNPAID)
    overpaid = np.where(~guess.free & (guess.x >= numbers.upper), 0.0, _UNPAID)
    flexible = conditions.flexible[rows]
    found = linprog(
        np.concatenate((np.where(flexible, 1.0, 0.0), unpaid, overpaid)),
        A_eq=hstack((pays, eye_array(form.n), -eye_array(form.n))).tocsr(),
        b_eq=cost * by_column,
        bounds=[*((0.0 if f else None, None) for f in flexible), *[(0.0, None)] * (2 * form.n)],
        method="highs-ds",  # a vertex
    )
    if found.status != 0:
        return None
    shares = found.x[: len(rows)]
    multipliers, active = np.zeros(form.m), ~conditions.flexible
    multipliers[rows] = shares * price * conditions.sign[rows]
    active[rows[np.abs(shares) > _NONE]] = True
    return replace(guess, multipliers=np.where(active, multipliers, 0.0), active=active, system=None)


def _inverse(matrix: Any, axis: int) -> Array:
    """1 over the largest size in each column (or row); 1 where all are 0."""
    largest = np.asarray(abs(matrix).max(axis=axis).todense(), dtype=np.float64).ravel()
    return 1.0 / np.where(largest > 0, largest, 1.0)
