"""Means, standard errors and quantiles in one pass, from summaries that can be merged.

Means and squares are added about a running mean. Quantiles keep values as they come until there are too many, then
every second one of a sorted buffer with its weight doubled, so memory grows with the logarithm of the number of draws
and the error of a rank has a bound that is kept with the summary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mechdsl.evaluate import Array

__all__ = ["Figure", "Quantiles", "Tally", "across"]

PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Figure:
    """What is known of one number over draws.

    Args:
        mean: over the rows that have a value; error: its standard error, NaN where one row cannot tell.
        count: of those rows; missing: of the others.
        low, high: smallest and largest.
        quantiles: at `PROBABILITIES`; `rank_error` bounds how far their ranks may be off, as a share of the rows.
        exact: rank_error is 0.
    """

    mean: float
    error: float
    count: int
    missing: int
    low: float
    high: float
    quantiles: tuple[float, ...] = ()
    rank_error: float = 0.0


@dataclass(slots=True)
class Quantiles:
    """A summary of values from which quantiles are read.

    Source: Munro & Paterson (1980); Manku, Rajagopalan & Lindsay (1998): buffers of `size` values, two of one weight
    collapsed into one of twice the weight. A collapse of weight w moves a rank by at most w.

    Args:
        size: of a buffer; exact until `keep` values have come.
    """

    size: int = 1 << 15
    keep: int = 1 << 20
    count: int = 0
    moved: float = 0.0
    _fresh: list[Array] = field(default_factory=list)
    _waiting: int = 0
    _levels: dict[int, list[Array]] = field(default_factory=dict)
    _odd: bool = False

    def add(self, values: Array) -> None:
        """Take in values (no NaN)."""
        self.count += len(values)
        self._fresh.append(np.asarray(values, dtype=np.float64))
        self._waiting += len(values)
        if self.count > self.keep:
            self._collapse()

    def merge(self, other: Quantiles) -> None:
        """Take in what another summary knows."""
        for level, buffers in other._levels.items():
            self._levels.setdefault(level, []).extend(buffers)
        self.moved += other.moved
        self.count += other.count - other._waiting
        self.add(np.concatenate([np.zeros(0), *other._fresh]))

    def _collapse(self) -> None:
        """Whole buffers out of what is fresh; pairs of one weight into one of the next."""
        fresh = np.concatenate([np.zeros(0), *self._fresh])
        whole = len(fresh) // self.size
        for j in range(whole):
            self._levels.setdefault(0, []).append(np.sort(fresh[j * self.size : (j + 1) * self.size]))
        self._fresh, self._waiting = [fresh[whole * self.size :]], len(fresh) - whole * self.size
        level = 0
        while level <= max(self._levels, default=-1):
            buffers = self._levels.get(level, [])
            while len(buffers) > 1:
                both = np.sort(np.concatenate([buffers.pop(), buffers.pop()]), kind="stable")
                self._odd = not self._odd  # errors of alternate halves cancel
                self._levels.setdefault(level + 1, []).append(both[int(self._odd) :: 2])
                self.moved += 2.0**level
            level += 1

    @property
    def rank_error(self) -> float:
        """A bound on the error of a rank, as a share of the values."""
        return self.moved / self.count if self.count else 0.0

    def at(self, probabilities: Sequence[float]) -> tuple[float, ...]:
        """The quantiles: between order statistics while exact, values of the summary afterwards."""
        if not self.count:
            return tuple(math.nan for _ in probabilities)
        fresh = np.concatenate([np.zeros(0), *self._fresh])
        if not self._levels:
            return tuple(float(v) for v in np.quantile(fresh, probabilities))
        parts = [(fresh, 1.0), *((b, 2.0**level) for level, buffers in self._levels.items() for b in buffers)]
        values = np.concatenate([b for b, _ in parts])
        weights = np.concatenate([np.full(len(b), w) for b, w in parts])
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[order])
        places = np.searchsorted(reached, np.asarray(probabilities) * reached[-1])
        return tuple(float(v) for v in values[order][np.minimum(places, len(values) - 1)])


@dataclass(slots=True)
class Tally:
    """One column's summary, taken in stretch by stretch."""

    count: int = 0
    missing: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    quantiles: Quantiles | None = None

    def add(self, values: Array) -> None:
        """Take in a stretch of rows; NaN is counted as missing.

        Source: Chan, Golub & LeVeque (1983), updating formulae for the sample variance.
        """
        known = values[~np.isnan(values)]
        self.missing += len(values) - len(known)
        if not len(known):
            return
        mean = float(np.mean(known))
        squares = float(np.sum((known - mean) ** 2))
        total, shift = self.count + len(known), mean - self.mean
        self.squares += squares + shift**2 * self.count * len(known) / total
        self.mean += shift * len(known) / total
        self.count = total
        self.low, self.high = min(self.low, float(known.min())), max(self.high, float(known.max()))
        if self.quantiles is not None:
            self.quantiles.add(known)

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return math.sqrt(self.squares / (self.count - 1) / self.count) if self.count > 1 else math.nan

    @property
    def figure(self) -> Figure:
        if not self.count:
            return Figure(math.nan, math.nan, 0, self.missing, math.nan, math.nan)
        found = self.quantiles.at(PROBABILITIES) if self.quantiles is not None else ()
        off = self.quantiles.rank_error if self.quantiles is not None else 0.0
        return Figure(self.mean, self.error, self.count, self.missing, self.low, self.high, found, off)


def across(tallies: Sequence[Tally]) -> Figure:
    """One figure over instances: each counts alike, and the error is that of their means about the mean of means.

    With one instance it is the error over draws.
    """
    known = [t for t in tallies if t.count]
    if len(tallies) == 1 or not known:
        return tallies[0].figure
    means = np.array([t.mean for t in known])
    error = float(means.std(ddof=1) / math.sqrt(len(means))) if len(means) > 1 else math.nan
    together = Quantiles()
    for t in known:
        if t.quantiles is not None:
            together.merge(t.quantiles)
    return Figure(
        float(means.mean()), error, sum(t.count for t in known), sum(t.missing for t in tallies),
        min(t.low for t in known), max(t.high for t in known),
        together.at(PROBABILITIES) if together.count else (), together.rank_error,
    )  # fmt: skip
