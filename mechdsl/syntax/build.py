"""lark's tree to the nodes of `syntax_tree`: one method a rule of the grammar, by the rule's name.

Names are brought to one spelling here (NFC, Greek letters spelt out), numbers become exact fractions, and nothing is
judged: what a statement means is `elaborate`'s affair. The walk is not recursive, so that depth is refused before it
can hurt.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from lark import Token, Tree, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from mechdsl import syntax_tree as ast
from mechdsl.errors import Diagnostic, Span
from mechdsl.syntax import mistakes
from mechdsl.syntax.scan import MAX_OPERATORS, token_span

__all__ = ["build", "canonical_name", "too_deep"]

# Each letter with its variants; the capitals follow.
_LETTERS = dict(
    pair.split(":")
    for line in (
        "alpha:α beta:β gamma:γ delta:δ epsilon:εϵ zeta:ζ eta:η theta:θϑ iota:ι kappa:κϰ lambda:λ mu:μµ",
        "nu:ν xi:ξ omicron:ο pi:πϖ rho:ρϱ sigma:σς tau:τ upsilon:υ phi:φϕ chi:χ psi:ψ omega:ω",
    )
    for pair in line.split()
)
_GREEK = MappingProxyType(
    {ord(letter): name for name, letters in _LETTERS.items() for letter in letters}
    | {ord(letters[0].upper()): name.title() for name, letters in _LETTERS.items()}
)
_FRAME = 8  # levels of the tree around an expression
_PAYOFFS: Mapping[str, Callable[..., ast.LayerItem]] = MappingProxyType(
    {
        "cost": ast.CostStatement,
        "value": ast.ValueStatement,
        "bargaining": ast.BargainingStatement,
        "outside": ast.OutsideStatement,
    }
)


def canonical_name(word: str) -> str:
    """`ρ` and `rho` are one identifier: NFC, then every Greek letter spelt out (`Δx` is `Deltax`)."""
    return word if word.isascii() else unicodedata.normalize("NFC", word).translate(_GREEK)


def too_deep(tree: Tree[Token]) -> Diagnostic | None:
    """M002 if operators are nested beyond `MAX_OPERATORS`: what walks the nodes later is recursive."""
    heights: dict[int, int] = {}
    for node in tree.iter_subtrees():  # children first
        height = 1 + max((heights[id(child)] for child in node.children if isinstance(child, Tree)), default=0)
        heights[id(node)] = height
        if height > MAX_OPERATORS + _FRAME and not node.meta.empty:
            return mistakes.too_deep(_span(node.meta), MAX_OPERATORS)
    return None


def build(tree: Tree[Token]) -> Any:
    """The nodes of a parsed text: a `File`, or for a piece of the command line what its rule says."""
    return _Builder().transform(tree)


def _span(meta: Meta) -> Span:
    return Span(meta.start_pos, meta.end_pos, meta.line, meta.column, meta.end_line, meta.end_column)


def _text(token: Token) -> str:
    """What a string says, without its quotes."""
    return unicodedata.normalize("NFC", token.value[1:-1])


def _name(token: Token) -> ast.Name:
    return ast.Name(token_span(token), canonical_name(token.value))


def _label(token: Token) -> ast.Label:
    if token.type == "STRING":
        return ast.String(token_span(token), _text(token))
    if token.type == "NUMBER":
        return ast.Number(token_span(token), Fraction(token.value))
    return _name(token)


def _part(path: Token, start: int, text: str) -> Token:
    """The piece `text` of a dotted path as a token of its own."""
    kind = "STRING" if text.startswith('"') else "NUMBER" if text.isdigit() else "NAME"
    whole = token_span(path)
    column = whole.column + start
    end = start + len(text)
    return Token(kind, text, whole.start + start, whole.line, column, whole.line, whole.column + end, whole.start + end)


def _path(path: Token) -> tuple[ast.Name, tuple[ast.Label, ...]]:
    """`mu.video."New York"`: the name, and the labels after each full stop."""
    parts: list[Token] = []
    start = 0
    while start < len(path):
        end = path.find('"', start + 1) + 1 if path[start] == '"' else path.find(".", start)
        end = len(path) if end < 0 else end
        parts.append(_part(path, start, path[start:end]))
        start = end + 1
    return _name(parts[0]), tuple(_label(part) for part in parts[1:])


def _label_text(label: ast.Label) -> str:
    match label:
        case ast.Name(id=name):
            return name
        case ast.String(value=text):
            return text
        case ast.Number(value=number):
            return str(number if number.denominator == 1 else float(number))


@v_args(meta=True)
class _Builder(Transformer_NonRecursive[Token, Any]):
    """A method is called with the place of its rule, and the rule's children: tokens that were not fixed by the
    grammar, and what the methods of the inner rules returned; what is optional and absent is None.
    """

    # -------------------------------------------------------------------------------------------------------- the file

    def file(self, meta: Meta, statements: list[Any]) -> ast.File:
        nothing = Span(0, 0, 1, 1, 1, 1)
        return ast.File(nothing if meta.empty else _span(meta), tuple(statements))

    def market(self, meta: Meta, children: Sequence[Token]) -> ast.MarketStatement:
        return ast.MarketStatement(_span(meta), _name(children[0]).id, _text(children[1]))

    def cite(self, meta: Meta, children: Sequence[Token]) -> ast.CiteStatement:
        return ast.CiteStatement(_span(meta), _text(children[0]))

    def index(self, meta: Meta, children: Sequence[Any]) -> ast.IndexStatement:
        letters, name, members, doc = children
        return ast.IndexStatement(_span(meta), letters, _name(name).id, members, doc)

    def param(self, meta: Meta, children: Sequence[Any]) -> ast.ParamStatement:
        _, target, domain, sign, value, doc = children
        known, draw = (value, None) if sign == "=" else (None, value)
        return ast.ParamStatement(_span(meta), target, domain, known, draw, doc)

    def let(self, meta: Meta, children: Sequence[Any]) -> ast.LetStatement:
        return ast.LetStatement(_span(meta), *children)

    def state(self, meta: Meta, children: Sequence[Any]) -> ast.StateStatement:
        return ast.StateStatement(_span(meta), *children)

    def common(self, meta: Meta, children: Sequence[Any]) -> ast.CommonStatement:
        return ast.CommonStatement(_span(meta), *children)

    def constraint(self, meta: Meta, children: Sequence[Any]) -> ast.ConstraintStatement:
        keyword, *name, (letters, where), left, relation, right, doc = children
        head = name[0] if name else keyword
        target = ast.Target(token_span(head), _name(head).id, letters)
        return ast.ConstraintStatement(_span(meta), keyword.value, target, where, left, relation.value, right, doc)

    def scope(self, meta: Meta, children: Sequence[Any]) -> tuple[tuple[ast.Name, ...], ast.Expression | None]:
        letters, where = children
        return letters or (), where

    def contract(self, meta: Meta, children: Sequence[Any]) -> ast.ContractStatement:
        letters, payer, provider, kind, doc = children
        return ast.ContractStatement(_span(meta), letters or (), payer, provider, kind, doc)

    def kind(self, meta: Meta, children: Sequence[Token]) -> ast.Call:
        return ast.Call(_span(meta), _name(children[0]).id, ())

    def objective(self, meta: Meta, children: Sequence[Any]) -> ast.ObjectiveStatement:
        layer, sense, goal, doc = children
        return ast.ObjectiveStatement(_span(meta), layer, sense.value, goal, doc)

    def report(self, meta: Meta, children: Sequence[Any]) -> ast.ReportStatement:
        return ast.ReportStatement(_span(meta), *children)

    def claim(self, meta: Meta, children: Sequence[Any]) -> ast.ClaimStatement:
        return ast.ClaimStatement(_span(meta), *children)

    def regime(self, meta: Meta, children: Sequence[Any]) -> ast.RegimeStatement:
        name, title, *body = children
        return ast.RegimeStatement(_span(meta), name, title, tuple(body))

    def set(self, meta: Meta, children: Sequence[ast.SetStatement]) -> ast.SetStatement:
        return replace(children[0], span=_span(meta))

    # ------------------------------------------------------------------------------------------------------- the layer

    def layer(self, meta: Meta, children: Sequence[Any]) -> ast.LayerStatement:
        target, *rest = children
        items = next((part for part in rest if isinstance(part, tuple)), ())
        doc = next((part for part in rest if isinstance(part, str)), None)
        return ast.LayerStatement(_span(meta), target, items, _text(doc) if isinstance(doc, Token) else doc)

    def layer_body(self, meta: Meta, items: list[Any]) -> tuple[ast.LayerItem, ...]:
        return tuple(items)

    def type(self, meta: Meta, children: Sequence[Any]) -> ast.TypeStatement:
        return ast.TypeStatement(_span(meta), *children)

    def choose(self, meta: Meta, children: Sequence[Any]) -> ast.ChooseStatement:
        return ast.ChooseStatement(_span(meta), *children)

    def bounds(self, meta: Meta, children: Sequence[Any]) -> ast.Interval | None:
        if not children:
            return None
        sign, bound = children
        if isinstance(bound, ast.Interval):
            return bound
        infinity = ast.Name(token_span(sign), "inf")
        if sign == ">=":
            return ast.Interval(_span(meta), bound, infinity, lower_open=False, upper_open=True)
        minus = ast.Unary(token_span(sign), "-", infinity)
        return ast.Interval(_span(meta), minus, bound, lower_open=True, upper_open=False)

    def payoff(self, meta: Meta, children: Sequence[Any]) -> ast.LayerItem:
        keyword, value, doc = children
        return _PAYOFFS[keyword.value](_span(meta), value, doc)

    def signal(self, meta: Meta, children: Sequence[Any]) -> ast.SignalStatement:
        return ast.SignalStatement(_span(meta), *children)

    def represents(self, meta: Meta, children: Sequence[Any]) -> ast.RepresentsStatement:
        return ast.RepresentsStatement(_span(meta), *children)

    # -------------------------------------------------------------------------------------------------- the experiment

    def experiment(self, meta: Meta, children: Sequence[Any]) -> ast.ExperimentStatement:
        name, title, *items = children
        return ast.ExperimentStatement(_span(meta), name, title, tuple(items))

    def count(self, meta: Meta, children: Sequence[Any]) -> ast.CountItem:
        keyword, value = children
        return ast.CountItem(_span(meta), keyword.value, value)

    def regimes(self, meta: Meta, names: list[Any]) -> ast.RegimesItem:
        return ast.RegimesItem(_span(meta), tuple(names))

    def vary(self, meta: Meta, children: Sequence[Any]) -> ast.VaryItem:
        return ast.VaryItem(_span(meta), *children)

    def table(self, meta: Meta, columns: list[Any]) -> ast.TableItem:
        return ast.TableItem(_span(meta), tuple(columns))

    def plot(self, meta: Meta, children: Sequence[Any]) -> ast.PlotItem:
        return ast.PlotItem(_span(meta), *children)

    # -------------------------------------------------------------------------------- pieces that the command line
    # shares

    def chains(self, meta: Meta, chains: list[Any]) -> tuple[ast.Chain, ...]:
        return tuple(chains)

    def chain(self, meta: Meta, children: Sequence[Any]) -> ast.Chain:
        return ast.Chain(_span(meta), tuple(children[::2]), tuple(sign.value for sign in children[1::2]))

    def axes(self, meta: Meta, axes: list[Any]) -> tuple[ast.Axis, ...]:
        return tuple(axes)

    def axis(self, meta: Meta, children: Sequence[Any]) -> ast.Axis:
        (name, labels), values = children
        return ast.Axis(_span(meta), (name.id, *map(_label_text, labels)), values)

    def steps(self, meta: Meta, children: Sequence[Any]) -> ast.Range:
        return ast.Range(_span(meta), *children)

    def assignments(self, meta: Meta, assignments: list[Any]) -> tuple[ast.SetStatement, ...]:
        return tuple(assignments)

    def assignment(self, meta: Meta, children: Sequence[Any]) -> ast.SetStatement:
        (name, labels), value = children
        return ast.SetStatement(_span(meta), name, labels, value)

    def place(self, meta: Meta, children: Sequence[Any]) -> tuple[ast.Name, tuple[ast.Label, ...]]:
        name, *labels = children
        if name.type == "PATH":
            return _path(name)
        return _name(name), tuple(label for label in labels if label is not None)

    # ------------------------------------------------------------------------------------------------ declared and
    # bound

    def target(self, meta: Meta, children: Sequence[Any]) -> ast.Target:
        name, letters = children
        return ast.Target(_span(meta), _name(name).id, letters or ())

    def letters(self, meta: Meta, names: list[Any]) -> tuple[ast.Name, ...]:
        return tuple(names)

    def name(self, meta: Meta, children: Sequence[Token]) -> ast.Name:
        return _name(children[0])

    def doc(self, meta: Meta, children: Sequence[Token | None]) -> str | None:
        return None if children[0] is None else _text(children[0])

    def domain(self, meta: Meta, children: Sequence[Any]) -> ast.Interval | ast.Name | None:
        return children[0]  # type: ignore[no-any-return]

    def where(self, meta: Meta, children: Sequence[Any]) -> ast.Expression | None:
        return children[0]  # type: ignore[no-any-return]

    def interval(self, meta: Meta, children: Sequence[Any]) -> ast.Interval:
        opens, lower, _, upper, closes = children
        return ast.Interval(_span(meta), lower, upper, lower_open=opens == "(", upper_open=closes == ")")

    def range(self, meta: Meta, children: Sequence[Any]) -> ast.Range:
        return ast.Range(_span(meta), *children)

    def label_set(self, meta: Meta, labels: list[Any]) -> ast.LabelSet:
        return ast.LabelSet(_span(meta), tuple(labels))

    def label(self, meta: Meta, children: Sequence[Any]) -> ast.Label:
        return _label(children[0]) if isinstance(children[0], Token) else children[0]

    def negative(self, meta: Meta, children: Sequence[Token]) -> ast.Number:
        return ast.Number(_span(meta), -Fraction(children[0].value))

    # ------------------------------------------------------------------------------------------------ values,
    # expressions

    def truncated(self, meta: Meta, children: Sequence[Any]) -> ast.Truncated:
        return ast.Truncated(_span(meta), *children)

    def sequence(self, meta: Meta, items: list[Any]) -> ast.Sequence:
        return ast.Sequence(_span(meta), tuple(items))

    def mapping(self, meta: Meta, entries: list[Any]) -> ast.Mapping:
        return ast.Mapping(_span(meta), tuple(entries))

    def entry(self, meta: Meta, children: Sequence[Any]) -> tuple[ast.Label, ast.Expression]:
        label, value = children
        return label, value

    def binary(self, meta: Meta, children: Sequence[Any]) -> ast.Binary:
        left, operator, right = children
        return ast.Binary(_span(meta), operator.value, left, right)

    def unary(self, meta: Meta, children: Sequence[Any]) -> ast.Unary:
        operator, operand = children
        return ast.Unary(_span(meta), operator.value, operand)

    def number(self, meta: Meta, children: Sequence[Token]) -> ast.Number:
        return ast.Number(_span(meta), Fraction(children[0].value))

    def string(self, meta: Meta, children: Sequence[Token]) -> ast.String:
        return ast.String(_span(meta), _text(children[0]))

    def subscript(self, meta: Meta, children: Sequence[Any]) -> ast.Subscript:
        name, *indices = children
        return ast.Subscript(_span(meta), _name(name).id, tuple(indices))

    def within(self, meta: Meta, children: Sequence[Any]) -> ast.Within:
        quantity, regime = children
        return ast.Within(_span(meta), quantity, regime)

    def call(self, meta: Meta, children: Sequence[Any]) -> ast.Call:
        name, *arguments = children
        return ast.Call(_span(meta), _name(name).id, tuple(a for a in arguments if a is not None))

    def argument(self, meta: Meta, children: Sequence[Any]) -> ast.Argument:
        return ast.Argument(_span(meta), children[0])

    def named(self, meta: Meta, children: Sequence[Any]) -> ast.Argument:
        return ast.Argument(_span(meta), children[1], name=_name(children[0]).id)

    def keyed(self, meta: Meta, children: Sequence[Any]) -> ast.Argument:
        return ast.Argument(_span(meta), children[1], key=children[0])

    def aggregate(self, meta: Meta, children: Sequence[Any]) -> ast.Aggregate:
        operator, letters, where, body = children
        return ast.Aggregate(_span(meta), operator.value, letters, where, body)
