"""M04x: distributions that are none, supports without an end, and what may not depend on a private type."""

from __future__ import annotations

from mechdsl.catalog.explanation import Explanation

__all__ = ["TYPES"]

TYPES = (
    Explanation(
        "M040",
        "arguments that make no distribution",
        "The distribution is known, its arguments do not fit: their number, a standard deviation that is not positive, "
        "a support that is empty or has its ends in the wrong order, weights of a mixture that do not sum to one, a "
        "density that is not positive everywhere between the ends of its support, a truncation to where there is "
        "almost no mass. Some distributions need a support, `on [a, b]`, others say by themselves where they live.",
        "Correct the argument that the message names. A type that is known for certain is point(v), not a support of "
        "length zero.",
        bad="param price ~ uniform(1, 0.1)",
        good="param price ~ uniform(0.1, 1)",
    ),
    Explanation(
        "M041",
        "a private type whose support is not finite",
        "The payments of the mechanisms rest on the highest possible type: the provider who might have had the "
        "highest cost must be willing to take part, and everybody with a lower one earns the difference. Without a "
        "highest type no payment is finite. (A param may be drawn from such a distribution; a private type may not.)",
        "Truncate it: normal(m, s) on [a, b]. A wide support costs more than a narrow one; take the end from what can "
        "occur.",
        bad="layer platform { type quality ~ normal(0.5, 0.2) }\nreport quality = 0.5",
        good="layer platform { type quality ~ normal(0.5, 0.2) on [0, 1] }\nreport quality = 0.5",
    ),
    Explanation(
        "M042",
        "something that must not depend on a private type does",
        "Types are drawn independently of each other, so that the distribution of one cannot use another: what is "
        "known of optimal mechanisms with correlated types is of another kind altogether (full surplus extraction). "
        "And what a demand or another constraint asks for is known to all, so that no private type may stand in it.",
        "Let the distributions share a param instead of a type. In a constraint use what is known of the type, "
        "mean(c[k]) or upper(c[k]).",
        bad="constraint budget[k]: c[k] * x[k] <= 9",
        good="constraint budget[k]: upper(c[k]) * x[k] <= 9",
    ),
)
