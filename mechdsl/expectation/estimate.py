"""The figures of forms: columns integrated by the method that fits, each figure with its error bound.

A figure's error is that of its own combination of columns: what cancels in a difference has no error in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mechdsl.evaluate import Array
from mechdsl.expectation.integrand import Integrand, columns_of
from mechdsl.expectation.montecarlo import REPLICATES, replicates
from mechdsl.expectation.quadrature import TooHardError, quadrature
from mechdsl.expected import Column, Known, Linear
from mechdsl.market import Market

__all__ = ["Estimate", "Estimates", "Figure", "Range", "estimates"]

FEW = 2  # open types up to which quadrature is used
FEW_STEPWISE = 3  # where the allocation jumps from vertex to vertex: sampling is slow there, and pieces are polynomials
BUDGET = 2**17  # effort of quasi-Monte Carlo
_CHEAP = 4  # times the budget where vertices are looked up, not solved for
LEVEL = 0.999  # of the confidence interval that its error is


@dataclass(frozen=True, slots=True)
class Estimate:
    """An expectation and the bound on its error."""

    mean: float
    error: float

    @property
    def lower(self) -> float:
        return self.mean - self.error

    @property
    def upper(self) -> float:
        return self.mean + self.error


@dataclass(frozen=True, slots=True)
class Range:
    """What is known only by bounds."""

    lower: float
    upper: float


Figure: TypeAlias = Estimate | Range


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Columns integrated.

    Args:
        places: column -> its position.
        values: (C,); errors: (C,) bounds, of quadrature; replicates: (R, C) independent estimates, else None.
        method: how, in words; points: how many reports were asked.
    """

    places: Mapping[Column, int]
    values: Array
    errors: Array
    replicates: Array | None
    method: str
    points: int = 0

    def of(self, form: Linear) -> Estimate:
        """The expectation of a form whose columns are among these."""
        coefficients = np.zeros(len(self.places))
        mean, error = form.constant, 0.0
        for one, coefficient in form.terms.items():
            if isinstance(one, Known):
                mean, error = mean + coefficient * one.value, error + abs(coefficient) * one.error
            else:
                coefficients[self.places[one]] = coefficient
        if not coefficients.any():
            return Estimate(float(mean), float(error))
        used = coefficients != 0
        mean += float(coefficients[used] @ self.values[used])
        if self.replicates is None:
            error += float(np.abs(coefficients[used]) @ self.errors[used])
        else:
            drawn = self.replicates[:, used] @ coefficients[used]
            error += _quantile(len(drawn)) * float(drawn.std(ddof=1)) / np.sqrt(len(drawn))
        return Estimate(float(mean), float(error))


def estimates(
    market: Market, forms: Iterable[Linear], tolerance: float = 1e-7, budget: int = BUDGET, seed: int = 0
) -> Estimates:
    """All columns of the forms, integrated over the market's types.

    Args:
        market: whose types they are.
        forms: what will be asked for.
        tolerance: wanted, relative to the money (or output) at stake.
        budget: of effort of quasi-Monte Carlo (points, those solved one at a time counted many times), which may end
            above the tolerance: the error says so.
        seed: of its scrambling.
    """
    columns = columns_of(forms)
    places = {column: j for j, column in enumerate(columns)}
    if not columns:
        return Estimates(places, np.zeros(0), np.zeros(0), None, "no integration is needed")
    integrand = Integrand(market, columns)
    if not integrand.open:
        values, errors, _, _ = integrand.at(np.zeros((1, 0)))
        return Estimates(places, values[0], errors[0], None, "all types are known: one outcome", 1)
    stepwise = len(integrand.open) > FEW and integrand.stepwise
    if len(integrand.open) <= FEW or (len(integrand.open) <= FEW_STEPWISE and stepwise):
        with suppress(TooHardError):
            found, bounds, points = quadrature(integrand, tolerance)
            kind = "adaptive" if len(integrand.open) == 1 else "nested adaptive"
            method = f"{kind} Gauss-Kronrod quadrature, split where the set of what binds changes"
            return Estimates(places, found, bounds, None, method, points)
    drawn, points = replicates(integrand, tolerance, budget * (_CHEAP if stepwise else 1), seed)
    method = (
        f"randomised quasi-Monte Carlo, {REPLICATES} scrambled Sobol sequences of {points // REPLICATES} points; "
        f"errors at {LEVEL:.1%} confidence"
    )
    return Estimates(places, drawn.mean(axis=0), np.full(len(columns), np.nan), drawn, method, points)


def _quantile(count: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, count - 1))
