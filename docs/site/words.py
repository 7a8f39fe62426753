"""What the reference says of each word of the language, as data: the grammar and the registries know the words alone.

`pages.py` sets these tables against the grammar and the registries and refuses to make a page where one has a word that
the other lacks; so a new statement, function or contract kind cannot be without its line here, nor an old line stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = [
    "ARGUMENTS",
    "CONTEXTS",
    "EXIT",
    "FIGURES",
    "FUNCTIONS",
    "KINDS",
    "LAWS",
    "OUTCOMES",
    "SMALL_WORDS",
    "STATEMENTS",
    "Law",
    "Word",
]


class Word(NamedTuple):
    """A keyword: where it may stand (a key of `CONTEXTS`), what it says, an example."""

    place: str
    meaning: str
    example: str


CONTEXTS: Mapping[str, tuple[str, str, str]] = {
    "file": ("At the top of a file", "", ""),
    "any": ("At the top of a file or in a regime", "", ""),
    "layer": ("In a layer", "layer firm[k] {\n", "\n}"),
    "regime": ("In a regime alone", "regime r {\n", "\n}"),
    "experiment": ("In an experiment", "experiment e {\n", "\n}"),
}
"""Place -> its heading, and what an example stands between to be a whole text."""

STATEMENTS: Mapping[str, Word] = {
    "market": Word("file", "The name and the title of the market; once.", 'market desk "A news desk buys content"'),
    "cite": Word(
        "any",
        "A source, shown in reports; any number of them.",
        'cite "Ai, Simchi-Levi & Xu (2025), GenAI vs. Human Creators"',
    ),
    "index": Word(
        "any",
        "An index set and the letters that range over it. Labels are names, quoted strings or numbers; `1..N` counts, "
        "`N` a number or a param. A letter that ranges over numbers may be used as one.",
        "index k, i in domains = {video, text}\nindex n in creators = 1..6",
    ),
    "param": Word(
        "any",
        "Known data. After `in` stands what values may be: an interval, or an index set whose labels are the values. "
        "The value is a number (for every entry), a list or nested lists in index order, a map by label, an expression "
        'in other params, or `csv("file.csv")`. With `~` in place of `=` every entry is drawn by the seed, '
        "independently.",
        'param d[k] in [0, inf) = {video: 3, text: 4} "content demanded"\n'
        "param home[n] in domains = {1: video, 2: text}\n"
        "param mu[i, k] in [0, inf) ~ uniform(0, 0.5)",
    ),
    "let": Word(
        "any",
        "A named expression. It is written out wherever its name is used.",
        "let genai[k] = sum(i: mu[i, k] * x[i]^0.8)",
    ),
    "layer": Word(
        "any",
        "An actor; with letters, one for each label. Said again in a regime, it adds to the one there is.",
        'layer platform\nlayer creator[k] { choose x[k] >= 0  cost x[k]^2 } "who makes content"',
    ),
    "state": Word("any", "What the signals of a data market tell of; nobody knows it.", "state theta"),
    "common": Word(
        "any", "A normal random factor of mean 0 that several signals share.", "common B ~ normal(0, sqrt(V))"
    ),
    "demand": Word(
        "any",
        "What must be met, for every label of its letters. The left side less the right must be concave where it says "
        "`>=`, convex where it says `<=`, affine where it says `==`.",
        "demand[k]: x[k] + genai[k] >= d[k]",
    ),
    "constraint": Word(
        "any",
        "The same under a name of its own; a `where` chooses among labels.",
        "constraint hours[k where d[k] > 0]: x[k] <= 40\nconstraint total: sum(k: x[k]) >= 10",
    ),
    "contract": Word(
        "any",
        "Who pays whom, under which kind of contract (below). Contracts may form a chain, through a broker, say.",
        "contract platform -> creator: direct",
    ),
    "objective": Word(
        "any",
        "Whose goal sets the terms of the contracts, and which goal that is.",
        "objective platform: maximize revenue",
    ),
    "report": Word(
        "any",
        "The types at which `solve` evaluates; without it every type stands at its mean.",
        "report c = {video: 0.35, text: 1.1}",
    ),
    "regime": Word(
        "file",
        "A variant of the market: its statements come on top of the file's. A file without regimes has one, `main`.",
        'regime taxed "with a tax on the broker" { set tax = 0.1 }',
    ),
    "claim": Word(
        "file",
        "A statement about expected outcomes that `compare` decides; `,` joins parts that must all hold.",
        "claim ranking: revenue(M1) >= revenue(M2) >= revenue(M4), welfare(M2) == welfare(M4)",
    ),
    "experiment": Word(
        "file",
        "What to vary, draw, tabulate and plot; `mechdsl run` does it.",
        'experiment genai "With and without" { draws 1000  table revenue  plot box(revenue) }',
    ),
    "type": Word(
        "layer",
        "What each of the layer knows alone, and its distribution: one for all labels, or a map by label.",
        "type c[k] ~ {video: uniform(0.1, 1), text: normal(0.5, 0.4) on [0.05, 1.5]}",
    ),
    "choose": Word(
        "layer",
        "A decision and its bounds: at least, at most, or an interval.",
        "choose x[k] >= 0\nchoose y[k] in [0, 10]",
    ),
    "cost": Word(
        "layer",
        "What it costs the layer. A private type multiplies a convex increasing function.",
        "cost c[k] * x[k]^1.5",
    ),
    "value": Word("layer", "What it is worth to the layer; concave.", "value sum(k: a[k] * log(1 + x[k]))"),
    "bargaining": Word(
        "layer", "The share of the surplus that an intermediary obtains for its providers.", "bargaining 0.5"
    ),
    "outside": Word("layer", "What the layer has if it takes no part.", "outside 0.2"),
    "signal": Word(
        "layer",
        "What the layer's content says of the state: the state, common factors, and noise of its own, whose variance "
        "or precision is stated.",
        "signal s[k] = theta + w[k] * B + noise(variance = 1 / e[k])",
    ),
    "represents": Word("layer", "The layer speaks for another one: a union.", "represents creator"),
    "set": Word("regime", "Another value for a param, or for one entry of it.", "set mu = 0\nset d[video] = 5"),
    "draws": Word("experiment", "How many draws of the types.", "draws 1000"),
    "seed": Word("experiment", "The seed of all that is drawn.", "seed 7"),
    "instances": Word(
        "experiment", "How many markets: params stated with `~` are drawn afresh for each.", "instances 10"
    ),
    "regimes": Word("experiment", "Which regimes; all where nothing is said.", "regimes revenue, no_genai"),
    "vary": Word(
        "experiment",
        "A grid: ranges with a step, labels, or lists of values. Several axes are crossed.",
        "vary d.video in 1..20 by 0.5, mu in [0, 0.1, 0.2]",
    ),
    "table": Word(
        "experiment", "Columns: outcomes, decisions, and expressions in them.", "table revenue, welfare, x[video]"
    ),
    "plot": Word(
        "experiment",
        "A figure of an outcome, a decision or an expression.",
        "plot heatmap(x[video])  plot box(revenue)",
    ),
}

SMALL_WORDS: Mapping[str, str] = {
    "in": "before a range or an index set",
    "on": "before the interval that a distribution is restricted to",
    "by": "before the step of a range that is varied",
    "where": "before a condition on letters: `sum(i where i != k: ...)`",
    "and": "in conditions",
    "or": "in conditions",
    "not": "in conditions",
    "maximize": "in an objective",
    "minimize": "in an objective",
}
"""Words inside statements."""

FUNCTIONS: Mapping[str, tuple[str, str]] = {
    "exp": ("exp(a)", "$e^a$"),
    "log": ("log(a)", "natural logarithm, $\\ln a$"),
    "sqrt": ("sqrt(a)", "$\\sqrt a$"),
    "abs": ("abs(a)", "$|a|$; of decisions only where curvature allows"),
    "min": ("min(a, b, ...)", "the least of two or more; concave where its arguments are"),
    "max": ("max(a, b, ...)", "the greatest of two or more; convex where its arguments are"),
    "if": (
        "if(condition, a, b)",
        "a where the condition holds, else b. Cases of a decision must meet at the threshold and bend the right way",
    ),
    "sum": (
        "sum(i, j where condition: a)",
        "$\\sum_{i,j} a$ over the labels that satisfy the condition, if one is stated",
    ),
    "prod": ("prod(i where condition: a)", "$\\prod_i a$"),
    "mean": ("mean(c[k])", "the mean of a type's distribution"),
    "lower": ("lower(c[k])", "the least value a type may have"),
    "upper": ("upper(c[k])", "the greatest value a type may have"),
    "precision": (
        "precision(theta)",
        "what all signals tell of a state together: the precision of the best linear unbiased estimate",
    ),
    "noise": ("noise(variance = v)", "in a signal: noise of its own; also `noise(precision = p)`"),
}


class Law(NamedTuple):
    """A distribution: its formula, its parameters in words, an example of it in a text."""

    formula: str
    parameters: str
    example: str


LAWS: Mapping[str, Law] = {
    "uniform": Law("F(c) = \\frac{c - a}{b - a}", "$a < b$: the ends", "uniform(0.1, 1)"),
    "triangular": Law(
        "f(c) = \\frac{2 (c - a)}{(b - a)(m - a)} \\ (c \\le m), "
        "\\qquad f(c) = \\frac{2 (b - c)}{(b - a)(b - m)} \\ (c > m)",
        "$a \\le m \\le b$: the ends and the mode",
        "triangular(0, 0.5, 2)",
    ),
    "point": Law("c = v", "$v$: the value, known to all", "point(1)"),
    "normal": Law(
        "f(c) \\propto \\exp\\left(-\\frac{(c - m)^2}{2 s^2}\\right)",
        "$m$ the mean and $s > 0$ the standard deviation, both before it is cut to $[a, b]$",
        "normal(0.5, 0.4) on [0.05, 1.5]",
    ),
    "exponential": Law(
        "f(c) \\propto e^{-r (c - a)}", "$r > 0$: the rate at which the density falls", "exponential(2) on [0, 3]"
    ),
    "lognormal": Law(
        "f(c) \\propto \\frac1c \\exp\\left(-\\frac{(\\ln c - m)^2}{2 s^2}\\right)",
        "$m$ and $s > 0$: mean and standard deviation of $\\ln c$",
        "lognormal(0, 0.5) on [0.2, 5]",
    ),
    "beta": Law(
        "f(c) \\propto u^{p - 1} (1 - u)^{q - 1}, \\quad u = \\frac{c - a}{b - a}", "$p, q > 0$", "beta(2, 3) on [0, 2]"
    ),
    "kumaraswamy": Law(
        "F(c) = 1 - (1 - u^p)^q, \\quad u = \\frac{c - a}{b - a}", "$p, q > 0$", "kumaraswamy(2, 2) on [0, 1]"
    ),
    "power": Law("F(c) = u^p, \\quad u = \\frac{c - a}{b - a}", "$p > 0$", "power(0.5) on [0, 1]"),
    "mixture": Law(
        "F(c) = \\frac{\\sum_j w_j F_j(c)}{\\sum_j w_j}",
        "weights and distributions, `w: D`",
        "mixture(0.3: uniform(0, 1), 0.7: uniform(0.5, 2))",
    ),
    "density": Law("f(c) \\propto g(c)", "a letter and any positive expression in it", "density(c: 1 + c^2) on [0, 2]"),
    "empirical": Law(
        "F(c_{(j)}) = \\frac{j - 1}{n - 1}, \\text{ linear between order statistics } c_{(1)} \\le \\dots \\le c_{(n)}",
        "a file beside the market, and the name of its column",
        'empirical("costs.csv", column = "cost")',
    ),
}

KINDS: Mapping[str, str] = {
    "direct": "Each provider reports its type; what it delivers and is paid make the truth the best report.",
    "presigned": "Signed before types are known: a fixed delivery for a fixed price, by one in the middle.",
    "unit_price": "The payer posts a price for each unit; providers answer.",
    "free": "Taken without pay.",
    "linear_price": "An intermediary buys and sells at a price per unit.",
    "two_part_tariff": "An intermediary buys and sells at a price per unit and a lump sum, as bargained.",
    "contest": "A prize divided in proportion to scores.",
}

ARGUMENTS: Mapping[tuple[str, str], str] = {
    ("direct", "payment"): "`randomized`: payments estimated from random reports, unbiased; else exact",
    ("direct", "trials"): "how many random reports to each payment",
    ("direct", "information"): "`known`: the benchmark in which types are no secret",
    ("presigned", "tax"): "the share of the price that goes to the government",
    ("two_part_tariff", "weights"): "how the providers' part of the surplus is divided: `surplus` or `precision`",
    ("contest", "prize"): "what is divided",
    ("contest", "rival"): "a score from outside, GenAI's, that takes its share",
    ("contest", "option"): "the score that whoever uses GenAI has instead of its own",
    ("contest", "score"): "a provider's score; its only choice unless stated",
}

OUTCOMES: Mapping[str, str] = {
    "revenue": "of the layer that sets the terms: its value, less what it pays, less its own cost",
    "welfare": "all layers' values less all their costs; transfers cancel",
    "profit": "value less payments less own cost, where the goal is called profit",
    "payments": "what a layer is paid in all: `payments(creator)`",
    "utility": "of a layer: received less paid, plus value, less cost: `utility(platform)`",
    "information_rent": "what providers have beyond their costs",
}

FIGURES: Mapping[str, str] = {
    "bar": "one bar for each regime, with its error",
    "box": "the distribution over draws, a box for each regime",
    "heatmap": "over the first two axes of the grid",
    "line": "along the first axis of the grid, with errors over draws",
    "trace": "draw after draw of one market, a line for each regime",
}

EXIT: Mapping[str, str] = {
    "ANSWERED": "answered; `no_market`, `no_equilibrium` and undecided claims are answers",
    "AT_FAULT": "the model is at fault: code, place and remedy on stderr",
    "WRONG_USAGE": "wrong usage of the command",
    "NOT_CERTIFIED": "solved, but a certificate or a claim fails",
    "NOT_SOLVED": "not solved, or the problem is infeasible",
    "OUR_FAULT": "a mistake in mechdsl itself",
    "INTERRUPTED": "interrupted",
    "NO_READER": "whoever read the output has closed it",
}
