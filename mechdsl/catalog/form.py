"""M05x: the form of the market: its statement, its objective, its signals, constraints and conditions."""

from __future__ import annotations

from mechdsl.catalog.explanation import Explanation

__all__ = ["FORM"]

FORM = (
    Explanation(
        "M050",
        "not exactly one market statement",
        'A file states one market, and says so: market NAME "title", once.',
        "Add the statement, or split the file. Variants of a market are regimes of one file.",
        bad='market first "A market"\nmarket second "Another"',
        good='market first "A market"',
    ),
    Explanation(
        "M052",
        "two objectives",
        "One layer sets the terms of the contracts, with one goal; layers without an objective maximise their own "
        "payoff. An objective at the top of the file holds in every regime, so that one in a regime is the second.",
        "Keep one. To compare goals put each into a regime of its own, and none at the top of the file.",
        bad="objective platform: maximize revenue\nregime planner { objective platform: maximize welfare }",
        good="regime buyer { objective platform: maximize revenue }\nregime planner { objective platform: maximize "
        "welfare }",
    ),
    Explanation(
        "M053",
        "a demand that is not concave",
        "What is asked for, left side at least right side, must leave a convex set to choose from: if two decisions "
        "meet it, so must every mixture of them. That is so where left minus right is concave, in what is chosen or in "
        "y = phi(x), where phi(x) is what a type is multiplied by. At most wants convex, and an equation affine. Two "
        "points were found between which the term that the message names lies on the wrong side of its chord: an "
        "optimum would be one of several, and none could be vouched for.",
        "Returns must not increase: x^0.8, log(1 + x), min(x, 3). What is written as a power is often meant by its "
        "root, sqrt(x[a] * x[b]) >= 2 in place of x[a] * x[b] >= 4.",
        bad="demand[k]: x[k] + sum(i where i != k: x[i]^3) >= d[k]",
        good="demand[k]: x[k] + sum(i where i != k: x[i]^0.9) >= d[k]",
    ),
    Explanation(
        "M054",
        "a cost that is not convex, or a value that is not concave",
        "A unit more must cost no less than the one before, and be worth no more: otherwise it pays to buy everything "
        "of one provider or nothing, the choice between them is no matter of prices, and a local optimum says nothing "
        "of the global one. Two points were found between which the term that the message names lies on the wrong "
        "side of its chord.",
        "Cost may be any convex increasing function: x^1.2, exp(x) - 1, x + x^2, max(x, 2 * x - 1). Value may be any "
        "concave one: x^0.5, log(1 + x). A range that is too wide lets an exponent of 0.9 in: `param rho in [1, inf)`.",
        bad="layer creator[k] {\n  type c[k] ~ uniform(0.1, 1)\n  choose x[k] >= 0\n  cost c[k] * x[k]^0.5\n}",
        good="layer creator[k] {\n  type c[k] ~ uniform(0.1, 1)\n  choose x[k] >= 0\n  cost c[k] * x[k]^1.5\n}",
    ),
    Explanation(
        "M055",
        "a cost that falls where more is chosen",
        "What a private type is multiplied by must rise in what is chosen, so that to have a higher type is to have "
        "higher costs of more, and the payments that theory derives set the right incentives. Two points were found "
        "between which it falls.",
        "Let the choice begin where the cost begins to rise, `choose x[k] >= 1`; or put what falls where it belongs, "
        "into the value that somebody has of it.",
        bad="layer creator[k] {\n  type c[k] ~ uniform(0.1, 1)\n  choose x[k] >= 0\n  cost c[k] * (x[k] - 1)^2\n}",
        good="layer creator[k] {\n  type c[k] ~ uniform(0.1, 1)\n  choose x[k] >= 1\n  cost c[k] * (x[k] - 1)^2\n}",
    ),
    Explanation(
        "M056",
        "a signal that is not a sum with noise",
        "A signal tells of a state, with noise: its formula is a sum, one of whose terms is noise(variance = ...) or "
        "noise(precision = ...). The rest is what it is on average. How much a signal is worth depends on the "
        "precision of its noise alone, so the noise is written out. What is unknown, states and common factors, enters "
        "linearly, times known data.",
        "Write signal s = theta + noise(precision = e). A signal without noise would reveal the state: nothing is "
        "left to estimate.",
        bad="state theta\nlayer critic { signal s = theta }",
        good="state theta\nlayer critic { signal s = theta + noise(variance = 2) }",
    ),
    Explanation(
        "M057",
        "a constraint without a decision",
        "Nothing that anybody chooses stands in the constraint: it holds or fails by its data alone, and is no part of "
        "the problem. Often a let was meant that has the decision in it.",
        "Put the decision in. What a param has to satisfy stands in its range, param d in [1, inf), and is checked "
        "when the file is read.",
        bad="constraint cap[k]: d[k] <= 10",
        good="constraint cap[k]: x[k] <= 10",
    ),
    Explanation(
        "M058",
        "cases that do not fit together",
        "By if(condition, a, b) one of two formulas is taken. The condition may be on data, or compare one decision "
        "with data: a rate that holds up to a threshold, and another beyond it. Then the two must meet at the "
        "threshold without a jump, and their slopes must rise from one to the next where a cost is stated, and fall "
        "where a value or a demand is. What jumps or bends the other way has no optimum that could be vouched for. On "
        "a private type no condition may rest.",
        "Let the second case go on from where the first ends: if(x < 1, x, 2 * x - 1), or max(x, 2 * x - 1), which is "
        "the same.",
        bad="layer platform { cost sum(k: if(x[k] > 1, x[k], 0)) }",
        good="layer platform { cost sum(k: if(x[k] > 1, x[k] - 1, 0)) }",
    ),
    Explanation(
        "M059",
        "a condition where a number is expected, or a number where a condition is",
        "Comparisons, and what `and`, `or` and `not` make of them, are true or false: they stand after `where` and as "
        "the first argument of if. Everywhere else stand numbers. The language does not take true for 1, nor a number "
        "for true.",
        "Make a number of a condition by if(condition, 1, 0); make a condition of a number by a comparison, d[k] > 0.",
        bad="let served = sum(k where d[k]: 1)",
        good="let served = sum(k where d[k] > 0: 1)",
    ),
)
