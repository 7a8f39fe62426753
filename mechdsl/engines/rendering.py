"""A formula as a numpy function over whole index arrays, compiled once and called many times.

What does not depend on the inputs is evaluated once (`mechdsl.evaluate`) and stands in the function as a constant
array; the rest becomes straight-line numpy through sympy's `lambdify`, with common subexpressions shared between all
outputs. It knows nothing of the templates that the solver runs on: residuals computed through it are a second
opinion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, IndexProduct, IndexSum, Letter, Quantity, letters_of, quantities

__all__ = ["ArrayFunction", "magnitude", "render"]

Scope = tuple[Letter, ...]


class ArrayFunction:
    """`values -> one array for each output`, of the shape of that output's letters.

    Args:
        function: of the prepared arrays.
        loaders: for each argument the input it comes from and, where the input must be permuted or gathered, how.
        shapes: of the outputs.
        draws: whether inputs and outputs have a leading axis of draws.
    """

    __slots__ = ("_draws", "_function", "_loaders", "_shapes")

    def __init__(
        self,
        function: Callable[..., Sequence[Any]],
        loaders: Sequence[tuple[Quantity, Callable[[Array], Array] | None]],
        shapes: Sequence[tuple[int, ...]],
        draws: bool = False,
    ) -> None:
        self._function = function
        self._draws = draws
        self._loaders = tuple(loaders)
        self._shapes = tuple(shapes)

    def __call__(self, values: Mapping[Quantity, Array]) -> list[Any]:
        arguments = [values[q] if load is None else load(values[q]) for q, load in self._loaders]
        with np.errstate(all="ignore"):  # infinities are for the caller to see
            results = self._function(*arguments)
        if self._draws:
            count = len(next(iter(values.values())))
            return [np.broadcast_to(np.asarray(r), (count, *s)) for r, s in zip(results, self._shapes, strict=True)]
        return [
            r if isinstance(r, np.ndarray) and r.shape == s else np.broadcast_to(np.asarray(r), s)
            for r, s in zip(results, self._shapes, strict=True)
        ]


def render(
    outputs: Iterable[tuple[sp.Expr, Scope]],
    inputs: Iterable[Quantity],
    data: Mapping[Quantity, Array],
    draws: bool = False,
) -> ArrayFunction:
    """The function `inputs -> outputs`, each output spread over its letters.

    Args:
        outputs: formulas with the letters they range over.
        inputs: quantities whose values come with each call.
        data: values of all other quantities.
        draws: whether inputs come, and outputs go, with a leading axis of draws.
    """
    room = _Room(frozenset(inputs), data, draws)
    pairs = [
        (room.array(expression, letters), tuple(len(a.index_set) for a in letters)) for expression, letters in outputs
    ]
    function = sp.lambdify(
        [symbol for symbol, _, _ in room.arguments],
        [expression for expression, _ in pairs],
        modules=[room.names, "numpy"],
        cse=True,
    )
    return ArrayFunction(function, [(q, load) for _, q, load in room.arguments], [shape for _, shape in pairs], draws)


def magnitude(expression: sp.Expr) -> sp.Expr:
    """The sum of the absolute values of the terms: what the rounding error of `expression` is relative to."""
    if expression.is_nonnegative and not expression.is_Add and not isinstance(expression, IndexSum):
        return expression
    if expression.is_Add:
        return sp.Add(*map(magnitude, expression.args))
    if isinstance(expression, IndexSum):
        return IndexSum(magnitude(expression.body), expression.letters, expression.where)
    if expression.is_Mul:
        return sp.Mul(*map(magnitude, expression.args))
    if expression.is_Pow and expression.exp.is_Integer and expression.exp > 0:
        return magnitude(expression.base) ** expression.exp
    return sp.Abs(expression)


class _Room:
    """Gathers constants, prepared inputs and index reductions while formulas are turned into expressions in arrays.

    An array in scope `(k, i)` broadcasts against `(len k, len i)`; a sum over bound letters reduces the last axes.
    Where there are draws, inputs have one axis more in front, and all arrays all the axes of their scope.
    """

    def __init__(self, inputs: frozenset[Quantity], data: Mapping[Quantity, Array], draws: bool) -> None:
        self.inputs = inputs
        self.data = data
        self.draws = draws
        self.arguments: list[tuple[sp.Symbol, Quantity, Callable[[Array], Array] | None]] = []
        self.names: dict[str, Any] = {}
        self._known: dict[Any, sp.Symbol] = {}
        self._seen: dict[tuple[Any, Scope], Any] = {}

    def array(self, node: Any, scope: Scope) -> Any:
        """The formula as an expression in arrays; its parts, of which there may be few, are looked at once."""
        key = (node, scope)
        if key not in self._seen:
            self._seen[key] = self._array(node, scope)
        return self._seen[key]

    def _array(self, node: Any, scope: Scope) -> Any:
        if node.is_Number or isinstance(node, sp.NumberSymbol | sp.logic.boolalg.BooleanAtom):
            return node
        if not (quantities(node) & self.inputs):
            return self._constant(node, scope)
        if isinstance(node, Entry | Quantity):
            return self._input(node, scope)
        if isinstance(node, IndexSum | IndexProduct):
            return self._aggregate(node, scope)
        if isinstance(node, sp.Piecewise):
            return self._piecewise(node, scope)
        if node.is_Mul:
            gate = next((a for a in node.args if isinstance(a, sp.Piecewise) and _is_gate(a)), None)
            if gate is not None:  # what is gated off may be infinite
                (value, condition), _ = gate.args
                product = sp.Mul(value, *(a for a in node.args if a is not gate))
                return sp.Function("where")(self.array(condition, scope), self.array(product, scope), 0)
        arguments = [self.array(a, scope) for a in node.args]
        if isinstance(node, sp.Max | sp.Min):
            name = sp.Function("maximum" if isinstance(node, sp.Max) else "minimum")
            result = arguments[0]
            for argument in arguments[1:]:
                result = name(result, argument)
            return result
        return node.func(*arguments)

    def _constant(self, node: Any, scope: Scope) -> sp.Symbol:
        letters = tuple(a for a in scope if a in letters_of(node))
        value = evaluate(node, self.data, letters)
        value = value.reshape(self._shape(scope, letters))
        if value.size > 1 and not np.any(np.diff(value.ravel())):
            value = value.ravel()[0]  # one number for all instances
        return self._name(("constant", node, scope), "a", value if np.ndim(value) else value[()])

    def _input(self, node: Any, scope: Scope) -> sp.Symbol:
        key = ("input", node, scope)
        if key not in self._known:
            quantity = node.quantity if isinstance(node, Entry) else node
            load = self._scalar(scope) if isinstance(node, Quantity) else self._loader(node, scope)
            symbol = sp.Symbol(f"x{len(self.arguments)}", real=True)
            self.arguments.append((symbol, quantity, load))
            self._known[key] = symbol
        return self._known[key]

    def _loader(self, node: Entry, scope: Scope) -> Callable[[Array], Array] | None:
        if all(isinstance(i, Letter) for i in node.indices) and len(set(node.indices)) == len(node.indices):
            order = sorted(range(len(node.indices)), key=lambda j: scope.index(node.indices[j]))
            shape = self._shape(scope, tuple(node.indices[j] for j in order))
            if self.draws:
                axes = (0, *(j + 1 for j in order))
                return lambda table: table.transpose(axes).reshape(-1, *shape)
            if order == list(range(len(order))):
                return None if len(shape) == len(order) else lambda table: table.reshape(shape)
            return lambda table: table.transpose(order).reshape(shape)
        if any(quantities(i) & self.inputs for i in node.indices):
            raise ValueError(f"an index may not depend on a decision: {node}")
        positions = np.broadcast_arrays(*(evaluate(i, self.data, scope).astype(np.intp) for i in node.indices))
        ahead: tuple[Any, ...] = (slice(None),) if self.draws else ()
        return lambda table: table[(*ahead, *positions)]

    def _scalar(self, scope: Scope) -> Callable[[Array], Array] | None:
        if not (self.draws and scope):
            return None
        return lambda table: table.reshape(-1, *(1 for _ in scope))

    def _shape(self, scope: Scope, letters: Scope) -> tuple[int, ...]:
        if self.draws and letters:
            return tuple(len(a.index_set) if a in letters else 1 for a in scope)
        return _shape_in(scope, letters)

    def _aggregate(self, node: Any, scope: Scope) -> Any:
        if quantities(node.where) & self.inputs:
            raise ValueError(f"a condition may not depend on a decision: {node.where}")
        inner = scope + node.letters
        body = self.array(node.body, inner)
        shape = tuple(len(a.index_set) for a in node.letters)
        reduce = np.add.reduce if isinstance(node, IndexSum) else np.multiply.reduce
        if node.where != sp.true:
            body = sp.Function("where")(self._constant(node.where, inner), body, 0 if isinstance(node, IndexSum) else 1)
        name = self._name(("reduce", reduce, shape), "over", _reduction(reduce, shape))
        return sp.Function(name.name)(body)

    def _piecewise(self, node: sp.Piecewise, scope: Scope) -> Any:
        result: Any = sp.nan
        for value, condition in reversed(node.args):
            chosen = self.array(value, scope)
            test = self.array(condition, scope)
            result = chosen if test == sp.true else sp.Function("where")(test, chosen, result)
        return result

    def _name(self, key: Any, prefix: str, value: Any) -> sp.Symbol:
        if key not in self._known:
            name = f"{prefix}{len(self.names)}"
            self.names[name] = value
            self._known[key] = sp.Symbol(name)
        return self._known[key]


def _is_gate(node: sp.Piecewise) -> bool:
    """`E where C, else 0`."""
    return len(node.args) == 2 and node.args[1] == (0, True)


def _shape_in(scope: Scope, letters: Scope) -> tuple[int, ...]:
    """Shape of an array over `letters` (in the order of `scope`) that broadcasts in `scope`; no leading unit axes."""
    if not letters:
        return ()
    first = scope.index(letters[0])
    return tuple(len(a.index_set) if a in letters else 1 for a in scope[first:])


def _reduction(reduce: Callable[..., Any], shape: tuple[int, ...]) -> Callable[[Any], Any]:
    axes = tuple(range(-len(shape), 0)) if len(shape) > 1 else -1
    count = len(shape)

    def over(body: Any) -> Any:
        if np.shape(body)[-count:] != shape:  # the body may not mention a letter, or no letter at all
            body = np.broadcast_to(body, np.shape(body)[:-count] + shape)
        return reduce(body, axis=axes)

    return over
