"""Markets drawn at random that mean something: what an economist might write, corner cases and clashes included.

The other ways make texts that are mostly refused. These are mostly models, so that what is tried is the whole chain
behind them: derivation, programme, engine, payments, certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

__all__ = ["market"]

_LABELS = ("video", "text", "music", "sports")


def market(rng: Random) -> str:
    """A text: primitives, an output, one demand or value for each domain, one to three regimes."""
    labels = _LABELS[: rng.choice((1, 1, 2, 2, 2, 3, 4))]
    several = rng.random() < 0.15  # creators a domain
    owner = "n" if several else "k"
    people = tuple(str(n + 1) for n in range(len(labels) + rng.choice((0, 1, 2)))) if several else labels
    head = ['market drawn "drawn at random"', f"index k, i in domains = {{{', '.join(labels)}}}"]
    if several:
        homes = ", ".join(f"{n}: {labels[j % len(labels)]}" for j, n in enumerate(people))
        head += [f"index n in creators = 1..{len(people)}", f"param home[n] in domains = {{{homes}}}"]
        head += ["let X[k] = sum(n where home[n] == k: x[n])"]
    head += [
        f"param d[k] in [0, inf) = {_map(rng, labels, _amount)}",
        f"param rho[{owner}] in [1, inf) = {_map(rng, people, _growth)}",
        f"param mu[i, k] in [0, inf) = {_matrix(rng, labels)}",
        f"param gamma[i, k] in [0, 1] = {rng.choice((0, 0.3, 0.85, 1, round(rng.random(), 3)))}",
        f"layer platform {_platform(rng, owner)}",
        f"layer creator[{owner}] {{",
        f"  type c[{owner}] ~ {_laws(rng, people)}",
        f"  choose x[{owner}] {_range(rng)}",
        f"  cost {_cost(rng, owner)}",
        *(["  outside " + rng.choice(("0", "0.1", "1"))] if rng.random() < 0.1 else []),
        "}",
        *_needs(rng, "X" if several else "x"),
    ]
    if rng.random() < 0.7:
        head.append(f"report c = {_map(rng, people, _report)}")
    names = rng.sample(sorted(_REGIMES), rng.choice((1, 1, 2, 3)))
    return "\n".join((*head, *(_REGIMES[name] for name in names))) + "\n"


_DIRECT = "contract platform -> creator: direct"
_UNION = "layer union { represents creator }  contract platform -> union: direct"
_BROKER = "layer broker  contract platform -> broker: presigned{}  contract broker -> creator: direct"
_REVENUE, _WELFARE = "objective platform: maximize revenue", "objective platform: maximize welfare"
_REGIMES = {
    "M1": f"regime M1 {{ {_DIRECT}  {_REVENUE} }}",
    "M2": f"regime M2 {{ {_DIRECT}  {_WELFARE} }}",
    "known": f"regime known {{ {_DIRECT}(information = known)  {_REVENUE} }}",
    "randomized": f"regime randomized {{ {_DIRECT}(payment = randomized, trials = 7)  {_WELFARE} }}",
    "M3": f"regime M3 {{ {_UNION}  {_REVENUE} }}",
    "M4": f"regime M4 {{ {_UNION}  {_WELFARE} }}",
    "M5": f"regime M5 {{ {_BROKER.format('')}  {_REVENUE} }}",
    "M6": f"regime M6 {{ {_BROKER.format('')}  {_WELFARE} }}",
    "taxed": f"regime taxed {{ {_BROKER.format('(tax = 0.1)')}  {_REVENUE} }}",
}


def _amount(rng: Random) -> float:
    return rng.choice((0, 1, 2, 3, 0.5, *(round(rng.uniform(0, 6), 3) for _ in range(4)), 1e4))


def _growth(rng: Random) -> float:
    return rng.choice((1, 1.2, 1.5, 2, 3, rng.uniform(1, 3)))


def _report(rng: Random) -> float:
    return rng.choice((0.5, 0.3, 0.9, 0.96, round(rng.uniform(0.2, 1), 3), 1.7 if rng.random() < 0.2 else 0.97))


def _map(rng: Random, labels: Sequence[str], draw: Callable[[Random], float]) -> str:
    if rng.random() < 0.3:
        return f"{draw(rng):.6g}"
    return "{" + ", ".join(f"{label}: {draw(rng):.6g}" for label in labels) + "}"


def _matrix(rng: Random, labels: Sequence[str]) -> str:
    kind = rng.random()
    if kind < 0.2:
        return "0"
    rows = [[rng.choice((0, 0.1, 0.3, 0.8, 1, round(rng.random(), 2))) for _ in labels] for _ in labels]
    if kind < 0.3:
        rows = [[2.0 * v for v in row] for row in rows]
    return "[" + ", ".join("[" + ", ".join(f"{v:.6g}" for v in row) + "]" for row in rows) + "]"


def _platform(rng: Random, owner: str) -> str:
    kind = rng.random()
    if kind < 0.7:
        return ""
    if kind < 0.8:
        return f"{{ cost sum({owner}: 0.1 * x[{owner}]^rho[{owner}]) }}"
    worth = rng.choice(("3 * log(1 + x[{0}])", "2 * sqrt(x[{0}])", "x[{0}] - x[{0}]^2 / 10", "1.5 * x[{0}]"))
    return f"{{ value sum({owner}: {worth.format(owner)}) }}"


_FAMILIES = (
    "uniform(0, 1)",
    "uniform(0.1, 1)",
    "uniform(0.95, 1)",
    "triangular(0.1, 0.4, 1)",
    "triangular(0, 1, 1)",
    "point(0.5)",
    "normal(0.5, 0.4) on [0.05, 1.5]",
    "normal(0, 1) on [0, 10]",
    "exponential(1) on [0, 2]",
    "exponential(5) on [0.1, 4]",
    "lognormal(0, 0.5) on [0.1, 5]",
    "beta(2, 3) on [0, 1]",
    "beta(0.5, 0.5) on [0.2, 1]",
    "kumaraswamy(2, 2) on [0.1, 1]",
    "power(2) on [0, 1]",
    "power(0.5) on [0.1, 1]",
    "mixture(0.5: uniform(0.1, 0.3), 0.5: uniform(0.7, 1))",
    "mixture(0.3: normal(0.3, 0.05) on [0.1, 1], 0.7: normal(0.8, 0.05) on [0.1, 1])",
    "density(c: 1 + c^2) on [0.1, 1]",
    "density(c: exp(-3 * c)) on [0, 2]",
    'empirical("costs.csv", column = "cost")',
)


def _laws(rng: Random, labels: Sequence[str]) -> str:
    if rng.random() < 0.4:
        return rng.choice(_FAMILIES)
    return "{" + ", ".join(f"{label}: {rng.choice(_FAMILIES)}" for label in labels) + "}"


def _range(rng: Random) -> str:
    return rng.choice((">= 0", ">= 0", ">= 0", "in [0, 10]", "in [0, 2]", ">= 0.5", "in [1, 1]"))


def _cost(rng: Random, owner: str) -> str:
    x, c = f"x[{owner}]", f"c[{owner}]"
    if rng.random() < 0.6:
        return f"{c} * {x}^rho[{owner}]"
    return rng.choice(
        (
            f"{c} * {x}",
            f"{c} * (exp({x}) - 1)",
            f"{c} * ({x} + {x}^2)",
            f"{c} * if({x} < 1, {x}, 2 * {x} - 1)",
            f"{c} * max({x}, 2 * {x} - 1)",
            f"{c} * {x}^rho[{owner}] + 0.2 * {x}",
            f"{c} * {x}^2 / 2 + 0.1",
            f"{c} * ({x} + log(1 + {x}))",
            f"{c} * sqrt({x})" if rng.random() < 0.2 else f"{c} * {x}^1.5",
            f"{x}^2",
        )
    )


def _needs(rng: Random, output: str) -> list[str]:
    """Demands, and at times a constraint or a cap across domains."""
    made = f"sum(i: mu[i, k] * {output}[i]^gamma[i, k])"
    demand = rng.choice(
        (
            *(f"demand[k]: {output}[k] + {made} >= d[k]",) * 6,
            f"demand[k where d[k] > 0]: {output}[k] + {made} >= d[k]",
            f"demand[k]: {output}[k] >= d[k]",
            f"demand[k]: {output}[k] + {made} - 0.01 * {output}[k]^2 >= d[k]",
            f"demand[k]: sqrt({output}[k]) + log(1 + {made}) >= d[k] / 4",
            f"demand[k]: min({output}[k], 2 * d[k]) + {made} >= d[k]",
            "",
        )
    )
    return [
        demand,
        *([f"constraint cap: sum(k: {output}[k]) <= {rng.choice((1, 3, 10, 100))}"] if rng.random() < 0.15 else []),
        *([f"constraint floor: sum(k: {output}[k]) >= {rng.choice((0, 1, 3))}"] if rng.random() < 0.1 else []),
    ]
