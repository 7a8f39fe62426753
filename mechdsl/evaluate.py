"""Formulas to numbers: numpy evaluation of any formula at given values, over letters and over draws at once.

A plain interpreter of the tree, with one rule a node kind. It is the reference rendering: certificates and tests
evaluate what was stated through it, so it shares no code with the compiled callbacks that the solver runs on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.errors import InternalError
from mechdsl.formula import Entry, IndexProduct, IndexSum, Letter, Quantity, bound_apart, quantities

__all__ = ["Array", "evaluate"]

Array: TypeAlias = npt.NDArray[np.float64]


def evaluate(
    expression: sp.Basic,
    values: Mapping[Quantity, Any],
    letters: Sequence[Letter] = (),
) -> Array:
    """The value of `expression` for every combination of `letters`.

    Args:
        expression: a formula whose free letters are among `letters`.
        values: numbers for each quantity in it, shape `(..., *quantity.shape)`: leading axes (draws) broadcast
        together.
            A quantity that takes values in an index set holds positions.
        letters: the letters to spread over, in order.

    Returns:
        array of shape `(..., *(len(letter.index_set) for letter in letters))`; a condition gives booleans. NaN or
        infinite where the formula is undefined there.
    """
    occurring = quantities(expression)
    used = {q: v for q, v in values.items() if q in occurring}
    batch = np.broadcast_shapes(*(np.shape(v)[: np.ndim(v) - len(q.sets)] for q, v in used.items()))
    with np.errstate(divide="ignore", invalid="ignore"):  # what is undefined is NaN or infinite; the caller judges
        result = _value(expression, used, tuple(letters), len(batch))
    full: Array = np.broadcast_to(result, batch + tuple(len(letter.index_set) for letter in letters))
    return full


# Inside, every array has shape (*batch, *letters) with `batch` of a fixed rank, so that letters can be appended and
# summed.


def _value(node: Any, values: Mapping[Quantity, Any], letters: tuple[Letter, ...], rank: int) -> Any:
    if isinstance(node, sp.Rational | sp.Float | sp.NumberSymbol):
        return float(node)
    if isinstance(node, sp.logic.boolalg.BooleanAtom):
        return bool(node)
    if node is sp.oo or node is -sp.oo:
        return float(node)
    if isinstance(node, Entry):
        return _entry(node, values, letters, rank)
    if isinstance(node, Letter):
        return _along(np.arange(len(node.index_set)), letters.index(node), len(letters))
    if isinstance(node, Quantity):
        return _lift(_known(node, values), rank, len(letters))
    if isinstance(node, IndexSum | IndexProduct):
        return _aggregate(node, values, letters, rank)
    if isinstance(node, sp.Piecewise):
        return _piecewise(node, values, letters, rank)
    rule = _RULES.get(node.func)
    if rule is None:
        raise InternalError(f"no numpy rule for {node.func.__name__} in {node}")
    return rule(*(_value(a, values, letters, rank) for a in node.args))


def _known(quantity: Quantity, values: Mapping[Quantity, Any]) -> Array:
    try:
        return np.asarray(values[quantity], dtype=np.float64)
    except KeyError:
        raise InternalError(f"no value for '{quantity.name}'") from None


def _lift(value: Array, rank: int, letters: int) -> Array:
    """A batch of scalars, shape `batch`, with unit axes for the letters."""
    padded = value.reshape((1,) * (rank - value.ndim) + value.shape)
    return padded.reshape(padded.shape + (1,) * letters)


def _along(values: Any, axis: int, count: int) -> Any:
    """A vector laid along one letter's axis."""
    shape = [1] * count
    shape[axis] = -1
    return np.asarray(values).reshape(shape)


def _entry(node: Entry, values: Mapping[Quantity, Any], letters: tuple[Letter, ...], rank: int) -> Any:
    table = _known(node.quantity, values)
    lead = table.ndim - len(node.quantity.sets)
    table = table.reshape((1,) * (rank - lead) + table.shape)
    if all(isinstance(i, Letter) for i in node.indices) and len(set(node.indices)) == len(node.indices):
        # The common case, a view: move each index to its letter's axis.
        order = sorted(range(len(node.indices)), key=lambda j: letters.index(node.indices[j]))
        moved = table.transpose((*range(rank), *(rank + j for j in order)))
        present = {node.indices[j] for j in order}
        shape = iter(moved.shape[rank:])
        return moved.reshape(moved.shape[:rank] + tuple(next(shape) if a in present else 1 for a in letters))
    positions = [np.asarray(_value(i, values, letters, 0)).astype(np.intp) for i in node.indices]
    positions = [p if p.ndim == len(letters) else p.reshape((1,) * len(letters)) for p in positions]
    index: Any = (..., *np.broadcast_arrays(*positions))
    return table[index]


def _aggregate(node: Any, values: Mapping[Quantity, Any], letters: tuple[Letter, ...], rank: int) -> Any:
    if set(node.letters) & set(letters):  # `x[k] / sum(k: x[k])`, the sum being that of a `let`
        node = _apart(node, letters)
    inner = letters + node.letters
    count = len(node.letters)
    body = np.asarray(_value(node.body, values, inner, rank), dtype=np.float64)
    shape = tuple(len(a.index_set) for a in node.letters)
    if node.where != sp.true:
        neutral = 0.0 if isinstance(node, IndexSum) else 1.0
        where = np.asarray(_value(node.where, values, inner, rank))
        body = np.where(where, body, neutral)
    lead = body.shape[: max(0, body.ndim - count)]
    body = np.broadcast_to(body, lead + shape) if body.ndim >= count else np.broadcast_to(body, shape)
    axes = tuple(range(-count, 0))
    return body.sum(axis=axes) if isinstance(node, IndexSum) else body.prod(axis=axes)


@functools.lru_cache(maxsize=1024)
def _apart(node: Any, taken: tuple[Letter, ...]) -> Any:
    """A sum or product whose own letters are none of those in use outside."""
    renamed: Any = bound_apart(node, taken)
    return renamed


def _piecewise(node: sp.Piecewise, values: Mapping[Quantity, Any], letters: tuple[Letter, ...], rank: int) -> Any:
    result: Any = np.nan
    for value, condition in reversed(node.args):
        chosen = _value(value, values, letters, rank)
        test = _value(condition, values, letters, rank)
        result = chosen if test is True else np.where(test, chosen, result)
    return result


def _power(base: Any, exponent: Any) -> Any:
    """`b^e` in floats, so that whole numbers may have negative exponents; `0^0 = 1`."""
    return np.power(np.asarray(base, dtype=np.float64), exponent)


def _fold(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def folded(first: Any, *rest: Any) -> Any:
        for item in rest:
            first = function(first, item)
        return first

    return folded


def _equal(a: Any, b: Any) -> Any:
    return np.equal(a, b)


_RULES: Mapping[Any, Callable[..., Any]] = {
    sp.Add: _fold(np.add),
    sp.Mul: _fold(np.multiply),
    sp.Pow: _power,
    sp.exp: np.exp,
    sp.log: np.log,
    sp.Abs: np.abs,
    sp.sign: np.sign,
    sp.Min: _fold(np.minimum),
    sp.Max: _fold(np.maximum),
    sp.KroneckerDelta: lambda a, b: np.equal(a, b).astype(np.float64),
    sp.Heaviside: lambda a, *_: np.heaviside(a, 0.5),
    sp.Eq: _equal,
    sp.Ne: np.not_equal,
    sp.Gt: np.greater,
    sp.Ge: np.greater_equal,
    sp.Lt: np.less,
    sp.Le: np.less_equal,
    sp.And: _fold(np.logical_and),
    sp.Or: _fold(np.logical_or),
    sp.Not: np.logical_not,
}
