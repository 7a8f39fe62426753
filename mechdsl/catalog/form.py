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
        "a condition on what is chosen",
        "By if(condition, a, b) one of two formulas is taken before the problem is solved. With a decision or a type "
        "in its condition the cost or the demand would jump or bend with the solution itself; that is not convex in "
        "general, and no optimum could be vouched for.",
        "A kink that is convex is written by max, min or abs: max(0, x - 1) is a cost that begins at 1. A condition on "
        "params is welcome.",
        bad="layer platform { cost sum(k: if(x[k] > 1, x[k] - 1, 0)) }",
        good="layer platform { cost sum(k: max(x[k] - 1, 0)) }",
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
