"""A document as data: sections, sentences, formulas, tables, diagrams, figures. How they look is a renderer's matter.

`html`, `latex` and `markdown` beside this file each render every kind of block; what a market, a derivation or a result
consists of is said once, in these words. Text is text: nothing in it is markup, but for `Prose`, whose `$...$` is TeX.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import sympy as sp

from mechdsl.report.diagram import Diagram

__all__ = [
    "Block", "Code", "Diagrams", "Display", "Document", "Folded", "Inline", "Items", "Line", "Listing", "Mark",
    "Paragraph", "Picture", "Prose", "Section", "Table", "Terms", "line",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prose:
    """A sentence; what stands between `$` is TeX."""

    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Words with a meaning: `good`, `bad`, `faint` or `strong`."""

    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Code:
    """A word of the language, a name, a command."""

    text: str


Inline: TypeAlias = "str | Prose | Mark | Code | sp.Basic"
"""A piece of a line: plain text, or one of the above, or a formula."""

Line: TypeAlias = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    line: Line


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is what: a term and what is said of it, line by line."""

    rows: tuple[tuple[Line, Line], ...]


@dataclass(frozen=True, slots=True)
class Display:
    """A formula on a line of its own, labelled perhaps."""

    formula: sp.Basic
    label: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Labels on the left, then columns.

    Args:
        caption: what it shows.
        heads: of all columns, the first one's included.
        rows: cells; the first is the row's head.
        total: a last row set apart; () for none.
        words: places of the columns that hold words; the others hold numbers, flush right, padded so that their
            decimal points agree.
    """

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    total: tuple[Line, ...] = ()
    words: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Listing:
    """A text of the language, by its tokens: what each is (`keyword`, `name`, ..., `` for space), and how it is
    spelt.
    """

    tokens: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Diagrams:
    """Who pays whom, side by side: a caption and a drawing each."""

    each: tuple[tuple[Line, Diagram], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure.

    Args:
        name: for a file.
        alt: what it shows, for whoever cannot see it; caption: what stands beneath.
        drawn: its bytes as `svg` or `pdf`.
    """

    name: str
    alt: str
    caption: str
    drawn: Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Folded:
    """Blocks under a line, shown on demand where the medium can fold; all blocks of a group fold alike."""

    summary: Line
    blocks: tuple[Block, ...]
    open: bool = False


Block: TypeAlias = "Paragraph | Items | Terms | Display | Table | Listing | Diagrams | Picture | Folded"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what stands under it, and the sections within."""

    title: str
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A title, what the reader meets first, and sections."""

    title: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]


def line(*pieces: Inline) -> Line:
    """A line of its pieces."""
    return pieces
