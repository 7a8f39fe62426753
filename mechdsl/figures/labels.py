"""What axes and legends say: the file's own descriptions, and its letters as mathematics.

`x[video]` of `choose x[k] >= 0 "human content"` is "Human content $x_{video}$"; a regime is called by its title.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mechdsl import syntax
from mechdsl import syntax_tree as tree
from mechdsl.elaborate.expressions import label_text
from mechdsl.elaborate.outcomes import OUTCOME_WORDS
from mechdsl.market import Model
from mechdsl.population.task import SEED

__all__ = ["Labels", "drawable", "labels"]

_GREEK = frozenset(
    ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
     "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega")
)  # fmt: skip

_MINUS = "\u2212"


@dataclass(frozen=True, slots=True)
class Labels:
    """The words of one model.

    Args:
        title: of the market.
        docs: name -> its description.
        regimes: name -> how a legend calls it.
        payer: who sets the terms, for `revenue`; empty where regimes differ.
    """

    title: str
    docs: Mapping[str, str]
    regimes: Mapping[str, str]
    payer: str = ""

    def regime(self, name: str, width: int = 24) -> str:
        return textwrap.fill(self.regimes.get(name, name), width, break_long_words=False)

    def address(self, address: str) -> str:
        """`d.video` as an axis says it."""
        name, *parts = address.split(".")
        return self.docs.get(name, "Seed") if address == SEED else self._entry(name, parts)

    def constraint(self, address: str) -> str:
        """`demand.video` as `demand[video]`."""
        name, *parts = address.split(".")
        return f"{name}[{', '.join(parts)}]" if parts else name

    def measure(self, text: str) -> str:
        """An expression as an axis says it."""
        node = syntax.parse_expression(text)
        match node:
            case tree.Name(id=name) if name in OUTCOME_WORDS:
                of = f" of {self.payer}" if self.payer and name in ("revenue", "profit") else ""
                return f"{_spoken(name)}{of}"
            case tree.Name(id=name):
                return self._entry(name, [])
            case tree.Subscript(name=name, indices=indices) if all(
                isinstance(i, tree.Name | tree.String | tree.Number) for i in indices
            ):
                return self._entry(name, [label_text(i) for i in indices])  # type: ignore[arg-type]
            case tree.Call(name=name, arguments=arguments) if name in OUTCOME_WORDS:
                inside = ", ".join(a.value.id for a in arguments if isinstance(a.value, tree.Name))
                return f"{_spoken(name)} ({inside})"
            case tree.Within() | tree.Call() | tree.Binary():
                return self._sum(node) or text
            case _:
                return text

    def _sum(self, node: tree.Expression) -> str:
        """Sums and ratios of entries and outcomes, letters as mathematics; empty for anything else."""
        match node:
            case tree.Within(quantity=quantity, regime=regime):
                inner = self._sum(quantity)
                return f"{inner} ({regime.id})" if inner else ""
            case tree.Subscript(name=name, indices=indices):
                parts = [label_text(i) for i in indices if isinstance(i, tree.Name | tree.String | tree.Number)]
                return _mathematics(name, parts) if len(parts) == len(indices) else ""
            case tree.Name(id=name):
                return _spoken(name).lower() if name in OUTCOME_WORDS else _mathematics(name, [])
            case tree.Call(name=name, arguments=(tree.Argument(value=tree.Name(id=of)),)):
                return f"{_spoken(name).lower() if name in OUTCOME_WORDS else _mathematics(name, [])} ({of})"
            case tree.Number(value=value):
                return f"{float(value):g}"
            case tree.Binary(operator="+" | "-" | "/" as sign, left=left, right=right):
                sides = [self._sum(left), self._sum(right)]
                if isinstance(right, tree.Binary) or (sign == "/" and isinstance(left, tree.Binary)) or not all(sides):
                    return ""
                return f"{sides[0]} {_MINUS if sign == '-' else sign} {sides[1]}"
            case _:
                return ""

    def shared(self, measures: Sequence[str]) -> str:
        """What several entries of one quantity have in common: its description; empty for anything else."""
        heads = {_head(m) for m in measures}
        head = heads.pop() if len(heads) == 1 else ""
        doc = self.docs.get(head, "")
        return f"{doc[0].upper()}{doc[1:]}" if doc else head

    def letter(self, measure: str) -> str:
        """`x[video]` as mathematics alone."""
        return self.measure(measure).rsplit(", ", maxsplit=1)[-1]

    def _entry(self, name: str, parts: list[str]) -> str:
        letter = _mathematics(name, parts)
        doc = self.docs.get(name, "")
        return f"{doc[0].upper()}{doc[1:]}, {letter}" if doc else letter


def labels(model: Model) -> Labels:
    """The words of a model."""
    markets = list(model.markets.values())
    docs = {n: d.doc for m in markets for n, d in m.declarations.items() if d.doc}
    docs |= {str(d.quantity.name): d.doc for m in markets for d, _ in m.lets if d.doc}
    regimes = {n: (f"{n}: {m.regime_title}" if m.regime_title else n) for n, m in model.markets.items()}
    docs, regimes = ({n: drawable(text) for n, text in told.items()} for told in (docs, regimes))
    payers = {m.objectives[0].layer for m in markets if m.objectives}
    return Labels(drawable(markets[0].title or model.name), docs, regimes, payers.pop() if len(payers) == 1 else "")


def drawable(text: str) -> str:
    """A file's own text as figures take it: what stands between `$` is mathematics if it reads as such, else text."""
    if "$" not in text:
        return text
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(text)
    except ValueError:
        return text.replace("$", r"\$")
    return text


def _head(measure: str) -> str:
    node = syntax.parse_expression(measure)
    return node.name if isinstance(node, tree.Subscript) else ""


def _spoken(word: str) -> str:
    return word.replace("_", " ").capitalize()


def _mathematics(name: str, parts: list[str]) -> str:
    r"""`rho`, `[video]` as `$\rho_{\mathrm{video}}$`; long names stay words."""
    letter = f"\\{name}" if name in _GREEK else name if len(name) == 1 else f"\\mathrm{{{_plain(name)}}}"
    below = ",".join(f"\\mathrm{{{_plain(p)}}}" for p in parts)
    return f"${letter}_{{{below}}}$" if parts else f"${letter}$"


def _plain(text: str) -> str:
    """Text inside mathematics: what has a meaning there is escaped."""
    kept = "".join(c if c.isalnum() or c in "-." else "\\ " if c == " " else "\\_" if c == "_" else " " for c in text)
    return kept
