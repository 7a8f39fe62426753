"""Symbols of the theory that are no quantities of a market: rules at a report, other providers' types, expectations.

They appear in what is shown (incentive compatibility, the payment rule), never in what is solved, so nothing evaluates
them; each carries its own rendering, as the nodes of `mechdsl.formula` do.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Sequence
from typing import Any, cast

import sympy as sp

from mechdsl.formula import Entry, Letter, Quantity
from mechdsl.market import PrivateType

__all__ = [
    "Best",
    "Expectation",
    "Others",
    "Rule",
    "Slope",
    "free_name",
    "highest",
    "meaning",
    "misreport",
    "own",
    "running",
    "subscript",
]


class Best(sp.Expr):  # type: ignore[misc]
    """`max_π π·S(π)`: the largest value over what some symbols may be. Args: the value, Tuple of the symbols."""

    is_commutative = True
    is_real = True

    def __new__(cls, body: sp.Expr, over: Sequence[sp.Expr] | sp.Tuple) -> Best:
        return cast(Best, sp.Expr.__new__(cls, body, sp.Tuple(*over)))

    @property
    def body(self) -> sp.Expr:
        return self.args[0]

    @property
    def over(self) -> tuple[sp.Expr, ...]:
        return tuple(self.args[1].args)

    def _sympystr(self, printer: Any) -> str:
        return f"max_{{{', '.join(printer._print(a) for a in self.over)}}}({printer._print(self.body)})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        under = ", ".join(printer._print(a) for a in self.over)
        text = rf"\max_{{{under}}}\left({printer._print(self.body)}\right)"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class Rule(sp.Expr):  # type: ignore[misc]
    """`x[k](c[k], c₋ₖ)`: a mechanism's rule, for one provider, at a report. Args: the entry, then the report."""

    is_commutative = True
    is_real = True

    def __new__(cls, head: sp.Expr, *report: sp.Expr) -> Rule:
        return cast(Rule, sp.Expr.__new__(cls, head, *report))

    @property
    def head(self) -> sp.Expr:
        return self.args[0]

    @property
    def report(self) -> tuple[sp.Expr, ...]:
        return tuple(self.args[1:])

    def _eval_is_nonnegative(self) -> bool | None:
        return cast("bool | None", self.head.is_nonnegative)

    def _sympystr(self, printer: Any) -> str:
        return f"{printer._print(self.head)}({', '.join(printer._print(a) for a in self.report)})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        inner = ", ".join(printer._print(a) for a in self.report)
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"{printer._print(self.head)}{power}\left({inner}\right)"


class Others(sp.Expr):  # type: ignore[misc]
    """`c₋ₖ`: everyone else's types, or weights. Args: the quantity, Tuple of the provider's letters."""

    is_commutative = True
    is_real = True

    def __new__(cls, of: Quantity, letters: Sequence[Letter] | sp.Tuple) -> Others:
        return cast(Others, sp.Expr.__new__(cls, of, sp.Tuple(*letters)))

    @property
    def of(self) -> Quantity:
        return cast(Quantity, self.args[0])

    @property
    def letters(self) -> tuple[Letter, ...]:
        return tuple(self.args[1].args)

    def _sympystr(self, printer: Any) -> str:
        return f"{printer._print(self.of)}{subscript(self.letters) or '₋'}"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        under = ", ".join(printer._print(a) for a in self.letters) or "0"
        power = f"^{{{exp}}}" if exp is not None else ""
        return f"{printer._print(self.of)}_{{-{under}}}{power}"


class Expectation(sp.Expr):  # type: ignore[misc]
    """`E[body]` over the types of everyone but the provider of `letters`. Args: body, Tuple of letters."""

    is_commutative = True
    is_real = True

    def __new__(cls, body: sp.Expr, letters: Sequence[Letter] | sp.Tuple) -> Expectation:
        return cast(Expectation, sp.Expr.__new__(cls, body, sp.Tuple(*letters)))

    @property
    def body(self) -> sp.Expr:
        return self.args[0]

    @property
    def letters(self) -> tuple[Letter, ...]:
        return tuple(self.args[1].args)

    def _sympystr(self, printer: Any) -> str:
        return f"E{subscript(self.letters)}[{printer._print(self.body)}]"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        under = ", ".join(printer._print(a) for a in self.letters)
        text = rf"\mathbb{{E}}_{{-{under}}}\left[{printer._print(self.body)}\right]"
        return text if exp is None else rf"{text}^{{{exp}}}"


class Slope(sp.Expr):  # type: ignore[misc]
    """`dU/dc`: the derivative of a rule in one of its arguments, unevaluated. Args: the rule, the argument."""

    is_commutative = True
    is_real = True

    def __new__(cls, rule: sp.Expr, argument: sp.Expr) -> Slope:
        return cast(Slope, sp.Expr.__new__(cls, rule, argument))

    def _sympystr(self, printer: Any) -> str:
        return f"d{printer._print(self.args[0])}/d{printer._print(self.args[1])}"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"\frac{{\partial}}{{\partial {printer._print(self.args[1])}}} {printer._print(self.args[0])}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


def own(private: PrivateType, letters: Sequence[Letter]) -> sp.Expr:
    """`c[k]`: the provider's own type."""
    return Entry(private.quantity, *letters) if letters else private.quantity


def misreport(private: PrivateType, letters: Sequence[Letter]) -> sp.Expr:
    """`ĉ[k]`: what the provider says instead."""
    return _beside(private, letters, unicodedata.normalize("NFC", f"{private.name}\u0302"))


def highest(private: PrivateType, letters: Sequence[Letter], taken: Container[str] = ()) -> sp.Expr:
    """`b[k]`: the upper end of the type's support."""
    return _beside(private, letters, free_name("b", taken))


def running(private: PrivateType, taken: Container[str] = ()) -> sp.Expr:
    """`t`: the type that runs over the integral."""
    return Quantity(free_name("t", taken), (), "open", private.quantity.domain)


def free_name(name: str, taken: Container[str]) -> str:
    """`name`, with a prime where the file uses it for something of its own."""
    while name in taken:
        name += "′"
    return name


def _beside(private: PrivateType, letters: Sequence[Letter], name: str) -> sp.Expr:
    quantity = Quantity(name, private.quantity.sets, "open", private.quantity.domain)
    return Entry(quantity, *letters) if letters else quantity


_SMALL = {"a": "ₐ", "e": "ₑ", "h": "ₕ", "i": "ᵢ", "j": "ⱼ", "k": "ₖ", "l": "ₗ", "m": "ₘ", "n": "ₙ", "o": "ₒ", "p": "ₚ",
          "r": "ᵣ", "s": "ₛ", "t": "ₜ", "u": "ᵤ", "v": "ᵥ", "x": "ₓ"}  # fmt: skip


def subscript(letters: Sequence[object]) -> str:
    """`₋ₖ`, where Unicode has the letters; else `_-(k, n)`."""
    names = [str(a) for a in letters]
    if len(names) == 1 and names[0] in _SMALL:
        return "₋" + _SMALL[names[0]]
    return f"_-({', '.join(names)})" if names else ""


_MEANINGS = {
    "vc": "virtual cost",
    "y": "output in units of private cost: what the type is multiplied by",
    "p": "payment",
    "U": "utility of a provider that reports truthfully",
    "b": "upper end of the type's support",
    "t": "a type between the provider's own and the highest",
    "Psi": "least value of the programme, as a function of the weights",
    "φ⁻¹": "inverse of the cost's shape phi",
    "lambda": "shadow price of a constraint",
    "nu": "multiplier of a lower bound",
    "xi": "multiplier of an upper bound",
    "F": "cumulative distribution of the type",
    "f": "density of the type",
}
_PROMISED = {
    "z": "what is promised before types are known",
    "t": "price of the contract that is signed before types are known",
}


def meaning(symbol: sp.Basic) -> str:
    """What a symbol stands for that the theory introduced; nothing if it is none of the theory's."""
    if isinstance(symbol, Others):
        return "everyone else's"
    name = str(getattr(symbol, "name", symbol))
    if "\u0302" in unicodedata.normalize("NFD", name):
        return "a reported type that may not be the true one"
    name = name.rstrip("′")
    if isinstance(symbol, Quantity) and symbol.role == "decision":
        return _PROMISED.get(name.partition("_")[0], "")
    return _MEANINGS.get(name, "") or _MEANINGS.get(name.partition("_")[0], "")
