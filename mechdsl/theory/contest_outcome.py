"""A contest's way home: equilibria in the market's words, and its certificate, each best reply solved afresh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mechdsl.accounting import constraint_slack, settle, stated_values
from mechdsl.evaluate import Array, evaluate
from mechdsl.market import Market
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Account, Check, Outcome
from mechdsl.program import Equilibria, Profile, Status
from mechdsl.structure import Report
from mechdsl.theory.contest import Contest, attention, contest

__all__ = ["contest_checks", "contest_outcome", "equilibria"]

REGRET_TOLERANCE = 1e-7
SHOWN = 6  # equilibria told of in the notes; the JSON has all
AFRESH = 24  # players up to which every best reply is solved again, one evaluation of the stated payoffs at a time


def equilibria(mechanism: Mechanism) -> Equilibria:
    """Every equilibrium found; worked out once."""
    found: Equilibria = mechanism.keep("equilibria", mechanism.engine.solve)
    return found


def contest_outcome(mechanism: Mechanism, report: Report) -> Outcome:
    """The equilibria; where there is one, its allocation and books as the regime's own."""
    market, found = mechanism.market, equilibria(mechanism)
    extra: dict[str, Any] = {"equilibria": [_plain(market, p) for p in found.profiles]}
    if found.nearest is not None:
        extra["smallest_regret"] = found.nearest.regret
    if found.status is not Status.OPTIMAL:
        return Outcome(mechanism.structure.name, found.status, found.message, report=_named(report), extra=extra)
    game, first = contest(market), found.profiles[0]
    values = stated_values(market, report, first.values)
    human, option = attention(game, values, first.adopters)
    payer = market.contracts[0].payer
    accounts = [Account(payer, game.layer.name, human, "attention")]
    if game.has_option:
        accounts.append(Account(payer, game.layer.name, option, "attention won with the option"))
    books = settle(market, report, first.values, accounts)
    notes = [found.searched] if game.has_option or not found.unique else []
    if len(found.profiles) > 1:
        notes.append(
            "Allocation and books are those of the first equilibrium: the one with the fewest adopters, then the "
            "most created."
        )
        notes += [f"equilibrium {n}: {_line(market, p)}" for n, p in enumerate(found.profiles[1:SHOWN], 2)]
    return Outcome(
        mechanism.structure.name,
        Status.OPTIMAL,
        found.message,
        report=_named(report),
        allocation=first.values,
        payments={game.layer.name: human + option},
        utilities=books.utilities,
        costs=books.costs,
        values=books.values,
        welfare=books.welfare,
        slack=constraint_slack(market, values),
        accounts=tuple(accounts),
        extra=extra,
        notes=tuple(notes),
    )


def _line(market: Market, profile: Profile) -> str:
    """Who creates, how much in all, and the regret: one line."""
    found = _plain(market, profile)
    who = ", ".join(found["humans"][:12]) + (", ..." if len(found["humans"]) > 12 else "")
    return f"{len(found['humans'])} create ({who}), {found['total']:.6g} in all, regret {found['regret']:.1e}"


def _named(report: Report) -> dict[str, Array]:
    return {str(q.name): np.asarray(table) for q, table in report.items()}


def _plain(market: Market, profile: Profile) -> dict[str, Any]:
    """One equilibrium: choices, who chooses (`humans`), utilities, regret."""
    players = contest(market).player.index_set
    humans = [label for label, taken in zip(players.labels, profile.adopters, strict=True) if not taken]
    return {
        **{name: np.asarray(table) for name, table in profile.values.items()},
        "humans": humans,
        "utilities": np.asarray(profile.payoffs),
        "total": float(sum(np.sum(v) for v in profile.values.values())),
        "regret": profile.regret,
    }


def contest_checks(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterable[Check]:
    """Regret of every equilibrium by best replies solved afresh from the stated payoffs, and the prize divided up."""
    found = equilibria(mechanism)
    game = contest(mechanism.market)
    for number, profile in enumerate(found.profiles, 1):
        which = f" of equilibrium {number}" if len(found.profiles) > 1 else ""
        scale = max(float(np.max(np.abs(profile.payoffs), initial=0.0)), 1e-4)
        yield Check(
            f"largest unilateral gain{which}",
            profile.regret / scale,
            REGRET_TOLERANCE,
            "Each player's best reply over its whole range, everyone else's choice as stated; relative to the largest "
            "payoff.",
        )
        if len(game.player.index_set) <= AFRESH and _scalar(game):
            gain, who = _afresh(mechanism, report, profile)
            yield Check(f"largest gain, solved again{which}", gain / scale, REGRET_TOLERANCE, who)
    yield from _divided(mechanism, report, outcome)


def _scalar(game: Contest) -> bool:
    return len(game.choices) == 1 and len(game.choices[0].declaration.letters) == 1


def _afresh(mechanism: Mechanism, report: Report, profile: Profile) -> tuple[float, str]:
    """Every player's best reply once more, by another search, from the prize as shared out and the stated cost."""
    market, game = mechanism.market, contest(mechanism.market)
    name = str(game.choices[0].quantity.name)
    x = np.asarray(profile.values[name])
    worst, who = 0.0, "No player gains by any other choice."

    def utility(i: int, own: float, adopters: npt.NDArray[np.bool_]) -> float:
        moved = np.array(x)
        moved[i] = own
        values = stated_values(market, report, {name: moved})
        human, option = attention(game, values, adopters)
        cost = evaluate(game.layer.cost - game.layer.value, values, game.layer.letters)
        return float(human[i] + option[i] - cost[i])

    for i, label in enumerate(game.player.index_set.labels):
        here = utility(i, float(x[i]), profile.adopters)
        human = np.array(profile.adopters)
        human[i] = False
        options = [_best(lambda own, i=i, human=human: utility(i, own, human), float(x[i]), float(x.max()))]
        if game.has_option and not profile.adopters[i]:
            taken = np.array(profile.adopters)
            taken[i] = True
            options.append(utility(i, 0.0, taken))
        gain = max(options) - here
        if gain > worst:
            worst, who = gain, f"Player {label} gains most."
    return worst, who


def _best(utility: Any, near: float, largest: float) -> float:
    """The largest utility on a coarse grid in logarithms, then by Brent's method around its best points."""
    from scipy.optimize import minimize_scalar

    top = max(largest, 1.0) * 10
    grid = np.concatenate(([0.0], top * 10.0 ** np.linspace(-12, 0, 40), [near]))
    grid.sort()
    value = np.array([utility(float(g)) for g in grid])
    best = float(value.max())
    for at in np.argsort(value)[-2:]:
        a, b = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
        found = minimize_scalar(lambda g: -utility(float(g)), bounds=(a, b), method="bounded", options={"xatol": 1e-10})
        best = max(best, -float(found.fun))
    return best


def _divided(mechanism: Mechanism, report: Report, outcome: Outcome) -> Iterator[Check]:
    """Nobody is paid more than the prize: shares of players and rivals are at most 1."""
    market, game = mechanism.market, contest(mechanism.market)
    values = stated_values(market, report, outcome.allocation)
    prizes = sum(float(np.sum(evaluate(p.prize, values, p.letters))) for p in game.prizes)
    paid = sum(float(np.sum(a.amounts)) for a in outcome.accounts)
    over = max(0.0, paid - prizes) / (1.0 + abs(prizes))
    yield Check("prize not exceeded", over, 1e-9, f"Paid {paid:.6g} of {prizes:.6g}.")
