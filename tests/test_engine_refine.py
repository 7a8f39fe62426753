"""The refinement: every component to the last digit, from any active set near enough, however far apart weights lie."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from optima import procurement

from mechdsl.engines.callbacks import Structure
from mechdsl.engines.conditions import Conditions, System
from mechdsl.engines.form import Form
from mechdsl.engines.lowering import lower
from mechdsl.engines.optimum import compile_optimum
from mechdsl.engines.refine import Guess, settle


def exact(size: int, seed: int, w: np.ndarray, x: np.ndarray, prices: np.ndarray) -> tuple[list[float], list[float]]:
    """The optimality conditions of the same active set by Newton's method with forty digits, formulas by hand."""
    program, _ = procurement(size, seed)
    data = {str(q.name): np.asarray(v) for q, v in program.data.items()}
    active = np.flatnonzero(prices > 0)
    with mpmath.workdps(40):
        number = mpmath.mpf
        d, rho, mu, gamma = (np.vectorize(number, otypes=[object])(data[n]) for n in ("d", "rho", "mu", "gamma"))
        weights = [number(v) for v in w]

        def conditions(*logs: mpmath.mpf) -> list[mpmath.mpf]:
            out = [mpmath.exp(v) for v in logs[:size]]
            price = dict(zip(active, [mpmath.exp(v) for v in logs[size:]], strict=True))
            stationary = [
                mpmath.log(weights[k] * rho[k] * out[k] ** (rho[k] - 1))
                - mpmath.log(
                    price.get(k, number(0))
                    + sum(p * mu[k, j] * gamma[k, j] * out[k] ** (gamma[k, j] - 1) for j, p in price.items())
                )
                for k in range(size)
            ]
            met = [
                mpmath.log(out[j] + sum(mu[i, j] * out[i] ** gamma[i, j] for i in range(size))) - mpmath.log(d[j])
                for j in active
            ]
            return stationary + met

        start = [mpmath.log(number(float(v))) for v in (*x, *prices[active])]
        found = mpmath.findroot(conditions, start, tol=1e-30, maxsteps=30)
        values = [float(mpmath.exp(v)) for v in found]
    return values[:size], values[size:]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spread", [0.5, 5.0, 11.0])
def test_every_component_to_twelve_digits(seed: int, spread: float) -> None:
    size = 2 + seed % 3
    program, key = procurement(size, seed)
    w = 10 ** np.random.default_rng(100 + seed).uniform(-spread, spread, size)
    found = compile_optimum(program).solve({key: w})
    x, prices = np.asarray(found.values["x"]), np.asarray(found.multipliers["demand"])
    by_hand, worth = exact(size, seed, w, x, prices)
    assert x == pytest.approx(by_hand, rel=1e-11)
    assert prices[prices > 0] == pytest.approx(worth, rel=1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_a_wrong_active_set_is_put_right_or_owned_up_to(seed: int) -> None:
    right = 0
    program, key = procurement(4, seed)
    w = 10 ** np.random.default_rng(seed).uniform(-1, 1, 4)
    found = compile_optimum(program).solve({key: w})
    form = Form(lower(program))
    conditions, numbers = Conditions(Structure(form)), form.at({key: w})
    x, prices = np.asarray(found.values["x"]), np.asarray(found.multipliers["demand"])
    for wrong in range(4):
        active = prices > 0
        active[wrong] = not active[wrong]
        start = np.where(active, np.maximum(prices, 1e-3 * prices.max()), 0.0)
        settled = settle(conditions, numbers, Guess(x * 1.1, start, np.ones(4, dtype=bool), active), 60, 1e-12)
        if settled.error > 1e-6:  # given up, and known to be: there are other ways
            continue
        right += 1
        assert settled.x == pytest.approx(x, rel=1e-9)
        assert np.array_equal(settled.active, prices > 0)
    assert right >= 2


def test_a_step_is_newtons() -> None:
    """One step from near the solution squares the error."""
    program, key = procurement(5, 1)
    w = np.linspace(0.5, 2, 5)
    found = compile_optimum(program).solve({key: w})
    form = Form(lower(program))
    conditions, numbers = Conditions(Structure(form)), form.at({key: w})
    prices = np.asarray(found.multipliers["demand"])
    errors = []
    for away in (1e-3, 1e-5):
        x = np.asarray(found.values["x"]) * (1 + away * np.linspace(-1, 1, 5))
        system = System(conditions, numbers, x, prices, np.ones(5, dtype=bool), prices > 0)
        moved, after = system.moved(*system.step())
        errors.append(System(conditions, numbers, moved, after, np.ones(5, dtype=bool), prices > 0).error)
        assert errors[-1] <= 100 * away**2
