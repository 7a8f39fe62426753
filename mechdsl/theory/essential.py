"""Who is needed whatever the costs: seen from the demands and their slopes, without solving anything.

An output is essential if some demand fails without it though all others give all they can. It is never idle if, near 0,
the next unit of it is worth infinitely more than it costs (Corollary 2.2 of the paper, with the conditions it needs).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, Letter, Quantity, derivative
from mechdsl.market import Choice, Market
from mechdsl.program import Constraint
from mechdsl.theory.curvature import ranges_of
from mechdsl.theory.private_cost import PrivateCost, private_cost
from mechdsl.theory.shape import shape

__all__ = ["Essential", "essential", "output_names"]

_SHOWN = 6
_MOST = 60  # outputs; slopes are looked at for every pair of output and row
_HELD = 500_000  # values of one formula, at the points looked at together
_FAR = (1.0, 1e6)  # beyond the lower bound, where there is no cap
_NEAR = (1e-100, 1e-200, 1e-300)  # outputs at which a slope is looked at, to see where it goes
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Essential:
    """Who is needed whatever the costs.

    Args:
        needed: (output, the row that needs it): the row fails without the output, whatever the others give.
        never_idle: outputs that are positive at all positive costs, by their slopes near 0.
        outputs: how many there are.
        clash: what cannot be met, where no decision is feasible: nobody is needed then, and nobody could do without.
    """

    needed: tuple[tuple[str, str], ...]
    never_idle: tuple[str, ...]
    outputs: int
    clash: str = ""

    def __str__(self) -> str:
        if self.clash:
            return f"no answer, for no decision is feasible: {self.clash}"
        needed = ", ".join(f"{name} (for {row})" for name, row in self.needed[:_SHOWN]) or "no output by itself"
        more = f" and {len(self.needed) - _SHOWN} more" if len(self.needed) > _SHOWN else ""
        if not self.never_idle:
            return needed + more
        if len(self.never_idle) == self.outputs:
            return f"{needed}{more}; no optimum has an output of 0 (Corollary 2.2)"
        names = ", ".join(self.never_idle[:_SHOWN])
        rest = f" and {len(self.never_idle) - _SHOWN} more" if len(self.never_idle) > _SHOWN else ""
        return f"{needed}{more}; {names}{rest} never falls to 0 (Corollary 2.2)"


def essential(market: Market) -> Essential | None:
    """Which providers' outputs every feasible decision needs, and which no optimum leaves at 0.

    Corollary 2.2 asks for a demand that binds, outputs that serve every row that may bind, and for each either a first
    unit that costs nothing (`rho > 1`) or a transfer whose slope at 0 is infinite (`gamma < 1`).

    Returns:
        None where nothing is asked of providers with private costs, or there are too many outputs to look at.

    Source: Ai, Simchi-Levi & Xu (2025), Corollary 2.2; its conditions: ours, tests/test_substitution.py.
    """
    costs = [c for c in (private_cost(market, layer) for layer in market.layers) if isinstance(c, PrivateCost)]
    bearers = {c.layer.name: c for c in costs if c.type is not None}
    choices = [c for c in market.choices if c.layer in bearers]
    count = sum(_count(c) for c in choices)
    if not choices or not market.constraints or count > _MOST:
        return None
    names = [name for c in choices for name in output_names(c.quantity)]
    rising = [c for c in market.constraints if c.relation == ">=" and not _falls(market, c)]
    unmet = _unmet(market, rising)
    if unmet is not None:
        return Essential((), (), count, f"{unmet} cannot be met")
    needed = list(_in_need(market, choices, rising, names))
    known = any(layer.value != 0 for layer in market.layers) or any(
        c.known != 0 or (c.type is None and c.layer.cost != 0) for c in costs
    )
    if known or len(rising) < len(market.constraints) or len(costs) < len(market.layers):
        return Essential(tuple(needed), (), count)
    idle = list(_never_idle(market, choices, rising, bearers))
    return Essential(tuple(needed), tuple(names[k] for k in idle), count)


def output_names(quantity: Quantity) -> tuple[str, ...]:
    """`x[video]`, `x[text]`: the entries of a choice or a type, in C order."""
    if not quantity.sets:
        return (str(quantity.name),)
    places = np.ndindex(*quantity.shape)
    return tuple(
        f"{quantity.name}[{', '.join(s.labels[p] for s, p in zip(quantity.sets, place, strict=True))}]"
        for place in places
    )


def _count(choice: Choice) -> int:
    return int(np.prod(choice.quantity.shape))


def _falls(market: Market, constraint: Constraint) -> bool:
    return bool(shape(constraint.left - constraint.right, ranges_of(market, "data")).falls)


def _bounds(market: Market) -> dict[Quantity, tuple[Array, Array]]:
    return {
        c.quantity: tuple(evaluate(end, market.data, c.declaration.letters) for end in (c.lower, c.upper))  # type: ignore[misc]
        for c in market.choices
    }


def _slack(market: Market, constraint: Constraint, point: dict[Quantity, Array]) -> Array:
    return evaluate(constraint.left - constraint.right, {**market.data, **point}, constraint.letters)


def _included(market: Market, constraint: Constraint) -> npt.NDArray[np.bool_]:
    where: npt.NDArray[np.bool_] = np.broadcast_to(
        evaluate(constraint.where, market.data, constraint.letters), constraint.shape
    ).astype(bool)
    return where


def _in_need(
    market: Market, choices: list[Choice], rising: list[Constraint], names: list[str]
) -> Iterator[tuple[str, str]]:
    """Each output with the first row that fails with it at its lower bound and all others as high as they go."""
    lowest = {q: low for q, (low, _) in _bounds(market).items()}
    high = _high(market)
    for owns in _parts(len(names), max((int(np.prod(c.shape)) for c in rising), default=1)):
        points = [_each_with_own(point, choices, lowest, owns) for point in high]
        rows = _failing(market, rising, points, owns.shape)
        yield from ((names[k], row) for k, row in zip(owns, rows, strict=True) if row is not None)


def _parts(count: int, size: int) -> list[npt.NDArray[np.intp]]:
    """The numbers below `count` in parts, of each of which `size` values can be held at once."""
    most = max(1, _HELD // size)
    return [np.arange(first, min(first + most, count)) for first in range(0, count, most)]


def _unmet(market: Market, rising: list[Constraint]) -> str | None:
    """The first row that fails with all outputs as high as they go."""
    return _failing(market, rising, _high(market), ())[0]


def _high(market: Market) -> list[dict[Quantity, Array]]:
    """Points with all outputs as high as they go: at their caps, or far out, at two distances."""
    bounds = _bounds(market).items()
    return [{q: np.where(np.isfinite(high), high, low + far) for q, (low, high) in bounds} for far in _FAR]


def _failing(
    market: Market, rising: list[Constraint], points: list[dict[Quantity, Array]], batch: tuple[int, ...]
) -> list[str | None]:
    """Of each point of the batch the first row that fails near and far out, without moving or without room beyond."""
    capped = all(np.isfinite(high).all() for _, high in _bounds(market).values())
    found: list[str | None] = [None] * int(np.prod(batch))
    for constraint in rising:
        with np.errstate(all="ignore"):
            near, far_out = (np.broadcast_to(_slack(market, constraint, p), batch + constraint.shape) for p in points)
        short = _included(market, constraint) & (far_out < -_TOLERANCE) & (capped | (near == far_out))
        for k, rows in enumerate(short.reshape(len(found), *constraint.shape)):
            if found[k] is None and rows.any():
                place = np.argwhere(rows)[0]
                labels = [a.index_set.labels[int(p)] for a, p in zip(constraint.letters, place, strict=True)]
                found[k] = f"{constraint.name}[{', '.join(labels)}]" if labels else constraint.name
        if None not in found:
            break
    return found


def _each_with_own(
    point: dict[Quantity, Array], choices: list[Choice], value: dict[Quantity, Array], owns: npt.NDArray[np.intp]
) -> dict[Quantity, Array]:
    """A copy of `point` for each of `owns`, the number of an output through the choices, that is taken from `value`."""
    found, start = dict(point), 0
    for choice in choices:
        quantity, size = choice.quantity, _count(choice)
        table = np.broadcast_to(np.asarray(point[quantity], dtype=np.float64), (len(owns), *quantity.shape)).copy()
        mine = np.flatnonzero((start <= owns) & (owns < start + size))
        own = np.broadcast_to(value[quantity], quantity.shape).reshape(-1)[owns[mine] - start]
        table.reshape(len(owns), size)[mine, owns[mine] - start] = own
        found[quantity] = table
        start += size
    return found


def _never_idle(
    market: Market, choices: list[Choice], rising: list[Constraint], bearers: dict[str, PrivateCost]
) -> Iterator[int]:
    """The outputs whose worth over cost grows without bound towards 0, in every row that may bind."""
    low = {q: np.where(np.isfinite(bottom), bottom, 0.0) for q, (bottom, _) in _bounds(market).items()}
    asking = {c.name: _included(market, c) & (_slack(market, c, low) < -_TOLERANCE) for c in rising}
    if not any(mask.any() for mask in asking.values()):
        return
    start = 0
    for choice in choices:
        letters = tuple(Letter(f"{a.name}_", a.index_set) for a in choice.declaration.letters)
        entry = Entry(choice.quantity, *letters) if letters else choice.quantity
        cost = bearers[choice.layer]
        own_letters = dict(zip(cost.layer.letters, letters, strict=False))
        if len(letters) != len(cost.layer.letters):
            start += _count(choice)
            continue
        price = derivative(cost.coefficient.xreplace(own_letters) if letters else cost.coefficient, entry)
        gains = [(c, derivative(c.left - c.right, entry)) for c in rising]
        size = _count(choice) * max((int(np.prod(c.shape)) for c in rising), default=1)
        for owns in _parts(_count(choice), size):
            grown = _grows(market, choice, owns, letters, price, gains, asking)
            yield from (start + int(k) for k in owns[grown])
        start += _count(choice)


def _grows(
    market: Market,
    choice: Choice,
    owns: npt.NDArray[np.intp],
    letters: tuple[Letter, ...],
    price: sp.Expr,
    gains: list[tuple[Constraint, sp.Expr]],
    asking: dict[str, npt.NDArray[np.bool_]],
) -> npt.NDArray[np.bool_]:
    """Of these entries of a choice, whether worth over cost grows without bound towards 0 in every row that asks."""
    count, entries, at = len(owns), _count(choice), np.arange(len(owns))
    ratios: list[list[Array]] = []
    for others in (1.0, 2.0):  # a slope that depends on the others is not judged
        of_sizes = []
        for near in _NEAR:
            point = {c.quantity: np.full(c.quantity.shape, others) for c in market.choices}
            little = {choice.quantity: np.full(choice.quantity.shape, near)}
            values = {**market.data, **_each_with_own(point, [choice], little, owns)}
            with np.errstate(all="ignore"):
                paid = np.broadcast_to(evaluate(price, values, letters), (count, *choice.quantity.shape))
                cost = np.log(paid.reshape(count, entries)[at, owns])
                worth = []
                for c, gain in gains:
                    whole = (count, *c.shape, *choice.quantity.shape)
                    table = np.broadcast_to(evaluate(gain, values, (*c.letters, *letters)), whole)
                    worth.append(table.reshape(count, -1, entries)[at, :, owns][:, asking[c.name].reshape(-1)])
                of_sizes.append(np.log(np.concatenate(worth, axis=1)) - cost[:, np.newaxis])
        ratios.append(of_sizes)
    (first, second, third), again = ratios[0], ratios[1][2]
    finite = np.logical_and.reduce([np.isfinite(r).all(axis=1) for r in (first, second, third, again)])
    with np.errstate(all="ignore"):
        steady = np.isclose(third, again).all(axis=1)
        grown, still = second - first, third - second
        rising = ((grown > 1e-6) & (still > grown * (1 - 1e-6))).all(axis=1)
    found: npt.NDArray[np.bool_] = np.logical_and.reduce([finite, steady, rising])
    return found
