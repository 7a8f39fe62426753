"""Direct procurement: one layer buys from providers with private costs. What its structures share: fit and the way
home.

A structure for it chooses the weights of the pointwise programme (virtual costs, costs) and the slope at which they
move with the type; the rest, from the contract's arguments to the books, is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from mechdsl.accounting import constraint_slack, settle, stated_values
from mechdsl.derivation import Step
from mechdsl.evaluate import Array
from mechdsl.formula import quantities
from mechdsl.market import Contract, Layer, Market
from mechdsl.mechanism import Mechanism, Unsolved
from mechdsl.outcome import Account, Check, Outcome
from mechdsl.program import Solution, Status
from mechdsl.structure import Report
from mechdsl.theory.change_of_variables import is_convex_in_costs
from mechdsl.theory.conditions import participation_step, truthtelling_step
from mechdsl.theory.envelope import cost_payment_step
from mechdsl.theory.payments import (
    UNBIASED,
    Affine,
    Paid,
    cost_payments,
    envelope_payments,
    randomized_payments,
    surely_within,
)
from mechdsl.theory.private_cost import private_cost
from mechdsl.theory.screening_checks import GAIN_TOLERANCE, money_scale, participation_check, screening_checks

__all__ = [
    "DIRECT_WORDS",
    "by_name",
    "direct_checks",
    "direct_misfit",
    "direct_outcome",
    "known_types",
    "local_note",
    "payment_steps",
    "purchase_misfit",
    "with_books",
]

DIRECT_WORDS = {"direct": ("payment", "trials", "information")}
"""The arguments of a `direct` contract: `payment = randomized`, `trials = 100`, `information = known`."""


def direct_misfit(market: Market) -> str | None:
    """Why direct procurement does not fit the market, in its own words; None where it does."""
    return purchase_misfit(market, market.layer(market.contracts[0].provider))


def purchase_misfit(market: Market, provider: Layer) -> str | None:
    """Why a purchase under one `direct` contract does not fit; `provider` is the layer that produces what is bought."""
    contract = market.contracts[0]
    if len(market.contracts) != 1:
        return "it is for one contract between the buyer and the providers"
    if market.objectives[0].layer != contract.payer:
        return f"the objective must be {contract.payer}'s, who pays"
    if not market.choices_of(provider.name):
        return f"layer '{provider.name}' chooses nothing"
    for layer in market.layers:
        parts = private_cost(market, layer)
        if isinstance(parts, str):
            return parts
        if parts.type is not None and layer.name != provider.name:
            return f"layer '{layer.name}' has a private type but no contract"
    if not market.constraints and all(layer.value == 0 for layer in market.layers):
        return f"nothing makes {contract.payer} buy: state a demand, or a value"
    if any(q.role != "param" for q in quantities(provider.outside)):
        return f"the outside option of '{provider.name}' must be known data"
    return argument_misfit(contract)


def argument_misfit(contract: Contract) -> str | None:
    allowed = {"payment": ("envelope", "randomized"), "information": ("private", "known")}
    for name, words in allowed.items():
        given = contract.arguments.get(name)
        if given is not None and given not in words:
            return f"'{name}' of direct is {' or '.join(words)}, not {given}"
    trials = contract.arguments.get("trials")
    if trials is not None and not (getattr(trials, "is_Integer", False) and 1 <= int(str(trials)) <= 1_000_000):
        return "'trials' of direct is a whole number from 1 to 1000000"
    return None


def known_types(market: Market) -> bool:
    """Whether no type is private: the contract says `information = known`, or there is none."""
    return not market.types or market.contracts[0].arguments.get("information") == "known"


def payment_steps(market: Market, envelope: Step) -> tuple[Step, ...]:
    """Truth-telling, participation and the envelope payment; where types are known, cost is all there is to pay."""
    if known_types(market):
        return (cost_payment_step(market),)
    return truthtelling_step(market), participation_step(market), envelope


def direct_outcome(mechanism: Mechanism, report: Report, affine: Affine) -> Outcome:
    """The outcome of direct procurement at a report: allocation, payments under the contract's rule, books, shadow
    prices.

    Args:
        mechanism: the structure at work on the market.
        report: the reported types, taken as true.
        affine: slope and intercept of the structure's weight in a type, where it is affine.
    """
    market = mechanism.market
    solution = mechanism.solve(report)
    name = mechanism.structure.name
    if solution.status is not Status.OPTIMAL:
        return Outcome(name, solution.status, solution.message, report=by_name(report))
    try:
        paid = _paid(mechanism, report, affine)
    except Unsolved as why:
        return Outcome(name, Status.FAILED, f"The payments could not be found: {why}", report=by_name(report))
    outcome = Outcome(
        name, solution.status, solution.message,
        report=by_name(report),
        report_is_mean=market.report is None and bool(market.types),
        allocation=solution.values,
        payments=paid.payments,
        notes=(f"{paid.method[0].upper()}{paid.method[1:]}.", *_ironed(market), *local_note(mechanism)),
    )  # fmt: skip
    payer = market.contracts[0].payer
    accounts = tuple(Account(payer, layer, np.asarray(amounts)) for layer, amounts in outcome.payments.items())
    return with_books(market, report, outcome, solution, accounts)


def direct_checks(mechanism: Mechanism, report: Report, outcome: Outcome, affine: Affine) -> Iterable[Check]:
    """What direct procurement promises under the contract's rule.

    Truth-telling, participation and the payment identity under the envelope rule; participation alone where types are
    known; under randomised payments truth pays in expectation over the trials only, so they are compared with the
    envelope payments instead, at as many standard errors as are as rare as five.
    """
    arguments = mechanism.market.contracts[0].arguments
    if known_types(mechanism.market):
        return (participation_check(mechanism, outcome),)
    if arguments.get("payment") == "randomized":
        return (participation_check(mechanism, outcome), _unbiased(mechanism, report, outcome, affine))
    return screening_checks(mechanism, report, outcome, affine)


def _unbiased(mechanism: Mechanism, report: Report, outcome: Outcome, affine: Affine) -> Check:
    """The randomised payments against those they estimate."""
    drawn, exact = _paid(mechanism, report, affine), envelope_payments(mechanism, report, affine)
    worst = max(float(np.max(np.abs(outcome.payments[n] - p))) for n, p in exact.payments.items())
    strays = surely_within(drawn.spread, int(str(mechanism.market.contracts[0].arguments.get("trials", 100))))
    allowed = strays + exact.error + GAIN_TOLERANCE * money_scale(outcome)
    return Check("randomised payments unbiased", worst, allowed, UNBIASED)


def _paid(mechanism: Mechanism, report: Report, affine: Affine) -> Paid:
    arguments = mechanism.market.contracts[0].arguments
    if known_types(mechanism.market):
        return cost_payments(mechanism, report)
    if arguments.get("payment") == "randomized":
        return randomized_payments(mechanism, report, int(str(arguments.get("trials", 100))))
    return envelope_payments(mechanism, report, affine)


def local_note(mechanism: Mechanism) -> tuple[str, ...]:
    """What a reader should know of a programme that was not shown to be convex."""
    if mechanism.program.convex or is_convex_in_costs(mechanism.market):
        return ()
    return ("The programme was not shown to be convex: this may be a local optimum, and payments rest on it.",)


def _ironed(market: Market) -> tuple[str, ...]:
    names = sorted({t.name for t in market.types if any(d.regularity().regular is False for d in t.distributions)})
    return (f"The virtual cost of {', '.join(names)} falls somewhere and is ironed.",) if names else ()


def with_books(
    market: Market, report: Report, outcome: Outcome, solution: Solution, accounts: tuple[Account, ...]
) -> Outcome:
    """The outcome with everyone's books, the buyer's revenue, welfare, slacks and shadow prices."""
    books = settle(market, report, outcome.allocation, accounts)
    values = stated_values(market, report, outcome.allocation)
    slack = constraint_slack(market, values)
    shadow = {n: np.where(np.isnan(slack[n]), np.nan, np.abs(m)) for n, m in solution.multipliers.items()}
    return replace(
        outcome, accounts=accounts, costs=books.costs, values=books.values, utilities=books.utilities,
        revenue=books.profit(market.contracts[0].payer), welfare=books.welfare, slack=slack, shadow_price=shadow,
    )  # fmt: skip


def by_name(report: Report) -> dict[str, Array]:
    """The report as outcomes hold it: by the types' names."""
    return {str(q.name): np.asarray(table) for q, table in report.items()}
