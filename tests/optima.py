"""Small programmes for tests of the engine, written out: linear ones from arrays, others from formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from mechdsl.formula import Entry, IndexSet, IndexSum, Interval, Letter, Quantity
from mechdsl.program import Constraint, Optimum, Variable

NONNEGATIVE = Interval(0.0, float("inf"))


def names(name: str, count: int) -> tuple[IndexSet, Letter]:
    chosen = IndexSet(name, tuple(str(n) for n in range(count)))
    return chosen, Letter(name[0], chosen)


def linear(
    costs: Sequence[float],
    rows: Sequence[Sequence[float]],
    sides: Sequence[float],
    relation: str = ">=",
    sense: str = "minimize",
    lower: float = 0.0,
    upper: float = float("inf"),
) -> Optimum:
    """`minimise costs . x subject to rows x RELATION sides, lower <= x <= upper`."""
    columns, j = names("j_columns", len(costs))
    every, i = names("i_rows", len(sides))
    x = Quantity("x", [columns], "decision")
    c, a, b = Quantity("c", [columns]), Quantity("A", [every, columns]), Quantity("b", [every])
    return Optimum(
        sense,
        IndexSum(c[j] * x[j], (j,)),
        (Variable(x, (j,), number(lower), number(upper)),),
        (Constraint("row", (i,), IndexSum(a[i, j] * x[j], (j,)), relation, b[i]),),
        {c: np.array(costs, float), a: np.array(rows, float), b: np.array(sides, float)},
        convex=True,
    )


def number(value: float) -> sp.Expr:
    return sp.oo if value == np.inf else -sp.oo if value == -np.inf else sp.Float(value)


def written(
    objective: Any,
    rows: Mapping[str, tuple[Any, str, Any]],
    bounds: Mapping[Quantity, tuple[float, float]],
    sense: str = "minimize",
    convex: bool | None = True,
    parameters: tuple[Quantity, ...] = (),
) -> Optimum:
    """A programme in scalar decisions."""
    variables = tuple(Variable(q, (), number(low), number(high)) for q, (low, high) in bounds.items())
    constraints = tuple(Constraint(n, (), a, r, b) for n, (a, r, b) in rows.items())
    return Optimum(sense, sp.Add(objective), variables, constraints, {}, parameters, convex)


def decision(name: str, nonnegative: bool = True) -> Quantity:
    return Quantity(name, (), "decision", NONNEGATIVE if nonnegative else Interval(-float("inf"), float("inf")))


def procurement(size: int, seed: int = 0, gamma: float | None = None) -> tuple[Optimum, Quantity]:
    """`min w . x^rho` over `x_k + sum_i mu_ik x_i^gamma_ik >= d_k`, the weights open."""
    rng = np.random.default_rng(seed)
    domains, k = names("k_domains", size)
    i = Letter("i", domains)
    x, w = Quantity("x", [domains], "decision", NONNEGATIVE), Quantity("w", [domains], "open", NONNEGATIVE)
    d, rho = Quantity("d", [domains], "param", NONNEGATIVE), Quantity("rho", [domains], "param", NONNEGATIVE)
    mu, g = (Quantity(n, [domains, domains], "param", NONNEGATIVE) for n in ("mu", "gamma"))
    entry: Any = Entry
    supply = entry(x, k) + IndexSum(mu[i, k] * x[i] ** g[i, k], (i,))
    data = {
        d: rng.uniform(1, 4, size),
        rho: rng.uniform(1.1, 2, size),
        mu: rng.uniform(0, 1.5 / size, (size, size)),
        g: rng.uniform(0.3, 1, (size, size)) if gamma is None else np.full((size, size), gamma),
    }
    program = Optimum(
        "minimize",
        IndexSum(w[k] * x[k] ** rho[k], (k,)),
        (Variable(x, (k,)),),
        (Constraint("demand", (k,), supply, ">=", d[k]),),
        data,
        (w,),
        True,
    )
    return program, w
