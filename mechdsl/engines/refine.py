"""From a good point to the last digit: the optimality conditions of an active set, solved by Newton's method.

`settle` starts from a guess of the set and flips what proves wrong. `follow` needs no guess: it follows the central
path, each barrier weighed by the natural cost of its row or column, where no single barrier parameter could serve
costs of different orders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mechdsl.engines.conditions import LONGEST, TINY, Barrier, Conditions, Mask, System
from mechdsl.engines.form import Numbers, Point
from mechdsl.engines.scaling import completed
from mechdsl.evaluate import Array

__all__ = ["Guess", "follow", "guessed", "settle"]

_CERTAIN = 20.0  # a multiplier that a step would take this many times below 0 is not one
_FLIPS = 4  # of one row or column, before the guess is given up
_PATIENCE = 12  # steps without a better point, likewise
_NOISE = 1e-9  # error at which there may be no better point
_LAST = 1e-6  # error from which one more step is the last
_SHORT = 1e-5  # and the relative step
_KEPT = 0.02  # of every slack, at least, in a step along the path
_STRIDE = 3.0  # of a step along the path, in logarithms
_ROUNDED = 1e-10  # slack, as a share of the row's terms, below which a row is taken to hold with equality
_CENTRED = 0.5  # error up to which a point is on the path


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """A point with its multipliers and the set taken to be active.

    Args:
        x: (columns,); multipliers: (rows,) derivative of the minimised objective in the right side.
        free: (columns,) not at a bound; active: (rows,).
        error: largest relative residual of that set's conditions; inf if the set has proved wrong or is unknown.
        system: the conditions there, if they have been worked out.
    """

    x: Array
    multipliers: Array
    free: Mask
    active: Mask
    error: float = float("inf")
    system: System | None = None


def guessed(
    conditions: Conditions, numbers: Numbers, x: Array, multipliers: Array, active: Mask, low: Mask, high: Mask
) -> Guess:
    """A point with its active set; of the columns `low`, those are held at the bound that would stay there."""
    free = numbers.lower < numbers.upper
    high = high & free
    x = np.where(high, numbers.upper, np.clip(x, numbers.lower, numbers.upper))
    active = active | ~conditions.flexible
    here = System(conditions, numbers, x, multipliers, free & ~high, active)
    low = here.at_rest(low & ~high)
    if not low.any():
        return Guess(x, multipliers, here.free, active, system=here)
    return Guess(np.where(low, numbers.lower, x), multipliers, here.free & ~low, active)


def settle(
    conditions: Conditions, numbers: Numbers, guess: Guess, steps: int, tolerance: float, doubt: float = 0.0
) -> Guess:
    """The solution of the conditions for the active set nearest to the guess; `error` says whether there is one.

    At most `steps` Newton steps. A row is dropped when the step makes its multiplier negative, taken in when it is
    violated; a column is held at a bound when it crosses it, freed when its reduced cost has the wrong sign. Neither
    counts below `doubt` times the error there still is: rows that others imply are violated as long as those are.
    """
    state = _Settling(conditions, numbers, guess)
    best, waited = replace(guess, error=float("inf")), 0
    for _ in range(steps + 1):
        system = state.system()
        wrong = system.wrong(max(tolerance, doubt * system.error))
        if wrong is None and system.error <= tolerance:
            return state.guess(system.error)
        if wrong is None and system.error < 0.9 * best.error:
            best, waited = state.guess(system.error), 0
        else:
            waited += 1
        if waited > (2 if best.error < _NOISE else _PATIENCE) or not np.isfinite(system.error):
            break
        if wrong is not None and system.error < 1e-2:
            state.admit(system, *wrong)
        else:
            du, dv = system.step()
            down = min(du.min(initial=0.0), dv.min(initial=0.0))
            up = max(du.max(initial=0.0), dv.max(initial=0.0))
            if not np.isfinite(up - down):
                break
            calm = down > -1.0 and up < 1.0 and system.paid and numbers.orthant
            if calm or not state.dismiss(system, du, dv):
                state.move(system, du, dv, calm)
                # Newton's next error is the square of the step: too small to be seen. (Where a column hardly counts in
                # its own condition, the error is small long before the step is.)
                if wrong is None and system.error < _LAST and max(-down, up) < _SHORT:
                    return state.guess(max(tolerance, system.error**2))
        if state.flips.max(initial=0) > _FLIPS:
            break
    return best


class _Settling:
    """A guess under way: the point, the set, and how often each member has changed sides."""

    def __init__(self, conditions: Conditions, numbers: Numbers, guess: Guess) -> None:
        self.conditions, self.numbers = conditions, numbers
        self.x, self.multipliers, self.free = guess.x, guess.multipliers, guess.free
        self.active = guess.active | ~conditions.flexible
        if numbers.present is not None:
            self.active = self.active & numbers.present
        self.known = guess.system
        self.memory = np.where(self.x > 0, self.x, 1.0)  # where a column was when it was last free
        self.flips = np.zeros(conditions.form.n + conditions.form.m, dtype=int)
        self.doubts = np.zeros(conditions.form.m, dtype=int)

    def system(self) -> System:
        if self.conditions.defined.any():
            self.define()
        system = self.known or System(self.conditions, self.numbers, self.x, self.multipliers, self.free, self.active)
        self.known = None
        return system

    def define(self) -> None:
        """What an equation defines is where that puts it, and free exactly where that is above its bound."""
        defined, lower = self.conditions.defined, self.numbers.lower
        x = np.where(defined, completed(self.conditions.form, self.numbers, self.x), self.x)
        if not np.array_equal(x, self.x):
            self.known = None
        free = np.where(defined, x > lower, self.free)
        self.x, self.free = np.maximum(x, np.where(defined, lower, -np.inf)), free

    def guess(self, error: float) -> Guess:
        return Guess(self.x, np.where(self.active, self.multipliers, 0.0), self.free, self.active, error)

    def admit(self, system: System, rows: Mask, columns: Mask) -> None:
        """Take in rows that are violated and free columns that should move."""
        price, known = system.prices(self.memory), self.multipliers
        start = np.where(np.abs(known) > 1e-9 * np.abs(price), known, 1e-3 * price)
        self.multipliers = np.where(rows, start, known)
        self.x = np.where(columns, self.memory, self.x)
        self.active, self.free = self.active | rows, self.free | columns
        self.flips += np.concatenate((columns, rows))

    def dismiss(self, system: System, du: Array, dv: Array) -> bool:
        """Drop rows whose multiplier turns negative, hold columns that come to rest at their bound; whether any."""
        negative = self.active & self.conditions.flexible & (dv < -1.0)
        self.doubts = np.where(negative, self.doubts + 1, 0)
        dropped = negative & ((dv < -_CERTAIN) | (self.doubts > 2))
        held = system.at_rest(system.falling(du))
        if not (dropped.any() or held.any()):
            return False
        self.memory = np.where(self.free & (self.x > 0), self.x, self.memory)
        self.active, self.free = self.active & ~dropped, self.free & ~held
        self.x = np.where(held, self.numbers.lower, self.x)
        self.flips += np.concatenate((held, dropped))
        return True

    def move(self, system: System, du: Array, dv: Array, calm: bool) -> None:
        """Take the step, shortened if it is very long, and hold what crosses a bound (a calm one does not)."""
        if calm and system.logarithmic is None:
            self.x, self.multipliers = system.moved(du, dv)
            return
        longest = float(np.max(np.abs(du), initial=0.0))
        if longest > LONGEST:
            du, dv = du * (LONGEST / longest), dv * (LONGEST / longest)
        lower, upper = self.numbers.lower, self.numbers.upper
        self.memory = np.where(self.free & (self.x > 0), self.x, self.memory)
        x, self.multipliers = system.moved(du, dv)
        low = self.free & ((x <= lower) | ((lower == 0) & (x < TINY)))
        high = self.free & (x >= upper)
        self.x = np.where(low, lower, np.where(high, upper, x))
        self.free = self.free & ~(low | high)


def follow(
    conditions: Conditions,
    numbers: Numbers,
    x: Array,
    active: Mask,
    barrier: Barrier,
    ends: Sequence[float],
    steps: int,
) -> Iterator[Guess]:
    """From an inner point along the central path, and the active sets to be seen at the places `ends`.

    Args:
        conditions: of the programme.
        numbers: of the programme.
        x: a point inside the bounds at which every row holds strictly.
        active: (rows,) those that could ever bind.
        barrier: its `mu` is where the path is joined.
        ends: falling values of `mu`; the path is followed as far as it is asked for.
        steps: Newton steps, at most.
    """
    active = active | ~conditions.flexible
    slack = np.abs(Point(conditions.form, numbers, x).rows()[1:])
    multipliers = np.where(active, barrier.mu * barrier.row / slack, 0.0) * conditions.sign
    multipliers = conditions.auxiliary_multipliers(numbers, x, multipliers)
    system = System(conditions, numbers, x, multipliers, numbers.lower < numbers.upper, active, barrier)
    earlier = system
    for end in ends:
        while steps > 0:
            steps -= 1
            if system.error < _CENTRED:
                if barrier.mu <= end:
                    break
                earlier = system
                tight = barrier.tight | (
                    system.loose & (system.slack < _ROUNDED * np.maximum(system.more, system.less))
                )
                barrier = replace(barrier, mu=max(min(0.1 * barrier.mu, barrier.mu**1.5), end), tight=tight)
                system = System(conditions, numbers, system.x, system.multipliers, system.free, active, barrier)
            du, dv = system.step()
            longest = max(float(np.max(np.abs(du), initial=0.0)), float(np.max(np.abs(dv), initial=0.0)))
            if not np.isfinite(longest):
                break
            system = _inside(system, du, dv, min(1.0, _STRIDE / longest) if longest > 0 else 1.0)
        yield _seen(system, earlier)


def _inside(system: System, du: Array, dv: Array, share: float) -> System:
    """After the longest part of a step that keeps something of every slack and every distance from a bound."""
    conditions, numbers = system.conditions, system.numbers
    lower, upper = numbers.lower, numbers.upper
    for _ in range(40):
        x, multipliers = system.moved(share * du, share * dv)
        if np.all((x - lower >= _KEPT * (system.x - lower)) & (upper - x >= _KEPT * (upper - system.x))):
            new = System(conditions, numbers, x, multipliers, system.free, system.active, system.barrier)
            if np.all((new.slack >= _KEPT * system.slack) | ~new.loose):
                return new
        share *= 0.6
    return system


def _seen(system: System, earlier: System) -> Guess:
    """The active set as the path shows it since an earlier point: of each distance and its multiplier, what shrinks.

    Free of scale (the indicators of El-Bakry, Tapia and Zhang 1994): as mu falls, a distance falls with it where the
    constraint is active, its multiplier where it is not.
    """
    assert system.barrier is not None
    assert earlier.barrier is not None
    shrunk = np.sqrt(system.barrier.mu / earlier.barrier.mu)
    numbers = system.numbers
    active = system.active & (
        system.barrier.tight | (system.slack / earlier.slack < np.abs(system.multipliers / earlier.multipliers))
    )
    bound = (system.barrier.column > 0) & system.free
    down = (system.x - numbers.lower) / (earlier.x - numbers.lower)
    up = (numbers.upper - system.x) / (numbers.upper - earlier.x)
    return guessed(
        system.conditions, numbers, system.x, system.multipliers, active, bound & (down < shrunk), bound & (up < shrunk)
    )
