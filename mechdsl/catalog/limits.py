"""M09x: markets that are too large to be worked with, as opposed to texts that are too long to be read (M002)."""

from __future__ import annotations

from mechdsl.catalog.explanation import Explanation

__all__ = ["LIMITS"]

LIMITS = (
    Explanation(
        "M090",
        "an index set or a table that is too large",
        "An index set may have 100,000 labels, a type 50,000 entries with 5,000 different distributions, a decision "
        "1,000,000 entries, a param 10,000,000 (all params of all regimes 20,000,000). A sum may run over 10,000,000 "
        "combinations of labels. A file may have 100 regimes, and each of them 200 constraints. Beyond that a short "
        "text could fill the memory of any machine.",
        "Group what is alike: several creators with one cost law are one creator with a larger weight, or a smaller "
        "number of typical ones.",
        bad="index n in readers = 1..1000000000",
        good="index n in readers = 1..1000",
    ),
    Explanation(
        "M091",
        "a formula that is too large",
        "Formulas are exact until they are evaluated: numbers are fractions, and lets are written out where they are "
        "used. A power whose exact value would have thousands of digits, or a formula of more than 20,000 parts once "
        "its lets are written out, is refused before it is made; so is a chain of lets that nests more than 60 deep.",
        "Write the number itself, as a decimal, or a power as exp(b * log(a)), which is not exact. Let lets use "
        "indexed params and sums instead of long chains of each other.",
        bad="param price = 9^9^9^9",
        good="param price = 9^9",
    ),
)
