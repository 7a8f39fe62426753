"""A programme for other tools: as a Pyomo model, as an `.nl` file, as JSON.

The Pyomo model and the `.nl` file are made from the same `Program` as the callbacks Ipopt runs on, at given values of
its open parameters, so whoever solves them elsewhere solves what `solve` solved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sympy as sp

from mechdsl.evaluate import Array
from mechdsl.formula import Letter, Quantity
from mechdsl.program import Equilibrium, Menu, Optimum, Program, Stages, given, optima
from mechdsl.report.json_report import labelled

__all__ = ["nl_text", "program_object", "pyomo_text"]


def pyomo_text(program: Program, parameters: Mapping[Quantity, Array]) -> str:
    """The Pyomo model as a Python text: it defines `model`, and solves it when it is run as a program.

    Of stages it is the first: the later ones take its answer. Of a game it is everyone's first-order conditions, of a
    menu one item, at weights.
    """
    from mechdsl.engines.pyomo_model import pyomo_script

    first = _first(program)
    head = f"# The first of {len(program.stages)} stages: {first.name}.\n" if isinstance(program, Stages) else ""
    if isinstance(program, Menu):
        head = "# One item of a menu: the one of least cost at these weights.\n"
    return head + pyomo_script(first, given(first, parameters, {}))


def nl_text(program: Program, parameters: Mapping[Quantity, Array]) -> str:
    """The programme (of stages: the first; of a menu: an item) as an AMPL `.nl` file (text form)."""
    from mechdsl.engines.pyomo_model import write_nl

    first = _first(program)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "programme.nl"
        write_nl(first, given(first, parameters, {}), path)
        return path.read_text(encoding="utf-8")


def program_object(program: Program, parameters: Mapping[Quantity, Array]) -> dict[str, Any]:
    """The programme as JSON: formulas in the notation of the language, data and open parameters by label.

    Stages come as a list; what an earlier one decides has no value in a later one's `parameters`.
    """
    if isinstance(program, Stages):
        return {"stages": [{"name": stage.name, **program_object(stage, parameters)} for stage in program.stages]}
    if isinstance(program, Menu):
        laws = [str(law) for law in program.laws]
        head = {"menu": True, "outputs": _formula(program.outputs), "laws": laws, "fixed": program.fixed}
        return head | {"item": program_object(program.items, parameters)}
    program = _first(program)
    return {
        "sense": program.sense,
        "objective": _formula(program.objective),
        "convex": program.convex,
        "variables": [
            {"name": _head(v.name, v.letters), "lower": _bound(v.lower), "upper": _bound(v.upper), "doc": v.doc}
            for v in program.variables
        ],
        "constraints": [
            {
                "name": _head(c.name, c.letters),
                "left": _formula(c.left),
                "relation": c.relation,
                "right": _formula(c.right),
                **({} if c.where == sp.true else {"where": _formula(c.where)}),
            }
            for c in program.constraints
        ],
        "data": {str(q.name): labelled(table, q.sets) for q, table in program.data.items()},
        "parameters": {
            str(q.name): labelled(parameters[q], q.sets) if q in parameters else None for q in program.parameters
        },
    }


def _first(program: Program) -> Optimum:
    """What a solver for optima is given: the programme, its first stage, a game's first-order conditions, or one
    item of a menu.
    """
    if isinstance(program, Menu):
        return program.items
    return program.conditions if isinstance(program, Equilibrium) else optima(program)[0]


def _formula(formula: sp.Basic) -> str:
    """In the language's own notation: `sum(k: c[k]*x[k]^rho[k])`."""
    return str(formula).replace("**", "^")


def _head(name: str, letters: Sequence[Letter]) -> str:
    return f"{name}[{', '.join(str(a) for a in letters)}]" if letters else name


def _bound(formula: sp.Expr) -> str | None:
    """A bound as text; None where there is none."""
    return None if formula in (sp.oo, -sp.oo) else _formula(formula)
