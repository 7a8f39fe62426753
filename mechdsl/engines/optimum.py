"""An Optimum compiled once and solved at many parameter values.

Formulas are lowered to templates, differentiated and laid out once; a solve fills in the open parameters and searches
(`search`). The programme is kept beside what was made of it: residuals and the Pyomo model are renderings of that.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mechdsl.engines.callbacks import Structure
from mechdsl.engines.conditions import Conditions
from mechdsl.engines.domain import Domain
from mechdsl.engines.form import Form
from mechdsl.engines.ipopt import Ipopt
from mechdsl.engines.lowering import lower, strengthened
from mechdsl.engines.residuals import Residuals
from mechdsl.engines.scaling import Costs, Monotone
from mechdsl.engines.search import Machine, Search
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.program import Optimum, Solution

__all__ = ["Compiled", "compile_optimum"]


@functools.cache
def _blas() -> Any:
    """numpy's and scipy's BLAS, to set their number of threads."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def compile_optimum(program: Optimum) -> Compiled:
    """The programme's templates, sparsity and derivatives, made once for all parameter values.

    Args:
        program: any smooth programme of sums, products, powers and functions of decisions over index sets; `max`, `min`
            and `abs` where convexity allows.

    Returns:
        what solves it.

    Raises:
        ValueError: a term that no smooth solver can be trusted with, or a number that is not finite; it is named.
    """
    strong = strengthened(program)
    form = Form(lower(strong))
    structure = Structure(form)
    costs = Costs(form)
    return Compiled(
        program,
        Machine(
            strong,
            form,
            structure,
            Conditions(structure),
            costs,
            Monotone(structure, costs),
            Residuals(strong),
            Ipopt(structure),
            Domain(strong),
        ),
    )


class Compiled:
    """A programme ready to be solved at any values of its open parameters. Made by `compile_optimum`.

    Attributes:
        program: as it was given.
        machine: what was made of it.
        size: columns, rows and terms, auxiliary ones included.
    """

    def __init__(self, program: Optimum, machine: Machine) -> None:
        self.program = program
        self.machine = machine
        form = machine.form
        terms = sum(len(f.terms.rows) for f in form.families) + len(form.linear.rows)
        self.size = (form.n, form.m, terms)

    def solve(
        self,
        parameters: Mapping[Quantity, Array] | None = None,
        start: Solution | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Solution:
        """The optimum at these values of the open parameters.

        Args:
            parameters: open quantity -> array of its shape.
            start: a solution at neighbouring values to begin from. For a convex programme it may make Ipopt
                unnecessary; the result is judged as strictly, so it changes how soon the answer comes, not what it is.
            options: Ipopt's own, on top of ours.

        Returns:
            the solution, or how and where the search for it ended (`Status`). Where costs have weight 0, it is what
            optima tend to as these costs vanish together (`costless`), which picks one of many minimisers.

        Raises:
            ValueError: a parameter is missing, of the wrong shape or not finite.
        """
        began = time.perf_counter()
        search = Search(self.machine, self._checked(parameters or {}), options or {})
        # Infinities and what comes of them are looked at where they matter. Ipopt's BLAS keeps its threads spinning for
        # a while; were numpy's to compete with them for the cores, small systems would take fifty times as long.
        with np.errstate(all="ignore"), _blas().limit(limits=1):
            try:
                solution = search.run(start)
            except KeyboardInterrupt:
                solution = search.interrupted()
        return replace(solution, seconds=time.perf_counter() - began)

    def pyomo(self, parameters: Mapping[Quantity, Array] | None = None) -> Any:
        """The programme as a `pyomo.environ.ConcreteModel`, from the same formulas."""
        from mechdsl.engines.pyomo_model import concrete_model

        return concrete_model(self.program, self._checked(parameters or {}))

    def write_nl(self, path: str | Path, parameters: Mapping[Quantity, Array] | None = None) -> None:
        """The programme as an AMPL `.nl` file, for any solver that reads those."""
        from mechdsl.engines.pyomo_model import write_nl

        write_nl(self.program, self._checked(parameters or {}), path)

    def _checked(self, parameters: Mapping[Quantity, Array]) -> dict[Quantity, Array]:
        values = {}
        for quantity in self.program.parameters:
            if quantity not in parameters:
                raise ValueError(f"no value for '{quantity.name}'")
            value = np.asarray(parameters[quantity], dtype=np.float64)
            if value.shape != quantity.shape:
                raise ValueError(f"'{quantity.name}' has shape {value.shape}, not {quantity.shape}")
            if not np.isfinite(value).all():
                raise ValueError(f"'{quantity.name}' is not finite")
            values[quantity] = value
        return values
