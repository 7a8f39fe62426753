"""A template and its derivatives as a tape: a list of additions, multiplications, powers and functions of registers.

The batch engine's machine code is the same for every market: it plays tapes. So nothing has to be compiled for a
market, and nothing is generated from one but numbers. A tape is rendered from the very expressions that the template's
numpy functions are rendered from, and played for many instances at a time, which hides the reading of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.engines.templates import Kernel

__all__ = ["ADD", "EXP", "LOG", "MULTIPLY", "POWER", "RECIPROCAL", "SQRT", "SQUARE", "Tape", "tape_of"]

ADD, MULTIPLY, POWER, EXP, LOG, SQRT, RECIPROCAL, SQUARE = range(8)

_FUNCTIONS = {sp.exp: EXP, sp.log: LOG}


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """What is done to registers: the slots come first, then the factors, then constants, then results.

    Args:
        steps: (S, 4) operation, register written, registers read.
        ends: of the steps that give the value, then the slopes, then the bends.
        constants: (register, number).
        value: register of the value; slopes, bends: by slot and by turn.
        registers: how many.
    """

    steps: npt.NDArray[np.int64]
    ends: tuple[int, int, int]
    constants: tuple[tuple[int, float], ...]
    value: int
    slopes: tuple[int, ...]
    bends: tuple[int, ...]
    registers: int


def tape_of(kernel: Kernel) -> Tape | None:
    """The kernel's tape; None where it holds a function that no tape has."""
    outputs = [kernel.template, *kernel.slope_forms, *kernel.bend_forms]
    replacements, reduced = sp.cse(outputs, symbols=sp.numbered_symbols("t"))
    writer = _Writer([*kernel.slots, *kernel.factors])
    definitions = dict(replacements)
    ends, places = [], []
    for number, expression in enumerate(reduced):
        place = writer.place(expression, definitions)
        if place is None:
            return None
        places.append(place)
        if number in (0, kernel.arity):
            ends.append(len(writer.steps))
    ends.append(len(writer.steps))
    if len(ends) < 3:  # a template without slots never gets here
        return None
    return Tape(
        np.array(writer.steps, dtype=np.int64).reshape(-1, 4),
        (ends[0], ends[1], ends[2]),
        tuple(writer.constants.items()),
        places[0],
        tuple(places[1 : 1 + kernel.arity]),
        tuple(places[1 + kernel.arity :]),
        writer.count,
    )


class _Writer:
    """Registers as they are given out, and the steps that fill them."""

    def __init__(self, inputs: Sequence[sp.Symbol]) -> None:
        self.known: dict[sp.Expr, int] = {symbol: number for number, symbol in enumerate(inputs)}
        self.count = len(inputs)
        self.steps: list[tuple[int, int, int, int]] = []
        self.constants: dict[int, float] = {}

    def place(self, node: sp.Expr, definitions: dict[sp.Symbol, sp.Expr]) -> int | None:
        """The register that holds `node`, filled if it was not; None for what cannot be."""
        if node in self.known:
            return self.known[node]
        if node in definitions:
            found = self.place(definitions[node], definitions)
        elif node.is_number:
            found = self.constant(float(node)) if node.is_real else None
        elif node.is_Add or node.is_Mul:
            found = self.folded(node, ADD if node.is_Add else MULTIPLY, definitions)
        elif node.is_Pow:
            found = self.power(node, definitions)
        elif node.func in _FUNCTIONS:
            inner = self.place(node.args[0], definitions)
            found = None if inner is None else self.write(_FUNCTIONS[node.func], inner, inner)
        else:
            found = None
        if found is not None:
            self.known[node] = found
        return found

    def constant(self, value: float) -> int:
        for register, number in self.constants.items():
            if number == value:
                return register
        self.constants[self.count] = value
        self.count += 1
        return self.count - 1

    def write(self, operation: int, one: int, other: int) -> int:
        self.steps.append((operation, self.count, one, other))
        self.count += 1
        return self.count - 1

    def folded(self, node: sp.Expr, operation: int, definitions: dict[sp.Symbol, sp.Expr]) -> int | None:
        result: int | None = None
        for argument in node.args:
            place = self.place(argument, definitions)
            if place is None:
                return None
            result = place if result is None else self.write(operation, result, place)
        return result

    def power(self, node: sp.Expr, definitions: dict[sp.Symbol, sp.Expr]) -> int | None:
        exponent = node.exp
        base = self.place(node.base, definitions)
        if base is None:
            return None
        if exponent == -1:
            return self.write(RECIPROCAL, base, base)
        if exponent == 2:
            return self.write(SQUARE, base, base)
        if exponent == sp.Rational(1, 2):
            return self.write(SQRT, base, base)
        if exponent.could_extract_minus_sign() and exponent.is_number:
            positive = self.place(node.base**-exponent, definitions)
            return None if positive is None else self.write(RECIPROCAL, positive, positive)
        place = self.place(exponent, definitions)
        return None if place is None else self.write(POWER, base, place)
