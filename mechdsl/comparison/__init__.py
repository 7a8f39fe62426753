"""Regimes side by side in expectation, and which statements about them hold."""

from mechdsl.comparison.compare import Comparison, Side, compare
from mechdsl.comparison.verdict import Verdict

__all__ = ["Comparison", "Side", "Verdict", "compare"]
