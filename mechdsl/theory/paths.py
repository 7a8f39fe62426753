"""Line integrals of the allocation through the box of types: `int_c^b y . dt` along different paths.

A payment to those who report many types at once is well defined only if they agree (Lemma 2.3 of the paper). Each is a
quadrature of its own, so that they agree is evidence and not algebra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mechdsl.evaluate import Array, evaluate
from mechdsl.mechanism import Mechanism
from mechdsl.structure import Report
from mechdsl.theory.payments import type_of
from mechdsl.theory.private_cost import providers
from mechdsl.theory.sampling import batch_of

__all__ = ["line_integrals"]

_PANELS = 64
_POINTS = 15


def line_integrals(mechanism: Mechanism, report: Report) -> tuple[Array, float]:
    """`int_c^b y . dt` along three paths: types moved one after another, in order and against it, and straight.

    Args:
        mechanism: whose weights are the types themselves.
        report: c, where the paths start; they end at the highest types.

    Returns:
        the three integrals, and a bound on their error from two rules on the same panels.
    """
    market = mechanism.market
    sizes = [len(t.distributions) for t in market.types]
    start = np.concatenate([np.asarray(report[t.quantity], dtype=float).ravel() for t in market.types])
    end = np.array([float(d.upper) for t in market.types for d in t.distributions])
    parts = {type_of(p).quantity: p for p in providers(market)}

    def outputs(types: Array) -> Array:
        reports, at = {}, 0
        for private, size in zip(market.types, sizes, strict=True):
            reports[private.quantity] = types[:, at : at + size].reshape(-1, *private.quantity.shape)
            at += size
        solved = batch_of(mechanism).solve(mechanism.structure.parameters(market, reports))
        values = {**market.data, **{c.quantity: solved.values[str(c.quantity.name)] for c in market.choices}}
        tables = [
            evaluate(parts[t.quantity].coefficient, values, parts[t.quantity].layer.letters) for t in market.types
        ]
        return np.concatenate([t.reshape(len(types), -1) for t in tables], axis=1)

    found = [_along(outputs, list(path)) for path in _paths(start, end)]
    return np.array([value for value, _ in found]), max(error for _, error in found)


def _paths(start: Array, end: Array) -> Iterator[Iterator[tuple[Array, Array]]]:
    order = range(len(start))
    yield _one_by_one(start, end, order)
    yield _one_by_one(start, end, order[::-1])
    yield iter([(start, end)])


def _one_by_one(start: Array, end: Array, order: Sequence[int]) -> Iterator[tuple[Array, Array]]:
    here = start.copy()
    for j in order:
        there = here.copy()
        there[j] = end[j]
        yield here, there
        here = there


def _along(outputs: Callable[[Array], Array], legs: list[tuple[Array, Array]]) -> tuple[float, float]:
    """The integral over straight legs by panels of Gauss's rule; its error by half as many panels."""
    nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
    totals = []
    for panels in (_PANELS // 2, _PANELS):
        edges = np.linspace(0, 1, panels + 1)
        half = np.diff(edges) / 2
        s = (edges[:-1, None] + half[:, None] * (1 + nodes)).ravel()
        w = (half[:, None] * weights).ravel()
        total = 0.0
        for here, there in legs:
            step = there - here
            y = outputs(here + s[:, None] * step)
            total += float(w @ (y @ step))
        totals.append(total)
    return totals[1], abs(totals[1] - totals[0])
