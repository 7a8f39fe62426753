"""Runs made by hand: what a solver might have found, for the tests of those who show it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from mechdsl import pipeline
from mechdsl.market import Market
from mechdsl.outcome import Account, Certificate, Check, Outcome
from mechdsl.pipeline import Run
from mechdsl.program import Status
from mechdsl.structure import Handles, Match, Registry, Structure, match

TEXT = """
market pair "Two domains"
cite "An Author (2001), A Paper"
index k, i in domains = {video, text}
param d[k] in [0, inf) = {video: 3, text: 0}
layer platform
layer creator[k] { type c[k] ~ uniform(0, 1)  choose x[k] >= 0  cost c[k] * x[k] }
demand[k where d[k] > 0]: x[k] >= d[k]
contract platform -> creator: direct
report c = {video: 0.5, text: 0.25}
regime plain "the first" { objective platform: maximize revenue }
regime other { objective platform: maximize welfare }
"""


def _never(*_: Any) -> Any:
    raise AssertionError("a structure made by hand is not asked")


STRUCTURE = Structure(
    name="by_hand",
    title="Made by hand",
    source="a test",
    handles=Handles(("direct",), ("revenue", "welfare")),
    derive=_never,
    program=_never,
    parameters=_never,
    recover=_never,
)
NO_STRUCTURES = Registry(())


def market(regime: str = "plain", text: str = TEXT) -> Market:
    return pipeline.parse(text).markets[regime]


def outcome(**changes: Any) -> Outcome:
    """`x = (3, 0)` at `c = (0.5, 0.25)`, paid `(3, 0)`, of which `(1.5, 0)` is cost."""
    members: dict[str, Any] = {
        "structure": "by_hand",
        "status": Status.OPTIMAL,
        "message": "Solved.",
        "report": {"c": np.array([0.5, 0.25])},
        "allocation": {"x": np.array([3.0, -0.0])},
        "payments": {"creator": np.array([3.0, 0.0])},
        "utilities": {"platform": np.array(-3.0), "creator": np.array([1.5, 0.0])},
        "costs": {"platform": np.array(0.0), "creator": np.array([1.5, 0.0])},
        "values": {"platform": np.array(0.0), "creator": np.array([0.0, 0.0])},
        "revenue": -3.0,
        "welfare": -1.5,
        "slack": {"demand": np.array([0.0, np.nan])},
        "shadow_price": {"demand": np.array([1.0, np.nan])},
        "accounts": (Account("platform", "creator", np.array([3.0, 0.0])),),
        "notes": ("A remark.",),
    }
    return Outcome(**{**members, **changes})


CERTIFIED = Certificate(
    (Check("demand met", 0.0, 1e-8), Check("gain from misreporting", 2e-9, 1e-7, "Best for video."))
)
REFUSED = Certificate((Check("demand met", 0.0, 1e-8), Check("gain from misreporting", np.nan, 1e-7, "Not measured.")))


def run(
    made: Outcome | None = None,
    certificate: Certificate | None = CERTIFIED,
    regime: str = "plain",
    text: str = TEXT,
) -> Run:
    taken = Match(STRUCTURE, str(STRUCTURE.handles), MappingProxyType({}))
    return Run(market(regime, text), taken, None, made or outcome(), certificate)


def unhandled(regime: str = "plain") -> Run:
    found = market(regime)
    missed = match(found, NO_STRUCTURES)
    return Run(found, missed, problem=pipeline.unhandled(found, missed, NO_STRUCTURES))
