"""Outcomes at many reports against the same reports one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mechdsl import pipeline
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Sample
from mechdsl.structure import Report, installed, match

GOOD = Path(__file__).parent / "cases" / "good"
REGISTRY = installed()


def mechanism(name: str, regime: str) -> Mechanism:
    market = pipeline.load(GOOD / name).markets[regime]
    found = match(market, REGISTRY).structure
    assert found is not None
    return pipeline.mechanism(market, found)


def drawn(at: Mechanism, count: int, seed: int = 1) -> Report:
    generator = np.random.default_rng(seed)
    reports = {}
    for t in at.market.types:
        flat = np.stack([law.quantile(generator.random(count)) for law in t.distributions], axis=-1)
        reports[t.quantity] = flat.reshape(count, *t.quantity.shape)
    return reports


def sampled(at: Mechanism, reports: Report) -> Sample:
    assert at.structure.sample is not None
    return at.structure.sample(at, reports)


@pytest.mark.parametrize("regime", ["revenue", "welfare", "no_genai"])
def test_a_sample_says_what_recover_says(regime: str) -> None:
    at = mechanism("two_regimes.mech", regime)
    reports = drawn(at, 6)
    sample = sampled(at, reports)
    assert sample.certified.all()
    for n in range(6):
        one = at.structure.recover(at, {q: table[n] for q, table in reports.items()})
        for name in ("allocation", "payments", "utilities"):
            for key, table in getattr(one, name).items():
                np.testing.assert_allclose(getattr(sample, name)[key][n], table, rtol=1e-7, atol=1e-7)
        assert sample.revenue is not None
        assert sample.welfare is not None
        assert sample.revenue[n] == pytest.approx(one.revenue, rel=1e-7)
        assert sample.welfare[n] == pytest.approx(one.welfare, rel=1e-7)
