"""Distributions of private types: what screening needs of them, exact and stable far into the tails.

`FAMILIES` maps a name of the language to its family; a `Distribution` gives cdf, density, quantiles, hazards, virtual
costs and values, regularity and ironing. A plugin adds families of its own (`plugged`) and tries them (`conformance`).
"""

from mechdsl.distributions.arguments import DistributionError, Number, Support
from mechdsl.distributions.distribution import Distribution
from mechdsl.distributions.families import FAMILIES, Family, families
from mechdsl.distributions.regularity import Regularity

__all__ = ["FAMILIES", "Distribution", "DistributionError", "Family", "Number", "Regularity", "Support", "families"]
