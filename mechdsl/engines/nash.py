"""Equilibria of a game: candidates from first-order conditions, kept only if no player gains by any other choice.

Played through one sum, a game is a scalar root; else its conditions are a complementarity programme that Ipopt solves
from several points, the answer refined by Newton steps. With an option, every set of adopters that could be one in an
equilibrium makes a game of its own. Mirror descent is a second, independent way (`method="mirror"`).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from mechdsl.engines.aggregate import profiles
from mechdsl.engines.complementarity import Complementarity
from mechdsl.engines.conditions import Mask
from mechdsl.engines.mirror import descend
from mechdsl.engines.replies import gains, payoffs
from mechdsl.errors import UsageError, did_you_mean
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.program import Equilibria, Equilibrium, Profile, Status

__all__ = ["METHODS", "Game", "compile_game"]

TOLERANCE = 1e-8  # regret relative to the largest payoff, up to which a profile is an equilibrium
METHODS = ("conditions", "mirror")
EVERY_SET = 256  # sets of adopters up to which all are looked at; beyond, those near a threshold
CLOSE = 6  # players around it among whom adopters are chosen freely
PROMISING = 4  # thresholds about which that is done
COUNTS = 41  # numbers of adopters up to which each is looked at, the weakest adopting


def compile_game(program: Equilibrium, method: str | None = None) -> Game:
    """The game, ready to be solved by `conditions` (scalar root, or complementarity; the default) or `mirror`.

    Raises:
        UsageError: there is no such method, or it is not for this game.
    """
    if method is not None and method not in METHODS:
        raise UsageError(f"there is no method '{method}'. {did_you_mean(method, METHODS)}")
    if method == "mirror" and not game_of_one(program):
        raise UsageError("mirror descent is for contests with one choice a player, bounded by 0 alone")
    return Game(program, method or METHODS[0])


def game_of_one(program: Equilibrium) -> bool:
    """Whether every player has one choice, bounded below by 0 and by nothing else."""
    single = len(program.variables) == 1 and len(program.variables[0].letters) == 1 and not program.constraints
    return single and program.variables[0].lower == 0 and program.variables[0].upper is sp.oo


@dataclass(slots=True, eq=False)
class Game:
    """A game with its ways to candidates; made by `compile_game`."""

    program: Equilibrium
    method: str = METHODS[0]
    _conditions: Complementarity | None = None

    @property
    def players(self) -> int:
        return len(self.program.player.index_set)

    def solve(self) -> Equilibria:
        """Every equilibrium found."""
        began = time.perf_counter()
        with np.errstate(all="ignore"):  # choices are tried to the ends of the floats; what is undefined is left out
            found = self._searched()
        return Equilibria(*found, seconds=time.perf_counter() - began)

    def pyomo(self, parameters: Mapping[Quantity, Array] | None = None) -> Any:
        """The complementarity programme as a `pyomo.environ.ConcreteModel`; nobody takes the option in it."""
        return self.conditions.engine.pyomo(parameters or self.conditions.nobody)

    @property
    def conditions(self) -> Complementarity:
        if self._conditions is None:
            self._conditions = Complementarity(self.program)
        return self._conditions

    def _searched(self) -> tuple[Status, str, tuple[Profile, ...], Profile | None, bool, str]:
        kept: list[Profile] = []
        nearest: Profile | None = None
        looked, bounded = 0, True
        least = np.full(1, np.inf)  # the smallest regret so far: what is worse need not be measured to the end
        for profile, has_maxima in self._candidates(least):
            looked += 1
            bounded = bounded and has_maxima
            if nearest is None or profile.regret < nearest.regret:
                nearest = profile
                least[:] = profile.regret
            if profile.regret <= self.tolerance(profile) and not any(self._same(profile, k) for k in kept):
                kept.append(profile)
        if not bounded and not kept:
            message = "Payoffs grow without end in a player's own choice: there is no best reply, hence no equilibrium."
            return Status.UNBOUNDED, message, (), None, False, ""
        kept.sort(key=lambda p: (float(p.adopters.sum()), -float(sum(np.sum(v) for v in p.values.values()))))
        unique = bool(self.program.aggregate and self.program.aggregate.unique and self.program.option is None)
        sets = self._searched_sets()
        searched = f"{looked} candidate{'s' if looked != 1 else ''}{sets} looked at"
        if kept:
            count = "One equilibrium" if len(kept) == 1 else f"{len(kept)} equilibria"
            more = "there is no other" if unique else "others cannot be excluded"
            return (
                Status.OPTIMAL,
                f"{count} found, {more}: no player gains by any other choice.",
                tuple(kept),
                nearest,
                unique,
                searched,
            )
        regret = nearest.regret if nearest is not None else float("inf")
        message = f"No equilibrium was found: in the best of the profiles looked at, a player still gains {regret:.6g}."
        return Status.NO_EQUILIBRIUM, message, (), nearest, False, searched

    def _searched_sets(self) -> str:
        if self.program.option is None:
            return ""
        whole = np.prod([len(k) + 1.0 for k in self._strength()[1]]) <= EVERY_SET
        return ", every set of adopters among them," if whole else ", sets of adopters near a threshold in cost,"

    def tolerance(self, profile: Profile) -> float:
        """Largest gain that counts as none: relative to the largest payoff."""
        return TOLERANCE * max(1e-300, float(np.max(np.abs(profile.payoffs))), self.stakes(profile))

    def stakes(self, profile: Profile) -> float:
        """What is at stake in a profile where nobody gets anything: what a player could get."""
        return 0.0 if np.any(profile.payoffs != 0) else 1e-4

    # ------------------------------------------------------------------------------------------------- candidates

    def _candidates(self, least: Array) -> Iterator[tuple[Profile, bool]]:
        """Profiles worth a look, each with what anyone could gain in it; and whether payoffs have maxima."""
        if self.program.option is None:
            yield from self._profiles(np.zeros(self.players, dtype=np.bool_), least)
            return
        order, kinds = self._strength()
        if np.prod([len(k) + 1.0 for k in kinds]) <= EVERY_SET:
            for taken in self._every_set(kinds):
                yield from self._profiles(taken, least)
            return
        near: dict[int, float] = {}
        for count in self._counts():
            for profile, bounded in self._profiles(self._weakest(order, count), np.full(1, np.inf)):
                near[count] = min(near.get(count, np.inf), profile.regret / max(1e-300, np.abs(profile.payoffs).max()))
                yield profile, bounded
        for count in sorted(near, key=lambda m: near[m])[:PROMISING]:
            for taken in self._about(order, count):
                yield from self._profiles(taken, least)

    def _profiles(self, adopters: Mask, least: Array) -> Iterator[tuple[Profile, bool]]:
        for values, way in self._among(adopters):
            gets = payoffs(self.program, values, adopters)
            enough = max(float(least[0]), TOLERANCE * float(np.max(np.abs(gets), initial=1.0)))
            found, bounded = gains(self.program, values, adopters, enough)
            if np.isfinite(gets).all() and np.isfinite(found).all():
                yield Profile(values, adopters, gets, found, way), bounded

    def _among(self, adopters: Mask) -> Iterator[tuple[Mapping[str, Array], str]]:
        """Profiles that meet the first-order conditions of those who do not take the option."""
        program = self.program
        known = {**program.data, program.adopters: np.asarray(float(adopters.sum()))}
        if self.method == "mirror":
            yield from ((values, "mirror descent") for values in descend(program, known, ~adopters))
        elif program.aggregate is not None:
            variable = program.variables[0]
            for x in profiles(program.aggregate, program.player, variable.quantity, known, ~adopters):
                yield {variable.name: x}, "scalar root in the aggregate"
        else:
            yield from ((values, "complementarity programme, Ipopt, refined") for values in self.conditions.points())
        # Nobody chooses anything: an equilibrium of its own where no single player gains by beginning.
        if adopters.all() or not (program.aggregate and program.aggregate.unique and _rises(program, known)):
            least = {v.name: np.array(evaluate(v.lower, program.data, v.letters)) for v in program.variables}
            yield least, "everyone at the least"

    def _every_set(self, kinds: list[list[int]]) -> Iterator[Mask]:
        """All sets of adopters, up to the exchange of equals."""
        for counts in itertools.product(*(range(len(kind) + 1) for kind in kinds)):
            taken = np.zeros(self.players, dtype=np.bool_)
            for kind, count in zip(kinds, counts, strict=True):
                taken[kind[len(kind) - count :]] = True
            yield taken

    def _counts(self) -> Iterator[int]:
        """Numbers of adopters: all of them, or first a coarse net and then what lies about its best mesh."""
        n = self.players
        if n <= COUNTS:
            yield from range(n + 1)
            return
        net = sorted({round(m) for m in np.linspace(0, n, COUNTS)})
        regrets = {m: self._quick(m) for m in net}
        best = min(net, key=lambda m: regrets[m])
        step = n // (COUNTS - 1) + 1
        yield from range(max(0, best - step), min(n, best + step) + 1)

    def _quick(self, count: int) -> float:
        order, _ = self._strength()
        return min(
            (p.regret for p, _ in self._profiles(self._weakest(order, count), np.full(1, np.inf))), default=np.inf
        )

    def _weakest(self, order: list[int], count: int) -> Mask:
        taken = np.zeros(self.players, dtype=np.bool_)
        taken[order[self.players - count :]] = True
        return taken

    def _about(self, order: list[int], count: int) -> Iterator[Mask]:
        """Sets of `count` adopters that differ from the weakest ones among the players close to the threshold."""
        first = max(0, self.players - count - CLOSE // 2)
        window = order[first : self.players - count + CLOSE // 2]
        beyond = order[self.players - count + CLOSE // 2 :]
        for some in itertools.combinations(window, count - len(beyond)):
            taken = np.zeros(self.players, dtype=np.bool_)
            taken[beyond] = True
            taken[list(some)] = True
            if not np.array_equal(taken, self._weakest(order, count)):
                yield taken

    def _strength(self) -> tuple[list[int], list[list[int]]]:
        """Players from the one with the lowest marginal cost up, and groups of equals in that order."""
        aggregate = self.program.aggregate
        if aggregate is None:
            return list(range(self.players)), [[i] for i in range(self.players)]
        choice = self.program.variables[0].quantity
        at = np.geomspace(1e-3, 1e3, 7)[:, None] * np.ones(self.players)
        cost = evaluate(aggregate.marginal, {**self.program.data, choice: at}, (self.program.player,))
        order = [int(i) for i in np.lexsort(cost[::-1])]
        kinds: list[list[int]] = []
        for i in order:
            if kinds and np.allclose(cost[:, i], cost[:, kinds[-1][0]], rtol=1e-13, atol=0):
                kinds[-1].append(i)
            else:
                kinds.append([i])
        return order, kinds

    def _same(self, one: Profile, other: Profile) -> bool:
        near = all(np.allclose(x, other.values[n], rtol=1e-6, atol=1e-9) for n, x in one.values.items())
        return near and bool(np.array_equal(one.adopters, other.adopters))


def _rises(program: Equilibrium, known: Mapping[Quantity, Array]) -> bool:
    """Whether the first unit of somebody's choice is worth more than it costs, however little is chosen in all."""
    assert program.aggregate is not None
    tiny = np.asarray(1e-200)
    gain = float(evaluate(program.aggregate.gain, {**known, program.aggregate.total: tiny}))
    choice = program.variables[0].quantity
    cost = evaluate(program.aggregate.marginal, {**known, choice: np.full(choice.shape, tiny)}, (program.player,))
    return bool(np.any(gain > cost))
