"""M01x: names that are unknown, given twice, or stand for something else than the place wants."""

from __future__ import annotations

from mechdsl.catalog.explanation import Explanation

__all__ = ["NAMES"]

NAMES = (
    Explanation(
        "M010",
        "a name that nothing declares",
        "A formula, `set`, `report`, `vary` or an objective names a quantity that the file does not declare, or one "
        "of the wrong kind: `set` and `vary` change params, `report` gives the values of private types, and the name "
        "of a layer, of an index set or of a label is no quantity. Most often a name is misspelt.",
        "Correct the spelling, or declare what is meant: a param for what is known, a let for a formula, a type or a "
        "choose in the layer that it belongs to. The goal of an objective is revenue, welfare, profit or payoff, or "
        "an expression.",
        bad="let total = sum(k: demnd[k])",
        good="let total = sum(k: d[k])",
    ),
    Explanation(
        "M011",
        "a name that is given twice",
        "Params, lets, types, choices, states, common factors and index letters share one set of names, for the "
        "whole file and all its layers; index sets, constraints, regimes, claims and experiments have each their own. "
        "A layer has one cost, one value and one outside option, and a type one report. Naming a layer again is no "
        "mistake: it adds to the layer.",
        "Rename one of the two. To give a param another value in a regime write `set d = ...`; to add to a cost write "
        "the sum.",
        bad="param price = 3\nlet price = 4",
        good="param price = 3\nlet price_twice = 2 * price",
    ),
    Explanation(
        "M012",
        "what follows `~` is no known distribution",
        "A private type, a drawn param and a common factor need a distribution, and what stands there is none that "
        "is known: the name is misspelt, or it is a number. Common factors are normally distributed, because the "
        "precision of what signals say together is worked out for normal noise.",
        "Choose one of the distributions that the message lists. A type that everybody knows is point(v).",
        bad="param price ~ unifrom(1, 2)",
        good="param price ~ uniform(1, 2)",
    ),
    Explanation(
        "M013",
        "a call that the language does not know",
        "The functions are exp, log, sqrt, abs, min, max and if(condition, a, b); mean, lower and upper are of a "
        "private type; sum and prod run over an index. The message tells whether the function is unknown or its "
        "arguments do not fit. Distributions are no functions: they follow `~`. The arguments of a contract are named.",
        "Write the function in the language's words: log for ln, x^2 for pow(x, 2), sum(k: x[k]) for a sum over an "
        "index. For a contract write direct(payment = randomized).",
        bad="let effort = sum(k: ln(1 + x[k]))",
        good="let effort = sum(k: log(1 + x[k]))",
    ),
    Explanation(
        "M014",
        "what stands for an index is none",
        "After sum and prod, and in the brackets of a declaration, stand index letters: names that an `index` "
        "statement introduces. After `in`, where no interval stands, an index set is expected. The name that is shown "
        "is neither.",
        "Declare the letter, `index j in ...`, or use one that is declared. An index set is named in `index` and after "
        "`in` alone; everywhere else its letters stand for it.",
        bad="param price[j] = 3",
        good="index j in sellers = 1..3\nparam price[j] = 3",
    ),
    Explanation(
        "M015",
        "a label that the index set does not have",
        "In d[video], d.video or {video: 3} the label must be one of those that the `index` statement lists. Labels "
        "are compared letter by letter: Video is not video, and the number 3 is a label of 1..3 alone.",
        "Correct the label; the message lists those of the set. To add one, add it where the index set is declared.",
        bad="let first = d[vidoe]",
        good="let first = d[video]",
    ),
    Explanation(
        "M016",
        "a layer that is not declared",
        "Contracts, objectives and `represents` name layers: the actors of the market. The one that is shown is "
        "declared neither at the top of the file nor in this regime. A layer that one regime declares is unknown to "
        "the others.",
        "Correct the name, or declare the layer: `layer broker` is enough for one that only deals.",
        bad="contract plattform -> creator: direct",
        good="contract platform -> creator: direct",
    ),
    Explanation(
        "M017",
        "a regime that the file does not have",
        "Claims and experiments speak of regimes by name, and there is none of this name. A file without a `regime` "
        "statement has one regime, which is called main.",
        "Correct the name, or add the regime.",
        bad="claim ranking: revenue(main) >= revenue(M2)",
        good="claim gain: welfare(main) >= revenue(main)",
    ),
    Explanation(
        "M018",
        "a claim of what cannot be compared",
        "Claims are decided on expected figures: outcomes and decisions of regimes, their sums and multiples. The "
        "expectation of a product or of another function does not follow from those of its parts, and params and "
        "types are no outcomes.",
        "Compare sums and multiples of outcomes; what is no such sum can be tabulated over draws in an experiment.",
        bad="claim large: revenue(main)^2 >= 1",
        good="claim large: 2 * revenue(main) >= -1000",
    ),
    Explanation(
        "M019",
        "a definition that goes round in a circle",
        "To work out the name that is shown one needs the next in the chain, and so on, back to itself. The order of "
        "the statements does not matter, so turning them round is no way out.",
        "Break the chain: state one of the values as a number. What has to solve an equation is a decision, a "
        "`choose` with a constraint, and not a let.",
        bad="let a = 1 + b\nlet b = a / 2",
        good="let a = 2\nlet b = a / 2",
    ),
)
