"""A distribution of types: the formulas of screening that follow from its cdf and density, stable far into the tails.

A family states the density, the cdf, both tails over the density, and quantiles; everything else follows here, once.
The two ratios `F/f` and `(1 - F)/f` are primitives, not quotients: where the density is 1e-22 or underflows they are
what virtual costs need, and quotients of rounded numbers are not. On a closed support every function takes its limit
at the ends.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from mechdsl.distributions.arguments import Number, Support, number_text
from mechdsl.distributions.ironing import Ironed, iron
from mechdsl.distributions.regularity import Regularity, checked_regularity

__all__ = ["Array", "Distribution", "Real", "Reflected"]

Array: TypeAlias = npt.NDArray[np.float64]

# A number or an array of them: what comes back has the shape of what was given.
Real = TypeVar("Real", float, Array)


@dataclass(frozen=True, slots=True, repr=False)
class Distribution(ABC):
    """A law F of one real type on `[lower, upper]`, with density f.

    Functions of a type c (or a value v) take a float or an array and give the same; outside the support the cdf is 0 or
    1, the density 0, and what has no meaning there (hazards, virtual costs) NaN.

    Args:
        name: the family's, as the language spells it.
        arguments: as stated, exact where the text was.
        on: the support as stated, None where the family takes none or none was stated.
        lower: a, possibly minus infinity.
        upper: b, possibly infinite.
    """

    name: str
    arguments: tuple[Number, ...]
    on: Support | None
    lower: float
    upper: float

    def __str__(self) -> str:
        stated = f"{self.name}({', '.join(map(number_text, self.arguments))})"
        return stated if self.on is None else f"{stated} on [{number_text(self.on[0])}, {number_text(self.on[1])}]"

    __repr__ = __str__

    # ------------------------------------------------------------------------------------------- what a family states

    @abstractmethod
    def _pdf(self, c: Array) -> Array:
        """f on the support (one-dimensional arrays, here and below)."""

    @abstractmethod
    def _cdf(self, c: Array) -> Array: ...

    @abstractmethod
    def _survival(self, c: Array) -> Array: ...

    @abstractmethod
    def _lower_ratio(self, c: Array) -> Array:
        """F/f."""

    @abstractmethod
    def _upper_ratio(self, c: Array) -> Array:
        """(1 - F)/f."""

    @abstractmethod
    def _log_pdf_slope(self, c: Array) -> Array:
        """f'/f."""

    @abstractmethod
    def _lower_point(self, u: Array) -> Array:
        """The c with F(c) = u, for u <= 1/2."""

    @abstractmethod
    def _upper_point(self, s: Array) -> Array:
        """The c with 1 - F(c) = s, for s <= 1/2."""

    @property
    @abstractmethod
    def mean(self) -> float:
        """E[c]."""

    @property
    @abstractmethod
    def variance(self) -> float:
        """E[(c - mean)^2]."""

    @abstractmethod
    def symbolic_pdf(self, c: Any) -> Any:
        """f(c) on the support, in sympy."""

    @abstractmethod
    def symbolic_cdf(self, c: Any) -> Any:
        """F(c) on the support, in sympy."""

    # ----------------------------------------------------------- what a family may state better than it follows from it

    def _log_pdf(self, c: Array) -> Array:
        return np.log(self._pdf(c))

    def _pdf_slope(self, c: Array) -> Array:
        return self._pdf(c) * self._log_pdf_slope(c)

    @property
    def kinks(self) -> tuple[float, ...]:
        """Points inside the support where the density is not smooth: quadrature splits there."""
        return ()

    @property
    def affine_virtual_cost(self) -> tuple[float, float] | None:
        """(slope, intercept) where c + F/f is affine on the whole support, else None."""
        return None

    @property
    def piecewise_uniform(self) -> bool:
        """Whether the density is constant between the kinks, so that virtual costs can only fall at kinks."""
        return False

    def symbolic_virtual_cost(self, c: Any) -> Any:
        """`c + F/f` in sympy, in closed form where there is one."""
        return c + self.symbolic_cdf(c) / self.symbolic_pdf(c)

    def cost_theorem(self) -> Regularity | None:
        """What is known of the virtual cost without computing, None if nothing is."""
        return None

    def value_theorem(self) -> Regularity | None:
        """What is known of the virtual value `v - (1 - F)/f` without computing."""
        return None

    def level_point(self, level: float, lower: float, upper: float) -> float:
        """The c in `[lower, upper]`, a stretch where the virtual cost does not fall, at which it passes `level`.

        The end of the stretch where it stays on one side; the place of the jump where it jumps over the level.
        """
        from scipy.optimize import brentq

        first, last = math.nextafter(lower, math.inf), math.nextafter(upper, -math.inf)
        if first >= last or self.virtual_cost(first) >= level:
            return lower
        if self.virtual_cost(last) <= level:
            return upper

        def excess(c: float) -> float:
            return max(-1e300, min(1e300, self.virtual_cost(c) - level))

        return float(brentq(excess, first, last, xtol=1e-300, rtol=4 * np.finfo(float).eps, maxiter=500))

    # -------------------------------------------------------------------------------------------------- what follows

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite; a private type must be."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)

    @property
    def is_point(self) -> bool:
        """Whether the type is known."""
        return self.lower == self.upper

    def pdf(self, c: Real) -> Real:
        """f(c)."""
        return self._over(self._pdf, c, 0.0, 0.0)

    def log_pdf(self, c: Real) -> Real:
        """log f(c), also where f underflows."""
        return self._over(self._log_pdf, c, -math.inf, -math.inf)

    def pdf_slope(self, c: Real) -> Real:
        """f'(c); at a kink the derivative to the right."""
        return self._over(self._pdf_slope, c, 0.0, 0.0)

    def log_pdf_slope(self, c: Real) -> Real:
        """f'(c)/f(c), also where f underflows."""
        return self._over(self._log_pdf_slope, c, math.nan, math.nan)

    def cdf(self, c: Real) -> Real:
        """F(c) = P(type <= c), to full relative accuracy in the lower tail."""
        return self._over(self._cdf, c, 0.0, 1.0, at_lower=0.0, at_upper=1.0)

    def survival(self, c: Real) -> Real:
        """1 - F(c), to full relative accuracy in the upper tail."""
        return self._over(self._survival, c, 1.0, 0.0, at_lower=1.0, at_upper=0.0)

    def log_cdf(self, c: Real) -> Real:
        """log F(c), also where F underflows."""
        return self._over(lambda c: self._lower_tail(c)[0], c, -math.inf, 0.0, at_lower=-math.inf, at_upper=0.0)

    def log_survival(self, c: Real) -> Real:
        """log(1 - F(c)), also where 1 - F underflows."""
        return self._over(lambda c: self._upper_tail(c)[0], c, 0.0, -math.inf, at_lower=0.0, at_upper=-math.inf)

    def mass(self, lower: float, upper: float) -> float:
        """P(lower < type <= upper), taken from the nearer tail."""
        if self.cdf(upper) <= 0.5:
            return self.cdf(upper) - self.cdf(lower)
        return self.survival(lower) - self.survival(upper)

    def inverse_reverse_hazard(self, c: Real) -> Real:
        """F/f: rents to all cheaper types, per unit of density; 0 at a, infinite at b if f vanishes there."""
        return self._over(self._lower_ratio, c, math.nan, math.nan, at_lower=0.0)

    def inverse_hazard(self, c: Real) -> Real:
        """(1 - F)/f; 0 at b, infinite at a if f vanishes there."""
        return self._over(self._upper_ratio, c, math.nan, math.nan, at_upper=0.0)

    def reverse_hazard(self, c: Real) -> Real:
        """f/F."""
        return self._over(lambda c: 1.0 / self._lower_ratio(c), c, math.nan, math.nan, at_lower=math.inf)

    def hazard(self, c: Real) -> Real:
        """f/(1 - F)."""
        return self._over(lambda c: 1.0 / self._upper_ratio(c), c, math.nan, math.nan, at_upper=math.inf)

    def virtual_cost(self, c: Real) -> Real:
        """c + F/f: what a unit from type c costs a buyer who must leave rents to all cheaper types.

        Source: Myerson (1981), Optimal auction design, Math. Oper. Res. 6, 58-73, for a seller; the mirror image here.
        """
        return self._over(lambda c: c + self._lower_ratio(c), c, math.nan, math.nan, at_lower=self.lower)

    def virtual_cost_slope(self, c: Real) -> Real:
        """d/dc (c + F/f) = 2 - (F/f)(f'/f)."""
        return self._over(lambda c: 2.0 - self._lower_ratio(c) * self._log_pdf_slope(c), c, math.nan, math.nan)

    def virtual_value(self, v: Real) -> Real:
        """v - (1 - F)/f: what a unit to type v earns a seller who must leave rents to all keener types.

        Source: Myerson (1981), Optimal auction design, Math. Oper. Res. 6, 58-73.
        """
        return self._over(lambda v: v - self._upper_ratio(v), v, math.nan, math.nan, at_upper=self.upper)

    def quantile(self, u: Real) -> Real:
        """The c with F(c) = u, for u in [0, 1]; NaN outside."""
        return self._at(self._lower_point, self._upper_point, u, self.lower, self.upper)

    def upper_quantile(self, s: Real) -> Real:
        """The c with 1 - F(c) = s, for s in [0, 1]: the upper tail, where 1 - s would be rounded to 1."""
        return self._at(self._upper_point, self._lower_point, s, self.upper, self.lower)

    def sample(self, generator: np.random.Generator, shape: int | tuple[int, ...]) -> Array:
        """Independent draws: the quantiles of the generator's uniform numbers, one for each entry in C order."""
        return self.quantile(generator.random(shape))

    def regularity(self) -> Regularity:
        """Whether the virtual cost rises, and how that is known."""
        known = self.cost_theorem()
        return known if known is not None else checked_regularity(self)

    def ironed(self) -> Ironed:
        """The ironed virtual cost (the virtual cost itself where that rises)."""
        return iron(self)

    def reflected(self) -> Distribution:
        """The law of minus the type: a seller's problem in values is the mirror image of a buyer's in costs."""
        return Reflected.of(self)

    # ------------------------------------------------------------------------------------------------------ evaluation

    def _lower_tail(self, c: Array) -> tuple[Array, Array]:
        """log F and F/f."""
        ratio, survival = self._lower_ratio(c), self._survival(c)
        logarithm = np.where(survival >= 0.5, self._log_pdf(c) + np.log(ratio), np.log1p(-survival))
        gap = np.isinf(ratio) & (survival >= 0.5)
        if gap.any():  # no density, but mass below
            logarithm[gap] = np.log(self._cdf(c[gap]))
        return logarithm, ratio

    def _upper_tail(self, c: Array) -> tuple[Array, Array]:
        """log(1 - F) and (1 - F)/f."""
        ratio, below = self._upper_ratio(c), self._cdf(c)
        logarithm = np.where(below >= 0.5, self._log_pdf(c) + np.log(ratio), np.log1p(-below))
        gap = np.isinf(ratio) & (below >= 0.5)
        if gap.any():
            logarithm[gap] = np.log(self._survival(c[gap]))
        return logarithm, ratio

    def _over(
        self,
        formula: Callable[[Array], Array],
        c: Real,
        below: float,
        above: float,
        at_lower: float | None = None,
        at_upper: float | None = None,
    ) -> Real:
        """`formula` on the support, the given constants below, above and at its ends."""
        if isinstance(c, float | int):
            if c <= self.lower and (c < self.lower or at_lower is not None):
                return below if c < self.lower else cast(float, at_lower)
            if c >= self.upper and (c > self.upper or at_upper is not None):
                return above if c > self.upper else cast(float, at_upper)
            with np.errstate(all="ignore"):
                return float(formula(np.array([c], dtype=np.float64))[0])
        given = np.asarray(c, dtype=np.float64)
        flat = given.reshape(-1)
        with np.errstate(all="ignore"):
            values = np.array(formula(np.clip(flat, self.lower, self.upper)))
        if at_lower is not None:
            values[flat == self.lower] = at_lower
        if at_upper is not None:
            values[flat == self.upper] = at_upper
        values[flat < self.lower] = below
        values[flat > self.upper] = above
        return values.reshape(given.shape)

    def _at(
        self,
        near: Callable[[Array], Array],
        far: Callable[[Array], Array],
        u: Real,
        first: float,
        last: float,
    ) -> Real:
        """Quantiles counted from the end `first`: each solved from the tail it lies in."""
        given = np.asarray(u, dtype=np.float64)
        flat = given.reshape(-1)
        values = np.full(flat.shape, math.nan)
        with np.errstate(all="ignore"):
            for tail, inside in ((near, (flat > 0) & (flat <= 0.5)), (far, (flat > 0.5) & (flat < 1))):
                if inside.any():
                    points = tail(flat[inside] if tail is near else 1.0 - flat[inside])
                    values[inside] = np.clip(points, self.lower, self.upper)
        values[flat == 0] = first
        values[flat == 1] = last
        return float(values[0]) if isinstance(u, float | int) else values.reshape(given.shape)


@dataclass(frozen=True, slots=True, repr=False)
class Reflected(Distribution):
    """The law of -c, c as in `original`: what costs are to a buyer, values with the sign turned are to a seller.

    `virtual_value(v)` of a law is `-virtual_cost(-v)` of its reflection, so one regularity test and one ironing serve
    both sides of a market.
    """

    original: Distribution

    @staticmethod
    def of(original: Distribution) -> Distribution:
        """The reflection; of a reflection, the original."""
        if isinstance(original, Reflected):
            return original.original
        return Reflected("reflected", (), None, 0.0 - original.upper, 0.0 - original.lower, original)

    def __str__(self) -> str:
        return f"-({self.original})"

    __repr__ = __str__

    def _pdf(self, c: Array) -> Array:
        return self.original.pdf(-c)

    def _log_pdf(self, c: Array) -> Array:
        return self.original.log_pdf(-c)

    def _cdf(self, c: Array) -> Array:
        return self.original.survival(-c)

    def _survival(self, c: Array) -> Array:
        return self.original.cdf(-c)

    def _lower_ratio(self, c: Array) -> Array:
        return self.original.inverse_hazard(-c)

    def _upper_ratio(self, c: Array) -> Array:
        return self.original.inverse_reverse_hazard(-c)

    def _pdf_slope(self, c: Array) -> Array:
        return -self.original.pdf_slope(-c)

    def _log_pdf_slope(self, c: Array) -> Array:
        return -self.original.log_pdf_slope(-c)

    def _lower_point(self, u: Array) -> Array:
        return -self.original.upper_quantile(u)

    def _upper_point(self, s: Array) -> Array:
        return -self.original.quantile(s)

    def mass(self, lower: float, upper: float) -> float:
        """P(lower < type <= upper)."""
        return self.original.mass(-upper, -lower)

    @property
    def mean(self) -> float:
        return -self.original.mean

    @property
    def variance(self) -> float:
        return self.original.variance

    @property
    def kinks(self) -> tuple[float, ...]:
        return tuple(-kink for kink in reversed(self.original.kinks))

    @property
    def piecewise_uniform(self) -> bool:
        return self.original.piecewise_uniform

    def cost_theorem(self) -> Regularity | None:
        return self.original.value_theorem()

    def value_theorem(self) -> Regularity | None:
        return self.original.cost_theorem()

    def symbolic_pdf(self, c: Any) -> Any:
        return self.original.symbolic_pdf(-c)

    def symbolic_cdf(self, c: Any) -> Any:
        return 1 - self.original.symbolic_cdf(-c)
