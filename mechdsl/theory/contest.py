"""Contests: from who is paid by share to payoffs, own slopes that pass through the aggregate, and what is to be solved.

A contract `contest(prize, rival | option, score)` divides a prize by scores. Payoffs are written from it as stated; a
player's own slope counts its effect on prize, rivals and everyone's total. Source: Yao, Li, Nekipelov, Wang & Xu
(2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sympy as sp

from mechdsl.errors import InternalError
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import (
    Entry,
    IndexProduct,
    IndexSum,
    Interval,
    Letter,
    Quantity,
    derivative,
    entries,
    letters_of,
    quantities,
    rename_letters,
)
from mechdsl.market import Choice, Contract, Layer, Market
from mechdsl.program import Aggregate, Constraint, Equilibrium, Optimum, Variable

__all__ = [
    "CONTEST_WORDS",
    "Contest",
    "Prize",
    "contest",
    "contest_game",
    "contest_misfit",
    "contest_parameters",
    "own_slope",
    "smooth_payoff",
]

CONTEST_WORDS = {"contest": ("prize", "rival", "option", "score")}
"""The arguments of a `contest` contract."""

_POSITIVE = Interval(0.0, float("inf"), False, True)


@dataclass(frozen=True, slots=True)
class Prize:
    """One prize and how it is shared: `share[i] = score[i] / (sum(j: score[j]) + rival + adopters * option)`.

    Args:
        letters: of the contract (one prize for each), the player's not among them.
        score: in the player's letter and `letters`; `total` its sum over players.
    """

    letters: tuple[Letter, ...]
    prize: sp.Expr
    rival: sp.Expr
    option: sp.Expr | None
    score: sp.Expr
    total: sp.Expr


@dataclass(frozen=True, slots=True)
class Contest:
    """The players, what they divide and what it costs them.

    Args:
        player: a letter that no sum binds, so formulas read `x[i] / sum(j: x[j])`.
        layer: the players'; its cost and value are in `player` here.
    """

    player: Letter
    layer: Layer
    cost: sp.Expr
    value: sp.Expr
    choices: tuple[Choice, ...]
    prizes: tuple[Prize, ...]
    constraints: tuple[Constraint, ...]
    adopters: Quantity

    @property
    def has_option(self) -> bool:
        return any(p.option is not None for p in self.prizes)


def contest_misfit(market: Market) -> str | None:
    """Why the market is not a contest that can be handled, in its own words; None where it is."""
    found = _read(market)
    if isinstance(found, str):
        return found
    if found.has_option and _aggregate(found, market) is None:
        return (
            "with an option, the score must be each player's one choice, costs must not depend on others, and prize "
            "and option must depend on the choices through their sum alone"
        )
    try:
        _deviation(_payoff(found), found)
    except _Entangled as reason:
        return str(reason)
    return None


def contest(market: Market) -> Contest:
    """The contest that a market states.

    Raises:
        InternalError: it states none; `contest_misfit` says so before.
    """
    found = _read(market)
    if isinstance(found, str):
        raise InternalError(found)
    return found


def _read(market: Market) -> Contest | str:
    providers = {c.provider for c in market.contracts}
    if len(providers) != 1:
        return "it is for one layer of players"
    layer = market.layer(market.contracts[0].provider)
    if len(layer.letters) != 1:
        return f"the players must be a layer with one index, as creator[i]; '{layer.name}' is not"
    stated, choices = layer.letters[0], market.choices_of(layer.name)
    misfit = _choice_misfit(market, layer, choices)
    if misfit is not None:
        return misfit
    named = {a.name for d in market.declarations.values() for a in d.letters} | {stated.name}
    other = _spare(stated, named)
    prizes = []
    for contract in market.contracts:
        made = _prize(contract, choices, stated, other)
        if isinstance(made, str):
            return made
        prizes.append(made)
    constraints = []
    for constraint in market.constraints:
        if not constraint.letters or constraint.letters[0].index_set.name != stated.index_set.name:
            return (
                f"constraint '{constraint.name}' must be each player's own, as constraint {constraint.name}[{stated}]"
            )
        constraints.append(_own(constraint, stated, other))
    cost, value = (_rebound(e, stated, other) for e in (layer.cost, layer.value))
    adopters = Quantity("adopters", (), "open", _POSITIVE)
    return Contest(stated, layer, cost, value, choices, tuple(prizes), tuple(constraints), adopters)


def _choice_misfit(market: Market, layer: Layer, choices: tuple[Choice, ...]) -> str | None:
    if not choices:
        return f"layer '{layer.name}' chooses nothing"
    if len(choices) != len(market.choices):
        return f"only '{layer.name}' may choose in a contest"
    if market.types:
        return "types in a contest are known: give their values as a param"
    stated = layer.letters[0]
    for choice in choices:
        if not choice.declaration.letters or choice.declaration.letters[0].index_set.name != stated.index_set.name:
            return f"'{choice.quantity.name}' must have the players' index first, as {choice.quantity.name}[{stated}]"
        if choice.lower is -sp.oo:
            return f"'{choice.quantity.name}' needs a lower bound, as `choose {choice.quantity.name} >= 0`"
    return None


def _prize(contract: Contract, choices: tuple[Choice, ...], player: Letter, other: Letter) -> Prize | str:
    arguments = contract.arguments
    if "prize" not in arguments:
        return "a contest needs a prize, as contest(prize = mu)"
    if any(isinstance(a, str) for a in arguments.values()):
        return "the arguments of a contest are formulas"
    if "rival" in arguments and "option" in arguments:
        return "GenAI is either a rival or an option"
    score: sp.Expr
    if "score" in arguments:
        score = _rebound(arguments["score"], player, other)
    else:
        fitting = [c for c in choices if len(c.declaration.letters) == 1 + len(contract.letters)]
        if len(fitting) != 1 or len(choices) != 1:
            return "each player has several choices: say which is the score, as contest(score = x[i], ...)"
        score = Entry(fitting[0].quantity, player, *contract.letters)
    prize, rival = (_rebound(arguments.get(n, sp.S.Zero), player, other) for n in ("prize", "rival"))
    option = _rebound(arguments["option"], player, other) if "option" in arguments else None
    for name, formula in (("prize", prize), ("rival", rival), ("option", option or sp.S.Zero)):
        if player in letters_of(formula):
            return f"{name} must be the same for every player"
    if option is not None and contract.letters:
        return "an option is for one contest, not for one of several topics"
    total = IndexSum(rename_letters(score, {player: other}), (other,))
    return Prize(contract.letters, prize, rival, option, score, total)


def _own(constraint: Constraint, player: Letter, other: Letter) -> Constraint:
    letters = (player, *constraint.letters[1:])
    renamed = {constraint.letters[0]: player}
    left, right, where = (
        rename_letters(_rebound(e, player, other), renamed)
        for e in (constraint.left, constraint.right, constraint.where)
    )
    return Constraint(constraint.name, letters, left, constraint.relation, right, where, constraint.doc)


def _spare(letter: Letter, taken: set[str]) -> Letter:
    """Another letter for the players, for sums over all of them."""
    names = (n for n in (*"jlmnhpqr", *(f"{letter.name}{k}" for k in range(1, 100))) if n not in taken)
    return Letter(next(names), letter.index_set)


def _rebound(expression: sp.Basic, letter: Letter, other: Letter) -> sp.Expr:
    """The same formula with `other` in the place of `letter` where a sum or product binds it."""
    if isinstance(expression, IndexSum | IndexProduct):
        body, where = (_rebound(e, letter, other) for e in (expression.body, expression.where))
        bound = expression.letters
        if letter in bound:
            body, where = (rename_letters(e, {letter: other}) for e in (body, where))
            bound = tuple(other if a == letter else a for a in bound)
        return type(expression)(body, bound, where)
    if not expression.args or isinstance(expression, Entry):
        return expression
    return expression.func(*(_rebound(a, letter, other) for a in expression.args))


# ------------------------------------------------------------------------------------------------------------- payoffs


def _attention(prize: Prize, adopters: Quantity) -> sp.Expr:
    pool = prize.total + prize.rival + (adopters * prize.option if prize.option is not None else 0)
    return prize.prize * prize.score / pool


def _summed(body: sp.Expr, letters: tuple[Letter, ...]) -> sp.Expr:
    return IndexSum(body, letters) if letters else body


def smooth_payoff(game: Contest) -> sp.Expr:
    """`sum of prize * share + value - cost`, as it is differentiated (where scores are positive)."""
    shares = (_summed(_attention(p, game.adopters), p.letters) for p in game.prizes)
    return sp.Add(*shares) + game.value - game.cost


def _payoff(game: Contest) -> sp.Expr:
    """The same with nothing for a score of 0, also where every score is."""
    shares = (
        _summed(sp.Piecewise((0, sp.Eq(p.score, 0)), (_attention(p, game.adopters), True)), p.letters)
        for p in game.prizes
    )
    return sp.Add(*shares) + game.value - game.cost


def _option_payoff(game: Contest) -> sp.Expr | None:
    """`prize * option / (sum of scores + adopters * option)`, the player's own choices being at their least."""
    prize = game.prizes[0]
    if prize.option is None:
        return None
    pool = prize.total + game.adopters * prize.option
    taken = sp.Piecewise((0, sp.Eq(prize.option, 0)), (prize.prize * prize.option / pool, True))
    return taken + game.value - game.cost


class _Entangled(Exception):  # noqa: N818 - a reason, caught here
    """Why a payoff cannot be written as own choice and totals."""


def _deviation(
    expression: sp.Expr, game: Contest
) -> tuple[sp.Expr, tuple[tuple[Quantity, sp.Expr, tuple[Letter, ...]], ...]]:
    """The formula with own entries replaced by `own_x` and every sum over players by `total - own part + new part`.

    Raises:
        _Entangled: another player's choice occurs outside a sum over all of them.
    """
    mine = {c.quantity: _mine(c.quantity) for c in game.choices}
    totals: list[tuple[Quantity, sp.Expr, tuple[Letter, ...]]] = []

    def replaced(node: sp.Basic) -> sp.Expr:
        if isinstance(node, Entry):
            if node.quantity not in mine:
                return node
            if node.indices[0] != game.player:
                raise _Entangled(f"payoffs may depend on other players through sums alone, not on {node}")
            return Entry(mine[node.quantity], *node.indices)
        if isinstance(node, IndexSum | IndexProduct):
            over = [a for a in node.letters if a.index_set.name == game.player.index_set.name]
            if not over or not set(mine) & quantities(node):
                body, where = replaced(node.body), node.where
                return type(node)(body, node.letters, where)
            if isinstance(node, IndexProduct) or len(over) > 1:
                raise _Entangled(f"payoffs may depend on other players through simple sums alone, not through {node}")
            return _split(node, over[0])
        if not node.args:
            return node
        return node.func(*(replaced(a) for a in node.args))

    def _split(node: IndexSum, over: Letter) -> sp.Expr:
        rest = tuple(a for a in node.letters if a != over)
        free = tuple(sorted(letters_of(node), key=str))
        name = Quantity(f"total {len(totals) + 1}", tuple(a.index_set for a in free), "open")
        known = next((q for q, formula, letters in totals if formula == node and letters == free), None)
        if known is None:
            totals.append((name, node, free))
            known = name
        body, where = (rename_letters(e, {over: game.player}) for e in (node.body, node.where))
        change = replaced(body) - body
        part = IndexSum(change, rest, where) if rest else change
        if not rest and where != sp.true:
            part = sp.Piecewise((change, where), (0, True))
        return (Entry(known, *free) if free else known) + part

    return replaced(expression), tuple(totals)


def _mine(quantity: Quantity) -> Quantity:
    return Quantity(f"own {quantity.name}", quantity.sets, "decision", quantity.domain)


# ------------------------------------------------------------------------------------------------ what is to be solved


def contest_game(market: Market) -> Equilibrium:
    """The game: payoffs, deviations, the aggregate where there is one, and the complementarity programme."""
    game = contest(market)
    payoff, option = _payoff(game), _option_payoff(game)
    both, totals = _deviation(sp.Tuple(payoff, option if option is not None else sp.S.Zero), game)
    return Equilibrium(
        player=game.player,
        payoff=payoff,
        option=option,
        adopters=game.adopters,
        deviation=both[0],
        option_deviation=both[1] if option is not None else None,
        own=tuple(_mine(c.quantity) for c in game.choices),
        totals=totals,
        variables=tuple(_variable(c) for c in game.choices),
        constraints=game.constraints,
        data=market.data,
        aggregate=_aggregate(game, market),
        conditions=complementarity(game, market),
        name="contest",
    )


def _variable(choice: Choice) -> Variable:
    return Variable(choice.quantity, choice.declaration.letters, choice.lower, choice.upper, choice.declaration.doc)


def contest_parameters(market: Market) -> dict[Quantity, Array]:
    """Nobody takes the option: the open parameter of the conditions as they are exported."""
    game = contest(market)
    return {game.adopters: np.zeros(())} if game.has_option else {}


def own_slope(game: Contest, choice: Choice) -> tuple[sp.Expr, tuple[Letter, ...]]:
    """`d payoff[i] / d x[i, ...]`, through every sum that `x[i, ...]` is part of; and the letters it is in."""
    inner = tuple(Letter(f"{a.name}_own", a.index_set) for a in choice.declaration.letters[1:])
    own = Letter(f"{game.player.name}_own", game.player.index_set)
    payoff = rename_letters(smooth_payoff(game), {game.player: own})
    slope = derivative(payoff, Entry(choice.quantity, own, *inner))
    letters = (game.player, *choice.declaration.letters[1:])
    return rename_letters(slope, dict(zip((own, *inner), letters, strict=True))), letters


def complementarity(game: Contest, market: Market) -> Optimum:
    """`min sum of x (w) + multiplier * slack` over points where every pull `w = -slope + multipliers >= 0`.

    The first-order conditions of all players' problems together; the minimum is 0 exactly where they all hold.
    Source: Luo, Pang & Ralph (1996), Mathematical Programs with Equilibrium Constraints, section 1.3.
    """
    variables = [_variable(c) for c in game.choices]
    limits = [*game.constraints, *(b for c in game.choices if (b := _upper(c, game)) is not None)]
    prices: list[sp.Expr] = []
    terms: list[sp.Expr] = []
    constraints: list[Constraint] = []
    for limit in limits:
        quantity = Quantity(f"price of {limit.name}", tuple(a.index_set for a in limit.letters), "decision", _POSITIVE)
        variables.append(Variable(quantity, limit.letters, doc=f"price of {limit.name}"))
        slack = limit.right - limit.left if limit.relation == "<=" else limit.left - limit.right
        prices.append(Entry(quantity, *limit.letters) * slack)
        terms.append(IndexSum(Entry(quantity, *limit.letters) * slack, limit.letters, limit.where))
        constraints.append(limit)
    for choice in game.choices:
        slope, letters = own_slope(game, choice)
        pull = -slope
        for price in prices:
            pull -= _own_part(price, choice, game)
        constraints.append(Constraint(f"pull on {choice.quantity.name}", letters, pull, ">=", sp.S.Zero))
        distance = Entry(choice.quantity, *letters) - choice.lower
        terms.append(IndexSum(distance * pull, letters))
    return Optimum(
        "minimize",
        sp.Add(*terms),
        tuple(variables),
        tuple(constraints),
        market.data,
        (game.adopters,) if game.has_option else (),
        convex=False,
        name="complementarity programme",
    )


def _own_part(price: sp.Expr, choice: Choice, game: Contest) -> sp.Expr:
    """`sum of price * slack` of a player's own limits, differentiated in its own choice."""
    inner = tuple(Letter(f"{a.name}_own", a.index_set) for a in choice.declaration.letters[1:])
    bound = tuple(a for a in sorted(letters_of(price), key=str) if a != game.player)
    whole = _summed(price, bound)
    slope = derivative(whole, Entry(choice.quantity, game.player, *inner))
    # What is left of `delta(i, i)` is 1: the limit is the player's own.
    return rename_letters(slope, dict(zip(inner, choice.declaration.letters[1:], strict=True)))


def _upper(choice: Choice, game: Contest) -> Constraint | None:
    if choice.upper is sp.oo:
        return None
    letters = (game.player, *choice.declaration.letters[1:])
    entry = Entry(choice.quantity, *letters)
    renamed = {choice.declaration.letters[0]: game.player}
    return Constraint(f"limit of {choice.quantity.name}", letters, entry, "<=", rename_letters(choice.upper, renamed))


def _aggregate(game: Contest, market: Market) -> Aggregate | None:
    """The game through one sum, where the score is the one choice, bounded by 0 alone, and costs are everyone's own."""
    if len(game.prizes) != 1 or len(game.choices) != 1 or game.constraints:
        return None
    choice, prize = game.choices[0], game.prizes[0]
    entry = Entry(choice.quantity, game.player)
    if prize.letters or prize.score != entry or choice.lower != 0 or choice.upper is not sp.oo:
        return None
    total = Quantity("S", (), "open", _POSITIVE)
    pool = prize.total + prize.rival + (game.adopters * prize.option if prize.option is not None else 0)
    gain = (prize.prize / pool).xreplace({prize.total: total})
    own = game.cost - game.value
    apart = not any(choice.quantity in quantities(a) for a in own.atoms(IndexSum, IndexProduct))
    if choice.quantity in quantities(gain) or not apart or entries(own, "decision") - {entry}:
        return None
    fresh = Letter(f"{game.player.name}_own", game.player.index_set)
    marginal = derivative(rename_letters(own, {game.player: fresh}), Entry(choice.quantity, fresh))
    slope = sp.diff(gain, total)
    return Aggregate(
        total,
        gain,
        slope,
        sp.diff(slope, total),
        rename_letters(marginal, {fresh: game.player}),
        _concave_powers(1 / gain, total, market.data),
    )


def _concave_powers(reciprocal: sp.Expr, total: Quantity, data: Mapping[Quantity, Array]) -> bool | None:
    """Whether `1 / gain` is a sum of `a S^e` with a >= 0 and e in [0, 1]; None where it is no such sum.

    Then `g' <= 0` and `2 g' + S g'' <= 0`: payoffs are concave in the own choice, and every player's share falls as S
    grows. Source: ours; with `h = 1/g`, weights `v_e = a S^e / h` and `m = sum v_e e`,
    `S (2 g' + S g'') / g = -m + 2 m^2 - sum v_e e^2 <= -m (1 - m)`. Numbers: tests/test_contest.py.
    """
    positive = sp.Dummy(positive=True)
    terms = sp.Add.make_args(sp.powsimp(sp.expand(sp.powsimp(reciprocal.xreplace({total: positive})))))
    for term in terms:
        coefficient, power = term.as_independent(positive, as_Add=False)
        base, exponent = power.as_base_exp() if power != 1 else (positive, sp.S.Zero)
        if base != positive or exponent.has(positive):
            return None
        known = {q for e in (coefficient, exponent) for q in quantities(e)}
        if not known <= set(data):
            coefficient, known = coefficient.subs(dict.fromkeys(known - set(data), 1)), known & set(data)
        values = {q: data[q] for q in known}
        e, a = float(evaluate(exponent, values)), float(evaluate(coefficient, values))
        if not (a >= 0 and -1e-12 <= e <= 1 + 1e-12):
            return False
    return True


def attention(game: Contest, values: Mapping[Quantity, Array], adopters: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """What the players get of all prizes, and what those who take the option get; both (players,).

    Args:
        game: as read from the market.
        values: of every quantity in the formulas, decisions included.
        adopters: (players,) who takes the option.
    """
    count = float(np.sum(adopters))
    known = {**values, game.adopters: np.asarray(count)}
    shares = sp.Add(
        *(
            _summed(sp.Piecewise((0, sp.Eq(p.score, 0)), (_attention(p, game.adopters), True)), p.letters)
            for p in game.prizes
        )
    )
    human = evaluate(shares, known, (game.player,))
    prize = game.prizes[0]
    if prize.option is None:
        return human, np.zeros_like(human)
    pool = prize.total + game.adopters * prize.option
    taken = sp.Piecewise((0, sp.Eq(prize.option, 0)), (prize.prize * prize.option / pool, True))
    return np.where(adopters, 0.0, human), np.where(adopters, evaluate(taken, known), 0.0)
