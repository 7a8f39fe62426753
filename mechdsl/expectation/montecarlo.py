"""Expectations over many types: randomised quasi-Monte Carlo, its error from independent randomisations.

Scrambled Sobol points in quantile space; the same points for every regime, so a difference has an error of its own. A
rent is integrated with the other columns where `F/f` is moderate; where the density dies out, which no draw would ever
see, its own type runs over its length instead, at the price of one more point each.
"""

from __future__ import annotations

import numpy as np

from mechdsl.distributions import Distribution
from mechdsl.evaluate import Array
from mechdsl.expectation.integrand import Integrand

__all__ = ["replicates"]

REPLICATES = 16
_FIRST = 4  # 2 to the power: points of a replicate to begin with
_STEEP = 10.0  # F/f relative to the width of the support above which a rent gets points of its own


def replicates(integrand: Integrand, tolerance: float, budget: int, seed: int) -> tuple[Array, int]:
    """(R, C) independent estimates of every column, and the number of points in all.

    Points are doubled until the standard error of the largest columns is within tolerance or the budget is spent.

    Args:
        integrand: of any number of open types.
        tolerance: relative, of the standard error.
        budget: of effort: points of all replicates and rules, those solved one at a time counted many times.
        seed: of the scrambling.

    Source: Owen (1997), Scrambled net variance for integrals of smooth functions, Annals of Statistics 25.
    """
    from scipy.stats import qmc

    size = len(integrand.open)
    steep = tuple(j for j in integrand.open if _is_steep(integrand.laws[j]) and j in integrand.measures)
    sequences = [qmc.Sobol(size, scramble=True, rng=np.random.default_rng([seed, r])) for r in range(REPLICATES)]
    sums = np.zeros((REPLICATES, len(integrand.columns)))
    points, used = 0, 0
    level = _FIRST
    while True:
        fresh = 2**level - points
        drawn = [sequence.random(fresh) for sequence in sequences]
        table, effort = _table(integrand, np.concatenate(drawn), steep)
        sums += table.reshape(REPLICATES, fresh, -1).sum(axis=1)
        points, used = points + fresh, used + effort
        means = sums / points
        error = means.std(axis=0, ddof=1) / np.sqrt(REPLICATES)
        scale = np.abs(means.mean(axis=0)) @ integrand.groups() + 1e-300
        if np.all(error <= tolerance * scale) or 2 * used > budget:
            return means, REPLICATES * points
        level += 1


def _is_steep(law: Distribution) -> bool:
    levels: Array = 2.0 ** -np.arange(1, 50, dtype=np.float64)
    types = np.asarray(law.upper_quantile(levels))
    return bool(np.max(np.asarray(law.inverse_reverse_hazard(types))) > _STEEP * (float(law.upper) - float(law.lower)))


def _table(integrand: Integrand, u: Array, steep: tuple[int, ...]) -> tuple[Array, int]:
    """(N, C): every column at the points, rents weighted by the measure they are taken under; and the effort."""
    laws = [integrand.laws[j] for j in integrand.open]
    u = np.clip(u, 1e-15, 1 - 1e-15)
    types = np.column_stack([np.asarray(law.quantile(u[:, j])) for j, law in enumerate(laws)])
    values, _, _, effort = integrand.at(types)
    for j, law in enumerate(laws):
        entry = integrand.open[j]
        rents = [place for place, measure in enumerate(integrand.measures) if measure == entry]
        if not rents:
            continue
        if entry in steep:
            width = float(law.upper) - float(law.lower)
            moved = types.copy()
            moved[:, j] = float(law.lower) + width * u[:, j]
            again, _, _, more = integrand.at(moved)
            values[:, rents] = again[:, rents] * width
            effort += more
        else:
            with np.errstate(divide="ignore"):
                density = np.asarray(law.pdf(types[:, j]))
            values[:, rents] = np.where(np.isinf(density), 0.0, values[:, rents].T / density).T
    return values, effort
