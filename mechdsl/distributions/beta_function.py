"""log B(p, q) to full relative accuracy, large arguments included, without scipy.

The difference of log-gammas loses all digits that the three have in common; differences of Stirling's series do not.
"""

from __future__ import annotations

import math

__all__ = ["log_beta"]

_HALF = 0.5


def log_beta(p: float, q: float) -> float:
    """log B(p, q), by Stirling's series for differences of log-gammas where those would cancel."""
    small, large = min(p, q), max(p, q)
    if large < 10:
        return math.log(math.gamma(p)) - math.log(math.gamma(p + q)) + math.log(math.gamma(q))
    tail = _stirling(large) - _stirling(small + large)
    if small < 10:
        return (
            math.log(math.gamma(small))
            - (large - _HALF) * math.log1p(small / large)
            - small * math.log(small + large)
            + small
            + tail
        )
    total = small + large
    return (
        _HALF * math.log(2 * math.pi / large)
        + (small - _HALF) * math.log(small / total)
        - large * math.log1p(small / large)
        + _stirling(small)
        + tail
    )


def _stirling(x: float) -> float:
    """log Gamma(x) minus (x - 1/2) log x - x + log(2 pi)/2, for x >= 10."""
    y = 1 / (x * x)
    series = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
    return sum(coefficient * y**k for k, coefficient in enumerate(series)) / x
