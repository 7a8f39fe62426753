"""The law of minus a type: what costs are to a buyer, values with the sign turned are to a seller.

`virtual_value(v)` of a law is `-virtual_cost(-v)` of its reflection, so one regularity test and one ironing serve
both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mechdsl.distributions.distribution import Array, Distribution
from mechdsl.distributions.regularity import Regularity

__all__ = ["Reflected"]


@dataclass(frozen=True, slots=True, repr=False)
class Reflected(Distribution):
    """The law of -c, c as in `original`."""

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
