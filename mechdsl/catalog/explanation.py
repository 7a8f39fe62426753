"""The form of an entry of the catalogue, and what the first digits of a code say.

A snippet is a statement or two; `SETTING` is the market that it belongs to, for a reader who wants to try it and for
the test that does.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["RANGES", "SETTING", "Explanation"]

RANGES: Mapping[str, str] = MappingProxyType(
    {
        "M00": "the text",
        "M01": "names",
        "M02": "indices",
        "M03": "data",
        "M04": "types and their distributions",
        "M05": "the form of the market",
        "M06": "market structures and plugins",
        "M08": "files beside the market",
        "M09": "limits",
        "M10": "the diagnosis of `mechdsl check`",
        "M11": "the diagnosis of `mechdsl check --deep`",
    }
)
"""The first digits of a code, and what it is about."""

SETTING = """\
market setting "The market that the snippets belong to"
index k, i in domains = {video, text}
param d[k] in [0, inf) = {video: 3, text: 4}
layer platform
layer creator[k] {
  type c[k] ~ uniform(0.1, 1)
  choose x[k] >= 0
  cost c[k] * x[k]^2
}
demand[k]: x[k] >= d[k]
contract platform -> creator: direct
objective platform: maximize revenue
report c = 0.5
"""
"""What a snippet may use; what it states anew takes the place of what stands here."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One kind of mistake.

    Args:
        code: `M` and three digits.
        title: what is wrong, in a few words.
        cause: how it comes about; whole sentences.
        remedy: what to do; whole sentences.
        bad: a snippet that has it; empty where no text alone can. One with a `market` statement stands for itself.
        good: the same, mended.
    """

    code: str
    title: str
    cause: str
    remedy: str
    bad: str = ""
    good: str = ""

    def __str__(self) -> str:
        prose = (textwrap.fill(text, 100) for text in (self.cause, self.remedy))
        parts = [f"{self.code} ({RANGES[self.code[:3]]}): {self.title}", *prose]
        if self.bad:
            with_it, without = ("With it:", "Without:") if self.code.startswith(_REMARKS) else ("Wrong:", "Right:")
            parts += [with_it, textwrap.indent(self.bad, "    "), without, textwrap.indent(self.good, "    ")]
        return "\n\n".join(parts)


_REMARKS = ("M10", "M11")  # what check says finds nothing wrong
