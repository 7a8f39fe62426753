"""`mechdsl/1`: outcomes and diagnoses as JSON, with labels for keys and full precision.

The shape is a contract with other programs: keys are added, never changed. What has no meaning in a market is absent,
and NaN or infinity, which JSON cannot say, never gets in: an excluded entry is left out, an unmeasured number is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from mechdsl.errors import Diagnostic
from mechdsl.formula import IndexSet
from mechdsl.market import Market
from mechdsl.outcome import Account, Certificate, Outcome

if TYPE_CHECKING:
    from mechdsl.pipeline import Run

__all__ = [
    "SCHEMA",
    "certificate_object",
    "diagnostic_object",
    "document",
    "labelled",
    "outcome_object",
    "regime_object",
    "to_text",
]

SCHEMA = "mechdsl/1"


def to_text(value: Mapping[str, Any]) -> str:
    """The text of a JSON object, in ASCII; raises ValueError on NaN and infinity, which are no JSON."""
    return json.dumps(value, indent=2, allow_nan=False)


def document(market: str, command: str, **members: Any) -> dict[str, Any]:
    """The object that a command prints: what it is, of which market, from which command, and its members."""
    return {"schema": SCHEMA, "market": market, "command": command, **members}


def regime_object(run: Run) -> dict[str, Any]:
    """One regime of `solve`: the structure taken, how it ended, and what came of it."""
    if run.outcome is None or run.match.structure is None:
        problem = run.problem
        message = f"{problem.message}. {problem.hint}" if problem else "The regime was not solved."
        return {"structure": None, "status": "unhandled", "message": message}
    found = outcome_object(run.market, run.outcome)
    if run.certificate is not None:
        found["certificate"] = certificate_object(run.certificate)
    return found


def outcome_object(market: Market, outcome: Outcome) -> dict[str, Any]:
    """An outcome in the market's labels.

    Args:
        market: whose layers, types and constraints the outcome's arrays belong to.
        outcome: as recovered; arrays in the shape of the quantity, layer or constraint they are named for.
    """
    layers = {layer.name: tuple(a.index_set for a in layer.letters) for layer in market.layers}
    rows = {c.name: tuple(a.index_set for a in c.letters) for c in market.constraints}
    declared = {name: d.quantity.sets for name, d in market.declarations.items()}
    bearing = {layer.name for layer in market.layers if layer.cost != 0}
    valuing = {layer.name for layer in market.layers if layer.value != 0}
    members: dict[str, Any] = {
        "report": _tables(outcome.report, declared),
        "report_is_mean": outcome.report_is_mean or None,
        "allocation": _tables(outcome.allocation, declared),
        "payments": _tables(outcome.payments, layers),
        "revenue": _number(outcome.revenue),
        "welfare": _number(outcome.welfare),
        "profit": _number(outcome.profit),
        "utilities": _tables(outcome.utilities, layers),
        "costs": _tables({n: t for n, t in outcome.costs.items() if n in bearing}, layers),
        "values": _tables({n: t for n, t in outcome.values.items() if n in valuing}, layers),
        "slack": _tables(outcome.slack, rows),
        "shadow_price": _tables(outcome.shadow_price, rows),
        "accounts": [_account(account, layers) for account in outcome.accounts],
        "notes": list(outcome.notes),
    }
    head = {"structure": outcome.structure, "status": outcome.status.word, "message": outcome.message}
    meant = {name: value for name, value in members.items() if value is not None and value not in ({}, [])}
    # What a structure adds is there even when it is empty: no equilibrium is an answer.
    extra = {name: _plain(value, market) for name, value in outcome.extra.items()}
    return head | meant | {name: value for name, value in extra.items() if value is not None}


def certificate_object(certificate: Certificate) -> dict[str, Any]:
    """`{"passed": ..., "checks": [...]}`; a value that could not be measured is null, and its check has not passed."""
    checks = [
        {
            "name": c.name,
            "value": _number(c.value),
            "tolerance": _number(c.tolerance),
            "passed": c.passed,
            "detail": c.detail,
        }
        for c in certificate.checks
    ]
    return {"passed": certificate.passed, "checks": checks}


def diagnostic_object(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic for editors: its range in lines and characters from 0, the end exclusive, as LSP has them."""
    found: dict[str, Any] = {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
    }
    span = diagnostic.span
    if span is not None:
        found["range"] = {
            "start": {"line": span.line - 1, "character": span.column - 1},
            "end": {"line": span.end_line - 1, "character": span.end_column - 1},
        }
    return found


def labelled(table: Any, sets: tuple[IndexSet, ...]) -> Any:
    """A table as nested maps from labels to floats; a number where there are no sets; entries without a value left out.

    Args:
        table: shape `(len(s) for s in sets)`.
        sets: of its axes, in order.
    """
    array = np.asarray(table, dtype=np.float64)
    if not sets:
        return _number(float(array))
    parts = {label: labelled(array[j], sets[1:]) for j, label in enumerate(sets[0].labels)}
    return {label: part for label, part in parts.items() if part is not None and part != {}}


def _tables(tables: Mapping[str, Any], sets: Mapping[str, tuple[IndexSet, ...]]) -> dict[str, Any]:
    found = {
        name: labelled(table, sets.get(name, ())) if name in sets or not np.ndim(table) else np.asarray(table).tolist()
        for name, table in tables.items()
    }
    return {name: value for name, value in found.items() if value is not None}


def _account(account: Account, layers: Mapping[str, tuple[IndexSet, ...]]) -> dict[str, Any]:
    shape = np.shape(account.amounts)
    ends = (layers.get(account.receiver, ()), layers.get(account.payer, ()))
    sets = next((s for s in ends if tuple(map(len, s)) == shape), ())
    amounts = labelled(account.amounts if tuple(map(len, sets)) == shape else np.sum(account.amounts), sets)
    return {"payer": account.payer, "receiver": account.receiver, "what": account.what, "amount": amounts}


def _number(value: float | None) -> float | None:
    """The number as a float, -0.0 as 0.0; None for what JSON cannot say."""
    return float(value) + 0.0 if value is not None and math.isfinite(value) else None


def _plain(value: Any, market: Market) -> Any:
    """A structure's further quantities: arrays by the labels of the one thing in the market that has their shape."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, market) for key, inner in value.items()}
    if isinstance(value, str | bool | None):
        return value
    if isinstance(value, np.ndarray) and value.ndim:
        shapes = {tuple(map(len, sets)): sets for sets in reversed(list(_axes(market)))}
        return labelled(value, shapes[value.shape]) if value.shape in shapes else [_plain(row, market) for row in value]
    if isinstance(value, list | tuple):
        return [_plain(inner, market) for inner in value]
    return _number(float(value))


def _axes(market: Market) -> Iterable[tuple[IndexSet, ...]]:
    """The axes tables may have, likeliest first: those of choices, of layers, of constraints, of one index set."""
    return chain(
        (c.quantity.sets for c in market.choices),
        (tuple(a.index_set for a in layer.letters) for layer in market.layers),
        (tuple(a.index_set for a in c.letters) for c in market.constraints),
        ((s,) for s in market.sets),
    )
