"""Many programmes at once against one at a time; certificates that a wrong point must lose."""

from __future__ import annotations

import os
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_random_markets import Case, case, template

from mechdsl import Optimum, pipeline, theory
from mechdsl.engines import batch_machine
from mechdsl.engines.batch import Batch, BatchSolution, compile_batch
from mechdsl.engines.batch_layout import Layout, Whole
from mechdsl.engines.batch_machine import machine_code
from mechdsl.engines.optimum import compile_optimum
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity

pytestmark = pytest.mark.skipif(machine_code() is None, reason="there is no C compiler here")

Parameters = dict[Quantity, Array]


def programme(one: Case) -> Optimum:
    program = template(len(one.d))
    return replace(program, data={q: getattr(one, str(q.name)) for q in program.data})


def weights(kind: str, count: int, size: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if kind in ("22 orders", "corners"):
        return np.asarray(10 ** rng.uniform(-11, 11, (count, size)))
    return rng.uniform(0.1, 2, (count, size))


def agrees(batch: Batch, parameters: Parameters, solution: BatchSolution, every: int) -> None:
    """Each `every`th problem against the path for one."""
    for n in range(0, len(solution.gap), every):
        one = batch.engine.solve({q: table[n] for q, table in parameters.items()})
        assert solution.certified[n]
        assert solution.objective[n] == pytest.approx(one.objective, rel=1e-9, abs=1e-300)
        for name, value in one.values.items():
            np.testing.assert_allclose(solution.values[name][n], value, rtol=1e-7, atol=1e-9)


def honest(solution: BatchSolution) -> None:
    assert solution.certified.all()
    assert np.nanmax(solution.gap) <= 1e-9
    assert max(float(r.max()) for r in solution.residuals.values()) <= 1e-9


@pytest.mark.parametrize("kind", ["smooth", "corners", "22 orders", "linear"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 12])
def test_random_markets(kind: str, size: int) -> None:
    batch = compile_batch(programme(case(40 + size, size, kind)))
    given = {batch.program.parameters[0]: weights(kind, 120, size)}
    solution = batch.solve(given)
    assert batch.refusal is None
    assert solution.fallbacks <= 3
    honest(solution)
    if kind == "linear":  # vertices may tie; the objective is one
        for n in range(0, 120, 40):
            one = batch.engine.solve({q: table[n] for q, table in given.items()})
            assert solution.objective[n] == pytest.approx(one.objective, rel=1e-9)
    else:
        agrees(batch, given, solution, 40)


def test_fifty_domains() -> None:
    batch = compile_batch(programme(case(3, 50, "smooth")))
    given = {batch.program.parameters[0]: weights("smooth", 24, 50)}
    solution = batch.solve(given)
    assert solution.fallbacks <= 1
    agrees(batch, given, solution, 12)


@pytest.mark.parametrize("demand", [0.0, -1.0, 0.5])
def test_a_demand_met_by_genai_alone(demand: float) -> None:
    # gamma = 0: GenAI gives mu = 0.5 whatever is produced.
    one = Case(np.array([demand, 3.0]), np.full(2, 1.5), np.full((2, 2), 0.25), np.zeros((2, 2)), np.ones(2))
    batch = compile_batch(programme(one))
    solution = batch.solve({batch.program.parameters[0]: weights("smooth", 50, 2)})
    honest(solution)
    np.testing.assert_allclose(solution.values["x"], np.tile([0.0, 2.5], (50, 1)), rtol=1e-12)


MARKET = """
market several "What else there is"
index k, i in domains = 1..3
index n in creators = 1..5
param home[n] in domains = {{1: 1, 2: 1, 3: 2, 4: 2, 5: 3}}
param mu[i, k] in [0, inf) = 0.3
layer platform {{ {platform} }}
layer creator[{letter}] {{ type c[{letter}] ~ uniform(0.1, 1)  choose x[{letter}] {range}  cost c[{letter}] * {cost} }}
{demand}
contract platform -> creator: direct
objective platform: maximize welfare
"""
DEMAND = "demand[k]: x[k] + sum(i: mu[i, k] * x[i]^0.8) >= 2"
PLAIN = {"platform": "", "letter": "k", "range": ">= 0", "cost": "x[k]^1.5", "demand": DEMAND}


@pytest.mark.parametrize(
    "change",
    [
        {"cost": "(exp(x[k]) - 1)"},
        {"cost": "(x[k] + x[k]^2)"},
        {"range": "in [0, 1.8]"},
        {"range": "in [0.5, 9]"},
        {"platform": "cost sum(k: 0.2 * x[k]^2)"},
        {
            "letter": "n",
            "cost": "x[n]^1.5",
            "demand": "let X[k] = sum(n where home[n] == k: x[n])\ndemand[k]: X[k] + sum(i: mu[i, k] * X[i]^0.8) >= 2",
        },
        {"demand": DEMAND + "\nconstraint budget: sum(k: x[k]) >= 5"},
    ],
    ids=["exponential", "two powers", "caps", "floors", "own cost", "several a domain", "one more row"],
)
def test_what_else_a_market_may_hold(change: dict[str, str]) -> None:
    market = pipeline.parse(MARKET.format(**(PLAIN | change))).markets["main"]
    batch = compile_batch(theory.pointwise_program(market))
    quantity = batch.program.parameters[0]
    given = {quantity: np.random.default_rng(2).uniform(0.1, 1, (60, *quantity.shape))}
    solution = batch.solve(given)
    assert batch.refusal is None
    assert solution.fallbacks <= 1
    honest(solution)
    agrees(batch, given, solution, 20)


@pytest.mark.parametrize(
    "change",
    [
        {"demand": "", "platform": "value sum(k: 3 * log(1 + x[k]))"},
        {"platform": "value sum(k: 3 * log(1 + x[k]))"},
        {"demand": "", "platform": "value 5 * log(1 + sum(k: x[k]))"},
        {"demand": "", "platform": "value 5 * sum(k: x[k])", "range": "in [0, 4]"},
    ],
    ids=["elastic", "elastic beside demand", "of the total", "linear value"],
)
def test_elastic_demand_starts_from_one_solved_alone(change: dict[str, str]) -> None:
    market = pipeline.parse(MARKET.format(**(PLAIN | change))).markets["main"]
    batch = compile_batch(theory.pointwise_program(market))
    quantity = batch.program.parameters[0]
    given = {quantity: np.random.default_rng(2).uniform(0.1, 1, (300, *quantity.shape))}
    solution = batch.solve(given)
    assert batch.refusal is None
    assert 1 <= solution.fallbacks <= 6
    assert solution.certified.all()
    agrees(batch, given, solution, 60)


def test_what_the_batch_cannot_take_is_solved_one_at_a_time_and_counted() -> None:
    market = pipeline.parse(MARKET.format(**(PLAIN | {"cost": "max(x[k]^1.5, 2 * x[k] - 1)"}))).markets["main"]
    batch = compile_batch(theory.pointwise_program(market))
    quantity = batch.program.parameters[0]
    given = {quantity: np.random.default_rng(2).uniform(0.1, 1, (8, *quantity.shape))}
    solution = batch.solve(given)
    assert "kinks" in (batch.refusal or "")
    assert solution.fallbacks == 8
    assert solution.certified.all()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")
def test_many_are_solved_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    market = pipeline.parse(MARKET.format(**(PLAIN | {"cost": "max(x[k]^1.5, 2 * x[k] - 1)"}))).markets["main"]
    batch = compile_batch(theory.pointwise_program(market))
    quantity = batch.program.parameters[0]
    given = {quantity: np.random.default_rng(2).uniform(0.1, 1, (9, *quantity.shape))}
    alone = batch.solve(given)
    monkeypatch.setattr("mechdsl.engines.batch.MANY", 3)
    monkeypatch.setattr("mechdsl.engines.batch.processors", lambda: 2)
    monkeypatch.setattr("threading.active_count", lambda: 1)
    monkeypatch.setattr(batch, "engine", SimpleNamespace(program=batch.program))  # nothing is solved here
    apart = batch.solve(given)
    assert apart.certified.all()
    np.testing.assert_allclose(apart.objective, alone.objective, rtol=1e-7)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")
def test_what_lost_processes_leave_is_solved_here(monkeypatch: pytest.MonkeyPatch) -> None:
    market = pipeline.parse(MARKET.format(**(PLAIN | {"cost": "max(x[k]^1.5, 2 * x[k] - 1)"}))).markets["main"]
    batch = compile_batch(theory.pointwise_program(market))
    quantity = batch.program.parameters[0]
    monkeypatch.setattr("mechdsl.engines.batch.MANY", 3)
    monkeypatch.setattr("mechdsl.engines.batch.processors", lambda: 2)
    monkeypatch.setattr("threading.active_count", lambda: 1)
    monkeypatch.setattr("mechdsl.engines.batch._elsewhere", lambda *given: os._exit(9))
    found = batch.solve({quantity: np.random.default_rng(2).uniform(0.1, 1, (6, *quantity.shape))})
    assert found.certified.all()


def test_one_truth_about_how_it_is_compiled() -> None:
    pyproject = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    (built,) = pyproject["tool"]["setuptools"]["ext-modules"]
    assert set(batch_machine.FLAGS) == {*built["extra-compile-args"], "-fPIC", "-shared"}


def test_a_cache_that_others_can_write_to_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not batch_machine.compiled()
    assert batch_machine.machine_code.__wrapped__() is not None
    assert batch_machine.compiled()
    (tmp_path / "mechdsl").chmod(0o777)
    assert not batch_machine.compiled()


def test_a_cost_of_zero_is_left_to_the_path_that_knows_what_to_do_with_it() -> None:
    batch = compile_batch(programme(case(5, 3, "smooth")))
    w = weights("smooth", 10, 3)
    w[4, 1] = 0.0
    solution = batch.solve({batch.program.parameters[0]: w})
    assert solution.fallbacks == 1
    assert solution.certified.all()


def test_what_cannot_be_met_is_no_number() -> None:
    change = {"range": "in [0, 0.1]"}
    market = pipeline.parse(MARKET.format(**(PLAIN | change))).markets["main"]
    batch = compile_batch(theory.pointwise_program(market))
    solution = batch.solve({batch.program.parameters[0]: np.full((3, 3), 0.5)})
    assert not solution.certified.any()
    assert np.isnan(solution.values["x"]).all()
    assert np.isnan(solution.objective).all()


@pytest.mark.parametrize("kind", ["smooth", "22 orders"])
@pytest.mark.parametrize("part", ["x", "multipliers"])
def test_a_perturbed_point_loses_its_certificate(kind: str, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = compile_batch(programme(case(42, 3, kind)))
    solve = batch_machine.Loaded.solve

    def off(self: batch_machine.Loaded, *given: Any) -> tuple[Array, Array, Array, Array, Whole]:
        x, multipliers, low, high, status = solve(self, *given)
        (x if part == "x" else multipliers)[::2] *= 1 + 1e-5
        return x, multipliers, low, high, status

    monkeypatch.setattr(batch_machine.Loaded, "solve", off)
    solution = batch.solve({batch.program.parameters[0]: weights(kind, 40, 3)})
    assert solution.fallbacks >= 20  # all that were moved, and no others
    assert solution.fallbacks <= 22
    assert solution.certified.all()


def test_the_gap_bounds_the_distance_from_the_optimum() -> None:
    # At a feasible point that is not optimal the gap must be at least what is lost.
    batch = compile_batch(programme(case(42, 3, "smooth")))
    given = {batch.program.parameters[0]: weights("smooth", 40, 3)}
    best = batch.solve(given)
    ready = batch.loaded()
    assert ready is not None
    x, multipliers, low, high, _ = ready.code.solve(ready.laid.opened(given, 40), related=False)
    for factor in (1.01, 1.5, 3.0):
        worse = ready.judged(given, x * factor, multipliers, low, high)
        lost = (worse.verdict.objective - best.objective) / worse.verdict.objective
        assert (worse.gap >= lost - 1e-12).all()
        assert (lost > 0).all()


def test_neighbours_and_threads_change_nothing_but_the_time() -> None:
    batch = compile_batch(programme(case(7, 4, "smooth")))
    quantity = batch.program.parameters[0]
    w = weights("smooth", 1, 4) * np.linspace(1, 3, 9000)[:, None] ** np.arange(4)
    alone = batch.solve({quantity: w}, threads=1)
    together = batch.solve({quantity: w}, threads=4)
    near = batch.solve({quantity: w}, related=True)
    honest(near)
    assert np.array_equal(alone.values["x"], together.values["x"])
    np.testing.assert_allclose(near.objective, alone.objective, rtol=1e-11)


def test_the_layouts_words_are_those_of_the_machine_code() -> None:
    text = batch_machine.SOURCE.read_text()
    struct = text[text.index("typedef struct {") : text.index("} Layout;")]
    names = [n.strip(" *;") for line in struct.splitlines()[1:] for n in line.replace("const ", "").split(",")]
    names = [n.split()[-1].strip("*;") for n in names if n]
    assert names == list(Layout._fields)


def test_without_a_compiler_it_is_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mechdsl.engines.batch.machine_code", lambda: None)
    batch = compile_batch(programme(case(42, 2, "smooth")))
    solution = batch.solve({batch.program.parameters[0]: weights("smooth", 3, 2)})
    assert "compiler" in (batch.refusal or "")
    assert solution.fallbacks == 3
    assert solution.certified.all()


def test_wrong_parameters_are_refused() -> None:
    batch = compile_batch(programme(case(42, 2, "smooth")), compile_optimum(programme(case(42, 2, "smooth"))))
    with pytest.raises(ValueError, match="shape"):
        batch.solve({batch.program.parameters[0]: np.ones(2)})
    with pytest.raises(ValueError, match="no values"):
        batch.solve({})
