"""M10x, M11x: the notes and warnings of `mechdsl check`. None of them is an error: the market can be solved, and should
be looked at.
"""

from __future__ import annotations

from mechdsl.catalog.explanation import Explanation

__all__ = ["DIAGNOSIS"]

_COMPLEMENTS = """\
market one_for_two "One provider can take the place of two"
index k, i in domains = 1..3
param d[k] in [0, inf) = [0.5, 1, 1]
param mu[i, k] in [0, inf) = [[0, 1, 1], [0, 0, 0], [0, 0, 0]]
layer platform
layer creator[k] {{
  type c[k] ~ uniform(0.1, 1)
  choose x[k] >= 0
  cost c[k] * x[k]
}}
{served}
contract platform -> creator: direct
objective platform: maximize welfare
report c = [0.9, 0.2, 0.3]"""

_TIE = """\
market tie "Two sellers, one price"
index k in sellers = {{ann, bob}}
layer buyer
layer seller[k] {{ type c[k] ~ uniform(0.1, 1)  choose x[k] >= 0  cost c[k] * x[k] }}
constraint one: sum(k: x[k]) >= 1
contract buyer -> seller: direct
objective buyer: maximize welfare
report c = {{ann: 0.5, bob: {bob}}}"""

DIAGNOSIS = (
    Explanation(
        "M100",
        "something is declared and used nowhere",
        "Nothing in the file rests on it: no formula, no regime, no experiment. It is left over from an earlier "
        "version, or a formula that should use it uses something else.",
        "Remove it, or use it.",
        bad="param tax = 0.1",
        good="param tax = 0.1\nlayer platform { cost sum(k: tax * x[k]) }",
    ),
    Explanation(
        "M101",
        "a virtual cost that does not rise",
        "The virtual cost c + F(c)/f(c) is what a unit costs a buyer who does not know c. Where it falls in c, a buyer "
        "who went by it would buy more of a provider with a higher cost, and no payment makes that incentive "
        "compatible. It is ironed there (Myerson 1981): replaced by its average over an interval, so that all types in "
        "the interval are treated alike. It rises everywhere if F is log-concave, as of uniform, normal and "
        "exponential laws and their truncations.",
        "Nothing needs to be done: revenue-maximising regimes iron, and `mechdsl inspect` shows where. If the law was "
        "a stand-in, take a log-concave one.",
        bad="layer creator[k] {\n  type c[k] ~ mixture(0.2: uniform(0.1, 1), 0.8: uniform(0.5, 0.6))\n"
        "  choose x[k] >= 0\n  cost c[k] * x[k]^2\n}",
        good="layer creator[k] {\n  type c[k] ~ normal(0.5, 0.2) on [0.1, 1]\n  choose x[k] >= 0\n"
        "  cost c[k] * x[k]^2\n}",
    ),
    Explanation(
        "M102",
        "a demand that is met when nothing is chosen",
        "With every decision at its lower bound this row already holds, so it binds nobody and its shadow price is "
        "zero. That may be meant (a domain without demand), or a sign or a unit is wrong.",
        "Leave such rows out by a condition, `demand[k where d[k] > 0]`, to say that it is meant; or correct the data.",
        bad="param d[k] in [0, inf) = {video: 3, text: 0}",
        good="param d[k] in [0, inf) = {video: 3, text: 0}\ndemand[k where d[k] > 0]: x[k] >= d[k]",
    ),
    Explanation(
        "M103",
        "a demand that nothing can meet",
        "Even with every decision at its upper bound this row fails, or its left side does not move however much is "
        "chosen; or it could be met alone, but not together with the others that the message names. Whatever the types "
        "are, the regime has no solution.",
        "Raise a bound, ask for less, or let another decision help to meet it.",
        bad="layer creator[k] {\n  type c[k] ~ uniform(0.1, 1)\n  choose x[k] in [0, 2]\n  cost c[k] * x[k]^2\n}",
        good="layer creator[k] {\n  type c[k] ~ uniform(0.1, 1)\n  choose x[k] in [0, 9]\n  cost c[k] * x[k]^2\n}",
    ),
    Explanation(
        "M104",
        "a constraint that is not shown to be convex",
        "A demand, left side at least right side, describes a convex set if left minus right is concave; at most wants "
        "convex, and an equation affine. No rule shows it of this one, and no counterexample was found either: the "
        "message names the term at which the rules end. Curvature is proved for all data in their declared ranges, so "
        "that a range that is too wide may be all that is missing: `param gamma in [0, 1]` makes x^gamma concave, "
        "`param gamma` does not.",
        "Declare the ranges of the params in it, or write it in terms that are known: sums, powers, log, exp, min and "
        "max, geometric means. What is found is certified as a point that meets the first-order conditions.",
        bad="constraint both: x[video] * x[text] / (x[video] + x[text]) >= 1",
        good="constraint both: sqrt(x[video] * x[text]) >= 1",
    ),
    Explanation(
        "M105",
        "numbers of very different size in one param",
        "The entries of the param lie more than eight powers of ten apart. That is seldom meant: a unit is off, or a "
        "zero too many. Results remain certified, but the small entries hardly matter beside the large ones.",
        "Check the units. If it is meant, nothing needs to be done.",
        bad="param d[k] in [0, inf) = {video: 3, text: 4e9}",
        good="param d[k] in [0, inf) = {video: 3, text: 4}",
    ),
    Explanation(
        "M106",
        "a support that reaches far into a tail",
        "Near the top of its support the density all but vanishes, so that F/f grows beyond all bounds: such a type "
        "has a virtual cost many powers of ten above an ordinary one's. The market can be solved there, but a "
        "revenue-maximising buyer then buys next to nothing of it; and payments count on types that never occur.",
        "Cut the support where types stop being plausible, at a few standard deviations, say.",
        bad="layer creator[k] {\n  type c[k] ~ normal(0, 1) on [0, 10]\n  choose x[k] >= 0\n  cost c[k] * x[k]^2\n}",
        good="layer creator[k] {\n  type c[k] ~ normal(0, 1) on [0, 3]\n  choose x[k] >= 0\n  cost c[k] * x[k]^2\n}",
    ),
    Explanation(
        "M107",
        "an experiment that cannot run",
        "A figure of the experiment does not suit what is varied and drawn: a heat map wants two params varied, a line "
        "one, a box draws of the types.",
        "Plot what suits the experiment, or vary and draw what the figure needs.",
        bad='experiment scale "More demand" { vary d.video in 3..6 by 1  plot heatmap(revenue) }',
        good='experiment scale "More demand" { vary d.video in 3..6 by 1  plot line(revenue) }',
    ),
    Explanation(
        "M108",
        "no report is stated",
        "The outcome of a mechanism depends on what the types report. Without a report every type is taken to stand at "
        "its mean, which is one point of many, and not the expected outcome.",
        "Add a report to the file, or give one on the command line: --at c.video=0.3,c.text=0.6.",
        bad='market tender "A tender"\nlayer buyer\nlayer seller {\n  type c ~ uniform(1, 2)\n  choose q >= 0\n'
        "  cost c * q\n}\ndemand: q >= 10\ncontract buyer -> seller: direct\nobjective buyer: maximize revenue",
        good='market tender "A tender"\nlayer buyer\nlayer seller {\n  type c ~ uniform(1, 2)\n  choose q >= 0\n'
        "  cost c * q\n}\ndemand: q >= 10\ncontract buyer -> seller: direct\nobjective buyer: maximize revenue\n"
        "report c = 1.5",
    ),
    Explanation(
        "M109",
        "a step of the theory that does not follow here",
        "The structure rests on a chain of steps, each with a condition: a cost that is convex and increasing, say. "
        "Under this market's data and declared ranges the condition of the step could not be shown. `mechdsl "
        "inspect` shows every step with its reason. "
        "What is solved is certified all the same, against the market as stated.",
        "Declare the ranges of the params, which is often all that is missing; or change the cost or the demand so "
        "that the condition holds. If neither is possible, go by the certificate.",
        bad="layer creator[k] {\n  type c[k] ~ uniform(0.1, 1)\n  choose x[k] >= 0\n"
        "  cost c[k] * (x[k]^2 + abs(x[k] - 1) + x[k] - 1)\n}",
        good="layer creator[k] {\n  type c[k] ~ uniform(0.1, 1)\n  choose x[k] >= 0\n"
        "  cost c[k] * (x[k]^2 + max(0, 2 * x[k] - 2))\n}",
    ),
    Explanation(
        "M110",
        "outputs that are complements",
        "Definition 2.1 of the paper takes outputs for substitutes: where one provider's cost rises, no other produces "
        "less. With two providers that always holds. With three or more it fails where one provider can serve the "
        "demands of several others: if one of these becomes dear, all of them are replaced at once. Payments, truth "
        "and participation stand as they are; what may fail is the published ranking of the regimes, such as that a "
        "union costs the buyer money. `mechdsl check --deep` found a place by solving at random types and raising one "
        "cost after another; the numbers in the message can be tried with `solve --at`.",
        "Nothing needs to be mended. Compare the regimes by their own figures and not by the published ranking.",
        bad=_COMPLEMENTS.format(served="demand[k]: x[k] + sum(i: mu[i, k] * x[i]) >= d[k]"),
        good=_COMPLEMENTS.format(served="demand[k]: x[k] + sum(i: 0 * mu[i, k] * x[i]) >= d[k]"),
    ),
    Explanation(
        "M111",
        "an optimum that is not unique",
        "At the stated report several decisions are equally good: costs and demands are linear and two of them tie, as "
        "when two sellers ask the same price. What the mechanism costs is the same for all of them, who produces and "
        "who is paid is not. What `solve` reports is the analytic centre of the optima, a point inside. Found by "
        "`mechdsl check --deep`: an output whose weight moves by a millionth either way jumps from one end to the "
        "other.",
        "Break the tie by the report or the data if it matters who produces; else nothing needs to be done.",
        bad=_TIE.format(bob="0.5"),
        good=_TIE.format(bob="0.6"),
    ),
)
