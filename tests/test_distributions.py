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
from mechdsl.distributions.gaussian import tail_ratio

INF = math.inf
TOLERANCE = 1e-12


def law(name: str, *arguments: Any, on: tuple[Any, Any] | None = None) -> Distribution:
    return FAMILIES[name].build(arguments, on)


# ------------------------------------------------------------------ references: textbook formulas at hundreds of digits


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

    def rises(c: Any) -> bool:
        return bool(c < mode or mode == high)

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

    def share(c: Any) -> Any:
        return (c - low) / width

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

    def tail(u: Any, w: Any, p: Any, q: Any) -> Any:
        """I_u(p, q), u + w = 1."""
        if u > w:
            return 1 - tail(w, u, q, p)
        return u**p * mp.hyp2f1(p, 1 - q, p + 1, u) / (p * constant)

    constant = mp.beta(p, q)

    def pdf(c: Any) -> Any:
        return ((c - low) / width) ** (p - 1) * ((high - c) / width) ** (q - 1) / constant / width

    return Reference(
        lambda c: tail((c - low) / width, (high - c) / width, p, q),
        lambda c: tail((high - c) / width, (c - low) / width, q, p),
        pdf,
        lambda c: pdf(c) * ((p - 1) / (c - low) - (q - 1) / (high - c)),
        digits=120,
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
        digits=400 if a == 0 else 60,
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
    "exponential, flat": (law("exponential", Fraction(1, 10**7), on=(0, 1)), lambda: exponential_reference(1e-7, 0, 1)),
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
    "lognormal, far below its median": (
        law("lognormal", 8.2, 2, on=(0, 0.0063)),
        lambda: lognormal_reference(8.2, 2, 0, 0.0063),
    ),
    "lognormal, narrow": (law("lognormal", 1, 0.1, on=(2.7, 2.71)), lambda: lognormal_reference(1, 0.1, 2.7, 2.71)),
    "lognormal, narrow around the median": (
        law("lognormal", 4.566727330950549, 2, on=(96.21, 96.22)),
        lambda: lognormal_reference(4.566727330950549, 2, 96.21, 96.22),
    ),
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
    shares = [10.0**-k for k in (1, 3, 8, 14, 60, 250)]
    chosen = [d.quantile(u) for u in (*shares, 0.3, 0.5, 0.75)] + [d.upper_quantile(u) for u in shares]
    if d.bounded:
        width = d.upper - d.lower
        spread = [d.lower + width * u for u in np.linspace(0.02, 0.98, 7)]
        near = [10.0**-k for k in (3, 8, 13, 15)]
        chosen += spread + [d.lower + width * u for u in near] + [d.upper - width * u for u in near]
    if d.lower == 0:
        chosen += [1e-30, 1e-100]
    return sorted({float(c) for c in chosen if d.lower < c < d.upper and abs(c) > 1e-300 and c not in d.kinks})


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
            steepness = abs(slope) + density * (1 + 1 / mpf(math.sqrt(d.variance)))
            if mpf("1e-300") < steepness < mpf("1e300"):
                note("pdf_slope", abs(mpf(d.pdf_slope(c)) - slope) / steepness)
            for name, ratio, sign in (("virtual_cost", below / density, 1), ("virtual_value", above / density, -1)):
                scale = abs(exact) + ratio
                if scale < mpf("1e300"):
                    note(name, abs(mpf(getattr(d, name)(c)) - (exact + sign * ratio)) / scale)
        bad = {name: max(found) for name, found in errors.items() if not max(found) <= TOLERANCE}
        assert not bad, bad


@pytest.mark.parametrize("case", CASES)
def test_quantiles_against_arbitrary_precision(case: str) -> None:
    d, make = CASES[case]
    probabilities = [10.0**-k for k in (300, 120, 40, 15, 8, 4, 2, 1)] + [0.25, 0.4, 0.5]
    worst = 0.0
    with mp.workdps(make().digits):
        reference = make()
        for u in probabilities:
            for c, tail in ((d.quantile(u), reference.cdf), (d.upper_quantile(u), reference.survival)):
                if c in (d.lower, d.upper):  # nearer to the end than floating point can say
                    inside = c - 4 * np.spacing(abs(c)) * (1 if c == d.upper else -1)
                    assert tail(mpf(float(inside))) > u
                    continue
                near = max(abs(c), 1e-3 * math.sqrt(d.variance)) if d.lower < 0 < d.upper else abs(c)
                worst = max(worst, float(abs(tail(mpf(c)) - mpf(u)) / reference.pdf(mpf(c)) / near))
    assert worst <= TOLERANCE


@pytest.mark.parametrize("case", CASES)
def test_mean_and_variance_against_quadrature(case: str) -> None:
    d, make = CASES[case]
    splits = sorted({d.lower, *d.kinks, *(d.quantile(u) for u in (1e-6, 0.01, 0.3, 0.7, 0.99, 1 - 1e-6)), d.upper})
    with mp.workdps(20):
        reference = make()
        inside = [mpf(c) for c in splits]
        if math.isfinite(d.lower):  # by parts: the survival function stays bounded where the density does not
            lower = mpf(d.lower)
            excess = mp.quad(reference.survival, inside)
            mean = lower + excess
            variance = 2 * mp.quad(lambda c: (c - lower) * reference.survival(c), inside) - excess**2
        else:
            mean = mp.quad(lambda c: c * reference.pdf(c), inside)
            variance = mp.quad(lambda c: (c - mean) ** 2 * reference.pdf(c), inside)
    assert abs(d.mean - float(mean)) <= TOLERANCE * max(abs(float(mean)), math.sqrt(float(variance)))
    assert d.variance == pytest.approx(float(variance), rel=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_arrays_ends_and_outside(case: str) -> None:
    d, _ = CASES[case]
    inside = np.array(points(d))
    for name in (*FUNCTIONS, "virtual_cost", "virtual_value", "pdf_slope", "log_pdf_slope", "virtual_cost_slope"):
        many = getattr(d, name)(inside.reshape(1, -1))
        assert many.shape == (1, len(inside))
        one_by_one = [getattr(d, name)(c) for c in inside.tolist()]
        assert all(type(value) is float for value in one_by_one)
        np.testing.assert_allclose(many[0], one_by_one, rtol=1e-13)
    assert (d.quantile(0.0), d.quantile(1.0)) == (d.lower, d.upper) == (d.upper_quantile(1.0), d.upper_quantile(0.0))
    assert math.isnan(d.quantile(-0.1))
    assert math.isnan(d.quantile(1.1))
    if math.isfinite(d.lower):
        assert (d.cdf(d.lower), d.survival(d.lower), d.inverse_reverse_hazard(d.lower)) == (0, 1, 0)
        assert (d.virtual_cost(d.lower), d.reverse_hazard(d.lower), d.log_cdf(d.lower)) == (d.lower, INF, -INF)
        assert (d.cdf(d.lower - 1), d.survival(d.lower - 1), d.pdf(d.lower - 1)) == (0, 1, 0)
        assert math.isnan(d.virtual_cost(d.lower - 1))
    if math.isfinite(d.upper):
        assert (d.cdf(d.upper), d.survival(d.upper), d.inverse_hazard(d.upper)) == (1, 0, 0)
        assert (d.virtual_value(d.upper), d.hazard(d.upper), d.log_survival(d.upper)) == (d.upper, INF, -INF)
        assert (d.cdf(d.upper + 1), d.survival(d.upper + 1), d.pdf(d.upper + 1)) == (1, 0, 0)
        assert math.isnan(d.virtual_value(d.upper + 1))
    assert np.isnan(d.virtual_cost(np.array([np.nan])))[0]


@pytest.mark.parametrize("case", CASES)
def test_virtual_cost_slope_is_the_derivative(case: str) -> None:
    d, _ = CASES[case]
    for u in (0.1, 0.4, 0.8):
        c = d.quantile(u)
        step = 1e-5 * (d.quantile(u + 0.01) - c) * 100
        if any(abs(c - kink) < 2 * step for kink in d.kinks):
            continue
        difference = (d.virtual_cost(c + step) - d.virtual_cost(c - step)) / (2 * step)
        assert d.virtual_cost_slope(c) == pytest.approx(difference, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_affine_virtual_cost(case: str) -> None:
    d, _ = CASES[case]
    if d.affine_virtual_cost is not None:
        slope, intercept = d.affine_virtual_cost
        for c in points(d):
            assert d.virtual_cost(c) == pytest.approx(slope * c + intercept, rel=1e-14, abs=1e-15)
    affine = {"uniform", "uniform, negative", "power", "power, p < 1", "triangular, rising", "kumaraswamy, p < 1"}
    assert (d.affine_virtual_cost is not None) == (case in affine)


@pytest.mark.parametrize("case", CASES)
def test_symbolic_formulas_against_numeric(case: str) -> None:
    d, _ = CASES[case]
    c = sp.Symbol("c", real=True)
    formulas = (
        (d.symbolic_virtual_cost(c), d.virtual_cost),
        (d.symbolic_pdf(c), d.pdf),
        (d.symbolic_cdf(c), d.cdf),
    )[: 1 if case == "density, infinite at 0" else 3]  # sympy takes seconds over its integral
    for u in (0.3, 0.9)[: 1 if case.startswith("density") else 2]:
        place = d.quantile(u)
        for formula, function in formulas:
            value = formula.subs(c, sp.Rational(place)).evalf(18, maxn=2000)
            assert float(value) == pytest.approx(function(place), rel=1e-12)


def test_symbolic_virtual_costs_are_simple_and_exact() -> None:
    c = sp.Symbol("c", positive=True)
    tenth = Fraction(1, 10)
    assert law("uniform", tenth, 1).symbolic_virtual_cost(c) == 2 * c - sp.Rational(1, 10)
    assert law("power", 2, on=(tenth, 1)).symbolic_virtual_cost(c) == 3 * c / 2 - sp.Rational(1, 20)
    assert law("point", 3).symbolic_virtual_cost(c) == c
    assert sp.simplify(law("exponential", 2).symbolic_virtual_cost(c) - c - (sp.exp(2 * c) - 1) / 2) == 0
    beta = law("beta", 2, 2).symbolic_virtual_cost(c)
    assert sp.simplify(beta - c - (3 * c**2 - 2 * c**3) / (6 * c * (1 - c))) == 0
    normal = law("normal", Fraction(1, 2), Fraction(2, 5), on=(Fraction(1, 20), Fraction(3, 2))).symbolic_virtual_cost(
        c
    )
    assert normal.has(sp.erf)
    assert not normal.has(sp.Float)


def test_reflection_mirrors_everything() -> None:
    for d, _ in CASES.values():
        mirror = d.reflected()
        assert mirror.reflected() is d
        assert str(mirror) == f"-({d})"
        assert (mirror.lower, mirror.upper, mirror.mean) == (-d.upper, -d.lower, -d.mean)
        for u in (1e-9, 0.2, 0.7):
            v = d.quantile(u)
            assert mirror.upper_quantile(u) == -v
            assert mirror.cdf(-v) == d.survival(v)
            assert mirror.virtual_cost(-v) == -d.virtual_value(v)
            assert mirror.pdf_slope(-v) == -d.pdf_slope(v)
            assert mirror.virtual_cost_slope(-v) == pytest.approx(
                2 + d.inverse_hazard(v) * d.log_pdf_slope(v), rel=1e-12
            )


def test_samples_are_quantiles_of_the_generators_numbers() -> None:
    d = law("normal", 0, 1, on=(-1, 3))
    drawn = d.sample(np.random.default_rng(5), (4, 3))
    np.testing.assert_array_equal(drawn, d.quantile(np.random.default_rng(5).random((4, 3))))
    assert ((drawn > -1) & (drawn < 3)).all()


@pytest.mark.parametrize("case", CASES)
def test_samples_follow_the_law(case: str) -> None:
    d, _ = CASES[case]
    uniform = np.sort(d.cdf(d.sample(np.random.default_rng(11), 20_000)))
    steps = np.arange(20_001) / 20_000
    distance = max(float((steps[1:] - uniform).max()), float((uniform - steps[:-1]).max()))
    assert distance < 1.63 / math.sqrt(20_000)  # Kolmogorov's 1 % point


def test_point() -> None:
    d = law("point", Fraction(3, 2))
    assert (d.is_point, d.bounded, d.mean, d.variance, d.lower, d.upper) == (True, True, 1.5, 0.0, 1.5, 1.5)
    assert (d.cdf(1.5), d.survival(1.5), d.cdf(1.4), d.survival(1.4)) == (1, 0, 0, 1)
    assert (d.virtual_cost(1.5), d.virtual_value(1.5), d.quantile(0.3), d.affine_virtual_cost) == (
        1.5,
        1.5,
        1.5,
        (1, 0),
    )
    assert math.isnan(d.virtual_cost(1.6))
    assert (d.log_cdf(1.5), d.log_survival(1.5)) == (0.0, -INF)
    assert (str(d.reflected()), d.reflected().cdf(-1.5)) == ("point(-1.5)", 1)


def test_one_sided_supports() -> None:
    for name, arguments, start in (("normal", (0, 1), -2), ("lognormal", (0, 1), 0.5), ("exponential", (2,), 1)):
        d = law(name, *arguments, on=(start, INF))
        whole = law(name, *arguments)
        assert not d.bounded
        left_out = whole.survival(float(start))
        for c in (start + 0.1, start + 1.0, start + 5.0):
            assert d.survival(c) == pytest.approx(whole.survival(c) / left_out, rel=1e-13)
            assert d.inverse_hazard(c) == pytest.approx(whole.inverse_hazard(c), rel=1e-12)
        assert d.quantile(d.cdf(start + 0.7)) == pytest.approx(start + 0.7, rel=1e-12)
    below = law("normal", 0, 1, on=(-INF, -3))
    assert below.virtual_cost(-4.0) == pytest.approx(law("normal", 0, 1).virtual_cost(-4.0), rel=1e-13)
    assert below.cdf(-3.5) == pytest.approx(law("normal", 0, 1).cdf(-3.5) / law("normal", 0, 1).cdf(-3.0), rel=1e-12)


def test_densities_with_one_text_are_different_laws() -> None:
    """The text may name a param whose value changes."""
    one = law("density", DensityFormula("c: 1 + r*c", lambda c: 1 + c, np.ones_like), on=(0, 1))
    other = law("density", DensityFormula("c: 1 + r*c", lambda c: 1 + 2 * c, lambda c: 2 + 0 * c), on=(0, 1))
    assert one != other


def test_gap_between_the_supports_of_a_mixture() -> None:
    d = law("mixture", ((0.5, law("uniform", 0, 1)), (0.5, law("uniform", 2, 3))))
    assert (d.cdf(1.5), d.survival(1.5), d.pdf(1.5)) == (0.5, 0.5, 0.0)
    assert (d.virtual_cost(1.5), d.virtual_value(1.5)) == (INF, -INF)
    assert d.quantile(0.25) == 0.5
    assert d.quantile(0.75) == 2.5
    assert 1 <= d.quantile(0.5) <= 2
    assert d.kinks == (1.0, 2.0)


def test_mixture_where_its_density_underflows() -> None:
    wide = law("normal", 0, 2, on=(0, 90))
    d = law("mixture", ((0.5, law("normal", 0, 1, on=(0, 40))), (0.5, wide)))
    for c in (70.0, 79.0, 89.0):
        assert d.inverse_hazard(c) == pytest.approx(wide.inverse_hazard(c), rel=1e-10)
        assert d.log_survival(c) == pytest.approx(wide.log_survival(c) - math.log(2), rel=1e-12)
    assert d.inverse_hazard(80.0) < 0.06
    assert d.pdf(80.0) < 1e-300


def test_tied_observations_share_their_mean_rank() -> None:
    d = law("empirical", [1, 2, 2, 2, 3])
    assert (d.cdf(2.0), d.mean, d.kinks) == (0.5, 2.0, (2.0,))
    nearly = law("empirical", [0.1 + 0.2, 0.3, 1.0, 2.0])
    assert len(nearly.kinks) == 1
    assert nearly.cdf(1.0) == pytest.approx((2 - 0.5) / (3 - 0.5))


def test_kinks_of_a_density_are_found() -> None:
    bent = DensityFormula(
        "c: 1 + abs(c - 0.3)", lambda c: 1 + np.abs(c - 0.3), lambda c: np.sign(c - 0.3), symbolic=None
    )
    d = law("density", bent, on=(0, 1))
    assert d.kinks == pytest.approx((0.3,), abs=1e-10)
    assert d.cdf(0.3) == pytest.approx((0.3 + 0.045) / (0.3 + 0.045 + 0.7 + 0.245), rel=1e-13)
    jump = DensityFormula("c: if(c < pi/10, 1, 3)", lambda c: np.where(c < np.pi / 10, 1.0, 3.0), np.zeros_like)
    d = law("density", jump, on=(0, 1))
    assert d.kinks == pytest.approx((math.pi / 10,), abs=1e-12)
    assert d.mean == pytest.approx((3 - math.pi**2 / 50) / (2 * (3 - math.pi / 5)), rel=1e-12)


def test_constant_formula_is_uniform() -> None:
    d = law("density", DensityFormula("c: 1", lambda c: 1.0, lambda c: 0.0), on=(2, 5))  # type: ignore[arg-type, return-value]
    same = law("uniform", 2, 5)
    for c in (2.0, 2.3, 4.9, 5.0):
        assert d.virtual_cost(c) == pytest.approx(same.virtual_cost(c), rel=1e-14)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-30, 30),
    st.floats(1e-12, 60),
)
def test_tail_ratio_against_arbitrary_precision(z: float, distance: float) -> None:
    found = float(tail_ratio(np.array([z]), np.array([distance]))[0])
    with mp.workdps(60):
        exact = gaussian_between(mpf(z) - mpf(distance), mpf(z)) / mp.npdf(mpf(z))
        assert relative_error(found, exact) < 2e-13


def test_laws_print_as_they_are_written() -> None:
    tenth = Fraction(1, 10)
    assert str(law("normal", Fraction(1, 2), Fraction(2, 5), on=(Fraction(1, 20), Fraction(3, 2)))) == (
        "normal(0.5, 0.4) on [0.05, 1.5]"
    )
    assert str(law("uniform", tenth, 1)) == "uniform(0.1, 1)"
    assert str(law("uniform", Fraction(1, 3), 2.5)) == "uniform(1/3, 2.5)"
    assert str(law("uniform", Fraction(1, 3**200), 1)) == f"uniform({3.0**-200!r}, 1)"
    assert str(law("normal", 0, 1, on=(0, INF))) == "normal(0, 1) on [0, inf]"
    assert str(law("point", 2.0)) == "point(2)"
    assert str(law("normal", 0, 1)) == "normal(0, 1)"
    assert str(law("beta", 2, 3)) == "beta(2, 3) on [0, 1]"
    assert str(law("mixture", ((Fraction(3, 10), law("uniform", 0, 1)), (Fraction(7, 10), law("power", 2))))) == (
        "mixture(0.3: uniform(0, 1), 0.7: power(2) on [0, 1])"
    )
    assert str(law("density", PARABOLA, on=(0, 1))) == "density(c: 1 + c^2) on [0, 1]"
    assert str(law("empirical", DATA)) == "empirical(8 observations)"
    assert str(law("empirical", DATA, 'empirical("costs.csv", column = "cost")')) == (
        'empirical("costs.csv", column = "cost")'
    )


BAD: tuple[tuple[str, tuple[Any, ...], tuple[Any, Any] | None, str, int | None, bool], ...] = (
    ("uniform", (1, 0), None, "the support [1, 0] of uniform is reversed", None, True),
    ("uniform", (1, 1), None, "the support [1, 1] of uniform is empty", None, True),
    ("uniform", (1, 2, 3), None, "uniform(a, b) takes 2, not 3 arguments", None, False),
    ("uniform", (math.nan, 1), None, "a of uniform is not a number", 0, False),
    ("uniform", (0, INF), None, "b of uniform is infinite", 1, False),
    ("uniform", (0, 10**400), None, "b of uniform is infinite", 1, False),
    ("uniform", (0, 1), (0, 1), "uniform takes no support", None, True),
    ("uniform", (1, 1 + 1e-15), None, "too narrow", None, True),
    ("uniform", (-1e200, 1e200), None, "too wide", None, True),
    ("triangular", (0, 2, 1), None, "the mode 2 of triangular lies outside [0, 1]", 1, False),
    ("point", (INF,), None, "v of point is infinite", 0, False),
    ("normal", (0, 0), (0, 1), "the standard deviation 0 of normal is not positive", 1, False),
    ("normal", (0, Fraction(-1, 2)), (0, 1), "the standard deviation -0.5 of normal is not positive", 1, False),
    ("normal", (0, 1), (10, 0), "the support [10, 0] of normal is reversed", None, True),
    ("normal", (0, 1), (50, 60), "leaves no mass", None, True),
    ("normal", (0, 1), (-60, -50), "leaves no mass", None, True),
    ("normal", (0, 1), (math.nan, 1), "not a number", None, True),
    ("exponential", (0,), (0, 1), "the rate 0 of exponential is not positive", 0, False),
    ("exponential", (-2,), (0, 1), "the rate -2 of exponential is not positive", 0, False),
    ("exponential", (1,), (-1, 1), "the support of exponential starts at -1", None, True),
    ("exponential", (1,), (1000, 1001), "leaves no mass", None, True),
    ("lognormal", (0, -1), (1, 2), "the standard deviation -1 of lognormal is not positive", 1, False),
    ("lognormal", (0, 1), (-1, 2), "the support of lognormal starts at -1", None, True),
    ("lognormal", (0, 0.01), (3, 4), "leaves no mass", None, True),
    ("lognormal", (1000, 1), None, "out of scale", 0, False),
    ("beta", (0, 1), (0, 1), "p = 0 of beta is not positive", 0, False),
    ("beta", (1, -1), (0, 1), "q = -1 of beta is not positive", 1, False),
    ("beta", (1, 1e9), (0, 1), "out of scale", 1, False),
    ("kumaraswamy", (2, 0), (0, 1), "q = 0 of kumaraswamy is not positive", 1, False),
    ("power", (-1,), (0, 1), "p = -1 of power is not positive", 0, False),
    ("power", (2,), (0, INF), "the support of power has an end at infinite", None, True),
    ("mixture", ((),), None, "mixture has no parts", None, False),
    ("mixture", (((0.5, law("uniform", 0, 1)),),), None, "the weights of mixture sum to 0.5, not to 1", None, False),
    (
        "mixture",
        (((0, law("uniform", 0, 1)), (1, law("uniform", 0, 1))),),
        None,
        "weight 0 of mixture is not positive",
        0,
        False,
    ),
    ("mixture", (((1, law("point", 2)),),), None, "mixture has point(2) among its parts", 0, False),
    ("density", (PARABOLA,), None, "density needs a support", None, False),
    ("density", (PARABOLA,), (1, 0), "reversed", None, True),
    ("empirical", ([],), None, "empirical has no observations", None, False),
    ("empirical", ([2.0, 2.0],), None, "empirical has no two different observations", None, False),
    ("empirical", ([1.0, math.nan, 2.0],), None, "1 of 3 observations that are not finite", None, False),
)


@pytest.mark.parametrize(("name", "arguments", "on", "message", "argument", "at_support"), BAD)
def test_bad_arguments(
    name: str,
    arguments: tuple[Any, ...],
    on: tuple[Any, Any] | None,
    message: str,
    argument: int | None,
    at_support: bool,
) -> None:
    with pytest.raises(DistributionError) as caught:
        law(name, *arguments, on=on)
    assert message in caught.value.message
    assert (caught.value.argument, caught.value.at_support) == (argument, at_support)


@pytest.mark.parametrize(
    ("text", "value", "place"),
    [
        ("c: c - 0.5", lambda c: c - 0.5, "0."),
        ("c: (c - 0.5)^2 - 1e-9", lambda c: (c - 0.5) ** 2 - 1e-9, "0.5"),
        ("c: (c - 1/3)^2", lambda c: (c - 1 / 3) ** 2, "0.333333"),
        ("c: 1/(c - 0.5)^2", lambda c: 1 / (c - 0.5) ** 2, "0.5"),
        ("c: log(c - 0.2)", lambda c: np.log(c - 0.2), "0."),
    ],
)
def test_densities_that_are_not_positive(text: str, value: Any, place: str) -> None:
    with pytest.raises(DistributionError, match="density") as caught:
        law("density", DensityFormula(text, value, lambda c: c), on=(0, 1))
    assert place in caught.value.message


def test_density_that_cannot_be_integrated() -> None:
    with pytest.raises(DistributionError, match="cannot be integrated"):
        law("density", DensityFormula("c: 1/c", lambda c: 1 / c, lambda c: -1 / c**2), on=(0, 1))


def test_other_families_beside_the_built_in_ones() -> None:
    half = Family("half", (), lambda arguments, support: law("uniform", 0, Fraction(1, 2)), "uniform on [0, 1/2]")
    known = families([half])
    assert set(known) == {*FAMILIES, "half"}
    assert known["half"].build(()).upper == 0.5
    with pytest.raises(ValueError, match="two distributions are named 'uniform'"):
        families([Family("uniform", (), half.make, "")])
    with pytest.raises(TypeError):
        known["other"] = half  # type: ignore[index]
