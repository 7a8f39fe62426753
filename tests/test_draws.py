"""Draws keyed by seed, name and label."""

from __future__ import annotations

from scipy import stats

from mechdsl.draws import uniform_draw


def test_the_same_key_gives_the_same_number_for_ever() -> None:
    assert uniform_draw(7, "d", ["sports"]) == uniform_draw(7, "d", ["sports"])
    assert uniform_draw(0, "d", []) == 0.14050644092931946


def test_keys_are_not_confused_by_their_parts() -> None:
    keys = [(1, "a", ["b", "c"]), (1, "a", ["bc"]), (1, "ab", ["c"]), (11, "a", ["b"]), (1, "1a", ["b"])]
    assert len({uniform_draw(*key) for key in keys}) == len(keys)


def test_draws_are_uniform() -> None:
    draws = [uniform_draw(3, "mu", [str(i), str(j)]) for i in range(100) for j in range(100)]
    assert stats.kstest(draws, "uniform").pvalue > 0.001
    assert 0 < min(draws) < max(draws) < 1
