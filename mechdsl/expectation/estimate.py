"""The figures of forms: columns integrated by the method that fits, each figure with its error bound.

A figure's error is that of its own combination of columns: what cancels in a difference has no error in it. A figure
prints no digit that its error does not support.
"""

from __future__ import annotations

import math
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

    def shown(self, digits: int = 6) -> str:
        """`-4.89656`, or `-4.897 ± 0.013`: without a `±` it is right to within one unit of its last digit.

        Digits that the error does not support are left out; where that would leave fewer than all but two of those
        wanted, the error, rounded up, stands behind the figure instead.

        Args:
            digits: significant ones, at most.
        """
        mean, error = self.mean + 0.0, self.error
        if not math.isfinite(mean):
            return ""
        if not math.isfinite(error):
            return f"{mean:.{digits}g} ± ?"
        top = _decade(mean) + 1  # places before the decimal point
        for kept in range(digits, digits - 3, -1):
            whole = kept == digits or top <= kept  # the last digit that is printed is the last that is known
            if whole and error <= 0.5 * 10.0 ** (top - kept):
                return f"{mean:.{kept}g}"
        scale = _decade(max(abs(mean), error))
        if not -4 <= scale < digits:
            return f"({_with_error(mean / 10.0**scale, error / 10.0**scale, digits - 1)})e{scale:+03d}"
        return _with_error(mean, error, digits - 1 - scale)

    def __str__(self) -> str:
        return self.shown()


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


def _decade(value: float) -> int:
    """The power of ten of its first digit; of 0 that of the smallest number."""
    return math.floor(math.log10(abs(value) or math.ulp(0.0)))


def _with_error(mean: float, error: float, most: int) -> str:
    """`-4.897 ± 0.013`: two digits of the error, and no more than so many decimals; what rounding adds is in it."""
    decimals = max(0, min(1 - _decade(error), most))
    unit, shown = 10.0**-decimals, f"{mean:.{decimals}f}"
    return f"{shown} ± {math.ceil((error + abs(float(shown) - mean)) / unit - 1e-9) * unit:.{decimals}f}"


def _quantile(count: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, count - 1))
