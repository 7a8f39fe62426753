"""Natural scales bracket what things cost, however far apart; raised floors cost what they say."""

from __future__ import annotations

import numpy as np
import pytest
from optima import procurement

from mechdsl.engines.callbacks import Structure
from mechdsl.engines.form import Form, Numbers, Point
from mechdsl.engines.lowering import lower
from mechdsl.engines.optimum import compile_optimum
from mechdsl.engines.scaling import Costs, Monotone, Natural, natural, spending
from mechdsl.formula import Quantity


def sized(size: int, seed: int, spread: float) -> tuple[Monotone, Form, dict[Quantity, np.ndarray]]:
    program, w = procurement(size, seed)
    weights = {w: 10 ** np.random.default_rng(seed).uniform(-spread, spread, size)}
    form = Form(lower(program))
    structure = Structure(form)
    return Monotone(structure, Costs(form)), form, weights


def looked_at(monotone: Monotone, numbers: Numbers) -> Natural:
    with np.errstate(all="ignore"):  # as the engine solves
        return natural(monotone, numbers)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("spread", [0.3, 4.0, 11.0])
def test_natural_costs_bracket_the_optimum(seed: int, spread: float) -> None:
    size = 1 + seed
    monotone, form, weights = sized(size, seed, spread)
    numbers = form.at(weights)
    assert monotone.holds(numbers)
    sizes = looked_at(monotone, numbers)
    # (a) the start is feasible,
    assert np.all(Point(form, numbers, sizes.x).rows()[1:] >= 0)
    found = compile_optimum(procurement(size, seed)[0]).solve(weights)
    spent = monotone.costs.at(numbers, np.asarray(found.values["x"]))[0]
    room = 1.2 * size  # the sizes themselves are interpolated
    # (b) no optimum spends more than n T_k on k, and
    assert np.all(spent <= room * sizes.column_cost)
    # (c) it costs at least the largest t_j and at most n times that.
    assert sizes.row_cost.max() / 1.2 <= found.objective <= room * sizes.row_cost.max()


@pytest.mark.parametrize("share", [1e-16, 1e-60])
def test_outputs_of_a_given_cost(share: float) -> None:
    monotone, form, weights = sized(5, 2, 8.0)
    numbers = form.at(weights)
    sizes = looked_at(monotone, numbers)
    with np.errstate(all="ignore"):
        floor = spending(monotone, numbers, sizes, share)
    assert monotone.costs.at(numbers, floor)[0] == pytest.approx(share * sizes.row_cost.max(), rel=1e-9)


def test_programmes_of_another_kind_are_told() -> None:
    monotone, form, weights = sized(3, 0, 1.0)
    (key,) = weights
    assert not monotone.holds(form.at({key: np.array([1.0, -1.0, 1.0])}))
