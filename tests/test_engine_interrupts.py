"""Ctrl-C: an engine stops with a value, a mechanism makes no payments of it, and what was finished is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mechdsl
from mechdsl import Status, cli, pipeline, theory
from mechdsl.engines.callbacks import Callbacks
from mechdsl.engines.optimum import Compiled, compile_optimum
from mechdsl.structure import installed

# Wide enough apart from what the refinement does by itself that Ipopt is asked.
TEXT = """
market stopped "Twelve creators"
index k, i in domains = 1..12
param mu[i, k] in [0, inf) = 0.02
layer platform
layer creator[k] { type c[k] ~ uniform(0.2, 1 + k / 10)  choose x[k] >= 0  cost c[k] * x[k]^1.4 }
demand[k]: x[k] + sum(i: mu[i, k] * x[i]^0.8) >= 2 + k / 6
contract platform -> creator: direct
regime first  { objective platform: maximize welfare }
regime second { objective platform: maximize revenue }
"""


def interrupt(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of Ipopt, at its Hessian number `after`."""
    inner, count = Callbacks._term_weights, [0]

    def weights(self: Callbacks, *arguments: Any) -> Any:
        count[0] += 1
        if count[0] == after:
            raise KeyboardInterrupt
        return inner(self, *arguments)

    monkeypatch.setattr(Callbacks, "_term_weights", weights)


def test_an_interrupted_solve_is_a_value_at_the_last_point(monkeypatch: pytest.MonkeyPatch) -> None:
    program = theory.pointwise_program(pipeline.parse(TEXT).markets["first"])
    engine, weights = compile_optimum(program), {program.parameters[0]: np.linspace(0.5, 1.5, 12)}
    interrupt(2, monkeypatch)
    stopped = engine.solve(weights)
    assert stopped.status is Status.INTERRUPTED
    assert np.isfinite(stopped.values["x"]).all()
    assert not np.any(stopped.multipliers["demand"])
    again = engine.solve(weights)  # the engine is none the worse for it
    assert again.status is Status.OPTIMAL
    assert again.objective == pytest.approx(compile_optimum(program).solve(weights).objective, rel=1e-12)


def interrupted_in(solve: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the start of a certain solve."""
    inner, count = Compiled.solve, [0]

    def solved(self: Compiled, *arguments: Any, **named: Any) -> Any:
        count[0] += 1
        if count[0] == solve:
            raise KeyboardInterrupt
        return inner(self, *arguments, **named)

    monkeypatch.setattr(Compiled, "solve", solved)


@pytest.mark.parametrize("solve", [1, 5, 20])
def test_a_run_interrupted_anywhere_is_a_run(solve: int, monkeypatch: pytest.MonkeyPatch) -> None:
    market = pipeline.parse(TEXT).markets["first"]
    interrupted_in(solve, monkeypatch)
    run = pipeline.run(market, installed())
    assert run.outcome is not None
    assert run.outcome.status is Status.INTERRUPTED
    assert run.certificate is None
    assert not run.outcome.payments


def test_finished_regimes_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stopped.mech"
    file.write_text(TEXT)
    made: list[Any] = []
    inner = pipeline._certified

    def certified(*arguments: Any) -> Any:
        if made:
            raise KeyboardInterrupt
        made.append(inner(*arguments))
        return made[0]

    monkeypatch.setattr(pipeline, "_certified", certified)
    assert cli.main(["solve", str(file)]) == 130
    said = capsys.readouterr()
    assert "platform pays creator" in said.out
    assert "stopped by the user" in said.out
    assert said.err == "interrupted\n"
    assert cli.main(["solve", str(file), "--json"]) == 130
    assert {r["status"] for r in json.loads(capsys.readouterr().out)["regimes"].values()} == {"interrupted"}
    made.clear()
    assert cli.main(["solve", str(file), "--json"]) == 130
    found = json.loads(capsys.readouterr().out)["regimes"]
    assert {name: r["status"] for name, r in found.items()} == {"first": "optimal", "second": "interrupted"}


def test_python_is_interrupted_as_always(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "stopped.mech"
    file.write_text(TEXT)
    interrupted_in(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        mechdsl.load(file).solve()
