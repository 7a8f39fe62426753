"""What is exported is what is solved: the Pyomo model and its text against the formulas and the callbacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.core.expr.calculus.derivatives import Modes, differentiate

from mechdsl import Optimum, pipeline
from mechdsl.engines.optimum import compile_optimum
from mechdsl.engines.pyomo_model import concrete_model, pyomo_script, write_nl
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Letter, Quantity, derivative
from mechdsl.structure import installed, match

GOOD = Path(__file__).parent / "cases" / "good"
MANY = """
market many "Several creators a domain, conditions, caps, values"
index k, i in domains = {video, text}
index n in creators = 1..4
param home[n] in domains = {1: video, 2: text, 3: text, 4: video}
param d[k] in [0, inf) = [3, 0]
param rho[n] in [1, inf) = 1 + n / 10
let X[k] = sum(n where home[n] == k: x[n])
layer platform { cost 0.1 * sum(k: X[k])  value sum(k: log(1 + X[k])) }
layer creator[n] { type c[n] ~ uniform(0.1, 1 + n)  choose x[n] in [0, 5]  cost c[n] * x[n]^rho[n] + 0.01 * exp(x[n]) }
demand[k where d[k] > 0]: X[k] + sum(i where i != k: 0.5 * X[i]^0.5) >= d[k]
constraint cap[k where k != video]: X[k] <= 4
contract platform -> creator: direct
objective platform: maximize welfare
"""


def programme(name: str) -> tuple[Optimum, dict[Quantity, Array]]:
    model = pipeline.parse(MANY) if name == "many" else pipeline.load(GOOD / "six_regimes.mech")
    market = model.markets["main" if name == "many" else name]
    structure = match(market, installed()).structure
    assert structure is not None
    program = structure.program(market, structure.derive(market))
    assert isinstance(program, Optimum)
    return program, dict(structure.parameters(market, pipeline.stated_report(market)))


PROGRAMMES = ["M1", "M2", "many"]


@pytest.mark.parametrize("name", PROGRAMMES)
def test_the_model_says_what_the_formulas_say(name: str) -> None:
    program, parameters = programme(name)
    model = concrete_model(program, parameters)
    generator = np.random.default_rng(3)
    variable = program.variables[0]
    fresh = tuple(Letter(f"{a.name}_", a.index_set) for a in variable.letters)
    for _ in range(3):
        x = generator.uniform(0.1, 2, variable.quantity.shape)
        values = {**program.data, **parameters, variable.quantity: x}
        cells = [model.x[key] for key in model.x]
        for cell, number in zip(cells, x.ravel(), strict=True):
            cell.set_value(float(number))
        assert pyo.value(model.objective) == pytest.approx(float(evaluate(program.objective, values)), rel=1e-13)
        slopes = differentiate(model.objective.expr, wrt_list=cells, mode=Modes.reverse_numeric)
        assert slopes == pytest.approx(evaluate(derivative(program.objective, variable.quantity[fresh]), values, fresh))
        for constraint in program.constraints:
            bodies = evaluate(constraint.left - constraint.right, values, constraint.letters)
            jacobian = evaluate(
                derivative(constraint.left - constraint.right, variable.quantity[fresh]),
                values,
                (*constraint.letters, *fresh),
            )
            for key, row in getattr(model, constraint.name).items():
                place = constraint.letters[0].index_set.position(str(key))
                side = row.lower if constraint.relation == ">=" else row.upper
                assert pyo.value(row.body) - pyo.value(side) == pytest.approx(bodies[place], rel=1e-12)
                found = differentiate(row.body, wrt_list=cells, mode=Modes.reverse_numeric)
                assert found == pytest.approx(jacobian[place], rel=1e-12)


def test_rows_that_a_condition_excludes_are_not_there() -> None:
    model = concrete_model(*programme("many"))
    assert list(model.demand) == ["video"]
    assert list(model.cap) == ["text"]
    assert model.x["3"].bounds == (0, 5)


@pytest.mark.parametrize("name", PROGRAMMES)
def test_the_text_builds_the_same_model(name: str, tmp_path: Path) -> None:
    program, parameters = programme(name)
    (tmp_path / "model.py").write_text(pyomo_script(program, parameters))
    ask = (
        "import json, pyomo.environ as pyo; from model import model\n"
        "for n, v in enumerate(model.component_data_objects(pyo.Var)): v.set_value(0.3 + 0.1 * n)\n"
        "rows = {c.name: pyo.value(c.body) for c in model.component_data_objects(pyo.Constraint)}\n"
        "print(json.dumps({'objective': pyo.value(model.objective), **rows}))"
    )
    done = subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True)
    model = concrete_model(program, parameters)
    for n, cell in enumerate(model.component_data_objects(pyo.Var)):
        cell.set_value(0.3 + 0.1 * n)
    rows = {c.name: pyo.value(c.body) for c in model.component_data_objects(pyo.Constraint)}
    expected = {"objective": pyo.value(model.objective), **rows}
    found = json.loads(done.stdout)
    assert found.keys() == expected.keys()
    # The text may keep a constant on the other side of a row.
    assert found["objective"] == pytest.approx(expected["objective"], rel=1e-13)
    assert found == pytest.approx(expected, rel=1e-12)


def test_open_parameters_can_be_changed_in_the_model() -> None:
    program, parameters = programme("M1")
    model = concrete_model(program, parameters)
    model.x["video"].set_value(1.0)
    model.x["text"].set_value(0.0)
    before = pyo.value(model.objective)
    model.vc["video"] = 2 * float(parameters[program.parameters[0]][0])
    assert pyo.value(model.objective) == pytest.approx(2 * before)


@pytest.mark.parametrize("name", PROGRAMMES)
def test_the_solution_is_a_stationary_point_of_the_model(name: str) -> None:
    program, parameters = programme(name)
    solution = compile_optimum(program).solve(parameters)
    model = concrete_model(program, parameters)
    x = np.asarray(solution.values["x"])
    cells = [model.x[key] for key in model.x]
    for cell, number in zip(cells, x.ravel(), strict=True):
        cell.set_value(float(number))
    slope = np.array(differentiate(model.objective.expr, wrt_list=cells, mode=Modes.reverse_numeric))
    for constraint in program.constraints:
        prices = np.asarray(solution.multipliers[constraint.name])
        for key, row in getattr(model, constraint.name).items():
            place = constraint.letters[0].index_set.position(str(key))
            gradient = np.array(differentiate(row.body, wrt_list=cells, mode=Modes.reverse_numeric))
            slope -= prices[place] * gradient
    inside = (x.ravel() > 1e-9) & (x.ravel() < 5 - 1e-9 if name == "many" else True)
    assert np.abs(slope[inside]).max() < 1e-7


def test_the_nl_file_holds_the_programme(tmp_path: Path) -> None:
    program, parameters = programme("M1")
    write_nl(program, parameters, tmp_path / "m1.nl")
    header = (tmp_path / "m1.nl").read_text().splitlines()[:3]
    assert header[0].startswith("g3")
    assert header[1].split()[:3] == ["2", "2", "1"]  # variables, constraints, objectives
