"""`density(c: EXPR) on [a, b]`: any positive density, normalised by panels fine enough that each is exact to rounding.

Panels are halved until Gauss rules agree on each *relative to its own mass*, so both tails keep their relative
accuracy; the first and last panel take the double exponential rule, which bears densities that vanish or blow up at
the ends. Where halving does not help there is a kink, and it is reported as one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mechdsl.distributions.arguments import DistributionError, Support, bounded_support, exact, number_text
from mechdsl.distributions.distribution import Array, Distribution
from mechdsl.distributions.inversion import tail_points
from mechdsl.distributions.quadrature import double_exponential, gauss

__all__ = ["Density", "DensityFormula", "density"]

_HALF = 0.5
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
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
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
        """The formula's integral from a to c: by panels, or where it is most of the whole, as what the rest leaves."""
        return self._mass(c, from_below=True)

    def _upper_mass(self, c: Array) -> Array:
        return self._mass(c, from_below=False)

    def _mass(self, c: Array, from_below: bool) -> Array:
        mass = self._mass_beyond(c, from_below)
        most = mass > _HALF * self._total
        if most.any():
            mass[most] = self._total - self._mass_beyond(c[most], not from_below)
        return mass

    def _mass_beyond(self, c: Array, from_below: bool) -> Array:
        """The panels on one side of c, and the part of c's own panel on that side."""
        last = len(self.edges) - 2
        j = np.clip(np.searchsorted(self.edges, c, side="right") - 1, 0, last)
        edge = self.edges[j] if from_below else self.edges[j + 1]
        mass = (self.below[j] if from_below else self.above[j + 1]).copy()
        inner = (j > 0) & (j < last)
        mass[inner] += np.abs(_by_gauss(self.formula.value, c[inner], edge[inner]))
        for end, away, inside in ((self.lower, 1.0, j == 0), (self.upper, -1.0, j == last)):
            if inside.any():
                distance = np.abs(c[inside] - end)
                if (end == self.lower) == from_below:
                    mass[inside] += _from_end(self.formula.value, end, away, distance)
                else:
                    mass[inside] += _to_edge(self.formula.value, end, away, distance, np.abs(edge[inside] - end))
        return mass

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
        return tail_points(self._lower_tail, u, self.lower, near, far, start)

    def _upper_point(self, s: Array) -> Array:
        share = self.above[::-1] / self._total
        j = np.clip(np.searchsorted(share, s, side="right") - 1, 0, len(share) - 2)
        edges = self.edges[::-1]
        near, far = edges[j], edges[j + 1]
        start = near + (far - near) * (s - share[j]) / (share[j + 1] - share[j])
        return tail_points(self._upper_tail, s, self.upper, near, far, start)

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
    masses, found = panels[2], _found_kinks(formula, panels[0], panels[1])
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


def _by_gauss(function: Callable[[Array], Array], lower: Array, upper: Array) -> Array:
    """Integrals over intervals inside a panel where the formula is smooth."""
    nodes, weights = gauss(_NODES)
    total = np.empty(lower.shape)
    for block in _blocks(len(lower)):
        width = (upper - lower)[block]
        total[block] = width * (_values(function, lower[block, None] + width[:, None] * nodes) @ weights)
    return total


def _from_end(function: Callable[[Array], Array], end: float, away: float, distance: Array, steps: int = 8) -> Array:
    """Integrals over the first `distance` from an end of the support, where the formula may vanish or blow up."""
    u, _, weights = double_exponential(steps)
    total = np.empty(distance.shape)
    for block in _blocks(len(distance)):
        values = _values(function, end + away * u * distance[block, None])
        total[block] = distance[block] * (np.where(np.isfinite(values), values, 0.0) @ weights)
    return total


def _to_edge(function: Callable[[Array], Array], end: float, away: float, distance: Array, edge: Array) -> Array:
    """Integrals from `distance` to `edge`, both counted from an end, in the logarithm, where the formula is smooth."""
    s, _, weights = double_exponential()
    total = np.zeros(distance.shape)
    distance = np.maximum(distance, 1e-280 * edge)
    for block in _blocks(len(distance)):
        decades = np.log(edge[block] / distance[block])
        place = distance[block, None] * np.exp(s * decades[:, None])
        total[block] = decades * ((place * _values(function, end + away * place)) @ weights)
    return np.where(distance < edge, total, 0.0)


def _blocks(count: int) -> list[slice]:
    """Rows to evaluate at once, so that a million types do not need their nodes in memory together."""
    return [slice(start, start + 4096) for start in range(0, count, 4096)]


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
        mass, error = _mass_with_error(formula, left, right, (lower, upper))
        finest = 8 * np.spacing(np.maximum(np.abs(left), np.abs(right)))
        settled = (error <= _AGREEMENT * mass) | (right - left <= finest)
        count += int(settled.sum())
        if count + 2 * int((~settled).sum()) > _MOST_PANELS:
            settled[:] = True
        missing += float(error[settled].sum())
        done.append((left[settled], right[settled], mass[settled]))
        left, right = left[~settled], right[~settled]
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


def _mass_with_error(formula: DensityFormula, left: Array, right: Array, ends: Support) -> tuple[Array, Array]:
    """Integrals over panels, and how far two rules of different order differ on each."""
    middle = 0.5 * (left + right)
    mass = _by_gauss(formula.value, left, right)
    error = np.abs(_by_gauss(formula.value, left, middle) + _by_gauss(formula.value, middle, right) - mass)
    for end, away, at_end in ((float(ends[0]), 1.0, left == ends[0]), (float(ends[1]), -1.0, right == ends[1])):
        if at_end.any():
            width = (right - left)[at_end]
            mass[at_end] = _from_end(formula.value, end, away, width)
            error[at_end] = np.abs(mass[at_end] - _from_end(formula.value, end, away, width, steps=6))
    return mass, error


def _found_kinks(formula: DensityFormula, left: Array, right: Array) -> list[float]:
    """One place in every cluster of panels that halving has made tiny; a jump to the last bit."""
    tiny = np.flatnonzero(right - left < 1e-10 * (right[-1] - left[0]))
    tiny = tiny[(tiny > 0) & (tiny < len(left) - 1)]
    clusters = np.split(tiny, np.flatnonzero(np.diff(tiny) > 1) + 1) if tiny.size else []
    return [_kink_between(formula, float(left[cluster[0]]), float(right[cluster[-1]])) for cluster in clusters]


def _kink_between(formula: DensityFormula, left: float, right: float) -> float:
    """Where the formula bends or jumps in a tiny interval: by halving towards the larger change."""
    low, high = left, right
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return high
        values = _values(formula.value, np.array([low, middle, high]))
        if values[2] == values[0]:
            return middle
        low, high = (middle, high) if abs(values[2] - values[1]) > abs(values[1] - values[0]) else (low, middle)


def _representatives(formula: DensityFormula, edges: Array, total: float) -> tuple[Array, Array]:
    """Nodes and probabilities of the rules on all panels."""
    u, weights = gauss(_NODES)
    left, width = edges[1:-2], np.diff(edges)[1:-1]
    nodes = [(left[:, None] + width[:, None] * u).reshape(-1)]
    masses = [(width[:, None] * weights).reshape(-1) * _values(formula.value, nodes[0])]
    share, _, weights = double_exponential()
    for end, edge in ((edges[0], edges[1]), (edges[-1], edges[-2])):
        places = end + share * (edge - end)
        values = _values(formula.value, places)
        nodes.append(places)
        masses.append(abs(edge - end) * weights * np.where(np.isfinite(values), values, 0.0))
    return np.concatenate(nodes), np.concatenate(masses) / total


def _check_positive(formula: DensityFormula, lower: float, upper: float, kinks: tuple[float, ...]) -> None:
    """Refuses a formula that is not a positive number everywhere between a and b, narrow dips included."""
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
