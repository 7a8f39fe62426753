"""An intermediary between a buyer and providers: prices at the margin, and who gets the surplus.

Prices equal to marginal values make everyone choose the efficient efforts, and leave no freedom to share what comes of
them; a lump sum on either side of the intermediary does, without touching any margin. The surplus is split between the
buyer and the providers by Nash bargaining, and among the providers along the path from nothing to the efficient
efforts (Aumann & Shapley).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp

from mechdsl.accounting import stated_values
from mechdsl.derivation import Step
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, IndexSum, Letter, Quantity, derivative, quantities
from mechdsl.market import Layer, Market
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Account, Outcome
from mechdsl.program import Status
from mechdsl.structure import Report, contract_chain
from mechdsl.theory.efforts import effort_outcome, others_misfit, solved_at, unsolved
from mechdsl.theory.notation import Rule, Slope, free_name
from mechdsl.theory.precision import written_out
from mechdsl.theory.supply import supply, supply_misfit

__all__ = [
    "Chain",
    "Tariff",
    "chain_of",
    "intermediary_misfit",
    "linear_outcome",
    "linear_steps",
    "surplus_step",
    "tariff",
    "tariff_outcome",
    "tariff_steps",
    "weights_of",
]

_PAPER = "Dai, Farboodi, Golrezaei & Shahshahani (2026), section 5"
WEIGHTS = ("surplus", "precision")
_NODES, _PANELS = 24, (4, 8, 16, 32, 64)  # of the rule along the path
_EVEN = 1e-14  # change, relative to the largest, at which it has settled


@dataclass(frozen=True, slots=True)
class Chain:
    """Who stands where: the buyer pays the intermediary, the intermediary pays the provider."""

    buyer: Layer
    middle: Layer
    provider: Layer


def chain_of(market: Market) -> Chain:
    """The three layers of two contracts, one after the other."""
    first, second = contract_chain(market)
    return Chain(market.layer(first.payer), market.layer(first.provider), market.layer(second.provider))


def intermediary_misfit(market: Market) -> str | None:
    """Why a market is none with an intermediary between a buyer and providers; None where it is."""
    first, second = contract_chain(market)
    if first.provider != second.payer:
        return "the layer that is paid by the first contract must pay by the second"
    chain = chain_of(market)
    if market.objectives[0].layer != chain.middle.name:
        return f"the objective must be {chain.middle.name}'s, who stands between"
    if market.constraints:
        return f"it is for markets without constraints; '{market.constraints[0].name}' is one"
    for layer in (chain.buyer, chain.middle):
        if layer.letters or market.choices_of(layer.name):
            return f"'{layer.name}' must be one layer that chooses nothing but the terms"
    if any(q.role != "param" for f in (chain.middle.cost, chain.buyer.outside) for q in quantities(f)):
        return f"the cost of '{chain.middle.name}' and the outside option of '{chain.buyer.name}' must be known data"
    if chain.middle.value != 0:
        return f"layer '{chain.middle.name}' must value nothing of its own"
    names = tuple(layer.name for layer in (chain.buyer, chain.middle, chain.provider))
    for layer in market.layers:
        if layer.name not in names and (layer.cost != 0 or layer.value != 0):
            return f"layer '{layer.name}' has a cost or a value, but no contract"
    return others_misfit(market, names) or supply_misfit(market, chain.provider.name) or _argument_misfit(market, chain)


def _argument_misfit(market: Market, chain: Chain) -> str | None:
    given = {c.arguments["weights"] for c in market.contracts if "weights" in c.arguments}
    if not given <= set(WEIGHTS) or len(given) > 1:
        return f"'weights' is {' or '.join(WEIGHTS)}"
    power = chain.middle.bargaining
    if power is None:
        return None
    if any(q.role != "param" for q in quantities(power)) or not 0 <= float(evaluate(power, market.data)) <= 1:
        return f"the bargaining power of '{chain.middle.name}' must be known data between 0 and 1"
    return None


def weights_of(market: Market) -> str:
    """`surplus` or `precision`: along whose path the providers' shares are worked out."""
    return next((str(c.arguments["weights"]) for c in market.contracts if "weights" in c.arguments), WEIGHTS[0])


# ---------------------------------------------------------------------------------------------------------- in numbers


@dataclass(frozen=True, slots=True, eq=False)
class Tariff:
    """The terms at the efficient efforts.

    Args:
        prices: marginal values, shape of the providers.
        bought: `sum p e`, what the prices alone pay.
        running: the intermediary's cost.
        surplus: `value - costs - outside options`, everyone's.
        weights: of the providers in their share of it; they add up to 1.
        fee, subsidies: the lump sums, `L` from the buyer and `s` to each provider.
    """

    prices: Array
    bought: float
    running: float
    surplus: float
    weights: Array
    fee: float
    subsidies: Array


def tariff(mechanism: Mechanism, report: Report) -> Tariff:
    """`p = dP/de`, `L = P - sum p e - pi0 - (1 - beta) S`, `s = u0 + phi beta S + c(e) - p e`.

    Source: Dai, Farboodi, Golrezaei & Shahshahani (2026), section 5.3; the formulas are reconstructed: ours,
    tests/test_data_market.py.
    """
    market, chain = mechanism.market, chain_of(mechanism.market)
    values = stated_values(market, report, mechanism.solve(report).values)
    provided = supply(market, chain.provider.name)
    efforts = np.asarray(values[provided.choice.quantity])
    prices = solved_at(mechanism, report, *_price(market, chain))
    cost = evaluate(provided.cost, values, provided.letters)
    outside = evaluate(chain.provider.outside, values, provided.letters)
    worth = float(evaluate(chain.buyer.value - chain.buyer.cost, values))
    refused, running = float(evaluate(chain.buyer.outside, values)), float(evaluate(chain.middle.cost, values))
    surplus = worth - float(np.sum(cost)) - running - refused - float(np.sum(outside))
    share = 0.5 if chain.middle.bargaining is None else float(evaluate(chain.middle.bargaining, values))
    weights = _weights(mechanism, report, weights_of(market))
    bought = float(np.sum(prices * efforts))
    fee = worth - bought - refused - (1 - share) * surplus
    subsidies = outside + weights * share * surplus + cost - prices * efforts
    return Tariff(prices, bought, running, surplus, weights, fee, subsidies)


def _price(market: Market, chain: Chain) -> tuple[sp.Expr, tuple[Letter, ...]]:
    """The marginal value of an effort as a formula, and its letters."""
    choice = market.choices_of(chain.provider.name)[0]
    fresh = tuple(Letter(f"{a.name}_own", a.index_set) for a in choice.declaration.letters)
    entry = Entry(choice.quantity, *fresh) if fresh else choice.quantity
    return derivative(written_out(market, chain.buyer.value - chain.buyer.cost), entry), fresh


def _weights(mechanism: Mechanism, report: Report, kind: str) -> Array:
    """`phi = int_0^1 e [dP/de(t e) - c'(t e)] dt`, over their sum; by quadrature, costs in closed form.

    Source: Aumann & Shapley (1974), Values of Non-Atomic Games; the variant `precision` leaves the costs out.
    """
    market, chain = mechanism.market, chain_of(mechanism.market)
    formula, letters = _price(market, chain)
    choice = market.choices_of(chain.provider.name)[0]
    efforts = np.asarray(mechanism.solve(report).values[str(choice.quantity.name)])
    fixed = {**market.data, **report}

    def gained(shares: Array) -> Array:
        along = shares.reshape((-1,) + (1,) * efforts.ndim) * efforts
        slope = evaluate(formula, {**fixed, choice.quantity: along}, letters)
        return efforts * np.broadcast_to(slope, along.shape)  # a slope that is the same throughout has no axis for it

    found = _along_the_path(gained)
    if kind == "surplus":
        cost, own = chain.provider.cost, chain.provider.letters
        found = found - (
            evaluate(cost, {**fixed, choice.quantity: efforts}, own)
            - evaluate(cost, {**fixed, choice.quantity: np.zeros_like(efforts)}, own)
        )
    whole = float(np.sum(found))
    return np.asarray(found / whole) if whole > 0 else np.full(np.shape(found), 1 / max(1, np.size(found)))


def _along_the_path(gained: Callable[[Array], Array]) -> Array:
    """`int_0^1 gained(t) dt` by Gauss's rule on panels, doubled until nothing changes; all nodes of a rule at once.

    Most of a path through much data lies where more is all but useless: as `t = s^4`, the beginning gets its due.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    found: Array = np.asarray(gained(np.ones(1))[0])
    earlier = found
    for panels in _PANELS:
        s = ((nodes[None, :] + 1) / 2 + np.arange(panels)[:, None]).ravel() / panels
        each = np.tile(weights / 2, panels) / panels * 4 * s**3
        found = np.asarray(np.tensordot(each, gained(s**4), axes=1))
        if np.max(np.abs(found - earlier), initial=0.0) <= _EVEN * np.max(np.abs(found)):
            break
        earlier = found
    return found


def linear_outcome(mechanism: Mechanism, report: Report) -> Outcome:
    """Efficient efforts at prices equal to marginal values; the buyer covers the running cost, and nothing is left to
    share.
    """
    made = _chosen(mechanism, report)
    if isinstance(made, Outcome):
        return made
    chain, terms, at_prices = made
    running = Account(chain.buyer.name, chain.middle.name, np.asarray(terms.running), "running cost")
    accounts = (at_prices[0], *_if_any(running), at_prices[1])
    extra = {"prices": terms.prices, "surplus": terms.surplus}
    return effort_outcome(mechanism, report, accounts, extra, chain.buyer.name)


def tariff_outcome(mechanism: Mechanism, report: Report) -> Outcome:
    """Efficient efforts at prices equal to marginal values, and lump sums that give everyone their share."""
    made = _chosen(mechanism, report)
    if isinstance(made, Outcome):
        return made
    chain, terms, at_prices = made
    fee = Account(chain.buyer.name, chain.middle.name, np.asarray(terms.fee), "fee")
    subsidies = Account(chain.middle.name, chain.provider.name, terms.subsidies, "subsidies")
    accounts = (at_prices[0], fee, at_prices[1], subsidies)
    extra = {
        "prices": terms.prices, "subsidies": terms.subsidies, "fee": terms.fee, "surplus": terms.surplus,
        "weights": terms.weights,
    }  # fmt: skip
    return effort_outcome(mechanism, report, accounts, extra, chain.buyer.name, _entry_fees(chain, terms))


def _chosen(mechanism: Mechanism, report: Report) -> tuple[Chain, Tariff, tuple[Account, Account]] | Outcome:
    """Who is who, the tariff, and what unit prices pay for the efficient efforts; or why there is no contract."""
    solution = mechanism.solve(report)
    ended = unsolved(mechanism, report, solution)
    if ended is not None:
        return ended
    chain, terms = chain_of(mechanism.market), tariff(mechanism, report)
    if terms.surplus < -_noise(terms):
        return _no_market(mechanism, chain, terms)
    efforts = solution.values[str(mechanism.market.choices_of(chain.provider.name)[0].quantity.name)]
    buyer, middle, provider = chain.buyer.name, chain.middle.name, chain.provider.name
    bought = Account(buyer, middle, np.asarray(terms.bought), "unit prices")
    return chain, terms, (bought, Account(middle, provider, terms.prices * efforts, "unit prices"))


def _entry_fees(chain: Chain, terms: Tariff) -> tuple[str, ...]:
    notes = []
    paying = int(np.sum(terms.subsidies < -_noise(terms)))
    if paying:
        count = "" if terms.subsidies.size == 1 else f" ({paying} of {terms.subsidies.size})"
        notes.append(f"A negative subsidy is a fee to enter: {chain.provider.name}{count} pays it out of its prices.")
    if terms.fee < -_noise(terms):
        notes.append(f"A negative fee is a rebate: {chain.buyer.name} is returned part of what the prices charge it.")
    return tuple(notes)


def _no_market(mechanism: Mechanism, chain: Chain, terms: Tariff) -> Outcome:
    message = (
        f"With everyone at their efficient efforts, what {chain.buyer.name} gains falls {-terms.surplus:.6g} short of "
        f"the costs of {chain.provider.name} and {chain.middle.name} and of everyone's outside options: no contract "
        "leaves everyone as well off as outside."
    )
    return Outcome(mechanism.structure.name, Status.NO_MARKET, message, extra={"surplus": terms.surplus})


def _if_any(account: Account) -> tuple[Account, ...]:
    return (account,) if np.any(account.amounts != 0) else ()


def _noise(terms: Tariff) -> float:
    """What rounding can make of a number that is 0."""
    return 1e-10 * (1 + abs(terms.bought) + abs(terms.running))


# ------------------------------------------------------------------------------------------------------------ in words


def surplus_step(market: Market) -> Step:
    """`S = value - costs - outside options`: what there is to share."""
    chain = chain_of(market)
    letters = chain.provider.letters
    surplus = Quantity(free_name("S", market.declarations), (), "open")
    inside = chain.provider.cost + chain.provider.outside
    formula = chain.buyer.value - chain.buyer.cost - chain.buyer.outside - chain.middle.cost
    formula -= IndexSum(inside, letters) if letters else inside
    because = (
        "Transfers cancel: whatever the contracts say, everyone together gains this over their outside options. "
        "Where it "
        "is negative at the efficient efforts, somebody loses under every contract, and there is no market."
    )
    return Step("surplus", sp.Eq(surplus, formula, evaluate=False), because, f"{_PAPER}.3, equation (19)")


def linear_steps(market: Market) -> tuple[Step, ...]:
    """The one price that induces the efficient effort, and what it leaves the buyer."""
    chain = chain_of(market)
    price = _named("p", market, chain)
    slope, letters = _price(market, chain)
    marginal = supply(market, chain.provider.name).marginal
    shown = slope.xreplace(dict(zip(letters, chain.provider.letters, strict=True)))
    equal = (
        "The efficient effort equates marginal value and marginal cost; the provider equates price and marginal "
        "cost; so "
        "the price that induces it is the marginal value. It is also what makes the buyer want just that much."
    )
    transfer = Quantity(free_name("T", market.declarations), (), "open")
    outlay = price * market.choices_of(chain.provider.name)[0].declaration.entry
    total = (IndexSum(outlay, chain.provider.letters) if chain.provider.letters else outlay) + chain.middle.cost
    balance = (
        "The intermediary breaks even: the buyer pays what the providers get, and the running cost. Nothing is left to "
        "choose, so participation holds or fails as it may: the buyer keeps $\\lambda^2/V$ less the running cost "
        "where the "
        "value is the precision and there is one factor."
    )
    return (
        Step("prices", sp.Eq(price, shown, evaluate=False), equal, f"{_PAPER}.2, Lemma 7",
             (("at the efficient effort", sp.Eq(price, marginal, evaluate=False)),)),
        Step("budget balance", sp.Eq(transfer, total, evaluate=False), balance, f"{_PAPER}.2, Lemma 8"),
    )  # fmt: skip


def tariff_steps(market: Market) -> tuple[Step, ...]:
    """Prices, the providers' weights, and the lump sums that Nash bargaining asks for."""
    chain = chain_of(market)
    price, weight, subsidy = (_named(name, market, chain) for name in ("p", "phi", "s_"))
    entry = market.choices_of(chain.provider.name)[0].declaration.entry
    surplus, fee, along, whole = (Quantity(free_name(n, market.declarations), (), "open") for n in ("S", "L", "t", "W"))
    power = sp.Rational(1, 2) if chain.middle.bargaining is None else chain.middle.bargaining
    letters = chain.provider.letters
    bought = IndexSum(price * entry, letters) if letters else price * entry
    worth = chain.buyer.value - chain.buyer.cost
    efforts = market.choices_of(chain.provider.name)[0].quantity
    contributed = sp.Integral(entry * Slope(Rule(whole, along * efforts), entry), (along, 0, 1))
    share = sp.Eq(weight, contributed / Rule(whole, efforts), evaluate=False)
    net = "value less cost" if weights_of(market) == "surplus" else "value alone"
    split = (
        "The Nash product of the buyer's and the providers' gains, with the bargaining power for exponents, is largest "
        "where the providers together gain that share of the surplus, whatever the efforts; and it rises with the "
        "surplus, so the efforts are the efficient ones. Lump sums bring the gains about and touch no margin."
    )
    fee_formula = worth - bought - chain.buyer.outside - (1 - power) * surplus
    subsidy_formula = chain.provider.outside + weight * power * surplus + chain.provider.cost - price * entry
    return (
        linear_steps(market)[0],
        surplus_step(market),
        Step("weights", share,
             f"A provider's weight is what its effort contributes ($W$ is {net}) along the straight path from nothing "
             "to the efficient efforts, over what all contribute. Costs are integrated in closed form, the rest by "
             "quadrature: "
             "closed forms cancel where there is little correlation.",
             "Aumann & Shapley (1974), Values of Non-Atomic Games; " + f"{_PAPER}.3; reconstructed: ours"),
        Step("lump sums", sp.Eq(fee, fee_formula, evaluate=False), split,
             f"{_PAPER}.3, Proposition 9; reconstructed: ours, tests/test_data_market.py",
             (("subsidy", sp.Eq(subsidy, subsidy_formula, evaluate=False)),)),
    )  # fmt: skip


def _named(name: str, market: Market, chain: Chain) -> sp.Expr:
    letters = chain.provider.letters
    quantity = Quantity(free_name(name, market.declarations), tuple(a.index_set for a in letters), "open")
    return Entry(quantity, *letters) if letters else quantity
