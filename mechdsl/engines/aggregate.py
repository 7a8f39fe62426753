"""A game played through one sum: one scalar root in `S = sum(i: x[i])` instead of a system in every x.

At a given S each player's condition `g(S) + x g'(S) = cost'(x)` stands alone; the sum of their answers must be S. All
of it is vectorised over players, so a thousand cost little more than one. Source: Yao, Li, Nekipelov, Wang & Xu (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from mechdsl.engines.conditions import Mask
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Letter, Quantity
from mechdsl.program import Aggregate

__all__ = ["profiles"]

PARTS, ROUNDS = 32, 13  # an interval of 700 in logarithms is cut into so many, so often: down to the last digit
SPAN = 700.0  # of logarithms below S in which a choice is looked for; less is 0
FINE, COARSE = 161, 97  # values of S at which the sum is compared with it; of x, where several may answer
LEAST, MOST = -200.0, 60.0  # logarithms of S between which roots are looked for


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """The players of one candidate: `active` those who choose, the others at 0; `known` their numbers."""

    aggregate: Aggregate
    player: Letter
    choice: Quantity
    known: Mapping[Quantity, Array]
    active: Mask

    def answers(self, s: Array, second: int | None = None) -> Array:
        """(..., players) `x` with `g(S) + x g'(S) = cost'(x)`, at most 2 S, 0 where none is positive.

        Args:
            s: (...,) values of S.
            second: the player who takes the largest instead of the smallest answer, where there are two.
        """
        totals = {**self.known, self.aggregate.total: s}
        gain, slope = (evaluate(e, totals)[..., None] for e in (self.aggregate.gain, self.aggregate.slope))
        top = np.broadcast_to(np.log(2.0 * s)[..., None], (*s.shape, len(self.active)))

        def pull(log_x: Array) -> Array:
            x = np.exp(log_x)
            cost = evaluate(self.aggregate.marginal, {**self.known, self.choice: x}, (self.player,))
            return np.asarray(gain + x * slope - cost)

        low, high = top - SPAN, np.array(top)
        if np.any(slope > 0):  # more than one answer is possible: look at all of it first
            low, high = self._bracketed(pull, low, high, second)
        found = pull(high)
        inside = (pull(low) > 0) & (found < 0)
        weights = np.linspace(0.0, 1.0, PARTS + 1)[1:-1].reshape(-1, *(1,) * low.ndim)
        for _ in range(ROUNDS):
            ladder = low + weights * (high - low)
            rungs = np.sum(pull(ladder) > 0, axis=0)  # the pull falls along the ladder
            step = (high - low) / PARTS
            low, high = low + rungs * step, low + (rungs + 1) * step
        x = np.where(inside, np.exp(0.5 * (low + high)), np.where(found >= 0, np.exp(top), 0.0))
        return np.where(self.active, x, 0.0)

    def _bracketed(
        self, pull: Callable[[Array], Array], low: Array, high: Array, second: int | None
    ) -> tuple[Array, Array]:
        """The first place where the pull turns negative; for `second` the last one."""
        shares = np.linspace(0.0, 1.0, COARSE)
        # Most of the answers lie near S: the grid is finer there.
        ladder = np.stack([low + (high - low) * (1.0 - (1.0 - w) ** 3) for w in shares])
        signs = np.stack([pull(step) > 0 for step in ladder])
        falls = signs[:-1] & ~signs[1:]
        first = np.argmax(falls, axis=0)
        if second is not None:
            last = falls.shape[0] - 1 - np.argmax(falls[::-1], axis=0)
            first[..., second] = last[..., second]
        some = falls.any(axis=0)
        pick = (
            np.take_along_axis(ladder, first[None], axis=0)[0],
            np.take_along_axis(ladder, first[None] + 1, axis=0)[0],
        )
        return np.where(some, pick[0], low), np.where(some, pick[1], high)

    def excess(self, log_s: float, second: int | None = None) -> float:
        """`log(sum of answers / S)`, increasing in none of it where there is one root; -inf where nobody answers."""
        s = np.exp(np.asarray(log_s))
        with np.errstate(divide="ignore"):
            return float(np.log(self.answers(s, second).sum()) - log_s)


def profiles(
    aggregate: Aggregate, player: Letter, choice: Quantity, known: Mapping[Quantity, Array], active: Mask
) -> Iterator[Array]:
    """(players,) every profile found at which all first-order conditions hold and somebody chooses more than 0.

    One where the gain is known to leave only one; else every sign change on a fine grid of S, with each player in turn
    at its second answer.
    """
    sums = Sums(aggregate, player, choice, known, active)
    grid = np.linspace(LEAST, MOST, FINE)
    if aggregate.unique:
        low, high = _bracket(sums)
        if low is not None and high is not None:
            yield _closed(sums, brentq(_clipped(sums, None), low, high, xtol=1e-15, rtol=8.9e-16, maxiter=300), None)
        return
    turns: list[int | None] = [None]
    if np.any(evaluate(aggregate.slope, {**known, aggregate.total: np.exp(grid)}) > 0):
        turns += [int(i) for i in np.flatnonzero(active)][:12]
    for second in turns:
        with np.errstate(all="ignore"):
            table = np.log(
                np.concatenate([sums.answers(np.exp(part), second).sum(axis=-1) for part in np.split(grid, [80])])
            )
        signs = np.sign(np.where(np.isfinite(table - grid), table - grid, -1.0))
        for at in np.flatnonzero(signs[:-1] * signs[1:] < 0):
            root = brentq(_clipped(sums, second), grid[at], grid[at + 1], xtol=1e-15, rtol=8.9e-16, maxiter=300)
            yield _closed(sums, root, second)


def _clipped(sums: Sums, second: int | None) -> Callable[[float], float]:
    return lambda t: max(sums.excess(t, second), -1e3)


def _bracket(sums: Sums) -> tuple[float | None, float | None]:
    """Logarithms of S around the one root: more is answered than S below, less above."""
    low = high = 0.0
    step = 1.0
    if sums.excess(0.0) > 0:
        while sums.excess(high) > 0:
            if high > 690:
                return None, None
            low, high, step = high, high + step, 2 * step
        return low, high
    while sums.excess(low) <= 0:
        if low < -690:
            return None, None
        low, high, step = low - step, low, 2 * step
    return low, high


def _closed(sums: Sums, log_s: float, second: int | None) -> Array:
    """The answers at the root, their sum made S to the last digits by one more pass."""
    x = sums.answers(np.exp(np.asarray(log_s)), second)
    return np.asarray(x)
