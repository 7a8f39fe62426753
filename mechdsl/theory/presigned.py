"""Presigned contracts: a broker promises `z` for `t` before types are known, then buys from providers under `x >= z`.

Backward induction. Second stage: the broker, a least-payment buyer, has nothing to gain from more than it signed where
private costs rise in output, so `x(c) = z` at every report, and a provider whose output does not depend on its report
is paid its highest cost. First stage: `t` leaves the broker just willing, and z minimises the platform's loss, or the
expected cost of all. Neither weight is put in: both come out of the providers' and the broker's participation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from mechdsl.errors import InternalError
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Letter, Quantity, quantities, substitute
from mechdsl.market import Choice, Contract, Layer, Market
from mechdsl.program import Optimum, Stages
from mechdsl.structure import contract_chain
from mechdsl.theory.curvature import curvature, is_convex_program, variables_of
from mechdsl.theory.notation import free_name
from mechdsl.theory.pointwise import for_a_solver
from mechdsl.theory.private_cost import PrivateCost, pointwise_objective, private_cost, total
from mechdsl.theory.procurement import DIRECT_WORDS, argument_misfit
from mechdsl.theory.virtual_cost import reported_types, virtual_cost_of, virtual_costs

__all__ = [
    "PRESIGNED_WORDS",
    "Parties",
    "contract_price",
    "parties",
    "presigned_misfit",
    "presigned_parameters",
    "presigned_program",
    "provider_cost",
    "provider_payment",
    "stage_data",
]

PRESIGNED_WORDS = {"presigned": ("tax",), **DIRECT_WORDS}
"""The arguments of the two contracts: `presigned(tax = 0.1)`, and those of `direct`."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Who signs with whom.

    Args:
        platform, broker, provider: from the one who pays to the one who produces.
        upstream: the layers whose costs and values the platform's objective counts as its own: all but the next.
        downstream: the broker and the provider, for whom `t` must pay.
        tax: the share of t that goes to the government, a formula in params.
        informed: whether the broker knows the types when it buys (`direct(information = known)`, or none is private).
        choices: the provider's, which z promises.
        promised: for each of them the quantity z, a decision of the first stage.
    """

    platform: Layer
    broker: Layer
    provider: Layer
    upstream: tuple[Layer, ...]
    downstream: tuple[Layer, ...]
    tax: sp.Expr
    informed: bool
    choices: tuple[Choice, ...]
    promised: tuple[Quantity, ...]

    def in_promise(self, formula: sp.Expr) -> sp.Expr:
        """A formula in the provider's choices x, said of z."""
        for choice, z in zip(self.choices, self.promised, strict=True):
            letters = choice.declaration.letters
            formula = substitute(formula, choice.quantity, letters, _entry(z, letters))
        return formula


def parties(market: Market) -> Parties:
    """The roles in a market whose contracts are `presigned`, then `direct`."""
    signed, direct = contract_chain(market)
    broker, provider = market.layer(signed.provider), market.layer(direct.provider)
    choices = market.choices_of(provider.name)
    names = ["z"] if len(choices) == 1 else [f"z_{c.quantity.name}" for c in choices]
    return Parties(
        platform=market.layer(signed.payer),
        broker=broker,
        provider=provider,
        upstream=tuple(y for y in market.layers if y not in (broker, provider)),
        downstream=(broker, provider),
        tax=sp.Add(signed.arguments.get("tax", sp.S.Zero)),
        informed=not market.types or direct.arguments.get("information") == "known",
        choices=choices,
        promised=tuple(
            Quantity(free_name(name, market.declarations), c.quantity.sets, "decision", c.quantity.domain)
            for name, c in zip(names, choices, strict=True)
        ),
    )


# ---------------------------------------------------------------------------------------------------------------- fit


def presigned_misfit(market: Market) -> str | None:
    """Why a presigned contract does not fit the market, in its own words; None where it does."""
    if len(market.contracts) != 2:
        return "it is for two contracts, one after the other"
    signed, direct = contract_chain(market)
    if signed.provider != direct.payer:
        return f"'{signed.provider}', who signs with {signed.payer}, must be the one who buys from '{direct.provider}'"
    if market.objectives[0].layer != signed.payer:
        return f"the objective must be {signed.payer}'s, who signs first"
    if market.choices_of(signed.provider):
        return f"layer '{signed.provider}' must choose nothing but its contracts"
    if not market.choices_of(direct.provider):
        return f"layer '{direct.provider}' chooses nothing"
    if not market.constraints and all(layer.value == 0 for layer in market.layers):
        return f"nothing makes {signed.payer} buy: state a demand, or a value"
    return (
        _type_misfit(market, direct) or _tax_misfit(market, signed) or argument_misfit(direct) or _rise_misfit(market)
    )


def _type_misfit(market: Market, direct: Contract) -> str | None:
    for layer in market.layers:
        parts = private_cost(market, layer)
        if isinstance(parts, str):
            return parts
        if parts.type is not None and layer.name != direct.provider:
            return f"layer '{layer.name}' has a private type, but the one who produces is '{direct.provider}'"
        if any(q.role not in ("param", "statistic") for q in quantities(layer.outside)):
            return f"the outside option of '{layer.name}' must be known data"
    if any(quantities(side, "type") for c in market.constraints for side in (c.left, c.right)):
        return "a constraint depends on a type, which is not known when the contract is signed"
    if any(law.lower < 0 for private in market.types for law in private.distributions):
        return "a type may be negative: its bearer would gladly produce more than was signed"
    return None


def _tax_misfit(market: Market, signed: Contract) -> str | None:
    tax = signed.arguments.get("tax", sp.S.Zero)
    if isinstance(tax, str) or any(q.role != "param" or q.sets for q in quantities(tax)):
        return f"'tax' of presigned is a number, not {tax}"
    share = float(evaluate(tax, market.data))
    return None if 0 <= share < 1 else f"'tax' of presigned is a share, at least 0 and below 1, not {share:g}"


def _rise_misfit(market: Market) -> str | None:
    """Whether the broker could want more than it signed: what it must pay for has to rise in output."""
    who = parties(market)
    own = {choice.quantity for choice in who.choices}
    for formula in _rising(market, who):
        if own & curvature(formula, market, "convex", sample=False).shape.falls:
            return (
                f"what '{who.provider.name}' and '{who.broker.name}' bear is not shown to rise in output ({formula}), "
                f"so '{who.broker.name}' might produce more than it signed"
            )
    return None


def _rising(market: Market, who: Parties) -> tuple[sp.Expr, ...]:
    """What must not fall in output: the coefficient of the type, and all that the broker has to cover besides."""
    parts = provider_cost(market)
    known = total(parts.known - who.provider.value, who.provider) + total(
        who.broker.cost - who.broker.value, who.broker
    )
    return parts.coefficient, known


# ------------------------------------------------------------------------------------------------------------- stages


def presigned_program(market: Market) -> Stages:
    """First what to promise, then what to produce under the promise.

    Source: Ai, Simchi-Levi & Xu (2025), Problems 4 to 6.
    """
    return Stages((first_stage(market), second_stage(market)), "broker's two stages")


def first_stage(market: Market) -> Optimum:
    """`minimise t(z) + platform's cost - value` (revenue), or all expected costs less values (welfare), over z.

    Source: Ai, Simchi-Levi & Xu (2025), proofs of Theorems 3.1 (D.2.1) and 3.2 (D.3.1).
    """
    who = parties(market)
    if market.objectives[0].goal == "welfare":
        objective = pointwise_objective(market, _statistic(market, "mean"))
    else:
        objective = contract_price(market) + pointwise_objective(market, layers=who.upstream)
    renamed = {c.quantity: z for c, z in zip(who.choices, who.promised, strict=True)}
    program = Optimum(
        sense="minimize",
        objective=who.in_promise(objective),
        variables=tuple(replace(v, quantity=renamed.get(v.quantity, v.quantity)) for v in variables_of(market)),
        constraints=tuple(
            replace(c, left=who.in_promise(c.left), right=who.in_promise(c.right)) for c in market.constraints
        ),
        data=stage_data(market),
        name="what to promise",
    )
    return for_a_solver(replace(program, convex=is_convex_program(program)))


def second_stage(market: Market) -> Optimum:
    """`minimise sum vc phi(x) + known costs - values` of provider and broker over `x >= z`.

    Source: Ai, Simchi-Levi & Xu (2025), Problem 4 and the proof of Theorem 3.1 (D.2.1).
    """
    who = parties(market)
    weight = virtual_cost_of(market.types[0]) if market.types and not who.informed else None
    objective = pointwise_objective(market, weight, who.downstream)
    least = {c.quantity: _fixed(z) for c, z in zip(who.choices, who.promised, strict=True)}
    elsewhere = tuple(c.quantity for c in market.choices if c.quantity not in least)  # decided with z
    found = quantities(objective)
    weights = tuple(q for q in (*(t.quantity for t in market.types), *((weight,) if weight else ())) if q in found)
    program = Optimum(
        sense="minimize",
        objective=objective,
        variables=tuple(
            replace(v, lower=_entry(least[v.quantity], v.letters)) for v in variables_of(market) if v.quantity in least
        ),
        constraints=(),
        data=market.data,
        parameters=(*weights, *least.values(), *(q for q in elsewhere if q in found)),
        name="what to produce under the promise",
    )
    return for_a_solver(replace(program, convex=is_convex_program(program)))


def _fixed(z: Quantity) -> Quantity:
    """z as the second stage has it: given."""
    return Quantity(str(z.name), z.sets, "open", z.domain)


def _entry(quantity: Quantity, letters: tuple[Letter, ...]) -> sp.Expr:
    return quantity[letters] if letters else quantity


def presigned_parameters(market: Market, report: Mapping[Quantity, Array]) -> Mapping[Quantity, Array]:
    """The second stage's weights at a report: virtual costs, or the types where the broker knows them."""
    if parties(market).informed:
        return reported_types(market, report)
    return virtual_costs(market, report)


def stage_data(market: Market) -> dict[Quantity, Array]:
    """The market's data, and the ends and means of its types."""
    private = market.types[0] if market.types else None
    if private is None:
        return dict(market.data)
    return {
        **market.data,
        _named(market, "upper"): private.table(lambda d: float(d.upper)),
        _named(market, "mean"): private.table(lambda d: float(d.mean)),
    }


def _named(market: Market, kind: str) -> Quantity:
    """`upper(c)`: the language's own name for it."""
    private = market.types[0].quantity
    return Quantity(f"{kind}({private.name})", private.sets, "statistic", private.domain)


def provider_cost(market: Market) -> PrivateCost:
    """The provider's cost, taken apart."""
    parts = private_cost(market, parties(market).provider)
    if isinstance(parts, str):
        raise InternalError(parts)
    return parts


def _statistic(market: Market, kind: str) -> Quantity | None:
    return _named(market, kind) if market.types else None


# ------------------------------------------------------------------------------------------------------------ payments


def provider_payment(market: Market) -> sp.Expr:
    """`p = known - value + outside + upper(c) phi(x)`: output does not move with the report, so the rent is all of it.

    `c y + int_c^b y dt = b y` for constant y; a broker that knows the type pays the cost, `c` in the place of `b`.

    Source: Ai, Simchi-Levi & Xu (2025), Algorithm 3 and the proof of Theorem 3.1 (D.2.1).
    """
    who, parts = parties(market), provider_cost(market)
    fixed = parts.known - who.provider.value + who.provider.outside
    if parts.type is None:
        return fixed
    quantity = parts.type.quantity if who.informed else _named(market, "upper")
    return fixed + _entry(quantity, who.provider.letters) * parts.coefficient


def contract_price(market: Market) -> sp.Expr:
    """`t = (expected payments to providers + broker's cost - value + outside) / (1 - tax)`, a formula in x.

    Source: the proof of Theorem 3.1 (D.2.1) of Ai, Simchi-Levi & Xu (2025): `t = b . y`; with a tax, ours: the broker
    keeps `(1 - tax) t`, tested in tests/test_broker.py.
    """
    who = parties(market)
    weight = _statistic(market, "mean" if who.informed else "upper")
    outside = sum(total(y.outside, y) for y in who.downstream)
    return (pointwise_objective(market, weight, who.downstream) + outside) / (1 - who.tax)
