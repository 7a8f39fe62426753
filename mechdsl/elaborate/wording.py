"""What the messages about names and expressions have in common: what things are called, and what to write instead.

The words of other modelling languages are answered with this one's; that is all the mercy a misspelt text gets.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType

from mechdsl import syntax_tree as tree

__all__ = ["ELSEWHERE", "INFINITY", "LAWS", "NO_EXPRESSION", "ROLES", "here", "number_text", "other_letter", "unbound"]

ROLES: Mapping[str, str] = MappingProxyType(
    {
        "letter": "an index letter",
        "param": "a param",
        "let": "a let",
        "type": "a private type",
        "choice": "a decision",
        "decision": "a decision",
        "state": "a state",
        "common": "a random factor",
    }
)
"""What a name of each kind is called."""

ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("pow", "power"), "A power is written with '^', as in x^2."),
        **dict.fromkeys(("ln", "log10", "log2"), "The natural logarithm is log(x); to base b it is log(x) / log(b)."),
        **dict.fromkeys(("E", "expectation", "expected"), "The mean of a private type is mean(c[k])."),
        **dict.fromkeys(("ifelse", "iif", "piecewise", "where"), "A choice of two values is if(condition, a, b)."),
        **dict.fromkeys(("sigma", "Sum", "SUM", "total"), "A sum over an index is sum(k: x[k])."),
        **dict.fromkeys(("sqr", "square"), "A square is x^2, a root sqrt(x)."),
        **dict.fromkeys(("Max", "MAX", "maximum"), "The greater of two is max(a, b)."),
        **dict.fromkeys(("Min", "MIN", "minimum"), "The lesser of two is min(a, b)."),
        "dict": "A map by label is {video: 3, text: 4}.",
        **dict.fromkeys(("list", "array", "vector", "c"), "A list of values is [3, 4]."),
        "range": "A range of labels is 1..20.",
        "product": "A product over an index is prod(i: x[i]).",
        "csv": 'A file is all of a param\'s value: param table[k] = csv("table.csv"); then use table[k].',
        "noise": "It stands in a signal alone: signal s[i] = theta + noise(variance = 1 / e[i]).",
    }
)
"""Functions of other languages, and of other places in this one: what to write instead."""

INFINITY = ("infinity", "Infinity", "Inf", "INF", "oo", "infty")
"""How others write `inf`."""

LAWS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("U", "Uniform", "unif", "runif"), "uniform"),
        **dict.fromkeys(("N", "Normal", "norm", "gaussian", "Gaussian", "rnorm"), "normal"),
        **dict.fromkeys(("Exp", "exp", "expon"), "exponential"),
        **dict.fromkeys(("logn", "LogNormal", "lognorm"), "lognormal"),
        **dict.fromkeys(("Beta",), "beta"),
        **dict.fromkeys(("triangle", "tri"), "triangular"),
        **dict.fromkeys(("constant", "dirac", "degenerate", "known", "fixed"), "point"),
        **dict.fromkeys(("discrete", "sample", "data", "histogram"), "empirical"),
    }
)
"""Distributions as other languages call them."""

NO_EXPRESSION: Mapping[type, tuple[str, str]] = MappingProxyType(
    {
        tree.Truncated: ("a distribution", "Draw a param from it first: `param a ~ normal(0, 1) on [0, 2]`."),
        tree.Within: (
            "a quantity of another regime",
            "Tables and figures compare regimes; a formula speaks of its own. (A product is written with '*'.)",
        ),
        tree.String: ("a string", "A formula is made of numbers and names, and names stand without quotes."),
        tree.Mapping: ("a map", "Give it a name first: `param a[k] = {video: 1, text: 2}`, then a[k]."),
        tree.Sequence: ("a list", "Give it a name first: `param a[k] = [1, 2]`, then a[k]."),
    }
)
"""What is a value and no expression: its name, and what to do."""


def here(count: int) -> str:
    """`here are 2`: how many there are of what is counted."""
    return "here is 1" if count == 1 else f"here are {count or 'none'}"


def number_text(value: float) -> str:
    """A number as it would be typed; digits enough to tell 1.00000001 from 1."""
    return f"{value:.12g}"


def unbound(letter: str) -> str:
    """What to do about a letter that nothing binds."""
    return f"Sum over it, `sum({letter}: ...)`, or state it for each {letter}, with [{letter}] after the name."


def other_letter(index_set: str, letters: Sequence[str], taken: Container[str]) -> str:
    """What to write in place of a letter that is bound already: another of the `letters` that range over the set."""
    free = [letter for letter in letters if letter not in taken]
    if free:
        return f"Use another letter that ranges over {index_set}: {' or '.join(free)}."
    return f"Declare another letter for it: `index {', '.join((*letters, '...'))} in {index_set} = ...`."
