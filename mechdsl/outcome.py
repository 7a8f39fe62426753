"""What a regime comes to, in the market's own words: allocation, payments, utilities, revenue, welfare, shadow prices.

An `Outcome` holds arrays by name and knows nothing of how they were found; a `Certificate` holds the checks made on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mechdsl.evaluate import Array
from mechdsl.program import Status

__all__ = ["Account", "Certificate", "Check", "Outcome", "Sample"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `value` against `tolerance`.

    Args:
        name: stable words (`largest gain from misreporting`).
        value: what was measured; the check passes when `value <= tolerance`.
        detail: where it was worst, how it was searched; whole sentence.
    """

    name: str
    value: float
    tolerance: float
    detail: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.value <= self.tolerance)  # NaN fails


@dataclass(frozen=True, slots=True)
class Certificate:
    """Checks of an outcome against what was stated."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class Account:
    """Who receives what from whom: one line of the books. `amounts` has the shape of the receiving (or paying)
    layer's letters.
    """

    payer: str
    receiver: str
    amounts: Array
    what: str = "payment"


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One regime's result at one report.

    Args:
        structure: the plugin's name.
        report: type name -> array; `report_is_mean`: no report was stated, the means stand in.
        allocation: decision name -> array.
        payments: money received, layer -> array of the layer's shape.
        utilities: every layer's, layer -> array of the layer's shape.
        costs, values: what each layer bears and enjoys, layer -> array of the layer's shape (0 where none).
        revenue, welfare, profit: None where the market gives them no meaning.
        slack, shadow_price: constraint -> array (NaN in rows its condition excludes).
        accounts: the transfers, line by line; they add up to `payments`.
        extra: further quantities by name (`menu`, `contract`, `precision`, ...), JSON-ready or arrays.
        notes: sentences a reader should see (ironed types, ties, quadrature tolerance reached, ...).
    """

    structure: str
    status: Status
    message: str
    report: Mapping[str, Array] = field(default_factory=dict)
    report_is_mean: bool = False
    allocation: Mapping[str, Array] = field(default_factory=dict)
    payments: Mapping[str, Array] = field(default_factory=dict)
    utilities: Mapping[str, Array] = field(default_factory=dict)
    costs: Mapping[str, Array] = field(default_factory=dict)
    values: Mapping[str, Array] = field(default_factory=dict)
    revenue: float | None = None
    welfare: float | None = None
    profit: float | None = None
    slack: Mapping[str, Array] = field(default_factory=dict)
    shadow_price: Mapping[str, Array] = field(default_factory=dict)
    accounts: tuple[Account, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One regime's results at N reports, by column: what an `Outcome` says once, said N times.

    Args:
        structure: the plugin's name.
        allocation: decision name -> (N, *shape).
        payments, utilities: layer -> (N, *shape of the layer's letters).
        revenue, welfare, profit: (N,), None where the market gives them no meaning.
        gap: (N,) relative duality gap of each solve.
        certified: (N,) whether feasibility and optimality were shown within tolerance; what was not is NaN elsewhere.
        fallbacks: how many were solved one at a time because the batch did not certify them.
        payment_error: largest absolute error bound of any payment.
        notes: sentences a reader should see.
    """

    structure: str
    allocation: Mapping[str, Array]
    payments: Mapping[str, Array]
    utilities: Mapping[str, Array]
    revenue: Array | None
    welfare: Array | None
    profit: Array | None
    gap: Array
    certified: npt.NDArray[np.bool_]
    fallbacks: int = 0
    payment_error: float = 0.0
    notes: tuple[str, ...] = ()
