"""Everything derived, for a reader: what was stated, what each symbol is, each step with its reason and its source.

One content, four renderings: markdown and LaTeX are those of any document, the text is for terminals, the JSON says
each formula twice, as text and as LaTeX.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sympy as sp

from mechdsl.derivation import Derivation, Step
from mechdsl.formula import REAL_LINE, Interval, Letter, Quantity, quantities
from mechdsl.market import Declaration, Market
from mechdsl.program import Constraint
from mechdsl.report.document import Block, Display, Document, Items, Line, Mark, Paragraph, Prose, Section, Terms, line
from mechdsl.report.formulas import latex, text
from mechdsl.report.json_report import document, to_text
from mechdsl.report.latex import as_latex as tex
from mechdsl.report.markdown import as_markdown as markdown
from mechdsl.report.prose import text_prose
from mechdsl.structure import Registry, match
from mechdsl.theory.notation import Others, meaning
from mechdsl.theory.virtual_cost import laws_of

__all__ = [
    "FORMATS", "Inspection", "as_text", "derivation_section", "inspect", "inspected", "inspection", "shared_statements",
    "symbols",
]  # fmt: skip

_WIDTH = 96
_INDENT = "    "


@dataclass(frozen=True, slots=True)
class Inspection:
    """One regime's derivation, to be shown.

    Args:
        market: as stated.
        structure: the name of the structure taken; None where none handles the regime.
        why: why it was taken, or why the installed ones were not.
        derivation: None where there is none.
        names: whose symbols are told; the market's own if None.
    """

    market: Market
    structure: str | None
    why: str
    derivation: Derivation | None
    names: Mapping[str, Declaration] | None = None


@dataclass(frozen=True, slots=True)
class _Statement:
    """One line of what was stated: what it is, of whom, and what is said of it."""

    what: str
    said: Line


@dataclass(frozen=True, slots=True)
class _Symbol:
    """One row of the symbol table."""

    entry: sp.Basic
    doc: str
    domain: Interval


def inspect(markets: Sequence[Market], registry: Registry, format: str = "text") -> str:  # noqa: A002
    """Every regime's derivation, as `text`, `markdown`, `latex` (one whole document) or `json`."""
    return FORMATS[format]([inspection(market, registry) for market in markets])


def inspection(market: Market, registry: Registry) -> Inspection:
    """The structure that handles the market, and what it derives."""
    matched = match(market, registry)
    if matched.structure is None:
        reasons = "; ".join(matched.told)
        return Inspection(market, None, f"{matched.why}. {reasons}".strip(), None)
    return Inspection(market, matched.structure.name, matched.why, matched.structure.derive(market))


def status(step: Step) -> str:
    """How far a step is to be believed, in a word or two."""
    if not step.holds:
        return "does not hold here"
    return {True: "proved", False: "checked on this instance", None: "stated"}[step.proved]


def as_text(inspections: Sequence[Inspection], width: int = _WIDTH) -> str:
    """For a terminal: Unicode mathematics, one formula a line."""
    first = inspections[0].market
    lines = [_title(first), *(f"  {citation}" for citation in first.citations)]
    for shown in inspections:
        lines += ["", *_text_heading(shown, width)]
        lines += [
            "",
            "  As stated",
            *_text_table(((s.what, _plain(s.said)) for s in _statements(shown.market)), width),
        ]
        lines += [
            "",
            "  Symbols",
            *_text_table(((text(s.entry), text_prose(_described(s))) for s in _symbols(shown)), width),
        ]
        for number, step in enumerate(shown.derivation.steps if shown.derivation else (), 1):
            lines += ["", *_text_step(number, step, width)]
    return "\n".join(lines)


def as_markdown(inspections: Sequence[Inspection]) -> str:
    """Markdown with `$...$` and `$$...$$`."""
    return markdown(inspected(inspections)).text


def as_latex(inspections: Sequence[Inspection]) -> str:
    """A whole LaTeX document, ASCII, that pdflatex compiles with amsmath and nothing else."""
    return tex(inspected(inspections)).text


def as_json(inspections: Sequence[Inspection]) -> str:
    """`mechdsl/1`: for each regime its structure, symbols and steps."""
    regimes = {shown.market.regime: _regime_object(shown) for shown in inspections}
    return to_text(document(inspections[0].market.name, "inspect", regimes=regimes))


FORMATS: Mapping[str, Callable[[Sequence[Inspection]], str]] = {
    "text": as_text, "markdown": as_markdown, "latex": as_latex, "json": as_json,
}  # fmt: skip


# A document, whatever the rendering.


def inspected(inspections: Sequence[Inspection]) -> Document:
    """Every regime's statements, symbols and steps."""
    first = inspections[0].market
    cited = tuple(line(citation) for citation in first.citations)
    sections = [
        Section(_regime(shown.market), (), (
            Section("As stated", (Paragraph(line(_taken(shown))), statements(shown.market))),
            Section("Symbols", (symbols(shown),)),
            *steps(shown),
        ))
        for shown in inspections
    ]  # fmt: skip
    return Document(_title(first), (Items(cited),) if cited else (), tuple(sections))


def statements(market: Market) -> Terms:
    """Layers, contracts, objectives and constraints, as stated."""
    return Terms(tuple((line(s.what), s.said) for s in _statements(market)))


def shared_statements(markets: Sequence[Market]) -> tuple[Terms, tuple[Terms, ...]]:
    """What all regimes state, and what each states beyond that."""
    every = [_statements(market) for market in markets]
    shared = [s for s in every[0] if all(s in own for own in every)]
    rest = (Terms(tuple((line(s.what), s.said) for s in own if s not in shared)) for own in every)
    return Terms(tuple((line(s.what), s.said) for s in shared)), tuple(rest)


def symbols(shown: Inspection) -> Terms:
    """What each symbol is."""
    return Terms(tuple((line(s.entry), line(Prose(_described(s)))) for s in _symbols(shown)))


def steps(shown: Inspection) -> tuple[Section, ...]:
    """The derivation, a section each step."""
    found = shown.derivation.steps if shown.derivation else ()
    return tuple(_step_section(n, step) for n, step in enumerate(found, 1))


def _step_section(number: int, step: Step) -> Section:
    return Section(f"{number}. {step.name} ({status(step)})", step_blocks(step))


def step_blocks(step: Step) -> tuple[Block, ...]:
    """A step's formulas, its reason and its source."""
    return (
        *((Display(step.formula),) if _says_something(step) else ()),
        *(Display(formula, label) for label, formula in step.formulas),
        Paragraph(line(Prose(step.because))),
        Paragraph(line(Mark("Source: ", "faint"), step.source)),
    )


def derivation_section(shown: Inspection, title: str, told: Mapping[Step, str]) -> Section:
    """A regime's derivation in a document that holds several: what was taken and why, then step by step.

    Args:
        shown: the regime.
        title: its heading.
        told: steps that were shown before, and in which regime; they are named, and not shown again.
    """
    found = shown.derivation.steps if shown.derivation else ()
    each: list[Section] = []
    for place, same in groupby(range(len(found)), lambda n: told.get(found[n])):
        numbers = list(same)
        if place is None:
            each += [_step_section(n + 1, found[n]) for n in numbers]
        else:
            first, last = numbers[0] + 1, numbers[-1] + 1
            names = ", ".join(f"{found[n].name} ({status(found[n])})" for n in numbers)
            span = f"{first}" if first == last else f"{first} to {last}"
            each.append(Section(f"{span}. As in {place}", (Paragraph((f"{names[0].upper()}{names[1:]}.",)),)))
    return Section(title, (Paragraph(line(_taken(shown))),), tuple(each))


def _title(market: Market) -> str:
    return f"{market.name}: {market.title}" if market.title else market.name


def _regime(market: Market) -> str:
    return f"Regime {market.regime}: {market.regime_title}" if market.regime_title else f"Regime {market.regime}"


def _taken(shown: Inspection) -> str:
    if shown.structure is None:
        return f"Nothing is derived: {shown.why}."
    title = f"{shown.derivation.title}. " if shown.derivation else ""
    return f"{title}Structure: {shown.structure}, for {shown.why}."


def _statements(market: Market) -> list[_Statement]:
    """Layers, contracts, objectives and constraints, as stated."""
    found: list[_Statement] = []
    for layer in market.layers:
        head = _head(layer.name, layer.letters)
        found += [_Statement(f"cost of {head}", (layer.cost,))] if layer.cost != 0 else []
        found += [_Statement(f"value to {head}", (layer.value,))] if layer.value != 0 else []
        found += [_Statement(f"outside option of {head}", (layer.outside,))] if layer.outside != 0 else []
        if layer.represents is not None:
            found.append(_Statement(head, (f"represents {layer.represents}",)))
        for private in market.types_of(layer.name):
            laws = "; ".join(f"{labels}: {law}" for labels, law in laws_of(private))
            found.append(_Statement(f"private type of {head}", (private.declaration.entry, f", {laws}")))
        for choice in market.choices_of(layer.name):
            entry = choice.declaration.entry
            below = None if choice.lower is -sp.oo else sp.Ge(entry, choice.lower, evaluate=False)
            above = None if choice.upper is sp.oo else sp.Le(entry, choice.upper, evaluate=False)
            found += [_Statement(f"choice of {head}", (bound,)) for bound in (below, above) if bound is not None]
            found += [_Statement(f"choice of {head}", (entry,))] if below is None and above is None else []
    for contract in market.contracts:
        said = f"{contract.payer} pays {contract.provider}: {contract.kind}"
        terms = [piece for name, value in contract.arguments.items() for piece in (", ", f"{name} = ", value)]
        found.append(_Statement("contract", (said, *((" with ", *terms[1:]) if terms else ()))))
    for objective in market.objectives:
        found.append(_Statement(f"objective of {objective.layer}", (f"{objective.sense} ", objective.goal)))
    return [*found, *(_Statement(_head(c.name, c.letters), (_relation(c),)) for c in market.constraints)]


def _says_something(step: Step) -> bool:
    """Whether the formula is one; a step that has nothing to say of a market is just `true`."""
    return bool(step.formula != sp.true)


def _head(name: str, letters: Sequence[Letter]) -> str:
    return f"{name}[{', '.join(str(a) for a in letters)}]" if letters else name


def _relation(constraint: Constraint) -> sp.Basic:
    relation = {">=": sp.Ge, "<=": sp.Le, "==": sp.Eq}[constraint.relation]
    return relation(constraint.left, constraint.right, evaluate=False)


def _symbols(shown: Inspection) -> list[_Symbol]:
    """The file's own names first, in its order, then what the theory introduced."""
    names = shown.market.declarations if shown.names is None else shown.names
    declared = [_Symbol(d.entry, d.doc, d.quantity.domain) for d in names.values()]
    known = {d.quantity for d in names.values()}
    formulas = [
        f
        for s in (shown.derivation.steps if shown.derivation else ())
        for f in (s.formula, *(g for _, g in s.formulas))
    ]
    found: dict[str, _Symbol] = {}
    for formula in formulas:
        introduced = [
            *quantities(formula),
            *formula.atoms(Others),
            *(f.func for f in formula.atoms(sp.core.function.AppliedUndef)),
        ]
        for symbol in sorted(introduced, key=str):
            name = str(getattr(symbol, "name", symbol))
            if symbol not in known and meaning(symbol) and name not in found:
                shown_as = symbol if isinstance(symbol, Quantity | Others) else sp.Symbol(name)
                found[name] = _Symbol(shown_as, meaning(symbol), REAL_LINE)
    return [*declared, *found.values()]


def _described(symbol: _Symbol) -> str:
    end = {float("inf"): "$\\infty$", -float("inf"): "$-\\infty$"}
    ends = [end.get(e, f"{e:g}") for e in (symbol.domain.lower, symbol.domain.upper)]
    left, right = str(symbol.domain)[0], str(symbol.domain)[-1]
    span = "" if symbol.domain == REAL_LINE else f"in {left}{ends[0]}, {ends[1]}{right}"
    return "; ".join(part for part in (symbol.doc, span) if part) or "no description"


# Text.


def _plain(pieces: Line) -> str:
    return "".join(text(p) if isinstance(p, sp.Basic) else str(p) for p in pieces)


def _text_heading(shown: Inspection, width: int) -> list[str]:
    head = _regime(shown.market)
    return [
        head,
        "=" * min(len(head), width),
        *textwrap.wrap(_taken(shown), width, initial_indent="  ", subsequent_indent="  "),
    ]


def _text_table(rows: Iterable[tuple[str, str]], width: int) -> list[str]:
    pairs = list(rows)
    column = min(28, max((len(left) for left, _ in pairs), default=0))
    return [
        line for left, right in pairs for line in _wrapped(f"{_INDENT}{left:<{column}}  ", right, width, column + 6)
    ]


def _text_step(number: int, step: Step, width: int) -> list[str]:
    lines = [f"  {number}. {step.name} ({status(step)})"]
    lines += _wrapped(_INDENT, text(step.formula), width, 8) if _says_something(step) else []
    for label, formula in step.formulas:
        lines += _wrapped(f"{_INDENT}{label}:  ", text(formula), width, 8)
    lines += _wrapped(_INDENT, text_prose(step.because), width, 4)
    return [*lines, *_wrapped(f"{_INDENT}Source: ", step.source, width, 4)]


def _wrapped(head: str, body: str, width: int, indent: int) -> list[str]:
    return textwrap.wrap(
        body, width, initial_indent=head, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    ) or [head.rstrip()]


# JSON.


def _regime_object(shown: Inspection) -> dict[str, Any]:
    if shown.derivation is None:
        return {"structure": None, "message": shown.why}
    return {
        "structure": shown.structure,
        "why": shown.why,
        "title": shown.derivation.title,
        "symbols": [{**_formula_object(s.entry), "description": s.doc} for s in _symbols(shown)],
        "steps": [_step_object(step) for step in shown.derivation.steps],
    }


def _step_object(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "formula": _formula_object(step.formula),
        "formulas": [{"label": label, **_formula_object(formula)} for label, formula in step.formulas],
        "because": step.because,
        "source": step.source,
        "proved": step.proved,
        "holds": step.holds,
    }


def _formula_object(formula: sp.Basic) -> dict[str, str]:
    return {"text": text(formula), "latex": latex(formula)}
