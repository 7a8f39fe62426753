"""A document as markdown with `$...$` and `$$...$$`; diagrams and figures are SVG files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sympy as sp

from mechdsl.report.diagram import standalone_svg
from mechdsl.report.document import (
    Block,
    Code,
    Diagrams,
    Display,
    Document,
    Folded,
    Inline,
    Items,
    Line,
    Listing,
    Mark,
    Paragraph,
    Picture,
    Prose,
    Section,
    Table,
    Terms,
)
from mechdsl.report.formulas import display_latex, latex
from mechdsl.report.latex import Written
from mechdsl.report.prose import markdown_prose, markdown_text

__all__ = ["as_markdown", "fragment"]


def as_markdown(document: Document, folder: str = "figures") -> Written:
    """The whole document; its diagrams and figures lie in `folder`."""
    page = _Page(folder)
    page.add(f"# {markdown_text(document.title)}")
    page.blocks(document.lead)
    for section in document.sections:
        page.section(section, 2)
    return Written("\n\n".join(page.parts) + "\n", tuple(page.files))


def fragment(blocks: Iterable[Block], sections: Iterable[Section] = ()) -> str:
    """Blocks and sections for a notebook or a document of one's own; pictures and diagrams are left out."""
    page = _Page("")
    page.blocks(b for b in blocks if not isinstance(b, Diagrams | Picture))
    for section in sections:
        page.section(section, 3)
    return "\n\n".join(page.parts)


@dataclass(slots=True)
class _Page:
    """Paragraphs as they come, and the files they show."""

    folder: str
    parts: list[str] = field(default_factory=list)
    files: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.parts.append(text)

    def section(self, section: Section, level: int) -> None:
        self.add(f"{'#' * min(level, 6)} {markdown_text(section.title)}")
        self.blocks(section.blocks)
        for inner in section.sections:
            self.section(inner, level + 1)

    def blocks(self, blocks: Iterable[Block]) -> None:
        for block in blocks:
            self.block(block)

    def block(self, block: Block) -> None:
        match block:
            case Paragraph():
                self.add(_line(block.line))
            case Items():
                self.add("\n".join(f"- {_line(line)}" for line in block.lines))
            case Terms():
                self.add("\n".join(f"- {_line(term)}: {_line(said)}" for term, said in block.rows))
            case Display():
                label = f"{markdown_prose(block.label)}:\n\n" if block.label else ""
                self.add(f"{label}$$\n{display_latex(block.formula)}\n$$")
            case Table():
                self.add(_table(block))
            case Listing():
                text = "".join(token for _, token in block.tokens).rstrip("\n")
                fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
                self.add(f"{fence}mech\n{text}\n{fence}")
            case Diagrams():
                for number, (caption, drawn) in enumerate(block.each, 1):
                    self._shown(f"structure_{number}", drawn.alt, _line(caption), standalone_svg(drawn).encode())
            case Picture():
                self._shown(block.name, block.alt, markdown_text(block.caption), block.drawn("svg"))
            case Folded():
                self.add(_line(block.summary))
                self.blocks(block.blocks)

    def _shown(self, name: str, alt: str, caption: str, data: bytes) -> None:
        self.files.append((f"{name}.svg", data))
        self.add(f"![{markdown_text(alt)}]({self.folder}/{name}.svg)" + (f"\n\n{caption}" if caption else ""))


def _table(table: Table) -> str:
    rules = ["---" if j in table.words else "---:" for j in range(len(table.heads))]
    rows = [*table.rows, *((table.total,) if table.total else ())]
    lines = [_row([markdown_text(head) for head in table.heads]), _row(rules)]
    lines += [_row([_line(cell).strip() for cell in row]) for row in rows]
    caption = f"**{markdown_text(table.caption)}**\n\n" if table.caption else ""
    return caption + "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(line: Line) -> str:
    return "".join(_inline(piece) for piece in line)


def _inline(piece: Inline) -> str:
    match piece:
        case str():
            return markdown_text(piece)
        case Prose():
            return markdown_prose(piece.text)
        case Mark():
            around = {"faint": "*", "good": "**", "bad": "**", "strong": "**"}[piece.kind]
            bare = piece.text.strip()
            tail = " " if piece.text.endswith(" ") else ""
            return f"{around}{markdown_text(bare)}{around}{tail}" if bare else ""
        case Code():
            return f"`{piece.text.replace('`', ' ')}`"
        case sp.Basic():
            return f"${latex(piece)}$"
    raise TypeError(piece)
