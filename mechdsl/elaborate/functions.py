"""Functions that plugins add to the language: each a formula in the language's own words.

A call stands for its formula with the arguments put in, as a `let` does. So whatever reads formulas (derivatives, the
solvers, the curvature analysis, LaTeX, Pyomo) knows a new function without being told of it, and no code of a plugin
runs when a market is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mechdsl import syntax
from mechdsl import syntax_tree as tree
from mechdsl.elaborate.expressions import FUNCTIONS
from mechdsl.elaborate.limits import MAX_NODES
from mechdsl.elaborate.places import walk
from mechdsl.errors import MechError
from mechdsl.loading import Point, attempt, points
from mechdsl.vocabulary import Words

__all__ = ["Function", "body_of", "plugged_functions", "verify_function"]

ENTRY_POINT_GROUP = "mechdsl.functions"

_NAME = re.compile(r"[^\W\d]\w{0,60}")
_NODES = (tree.Number, tree.Name, tree.Unary, tree.Binary, tree.Call, tree.Argument)
_RESERVED = {"sum", "prod", "if", "mean", "lower", "upper", "precision", "noise", "csv", "inf"}


@dataclass(frozen=True, slots=True)
class Function:
    """A function of numbers, as a formula: `Function("softplus", ("x",), "log(1 + exp(x))", "a smooth max(0, x)")`.

    Args:
        name: as a file calls it.
        parameters: names of the arguments, in order.
        formula: in the parameters, numbers, the language's functions (`exp`, `log`, `sqrt`, `abs`, `min`, `max`, `if`)
            and other functions of plugins.
        doc: one sentence.
        curvature: `convex`, `concave` or `affine`, where that is claimed for all arguments in `ranges`; proved by
            `mechdsl.testing.check_function`.
        ranges: of the arguments, (lower, upper) for each; none: all numbers.
        examples: arguments and the value, from outside the formula.
    """

    name: str
    parameters: tuple[str, ...]
    formula: str
    doc: str
    curvature: str = ""
    ranges: tuple[tuple[float, float], ...] = ()
    examples: tuple[tuple[tuple[float, ...], float], ...] = ()


def plugged_functions(others: Sequence[tuple[str, str, Callable[[], Any]]] = ()) -> Words[Function]:
    """The functions of installed packages (entry points `mechdsl.functions`), and of `others` (plugin files)."""
    words: Words[Function] = Words({}, verify_function, list(_entry_points()))
    for name, origin, load in others:
        words.take(name, origin, attempt(load, None))
    return words


def _entry_points() -> tuple[Point, ...]:
    return points(ENTRY_POINT_GROUP)


def verify_function(candidate: Any) -> str | None:
    """Why `candidate` cannot be taken (field and reason), or None."""
    if not isinstance(candidate, Function):
        return f"a {type(candidate).__name__} is no mechdsl.Function"
    if not isinstance(candidate.name, str) or not _NAME.fullmatch(candidate.name):
        return f"field 'name' must be a name of the language, not {candidate.name!r}"
    if candidate.name in _RESERVED | set(FUNCTIONS):
        return f"the name '{candidate.name}' is already taken by the language itself"
    if not isinstance(candidate.doc, str) or not candidate.doc.strip():
        return "field 'doc' must be a sentence"
    parameters = candidate.parameters
    named = isinstance(parameters, tuple) and all(isinstance(p, str) and _NAME.fullmatch(p) for p in parameters)
    if not named or not parameters or len(set(parameters)) < len(parameters):
        return "field 'parameters' must be a tuple of different names"
    if candidate.curvature not in ("", "convex", "concave", "affine"):
        return "field 'curvature' must be convex, concave, affine or nothing"
    if candidate.ranges and len(candidate.ranges) != len(parameters):
        return "field 'ranges' must have a (lower, upper) for each parameter"
    return _formula_fault(candidate)


def _formula_fault(candidate: Function) -> str | None:
    if not isinstance(candidate.formula, str):
        return "field 'formula' must be a formula of the language, as text"
    try:
        body = body_of(candidate.formula)
    except MechError as error:
        return f"field 'formula' is no formula of the language: {error.diagnostics[0].message}"
    called = {node.name for node in walk(body) if isinstance(node, tree.Call)}
    if candidate.name in called:
        return f"field 'formula' defines '{candidate.name}' through itself"
    for count, node in enumerate(walk(body)):
        if not isinstance(node, _NODES) or count > MAX_NODES:
            return "field 'formula' may use its parameters, numbers, and functions of numbers, nothing else"
        if isinstance(node, tree.Name) and node.id not in candidate.parameters:
            return f"field 'formula' names '{node.id}', which is none of its parameters"
    return None


@lru_cache(maxsize=256)
def body_of(formula: str) -> tree.Expression:
    """The formula of a function as a syntax tree.

    Raises:
        MechError: it is none.
    """
    return syntax.parse_expression(formula)
