"""Best replies: what each player could get by another choice, everyone else's being given.

One choice a player is searched over its whole range at once for all players, on a grid in logarithms, then on finer
ones; several choices a player by SLSQP from several points. Payoffs are evaluated as they are stated, never through
first-order conditions, so whatever finds a profile, this can refute it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from mechdsl.engines.conditions import Mask
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.program import Equilibrium

__all__ = ["Reply", "best_replies", "gains", "payoffs"]

GRID = 241  # points of the first look at a player's range
DECADES = 30  # below the largest choice, that it covers
REACH = 1e30  # beyond which payoffs that still rise are said to have no maximum
PARTS = 20  # an interval is cut into, each time keeping the two around the best point
ROUNDS = 12  # of that: a factor of 10 each


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """The best choice found for every player, and what it gets by it: (players, ...), (players,)."""

    choice: Array
    payoff: Array
    bounded: bool = True


def payoffs(game: Equilibrium, values: Mapping[str, Array], adopters: Mask) -> Array:
    """(players,) what everyone gets."""
    known = _known(game, values, float(np.sum(adopters)))
    human = evaluate(game.payoff, known, (game.player,))
    if game.option is None:
        return human
    return np.where(adopters, evaluate(game.option, known, (game.player,)), human)


def gains(game: Equilibrium, values: Mapping[str, Array], adopters: Mask, enough: float = np.inf) -> tuple[Array, bool]:
    """(players,) what each could gain by its best reply, the option included; and whether payoffs have maxima.

    Args:
        game: whose payoffs count.
        values: what everyone chooses.
        adopters: who takes the option.
        enough: a gain with which the search may end: the profile is worse than another anyway.
    """
    here = payoffs(game, values, adopters)
    count = float(np.sum(adopters))
    best = np.array(here)
    if game.option_deviation is not None:  # cheap, and it settles most
        known = _known(game, values, count) | {game.adopters: np.asarray(count + 1.0)}
        known |= {q: np.zeros(q.shape) for q in game.own}
        switched = evaluate(game.option_deviation, known, (game.player,))
        best = np.where(~adopters, np.maximum(best, switched), best)
        if np.max(best - here) > enough:
            return np.maximum(best - here, 0.0), True
    bounded = True
    groups = [(~adopters, count)] if game.option is None else [(adopters, count - 1.0), (~adopters, count)]
    for members, others in groups:
        if members.any() and np.max(best - here) <= enough:
            reply = best_replies(game, values, others)
            best = np.where(members, np.maximum(best, reply.payoff), best)
            bounded = bounded and reply.bounded
    return np.maximum(best - here, 0.0), bounded


def best_replies(game: Equilibrium, values: Mapping[str, Array], adopters: float) -> Reply:
    """Every player's best choice as one who does not take the option, `adopters` others doing so."""
    known = _known(game, values, adopters)
    single = len(game.variables) == 1 and len(game.variables[0].letters) == 1 and not game.constraints
    return _scalar(game, known) if single else _several(game, known)


def _known(game: Equilibrium, values: Mapping[str, Array], adopters: float) -> dict[Quantity, Array]:
    """Values of every quantity, the totals at this profile included."""
    known = {**game.data, **{v.quantity: np.asarray(values[v.name]) for v in game.variables}}
    known[game.adopters] = np.asarray(adopters)
    for total, formula, letters in game.totals:
        known[total] = evaluate(formula, known, letters)
    return known


def _scalar(game: Equilibrium, known: dict[Quantity, Array]) -> Reply:
    """One choice a player."""
    variable, own = game.variables[0], game.own[0]
    lower = np.array(evaluate(variable.lower, known, variable.letters))
    upper = np.array(evaluate(variable.upper, known, variable.letters))

    def payoff(choice: Array) -> Array:
        found = evaluate(game.deviation, {**known, own: choice}, (game.player,))
        return np.where(np.isnan(found), -np.inf, found)

    top, bounded = _top(payoff, known[variable.quantity], lower, upper)
    steps = 10.0 ** np.linspace(-DECADES, 0.0, GRID - 1)
    grid = lower + np.vstack((np.zeros((1, len(lower))), steps[:, None] * (top - lower)))
    # The present choice stands in the grid: what is best nearby is not missed by its coarseness.
    table = payoff(grid)
    at = np.argmax(table, axis=0)
    columns = np.arange(len(lower))
    a, b = grid[np.maximum(at - 1, 0), columns], grid[np.minimum(at + 1, GRID - 1), columns]
    choice, value = _section(payoff, a, b)
    near = known[variable.quantity]
    for x in (
        grid[at, columns],
        near,
        *_section(payoff, np.maximum(lower, 0.9 * near), np.minimum(top, 1.1 * near))[:1],
    ):
        there = payoff(x)
        choice, value = np.where(there > value, x, choice), np.maximum(value, there)
    return Reply(choice, value, bounded)


def _top(payoff: Callable[[Array], Array], x: Array, lower: Array, upper: Array) -> tuple[Array, bool]:
    """A choice beyond which payoffs fall, for every player; and whether there is one for all."""
    top = np.minimum(np.maximum(lower + 1.0, 10.0 * x.max(initial=1.0)), upper)
    while True:
        ladder = np.stack([np.minimum(top * factor, upper) for factor in (0.1, 1.0, 10.0, 100.0)])
        value = payoff(ladder)
        rising = (value[1:].max(axis=0) > value[0]) & (top < upper)
        if not rising.any():
            return top, True
        if float(top.max()) > REACH:
            return top, False
        top = np.where(rising, np.minimum(top * 100.0, upper), top)


def _section(payoff: Callable[[Array], Array], a: Array, b: Array) -> tuple[Array, Array]:
    """The best point between `a` and `b`, for every player at once, by ever finer grids."""
    columns = np.arange(len(a))
    weights = np.linspace(0.0, 1.0, PARTS + 1)[:, None]
    choice, value = a, payoff(a)
    for _ in range(ROUNDS):
        grid = a + weights * (b - a)
        table = payoff(grid)
        at = np.argmax(table, axis=0)
        better = table[at, columns] > value
        choice, value = np.where(better, grid[at, columns], choice), np.maximum(value, table[at, columns])
        a, b = grid[np.maximum(at - 1, 0), columns], grid[np.minimum(at + 1, PARTS), columns]
    return choice, value


# ------------------------------------------------------------------------------------------------- several choices


def _several(game: Equilibrium, known: dict[Quantity, Array]) -> Reply:
    """Several choices a player, under limits of its own: one player at a time, from several points."""
    from scipy.optimize import minimize

    count = len(game.player.index_set)
    shapes = [v.quantity.shape[1:] for v in game.variables]
    sizes = [int(np.prod(shape)) for shape in shapes]
    ends = np.cumsum([0, *sizes])
    here = np.hstack([known[v.quantity].reshape(count, -1) for v in game.variables])
    lower = np.hstack([np.reshape(evaluate(v.lower, known, v.letters), (count, -1)) for v in game.variables])
    upper = np.hstack([np.reshape(evaluate(v.upper, known, v.letters), (count, -1)) for v in game.variables])
    choice, value = here.copy(), np.empty(count)

    def spread(i: int, x: Array) -> dict[Quantity, Array]:
        tables = {}
        for own, a, b, shape in zip(game.own, ends[:-1], ends[1:], shapes, strict=True):
            table = np.array(here[:, a:b])
            table[i] = x[a:b]
            tables[own] = table.reshape(count, *shape)
        return tables

    def payoff(i: int, x: Array) -> float:
        found = float(evaluate(game.deviation, {**known, **spread(i, x)}, (game.player,))[i])
        return found if np.isfinite(found) else -1e300

    def slack(i: int, x: Array) -> Array:
        moved = {**known, **{v.quantity: t for v, t in zip(game.variables, spread(i, x).values(), strict=True)}}
        rows = []
        for c in game.constraints:
            gap = evaluate(c.left - c.right, moved, c.letters)[i]
            where = evaluate(c.where, moved, c.letters)[i] if c.where != sp.true else True
            rows.append(np.ravel(np.where(where, -gap if c.relation == "<=" else gap, 0.0)))
        return np.concatenate(rows)

    typical = np.maximum(np.mean(here, axis=0), 1e-3)
    for i in range(count):
        value[i] = payoff(i, here[i])
        for start in (here[i], typical, 0.1 * typical, 3.0 * typical, lower[i]):
            first = np.clip(start, lower[i], upper[i])
            limits = [{"type": "ineq", "fun": lambda x, i=i: slack(i, x)}] if game.constraints else []
            scale = max(1.0, abs(value[i]))
            with np.errstate(all="ignore"):
                found = minimize(
                    lambda x, i=i, scale=scale: -payoff(i, np.clip(x, lower[i], upper[i])) / scale,
                    first,
                    method="SLSQP",
                    bounds=list(zip(lower[i], np.where(np.isinf(upper[i]), None, upper[i]), strict=True)),
                    constraints=limits,
                    options={"maxiter": 200, "ftol": 1e-14},
                )
            x = np.clip(found.x, lower[i], upper[i])
            if np.isfinite(x).all() and (not game.constraints or slack(i, x).min() > -1e-9):
                there = payoff(i, x)
                if there > value[i]:
                    choice[i], value[i] = x, there
    return Reply(choice, value)
