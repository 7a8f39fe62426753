"""What is to be computed, as text and numbers: points of a grid, instances, draws; cut into parts that stand alone.

Parts are numbered, and the cut depends on the task alone: however many processes there are, and whichever of them
takes which part, the same rows come out.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path

from mechdsl.draws import another_seed
from mechdsl.elaborate import Override
from mechdsl.loading import packages

__all__ = ["SEED", "GridAxis", "Part", "Point", "Task"]

SEED = "seed"  # `vary seed in 1..10`: what the seed draws, drawn with each; unless the market calls something so

ROWS = 4096  # draws a part, of every regime
POINTS = 32  # markets a part at most


@dataclass(frozen=True, slots=True)
class GridAxis:
    """`d.sports in 1..20`: a param, or one entry of it, and the values it takes.

    Where the param takes labels, `takes` holds them and the values are places in it. `is_seed`: it is no param, but the
    seed itself.
    """

    name: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    takes: tuple[str, ...] = ()
    is_seed: bool = False

    def stated(self, value: float) -> float | str:
        """A value as the file would state it: a number, or a label."""
        return self.takes[int(value)] if self.takes else value

    def text(self, value: float) -> str:
        """`3.5`, or a label."""
        return self.takes[int(value)] if self.takes else f"{value:g}"

    def override(self, value: float) -> Override:
        """What sets the param so."""
        return Override(self.name, self.labels, self.stated(value))

    @property
    def address(self) -> str:
        """`d.sports`."""
        return ".".join((self.name, *self.labels))


@dataclass(frozen=True, slots=True)
class Point:
    """One market to look at: its number, the instance it belongs to, and the values on the axes."""

    number: int
    instance: int
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Points `first_point` up to `last_point`, draws `first_draw` up to `last_draw` (ends excluded) of each."""

    number: int
    first_point: int
    last_point: int
    first_draw: int
    last_draw: int


@dataclass(frozen=True, slots=True)
class Task:
    """Outcomes to compute.

    Args:
        text, name, folder: the file; folder is where the csv files it names lie.
        plugins: files of further structures.
        regimes: whose outcomes, in the order of the file.
        overrides, report: params and reported types from outside the file.
        axes: the grid, the first axis varying slowest; none for the one market as stated.
        instances: how often params drawn with `~` are drawn anew.
        draws: of the types, at every point; 0 for the report.
        seed: of params and types.
        measures: expressions to evaluate in every row, beside the outcomes.
        data: a hash of the files that the text names.
        money: whether payments are wanted; where only decisions are looked at, they need not be computed.
    """

    text: str
    name: str
    folder: str | None
    regimes: tuple[str, ...]
    plugins: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    report: tuple[Override, ...] = ()
    axes: tuple[GridAxis, ...] = ()
    instances: int = 1
    draws: int = 0
    seed: int = 0
    measures: tuple[str, ...] = ()
    data: str = ""
    money: bool = True

    @property
    def grid(self) -> tuple[int, ...]:
        """How many values on each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def points(self) -> int:
        return self.instances * math.prod(self.grid)

    def point(self, number: int) -> Point:
        """The point of a number: instances vary slowest, the last axis fastest."""
        rest, values = number, []
        for axis in reversed(self.axes):
            rest, place = divmod(rest, len(axis.values))
            values.append(axis.values[place])
        return Point(number, rest, tuple(reversed(values)))

    @property
    def varies_seed(self) -> bool:
        return any(axis.is_seed for axis in self.axes)

    def seed_of(self, point: Point) -> int:
        """What `solve --seed` takes to draw this point's params."""
        varied = [int(value) for axis, value in zip(self.axes, point.values, strict=True) if axis.is_seed]
        return another_seed(varied[0] if varied else self.seed, point.instance)

    def overrides_at(self, point: Point) -> list[Override]:
        """What sets the params of a point."""
        here = zip(self.axes, point.values, strict=True)
        return [axis.override(value) for axis, value in here if not axis.is_seed]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The cut: some points with all their draws, or some of the draws of one point."""
        return tuple(Part(n, *bounds) for n, bounds in enumerate(self._cut()))

    def _cut(self) -> Iterator[tuple[int, int, int, int]]:
        draws = max(self.draws, 1)
        together = max(1, min(POINTS, ROWS // draws))
        points = [(p, min(p + together, self.points)) for p in range(0, self.points, together)]
        stretches = [(d, min(d + ROWS, draws)) for d in range(0, draws, ROWS)]
        yield from ((*p, *d) for p, d in product(points, stretches))

    @property
    def fingerprint(self) -> str:
        """A hash of everything the numbers depend on."""
        facts = [
            importlib.metadata.version("mechdsl"),
            *packages(),
            *(hashlib.blake2b(Path(name).read_bytes()).hexdigest() for name in self.plugins),
            *(repr(getattr(self, f.name)) for f in fields(self) if f.name != "name"),
        ]
        return hashlib.blake2b("\x1e".join(facts).encode(), digest_size=8).hexdigest()
