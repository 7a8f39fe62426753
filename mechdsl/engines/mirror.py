"""Mirror descent: every player moves along its own slope, in logarithms, all at once, until nobody moves.

Slower and less exact than the conditions, and it shares nothing with them but the slope: a second opinion. Source:
Rosen (1965) for the flow; Nemirovski & Yudin (1983) for the multiplicative step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import sympy as sp

from mechdsl.engines.conditions import Mask
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.program import Constraint, Equilibrium

__all__ = ["descend"]

STEPS = 5_000
STILL = 1e-14  # slope of everyone, relative to its terms, at which it has ended
VANISHED = 1e-200  # a choice below this is none
STARTS = (1.0, 1e-3, 1e3)


def descend(program: Equilibrium, known: Mapping[Quantity, Array], active: Mask) -> Iterator[dict[str, Array]]:
    """Where it comes to rest, from several points: values by name, 0 for those who are not active.

    Args:
        program: each player with one choice bounded below by 0, without limits of its own.
        known: every other quantity.
        active: (players,) who choose at all.
    """
    variable = program.variables[0]
    pull = next(c for c in program.conditions.constraints if c.name == f"pull on {variable.quantity.name}")
    for start in STARTS[:1] if program.aggregate and program.aggregate.unique else STARTS:
        x = np.where(active, start, 0.0)
        rest = _rest(pull, variable.quantity, known, x, active)
        if rest is not None:
            yield {variable.name: rest}


def _rest(pull: Constraint, choice: Quantity, known: Mapping[Quantity, Array], x: Array, active: Mask) -> Array | None:
    """Where steps `x exp(step * slope / size of its terms)` end; each player's step shrinks when it turns back."""
    terms = sp.Add.make_args(-pull.left)
    step, previous = np.full(x.shape, 0.5), np.zeros(x.shape)
    for _ in range(STEPS):
        with np.errstate(all="ignore"):
            parts = [evaluate(t, {**known, choice: x}, pull.letters) for t in terms]
        size = np.sum(np.abs(parts), axis=0)
        alive = active & (x > VANISHED)
        slope = np.where(alive, np.sum(parts, axis=0) / np.where(size > 0, size, 1.0), 0.0)
        if not np.isfinite(slope).all():
            return None
        if np.max(np.abs(slope), initial=0.0) < STILL:
            return np.where(alive, x, 0.0)
        step = np.where(slope * previous < 0, 0.6 * step, np.minimum(1.05 * step, 2.0))
        previous, x = slope, np.where(active, x * np.exp(step * slope), 0.0)
    return np.where(x > VANISHED, x, 0.0)
