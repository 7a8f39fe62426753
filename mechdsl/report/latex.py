r"""A document as LaTeX: ASCII that pdflatex compiles as it stands, with amsmath and, for figures, graphicx.

Wide tables go on beneath; a diagram is LaTeX's own `picture`; figures are files beside the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sympy as sp

from mechdsl.report.diagram import Diagram
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
from mechdsl.report.formulas import display_latex, is_wide, latex
from mechdsl.report.prose import latex_prose, latex_text

__all__ = ["Written", "as_latex"]

_HEADINGS = ("section", "subsection", "subsubsection", "paragraph")
_WIDE = 84  # characters across a table
_EMS = 45  # of small letters across a page
_ROWS = 30  # of a table that stay together
_SHRINK = r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}"
_RUN = 16  # letters of code after which a line may end
_TYPED = '\\{}$&#%_^~"<>|'
_SCALE = 0.62  # of a diagram's units, in points


@dataclass(frozen=True, slots=True)
class Written:
    """A document's text, and the files that belong beside it, by name."""

    text: str
    files: tuple[tuple[str, bytes], ...] = ()


def as_latex(document: Document, folder: str = "figures") -> Written:
    """The whole document; its figures lie in `folder`."""
    body = [*_blocks(document.lead, folder), *(t for s in document.sections for t in _section(s, 0, folder))]
    pictures = _pictures(document)
    graphics = bool(pictures) or any(_SHRINK in text for text in body)
    lines = [
        r"\documentclass{article}",
        r"\usepackage{amsmath}",
        *([r"\usepackage{graphicx}"] if graphics else []),
        r"\addtolength{\textwidth}{8em}\addtolength{\oddsidemargin}{-4em}",
        r"\addtolength{\textheight}{8\baselineskip}\addtolength{\topmargin}{-4\baselineskip}",
        r"\sloppy",
        rf"\title{{{latex_text(document.title)}}}",
        r"\author{}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
        *body,
        r"\end{document}",
        "",
    ]
    return Written("\n".join(lines), tuple((f"{p.name}.pdf", p.drawn("pdf")) for p in pictures))


def _pictures(document: Document) -> list[Picture]:
    def within(sections: Iterable[Section]) -> Iterable[Block]:
        for section in sections:
            yield from section.blocks
            yield from within(section.sections)

    return [b for b in within(document.sections) if isinstance(b, Picture)]


def _section(section: Section, level: int, folder: str) -> list[str]:
    heading = _HEADINGS[min(level, len(_HEADINGS) - 1)]
    lines = [rf"\{heading}*{{{latex_text(section.title)}}}", *_blocks(section.blocks, folder)]
    return [*lines, *(t for s in section.sections for t in _section(s, level + 1, folder))]


# -------------------------------------------------------------------------------------------------------------- blocks


def _blocks(blocks: Iterable[Block], folder: str) -> list[str]:
    return [text for block in blocks for text in _block(block, folder)]


def _block(block: Block, folder: str) -> list[str]:
    match block:
        case Paragraph():
            return [rf"\noindent {_line(block.line)}\par"]
        case Items():
            return [rf"\noindent {_line(line)}\par" for line in block.lines]
        case Terms():
            items = [rf"\item[{{{_line(term)}}}] {_line(said)}" for term, said in block.rows]
            return [r"\begin{description}", *items, r"\end{description}"] if items else []
        case Display():
            label = [rf"\noindent {latex_prose(block.label)}:"] if block.label else []
            return [*label, rf"\[ {_shrunk(display_latex(block.formula), wide=is_wide(block.formula))} \]"]
        case Table():
            return _tables(block)
        case Listing():
            return _listing(block)
        case Diagrams():
            each = [text for caption, drawn in block.each for text in _drawing(drawn, caption)]
            return [r"\noindent", *each, r"\mbox{}\par"]
        case Picture():
            place = rf"\noindent\includegraphics[width=0.8\textwidth]{{{folder}/{block.name}.pdf}}\par"
            return [place, *([rf"\noindent {latex_text(block.caption)}\par"] if block.caption else [])]
        case Folded():
            return [rf"\medskip\noindent {_line(block.summary)}\par", *_blocks(block.blocks, folder)]


def _shrunk(display: str, *, wide: bool) -> str:
    """A display that may be wider than the page, though it was broken where it can be: scaled down to it, if it is."""
    return rf"{_SHRINK}{{!}}{{$\displaystyle {display}$}}" if wide else display


def _tables(table: Table) -> list[str]:
    """The table; what is too wide in several, each with the labels on the left; words apart from numbers wrap."""
    spelt = [[_width(cell) for cell in row] for row in (*table.rows, *((table.total,) if table.total else ()))]
    widths = [max([len(head), *(row[j] for row in spelt if j < len(row))]) + 2 for j, head in enumerate(table.heads)]
    widths = [min(w, 58) if j in table.words else w for j, w in enumerate(widths)]
    groups: list[list[int]] = [[]]
    for j in range(1, len(table.heads)):
        if groups[-1] and widths[0] + sum(widths[k] for k in groups[-1]) + widths[j] > _WIDE:
            groups.append([])
        groups[-1].append(j)
    lines = (
        [r"\medskip\noindent " + rf"\textbf{{{latex_text(table.caption)}}}\par\nopagebreak"] if table.caption else []
    )
    return [*lines, *(text for group in groups for text in _tabular(table, [0, *group], widths))]


def _tabular(table: Table, columns: Sequence[int], widths: Sequence[int]) -> list[str]:
    """Rows stand apart where pages break, so a table may go on overleaf: one `tabular` for so many of them."""
    wraps = {j: widths[j] * 0.42 for j in columns if j in table.words and widths[j] > 24}
    room = _EMS - len(columns) - sum(widths[j] * 0.5 for j in columns if j not in wraps)
    shrink = min(1.0, max(0.3, room / sum(wraps.values()))) if wraps else 1.0
    narrow = {j: f"p{{{ems * shrink:.1f}em}}" for j, ems in wraps.items()}
    kinds = "".join(narrow.get(j, "l" if j in table.words else "r") for j in columns)

    def row(cells: Sequence[str]) -> str:
        spelt = (rf"\raggedright {cells[j]}" if j in wraps else cells[j] for j in columns)
        return " & ".join(spelt) + r" \tabularnewline"

    head = row([latex_text(head) for head in table.heads]) + r" \hline"
    rows = [row([_cell(cell) for cell in cells]) for cells in table.rows]
    pieces = [rows[n : n + _ROWS] for n in range(0, max(1, len(rows)), _ROWS)]
    lines: list[str] = []
    for number, piece in enumerate(pieces, 1):
        last = table.total and number == len(pieces)
        total = [r"\hline " + row([_cell(cell) for cell in table.total])] if last else []
        lines += [
            rf"\smallskip\noindent{{\small\raggedright\begin{{tabular}}{{{kinds}}}",
            head, *piece, *total, r"\end{tabular}\par}",
        ]  # fmt: skip
    return lines


def _width(cell: Line) -> int:
    return sum(len(piece if isinstance(piece, str) else getattr(piece, "text", "x" * 12)) for piece in cell)


def _cell(cell: Line) -> str:
    """A cell; spaces after a number as wide as digits; a bracket at its head must not become an option of the row."""
    spelt = _line(cell)
    bare = spelt.rstrip(" ")
    pad = len(spelt) - len(bare)
    return ("{}" if bare.startswith("[") else "") + bare + (rf"\phantom{{{'0' * pad}}}" if pad else "")


def _listing(listing: Listing) -> list[str]:
    """The text in typewriter letters, line by line; a line that is too long goes on, hung, at a space."""
    lines: list[list[str]] = [[]]
    for kind, text in listing.tokens:
        for number, part in enumerate(text.splitlines() or [""] if text != "\n" else ["", ""]):
            if number:
                lines.append([])
            if part:
                lines[-1].append(_token(kind, part, first=not lines[-1]))
        if text.endswith("\n") and text != "\n":
            lines.append([])
    while lines and not lines[-1]:
        lines.pop()
    spelt = [rf"\hangindent=2em\noindent\mbox{{}}{''.join(pieces)}\par" for pieces in lines]
    return [r"{\footnotesize\raggedright\ttfamily\hyphenchar\font=-1", *spelt, "}"]


def _token(kind: str, text: str, *, first: bool) -> str:
    """Typewriter letters have no bold ones in LaTeX's own fonts: keywords stand as they are, comments slant."""
    bare = text.lstrip(" ") if first else text
    indent = rf"\hspace*{{{(len(text) - len(bare)) * 0.53:.2f}em}}" if len(bare) < len(text) else ""
    spelt = r"\ ".join("".join(map(_typed, part)) for part in bare.replace("\t", "  ").split(" "))
    return indent + (rf"\textsl{{{spelt}}}" if kind == "comment" else spelt)


def _typed(character: str) -> str:
    """A character in typewriter letters, which have all of ASCII at its own places."""
    return rf"{{\char{ord(character)}}}" if character in _TYPED else latex_text(character)


def _drawing(drawn: Diagram, caption: Line) -> list[str]:
    """The diagram in a `picture`, whose y grows upwards; strokes are upright or level."""

    def at(x: float, y: float) -> str:
        return f"({x:.1f},{drawn.height - y:.1f})"

    lines = [
        rf"\begin{{minipage}}[t]{{{max(130.0, drawn.width * _SCALE):.0f}pt}}\raggedright "
        rf"{_line(caption)}\par\smallskip",
        rf"{{\setlength{{\unitlength}}{{{_SCALE}pt}}\scriptsize\begin{{picture}}({drawn.width:.1f},{drawn.height:.1f})",
    ]
    for box in drawn.boxes:
        head = latex_text(box.name) if box.faint else rf"\textbf{{{latex_text(box.name)}}}"
        words = r"\\".join([head, *(latex_text(text) for text in box.lines)])
        inner = rf"\makebox({box.width:.1f},{box.height:.1f}){{\shortstack{{{words}}}}}"
        frame = r"\dashbox{4}" if box.faint else r"\framebox"
        lines.append(rf"\put{at(box.x, box.y + box.height)}{{{frame}({box.width:.1f},{box.height:.1f}){{}}}}")
        lines.append(rf"\put{at(box.x, box.y + box.height)}{{{inner}}}")
    for arrow in drawn.arrows:
        for number, ((x, y), (u, v)) in enumerate(zip(arrow.corners, arrow.corners[1:], strict=False), 2):
            length, way = abs(u - x) + abs(v - y), f"({(u > x) - (u < x)},{(v < y) - (v > y)})"
            stroke = "vector" if number == len(arrow.corners) else "line"
            lines += [rf"\put{at(x, y)}{{\{stroke}{way}{{{length:.1f}}}}}"] if length > 0.05 else []
        lines.append(rf"\put{at(*arrow.label_at)}{{\textit{{{latex_text(arrow.label)}}}}}")
    return [*lines, r"\end{picture}}\par\medskip\end{minipage}\hfill"]


# --------------------------------------------------------------------------------------------------------------- lines


def _line(line: Line) -> str:
    return "".join(_inline(piece) for piece in line)


def _inline(piece: Inline) -> str:
    match piece:
        case str():
            return latex_text(piece)
        case Prose():
            return latex_prose(piece.text)
        case Mark():
            style = {"faint": "emph"}.get(piece.kind, "textbf")
            return rf"\{style}{{{latex_text(piece.text)}}}"
        case Code():
            words = [latex_text(piece.text[n : n + _RUN]) for n in range(0, len(piece.text), _RUN)]
            spelt = r"\allowbreak{}".join(words)
            return rf"\texttt{{{spelt}}}"
        case sp.Basic():
            return f"${latex(piece)}$"
    raise TypeError(piece)
