"""Values from outside a file: `--at c.video=0.3,c.text=0.6`, `--set home.1=text`, `set={"d": [3, 4]}`.

An address is a name and labels, dotted; one that stops short of an entry means all entries under it. Whether there is
such an entry only the market knows, so that is checked when it is elaborated.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mechdsl import syntax
from mechdsl import syntax_tree as tree
from mechdsl.elaborate import Override
from mechdsl.elaborate.expressions import label_text
from mechdsl.errors import MechError, UsageError
from mechdsl.formula import IndexSet

__all__ = ["assignments", "constant", "entries"]


def assignments(text: str) -> tuple[Override, ...]:
    """`c.video=0.3,mu=0` as overrides; maps by label are spread out.

    Raises:
        UsageError: the text does not read so.
    """
    if not text.strip():
        return ()
    try:
        statements = syntax.parse_values(text)
    except MechError as error:
        first = error.diagnostics[0]
        place = f" (column {first.span.column})" if first.span else ""
        raise UsageError(f"'{text}' does not read as name.label=value: {first.message}{place}") from None
    return tuple(o for s in statements for o in _spread(s.name.id, tuple(map(label_text, s.labels)), s.value, text))


def _spread(name: str, labels: tuple[str, ...], node: tree.Expression, text: str) -> list[Override]:
    if isinstance(node, tree.Mapping):
        return [o for label, inner in node.entries for o in _spread(name, (*labels, label_text(label)), inner, text)]
    if isinstance(node, tree.Name | tree.String):
        return [Override(name, labels, label_text(node))]
    return [Override(name, labels, float(constant(node, text)))]


def constant(node: tree.Expression, text: str) -> Fraction:
    """A literal number, signed, perhaps in the four operations.

    Args:
        node: as parsed.
        text: what the message calls it.

    Raises:
        UsageError: it is no such number.
    """
    match node:
        case tree.Number():
            return node.value
        case tree.Unary(operator="-" | "+"):
            inner = constant(node.operand, text)
            return -inner if node.operator == "-" else inner
        case tree.Binary(operator="+" | "-" | "*" | "/"):
            left, right = constant(node.left, text), constant(node.right, text)
            if node.operator == "/":
                if right == 0:
                    raise UsageError(f"'{text}' divides by zero")
                return left / right
            return left * right if node.operator == "*" else left + (right if node.operator == "+" else -right)
        case _:
            raise UsageError(f"'{text}' gives no value; write name.label=value, as in d.video=5 or home.1=text")


def entries(name: str, labels: tuple[str, ...], value: Any, sets: tuple[IndexSet, ...]) -> list[Override]:
    """Overrides from a Python value: a number, a map by label, a list or an array in the order of the labels.

    Args:
        name: the address so far,
        labels: and its labels.
        value: what is to stand there; a text is a label.
        sets: of the name, for lists; `()` where it is unknown.

    Raises:
        UsageError: a list of another length than there are labels, or no number.
    """
    if isinstance(value, Mapping):
        return [o for label, inner in value.items() for o in entries(name, (*labels, str(label)), inner, sets)]
    if hasattr(value, "__len__") and not isinstance(value, str):
        if len(labels) >= len(sets) or len(value) != len(sets[len(labels)]):
            raise UsageError(f"'{'.'.join((name, *labels))}' does not take {len(value)} values")
        keys = sets[len(labels)].labels
        return [
            o for label, inner in zip(keys, value, strict=True) for o in entries(name, (*labels, label), inner, sets)
        ]
    if isinstance(value, str):
        return [Override(name, labels, value)]
    try:
        return [Override(name, labels, float(value))]
    except (TypeError, ValueError):
        raise UsageError(f"'{'.'.join((name, *labels))}' needs a number or a label, not {value!r}") from None
