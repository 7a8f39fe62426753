"""Many integrals of functions with kinks and jumps at once, every round of nodes asked for in one call.

Gauss-Kronrod panels. Where a panel's error is too large it is cut where the caller's pattern (which constraints bind)
changes between nodes, each such place found by bisection, else halved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mechdsl.evaluate import Array

__all__ = ["Asked", "integrals"]

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]
Asked: TypeAlias = Callable[[Places, Array], tuple[Array, Flags]]
"""Which integral's function, and where: (M,) and (M,) to its values (M,) and its pattern there (M, P)."""

# Kronrod's extension of the Gauss rule of 7 points to 15 (QUADPACK, qk15): nodes, its weights, the weights of every
# second node in the Gauss rule.
_HALF = (0.991455371120812639206854697526329, 0.949107912342758524526189684047851, 0.864864423359769072789712788640926,
         0.741531185599394439863864773280788, 0.586087235467691130294144691258480, 0.405845151377397166906606412076961,
         0.207784955007898467600689403773245)  # fmt: skip
_KRONROD_HALF = (0.022935322010529224963732008058970, 0.063092092629978553290700663189204,
                 0.104790010322250183839876322541518, 0.140653259715525918745189590510238,
                 0.169004726639267902826583426598550, 0.190350578064785409913256402421014,
                 0.204432940075298892414161999234649)  # fmt: skip
_GAUSS_HALF = (0.129484966168869693270611432679082, 0.279705391489276667901467771423780,
               0.381830050505118944950369775488975)  # fmt: skip
_NODES = np.array([*(-z for z in _HALF), 0.0, *_HALF[::-1]])
_KRONROD = np.array([*_KRONROD_HALF, 0.209482141084727828012999174891714, *_KRONROD_HALF[::-1]])
_GAUSS = np.array([*_GAUSS_HALF, 0.417959183673469387755102040816327, *_GAUSS_HALF[::-1]])
_ROUNDS, _BISECTIONS = 48, 80
_SHARE = 0.1  # of the tolerance that one panel may take


def integrals(
    function: Asked, lower: Array, upper: Array, cuts: list[Array], scale: Array, tolerance: float
) -> tuple[Array, Array]:
    """`int_lower^upper f_i` for every `i`, and bounds on their errors.

    Args:
        function: of (which, where), piecewise smooth, the pattern constant on its smooth pieces.
        lower: (I,) left ends.
        upper: (I,) right ends; an integral whose ends meet is 0.
        cuts: for each integral, places known beforehand where it is not smooth.
        scale: (I,) what the tolerance is relative to, on top of the integral itself.
        tolerance: relative.

    Source: Piessens et al. (1983), QUADPACK, for rule and error estimate; the cuts are ours (tests/test_panels.py).
    """
    count = len(lower)
    total, error = np.zeros(count), np.zeros(count)
    owner, left, right = _first(lower, upper, cuts)
    size = np.array(scale, dtype=np.float64)
    for _ in range(_ROUNDS):
        if not len(owner):
            return total, error
        half, middle = (right - left) / 2, (left + right) / 2
        t = np.clip(middle[:, None] + half[:, None] * _NODES, left[:, None], right[:, None])
        flat, marks = function(np.repeat(owner, len(_NODES)), t.ravel())
        values, pattern = flat.reshape(t.shape), marks.reshape(*t.shape, -1)
        found, off = _ruled(values, half)
        np.maximum.at(size, owner, np.nan_to_num(np.abs(total[owner]) + np.abs(found)))
        allowed = _SHARE * tolerance * size[owner]
        done = (off <= allowed) | (half <= 1e-15 * np.maximum(np.abs(middle), 1e-300)) | ~np.isfinite(off)
        np.add.at(total, owner[done], found[done])
        np.add.at(error, owner[done], off[done])
        open_ = ~done
        owner, left, right = owner[open_], left[open_], right[open_]
        t, values, pattern, allowed = t[open_], values[open_], pattern[open_], allowed[open_]
        panel, low, high, at_low, at_high = _bisected(function, owner, t, values, pattern, allowed)
        sliver = (high - low) * (at_low + at_high) / 2
        np.add.at(total, owner[panel], sliver)
        np.add.at(error, owner[panel], (high - low) * np.abs(at_high - at_low) / 2)
        owner, left, right = _parted(owner, left, right, panel, low, high)
    error[owner] = np.inf  # not settled: said, not hidden
    return total, error


def _first(lower: Array, upper: Array, cuts: list[Array]) -> tuple[Places, Array, Array]:
    """The panels to begin with."""
    owners, lefts, rights = [], [], []
    for n, (a, b, inner) in enumerate(zip(lower, upper, cuts, strict=True)):
        if a < b:
            edges = [a, *(k for k in inner if a < k < b), b]
            owners += [n] * (len(edges) - 1)
            lefts += edges[:-1]
            rights += edges[1:]
    return np.array(owners, dtype=np.intp), np.array(lefts, dtype=np.float64), np.array(rights, dtype=np.float64)


def _ruled(values: Array, half: Array) -> tuple[Array, Array]:
    """Kronrod's rule, and QUADPACK's estimate of its error."""
    found = half * (values @ _KRONROD)
    off = np.abs(found - half * (values[:, 1::2] @ _GAUSS))
    mean = found / np.where(half > 0, 2 * half, 1.0)
    spread = half * (np.abs(values - mean[:, None]) @ _KRONROD)
    scaled = np.where(spread > 0, spread * np.minimum(1.0, (200 * off / np.where(spread > 0, spread, 1.0)) ** 1.5), off)
    noise = 1e-14 * half * (np.abs(values) @ _KRONROD)
    return found, np.where(off <= noise, noise, np.maximum(scaled, noise))


def _bisected(
    function: Asked, owner: Places, t: Array, values: Array, pattern: Flags, allowed: Array
) -> tuple[Places, Array, Array, Array, Array]:
    """Where the pattern changes between neighbouring nodes, as narrow brackets: panel, ends, values at them.

    A misplaced kink costs the square of the distance, a misplaced jump its height times the distance: bisection goes on
    until that is allowed.
    """
    panel, node = np.nonzero(np.any(pattern[:, 1:] != pattern[:, :-1], axis=2))
    low, high = t[panel, node], t[panel, node + 1]
    at_low, at_high = values[panel, node], values[panel, node + 1]
    before = pattern[panel, node]
    limit = _SHARE * allowed[panel]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        wide = ((high - low) * np.abs(at_high - at_low) > limit) & (low < middle) & (middle < high)
        at = np.flatnonzero(wide)
        if not len(at):
            break
        found, marks = function(owner[panel[at]], middle[at])
        same = np.all(marks == before[at], axis=1)
        low[at] = np.where(same, middle[at], low[at])
        at_low[at] = np.where(same, found, at_low[at])
        high[at] = np.where(same, high[at], middle[at])
        at_high[at] = np.where(same, at_high[at], found)
    return panel, low, high, at_low, at_high


def _parted(
    owner: Places, left: Array, right: Array, panel: Places, low: Array, high: Array
) -> tuple[Places, Array, Array]:
    """What lies between the brackets; panels without any are halved."""
    whole = np.ones(len(owner), dtype=bool)
    whole[panel] = False
    middle = (left[whole] + right[whole]) / 2
    # Of a panel with brackets: from its left end to the first, from each to the next, from the last to the right end.
    cut = np.flatnonzero(~whole)
    start_panel, start = np.concatenate([cut, panel]), np.concatenate([left[cut], high])
    end_panel, end = np.concatenate([panel, cut]), np.concatenate([low, right[cut]])
    starts, ends = np.lexsort((start, start_panel)), np.lexsort((end, end_panel))
    which = start_panel[starts]
    new = (
        np.concatenate([owner[whole], owner[whole], owner[which]]),
        np.concatenate([left[whole], middle, start[starts]]),
        np.concatenate([middle, right[whole], end[ends]]),
    )
    real = new[1] < new[2]
    return new[0][real], new[1][real], new[2][real]
