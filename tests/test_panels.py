"""Many integrals at once against closed forms, kinks and jumps among them."""

from __future__ import annotations

import numpy as np
import pytest

from mechdsl.evaluate import Array
from mechdsl.theory.panels import Flags, Places, integrals


def test_smooth_functions() -> None:
    rates = np.array([0.1, 1.0, 30.0])

    def f(which: Places, t: Array) -> tuple[Array, Flags]:
        return np.exp(-rates[which] * t), np.ones((len(t), 1), dtype=bool)

    found, error = integrals(f, np.zeros(3), np.full(3, 5.0), [np.zeros(0)] * 3, np.zeros(3), 1e-9)
    np.testing.assert_allclose(found, (1 - np.exp(-5 * rates)) / rates, rtol=1e-9)
    assert (np.abs(found - (1 - np.exp(-5 * rates)) / rates) <= error + 1e-15).all()


@pytest.mark.parametrize("seen", [True, False])
def test_kinks_and_jumps(seen: bool) -> None:
    # A kink at k and a jump at j; `seen`: whether the pattern tells.
    kinks, jumps = np.array([0.37, 0.92]), np.array([0.71, 0.11])
    asked = []

    def f(which: Places, t: Array) -> tuple[Array, Flags]:
        asked.append(len(t))
        pattern = np.stack([t < kinks[which], t < jumps[which]], axis=1)
        return np.abs(t - kinks[which]) + (t < jumps[which]), pattern if seen else np.ones_like(pattern)

    found, error = integrals(f, np.zeros(2), np.ones(2), [np.zeros(0)] * 2, np.zeros(2), 1e-8)
    exact = (kinks**2 + (1 - kinks) ** 2) / 2 + jumps
    np.testing.assert_allclose(found, exact, rtol=1e-8)
    assert (np.abs(found - exact) <= error).all()
    if seen:
        assert sum(asked) < 400  # 27 halvings a jump; without the pattern it is ten times that


def test_known_kinks_cost_nothing() -> None:
    asked = []

    def f(which: Places, t: Array) -> tuple[Array, Flags]:
        asked.append(len(t))
        return np.abs(t - 0.3), np.ones((len(t), 1), dtype=bool)

    found, _ = integrals(f, np.zeros(1), np.ones(1), [np.array([0.3, 2.0])], np.zeros(1), 1e-12)
    assert found[0] == pytest.approx(0.29, rel=1e-12)
    assert sum(asked) == 30


def test_what_is_no_number_stays_none_and_empty_integrals_are_zero() -> None:
    def f(which: Places, t: Array) -> tuple[Array, Flags]:
        return np.where(which == 0, np.nan, 1.0), np.ones((len(t), 1), dtype=bool)

    ends = (np.array([0.0, 0.0, 2.0]), np.array([1.0, 1.0, 2.0]))
    found, _ = integrals(f, *ends, [np.zeros(0)] * 3, np.zeros(3), 1e-8)
    assert np.isnan(found[0])
    assert found[1:] == pytest.approx([1.0, 0.0])
