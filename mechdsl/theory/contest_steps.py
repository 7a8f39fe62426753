"""What `inspect` shows of a contest: payoffs, own slopes through the aggregate, first-order conditions, uniqueness."""

from __future__ import annotations

import sympy as sp

from mechdsl.derivation import Derivation, Step
from mechdsl.formula import Entry, IndexSum
from mechdsl.market import Market
from mechdsl.program import Equilibrium
from mechdsl.theory.contest import Contest, contest, contest_game, own_slope, smooth_payoff

__all__ = ["contest_derivation"]

SOURCE = "Yao, Li, Nekipelov, Wang & Xu (2024)"


def contest_derivation(market: Market, title: str) -> Derivation:
    """Payoff, option, first-order conditions, aggregate, uniqueness, equilibrium."""
    game, posed = contest(market), contest_game(market)
    steps = [_payoff_step(game), *_option_steps(posed), *_first_order_steps(game)]
    if posed.aggregate is not None:
        steps += [_aggregate_step(game, posed), _uniqueness_step(posed)]
    return Derivation(title, (*steps, _equilibrium_step(posed)))


def _payoff_step(game: Contest) -> Step:
    return Step(
        "payoff",
        smooth_payoff(game),
        "A player is paid its share of the prize, its score over all scores and rivals, and bears its cost. A score of "
        "0 earns nothing, also where every score is 0.",
        SOURCE,
        proved=None,
    )


def _option_steps(posed: Equilibrium) -> tuple[Step, ...]:
    if posed.option is None:
        return ()
    because = (
        "Who takes the option scores what it scores instead of choosing; so do the other adopters, who are then the "
        "rivals of those who choose. Payoffs of all players add up to the whole prize less costs."
    )
    source = f"{SOURCE}; the exponent of an adopter's payoff is the option's own, as the accounts require (ours)"
    return (Step("option", posed.option, because, source, proved=None),)


def _first_order_steps(game: Contest) -> list[Step]:
    steps = []
    for choice in game.choices:
        slope, letters = own_slope(game, choice)
        entry = Entry(choice.quantity, *letters)
        steps.append(
            Step(
                f"first-order condition of {choice.quantity.name}",
                sp.Le(slope, 0, evaluate=False),
                f"The player's own slope, counting that {entry} is part of every sum it stands in: 0 where {entry} is "
                "above its bound. Prices of the player's own limits, if any, are taken off.",
                f"{SOURCE}; differentiated symbolically, tested against finite differences",
            )
        )
    return steps


def _aggregate_step(game: Contest, posed: Equilibrium) -> Step:
    assert posed.aggregate is not None
    a = posed.aggregate
    entry = Entry(game.choices[0].quantity, game.player)
    condition = sp.Le(a.gain + entry * sp.Symbol("g′"), a.marginal, evaluate=False)
    whole = sp.Eq(IndexSum(entry, (game.player,)), a.total, evaluate=False)
    return Step(
        "aggregate",
        a.gain,
        "Others matter through the sum S of all choices alone: the payoff is g(S) times the own choice, less cost. "
        "At a given S each condition has one unknown; the answers must add up to S: one equation in one number.",
        f"{SOURCE}; Selten (1970) for games played through an aggregate",
        (("slope of g", sp.powsimp(a.slope, combine="exp")), ("each player", condition), ("all together", whole)),
    )


def _uniqueness_step(posed: Equilibrium) -> Step:
    assert posed.aggregate is not None
    a = posed.aggregate
    slope, bend = sp.Symbol("g′"), sp.Symbol("g′′")
    condition = sp.Le(2 * slope + a.total * bend, 0, evaluate=False)
    words = {
        True: "1/g is a sum of powers of S with exponents between 0 and 1, so both hold: payoffs are concave in "
        "the own choice, first-order conditions suffice, shares fall as S grows, and there is one equilibrium for "
        "given adopters.",
        False: "1/g has a power of S outside [0, 1] here: first-order conditions do not suffice and there may be "
        "several equilibria, or only the one where nobody chooses anything. Every one reported has passed "
        "its deviation test.",
        None: "It is not decided from the form of g here: several equilibria are looked for, each tested.",
    }[a.unique]
    return Step(
        "uniqueness",
        condition,
        f"Where $g' \\le 0$ and $2g' + S g'' \\le 0$ at every S and costs are convex, there is one "
        f"equilibrium. {words}",
        "ours: tests/test_contest.py",
        (("g falls", sp.Le(sp.powsimp(a.slope, combine="exp"), 0, evaluate=False)),),
        proved=a.unique,
        holds=a.unique is not False,
    )


def _equilibrium_step(posed: Equilibrium) -> Step:
    way = (
        "The root of the sum in S gives the candidates"
        if posed.aggregate is not None
        else "A complementarity programme of all players' conditions gives the candidates"
    )
    sets = ", one set of adopters at a time" if posed.option is not None else ""
    return Step(
        "equilibrium",
        posed.conditions.objective,
        f"{way}{sets}; kept is what no player can improve on by any other choice of its own, searched afresh over its "
        "whole range. The formula is the complementarity gap, 0 where all first-order conditions hold.",
        "Nash (1951); Luo, Pang & Ralph (1996), section 1.3",
        proved=False,
    )
