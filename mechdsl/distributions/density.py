"""`density(c: EXPR) on [a, b]`: any positive density, normalised by panels fine enough that each is exact to rounding.

Panels are halved until Gauss rules agree on each *relative to its own mass*, so both tails keep their relative accuracy; the
first and last panel take the double exponential rule, which bears densities that vanish or blow up at the ends. Where
halving does not help there is a kink, and it is reported as one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mechdsl.distributions.arguments import DistributionError, Support, bounded_support, exact, number_text
from mechdsl.distributions.distribution import Array, Distribution
from mechdsl.distributions.inversion import tail_points
from mechdsl.distributions.quadrature import double_exponential, gauss

__all__ = ["Density", "DensityFormula", "density"]

_Mask: TypeAlias = npt.NDArray[np.bool_]

_NODES = 12
_PANELS = 32  # to start with
_MOST_PANELS = 4000
_AGREEMENT = 2e-14
_TOLERANCE = 1e-10  # of the whole: beyond, the density is refused


@dataclass(frozen=True, slots=True)
class DensityFormula:
    """A density up to its constant, as the elaborator renders it.

    Args:
        text: `c: exp(-c)`, as the text has it.
        value: the formula, vectorised over types.
        slope: its derivative in the type, vectorised.
        kinks: places where the formula is not smooth, as far as they are known; others are found.
        symbolic: the formula in sympy as a function of the type's symbol, None if there is none.
    """

    text: str
    value: Callable[[Array], Array] = field(compare=False)
    slope: Callable[[Array], Array] = field(compare=False)
    kinks: tuple[float, ...] = ()
    symbolic: Callable[[Any], Any] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, repr=False)
class Density(Distribution):
    """A normalised formula.

    Args:
        formula: the density up to its constant.
        places: kinks inside the support.
        edges: of the panels, shape (J + 1,).
        below: mass of the formula left of each edge; `above` right of it, both shape (J + 1,).
        nodes: types that represent the law, shape (M,), and their probabilities.
    """

    formula: DensityFormula
    places: tuple[float, ...] = field(compare=False)
    edges: Array = field(compare=False)
    below: Array = field(compare=False)
    above: Array = field(compare=False)
    nodes: Array = field(compare=False)
    probability: Array = field(compare=False)

    def __str__(self) -> str:
        lower, upper = self.on if self.on is not None else (self.lower, self.upper)
        return f"density({self.formula.text}) on [{number_text(lower)}, {number_text(upper)}]"

    __repr__ = __str__

    @property
    def _total(self) -> float:
        return float(self.below[-1])

    def _pdf(self, c: Array) -> Array:
        return _values(self.formula.value, c) / self._total

    def _pdf_slope(self, c: Array) -> Array:
        return _values(self.formula.slope, c) / self._total

    def _log_pdf_slope(self, c: Array) -> Array:
        return _values(self.formula.slope, c) / _values(self.formula.value, c)

    def _lower_mass(self, c: Array) -> Array:
        """The formula's integral from a to c."""
        j = self._panel(c)
        return self.below[j] + _integral(self.formula.value, self.edges[j], c, self._at_end(j))

    def _upper_mass(self, c: Array) -> Array:
        j = self._panel(c)
        return self.above[j + 1] + _integral(self.formula.value, c, self.edges[j + 1], self._at_end(j))

    def _panel(self, c: Array) -> npt.NDArray[np.intp]:
        return np.clip(np.searchsorted(self.edges, c, side="right") - 1, 0, len(self.edges) - 2)

    def _at_end(self, panel: npt.NDArray[np.intp]) -> _Mask:
        return np.asarray((panel == 0) | (panel == len(self.edges) - 2))

    def _cdf(self, c: Array) -> Array:
        return self._lower_mass(c) / self._total

    def _survival(self, c: Array) -> Array:
        return self._upper_mass(c) / self._total

    def _lower_ratio(self, c: Array) -> Array:
        return self._lower_mass(c) / _values(self.formula.value, c)

    def _upper_ratio(self, c: Array) -> Array:
        return self._upper_mass(c) / _values(self.formula.value, c)

    def _lower_point(self, u: Array) -> Array:
        share = self.below / self._total
        j = np.clip(np.searchsorted(share, u, side="right") - 1, 0, len(share) - 2)
        near, far = self.edges[j], self.edges[j + 1]
        start = near + (far - near) * (u - share[j]) / (share[j + 1] - share[j])
        return tail_points(self.log_cdf, self.inverse_reverse_hazard, u, self.lower, near, far, start)

    def _upper_point(self, s: Array) -> Array:
        share = self.above[::-1] / self._total
        j = np.clip(np.searchsorted(share, s, side="right") - 1, 0, len(share) - 2)
        edges = self.edges[::-1]
        near, far = edges[j], edges[j + 1]
        start = near + (far - near) * (s - share[j]) / (share[j + 1] - share[j])
        return tail_points(self.log_survival, self.inverse_hazard, s, self.upper, near, far, start)

    @property
    def mean(self) -> float:
        return self.lower + math.fsum(self.probability * (self.nodes - self.lower))

    @property
    def variance(self) -> float:
        return math.fsum(self.probability * (self.nodes - self.mean) ** 2)

    @property
    def kinks(self) -> tuple[float, ...]:
        return self.places

    def symbolic_pdf(self, c: Any) -> Any:
        return self._symbolic(c) / self._symbolic_mass(exact(self._ends()[1]))

    def symbolic_cdf(self, c: Any) -> Any:
        return self._symbolic_mass(c) / self._symbolic_mass(exact(self._ends()[1]))

    def symbolic_virtual_cost(self, c: Any) -> Any:
        return c + self._symbolic_mass(c) / self._symbolic(c)

    def _ends(self) -> Support:
        return self.on if self.on is not None else (self.lower, self.upper)

    def _symbolic(self, c: Any) -> Any:
        import sympy as sp

        return self.formula.symbolic(c) if self.formula.symbolic is not None else sp.Function("f")(c)

    def _symbolic_mass(self, c: Any) -> Any:
        """The formula's integral up to c: carried out for polynomials, left as an integral otherwise."""
        import sympy as sp

        t = sp.Dummy("t", real=True)
        integral = sp.Integral(self._symbolic(t), (t, exact(self._ends()[0]), c))
        return integral.doit() if self._symbolic(t).is_polynomial(t) else integral


def density(formula: DensityFormula, on: Support | None) -> Density:
    """The law on [a, b] whose density is proportional to a formula that is positive between a and b.

    Raises:
        DistributionError: zero, negative or undefined somewhere inside; not integrable to 1e-10.
    """
    stated, lower, upper = bounded_support(on, "density")
    known = tuple(sorted({kink for kink in formula.kinks if lower < kink < upper}))
    with np.errstate(all="ignore"):
        _check_positive(formula, lower, upper, known)
        panels = _panels(formula, lower, upper, known)
    masses, found = panels[2], _found_kinks(panels[0], panels[1], upper - lower)
    edges = np.concatenate((panels[0], [upper]))
    below = np.concatenate(([0.0], np.cumsum(masses)))
    above = np.concatenate((np.cumsum(masses[::-1])[::-1], [0.0]))
    below[-1] = above[0] = math.fsum(masses)
    nodes, probability = _representatives(formula, edges, below[-1])
    for array in (edges, below, above, nodes, probability):
        array.flags.writeable = False
    places = tuple(sorted({*known, *found}))
    return Density("density", (), stated, lower, upper, formula, places, edges, below, above, nodes, probability)


def _values(function: Callable[[Array], Array], c: Array) -> Array:
    """What a rendered formula returns, as an array of c's shape (a constant formula returns a number)."""
    return np.broadcast_to(np.asarray(function(c), dtype=np.float64), c.shape)


def _integral(function: Callable[[Array], Array], lower: Array, upper: Array, at_end: _Mask) -> Array:
    """Integrals over many short intervals, each inside one panel; those in the first and last panel by the rule for ends."""
    total = np.zeros(np.broadcast(lower, upper).shape)
    lower, upper = np.broadcast_to(lower, total.shape), np.broadcast_to(upper, total.shape)
    for end in (False, True):
        part = at_end == end
        if part.any():
            total[part] = (_by_double_exponential if end else _by_gauss)(function, lower[part], upper[part])
    return total


def _by_gauss(function: Callable[[Array], Array], lower: Array, upper: Array) -> Array:
    total, width = np.zeros(lower.shape), upper - lower
    for node, weight in zip(*gauss(_NODES), strict=True):
        total += weight * _values(function, lower + node * width)
    return total * width


def _by_double_exponential(function: Callable[[Array], Array], lower: Array, upper: Array, steps: int = 8) -> Array:
    total, width = np.zeros(lower.shape), upper - lower
    for u, w, weight in zip(*double_exponential(steps), strict=True):
        c = lower + u * width if u < w else upper - w * width
        values = _values(function, c)
        total += weight * np.where(np.isfinite(values) | ((c > lower) & (c < upper)), values, 0.0)
    return total * width


def _panels(
    formula: DensityFormula, lower: float, upper: float, kinks: tuple[float, ...]
) -> tuple[Array, Array, Array]:
    """Left ends, right ends and masses of panels on each of which the rules agree, in order."""
    edges = np.union1d(np.linspace(lower, upper, _PANELS + 1), kinks)
    left, right = edges[:-1], edges[1:]
    done: list[tuple[Array, Array, Array]] = []
    missing = 0.0
    count = 0
    while left.size:
        at_end = (left == lower) | (right == upper)
        mass, error = _mass_with_error(formula, left, right, at_end)
        finest = 8 * np.spacing(np.maximum(np.abs(left), np.abs(right)))
        settled = (error <= _AGREEMENT * mass) | (right - left <= finest)
        count += int(settled.sum())
        if count + 2 * int((~settled).sum()) > _MOST_PANELS:
            settled[:] = True
        missing += float(error[settled].sum())
        done.append((left[settled], right[settled], mass[settled]))
        left, right, at_end = left[~settled], right[~settled], at_end[~settled]
        middle = _split(left, right, lower, upper)
        left, right = np.concatenate((left, middle)), np.concatenate((middle, right))
    panels = [np.concatenate(parts) for parts in zip(*done, strict=True)]
    order = np.argsort(panels[0])
    result = panels[0][order], panels[1][order], panels[2][order]
    total = math.fsum(result[2])
    if not (math.isfinite(total) and total > 0 and missing <= _TOLERANCE * total):
        raise DistributionError(
            f"density({formula.text}) cannot be integrated to ten digits on [{lower:g}, {upper:g}]",
            "It varies too fast or is too singular at an end; state a smoother density or a narrower support.",
        )
    return result


def _split(left: Array, right: Array, lower: float, upper: float) -> Array:
    """Where to halve; panels at the ends are cut near their end, so that few are needed to reach a singularity."""
    width = right - left
    middle = left + 0.5 * width
    middle = np.where((left == lower) & (right < upper), left + 0.125 * width, middle)
    return np.where((right == upper) & (left > lower), right - 0.125 * width, middle)


def _mass_with_error(formula: DensityFormula, left: Array, right: Array, at_end: _Mask) -> tuple[Array, Array]:
    mass, error = np.empty(left.shape), np.empty(left.shape)
    if at_end.any():
        ends = left[at_end], right[at_end]
        mass[at_end] = _by_double_exponential(formula.value, *ends)
        error[at_end] = np.abs(mass[at_end] - _by_double_exponential(formula.value, *ends, steps=6))
    inner = ~at_end
    if inner.any():
        a, b = left[inner], right[inner]
        middle = 0.5 * (a + b)
        halves = _by_gauss(formula.value, a, middle) + _by_gauss(formula.value, middle, b)
        whole = _by_gauss(formula.value, a, b)
        mass[inner], error[inner] = whole, np.abs(halves - whole)
    return mass, error


def _found_kinks(left: Array, right: Array, width: float) -> list[float]:
    """The middle of every cluster of panels that halving has made tiny."""
    tiny = np.flatnonzero(right - left < 1e-10 * width)
    tiny = tiny[(tiny > 0) & (tiny < len(left) - 1)]
    clusters = np.split(tiny, np.flatnonzero(np.diff(tiny) > 1) + 1) if tiny.size else []
    least = (cluster[np.argmin(right[cluster] - left[cluster])] for cluster in clusters)
    return [float(0.5 * (left[i] + right[i])) for i in least]


def _representatives(formula: DensityFormula, edges: Array, total: float) -> tuple[Array, Array]:
    """Nodes and probabilities of the rules on all panels."""
    nodes, masses = [], []
    u, weights = gauss(_NODES)
    left, width = edges[1:-2], np.diff(edges)[1:-1]
    inner = (left[:, None] + width[:, None] * u).reshape(-1)
    nodes.append(inner)
    masses.append((width[:, None] * weights).reshape(-1) * _values(formula.value, inner))
    u, complement, weights = double_exponential()
    for a, b in ((edges[0], edges[1]), (edges[-2], edges[-1])):
        ends = np.where(u < complement, a + u * (b - a), b - complement * (b - a))
        values = _values(formula.value, ends)
        nodes.append(ends)
        masses.append((b - a) * weights * np.where(np.isfinite(values), values, 0.0))
    return np.concatenate(nodes), np.concatenate(masses) / total


def _check_positive(formula: DensityFormula, lower: float, upper: float, kinks: tuple[float, ...]) -> None:
    """Refuses a formula that is not a positive number somewhere between a and b, dips between looked-at points included."""
    from scipy.optimize import minimize_scalar

    inside = np.linspace(lower, upper, 2049)[1:-1]
    beside = np.nextafter(np.repeat(kinks, 2), np.tile([-np.inf, np.inf], len(kinks)))
    grid = np.union1d(inside, beside)
    values = _values(formula.value, grid)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if wrong.size:
        raise _not_positive(formula, float(grid[wrong[0]]), float(values[wrong[0]]))
    for i in np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] < values[2:])) + 1:
        least = minimize_scalar(
            lambda c: float(_values(formula.value, np.array([c]))[0]),
            bounds=(grid[i - 1], grid[i + 1]),
            method="bounded",
            options={"xatol": 1e-9 * (grid[i + 1] - grid[i - 1])},
        )
        if not least.fun > 1e-12 * min(values[i - 1], values[i + 1]):
            raise _not_positive(formula, float(least.x), float(least.fun))


def _not_positive(formula: DensityFormula, place: float, value: float) -> DistributionError:
    shown = "not a number" if math.isnan(value) else "infinite" if math.isinf(value) else f"{value:.6g}"
    return DistributionError(
        f"density({formula.text}) is {shown} at {place:.6g}",
        "A density must be positive everywhere between the ends of its support.",
        argument=0,
    )
