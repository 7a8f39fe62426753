"""What a screening mechanism promises each provider, checked by asking it: truth pays, taking part pays, payments are
right.

The largest gain from misreporting is searched for over the whole support: a grid of misreports, then a bounded line
search around the best. The integral in the payments is computed again by another rule. Where there are many providers
the effort for each shrinks, and the check says how many were searched and how finely.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from mechdsl.accounting import stated_values
from mechdsl.evaluate import evaluate
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Check, Outcome
from mechdsl.structure import Report
from mechdsl.theory.payments import (
    Affine,
    envelope_payment,
    fixed_part,
    moved,
    outputs,
    provider_law,
    type_of,
)
from mechdsl.theory.private_cost import PrivateCost, providers

__all__ = ["money_scale", "participation_check", "screening_checks"]

GAIN_TOLERANCE = 1e-7
SLACK_TOLERANCE = 1e-8
PAYMENT_TOLERANCE = 1e-7
_SOLVES = 600  # aimed at for all misreports together, and for all second quadratures
_IN_DOUBT = 300  # halvings of a quadrature that disagrees, before the payment is called wrong
_REFINED = 8  # misreports a provider from which on the best is refined
_TRIED = 24  # misreports a provider that have been solved for already
_OWN_ERROR = 10.0  # Gauss-Kronrod's error estimates are meant for smooth functions; this one may have kinks

Place: TypeAlias = tuple[PrivateCost, tuple[int, ...]]


def screening_checks(mechanism: Mechanism, report: Report, outcome: Outcome, affine: Affine) -> Iterable[Check]:
    """Incentive compatibility, participation and the payment identity of a screening mechanism at a report.

    All amounts are relative to the money that moves: 1 + the sum of payments.
    """
    scale = money_scale(outcome)
    yield participation_check(mechanism, outcome)
    places = [(part, place) for part in providers(mechanism.market) for place in np.ndindex(*part.layer.shape)]
    places = [(part, place) for part, place in places if not provider_law(part, place).is_point]
    if not places:
        return
    yield _misreports(mechanism, report, outcome, affine, places, scale)
    yield from _payments(mechanism, report, outcome, places, scale)


def money_scale(outcome: Outcome) -> float:
    """The money that moves, and 1: what misreporting gains and errors in payments are relative to."""
    return 1.0 + sum(float(np.sum(np.abs(p))) for p in outcome.payments.values())


def participation_check(mechanism: Mechanism, outcome: Outcome) -> Check:
    """`max(0, -min(utility - outside option))` over providers."""
    scale, worst, who = money_scale(outcome), np.inf, ""
    for part in providers(mechanism.market):
        outside = evaluate(part.layer.outside, mechanism.market.data, part.layer.letters)
        utility = np.asarray(outcome.utilities[part.layer.name]) - outside
        place = tuple(int(j) for j in np.unravel_index(int(np.argmin(utility)), utility.shape))
        if utility[place] < worst:
            worst, who = float(utility[place]), provider_name(part, place)
    return Check(
        "participation",
        max(0.0, -worst) / scale,
        SLACK_TOLERANCE,
        f"Smallest utility above the outside option {worst:.6g}, of {who}." if who else "",
    )


def _misreports(
    mechanism: Mechanism, report: Report, outcome: Outcome, affine: Affine, places: Sequence[Place], scale: float
) -> Check:
    count = int(np.clip(_SOLVES // (2 * len(places)), 3, 24))
    best, who, at, bound, fewest = -np.inf, "", np.nan, 0.0, np.inf
    for part, place in places:
        gain, misreport, error, tried = largest_gain(mechanism, report, outcome, affine, part, place, count)
        if gain > best:
            best, who, at, bound = gain, provider_name(part, place), misreport, error
        fewest = min(fewest, tried)
    searched = f"Searched {fewest} misreports over the support of each of {len(places)} providers, then around the best"
    return Check(
        "largest gain from misreporting",
        max(0.0, best) / scale,
        GAIN_TOLERANCE + bound / scale,
        f"{searched}; best for {who}, reporting {at:.6g}: {best:.2g}.",
    )


def largest_gain(
    mechanism: Mechanism, report: Report, outcome: Outcome, affine: Affine, part: PrivateCost, place: tuple[int, ...],
    count: int,
) -> tuple[float, float, float, int]:  # fmt: skip
    """The largest gain of one provider from any misreport, that misreport, its payment's error bound, and how many were
    tried: about `count`, and wherever else the payments have been solved for.

    `gain(r) = p(r, c_-) + value(r) - cost(r; c) - U(c)`: the payment by the mechanism's rule at the lie, value and cost
    as stated, at the allocation of the lie.
    """
    from scipy.optimize import minimize_scalar

    law, layer = provider_law(part, place), part.layer
    truth = float(outcome.utilities[layer.name][place])
    own = type_of(part)
    c = float(np.asarray(report[own.quantity])[place])
    errors: dict[float, float] = {}

    def gain(misreport: float) -> float:
        lie = moved(report, own, place, misreport)
        solution = mechanism.solved(lie, start=mechanism.solve(report))
        payment, errors[misreport] = envelope_payment(mechanism, lie, part, place, affine)
        values = stated_values(mechanism.market, report, solution.values)
        return payment + float(evaluate(layer.value - layer.cost, values, layer.letters)[place]) - truth

    low, high = (outputs(mechanism, report, part, place).answered(end) for end in (law.lower, law.upper))
    gains = {r: gain(r) for r in (low, high) if r != c}
    solved = sorted(set(outputs(mechanism, report, part, place).found) - {c})
    solved = solved[:: 1 + len(solved) // _TRIED]
    evenly = candidates(low, high, c, count) if count >= _REFINED or len(solved) < count else []
    gains |= {r: gain(r) for r in (*evenly, *solved) if r not in gains}
    misreports = sorted(gains)
    j = int(np.argmax([gains[r] for r in misreports]))
    at = misreports[j]
    best = gains[at]
    if count >= _REFINED:
        ends = (misreports[max(0, j - 1)], misreports[min(len(misreports) - 1, j + 1)])
        found = minimize_scalar(lambda r: -gain(float(r)), bounds=ends, method="bounded", options={"maxiter": 8})
        best, at = max((best, at), (-float(found.fun), float(found.x)))
    return best, at, errors[at], len(errors)


def candidates(lower: float, upper: float, truth: float, count: int) -> list[float]:
    """Misreports over the support: evenly spread, both ends, and some close to the truth on either side."""
    width = upper - lower
    near = [truth + sign * step * width for step in (1e-3, 3e-2) for sign in (-1, 1)] if count >= _REFINED else []
    spread = np.linspace(lower, upper, max(2, count - len(near)))
    return sorted({float(r) for r in (*spread, *near) if lower <= r <= upper and r != truth})


def _payments(
    mechanism: Mechanism, report: Report, outcome: Outcome, places: Sequence[Place], scale: float
) -> Iterator[Check]:
    """Payments against a second quadrature of the rule: adaptive Gauss-Kronrod, no knowledge of kinks or of V."""
    count = min(len(places), max(3, _SOLVES // max(50, len(places))))
    chosen = [places[j] for j in np.linspace(0, len(places) - 1, count).astype(int)]
    halvings = int(np.clip(48 // len(places), 6, 20))
    worst, bound, who = -np.inf, 0.0, ""
    for part, place in chosen:
        allowed, paid = PAYMENT_TOLERANCE * scale, float(outcome.payments[part.layer.name][place])
        again, error = _second_payment(mechanism, report, part, place, allowed / 10, halvings)
        if abs(again - paid) > allowed + error:  # an estimate of the error that a kink has misled
            again, error = _second_payment(mechanism, report, part, place, allowed / 10_000, _IN_DOUBT)
        difference = abs(again - paid)
        if difference - error > worst - bound:
            worst, bound, who = difference, error, provider_name(part, place)
    detail = f"Second quadrature of {len(chosen)} payments, its own error at most {bound:.1e}; worst for {who}."
    yield Check("payments, integrated again", worst / scale, PAYMENT_TOLERANCE + bound / scale, detail)


def _second_payment(
    mechanism: Mechanism,
    report: Report,
    part: PrivateCost,
    place: tuple[int, ...],
    tolerance: float,
    halvings: int,
) -> tuple[float, float]:
    """`known - value + outside + c y + int_c^b y`, the integral by scipy's `quad`, with its error bound."""
    from scipy.integrate import quad

    law, layer = provider_law(part, place), part.layer
    c = float(np.asarray(report[type_of(part).quantity])[place])
    solution = mechanism.solve(report)
    output = outputs(mechanism, report, part, place)
    points = [k for k in law.kinks if c < k < law.upper]
    stated = {"points": points} if points else {}
    limit = halvings + 2 * len(points)
    integral, error = quad(
        output, c, float(law.upper), epsabs=tolerance, epsrel=0, limit=limit, full_output=1, **stated
    )[:2]
    values = {
        **mechanism.market.data,
        **{x.quantity: solution.values[str(x.quantity.name)] for x in mechanism.market.choices},
    }
    fixed = float(evaluate(fixed_part(part), values, layer.letters)[place])
    return fixed + c * output(c) + integral, _OWN_ERROR * error


def provider_name(part: PrivateCost, place: tuple[int, ...]) -> str:
    """`creator[video]`."""
    labels = [a.index_set.labels[j] for a, j in zip(part.layer.letters, place, strict=True)]
    return f"{part.layer.name}[{', '.join(labels)}]" if labels else part.layer.name
