"""Arguments of a distribution as the text states them: exact numbers, checked once, printed as they were written.

Numbers stay Fractions for print and for symbolic formulas; floats are made here, and whatever a float cannot hold is
refused here, so that no formula further on meets a NaN or an infinity that the text did not mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeAlias

__all__ = [
    "DistributionError",
    "Number",
    "Support",
    "as_floats",
    "bounded_support",
    "exact",
    "number_text",
    "wide_support",
]

Number: TypeAlias = int | float | Fraction
Support: TypeAlias = tuple[Number, Number]


class DistributionError(ValueError):
    """Arguments that make no distribution; the elaborator turns it into a diagnostic at the place of the argument.

    Args:
        message: one sentence, lower case, no full stop.
        hint: the remedy, whole sentences.
        argument: position of the argument at fault, None when it is not one of them.
        at_support: whether the fault lies in the `on [a, b]`.
    """

    def __init__(self, message: str, hint: str = "", argument: int | None = None, at_support: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.argument = argument
        self.at_support = at_support


def as_floats(values: Sequence[Number], names: Sequence[str], family: str) -> tuple[float, ...]:
    """The arguments as floats.

    Raises:
        DistributionError: one of them is not a finite number.
    """
    floats = []
    for position, (value, name) in enumerate(zip(values, names, strict=True)):
        number = _float(value)
        if not math.isfinite(number):
            raise DistributionError(
                f"{name} of {family} is {_spelt(number)}", f"{name} must be a finite number.", argument=position
            )
        floats.append(number)
    return tuple(floats)


def bounded_support(
    support: Support | None, family: str, default: Support | None = None
) -> tuple[Support, float, float]:
    """`[a, b]`, finite and not empty: as stated, and as floats.

    Raises:
        DistributionError: none stated where there is no default; reversed, empty or not finite.
    """
    stated = support if support is not None else default
    if stated is None:
        raise DistributionError(f"{family} needs a support", f"Say where it lives: {family}(...) on [a, b].")
    lower, upper = _float(stated[0]), _float(stated[1])
    for end in (lower, upper):
        if not math.isfinite(end):
            raise DistributionError(
                f"the support of {family} has an end at {_spelt(end)}",
                "Both ends must be finite numbers: on [a, b].",
                at_support=True,
            )
    _ordered(stated, lower, upper, family)
    return stated, lower, upper


def wide_support(support: Support | None, family: str, whole: Support) -> tuple[float, float]:
    """`[a, b]` within the family's own range `whole`, ends possibly infinite; the whole range when none is stated.

    Raises:
        DistributionError: reversed, empty, NaN, or reaching out of the range.
    """
    if support is None:
        return _float(whole[0]), _float(whole[1])
    lower, upper = _float(support[0]), _float(support[1])
    if math.isnan(lower) or math.isnan(upper):
        raise DistributionError(f"the support of {family} has an end that is not a number", at_support=True)
    _ordered(support, lower, upper, family)
    if lower < _float(whole[0]):
        raise DistributionError(
            f"the support of {family} starts at {number_text(support[0])}, where it has no density",
            f"{family} lives on [{number_text(whole[0])}, inf): start the support at {number_text(whole[0])} or above.",
            at_support=True,
        )
    return lower, upper


def exact(value: Number) -> Any:
    """A number as sympy takes it: Fractions and integers exactly, floats as the floats they are."""
    import sympy as sp

    if isinstance(value, Fraction):
        return sp.Rational(value.numerator, value.denominator)
    if isinstance(value, float) and not value.is_integer():
        return sp.Float(value, 17)
    return sp.Integer(int(value))


def number_text(value: Number) -> str:
    """`0.05`, `1/3`, `1e-06`: as short as it can be written without changing it; rounded if that would be too long."""
    if isinstance(value, Fraction):
        decimal = repr(_float(value))
        long = value.numerator.bit_length() + value.denominator.bit_length() > 128
        if long or Fraction(decimal) == value:
            return decimal.removesuffix(".0")
        return f"{value.numerator}/{value.denominator}" if value.denominator != 1 else str(value.numerator)
    return repr(_float(value)).removesuffix(".0")


def _float(value: Number) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _ordered(stated: Support, lower: float, upper: float, family: str) -> None:
    shown = f"[{number_text(stated[0])}, {number_text(stated[1])}]"
    if lower > upper:
        swapped = f"[{number_text(stated[1])}, {number_text(stated[0])}]"
        raise DistributionError(f"the support {shown} of {family} is reversed", f"Write {swapped}.", at_support=True)
    if lower == upper:
        raise DistributionError(
            f"the support {shown} of {family} is empty", "For a type that is known write point(v).", at_support=True
        )
    if math.isfinite(lower) and math.isfinite(upper) and not _resolved(lower, upper):
        raise DistributionError(
            f"the support {shown} of {family} is too wide or too narrow for floating point",
            "Choose other units.",
            at_support=True,
        )


def _resolved(lower: float, upper: float) -> bool:
    """Whether the width is a normal number, with square and inverse, and holds enough floats to speak of a density."""
    width = upper - lower
    return 1e-150 < width < 1e150 and width > 1e-9 * max(abs(lower), abs(upper))


def _spelt(number: float) -> str:
    return "not a number" if math.isnan(number) else "infinite" if number > 0 else "minus infinity"
