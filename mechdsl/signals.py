"""What signals tell of a state, in numbers: the precision of the best linear unbiased estimator, straight from the
signals as stated.

The estimator is a least-squares problem, with the common factors as further unknowns of known variance; an orthogonal
factorisation solves it without a covariance, an inverse or a closed formula. So the books and the certificates can
judge the formulas of the theory by it. An effort of 0 is a row of zeros, a variance of 0 a column of zeros.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import sympy as sp

from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Letter, Quantity, derivative, precision_of, quantities
from mechdsl.market import Declaration, Layer, Market, Signal

__all__ = ["precisions", "residuals", "signal_letters"]


def precisions(market: Market, values: Mapping[Quantity, Array]) -> dict[Quantity, Array]:
    """`1 / Var(BLUE)` of every state that the market's formulas ask about; empty where they ask about none.

    Args:
        market: with its signals, states and common factors.
        values: of every quantity in the signals' formulas; leading axes (draws) broadcast together.

    Returns:
        the quantity `precision(theta)` -> shape `(..., *shape of theta)`; 0 where the signals cannot tell.

    Source: Henderson (1975), Best linear unbiased estimation and prediction under a selection model, for factors as
    unknowns of known variance; Bjoerck (1996), Numerical Methods for Least Squares Problems, section 4.
    """
    formulas = [f for layer in market.layers for f in (layer.cost, layer.value, layer.outside)]
    formulas += [side for c in market.constraints for side in (c.left, c.right)]
    formulas += [o.goal for o in market.objectives if isinstance(o.goal, sp.Basic)]
    asked = {q for f in formulas for q in quantities(f, "precision")}
    if not asked:
        return {}
    told = _told(market, values)
    found, start = {}, 0
    for state in market.states:
        size = int(np.prod(state.quantity.shape))
        quantity = precision_of(state.quantity)
        if quantity in asked:
            part = told[..., start : start + size]
            found[quantity] = part.reshape(part.shape[:-1] + state.quantity.shape)
        start += size
    return found


def signal_letters(layer: Layer, signal: Signal) -> tuple[Letter, ...]:
    """The letters a signal is repeated over: its layer's, then its own."""
    return tuple(dict.fromkeys((*layer.letters, *signal.declaration.letters)))


def residuals(market: Market, values: Mapping[Quantity, Array]) -> tuple[Array, ...]:
    """`a - w . b` of every signal, at the factors' best estimates b: what a signal says of the one state by itself.

    For any b, `sum q (a - w . b)^2 + sum b^2 / V` is at least the precision, and equals it at this one.

    Args:
        market: with one scalar state.
        values: of every quantity in the signals' formulas, without leading axes.

    Returns:
        an array for each signal, in the order of the layers, of the shape of its letters.
    """
    told = [(s, signal_letters(layer, s)) for layer in market.layers for s in layer.signals]
    slopes = [_slopes(s.mean, market.states[0], values, letters)[:, 0] for s, letters in told]
    loadings = [_loadings(market, s, values, letters) for s, letters in told]
    noises = [np.sqrt(evaluate(s.noise_precision, values, letters).ravel()) for s, letters in told]
    wide = loadings[0].shape[-1]
    left = np.concatenate([*(q[:, None] * u for q, u in zip(noises, loadings, strict=True)), np.eye(wide)])
    right = np.concatenate([*(q * a for q, a in zip(noises, slopes, strict=True)), np.zeros(wide)])
    best = np.linalg.lstsq(left, right, rcond=None)[0]
    return tuple(
        (a - u @ best).reshape([len(x.index_set) for x in letters])
        for a, u, (_, letters) in zip(slopes, loadings, told, strict=True)
    )


def _told(market: Market, values: Mapping[Quantity, Array]) -> Array:
    """Precision of every state entry, `(..., entries)`."""
    blocks = []
    for layer in market.layers:
        for signal in layer.signals:
            letters = signal_letters(layer, signal)
            states = [_slopes(signal.mean, d, values, letters) for d in market.states]
            loadings = _loadings(market, signal, values, letters)
            table = evaluate(signal.noise_precision, values, letters)
            count = int(np.prod(table.shape[table.ndim - len(letters) :]))
            weight = np.sqrt(table.reshape(*table.shape[: table.ndim - len(letters)], count))
            parts = [np.asarray(weight[..., :, None] * part) for part in (loadings, *states)]
            lead = np.broadcast_shapes(*(p.shape[:-1] for p in parts))
            blocks.append(np.concatenate([np.broadcast_to(p, lead + p.shape[-1:]) for p in parts], axis=-1))
    factors_wide = sum(int(np.prod(c.declaration.quantity.shape)) for c in market.commons)
    states_wide = sum(int(np.prod(d.quantity.shape)) for d in market.states)
    blocks.append(np.eye(factors_wide, factors_wide + states_wide))  # the factors' own prior
    blocks.append(np.zeros((states_wide, factors_wide + states_wide)))  # none on the states; keeps the matrix tall
    lead = np.broadcast_shapes(*(b.shape[:-2] for b in blocks))
    stacked = np.concatenate([np.broadcast_to(b, lead + b.shape[-2:]) for b in blocks], axis=-2)
    triangle: Array = np.asarray(np.linalg.qr(stacked, mode="r"))
    triangle = triangle[..., factors_wide:, factors_wide:]
    return _diagonal(triangle)


def _diagonal(triangle: Array) -> Array:
    """`1 / (J^-1)_jj` for `J = R'R`; 0 for what lies in its null space."""
    if triangle.shape[-1] == 1:
        alone: Array = triangle[..., 0] ** 2
        return alone
    _, sizes, rows = np.linalg.svd(triangle)
    largest = sizes[..., :1]
    seen = sizes > 1e-14 * np.where(largest > 0, largest, 1.0)
    with np.errstate(divide="ignore", over="ignore"):
        variance = np.sum(np.where(seen[..., None], (rows / sizes[..., None]) ** 2, 0.0), axis=-2)
        hidden = np.sum(np.where(seen[..., None], 0.0, rows**2), axis=-2) > 1e-14
        precision: Array = np.where(hidden, 0.0, 1.0 / variance)
    return precision


def _slopes(mean: sp.Expr, of: Declaration, values: Mapping[Quantity, Array], letters: tuple[Letter, ...]) -> Array:
    """Coefficients of every entry of a state or factor in a signal's mean: `(..., signals, entries)`."""
    fresh = tuple(Letter(f"{a.name}_", a.index_set) for a in of.letters)
    slope = derivative(mean, of.quantity[fresh] if fresh else of.quantity)
    table = evaluate(slope, values, (*letters, *fresh))
    lead = table.shape[: table.ndim - len(letters) - len(fresh)]
    rows = int(np.prod([len(a.index_set) for a in letters]))
    return table.reshape(*lead, rows, int(np.prod(of.quantity.shape)))


def _loadings(market: Market, signal: Signal, values: Mapping[Quantity, Array], letters: tuple[Letter, ...]) -> Array:
    """Coefficients of all factors, each in units of its standard deviation: `(..., signals, factors)`."""
    rows = int(np.prod([len(a.index_set) for a in letters]))
    parts = [
        _slopes(signal.mean, c.declaration, values, letters)
        * np.sqrt(_entries(c.variance, c.declaration, values))[..., None, :]
        for c in market.commons
    ]
    lead = np.broadcast_shapes(*(p.shape[:-1] for p in parts), (rows,))
    return np.concatenate([np.zeros((*lead, 0)), *(np.broadcast_to(p, lead + p.shape[-1:]) for p in parts)], axis=-1)


def _entries(formula: sp.Expr, of: Declaration, values: Mapping[Quantity, Array]) -> Array:
    table = evaluate(formula, values, of.letters)
    return table.reshape(*table.shape[: table.ndim - len(of.letters)], int(np.prod(of.quantity.shape)))
