"""The same regime with one thing changed: types that are known, a layer in the middle that is gone.

What private information costs the platform, and what a union or a broker does, are differences between a regime and its
variant; both are markets like any other, handled by whatever structure fits.
"""

from __future__ import annotations

from dataclasses import replace

from mechdsl.market import Contract, Market
from mechdsl.structure import contract_chain

__all__ = ["with_known_types", "without_middle"]


def with_known_types(market: Market) -> Market | None:
    """The regime where whoever buys from those with private types knows these; None where nobody has any."""
    if not market.types or not market.contracts:
        return None
    last = contract_chain(market)[-1]
    if last.kind != "direct" or last.arguments.get("information") == "known":
        return None
    informed = replace(last, arguments={"information": "known"})
    contracts = tuple(informed if c is last else c for c in market.contracts)
    if market.layer(last.provider).represents is None:
        return replace(market, contracts=contracts)
    goals = tuple(replace(o, goal="welfare") for o in market.objectives)  # who pays costs and no more wants them least
    return replace(market, contracts=contracts, objectives=goals)


def without_middle(market: Market) -> Market | None:
    """The regime where the platform deals with those who produce by itself; None where it does so already."""
    chain = contract_chain(market)
    if not chain:
        return None
    provider = market.layer(chain[-1].provider)
    if provider.represents is not None:
        direct = replace(chain[-1], provider=provider.represents, payer=chain[0].payer)
        gone = {c.provider for c in chain}
    elif len(chain) > 1:
        direct = replace(chain[-1], payer=chain[0].payer)
        gone = {c.provider for c in chain[:-1]}
    else:
        return None
    gone -= {direct.provider}
    layers = tuple(y for y in market.layers if y.name not in gone)
    contracts: tuple[Contract, ...] = (direct,)
    return replace(market, contracts=contracts, layers=layers)
