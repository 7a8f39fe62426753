"""A good menu for a union where no theorem gives the best one: more than two members, or a buyer with costs of its own.

Candidates are items of least net cost at many vectors of weights. One item's best price, the others' given, is found
exactly on a large fixed set of types, by sorting the prices at which each type would take it; that is repeated, item by
item, until nothing changes, from several starts. What is found is a menu like any other, valued exactly elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mechdsl.distributions import Distribution
from mechdsl.engines.menu import menu_value
from mechdsl.evaluate import Array
from mechdsl.mechanism import Mechanism
from mechdsl.program import Menu, Solution, Status

__all__ = ["Aside", "Found", "searched_menu"]

Aside = Callable[[Solution], tuple[float, float]]
"""What an item costs beside its types: the union (its known costs), and the buyer (beside the price)."""

_SOLVES = 7  # 2^7 types in each of _SCRAMBLES, for items and for the least cost
_SCRAMBLES = 3
_CORNERS = 5  # members up to which every corner of the box gives an item
_ITEMS = 48
_TYPES, _FINAL = 11, 14  # 2^ so many types to price on, and at last
_SWEEPS = 12
_STARTS = 4
_POLISHED = 8  # items up to which prices are improved once more, on continuous types
_GONE = -1e300  # the price of an item that is not on offer


@dataclass(frozen=True, slots=True)
class Found:
    """A menu.

    Args:
        outputs: `(M, K)`; net: `(M,)` price less what the union bears beside its types.
        known, aside: `(M,)` what the union, and the buyer, bear beside.
        solutions: of the items.
        along: the type to integrate exactly; scale: the size of the cost.
        least: what no menu undercuts: expected least net cost, less three standard errors.
    """

    outputs: Array
    net: Array
    known: Array
    aside: Array
    solutions: tuple[Solution, ...]
    along: int
    scale: float
    least: float


def searched_menu(mechanism: Mechanism, aside: Aside) -> Found:
    """The best menu found, with a base item at its cost for the highest types.

    Args:
        mechanism: at work on the market, its programme a `Menu`.
        aside: what an item costs beside its types.

    Raises:
        ValueError: no item could be found.
    """
    program = mechanism.program
    assert isinstance(program, Menu)
    laws = program.laws
    top = np.array([law.upper for law in laws])
    solutions, least = _candidates(mechanism, laws)
    outputs = np.array([mechanism.engine.outputs(s) for s in solutions])
    beside = np.array([aside(s) for s in solutions])
    kept = _spread(outputs, beside, top)
    outputs, beside = outputs[kept], beside[kept]
    burden = beside.sum(axis=1)
    rough = _types(laws, _TYPES)
    bases = np.argsort(outputs @ top + burden)[:2]
    tries = [_priced(outputs, burden, top, rough, int(base), seed) for base in bases for seed in range(_STARTS // 2)]
    net = min(tries, key=lambda q: _cost(outputs, q, burden, rough))
    fine = _types(laws, _FINAL)
    offered = net > _GONE / 2
    # Sellers' thresholds of a rough sample are priced again on a fine one; the base item keeps its price.
    base = next(j for j in bases if np.isclose(net[j], outputs[j] @ top, rtol=1e-12) and offered[j])
    net = _descended(outputs[offered], net[offered], burden[offered], fine, int(np.sum(offered[:base])), 0, 3)
    outputs, beside = outputs[offered], beside[offered]
    width = np.array([0.0 if law.is_point else law.upper - law.lower for law in laws])
    along = int(np.argmax(width * outputs.max(axis=0)))
    net = _polished(outputs, net, beside.sum(axis=1), laws, along, int(np.sum(offered[:base])))
    chosen = [solutions[kept[j]] for j in np.flatnonzero(offered)]
    live = net > _GONE / 2
    left = tuple(s for s, k in zip(chosen, live, strict=True) if k)
    return Found(
        outputs[live], net[live], beside[live, 0], beside[live, 1], left,
        along, float(np.max(np.abs(net[live]))), least,
    )  # fmt: skip


def _types(laws: Sequence[Distribution], power: int, seed: int = 0) -> Array:
    from scipy.stats import qmc

    points = qmc.Sobol(len(laws), scramble=True, seed=seed).random_base2(power)
    return np.stack([law.quantile(points[:, k]) for k, law in enumerate(laws)], axis=1)


def _candidates(mechanism: Mechanism, laws: Sequence[Distribution]) -> tuple[list[Solution], float]:
    """Items of least net cost at types over the whole box, and the expected least net cost less three errors."""
    program = mechanism.program
    assert isinstance(program, Menu)

    def solved(weights: Array, start: Solution | None) -> Solution:
        found = mechanism.solve_at({program.types: weights.reshape(program.types.shape)}, start=start)
        if found.status is not Status.OPTIMAL:
            raise ValueError(f"at types {', '.join(f'{w:.6g}' for w in weights)}: {found.message}")
        return found

    solutions: list[Solution] = []
    means = []
    for seed in range(_SCRAMBLES):
        batch: list[Solution] = []
        for types in _types(laws, _SOLVES, seed):
            batch.append(solved(types, batch[-1] if batch else None))
        means.append(np.mean([s.objective * (1 - max(0.0, s.residuals.get("gap", 0.0))) for s in batch]))
        solutions += batch
    for weights in _special(laws):
        solutions.append(solved(weights, solutions[-1]))
    return solutions, float(np.mean(means) - 3 * np.std(means, ddof=1) / np.sqrt(len(means)))


def _special(laws: Sequence[Distribution]) -> Iterator[Array]:
    """The highest types, the corners of the box, and virtual costs beyond it."""
    low, top = np.array([law.lower for law in laws]), np.array([law.upper for law in laws])
    yield top
    if len(laws) <= _CORNERS:
        for corner in range(2 ** len(laws) - 1):
            bits = np.array([(corner >> j) & 1 for j in range(len(laws))])
            weights = np.where(bits == 1, top, low)
            yield np.maximum(weights, 1e-6 * top)
    for k in range(len(laws)):
        weights = np.array(top)
        weights[k] *= 4.0
        yield weights
        weights[k] /= 16.0
        yield weights


def _spread(outputs: Array, beside: Array, top: Array) -> Array:
    """Places of at most `_ITEMS` items, the cheapest for the highest types first, then each the farthest from all."""
    scale = np.maximum(np.max(np.abs(outputs), axis=0), 1e-300)
    points = outputs / scale
    chosen = [int(np.argmin(outputs @ top + beside.sum(axis=1)))]
    distance = np.max(np.abs(points - points[chosen[0]]), axis=1)
    while len(chosen) < _ITEMS and distance.max() > 1e-6:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.max(np.abs(points - points[chosen[-1]]), axis=1))
    return np.array(chosen)


def _priced(outputs: Array, burden: Array, top: Array, types: Array, base: int, seed: int) -> Array:
    """Prices from a start with the base item alone on offer."""
    net = np.full(len(outputs), _GONE)
    net[base] = float(outputs[base] @ top)
    return _descended(outputs, net, burden, types, base, seed, _SWEEPS)


def _descended(outputs: Array, net: Array, burden: Array, types: Array, base: int, seed: int, sweeps: int) -> Array:
    """Prices improved one item at a time, each exactly on the types, until a sweep changes nothing."""
    bears = types @ outputs.T
    net = np.array(net)
    generator = np.random.default_rng(seed)
    last = _cost(outputs, net, burden, types)
    for _ in range(sweeps):
        for j in generator.permutation(len(net)):
            if j != base:
                net[j] = _best_price(bears, net, burden, int(j))
        now = _cost(outputs, net, burden, types)
        if now >= last * (1 - 1e-9):
            break
        last = now
    return net


def _polished(outputs: Array, net: Array, burden: Array, laws: Sequence[Distribution], along: int, base: int) -> Array:
    """Prices of a short menu improved on its value over continuous types, one by one."""
    from scipy.optimize import minimize_scalar

    live = net > _GONE / 2
    if live.sum() > _POLISHED:
        return net
    net = np.array(net)
    size = float(np.max(np.abs(net[live])))

    def cost(j: int, price: float) -> float:
        trial = np.array(net[live])
        trial[int(np.sum(live[:j]))] = price
        shares = menu_value(outputs[live], trial, laws, along, 1e-8 * size, draws=9).probabilities
        return float((trial + burden[live]) @ shares)

    for reach in (0.02, 0.005, 0.001):
        for j in np.flatnonzero(live):
            if j != base:
                near = (net[j] - reach * size, net[j] + reach * size)
                found = minimize_scalar(lambda p, j=j: cost(int(j), float(p)), bounds=near, method="bounded",
                                        options={"xatol": 1e-5 * size})  # fmt: skip
                net[j] = float(found.x) if found.fun < cost(int(j), float(net[j])) else net[j]
    return net


def _best_price(bears: Array, net: Array, burden: Array, j: int) -> float:
    """The price of item j of least total cost, all others given: types take it in the order of their thresholds."""
    kept = net - bears
    kept[:, j] = -np.inf
    rival = np.argmax(kept, axis=1)
    rows = np.arange(len(bears))
    threshold = kept[rows, rival] + bears[:, j]
    paid = (net + burden)[rival]
    order = np.argsort(threshold)
    threshold, paid = threshold[order], paid[order]
    takers = np.arange(len(bears) + 1)
    prices = np.concatenate([[0.0], threshold])
    others = np.concatenate([np.cumsum(paid[::-1])[::-1], [0.0]])
    totals = takers * (prices + burden[j]) + others
    m = int(np.argmin(totals))
    return _GONE if m == 0 or totals[m] >= totals[0] * (1 - 1e-12) else float(threshold[m - 1])


def _cost(outputs: Array, net: Array, burden: Array, types: Array) -> float:
    taken = np.argmax(net - types @ outputs.T, axis=1)
    return float(np.mean((net + burden)[taken]))
