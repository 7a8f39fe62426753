"""Mixtures: a type that comes from one of several populations, whose densities, cdfs and tails add up by weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from mechdsl.distributions.arguments import DistributionError, Number, as_floats, exact, number_text
from mechdsl.distributions.distribution import Array, Distribution
from mechdsl.distributions.inversion import tail_points

__all__ = ["Mixture", "mixture"]

_UNDERFLOW = 1e-280
_Function: TypeAlias = Callable[[Array], Array]


@dataclass(frozen=True, slots=True, repr=False)
class Mixture(Distribution):
    """`sum_i w_i F_i`; between two of its supports there may be a gap, where F/f is infinite."""

    components: tuple[Distribution, ...]
    weights: tuple[float, ...]

    def __str__(self) -> str:
        parts = (f"{number_text(w)}: {d}" for w, d in zip(self.arguments, self.components, strict=True))
        return f"mixture({', '.join(parts)})"

    __repr__ = __str__

    def _sum(self, values: Sequence[Array]) -> Array:
        return np.asarray(sum(w * v for w, v in zip(self.weights, values, strict=True)))

    def _inside(self, component: Distribution, c: Array, values: Array) -> Array:
        """A component's density on [lower, upper) of it: where two supports meet, the right one's counts."""
        if component.upper == self.upper:
            return values
        return np.where(c < component.upper, values, 0.0)

    def _pdf(self, c: Array) -> Array:
        return self._sum([self._inside(d, c, d.pdf(c)) for d in self.components])

    def _log_pdf(self, c: Array) -> Array:
        logs = [
            np.where((c < d.upper) | (d.upper == self.upper), d.log_pdf(c) + math.log(w), -math.inf)
            for w, d in zip(self.weights, self.components, strict=True)
        ]
        return np.asarray(np.logaddexp.reduce(logs, axis=0))

    def _pdf_slope(self, c: Array) -> Array:
        return self._sum([self._inside(d, c, d.pdf_slope(c)) for d in self.components])

    def _log_pdf_slope(self, c: Array) -> Array:
        shares = self._shares(c)
        slopes = [
            np.where(share > 0, d.log_pdf_slope(c), 0.0) for share, d in zip(shares, self.components, strict=True)
        ]
        return np.asarray(sum(share * slope for share, slope in zip(shares, slopes, strict=True)))

    def _shares(self, c: Array) -> list[Array]:
        """`w_i f_i / f`, also where f underflows."""
        total = self._log_pdf(c)
        return [
            np.where((c < d.upper) | (d.upper == self.upper), np.exp(d.log_pdf(c) + math.log(w) - total), 0.0)
            for w, d in zip(self.weights, self.components, strict=True)
        ]

    def _cdf(self, c: Array) -> Array:
        return self._sum([d.cdf(c) for d in self.components])

    def _survival(self, c: Array) -> Array:
        return self._sum([d.survival(c) for d in self.components])

    def _lower_ratio(self, c: Array) -> Array:
        tails = [(d.cdf, d.inverse_reverse_hazard) for d in self.components]
        return self._ratio(c, self._cdf(c) / self._pdf(c), tails)

    def _upper_ratio(self, c: Array) -> Array:
        tails = [(d.survival, d.inverse_hazard) for d in self.components]
        return self._ratio(c, self._survival(c) / self._pdf(c), tails)

    def _ratio(self, c: Array, quotient: Array, tails: Sequence[tuple[_Function, _Function]]) -> Array:
        """Tail over density; where that underflows, the components' own ratios by their shares of the density."""
        lost = self._pdf(c) < _UNDERFLOW
        if lost.any():
            c = c[lost]
            rarity = np.exp(-self._log_pdf(c))
            quotient[lost] = sum(
                np.where(share > 0, share * ratio(c), np.where(tail(c) > 0, w * tail(c) * rarity, 0.0))
                for w, share, (tail, ratio) in zip(self.weights, self._shares(c), tails, strict=True)
            )
        return quotient

    def _lower_point(self, u: Array) -> Array:
        ends = np.array([d.quantile(u) for d in self.components])
        near, far = ends.min(axis=0), ends.max(axis=0)
        return tail_points(self._lower_tail, u, self.lower, near, far, 0.5 * (near + far))

    def _upper_point(self, s: Array) -> Array:
        ends = np.array([d.upper_quantile(s) for d in self.components])
        near, far = ends.max(axis=0), ends.min(axis=0)
        return tail_points(self._upper_tail, s, self.upper, near, far, 0.5 * (near + far))

    @property
    def mean(self) -> float:
        return math.fsum(w * d.mean for w, d in zip(self.weights, self.components, strict=True))

    @property
    def variance(self) -> float:
        centre = self.mean
        return math.fsum(
            w * (d.variance + (d.mean - centre) ** 2) for w, d in zip(self.weights, self.components, strict=True)
        )

    @property
    def kinks(self) -> tuple[float, ...]:
        places = {kink for d in self.components for kink in (d.lower, *d.kinks, d.upper)}
        return tuple(sorted(kink for kink in places if self.lower < kink < self.upper))

    @property
    def affine_virtual_cost(self) -> tuple[float, float] | None:
        return self.components[0].affine_virtual_cost if len(self.components) == 1 else None

    @property
    def piecewise_uniform(self) -> bool:
        return all(d.piecewise_uniform for d in self.components)

    def symbolic_pdf(self, c: Any) -> Any:
        return self._symbolic(c, [(0, d.symbolic_pdf(c), 0) for d in self.components])

    def symbolic_cdf(self, c: Any) -> Any:
        return self._symbolic(c, [(0, d.symbolic_cdf(c), 1) for d in self.components])

    def _symbolic(self, c: Any, formulas: Sequence[tuple[int, Any, int]]) -> Any:
        """The weighted sum of (below, on, above) each component's support."""
        import sympy as sp

        terms = []
        for weight, d, (below, on, above) in zip(self.arguments, self.components, formulas, strict=True):
            pieces = [(below, c < _exact_float(d.lower))] if d.lower > self.lower else []
            if d.upper < self.upper:
                pieces += [(on, c < _exact_float(d.upper)), (above, True)]
            else:
                pieces.append((on, True))
            terms.append(exact(weight) * sp.Piecewise(*pieces))
        return sp.Add(*terms)


def mixture(parts: Sequence[tuple[Number, Distribution]]) -> Mixture:
    """`mixture(0.3: D1, 0.7: D2)`: positive weights that sum to 1, distributions with densities."""
    if not parts:
        raise DistributionError("mixture has no parts", "Write mixture(0.3: D1, 0.7: D2).")
    weights = as_floats([weight for weight, _ in parts], [f"weight {i + 1}" for i in range(len(parts))], "mixture")
    for position, (number, (weight, component)) in enumerate(zip(weights, parts, strict=True)):
        if number <= 0:
            raise DistributionError(
                f"weight {number_text(weight)} of mixture is not positive", "Leave out what has no weight.", position
            )
        if component.is_point:
            raise DistributionError(
                f"mixture has {component} among its parts",
                "Its parts need densities; spread the point over a narrow uniform(a, b).",
                position,
            )
    total = sum((Fraction(weight) for weight, _ in parts), Fraction(0))
    if abs(total - 1) > Fraction(1, 10**9):
        raise DistributionError(
            f"the weights of mixture sum to {number_text(float(total))}, not to 1", "Divide each by their sum."
        )
    components = tuple(component for _, component in parts)
    lower, upper = min(d.lower for d in components), max(d.upper for d in components)
    shares = tuple(float(Fraction(weight) / total) for weight, _ in parts)
    return Mixture("mixture", tuple(weight for weight, _ in parts), None, lower, upper, components, shares)


def _exact_float(value: float) -> Any:
    return exact(Fraction(repr(value)))
