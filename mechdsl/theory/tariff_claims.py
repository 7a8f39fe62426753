"""What is claimed of an intermediary's prices and tariffs, each claim with its condition, decided on an instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mechdsl.accounting import stated_values
from mechdsl.evaluate import evaluate
from mechdsl.formula import precision_of
from mechdsl.market import Market
from mechdsl.structure import Claim, Finding
from mechdsl.theory.data_claims import NOT_HERE, answered
from mechdsl.theory.intermediary import chain_of
from mechdsl.theory.precision import learning

if TYPE_CHECKING:
    from mechdsl.mechanism import Mechanism
    from mechdsl.outcome import Outcome

    One = tuple[Mechanism, Outcome]
    Solved = Mapping[str, One]

__all__ = ["LINEAR_PRICE_CLAIMS", "TARIFF_CLAIMS"]

_PAPER = "Dai, Farboodi, Golrezaei & Shahshahani (2026)"
_CONDITIONS = "condition: ours, tests/test_data_claims.py"
_TOLERANCE = 1e-8  # relative; solved efforts are good to 1e-9
_MONEY = 1e-9
_Facts = tuple[bool | None, bool | None, str]


def _unknown(market: Market) -> bool | None:
    del market
    return None


def _linear_fails(solved: Solved) -> Finding:
    for run in answered(solved, "linear_price"):
        market, outcome = run[0].market, run[1]
        chain = chain_of(market)
        keeps = float(outcome.utilities[chain.buyer.name])
        outside = float(evaluate(chain.buyer.outside, market.data))
        running = float(evaluate(chain.middle.cost, market.data))
        formula = ""
        if chain.buyer.value == precision_of(market.states[0].quantity) and len(learning(market).factors) == 1:
            known = learning(market)
            values = stated_values(market, {}, outcome.allocation)
            variance = float(evaluate(known.factors[0].variance, market.data))
            lam = float(evaluate(known.estimate, values)) if known.estimate is not None else 0.0
            share = lam**2 / variance if variance > 0 else 0.0
            formula = f" (lambda*^2/V - F = {share - running:.10g})"
        return Finding(
            keeps < outside - _MONEY,
            outside > keeps,
            f"{chain.buyer.name} keeps {keeps:.10g}{formula}, its outside option is {outside:.10g}.",
        )
    return Finding(None, None, NOT_HERE)


_LINEAR = "pi0 > lambda*^2/V - F, where the value is the precision and there is one common factor"

LINEAR_PRICE_CLAIMS: tuple[Claim, ...] = (
    Claim("linear_pricing_fails", "Linear prices leave the firm below its outside option.", _LINEAR, _unknown,
          f"{_PAPER}, Lemma 8; {_CONDITIONS}", _linear_fails),
)  # fmt: skip
"""Of an intermediary with linear prices."""


def _of_tariff(facts: Callable[[One, Solved], _Facts | None]) -> Callable[[Solved], Finding]:
    def decide(solved: Solved) -> Finding:
        for run in answered(solved, "two_part_tariff"):
            found = facts(run, solved)
            if found is not None:
                return Finding(*found)
        return Finding(None, None, NOT_HERE)

    return decide


def _efficient(run: One, solved: Solved) -> _Facts | None:
    chain = chain_of(run[0].market)
    name = str(run[0].market.choices_of(chain.provider.name)[0].quantity.name)
    mine = run[1].allocation[name]
    for best in answered(solved, "planner"):
        shared = [(v, best[0].market.data[q]) for q, v in run[0].market.data.items() if q in best[0].market.data]
        theirs = best[1].allocation.get(name)
        if theirs is not None and all(np.array_equal(a, b) for a, b in shared):
            off = float(np.max(np.abs(mine - theirs), initial=0.0))
            return off <= _TOLERANCE, True, f"Efforts are within {off:.2g} of the first best's."
    return None


def _balanced(run: One, solved: Solved) -> _Facts:
    del solved
    chain = chain_of(run[0].market)
    left = float(run[1].utilities[chain.middle.name])
    return (
        abs(left) <= _MONEY * (1 + abs(run[1].welfare or 0.0)),
        True,
        f"{chain.middle.name} is left {left:.2g}.",
    )


def _individually_rational(run: One, solved: Solved) -> _Facts:
    del solved
    market, outcome = run[0].market, run[1]
    least = min(
        float(np.min(np.asarray(outcome.utilities[y.name]) - evaluate(y.outside, market.data, y.letters)))
        for y in market.layers
    )
    weights = np.asarray(outcome.extra["weights"])
    met = bool(np.all(weights >= 0))
    detail = f"The least gain over an outside option is {least:.6g}, the least weight {float(np.min(weights)):.6g}."
    return least >= -_MONEY, met, detail


def _bargained(run: One, solved: Solved) -> _Facts:
    del solved
    market, outcome, chain = run[0].market, run[1], chain_of(run[0].market)
    power = 0.5 if chain.middle.bargaining is None else float(evaluate(chain.middle.bargaining, market.data))
    surplus = float(outcome.extra["surplus"])
    provider = chain.provider
    gained = float(np.sum(outcome.utilities[provider.name] - evaluate(provider.outside, market.data, provider.letters)))
    kept = float(outcome.utilities[chain.buyer.name]) - float(evaluate(chain.buyer.outside, market.data))
    product = max(gained, 0.0) ** power * max(kept, 0.0) ** (1 - power)
    most = surplus * power**power * (1 - power) ** (1 - power)
    holds = abs(product - most) <= _TOLERANCE * max(most, _MONEY)
    return holds, surplus >= 0, f"It is {product:.10g}; S beta^beta (1 - beta)^(1 - beta) = {most:.10g}."


def _tariff_claim(name: str, text: str, condition: str, facts: Callable[[One, Solved], _Facts | None]) -> Claim:
    return Claim(name, text, condition, _unknown, f"{_PAPER}, Proposition 9; {_CONDITIONS}", _of_tariff(facts))


TARIFF_CLAIMS: tuple[Claim, ...] = (
    _tariff_claim("tariff_efficiency", "The two-part tariff induces the first-best efforts.", "S >= 0", _efficient),
    _tariff_claim("tariff_budget_balance", "The intermediary breaks even.", "S >= 0", _balanced),
    _tariff_claim("tariff_participation", "Everyone is at least as well off as outside.",
                  "S >= 0 and no weight is negative", _individually_rational),
    _tariff_claim("tariff_nash", "No other feasible mechanism has a greater Nash product.", "S >= 0", _bargained),
)  # fmt: skip
"""Of an intermediary with two-part tariffs."""
