"""M02x: indices that are too many or too few, of the wrong set, bound twice or not at all."""

from __future__ import annotations

from mechdsl.catalog.explanation import Explanation

__all__ = ["INDICES"]

INDICES = (
    Explanation(
        "M020",
        "the wrong number of indices",
        "A name takes as many indices as its declaration has letters, everywhere: param mu[i, k] is used as mu[i, k], "
        "mu[video, k] or mu[k, k], never as mu or mu[i]. Only where a value is given does a bare name stand for all "
        "entries: `set mu = 0`, `--set mu=0`.",
        "Give every index, in the order of the declaration, which the message shows. To add up over an index write "
        "sum(k: d[k]).",
        bad="let total = sum(k: d)",
        good="let total = sum(k: d[k])",
    ),
    Explanation(
        "M021",
        "an index of another index set",
        "Every place of a declaration belongs to an index set. A letter, or a param whose values are labels, that "
        "ranges over another set cannot stand there, even if both sets have the same labels; nor can the two be "
        "compared. A layer keeps its letters wherever it is named again.",
        "Use a letter of the set that the message names. Which label of the one belongs to a label of the other is a "
        "param: `param home[n] in domains = ...`, and then d[home[n]].",
        bad="index n in creators = 1..3\nlet demand_of[n] = d[n]",
        good="index n in creators = 1..3\nparam home[n] in domains = {1: video, 2: text, 3: text}\n"
        "let demand_of[n] = d[home[n]]",
    ),
    Explanation(
        "M022",
        "an index letter that is bound already",
        "Within sum(k: ...), and within a statement made for each k, the letter k has one meaning. To bind it once "
        "more inside would hide the first, and d[k] could be read in two ways.",
        "Use another letter of the same set; an index set may have several: `index k, i in domains = ...`.",
        bad="let gap[k] = sum(k: d[k]) - d[k]",
        good="let gap[k] = sum(i: d[i]) - d[k]",
    ),
    Explanation(
        "M023",
        "an index letter that nothing binds",
        "The letter stands in a formula that is neither made for each of its labels nor inside a sum over it, so it "
        "does not say which entry is meant.",
        "State it for each label, with the letter after the name, as in let g[k] = ... or demand[k]: ...; or sum over "
        "it; or name one label, as in d[video].",
        bad="let total = d[k]",
        good="let total = sum(k: d[k])",
    ),
    Explanation(
        "M024",
        "arithmetic with an index",
        "An index is a letter, a label, or a param whose values are labels: x[k + 1] is not part of the language, for "
        "labels have no order that a formula may rest on. As a number a letter may be used where its labels are "
        "numbers that follow each other, as in index t in times = 1..10.",
        "Which label follows which is data: a param with `in` and the name of the index set.",
        bad="let gain[k] = d[k + 1] - d[k]",
        good="param next[k] in domains = {video: text, text: video}\nlet gain[k] = d[next[k]] - d[k]",
    ),
)
