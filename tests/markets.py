"""Markets made by hand, without a text: what the tests of the theory work on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from mechdsl.distributions import FAMILIES, Distribution
from mechdsl.errors import Source
from mechdsl.formula import IndexSet, IndexSum, Interval, Letter, Quantity
from mechdsl.market import Choice, Contract, Declaration, Layer, Market, Objective, PrivateType
from mechdsl.program import Constraint

INF = float("inf")
NONNEGATIVE = Interval(0.0, INF, False, True)
AT_LEAST_ONE = Interval(1.0, INF, False, True)
UNIT = Interval(0.0, 1.0)

DOMAINS = IndexSet("domains", ("video", "text"))
K, I = Letter("k", DOMAINS), Letter("i", DOMAINS)

Cost = Callable[[sp.Expr, sp.Expr], sp.Expr]


def law(name: str, *arguments: Any, on: tuple[Any, Any] | None = None) -> Distribution:
    """`law("normal", 0, 1, on=(0, 10))`."""
    return FAMILIES[name].build(arguments, on)


def param(
    name: str, values: Any, letters: Sequence[Letter] = (), domain: Interval = NONNEGATIVE, doc: str = ""
) -> tuple[Declaration, Any]:
    quantity = Quantity(name, [a.index_set for a in letters], "param", domain)
    return Declaration(quantity, tuple(letters), doc), np.broadcast_to(np.asarray(values, dtype=float), quantity.shape)


def type_of(
    layer: str, letters: Sequence[Letter], laws: Sequence[Distribution], name: str = "c", doc: str = ""
) -> PrivateType:
    lower = min(d.lower for d in laws)
    quantity = Quantity(
        name, [a.index_set for a in letters], "type", NONNEGATIVE if lower >= 0 else Interval(-INF, INF, True, True)
    )
    return PrivateType(Declaration(quantity, tuple(letters), doc), layer, tuple(laws))


def choice(layer: str, letters: Sequence[Letter], name: str = "x", upper: sp.Expr = sp.oo, doc: str = "") -> Choice:
    quantity = Quantity(name, [a.index_set for a in letters], "decision", NONNEGATIVE)
    return Choice(Declaration(quantity, tuple(letters), doc), layer, sp.S.Zero, upper)


def market(
    *,
    params: Sequence[tuple[Declaration, Any]] = (),
    types: Sequence[PrivateType] = (),
    choices: Sequence[Choice] = (),
    layers: Sequence[Layer] = (),
    constraints: Sequence[Constraint] = (),
    goal: str = "revenue",
    sets: Sequence[IndexSet] = (DOMAINS,),
    report: Mapping[Quantity, Any] | None = None,
    regime: str = "main",
    title: str = "a market made by hand",
) -> Market:
    declared = [d for d, _ in params] + [t.declaration for t in types] + [c.declaration for c in choices]
    return Market(
        name="by_hand",
        title=title,
        citations=("Ai, Simchi-Levi & Xu (2025)",),
        regime=regime,
        regime_title="",
        sets=tuple(sets),
        declarations={str(d.quantity.name): d for d in declared},
        lets=(),
        data={d.quantity: np.array(v) for d, v in params},
        types=tuple(types),
        choices=tuple(choices),
        layers=tuple(layers),
        states=(),
        commons=(),
        constraints=tuple(constraints),
        contracts=(Contract("platform", "creator", "direct"),),
        objectives=(Objective("platform", "maximize", goal),),
        report=report,
        source=Source("<by hand>"),
    )


def genai(goal: str = "revenue", training: float = 0.0, laws: Sequence[Distribution] | None = None) -> Market:
    """The two-domain market of Ai, Simchi-Levi & Xu, without union or broker; `training` is GenAI's cost (C.1)."""
    laws = laws or (
        law("uniform", Fraction(1, 10), 1),
        law("normal", Fraction(1, 2), Fraction(2, 5), on=(Fraction(1, 20), Fraction(3, 2))),
    )
    d = param("d", [3, 4], (K,), doc="content demanded")
    rho = param("rho", [1.2, 1.3], (K,), AT_LEAST_ONE, "growth of production cost")
    mu = param("mu", [[0.3, 0.8], [0.5, 0.2]], (I, K), doc="transferability from i to k")
    gamma = param("gamma", 0.85, (I, K), UNIT, "GenAI capability")
    cg = param("cg", training, (K,), doc="training cost of GenAI")
    c = type_of("creator", (K,), laws, doc="production efficiency, private")
    x = choice("creator", (K,), doc="human content, quality-weighted")
    xk, xi = x.quantity[K], x.quantity[I]
    rhok = rho[0].quantity[K]
    supply = xk + IndexSum(mu[0].quantity[I, K] * xi ** gamma[0].quantity[I, K], (I,))
    platform_cost = IndexSum(cg[0].quantity[K] * xk**rhok, (K,)) if training else sp.S.Zero
    return market(
        params=(d, rho, mu, gamma, cg) if training else (d, rho, mu, gamma),
        types=(c,),
        choices=(x,),
        layers=(Layer("platform", cost=platform_cost), Layer("creator", (K,), c.quantity[K] * xk**rhok)),
        constraints=(Constraint("demand", (K,), supply, ">=", d[0].quantity[K]),),
        goal=goal,
        report={c.quantity: np.array([0.35, 1.1])},
    )


def single(
    cost: Cost, distribution: Distribution, demand: float = 2.0, goal: str = "revenue", value: Cost | None = None
) -> Market:
    """One provider, no letters: `x >= demand`, at a cost of type and output; `value(x, d)` of the platform instead."""
    d = param("d", demand)
    c, x = type_of("creator", (), (distribution,)), choice("creator", ())
    bought = () if value else (Constraint("demand", (), x.quantity, ">=", d[0].quantity),)
    enjoyed = value(x.quantity, d[0].quantity) if value else sp.S.Zero
    return market(
        params=(d,), types=(c,), choices=(x,), sets=(),
        layers=(Layer("platform", value=enjoyed), Layer("creator", (), cost(c.quantity, x.quantity))),
        constraints=bought, goal=goal, report={c.quantity: np.array(distribution.mean)},
    )  # fmt: skip


def falling(rho: float = 2.0) -> Market:
    """A demand with a falling term: `x[video] - x[text]/2 >= 1`; concave in x, not in `y = x^rho`."""
    power = param("rho", rho, (K,), AT_LEAST_ONE)
    c, x = type_of("creator", (K,), (law("uniform", 0, 1),) * 2), choice("creator", (K,))
    return market(
        params=(power,), types=(c,), choices=(x,),
        layers=(Layer("platform"), Layer("creator", (K,), c.quantity[K] * x.quantity[K] ** power[0].quantity[K])),
        constraints=(Constraint("demand", (), x.quantity[0] - x.quantity[1] / 2, ">=", sp.S.One),),
    )  # fmt: skip


def several_creators() -> Market:
    """Six creators in two domains, each with a growth rate of its own (C.4)."""
    creators = IndexSet("creators", tuple(str(n) for n in range(1, 7)))
    n = Letter("n", creators)
    home = Quantity("home", (creators,), "param", Interval(0, 1))
    d = param("d", [3, 4], (K,))
    rho = param("rho", [1.5, 2, 2.5, 1.2, 1.4, 3], (n,), AT_LEAST_ONE)
    mu, gamma = param("mu", [[0.3, 0.8], [0.5, 0.2]], (I, K)), param("gamma", 0.5, (I, K), UNIT)
    c = type_of("creator", (n,), (law("uniform", Fraction(1, 10), 1),) * 6)
    x = choice("creator", (n,))

    def total(of: Letter) -> sp.Expr:
        return IndexSum(x.quantity[n], (n,), sp.Eq(home[n], of, evaluate=False))

    supply = total(K) + IndexSum(mu[0].quantity[I, K] * total(I) ** gamma[0].quantity[I, K], (I,))
    return market(
        params=(d, rho, mu, gamma, (Declaration(home, (n,), "domain of a creator"), np.array([0, 0, 0, 1, 1, 1.0]))),
        types=(c,), choices=(x,), sets=(DOMAINS, creators),
        layers=(Layer("platform"), Layer("creator", (n,), c.quantity[n] * x.quantity[n] ** rho[0].quantity[n])),
        constraints=(Constraint("demand", (K,), supply, ">=", d[0].quantity[K]),),
    )  # fmt: skip


def multitask() -> Market:
    """A provider that chooses several outputs: `c[n] * sum(k: x[n, k]^2)`."""
    creators = IndexSet("creators", ("ann", "bob"))
    n = Letter("n", creators)
    d = param("d", [3, 4], (K,))
    c, x = type_of("creator", (n,), (law("uniform", 0, 1),) * 2), choice("creator", (n, K))
    return market(
        params=(d,), types=(c,), choices=(x,), sets=(DOMAINS, creators),
        layers=(Layer("platform"), Layer("creator", (n,), c.quantity[n] * IndexSum(x.quantity[n, K] ** 2, (K,)))),
        constraints=(Constraint("demand", (K,), IndexSum(x.quantity[n, K], (n,)), ">=", d[0].quantity[K]),),
    )  # fmt: skip
