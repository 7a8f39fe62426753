"""How the pieces of a formula are spelt: in Unicode for terminals, in LaTeX for documents, in MathML for pages.

A `Style` decides no structure (order, signs, parentheses: `mechdsl.report.formulas` does), so the renderings never
disagree and a further one is a further style. Names are taken apart here: `rho` is Greek, `c_G` and `x12` have
subscripts.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

import sympy as sp

from mechdsl.formula import Quantity
from mechdsl.report.prose import GREEK, GREEK_WORDS, latex_text
from mechdsl.theory.notation import subscript

__all__ = ["LATEX", "LATEX_INLINE", "MATHML", "TEXT", "Style"]


class Style(ABC):
    """How the pieces of a formula are spelt. Every method gets rendered pieces and gives one."""

    minus = "−"
    comma = ", "
    relations: Mapping[type[sp.Basic], str] = {sp.Eq: "=", sp.Ne: "≠", sp.Ge: "≥", sp.Le: "≤", sp.Gt: ">", sp.Lt: "<"}
    logic: Mapping[type[sp.Basic], str] = {sp.And: "∧", sp.Or: "∨"}

    @abstractmethod
    def number(self, digits: str) -> str: ...

    @abstractmethod
    def constant(self, name: str) -> str: ...

    @abstractmethod
    def name(self, symbol: sp.Symbol) -> str: ...

    @abstractmethod
    def label(self, label: str) -> str: ...

    @abstractmethod
    def entry(self, quantity: Quantity, indices: Sequence[str]) -> str: ...

    @abstractmethod
    def others(self, quantity: Quantity, letters: Sequence[str]) -> str: ...

    @abstractmethod
    def parentheses(self, inner: str) -> str: ...

    @abstractmethod
    def operator(self, sign: str) -> str: ...

    @abstractmethod
    def product(self, factors: Sequence[str]) -> str: ...

    @abstractmethod
    def fraction(self, above: str, below: str) -> str: ...

    @abstractmethod
    def power(self, base: str, exponent: str, exponent_is_simple: bool) -> str: ...

    @abstractmethod
    def root(self, inner: str) -> str: ...

    @abstractmethod
    def aggregate(self, sign: str, letters: Sequence[str], where: str | None, body: str) -> str: ...

    @abstractmethod
    def integral(self, body: str, variable: str, lower: str, upper: str) -> str: ...

    @abstractmethod
    def function(self, name: str, arguments: Sequence[str]) -> str: ...

    @abstractmethod
    def absolute(self, inner: str) -> str: ...

    @abstractmethod
    def cases(self, rows: Sequence[tuple[str, str | None]]) -> str: ...

    @abstractmethod
    def indicator(self, condition: str) -> str: ...

    @abstractmethod
    def expectation(self, letters: Sequence[str], body: str) -> str: ...

    @abstractmethod
    def slope(self, rule: str, argument: str) -> str: ...

    def fraction_needs_parentheses(self) -> bool:
        """Whether fractions are written on the line."""
        return False

    def in_exponent(self) -> Style:
        """The style of what stands in an exponent."""
        return self


def _parts(name: str) -> tuple[str, str]:
    """Base and subscript: `c_G` -> c, G; `x12` -> x, 12; a longer word stays whole."""
    base, _, rest = name.partition("_")
    if rest and rest.strip("_") and (len(base) == 1 or base in GREEK):
        return base, rest.strip("_")
    found = re.fullmatch(r"([^\W\d_]+?)(\d+)", name)
    if found and (len(found[1]) == 1 or found[1] in GREEK):
        return found[1], found[2]
    return name, ""


def _statistic(quantity: sp.Symbol) -> tuple[str, str] | None:
    """`mean(c)` -> mean, c."""
    found = re.fullmatch(r"([a-z]+)\((\w+)\)", str(quantity.name))
    return (found[1], found[2]) if found else None


def _xml(word: str) -> str:
    """Text for XML: escaped, and without the characters that XML cannot hold at all."""
    return escape("".join(c if c.isprintable() else " " for c in word), quote=False)


class _Text(Style):
    def number(self, digits: str) -> str:
        return digits

    def constant(self, name: str) -> str:
        return {"oo": "∞", "pi": "π"}.get(name, name)

    def name(self, symbol: sp.Symbol) -> str:
        return self._word(str(symbol.name))

    def _word(self, name: str) -> str:
        base, under = _parts(name)
        spelt = GREEK.get(base, base)
        return f"{spelt}_{GREEK.get(under, under)}" if "_" in name and under else f"{spelt}{under}"

    def label(self, label: str) -> str:
        return label

    def entry(self, quantity: Quantity, indices: Sequence[str]) -> str:
        statistic = _statistic(quantity)
        if statistic:
            return f"{statistic[0]}({self._word(statistic[1])}[{', '.join(indices)}])"
        return f"{self.name(quantity)}[{', '.join(indices)}]"

    def others(self, quantity: Quantity, letters: Sequence[str]) -> str:
        return f"{self.name(quantity)}{subscript(letters) or '₋'}"

    def parentheses(self, inner: str) -> str:
        return f"({inner})"

    def operator(self, sign: str) -> str:
        return sign

    def product(self, factors: Sequence[str]) -> str:
        return "·".join(factors)

    def fraction(self, above: str, below: str) -> str:
        return f"{above}/{below}"

    def fraction_needs_parentheses(self) -> bool:
        return True

    def power(self, base: str, exponent: str, exponent_is_simple: bool) -> str:
        if exponent in ("2", "3"):
            return base + {"2": "²", "3": "³"}[exponent]
        return f"{base}^{exponent}" if exponent_is_simple else f"{base}^({exponent})"

    def root(self, inner: str) -> str:
        return f"√{inner}" if re.fullmatch(r"\w+(\[[^\[\]]*\])?", inner) else f"√({inner})"

    def aggregate(self, sign: str, letters: Sequence[str], where: str | None, body: str) -> str:
        under = ",".join(letters)
        under = (
            under if where is None and len(letters) == 1 else f"[{under}]" if where is None else f"[{under}: {where}]"
        )
        return f"{sign}{'_' if under[0] != '[' else ''}{under} {body}"

    def integral(self, body: str, variable: str, lower: str, upper: str) -> str:
        return f"∫[{variable} = {lower} .. {upper}] {body} d{variable}"

    def function(self, name: str, arguments: Sequence[str]) -> str:
        return f"{name}({', '.join(arguments)})"

    def absolute(self, inner: str) -> str:
        return f"|{inner}|"

    def cases(self, rows: Sequence[tuple[str, str | None]]) -> str:
        inner = rows[-1][0]
        if rows[-1][1] is not None:
            inner = f"if({rows[-1][1]}, {inner}, undefined)"
        for value, condition in reversed(rows[:-1]):
            inner = f"if({condition}, {value}, {inner})"
        return inner

    def indicator(self, condition: str) -> str:
        return f"[{condition}]"

    def expectation(self, letters: Sequence[str], body: str) -> str:
        return f"E{subscript(letters)}[{body}]"

    def slope(self, rule: str, argument: str) -> str:
        return f"d{rule}/d{argument}"


_OPERATORS = {"Σ": r"\sum", "Π": r"\prod"}


class _Latex(Style):
    minus = "-"

    def in_exponent(self) -> Style:
        return LATEX_INLINE

    relations: Mapping[type[sp.Basic], str] = {
        sp.Eq: "=", sp.Ne: r"\ne", sp.Ge: r"\ge", sp.Le: r"\le", sp.Gt: ">", sp.Lt: "<",
    }  # fmt: skip
    logic: Mapping[type[sp.Basic], str] = {sp.And: r"\wedge", sp.Or: r"\vee"}

    def number(self, digits: str) -> str:
        mantissa, _, exponent = digits.partition("e")
        return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else digits

    def constant(self, name: str) -> str:
        return {"oo": r"\infty", "pi": r"\pi", "e": "e", "nan": r"\text{undefined}"}.get(name, rf"\text{{{name}}}")

    def name(self, symbol: sp.Symbol) -> str:
        statistic = _statistic(symbol)
        if statistic:
            return rf"\operatorname{{{statistic[0]}}}\left({self._joined(*_parts(statistic[1]), [])}\right)"
        stated = symbol.latex_name if isinstance(symbol, Quantity) else None
        return self._joined(*_parts(str(symbol.name)), []) if stated is None else stated

    def _joined(self, base: str, under: str, indices: Sequence[str]) -> str:
        below = ", ".join([*([self._word(under)] if under else []), *indices])
        return f"{self._word(base)}_{{{below}}}" if below else self._word(base)

    def _word(self, word: str) -> str:
        bare = word.rstrip("′")
        if bare != word and bare:
            return self._word(bare) + "'" * (len(word) - len(bare))
        plain = unicodedata.normalize("NFD", word)
        if len(plain) > 1 and plain.endswith("\u0302"):
            return rf"\hat{{{self._word(plain[:-1])}}}"
        word = GREEK_WORDS.get(word, word)
        if word in GREEK:
            return f"\\{word}"
        if word.isascii() and word.isalnum():
            return word if len(word) == 1 or word.isdigit() else rf"\mathit{{{word}}}"
        return rf"\text{{{latex_text(word)}}}"

    def label(self, label: str) -> str:
        return label if label.isascii() and label.isdigit() else rf"\text{{{latex_text(label)}}}"

    def entry(self, quantity: Quantity, indices: Sequence[str]) -> str:
        if quantity.latex_name is not None:
            return f"{quantity.latex_name}_{{{', '.join(indices)}}}"
        statistic = _statistic(quantity)
        if statistic:
            return rf"\operatorname{{{statistic[0]}}}\left({self._joined(*_parts(statistic[1]), indices)}\right)"
        return self._joined(*_parts(str(quantity.name)), indices)

    def others(self, quantity: Quantity, letters: Sequence[str]) -> str:
        return self.entry(quantity, [f"-{', '.join(letters) or '0'}"])

    def parentheses(self, inner: str) -> str:
        return rf"\left({inner}\right)"

    def operator(self, sign: str) -> str:
        return r"\neg " if sign == "¬" else sign

    def product(self, factors: Sequence[str]) -> str:
        pieces = [factors[0]]
        for before, factor in pairwise(factors):
            pieces.append(rf" \cdot {factor}" if before[-1].isdigit() and factor[0].isdigit() else rf" \, {factor}")
        return "".join(pieces)

    def fraction(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def power(self, base: str, exponent: str, exponent_is_simple: bool) -> str:
        # A name with a superscript of its own (a multiplier's) takes no second one bare.
        return f"{{{base}}}^{{{exponent}}}" if "^" in base else f"{base}^{{{exponent}}}"

    def root(self, inner: str) -> str:
        return rf"\sqrt{{{inner}}}"

    def aggregate(self, sign: str, letters: Sequence[str], where: str | None, body: str) -> str:
        under = ", ".join(letters) + (rf" :\, {where}" if where is not None else "")
        return rf"{_OPERATORS.get(sign, chr(92) + sign)}_{{{under}}} {body}"

    def integral(self, body: str, variable: str, lower: str, upper: str) -> str:
        return rf"\int_{{{lower}}}^{{{upper}}} {body} \, d{variable}"

    def function(self, name: str, arguments: Sequence[str]) -> str:
        known = name in ("exp", "log", "max", "min")
        return (f"\\{name}" if known else rf"\operatorname{{{name}}}") + self.parentheses(", ".join(arguments))

    def absolute(self, inner: str) -> str:
        return rf"\left|{inner}\right|"

    def cases(self, rows: Sequence[tuple[str, str | None]]) -> str:
        lines = [f"{v} & " + (r"\text{otherwise}" if c is None else rf"\text{{if }} {c}") for v, c in rows]
        return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}"

    def indicator(self, condition: str) -> str:
        return rf"\mathbf{{1}}\{{{condition}\}}"

    def expectation(self, letters: Sequence[str], body: str) -> str:
        return rf"\mathrm{{E}}_{{-{', '.join(letters)}}}\left[{body}\right]"

    def slope(self, rule: str, argument: str) -> str:
        return rf"\frac{{\partial {rule}}}{{\partial {argument}}}"


_OTHERWISE, _IF = "<mtext>otherwise</mtext>", "<mtext>if&#xa0;</mtext>"


class _MathML(Style):
    comma = "<mo>,</mo>"

    def number(self, digits: str) -> str:
        return f"<mn>{digits}</mn>"

    def constant(self, name: str) -> str:
        known = {"oo": "∞", "pi": "π", "e": "e", "nan": "undefined"}
        return f"<mi>{known.get(name, name)}</mi>"

    def name(self, symbol: sp.Symbol) -> str:
        statistic = _statistic(symbol)
        if statistic:
            return self.function(statistic[0], [self._joined(*_parts(statistic[1]), [])])
        return self._joined(*_parts(str(symbol.name)), [])

    def _joined(self, base: str, under: str, indices: Sequence[str]) -> str:
        below = self._row("<mo>,</mo>".join([*([self._word(under)] if under else []), *indices]))
        return f"<msub>{self._word(base)}{below}</msub>" if under or indices else self._word(base)

    def in_exponent(self) -> Style:
        return MATHML_INLINE

    def _word(self, word: str) -> str:
        plain = unicodedata.normalize("NFD", word)
        if len(plain) > 1 and plain.endswith("\u0302"):
            return f'<mover accent="true">{self._word(plain[:-1])}<mo>^</mo></mover>'
        bare = word.rstrip("′")
        if bare != word and bare:
            return f"<msup>{self._word(bare)}<mo>{'′' * (len(word) - len(bare))}</mo></msup>"
        return f"<mi>{_xml(GREEK.get(word, word))}</mi>"

    def _row(self, inner: str) -> str:
        return f"<mrow>{inner}</mrow>"

    def label(self, label: str) -> str:
        return f"<mtext>{_xml(label)}</mtext>"

    def entry(self, quantity: Quantity, indices: Sequence[str]) -> str:
        statistic = _statistic(quantity)
        if statistic:
            return self.function(statistic[0], [self._joined(*_parts(statistic[1]), indices)])
        return self._joined(*_parts(str(quantity.name)), indices)

    def others(self, quantity: Quantity, letters: Sequence[str]) -> str:
        return self._joined(*_parts(str(quantity.name)), [self._row("<mo>−</mo>" + "<mo>,</mo>".join(letters))])

    def parentheses(self, inner: str) -> str:
        return self._fenced("(", inner, ")")

    def _fenced(self, left: str, inner: str, right: str) -> str:
        """In fences that grow with what is tall: a fence that may grow is set too loosely around what is not."""
        grow = any(tag in inner for tag in ("<mfrac", "<munder", "<mtable", "<msqrt", "∫"))
        fence = "<mo>{}</mo>" if grow else '<mo stretchy="false">{}</mo>'
        return f"<mrow>{fence.format(left)}{inner}{fence.format(right)}</mrow>"

    def operator(self, sign: str) -> str:
        return f"<mo>{_xml(sign)}</mo>"

    def product(self, factors: Sequence[str]) -> str:
        pieces = [factors[0]]
        for before, factor in pairwise(factors):
            digits = before.endswith("</mn>") and factor.startswith("<mn>")
            pieces.append(("<mo>·</mo>" if digits else '<mspace width="0.14em"/>') + factor)
        return "".join(pieces)

    def fraction(self, above: str, below: str) -> str:
        return f"<mfrac>{self._row(above)}{self._row(below)}</mfrac>"

    def power(self, base: str, exponent: str, exponent_is_simple: bool) -> str:
        entry = re.fullmatch(r"<msub>((?:(?!<msub>).)*)</msub>", base)
        if entry:  # index and power one above the other
            return f"<msubsup>{entry[1]}{self._row(exponent)}</msubsup>"
        return f"<msup>{self._row(base)}{self._row(exponent)}</msup>"

    def root(self, inner: str) -> str:
        return f"<msqrt>{inner}</msqrt>"

    def aggregate(self, sign: str, letters: Sequence[str], where: str | None, body: str) -> str:
        under = "<mo>,</mo>".join(letters) + (f"<mo>:</mo>{where}" if where is not None else "")
        sign = f'<mo movablelimits="false">{ {"Σ": "∑", "Π": "∏"}.get(sign, sign) }</mo>'
        return f"<mrow><munder>{sign}{self._row(under)}</munder>{body}</mrow>"

    def integral(self, body: str, variable: str, lower: str, upper: str) -> str:
        ends = f"<msubsup><mo>∫</mo>{self._row(lower)}{self._row(upper)}</msubsup>"
        return f'<mrow>{ends}{body}<mspace width="0.2em"/><mi>d</mi>{variable}</mrow>'

    def function(self, name: str, arguments: Sequence[str]) -> str:
        return f"<mi>{_xml(name)}</mi>{self.parentheses('<mo>,</mo>'.join(arguments))}"

    def absolute(self, inner: str) -> str:
        return self._fenced("|", inner, "|")

    def cases(self, rows: Sequence[tuple[str, str | None]]) -> str:
        pairs = [(self._row(v), _OTHERWISE if c is None else self._row(c)) for v, c in rows]
        aligned = ' style="text-align: left"'
        lines = "".join(
            f"<mtr><mtd{aligned}>{value}</mtd><mtd{aligned}>{'' if c == _OTHERWISE else _IF}{c}</mtd></mtr>"
            for value, c in pairs
        )
        return f"<mrow><mo>{{</mo><mtable>{lines}</mtable></mrow>"

    def indicator(self, condition: str) -> str:
        return f"<mrow><mn>1</mn>{self._fenced('{', condition, '}')}</mrow>"

    def expectation(self, letters: Sequence[str], body: str) -> str:
        under = self._row("<mo>−</mo>" + "<mo>,</mo>".join(letters))
        return f"<msub><mi>E</mi>{under}</msub>{self._fenced('[', body, ']')}"

    def slope(self, rule: str, argument: str) -> str:
        return self.fraction(f"<mo>∂</mo>{rule}", f"<mo>∂</mo>{argument}")


class _LatexInline(_Latex):
    """Fractions on the line."""

    def fraction(self, above: str, below: str) -> str:
        return f"{above}/{below}"

    def fraction_needs_parentheses(self) -> bool:
        return True


class _MathMLInline(_MathML):
    """Fractions on the line."""

    def fraction(self, above: str, below: str) -> str:
        return f'{above}<mo lspace="0" rspace="0">/</mo>{below}'

    def fraction_needs_parentheses(self) -> bool:
        return True


TEXT: Style = _Text()
LATEX: Style = _Latex()
LATEX_INLINE: Style = _LatexInline()
MATHML: Style = _MathML()
MATHML_INLINE: Style = _MathMLInline()
