"""Linear programmes by HiGHS: a vertex with its basis, where optima fill a face.

Newton's method on the optimality conditions wants one solution, a barrier stops in the middle of a face of them; the
simplex method names a vertex, and tells an unbounded or infeasible programme from a hard one. What it returns is judged
like any other point.
"""

from __future__ import annotations

import numpy as np

from mechdsl.engines.callbacks import Scales, Structure
from mechdsl.engines.form import Numbers
from mechdsl.engines.ipopt import Stopped, row_bounds
from mechdsl.program import Status

__all__ = ["vertex"]

_ENDED = {0: Status.OPTIMAL, 2: Status.INFEASIBLE, 3: Status.UNBOUNDED}
_CODES = {Status.OPTIMAL: 0, Status.INFEASIBLE: 2, Status.UNBOUNDED: 4}  # Ipopt's


def vertex(structure: Structure, numbers: Numbers, scales: Scales) -> Stopped | None:
    """An optimal vertex of a form without nonlinear terms, scaled; None where HiGHS does not get to an answer.

    Where there is none, the point is nan and the code says whether the programme is infeasible or unbounded.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    form, terms = structure.form, structure.form.linear
    everything = coo_array((numbers.linear, (terms.rows, terms.source)), shape=(form.m + 1, form.n)).tocsr()
    unit = scales.objective[structure.component] * scales.column
    cost = np.asarray(everything[[0]].todense()).ravel() * unit
    body = everything[1:].multiply(scales.row[:, None]).multiply(scales.column[None, :]).tocsr()
    lower, upper = (side * scales.row for side in row_bounds(form, numbers))
    equal, above, below = lower == upper, np.isfinite(lower) & (lower < upper), np.isfinite(upper) & (lower < upper)
    from scipy.sparse import vstack

    found = linprog(
        cost,
        A_ub=vstack([-body[above], body[below]]) if np.any(above | below) else None,
        b_ub=np.concatenate((-lower[above], upper[below])) if np.any(above | below) else None,
        A_eq=body[equal] if equal.any() else None,
        b_eq=lower[equal] if equal.any() else None,
        bounds=np.column_stack((numbers.lower / scales.column, numbers.upper / scales.column)),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    ended = _ENDED.get(int(found.status))
    if ended is None:
        return None
    if ended is not Status.OPTIMAL:
        none = np.zeros(form.n)
        return Stopped(np.full(form.n, np.nan), np.zeros(form.m), none, none, _CODES[ended], 0)
    multipliers = np.zeros(form.m)
    multipliers[equal] = found.eqlin.marginals
    sides = np.split(found.ineqlin.marginals, [int(above.sum())])
    multipliers[above] -= sides[0]
    multipliers[below] += sides[1]
    return Stopped(
        np.clip(found.x * scales.column, numbers.lower, numbers.upper),
        multipliers * scales.row / scales.objective[structure.row_component],
        np.maximum(found.lower.marginals, 0.0) / unit,
        np.maximum(-found.upper.marginals, 0.0) / unit,
        _CODES[ended],
        int(found.nit),
    )
