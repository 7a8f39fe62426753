"""Every distribution against arbitrary precision, its symbolic formulas, its own arguments, and bad ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from mechdsl.distributions import FAMILIES, Distribution, DistributionError, Family, families
from mechdsl.distributions.density import DensityFormula
from mechdsl.distributions.normal import tail_ratio

INF = math.inf
TOLERANCE = 1e-12


def law(name: str, *arguments: Any, on: tuple[Any, Any] | None = None) -> Distribution:
    return FAMILIES[name].build(arguments, on)


# --------------------------------------------------------------------- references: textbook formulas at hundreds of digits


@dataclass(frozen=True)
class Reference:
    """A law in mpmath: log-free textbook formulas of its cdf, survival function and density."""

    cdf: Callable[[Any], Any]
    survival: Callable[[Any], Any]
    pdf: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    digits: int = 600


def uniform_reference(a: float, b: float) -> Reference:
    low, high = mpf(a), mpf(b)
    return Reference(
        lambda c: (c - low) / (high - low),
        lambda c: (high - c) / (high - low),
        lambda c: 1 / (high - low),
        lambda c: mpf(0),
    )


def triangular_reference(a: float, m: float, b: float) -> Reference:
    low, mode, high = mpf(a), mpf(m), mpf(b)
    width = high - low
    rises = lambda c: c < mode or mode == high  # noqa: E731
    return Reference(
        lambda c: (c - low) ** 2 / width / (mode - low) if rises(c) else 1 - (high - c) ** 2 / width / (high - mode),
        lambda c: 1 - (c - low) ** 2 / width / (mode - low) if rises(c) else (high - c) ** 2 / width / (high - mode),
        lambda c: 2 * (c - low) / width / (mode - low) if rises(c) else 2 * (high - c) / width / (high - mode),
        lambda c: 2 / width / (mode - low) if rises(c) else -2 / width / (high - mode),
    )


def exponential_reference(rate: float, a: float, b: float) -> Reference:
    r, low, high = mpf(rate), mpf(a), mpf(b)
    mass = mp.exp(-r * low) - mp.exp(-r * high)
    return Reference(
        lambda c: (mp.exp(-r * low) - mp.exp(-r * c)) / mass,
        lambda c: (mp.exp(-r * c) - mp.exp(-r * high)) / mass,
        lambda c: r * mp.exp(-r * c) / mass,
        lambda c: -(r**2) * mp.exp(-r * c) / mass,
        digits=600,
    )


def power_reference(p: float, a: float, b: float) -> Reference:
    low, width, p = mpf(a), mpf(b) - mpf(a), mpf(p)
    return Reference(
        lambda c: ((c - low) / width) ** p,
        lambda c: 1 - ((c - low) / width) ** p,
        lambda c: p * ((c - low) / width) ** (p - 1) / width,
        lambda c: p * (p - 1) * ((c - low) / width) ** (p - 2) / width**2,
    )


def kumaraswamy_reference(p: float, q: float, a: float, b: float) -> Reference:
    low, width, p, q = mpf(a), mpf(b) - mpf(a), mpf(p), mpf(q)
    share = lambda c: (c - low) / width  # noqa: E731

    def slope(c: Any) -> Any:
        u = share(c)
        rise = (p - 1) * u ** (p - 2) * (1 - u**p) ** (q - 1)
        return p * q / width**2 * (rise - (q - 1) * p * u ** (2 * p - 2) * (1 - u**p) ** (q - 2))

    return Reference(
        lambda c: 1 - (1 - share(c) ** p) ** q,
        lambda c: (1 - share(c) ** p) ** q,
        lambda c: p * q * share(c) ** (p - 1) * (1 - share(c) ** p) ** (q - 1) / width,
        slope,
        digits=500,
    )


def beta_reference(p: float, q: float, a: float, b: float) -> Reference:
    low, high, p, q = mpf(a), mpf(b), mpf(p), mpf(q)
    width = high - low

    def tail(u: Any, p: Any, q: Any) -> Any:
        """I_u(p, q) by its hypergeometric series, which has positive terms only."""
        return u**p * (1 - u) ** q / (p * mp.beta(p, q)) * mp.hyp2f1(p + q, 1, p + 1, u)

    def pdf(c: Any) -> Any:
        return ((c - low) / width) ** (p - 1) * ((high - c) / width) ** (q - 1) / mp.beta(p, q) / width

    return Reference(
        lambda c: tail((c - low) / width, p, q),
        lambda c: tail((high - c) / width, q, p),
        pdf,
        lambda c: pdf(c) * ((p - 1) / (c - low) - (q - 1) / (high - c)),
        digits=300,
    )


def gaussian_between(x: Any, y: Any) -> Any:
    """Phi(y) - Phi(x), from the tail in which both lie."""
    if x > 0:
        return (mp.erfc(x / mp.sqrt(2)) - mp.erfc(y / mp.sqrt(2))) / 2
    if y < 0:
        return gaussian_between(-y, -x)
    return (mp.erf(y / mp.sqrt(2)) - mp.erf(x / mp.sqrt(2))) / 2


def gaussian_reference(a: float, b: float, coordinate: Any, jacobian: Any, score: Any) -> Reference:
    low, high = (coordinate(mpf(end)) for end in (a, b))
    mass = gaussian_between(low, high)

    def pdf(c: Any) -> Any:
        z = coordinate(c)
        return mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi) * jacobian(c) / mass

    return Reference(
        lambda c: gaussian_between(low, coordinate(c)) / mass,
        lambda c: gaussian_between(coordinate(c), high) / mass,
        pdf,
        lambda c: pdf(c) * score(c),
        digits=60,
    )


def normal_reference(m: float, s: float, a: float, b: float) -> Reference:
    mean, deviation = mpf(m), mpf(s)
    return gaussian_reference(
        a, b, lambda c: (c - mean) / deviation, lambda c: 1 / deviation, lambda c: -(c - mean) / deviation**2
    )


def lognormal_reference(m: float, s: float, a: float, b: float) -> Reference:
    mean, deviation = mpf(m), mpf(s)
    return gaussian_reference(
        a,
        b,
        lambda c: (mp.log(c) - mean) / deviation if c > 0 else -mp.inf,
        lambda c: 1 / (deviation * c),
        lambda c: -(1 + (mp.log(c) - mean) / deviation**2) / c,
    )


def mixture_reference(parts: list[tuple[float, Reference, float, float]]) -> Reference:
    def total(which: str, below: int, above: int) -> Callable[[Any], Any]:
        def formula(c: Any) -> Any:
            return sum(
                mpf(w) * (below if c < a else above if c >= b and b < parts[-1][3] else getattr(reference, which)(c))
                for w, reference, a, b in parts
            )

        return formula

    return Reference(total("cdf", 0, 1), total("survival", 1, 0), total("pdf", 0, 0), total("slope", 0, 0), 300)


def density_reference(
    value: Callable[[Any], Any], slope: Callable[[Any], Any], integral: Callable[[Any], Any], a: float, b: float
) -> Reference:
    low, high = mpf(a), mpf(b)
    total = integral(high) - integral(low)
    return Reference(
        lambda c: (integral(c) - integral(low)) / total,
        lambda c: (integral(high) - integral(c)) / total,
        lambda c: value(c) / total,
        lambda c: slope(c) / total,
    )


def empirical_reference(data: list[float]) -> Reference:
    knots = [mpf(x) for x in sorted(data)]
    n = len(knots)

    def piece(c: Any) -> int:
        return max(j for j in range(n - 1) if knots[j] <= c)

    def pdf(c: Any) -> Any:
        j = piece(c)
        return 1 / (n - 1) / (knots[j + 1] - knots[j]) if n else None

    def cdf(c: Any) -> Any:
        j = piece(c)
        return (j + (c - knots[j]) / (knots[j + 1] - knots[j])) / (n - 1)

    return Reference(cdf, lambda c: 1 - cdf(c), lambda c: mpf(1) * pdf(c), lambda c: mpf(0))


SMOOTH = DensityFormula(
    "c: exp(-c^2) * (2 + sin(5*c))",
    lambda c: np.exp(-c * c) * (2 + np.sin(5 * c)),
    lambda c: np.exp(-c * c) * (5 * np.cos(5 * c) - 2 * c * (2 + np.sin(5 * c))),
    symbolic=lambda c: sp.exp(-(c**2)) * (2 + sp.sin(5 * c)),
)
PARABOLA = DensityFormula("c: 1 + c^2", lambda c: 1 + c * c, lambda c: 2 * c, symbolic=lambda c: 1 + c**2)
ROOT = DensityFormula(
    "c: 1/sqrt(c)", lambda c: 1 / np.sqrt(c), lambda c: -0.5 * c**-1.5, symbolic=lambda c: 1 / sp.sqrt(c)
)
DATA = [0.31, 0.2, 0.9, 1.7, 0.55, 0.62, 1.1, 0.47]

CASES: dict[str, tuple[Distribution, Callable[[], Reference]]] = {
    "uniform": (law("uniform", 0.1, 1), lambda: uniform_reference(0.1, 1)),
    "uniform, negative": (law("uniform", -1, 0), lambda: uniform_reference(-1, 0)),
    "triangular": (law("triangular", 0.2, 0.7, 3), lambda: triangular_reference(0.2, 0.7, 3)),
    "triangular, rising": (law("triangular", 0.2, 3, 3), lambda: triangular_reference(0.2, 3, 3)),
    "triangular, falling": (law("triangular", 0, 0, 3), lambda: triangular_reference(0, 0, 3)),
    "exponential": (law("exponential", 1.3, on=(0.2, 4)), lambda: exponential_reference(1.3, 0.2, 4)),
    "exponential, flat": (law("exponential", 1e-7, on=(0, 1)), lambda: exponential_reference(1e-7, 0, 1)),
    "exponential, steep": (law("exponential", 30, on=(1, 9)), lambda: exponential_reference(30, 1, 9)),
    "exponential, unbounded": (law("exponential", 3), lambda: exponential_reference(3, 0, INF)),
    "power": (law("power", 2.5, on=(0.5, 2)), lambda: power_reference(2.5, 0.5, 2)),
    "power, p < 1": (law("power", 0.3, on=(0, 2)), lambda: power_reference(0.3, 0, 2)),
    "kumaraswamy": (law("kumaraswamy", 2, 3.5, on=(0.1, 2)), lambda: kumaraswamy_reference(2, 3.5, 0.1, 2)),
    "kumaraswamy, U": (law("kumaraswamy", 0.5, 0.4, on=(0, 1)), lambda: kumaraswamy_reference(0.5, 0.4, 0, 1)),
    "kumaraswamy, p < 1": (law("kumaraswamy", 0.5, 1, on=(0, 1)), lambda: kumaraswamy_reference(0.5, 1, 0, 1)),
    "beta": (law("beta", 2, 3, on=(0.1, 0.9)), lambda: beta_reference(2, 3, 0.1, 0.9)),
    "beta, U": (law("beta", 0.5, 0.25, on=(0, 1)), lambda: beta_reference(0.5, 0.25, 0, 1)),
    "beta, p < 1": (law("beta", 0.4, 4.5, on=(0, 3)), lambda: beta_reference(0.4, 4.5, 0, 3)),
    "beta, peaked": (law("beta", 40, 90, on=(0, 1)), lambda: beta_reference(40, 90, 0, 1)),
    "normal": (law("normal", 0.5, 0.4, on=(0.05, 1.5)), lambda: normal_reference(0.5, 0.4, 0.05, 1.5)),
    "normal, long tail": (law("normal", 0, 1, on=(0, 10)), lambda: normal_reference(0, 1, 0, 10)),
    "normal, both tails": (law("normal", 0, 1, on=(-20, 30)), lambda: normal_reference(0, 1, -20, 30)),
    "normal, in the tail": (law("normal", 0, 1, on=(5, 10)), lambda: normal_reference(0, 1, 5, 10)),
    "normal, far right": (law("normal", 0, 1, on=(30, 40)), lambda: normal_reference(0, 1, 30, 40)),
    "normal, far left": (law("normal", 0, 1, on=(-40, -30)), lambda: normal_reference(0, 1, -40, -30)),
    "normal, narrow": (law("normal", 3, 5, on=(2, 2.001)), lambda: normal_reference(3, 5, 2, 2.001)),
    "normal, unbounded": (law("normal", 1, 2), lambda: normal_reference(1, 2, -INF, INF)),
    "normal, half-line": (law("normal", 1, 2, on=(0.5, INF)), lambda: normal_reference(1, 2, 0.5, INF)),
    "lognormal": (law("lognormal", 0, 0.5, on=(0.2, 5)), lambda: lognormal_reference(0, 0.5, 0.2, 5)),
    "lognormal, from 0": (law("lognormal", -1, 0.8, on=(0, 2)), lambda: lognormal_reference(-1, 0.8, 0, 2)),
    "lognormal, narrow": (law("lognormal", 1, 0.1, on=(2.7, 2.71)), lambda: lognormal_reference(1, 0.1, 2.7, 2.71)),
    "lognormal, unbounded": (law("lognormal", 0, 1), lambda: lognormal_reference(0, 1, 0, INF)),
    "mixture": (
        law("mixture", ((0.25, law("normal", 0, 1, on=(0, 10))), (0.75, law("normal", 3, 0.25, on=(0, 10))))),
        lambda: mixture_reference(
            [(0.25, normal_reference(0, 1, 0, 10), 0, 10), (0.75, normal_reference(3, 0.25, 0, 10), 0, 10)]
        ),
    ),
    "mixture, two supports": (
        law("mixture", ((0.75, law("uniform", 0, 3)), (0.25, law("uniform", 3, 8)))),
        lambda: mixture_reference([(0.75, uniform_reference(0, 3), 0, 3), (0.25, uniform_reference(3, 8), 3, 8)]),
    ),
    "density": (
        law("density", SMOOTH, on=(0, 2)),
        lambda: density_reference(
            lambda c: mp.exp(-c * c) * (2 + mp.sin(5 * c)),
            lambda c: mp.exp(-c * c) * (5 * mp.cos(5 * c) - 2 * c * (2 + mp.sin(5 * c))),
            lambda c: (
                mp.sqrt(mp.pi) * mp.erf(c) + mp.im(mp.sqrt(mp.pi) / 2 * mp.exp(-mpf(25) / 4) * mp.erf(c - mpc(0, 2.5)))
            ),
            0,
            2,
        ),
    ),
    "density, polynomial": (
        law("density", PARABOLA, on=(0.5, 3)),
        lambda: density_reference(lambda c: 1 + c * c, lambda c: 2 * c, lambda c: c + c**3 / 3, 0.5, 3),
    ),
    "density, infinite at 0": (
        law("density", ROOT, on=(0, 4)),
        lambda: density_reference(
            lambda c: 1 / mp.sqrt(c), lambda c: -(c ** mpf(-1.5)) / 2, lambda c: 2 * mp.sqrt(c), 0, 4
        ),
    ),
    "empirical": (law("empirical", DATA), lambda: empirical_reference(DATA)),
}


def mpc(real: float, imaginary: float) -> Any:
    return mpmath.mpc(real, imaginary)


def points(d: Distribution) -> list[float]:
    """Inside the support: its middle, its tails by decades, its quantiles."""
    shares = [10.0**-k for k in (1, 2, 4, 8, 14, 40, 100, 250)]
    chosen = [d.quantile(u) for u in (*shares, 0.2, 0.35, 0.5, 0.65, 0.8)] + [d.upper_quantile(u) for u in shares]
    if d.bounded:
        width = d.upper - d.lower
        spread = [d.lower + width * u for u in np.linspace(0.02, 0.98, 13)]
        near = [10.0**-k for k in (1, 3, 6, 9, 12, 15)]
        chosen += spread + [d.lower + width * u for u in near] + [d.upper - width * u for u in near]
    if d.lower == 0:
        chosen += [1e-30, 1e-100]
    return sorted({float(c) for c in chosen if d.lower < c < d.upper and c not in d.kinks})


def relative_error(found: float, expected: Any) -> float:
    """Error relative to what is expected; 0 where that lies beyond normal numbers and the answer does too."""
    if abs(expected) > mpf("1e300"):
        return 0.0 if found > 1e299 else INF
    if abs(expected) < mpf("1e-300"):
        return 0.0 if abs(found) < 1e-299 else INF
    return float(abs(mpf(found) - expected) / abs(expected))


FUNCTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "cdf": lambda below, above, density: below,
    "survival": lambda below, above, density: above,
    "pdf": lambda below, above, density: density,
    "log_pdf": lambda below, above, density: mp.log(density),
    "log_cdf": lambda below, above, density: mp.log(below) if below < above else mp.log1p(-above),
    "log_survival": lambda below, above, density: mp.log(above) if above < below else mp.log1p(-below),
    "inverse_reverse_hazard": lambda below, above, density: below / density,
    "inverse_hazard": lambda below, above, density: above / density,
    "reverse_hazard": lambda below, above, density: density / below,
    "hazard": lambda below, above, density: density / above,
}


@pytest.mark.parametrize("case", CASES)
def test_functions_against_arbitrary_precision(case: str) -> None:
    d, make = CASES[case]
    with mp.workdps(make().digits):
        reference = make()
        errors: dict[str, list[float]] = {}

        def note(name: str, error: Any) -> None:
            errors.setdefault(name, []).append(float(error))

        for c in points(d):
            exact = mpf(c)
            below, above, density = reference.cdf(exact), reference.survival(exact), reference.pdf(exact)
            for name, formula in FUNCTIONS.items():
                expected = formula(below, above, density)
                # log f passes through 0 where f passes through 1
                scale = 1 if name == "log_pdf" and abs(expected) < 1 else 0
                note(name, relative_error(getattr(d, name)(c) + scale, expected + scale))
            slope = reference.slope(exact)
            if abs(slope) + density > mpf("1e-300"):
                note("pdf_slope", abs(mpf(d.pdf_slope(c)) - slope) / (abs(slope) + density))
            for name, ratio, sign in (("virtual_cost", below / density, 1), ("virtual_value", above / density, -1)):
                scale = abs(exact) + ratio
                if scale < mpf("1e300"):
                    note(name, abs(mpf(getattr(d, name)(c)) - (exact + sign * ratio)) / scale)
        bad = {name: max(found) for name, found in errors.items() if not max(found) <= TOLERANCE}
        assert not bad, bad
