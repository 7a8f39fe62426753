"""What a programme is lowered to: blocks of columns and rows, and pieces, each many instances of one template.

Instances are arrays of positions, never one object a term.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.evaluate import Array
from mechdsl.formula import Letter, Quantity
from mechdsl.program import Constraint, Variable

__all__ = ["Block", "Instances", "Lowered", "Opening", "Piece", "Positions", "RowBlock"]

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """A number that depends on open parameters: `formula` spread over `letters`, taken at flat `positions`."""

    formula: sp.Expr
    letters: tuple[Letter, ...]
    positions: Positions


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Instances of a template: `rows[i]` gains `weight[i] * opening[i] * template(x[columns[:][i]], factors[:][i])`."""

    template: sp.Expr
    slots: tuple[sp.Symbol, ...]
    factor_symbols: tuple[sp.Symbol, ...]
    columns: tuple[Positions, ...]
    factors: tuple[Array | Opening, ...]
    rows: Positions
    weight: Array
    opening: Opening | None


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Columns of one variable: `start` onwards, in the order of its array."""

    variable: Variable
    start: int
    size: int
    shape: tuple[int, ...]
    auxiliary: bool


@dataclass(frozen=True, slots=True, eq=False)
class RowBlock:
    """Rows of one constraint: `start` onwards, one for each of `members` (flat positions in the constraint's array)."""

    constraint: Constraint
    start: int
    members: Positions
    auxiliary: bool
    defines: Block | None = None
    condition: sp.Basic = sp.true  # one that depends on open parameters

    @property
    def size(self) -> int:
        return len(self.members)


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """Rows are numbered from 1; row 0 is the minimised objective."""

    blocks: tuple[Block, ...]
    row_blocks: tuple[RowBlock, ...]
    pieces: tuple[Piece, ...]
    smooth: bool
    data: Mapping[Quantity, Array]
    opens: frozenset[Quantity]

    @property
    def columns(self) -> int:
        return sum(b.size for b in self.blocks)

    @property
    def rows(self) -> int:
        return sum(b.size for b in self.row_blocks)


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """Instances under way: a position of every letter, the row, the coefficient so far."""

    letters: tuple[Letter, ...]
    positions: tuple[Positions, ...]
    rows: Positions
    weight: Array
    opening: sp.Expr = field(default_factory=lambda: sp.S.One)
    direction: int = 0  # +1 where a larger term is worse, -1 where it is better, 0 where it must be exact

    @property
    def count(self) -> int:
        return len(self.rows)

    def keep(self, mask: npt.NDArray[np.bool_]) -> Instances:
        if mask.all():
            return self
        return replace(
            self, positions=tuple(p[mask] for p in self.positions), rows=self.rows[mask], weight=self.weight[mask]
        )

    def flat(self, letters: tuple[Letter, ...]) -> Positions:
        """Flat positions in an array over `letters`."""
        if not letters:
            return np.zeros(self.count, dtype=np.intp)
        at = tuple(self.positions[self.letters.index(a)] for a in letters)
        return np.ravel_multi_index(at, tuple(len(a.index_set) for a in letters)).astype(np.intp)

    def spread(self, letters: tuple[Letter, ...]) -> Instances:
        """Every instance once for each combination of the new letters, rows staying in order."""
        sizes = [len(a.index_set) for a in letters]
        total = int(np.prod(sizes))
        new = np.unravel_index(np.tile(np.arange(total), self.count), sizes)
        return replace(
            self,
            letters=self.letters + letters,
            positions=tuple(np.repeat(p, total) for p in self.positions) + tuple(p.astype(np.intp) for p in new),
            rows=np.repeat(self.rows, total),
            weight=np.repeat(self.weight, total),
        )
