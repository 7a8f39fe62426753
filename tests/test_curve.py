"""Curves with kinks and jumps against integrals in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest

from mechdsl.theory.curve import curve

Function: TypeAlias = Callable[[float], float]


def counted(function: Function) -> tuple[Function, dict[float, float]]:
    asked: dict[float, float] = {}

    def ask(t: float) -> float:
        if t not in asked:
            asked[t] = function(t)
        return asked[t]

    return ask, asked


@pytest.mark.parametrize(
    ("function", "integral"),
    [
        (np.exp, np.e - 1),
        (lambda t: 1 / (1 + 25 * t**2), np.arctan(5) / 5),
        (lambda t: 1e-30 * np.exp(-50 * t), 1e-30 * (1 - np.exp(-50)) / 50),
        (lambda t: np.sqrt(1 - t), 2 / 3),
    ],
)
def test_smooth_functions(function: Function, integral: float) -> None:
    made = curve(function, lambda t: np.zeros(1), 0.0, 1.0)
    assert made.integral(0, 1) == pytest.approx(integral, rel=2e-9)
    assert abs(made.integral(0, 1) - integral) <= 10 * made.error(0, 1) + 1e-13 * abs(integral)
    parts = made.integral(0, 0.3) + made.integral(0.3, 1)
    assert parts == pytest.approx(made.integral(0, 1), rel=1e-12)


def test_a_kink_and_a_jump_are_found() -> None:
    kink, jump = 0.3141, 0.7777

    def function(t: float) -> float:
        return max(0.0, t - kink) ** 1 + (2.0 if t > jump else 0.0)

    ask, asked = counted(function)
    made = curve(ask, lambda t: np.maximum([t - kink, t - jump], 0.0), 0.0, 1.0)
    assert made.integral(0, 1) == pytest.approx((1 - kink) ** 2 / 2 + 2 * (1 - jump), rel=1e-9)
    assert len(asked) < 200


def test_a_kink_known_beforehand_costs_nothing() -> None:
    ask, asked = counted(lambda t: abs(t - 0.25))
    made = curve(ask, lambda t: np.zeros(1), 0.0, 1.0, kinks=(0.25,))
    assert made.integral(0, 1) == pytest.approx(0.03125 + 0.28125, rel=1e-12)
    assert len(asked) < 40


def test_a_kink_without_a_pattern_still_converges() -> None:
    made = curve(lambda t: abs(t - 1 / 3), lambda t: np.zeros(1), 0.0, 1.0)
    assert made.integral(0, 1) == pytest.approx(5 / 18, rel=1e-8)
