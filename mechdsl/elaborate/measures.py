"""What experiments tabulate and plot: expressions in a regime's own quantities and in what comes of it.

`revenue`, `welfare`, `profit`, `payments`, `utility(platform)`, `information_rent`, `x[video]`, `sum(k: x[k])`,
`revenue(M1) - revenue(M2)`, `x[video](M1) / x[video](M2)`. The words for outcomes, and quantities of a named regime,
stand in the formula as open quantities, named as they are written; whoever evaluates it knows their values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import sympy as sp

from mechdsl import syntax_tree as tree
from mechdsl.elaborate.expressions import Resolver, Scope
from mechdsl.elaborate.outcomes import OUTCOME_WORDS
from mechdsl.elaborate.places import word_span
from mechdsl.errors import Diagnostic, MechError, Source, Span, did_you_mean
from mechdsl.formula import IndexSet, Letter, Quantity, letters_of
from mechdsl.market import Declaration, Market

__all__ = ["Measure", "OutcomeWord", "QuantityOf", "measure"]

_OF_LAYERS = ("payments", "utility")


@dataclass(frozen=True, slots=True)
class OutcomeWord:
    """`revenue`, `revenue(M1)`, `utility(platform)`, `payments(M1, creator)`: what, in which regime, of which layer."""

    word: str
    regime: str | None = None
    layer: str | None = None

    @property
    def name(self) -> str:
        inside = ", ".join(n for n in (self.regime, self.layer) if n)
        return f"{self.word}({inside})" if inside else self.word


@dataclass(frozen=True, slots=True)
class QuantityOf:
    """`x[video](M1)`, `total(M1)`: a param, type, decision or `let` as it is in a regime."""

    quantity: str
    regime: str

    @property
    def name(self) -> str:
        return f"{self.quantity}({self.regime})"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number for every outcome.

    Args:
        formula: in the market's quantities and in one open quantity for each word.
        words: open quantity -> what it stands for.
    """

    formula: sp.Expr
    words: tuple[tuple[Quantity, OutcomeWord | QuantityOf], ...]

    @property
    def own(self) -> frozenset[Quantity]:
        """The quantities it takes from the regime it is asked of; none where it names all its regimes itself."""
        named = {q for q, word in self.words if word.regime is not None}
        return frozenset(q for q in self.formula.atoms(Quantity) if q not in named)


def measure(node: tree.Expression, market: Market, regimes: Sequence[str], source: Source) -> Measure:
    """The measure an expression states.

    Args:
        node: as parsed.
        market: of one regime, whose names it may use.
        regimes: those it may name.
        source: the text it stands in, for messages.

    Raises:
        MechError: a name that is none, or an expression without a value.
    """
    names = _Names(market, source, {})
    diagnostics: list[Diagnostic] = []
    found: dict[str, OutcomeWord | QuantityOf] = {}
    node = _named(node, _reader(market, regimes, found, diagnostics))
    names.words.update({name: Quantity(name, _sets(word, market), "open") for name, word in found.items()})
    formula = Resolver(names, diagnostics).formula(node, Scope()) if not diagnostics else sp.S.Zero
    free = letters_of(formula)
    if free:
        hint = "Name a label, as in x[video], or sum over the letter."
        diagnostics.append(Diagnostic("M023", f"'{min(map(str, free))}' is not bound here", node.span, hint))
    if diagnostics:
        raise MechError(diagnostics, source)
    return Measure(formula, tuple((names.words[n], w) for n, w in found.items()))


def _sets(word: OutcomeWord | QuantityOf, market: Market) -> tuple[IndexSet, ...]:
    if isinstance(word, OutcomeWord):
        return ()
    return next(d.quantity.sets for d in _declared(market) if d.quantity.name == word.quantity)


def _declared(market: Market) -> tuple[Declaration, ...]:
    return (*market.declarations.values(), *(let for let, _ in market.lets))


def _reader(
    market: Market,
    regimes: Sequence[str],
    found: dict[str, OutcomeWord | QuantityOf],
    diagnostics: list[Diagnostic],
) -> Callable[[tree.Node], tree.Node | None]:
    layers = [layer.name for layer in market.layers]
    quantities = {str(d.quantity.name) for d in _declared(market)}

    def elsewhere(name: str, regime: tree.Name) -> str:
        """`x(M1)`, noted."""
        if regime.id not in regimes:
            hint = did_you_mean(regime.id, regimes)
            diagnostics.append(Diagnostic("M017", f"unknown regime '{regime.id}'", regime.span, hint))
        stated = QuantityOf(name, regime.id)
        found[stated.name] = stated
        return stated.name

    def read(node: tree.Node) -> tree.Node | None:
        if isinstance(node, tree.Within) and node.quantity.name in quantities:
            return replace(node.quantity, name=elsewhere(node.quantity.name, node.regime))
        word, given = _call(node)
        if isinstance(node, tree.Call) and word in quantities and len(given) == 1:
            return tree.Name(node.span, elsewhere(word, tree.Name(node.span, given[0])))
        if word not in OUTCOME_WORDS:
            return None
        regime = layer = None
        for name in given:
            if name in regimes:
                regime = name
            elif name in layers and word in _OF_LAYERS:
                layer = name
            else:
                known = (*regimes, *(layers if word in _OF_LAYERS else ()))
                what = "regime or layer" if word in _OF_LAYERS else "regime"
                diagnostics.append(Diagnostic("M017", f"unknown {what} '{name}'", node.span, did_you_mean(name, known)))
        if word == "utility" and layer is None:
            hint = f"Write utility({layers[0]})." if layers else ""
            diagnostics.append(Diagnostic("M035", "whose utility?", node.span, hint))
        stated = OutcomeWord(word, regime, layer)
        found[stated.name] = stated
        return tree.Name(node.span, stated.name)

    return read


def _call(node: tree.Node) -> tuple[str, list[str]]:
    """`("revenue", ["M1"])` for `revenue(M1)`; an empty word for anything else."""
    if isinstance(node, tree.Name):
        return node.id, []
    if isinstance(node, tree.Call) and all(isinstance(a.value, tree.Name) for a in node.arguments):
        return node.name, [a.value.id for a in node.arguments if isinstance(a.value, tree.Name)]
    return "", []


def _named(node: Any, read: Callable[[tree.Node], tree.Node | None]) -> Any:
    """The tree with every outcome word replaced by a name."""
    if isinstance(node, tuple):
        return tuple(_named(part, read) for part in node)
    if not isinstance(node, tree.Node):
        return node
    taken = read(node)
    if taken is not None:
        return taken
    if isinstance(node, tree.Subscript):  # its indices are labels, never outcomes
        return node
    return replace(node, **{f.name: _named(getattr(node, f.name), read) for f in fields(node) if f.name != "span"})


@dataclass(frozen=True, slots=True)
class _Names:
    """What a resolver asks, answered from a finished market."""

    market: Market
    source: Source
    words: dict[str, Quantity]

    def quantity(self, name: str, span: Span) -> Quantity | None:
        del span
        return self.words[name] if name in self.words else self.market.declarations[name].quantity

    def let(self, name: str, span: Span) -> tuple[tuple[Letter, ...], sp.Expr, int] | None:
        del span
        declared, formula = next((d, f) for d, f in self.market.lets if d.quantity.name == name)
        return declared.letters, formula, 1 + int(sp.count_ops(formula))

    def letter(self, name: str) -> Letter | None:
        return self._letters().get(name)

    def function(self, name: str) -> None:
        del name

    def functions_of_plugins(self) -> tuple[str, ...]:
        return ()

    def _letters(self) -> dict[str, Letter]:
        market = self.market
        groups = [*(d.letters for d in _declared(market)), *(y.letters for y in market.layers)]
        groups += [c.letters for c in market.constraints]
        bound = [a for c in market.constraints for a in (c.left - c.right).atoms(Letter)]
        bound += [a for y in market.layers for a in (y.cost + y.value).atoms(Letter)]
        return {a.name: a for a in (*bound, *(a for group in groups for a in group))}

    def statistic(self, kind: str, of: Quantity) -> Quantity:
        return next(
            (q for q in self.market.data if q.role == "statistic" and q.name == f"{kind}({of.name})"),
            Quantity(f"{kind}({of.name})", of.sets, "statistic", of.domain),
        )

    def index_valued(self, quantity: Quantity) -> IndexSet | None:
        del quantity
        return None

    def kind(self, name: str) -> str | None:
        if name in self.words:
            return "open"
        if any(d.quantity.name == name for d, _ in self.market.lets):
            return "let"
        if name in self.market.declarations:
            role = self.market.declarations[name].quantity.role
            return "choice" if role == "decision" else role
        return "letter" if name in self._letters() else None

    def letters_over(self, index_set: IndexSet) -> tuple[str, ...]:
        return tuple(n for n, a in self._letters().items() if a.index_set.name == index_set.name)

    def known(self) -> tuple[str, ...]:
        lets = (str(d.quantity.name) for d, _ in self.market.lets)
        return (*OUTCOME_WORDS, *self.market.declarations, *lets)

    def as_declared(self, name: str) -> str:
        declared = self.market.declarations.get(name)
        return str(declared.entry) if declared else name

    def elsewhere(self, name: str) -> str | None:
        if any(s.name == name for s in self.market.sets):
            return "an index set"
        return "a layer" if any(y.name == name for y in self.market.layers) else None

    def letter_remedy(self, name: str) -> str:
        return did_you_mean(name, self._letters())

    def word(self, node: tree.Node, word: str) -> Span:
        return word_span(self.source, node.span, word)
