"""What a market may ask for: sizes any text stays within, so that a short one can fill no memory and take no hours.

The limits lie far above what a market needs; each is said, with its number, by the message that refuses (M090, M091).
"""

from __future__ import annotations

__all__ = [
    "MAX_CONSTRAINTS",
    "MAX_CSV_BYTES",
    "MAX_DECISIONS",
    "MAX_ENTRIES",
    "MAX_ERRORS",
    "MAX_HEIGHT",
    "MAX_LABELS",
    "MAX_LAWS",
    "MAX_LETTERS",
    "MAX_NODES",
    "MAX_OBSERVATIONS",
    "MAX_POWER_BITS",
    "MAX_REGIMES",
    "MAX_TOTAL",
    "MAX_TYPES",
]

MAX_LABELS = 100_000  # of an index set
MAX_TYPES = 50_000  # entries of a type, each with its law
MAX_LAWS = 5_000  # different distributions of a type or a param
MAX_LETTERS = 16  # of a table, of a sum within sums; numpy has a limit of its own
MAX_ENTRIES = 10_000_000  # of a table, and combinations of labels that a sum runs over; 80 MB
MAX_TOTAL = 20_000_000  # of all the tables of all regimes
MAX_DECISIONS = 1_000_000  # entries of a decision
MAX_REGIMES = 100  # of a file
MAX_CONSTRAINTS = 200  # statements, each of which may stand for an index set
MAX_ERRORS = 100  # different ones; nobody reads more

MAX_NODES = 20_000  # of one formula, `let`s inlined
MAX_HEIGHT = 60  # parts within parts, likewise
MAX_POWER_BITS = 4_096  # of an exact power of numbers

MAX_CSV_BYTES = 50_000_000  # of a data file
MAX_OBSERVATIONS = 500_000  # rows of the file of an empirical distribution
