"""What became of a claim: holds, fails or undecided, by what, under which condition, and the numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mechdsl.theory.substitution import Substitution

__all__ = ["Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim's verdict.

    Args:
        name: of the claim; text: what it says.
        holds: True, False, or None: undecided.
        by: `identity` (equal by derivation), `bounds` (numbers with their errors), or `certificate`.
        condition: under which it is guaranteed, and whether this instance meets it; empty if none is known.
        detail: the relations one by one, with numbers.
        ranked: whether a ranking in it rests on outputs being substitutes.
        source: of a published claim.
    """

    name: str
    text: str
    holds: bool | None
    by: str
    condition: str
    detail: str
    ranked: bool = True
    source: str = ""

    def because(self, substitutes: Callable[[], Substitution | None]) -> Verdict:
        """With the reason for its failure, where complements are it."""
        if not self.ranked:
            return self
        found = substitutes()
        if found is None or found.worst is None:
            return self
        reason = f"Outputs are complements here, and the ranking needs substitutes: {found.worst}."
        return self if reason in self.detail else replace(self, detail=f"{self.detail} {reason}")
