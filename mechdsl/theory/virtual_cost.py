"""Virtual cost `vc = c + F(c)/f(c)`: what a unit costs a buyer who must leave information rents to all cheaper types.

The formula is shown, in closed form where the distribution has one; the numbers come from the distribution itself,
which is stable where F and f underflow. Where the virtual cost falls it is ironed, and said to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.derivation import Step
from mechdsl.distributions import Distribution, Regularity
from mechdsl.distributions.ironing import Ironed
from mechdsl.errors import InternalError
from mechdsl.evaluate import Array
from mechdsl.formula import Entry, Interval, Letter, Quantity
from mechdsl.market import Market, PrivateType
from mechdsl.theory.notation import own

__all__ = ["laws_of", "reported_types", "virtual_cost_of", "virtual_cost_step", "virtual_costs", "weight_kinks"]

_MYERSON = "Myerson (1981), Optimal auction design, for a seller; Ai, Simchi-Levi & Xu (2025), Algorithm 1 and C.3.1"
_SHOWN = 12  # distributions written out; a market may have thousands


HIGHEST = 1e150
"""What stands for an infinite virtual cost: outputs reach their limit long before, and its square is a number."""


def virtual_cost_of(private: PrivateType, market: Market | None = None) -> Quantity:
    """The open quantity that stands for the virtual cost of a type: `vc`, or `vc_NAME` where a market has several."""
    several = market is not None and len(market.types) > 1
    name = f"vc_{private.name}" if several else "vc"
    domain = Interval(min(0.0, *(float(d.lower) for d in private.distributions)), float("inf"), False, True)
    return Quantity(name, private.quantity.sets, "open", domain)


def reported_types(market: Market, report: Mapping[Quantity, Array]) -> dict[Quantity, Array]:
    """The reported types themselves, as weights: type -> array `(..., *shape)`.

    Raises:
        InternalError: a type has no report.
    """
    return {private.quantity: _reported(private, report) for private in market.types}


def virtual_costs(market: Market, report: Mapping[Quantity, Array]) -> dict[Quantity, Array]:
    """`c + F(c)/f(c)` of every type at a report, ironed where that falls; a known type's is the type.

    Args:
        market: whose types and distributions are used.
        report: type -> array `(..., *shape)`; leading axes are draws.

    Returns:
        open quantity (`virtual_cost_of`) -> array of the report's shape; NaN outside the support.

    Source: Myerson (1981), Optimal auction design, sections 5 and 6, for a seller; Ai, Simchi-Levi & Xu (2025),
    Algorithm 1.
    """
    return {
        vc: _weights(rules, _reported(private, report))
        for private, (vc, rules) in zip(market.types, _rules(market), strict=True)
    }


def virtual_cost_step(market: Market) -> Step:
    """`vc = c + F(c)/f(c)`, with its closed form for each distribution that has one, regularity and ironing."""
    name = "virtual cost"
    if not market.types:
        return Step(name, sp.true, "No type is private: every weight is the cost itself.", "ours", proved=None)
    formulas: list[tuple[str, sp.Basic]] = []
    sentences = [
        "Truthful reports and participation leave each provider the rent $\\int_c^b y$; in expectation, with the order "
        "of integration exchanged, the buyer pays $\\mathrm{E}[(c + F/f)\\, y]$.",
    ]
    holds, proved = True, True
    for private in market.types:
        letters = private.declaration.letters
        cost, type_ = _head(virtual_cost_of(private, market), letters), own(private, letters)
        formulas.append((private.name, _definition(cost, type_, letters)))
        groups = _groups(private)
        for group in groups[:_SHOWN]:
            form = group.distribution.symbolic_virtual_cost(type_)
            formulas.append((f"{group.labels}: {group.distribution}", sp.Eq(cost, form, evaluate=False)))
            sentences.append(group.sentence)
        if len(groups) > _SHOWN:
            sentences.append(f"{len(groups) - _SHOWN} more distributions of {private.name} are not written out.")
        holds = holds and all(g.regularity.regular is not False for g in groups)
        proved = proved and all(g.regularity.proved and g.regularity.regular is not None for g in groups)
    return Step(name, formulas[0][1], " ".join(sentences), _MYERSON, tuple(formulas[1:]), proved, holds)


@dataclass(frozen=True, slots=True)
class _Group:
    """Entries of a type with one and the same distribution."""

    distribution: Distribution
    labels: str
    regularity: Regularity

    @property
    def sentence(self) -> str:
        """What is known of whether the virtual cost rises."""
        verdict, head = self.regularity, f"{self.labels} ({self.distribution})"
        by = f" ({verdict.source})" if verdict.source else ""
        if verdict.regular is None:
            return f"{head}: whether the virtual cost rises is undecided; {verdict.reason}{by}."
        if verdict.regular:
            known = "by theorem" if verdict.proved else "checked"
            return f"{head}: the virtual cost rises, {known}: {verdict.reason}{by}."
        return f"{head}: the virtual cost falls somewhere and is ironed there: {verdict.reason}."


def laws_of(private: PrivateType) -> tuple[tuple[str, Distribution], ...]:
    """The distinct distributions of a type, each with the labels of the entries that have it."""
    members: dict[Distribution, list[int]] = {}
    for position, distribution in enumerate(private.distributions):
        members.setdefault(distribution, []).append(position)
    everyone = len(members) == 1
    return tuple((_labels(private, places, everyone), distribution) for distribution, places in members.items())


def _groups(private: PrivateType) -> list[_Group]:
    return [_Group(law, labels, law.regularity()) for labels, law in laws_of(private)]


def _labels(private: PrivateType, places: Sequence[int], everyone: bool) -> str:
    if not private.quantity.sets:
        return private.name
    if everyone:
        return f"all {' and '.join(s.name for s in private.quantity.sets)}"
    names = []
    for place in places[:4]:
        position = np.unravel_index(place, private.quantity.shape)
        names.append(" ".join(s.labels[int(p)] for s, p in zip(private.quantity.sets, position, strict=True)))
    return ", ".join(names) + (f" and {len(places) - 4} more" if len(places) > 4 else "")


def _definition(cost: sp.Expr, type_: sp.Expr, letters: Sequence[Letter]) -> sp.Basic:
    under = "_" + "".join(str(a) for a in letters) if letters else ""
    distribution, density = sp.Function(f"F{under}"), sp.Function(f"f{under}")
    return sp.Eq(cost, type_ + distribution(type_) / density(type_), evaluate=False)


def _head(quantity: Quantity, letters: Sequence[Letter]) -> sp.Expr:
    return Entry(quantity, *letters) if letters else quantity


def _reported(private: PrivateType, report: Mapping[Quantity, Array]) -> Array:
    if private.quantity not in report:
        raise InternalError(f"no report of '{private.name}'")
    return np.asarray(report[private.quantity], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Shared:
    """The entries of a type that share a law, with the rule type -> weight of that law."""

    places: npt.NDArray[np.intp]
    rule: Callable[[Array], Array]
    single: Callable[[float], float]


@lru_cache(maxsize=8)
def _rules(market: Market) -> tuple[tuple[Quantity, tuple[_Shared, ...]], ...]:
    """For each type of a market its virtual cost's name and its rules."""
    found = []
    for private in market.types:
        places: dict[Distribution, list[int]] = {}
        for place, law in enumerate(private.distributions):
            places.setdefault(law, []).append(place)
        shared = tuple(_Shared(np.array(at), _rule(law), _remembering(_rule(law))) for law, at in places.items())
        found.append((virtual_cost_of(private, market), shared))
    return tuple(found)


def _remembering(rule: Callable[[Array], Array]) -> Callable[[float], float]:
    """The rule of one type, remembered: where one provider's report moves, all others are asked again and again."""

    @lru_cache(maxsize=256)
    def single(c: float) -> float:
        return float(rule(np.array([c]))[0])

    return single


def _weights(rules: Sequence[_Shared], reported: Array) -> Array:
    """Weights by label; an infinite virtual cost (a density that vanishes at the top) stands as `HIGHEST`."""
    count = sum(len(shared.places) for shared in rules)
    flat = reported.reshape((-1, count))
    weights = np.empty_like(flat)
    for shared in rules:
        if flat.shape[0] * len(shared.places) == 1:
            (place,) = shared.places
            weights[0, place] = shared.single(float(flat[0, place]))
        else:
            weights[:, shared.places] = shared.rule(flat[:, shared.places])
    return np.minimum(weights, HIGHEST).reshape(reported.shape)


def weight_kinks(law: Distribution) -> tuple[float, ...]:
    """Where the law's virtual cost is not smooth: where the law is not, and where ironing begins and ends."""
    rule = _rule(law)
    return tuple(sorted({*law.kinks, *(rule.kinks if isinstance(rule, Ironed) else ())}))


@lru_cache(maxsize=4096)  # ironing is looked for once, not at each of thousands of reports
def _rule(distribution: Distribution) -> Callable[[Array], Array]:
    """Type -> weight: the type itself where it is known, else the virtual cost, ironed where it falls."""
    return (lambda types: types) if distribution.is_point else distribution.ironed()
