"""Quadrature on one interval with algebraic singularities at its ends, by the double exponential substitution.

Nodes are given by their distances to both ends, so an integrand that vanishes or blows up at an end is evaluated at
full relative accuracy there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["double_exponential", "gauss", "unit_integral"]

_Array = npt.NDArray[np.float64]
_REACH = 4.9  # nodes come as near as exp(-pi sinh(4.9)) = 1e-92 to an end


@cache
def double_exponential(steps: int = 8) -> tuple[_Array, _Array, _Array]:
    """Nodes u on (0, 1), their complements 1 - u, and weights, `steps` nodes to each unit of the substituted variable.

    Source: Takahasi & Mori (1974), Double exponential formulas for numerical integration, Publ. RIMS 9, 721-741.
    """
    count = int(_REACH * steps)
    t = np.arange(-count, count + 1) / steps
    exponent = np.pi * np.sinh(t)
    u, complement = 1 / (1 + np.exp(-exponent)), 1 / (1 + np.exp(exponent))
    weights = np.pi * np.cosh(t) * u * complement / steps
    return _frozen(u), _frozen(complement), _frozen(weights)


@cache
def gauss(count: int) -> tuple[_Array, _Array]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return _frozen(0.5 * (nodes + 1)), _frozen(0.5 * weights)


def unit_integral(function: Callable[[_Array], _Array]) -> float:
    """The integral over (0, 1) of a function that is smooth inside and may be singular at 0."""
    u, _, weights = double_exponential(32)
    return math.fsum(weights * function(u))


def _frozen(array: _Array) -> _Array:
    array.flags.writeable = False
    return array
