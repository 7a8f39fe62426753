"""The books: from an allocation and who pays whom to everyone's utility, revenue and welfare.

Costs and values are evaluated from what was stated, at the reported types taken as true. Transfers cancel in welfare by
construction of the books, and the certificate checks that they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity
from mechdsl.market import Market
from mechdsl.outcome import Account
from mechdsl.signals import precisions
from mechdsl.structure import Report

__all__ = ["Books", "Columns", "constraint_slack", "settle", "settle_together", "stated_values"]


@dataclass(frozen=True, slots=True)
class Books:
    """Per layer, arrays of the layer's shape: `costs`, `values`, `received`, `paid`, `utilities`; and the totals."""

    costs: Mapping[str, Array]
    values: Mapping[str, Array]
    received: Mapping[str, Array]
    paid: Mapping[str, Array]
    utilities: Mapping[str, Array]
    welfare: float

    def profit(self, layer: str) -> float:
        """`value - payments made - own cost` of a layer: its revenue, where it sells nothing else."""
        return float(np.sum(self.values[layer]) - np.sum(self.paid[layer]) - np.sum(self.costs[layer]))


def stated_values(market: Market, report: Report, allocation: Mapping[str, Array]) -> dict[Quantity, Array]:
    """Values of every quantity in the market's formulas: data, reported types, decisions by name, and what the signals
    tell of states by them.
    """
    decisions = {c.quantity: np.asarray(allocation[str(c.quantity.name)]) for c in market.choices}
    values = {**market.data, **report, **decisions}
    return {**values, **precisions(market, values)}


def settle(market: Market, report: Report, allocation: Mapping[str, Array], accounts: Sequence[Account]) -> Books:
    """The books of every layer, and of whoever else the accounts name.

    Args:
        market: whose layers keep books.
        report: the types, taken as true.
        allocation: decision name -> array.
        accounts: the transfers; amounts have the shape of the receiver's letters or, failing that, the payer's.
    """
    values = stated_values(market, report, allocation)
    costs, worth, received, paid = {}, {}, {}, {}
    for layer in market.layers:
        costs[layer.name] = evaluate(layer.cost, values, layer.letters)
        worth[layer.name] = evaluate(layer.value, values, layer.letters)
        received[layer.name] = _flow(accounts, layer.name, layer.shape, incoming=True)
        paid[layer.name] = _flow(accounts, layer.name, layer.shape, incoming=False)
    for name in dict.fromkeys(
        n for a in accounts for n in (a.payer, a.receiver) if n not in costs
    ):  # no layer: a government
        costs[name] = worth[name] = np.zeros(())
        received[name] = _flow(accounts, name, (), incoming=True)
        paid[name] = _flow(accounts, name, (), incoming=False)
    utilities = {n: worth[n] - costs[n] + received[n] - paid[n] for n in costs}
    welfare = float(sum(np.sum(worth[n]) - np.sum(costs[n]) for n in costs))
    return Books(costs, worth, received, paid, utilities, welfare)


@dataclass(frozen=True, slots=True)
class Columns:
    """The books of N draws: `utilities` by layer (N, *shape), the payer's `profit` and `welfare` (N,)."""

    utilities: Mapping[str, Array]
    profit: Array
    welfare: Array


def settle_together(
    market: Market, values: Mapping[Quantity, Array], count: int, payer: str, payments: Mapping[str, Array]
) -> Columns:
    """Every layer's books in N draws, where one layer pays the others.

    Args:
        market: whose layers keep books.
        values: of every quantity in its formulas, draws leading (`stated_values`).
        count: N.
        payer: who pays.
        payments: receiver -> (N, *shape).
    """
    utilities: dict[str, Array] = {}
    profit, welfare = np.zeros(count), np.zeros(count)
    for layer in market.layers:
        shape = (count, *layer.shape)
        own = evaluate(layer.value, values, layer.letters) - evaluate(layer.cost, values, layer.letters)
        utility = np.array(np.broadcast_to(own, shape))
        welfare += utility.reshape(count, -1).sum(axis=1)
        if layer.name in payments:
            utility = utility + payments[layer.name]
        if layer.name == payer:
            for amounts in payments.values():
                total = amounts if amounts.shape == shape else amounts.reshape(count, -1).sum(axis=1)
                utility = (
                    utility - total.reshape(count, *(1 for _ in layer.shape)) if total.ndim == 1 else utility - total
                )
            profit = utility.reshape(count, -1).sum(axis=1)
        utilities[layer.name] = utility
    return Columns(utilities, profit, welfare)


def _flow(accounts: Sequence[Account], layer: str, shape: tuple[int, ...], *, incoming: bool) -> Array:
    total = np.zeros(shape)
    for account in accounts:
        if (account.receiver if incoming else account.payer) == layer:
            total = total + (account.amounts if np.shape(account.amounts) == shape else np.sum(account.amounts))
    return total


def constraint_slack(market: Market, values: Mapping[Quantity, Array]) -> dict[str, Array]:
    """Left minus right side of every constraint (right minus left for `<=`), NaN in rows its condition excludes."""
    slack = {}
    for constraint in market.constraints:
        difference = constraint.left - constraint.right
        table = evaluate(-difference if constraint.relation == "<=" else difference, values, constraint.letters)
        slack[constraint.name] = _excluded(table, constraint.where, values, constraint.letters)
    return slack


def _excluded(table: Array, where: sp.Basic, values: Mapping[Quantity, Array], letters: tuple[object, ...]) -> Array:
    if where == sp.true:
        return np.array(table)
    return np.where(evaluate(where, values, letters), table, np.nan)  # type: ignore[arg-type]
