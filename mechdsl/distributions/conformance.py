"""The kit that a distribution of a plugin passes: what it states of itself agrees, in numbers and in symbols.

Every function is held against another by finite differences, quadrature or inversion, at quantiles from one tail to the
other, so that a slip in any one of them shows. The built-in families pass it too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from mechdsl.distributions.arguments import Support
from mechdsl.distributions.distribution import Array, Distribution
from mechdsl.distributions.families import Family

__all__ = ["check_family", "disagreements"]

_SHARES = np.array([1e-6, 1e-3, 0.02, 0.1, 0.25, 0.4, 0.5])
_NODES = 400


def check_family(family: Family, arguments: tuple[Any, ...], support: Support | None = None) -> None:
    """Build the distribution and hold everything it says of itself against everything else.

    Args:
        family: of a plugin.
        arguments: with which it is tried, as a file would state them.
        support: the interval after `on`, if any.

    Raises:
        AssertionError: something disagrees; the message names each function and place.
    """
    found = list(disagreements(family.build(arguments, support)))
    if found:
        raise AssertionError(f"{family.name}: " + "; ".join(found))


def disagreements(law: Distribution) -> Iterator[str]:
    """What a distribution says that cannot be, one sentence a function."""
    if law.is_point:
        return
    points = np.unique(np.concatenate((law.quantile(_SHARES), law.upper_quantile(_SHARES))))
    points = np.array([c for c in points if law.lower < c < law.upper and _smooth_near(law, c)])
    if points.size < 4:
        yield "its quantiles do not spread over the support"
        return
    yield from _ends(law)
    yield from _close("quantile", law.cdf(law.quantile(_SHARES)), _SHARES, 1e-8)
    yield from _close("upper_quantile", law.survival(law.upper_quantile(_SHARES)), _SHARES, 1e-8)
    yield from _close("survival", law.cdf(points) + law.survival(points), np.ones(points.size), 1e-12)
    scale = law.upper_quantile(0.1) - law.quantile(0.1)
    step = np.minimum(1e-5 * scale, 1e-3 * np.minimum(points - law.lower, law.upper - points))
    lower_half = law.cdf(points) < 0.5
    rise = np.where(
        lower_half,
        law.cdf(points + step) - law.cdf(points - step),
        law.survival(points - step) - law.survival(points + step),
    )
    yield from _close("pdf", law.pdf(points), rise / (2 * step), 1e-4)
    bend = (law.log_pdf(points + step) - law.log_pdf(points - step)) / (2 * step)
    yield from _close("log_pdf_slope", law.log_pdf_slope(points), bend, 1e-3, 1 / scale)
    yield from _close("F/f", law.inverse_reverse_hazard(points), law.cdf(points) / law.pdf(points), 1e-6)
    yield from _close("(1 - F)/f", law.inverse_hazard(points), law.survival(points) / law.pdf(points), 1e-6)
    yield from _moments(law, float(scale))
    yield from _symbols(law, points)


def _ends(law: Distribution) -> Iterator[str]:
    if math.isfinite(law.lower) and law.cdf(law.lower) != 0:
        yield "cdf is not 0 at the lower end"
    if math.isfinite(law.upper) and law.cdf(law.upper) != 1:
        yield "cdf is not 1 at the upper end"


def _moments(law: Distribution, scale: float) -> Iterator[str]:
    """Mean and variance from the quantiles, each half from its own tail."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    shares, share = (nodes + 1) / 2, weights / 2  # u = s^3 / 2, so that nodes crowd in the tails
    u, w = shares**3 / 2, share * 1.5 * shares**2
    values = np.concatenate((law.quantile(u), law.upper_quantile(u)))
    both = np.concatenate((w, w))
    mean = float(both @ values)
    variance = float(both @ (values - mean) ** 2)
    yield from _close("mean", np.array([law.mean]), np.array([mean]), 1e-4, scale)
    yield from _close("variance", np.array([law.variance]), np.array([variance]), 1e-2)


def _symbols(law: Distribution, points: Array) -> Iterator[str]:
    import sympy as sp
    from sympy.core.function import AppliedUndef

    c = sp.Symbol("c", real=True)
    for name, formula, numbers in (
        ("symbolic_pdf", law.symbolic_pdf(c), law.pdf(points)),
        ("symbolic_cdf", law.symbolic_cdf(c), law.cdf(points)),
    ):
        if formula.has(AppliedUndef):  # a law may have no formula, only a name for one
            continue
        stated = np.array([float(sp.N(formula.subs(c, sp.Float(float(p), 30)), 20)) for p in points])
        yield from _close(name, stated, numbers, 1e-7)


def _close(name: str, found: Array, expected: Array, tolerance: float, least: float = 0.0) -> Iterator[str]:
    with np.errstate(all="ignore"):
        error = np.abs(found - expected) / np.maximum(np.abs(expected), max(least, 1e-300))
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    if not error[worst] <= tolerance:
        yield f"{name} is {float(found[worst]):.10g} where {float(expected[worst]):.10g} follows from the rest"


def _smooth_near(law: Distribution, c: float) -> bool:
    width = law.upper_quantile(0.1) - law.quantile(0.1)
    return all(abs(c - kink) > 1e-3 * width for kink in law.kinks)
