"""What claims, tables and figures speak of, and what experiments vary: every name known, every count and range sound.

Outcomes have words of their own (`revenue(M1)`), beside the market's quantities and the functions of formulas. What is
found here is found before anything is solved; what the words are worth is for whoever solves to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from mechdsl import syntax_tree as tree
from mechdsl.elaborate.expressions import FUNCTIONS, label_text
from mechdsl.elaborate.names import too_many_labels
from mechdsl.elaborate.places import word_span
from mechdsl.elaborate.wording import ROLES
from mechdsl.errors import Diagnostic, Span, did_you_mean
from mechdsl.formula import IndexSet, Quantity
from mechdsl.market import Market

__all__ = ["FIGURES", "OUTCOME_WORDS", "claim_mistakes", "experiment_mistakes"]

OUTCOME_WORDS = ("revenue", "welfare", "profit", "payments", "utility", "information_rent")
"""What a claim may speak of: `revenue(M1)`."""

FIGURES = ("bar", "box", "heatmap", "line", "trace")
"""What can be plotted."""

_OF_LAYERS = ("payments", "utility")
_MOST = 1_000_000  # values of one axis
_FUNCTIONS = (*FUNCTIONS, "if", "mean", "lower", "upper")


def claim_mistakes(
    claims: Sequence[tree.ClaimStatement], regimes: Sequence[str], layers: Sequence[str], markets: Collection[Market]
) -> Iterator[Diagnostic]:
    """Claims compare outcomes of regimes (and layers) that exist.

    Args:
        claims: of the file.
        regimes: their names.
        layers: their names.
        markets: the regimes that could be made; without any, quantities are not looked up.
    """
    speech = _Speech.of(markets, regimes, layers)
    decisions = {str(c.quantity.name) for m in markets for c in m.choices}
    for claim in claims:
        for chain in claim.parts:
            for operand in chain.operands:
                wrong = list(speech.mistakes(operand))
                if len(regimes) > 1:
                    wrong += _unassigned(operand, regimes, decisions)
                yield from wrong or _incomparable(operand, decisions)


def experiment_mistakes(
    experiments: Sequence[tree.ExperimentStatement],
    regimes: Sequence[str],
    layers: Sequence[str],
    markets: Collection[Market],
) -> Iterator[Diagnostic]:
    """Experiments name regimes that exist, vary params that exist over ranges that end, and show what there is."""
    speech = _Speech.of(markets, regimes, layers)
    for experiment in experiments:
        lines: dict[str, int] = {}
        for item in experiment.items:
            match item:
                case tree.CountItem():
                    yield from _count_mistakes(item, lines)
                case tree.RegimesItem():
                    unknown = (name for name in item.names if name.id not in regimes)
                    yield from (_no_regime(name.id, name.span, regimes) for name in unknown)
                case tree.VaryItem():
                    for axis in item.axes:
                        yield from _axis_mistakes(axis, next(iter(markets)))
                        if axis.path == ("seed",) and "seed" in lines:
                            message = f"the seed is already given, in line {lines['seed']}"
                            yield Diagnostic("M011", message, axis.span, "Remove one of the two.")
                case tree.TableItem():
                    for column in item.columns:
                        yield from speech.mistakes(column)
                case tree.PlotItem():
                    yield from _figure_mistakes(item.figure, speech)


def _no_regime(name: str, span: Span, regimes: Sequence[str]) -> Diagnostic:
    return Diagnostic("M017", f"unknown regime '{name}'", span, did_you_mean(name, regimes))


def _unassigned(node: tree.Expression, regimes: Sequence[str], decisions: Collection[str]) -> Iterator[Diagnostic]:
    """A bare `revenue` or `x[video]` in a claim of a file with several regimes."""
    match node:
        case tree.Name(id=word) if word in (*OUTCOME_WORDS, *decisions):
            hint = f"Say of which regime: {word}({regimes[0]})."
            yield Diagnostic("M017", f"'{word}' is that of every regime", node.span, hint)
        case tree.Subscript():
            hint = f"Say of which regime: {node.name}[...]({regimes[0]})."
            yield Diagnostic("M017", f"'{node.name}' is that of every regime", node.span, hint)
        case tree.Unary():
            yield from _unassigned(node.operand, regimes, decisions)
        case tree.Binary():
            yield from _unassigned(node.left, regimes, decisions)
            yield from _unassigned(node.right, regimes, decisions)
        case tree.Aggregate():
            yield from _unassigned(node.body, regimes, decisions)


def _incomparable(node: tree.Expression, decisions: Collection[str]) -> Iterator[Diagnostic]:
    """What has no expectation that adds up from those of the outcomes: products of figures, functions, types."""
    match node:
        case tree.Number():
            return
        case tree.Unary(operator="+" | "-"):
            yield from _incomparable(node.operand, decisions)
        case tree.Binary(operator="+" | "-"):
            yield from _incomparable(node.left, decisions)
            yield from _incomparable(node.right, decisions)
        case tree.Binary(operator="*" | "/" as sign, left=left, right=right) if _constant(right) or (
            sign == "*" and (_constant(left), _constant(right)) != (None, None)
        ):
            yield from _incomparable(left, decisions)
            yield from _incomparable(right, decisions)
        case tree.Binary():
            hint = "Compare expected figures, their sums and multiples: revenue(M1) - 2 * welfare(M1) >= 0."
            yield Diagnostic("M018", "no expectation follows from those of its parts", node.span, hint)
        case tree.Aggregate(operator="sum", where=None):
            yield from _incomparable(node.body, decisions)
        case tree.Name(id=word) | tree.Call(name=word) if word in (*OUTCOME_WORDS, *decisions):
            return
        case tree.Subscript(name=word) | tree.Within(quantity=tree.Subscript(name=word)) if word in decisions:
            return
        case _:
            words = ", ".join((*OUTCOME_WORDS, *sorted(decisions)))
            hint = f"A claim compares expected figures, their sums and multiples; figures are {words}."
            yield Diagnostic("M018", "this is no figure that a claim can compare", node.span, hint)


# ----------------------------------------------------------------------------------------------- what may be spoken of


@dataclass(frozen=True, slots=True)
class _Speech:
    """The names that an expression about outcomes may use."""

    regimes: Sequence[str]
    layers: Sequence[str]
    quantities: Mapping[str, tuple[IndexSet, ...]]
    letters: Collection[str]
    market: Market | None
    bound: tuple[str, ...] = field(default=())

    @staticmethod
    def of(markets: Collection[Market], regimes: Sequence[str], layers: Sequence[str]) -> _Speech:
        declared = [d for m in markets for d in (*m.declarations.values(), *(let for let, _ in m.lets))]
        quantities = {str(d.quantity.name): d.quantity.sets for d in declared}
        letters = {a.name for d in declared for a in d.letters}
        return _Speech(regimes, layers, quantities, letters, next(iter(markets), None))

    def mistakes(self, node: tree.Expression) -> Iterator[Diagnostic]:
        match node:
            case tree.Name():
                yield from self._name(node)
            case tree.Subscript():
                yield from self._entry(node)
            case tree.Within():
                yield from self._entry(node.quantity)
                yield from self._regime(node.regime)
            case tree.Call():
                yield from self._call(node)
            case tree.Unary():
                yield from self.mistakes(node.operand)
            case tree.Binary():
                yield from self.mistakes(node.left)
                yield from self.mistakes(node.right)
            case tree.Aggregate():
                inner = _Speech(self.regimes, self.layers, self.quantities, self.letters, self.market,
                                (*self.bound, *(letter.id for letter in node.letters)))  # fmt: skip
                yield from inner.mistakes(node.body)
            case tree.Number():
                return
            case _:
                hint = "Write an outcome or a quantity: revenue, welfare(M1), x[video]."
                yield Diagnostic("M035", "this is no number that an outcome has", node.span, hint)

    def known(self) -> tuple[str, ...]:
        return (*OUTCOME_WORDS, *self.quantities)

    def _name(self, node: tree.Name) -> Iterator[Diagnostic]:
        if node.id == "utility" and self.layers:
            yield self._whose(node.span)
        if node.id in (*OUTCOME_WORDS, *self.quantities, *self.bound) or self.market is None:
            return
        word = f"unknown name '{node.id}'"
        if node.id in self.regimes or node.id in self.layers:
            kind = "a regime" if node.id in self.regimes else "a layer"
            hint = f"Say what of it: revenue({node.id})." if kind == "a regime" else f"Write utility({node.id})."
            yield Diagnostic("M010", f"'{node.id}' is {kind}, and no quantity", node.span, hint)
        else:
            yield Diagnostic("M010", word, node.span, did_you_mean(node.id, self.known()))

    def _regime(self, name: tree.Name) -> Iterator[Diagnostic]:
        if name.id not in self.regimes:
            yield _no_regime(name.id, name.span, self.regimes)

    def _entry(self, node: tree.Subscript) -> Iterator[Diagnostic]:
        if self.market is None:
            return
        place = word_span(self.market.source, node.span, node.name)
        sets = self.quantities.get(node.name)
        if sets is None:
            yield Diagnostic("M010", f"unknown name '{node.name}'", place, did_you_mean(node.name, self.known()))
            return
        if len(sets) != len(node.indices):
            example = f"{node.name}[{', '.join(s.labels[0] for s in sets)}]" if sets else node.name
            count = f"{len(sets)} ind{'ex' if len(sets) == 1 else 'ices'}" if sets else "no index"
            message = f"'{node.name}' takes {count}, here it has {len(node.indices)}"
            yield Diagnostic("M020", message, node.span, f"Write {example}.")
            return
        for index, index_set in zip(node.indices, sets, strict=True):
            if isinstance(index, tree.Name | tree.Number | tree.String):
                label = label_text(index)
                if label not in index_set.labels and label not in self.bound:
                    known = (*index_set.labels, *self.bound)
                    message = f"{index_set.name} has no label '{label}'"
                    hint = did_you_mean(label, known)
                    if label in self.letters:
                        hint = f"Name a label, {node.name}[{index_set.labels[0]}], or sum over the letter."
                    yield Diagnostic("M015", message, index.span, hint)

    def _call(self, node: tree.Call) -> Iterator[Diagnostic]:
        place = word_span(self.market.source, node.span, node.name) if self.market is not None else node.span
        if node.name in _FUNCTIONS:
            for argument in node.arguments:
                yield from self.mistakes(argument.value)
            return
        values = [a.value for a in node.arguments]
        if self.quantities.get(node.name) == () and len(values) == 1 and isinstance(values[0], tree.Name):
            yield from self._regime(values[0])  # `total(M1)`
            return
        if node.name not in OUTCOME_WORDS:
            message = f"unknown function '{node.name}'"
            hint = did_you_mean(node.name, (*OUTCOME_WORDS, *_FUNCTIONS))
            if node.name in FIGURES:
                hint = f"A figure is drawn by 'plot {node.name}(...)'."
            yield Diagnostic("M013", message, place, hint)
            return
        given = {a.value.id for a in node.arguments if isinstance(a.value, tree.Name)}
        if node.name == "utility" and self.layers and given <= set(self.regimes):
            yield self._whose(node.span)
        for argument in node.arguments:
            name = argument.value
            if not isinstance(name, tree.Name):
                hint = f"Write {node.name}({self.regimes[0]})."
                yield Diagnostic("M017", f"{node.name} is of a regime, by its name", name.span, hint)
            elif name.id not in self.regimes:
                yield from self._of_layer(node.name, name)

    def _whose(self, span: Span) -> Diagnostic:
        return Diagnostic("M017", "whose utility?", span, f"Name the layer: utility({self.layers[0]}).")

    def _of_layer(self, word: str, name: tree.Name) -> Iterator[Diagnostic]:
        if name.id in self.layers and word not in _OF_LAYERS:
            payer = (
                f"{word} is of a regime: {word}({self.regimes[0]}); of a layer there are {' and '.join(_OF_LAYERS)}."
            )
            yield Diagnostic("M017", f"'{name.id}' is a layer, and no regime", name.span, payer)
        elif name.id not in self.layers:
            known = (*self.regimes, *(self.layers if word in _OF_LAYERS else ()))
            what = "regime or layer" if word in _OF_LAYERS else "regime"
            yield Diagnostic("M017", f"unknown {what} '{name.id}'", name.span, did_you_mean(name.id, known))


def _figure_mistakes(figure: tree.Call, speech: _Speech) -> Iterator[Diagnostic]:
    if figure.name not in FIGURES:
        place = word_span(speech.market.source, figure.span, figure.name) if speech.market else figure.span
        hint = did_you_mean(figure.name, FIGURES)
        yield Diagnostic("M013", f"unknown figure '{figure.name}'", place, hint)
    elif not figure.arguments:
        hint = f"Say what of: {figure.name}(revenue)."
        yield Diagnostic("M013", f"{figure.name}() shows nothing", figure.span, hint)
    for argument in figure.arguments:
        yield from speech.mistakes(argument.value)


# --------------------------------------------------------------------------------------------------- counts and ranges


def _count_mistakes(item: tree.CountItem, lines: dict[str, int]) -> Iterator[Diagnostic]:
    word = item.keyword
    if word in lines:
        message = f"'{word}' is already given, in line {lines[word]}"
        yield Diagnostic("M011", message, item.span, "Remove one of the two.")
    lines.setdefault(word, item.span.line)
    number, least = _constant(item.value), 0 if word == "seed" else 1
    if number is None or number.denominator != 1 or number < least:
        hint = f"For example: {word} {'7' if word == 'seed' else '1000' if word == 'draws' else '10'}."
        yield Diagnostic("M032", f"'{word}' takes a whole number from {least}", item.value.span, hint)


def _constant(node: tree.Expression) -> Fraction | None:
    """A number written out, perhaps in the four operations; None for anything else."""
    match node:
        case tree.Number():
            return node.value
        case tree.Unary(operator="-" | "+"):
            inner = _constant(node.operand)
            return None if inner is None else -inner if node.operator == "-" else inner
        case tree.Binary(operator="+" | "-" | "*" | "/"):
            left, right = _constant(node.left), _constant(node.right)
            if left is None or right is None or (node.operator == "/" and right == 0):
                return None
            if node.operator == "/":
                return left / right
            return left * right if node.operator == "*" else left + (right if node.operator == "+" else -right)
        case _:
            return None


def _axis_mistakes(axis: tree.Axis, market: Market) -> Iterator[Diagnostic]:
    name, *labels = axis.path

    def at(word: str) -> Span:
        return word_span(market.source, axis.span, word)

    params = tuple(n for n, d in market.declarations.items() if d.quantity.role == "param")
    if axis.path == ("seed",) and name not in market.declarations:
        yield from _seed_mistakes(axis, market)
        return
    if name not in params:
        what = f" but {ROLES[market.declarations[name].quantity.role]}" if name in market.declarations else ""
        hint = did_you_mean(name, params)
        if any(a.index_set.name == name for d in market.declarations.values() for a in d.letters):
            what, hint = (
                " but an index set",
                f"Let a param say how many there are, 'index ... in {name} = 1..N', and vary N.",
            )
        yield Diagnostic("M010", f"'{name}' is no param{what}", at(name), hint)
        return
    quantity = market.declarations[name].quantity
    if len(labels) > len(quantity.sets):
        hint = f"Write {'.'.join((name, *(s.labels[0] for s in quantity.sets)))}, or {name} for every entry alike."
        yield Diagnostic("M020", too_many_labels(quantity, len(labels)), axis.span, hint)
    for label, index_set in zip(labels, quantity.sets, strict=False):
        if label not in index_set.labels:
            message = f"{index_set.name} has no label '{label}', so {'.'.join(axis.path)} is no entry"
            yield Diagnostic("M015", message, at(label), did_you_mean(label, index_set.labels))
    yield from _range_mistakes(axis, quantity, market)


def _seed_mistakes(axis: tree.Axis, market: Market) -> Iterator[Diagnostic]:
    """Seeds are whole numbers from 0."""
    given = axis.values
    if isinstance(given, tree.Range):
        stated = _stated_range(given, "seed")
        numbers = [_constant(n) for n in (given.first, given.last, given.by) if n is not None]
        if isinstance(stated, Diagnostic):
            yield stated
            return
    else:
        nodes = given.items if isinstance(given, tree.Sequence) else given.labels
        numbers = [_constant(n) if isinstance(n, tree.Number | tree.Unary | tree.Binary) else None for n in nodes]
    if any(n is None or n < 0 or n.denominator != 1 for n in numbers):
        hint = "For example: vary seed in 1..10."
        yield Diagnostic("M032", "seeds are whole numbers from 0", word_span(market.source, axis.span, "seed"), hint)


def _range_mistakes(axis: tree.Axis, quantity: Quantity, market: Market) -> Iterator[Diagnostic]:
    """Ranges that end, have values, and stay in what the param declares."""
    values_in = market.declarations[str(quantity.name)].values_in
    if values_in is not None:
        given: tuple[tree.Node, ...] = (axis.values,)
        if not isinstance(axis.values, tree.Range):
            given = axis.values.labels if isinstance(axis.values, tree.LabelSet) else axis.values.items
        for node in given:
            label = label_text(node) if isinstance(node, tree.Name | tree.Number | tree.String) else ""
            if label not in values_in.labels:
                message = f"'{quantity.name}' takes labels of {values_in.name}"
                yield Diagnostic("M015", message, node.span, did_you_mean(label, values_in.labels))
        return
    ends: list[tuple[tree.Node, Fraction]] = []
    if isinstance(axis.values, tree.Range):
        stated = _stated_range(axis.values, ".".join(axis.path))
        if isinstance(stated, Diagnostic):
            yield stated
            return
        ends = [(axis.values.first, stated[0]), (axis.values.last, stated[1])]
    else:
        for item in axis.values.labels if isinstance(axis.values, tree.LabelSet) else axis.values.items:
            number = None if isinstance(item, tree.String) else _constant(item)
            if number is None:
                message = f"'{quantity.name}' takes numbers, this is none"
                yield Diagnostic("M032", message, item.span, "Write numbers: {1, 2, 5}.")
            else:
                ends.append((item, number))
    for node, number in ends:
        if not quantity.domain.contains(float(number)):
            message = f"{'.'.join(axis.path)} = {_text(number)} is outside its declared range {quantity.domain}"
            yield Diagnostic("M034", message, node.span, "Correct the value, or the range in the declaration.")


def _stated_range(values: tree.Range, address: str) -> tuple[Fraction, Fraction] | Diagnostic:
    """The first and the last value of a range, or what is wrong with it."""
    numbers = [(node, _constant(node)) for node in (values.first, values.last, values.by) if node is not None]
    unknown = [node for node, number in numbers if number is None]
    if unknown:
        return Diagnostic("M032", "a range of 'vary' is between numbers", unknown[0].span, "Write it: 1..20 by 0.5.")
    first, last, by = [number for _, number in numbers if number is not None] + [Fraction(1)] * (3 - len(numbers))
    if by == 0 or (last - first) / by < 0:
        why = "its step is 0" if by == 0 else "it begins above its end" if by > 0 else "its step leads away from it"
        low, high, step = min(first, last), max(first, last), abs(by) or Fraction(1)
        hint = f"Write {address} in {_text(low)}..{_text(high)} by {_text(step)}."
        return Diagnostic("M032", f"this range never reaches its end: {why}", values.span, hint)
    if (last - first) / by > _MOST:
        return Diagnostic("M091", f"this range has more than {_MOST:,} values", values.span, "Take larger steps.")
    return first, first + ((last - first) // by) * by


def _text(number: Fraction) -> str:
    return f"{float(number):.12g}"
