"""A document as a page: one file, nothing fetched, no script; light and dark, wide and narrow, on paper too.

Everything that comes from a file is escaped on its way in; MathML and SVG are made here from data, never taken from a
text. A notebook gets the same blocks without the page around them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape

import sympy as sp

from mechdsl.report.diagram import svg
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
from mechdsl.report.formulas import display_mathml, mathml
from mechdsl.report.page_style import STYLE
from mechdsl.report.tex import tex_mathml

__all__ = ["as_html", "fragment"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"  # nothing fetched, nothing run
_FIGURE_SPACE = "\u2007"  # as wide as a digit


def as_html(document: Document) -> str:
    """The whole page."""
    title = _text(document.title)
    places = _anchored(document.sections)
    contents = "".join(_contents(section, places, 2) for section in document.sections)
    body = "".join(_section(section, 2, places) for section in document.sections)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="generator" content="mechdsl">\n<meta name="color-scheme" content="light dark">\n'
        f'<link rel="icon" href="data:,">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n'
        f'<body class="mechdsl page">\n<header><h1>{title}</h1>{_blocks(document.lead)}</header>\n'
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>\n<main>\n{body}</main>\n</body>\n</html>\n'
    )


def fragment(blocks: Iterable[Block], sections: Iterable[Section] = ()) -> str:
    """Blocks and sections for a notebook, with the style they need; light or dark is the notebook's."""
    inner = "".join(_section(section, 3, {}) for section in sections)
    return f'<div class="mechdsl"><style>{STYLE}</style>{_blocks(blocks)}{inner}</div>'


def _anchored(sections: Sequence[Section], above: str = "") -> dict[int, str]:
    """An address for every section, by its identity: words of its title, told apart by a number where they repeat."""
    found: dict[int, str] = {}
    for section in sections:
        words = "-".join(re.findall(r"[a-z0-9]+", section.title.lower())) or "section"
        name = f"{above}{words}"
        taken = list(found.values())
        while name in taken:
            name += "-2"
        found[id(section)] = name
        found |= _anchored(section.sections, f"{name}-")
    return found


def _contents(section: Section, places: dict[int, str], depth: int) -> str:
    inner = "".join(_contents(s, places, depth - 1) for s in section.sections) if depth > 1 else ""
    link = f'<a href="#{places[id(section)]}">{_text(section.title)}</a>'
    return f"<li>{link}{f'<ol>{inner}</ol>' if inner else ''}</li>"


def _section(section: Section, level: int, places: dict[int, str]) -> str:
    inner = "".join(_section(s, level + 1, places) for s in section.sections)
    heading = f"<h{level}>{_text(section.title)}</h{level}>"
    place = f' id="{places[id(section)]}"' if places else ""
    return f"<section{place}>{heading}{_blocks(section.blocks)}{inner}</section>\n"


# -------------------------------------------------------------------------------------------------------------- blocks


def _blocks(blocks: Iterable[Block]) -> str:
    return "".join(_block(block) for block in blocks)


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return f"<p>{_line(block.line)}</p>"
        case Items():
            return f"<ul>{''.join(f'<li>{_line(line)}</li>' for line in block.lines)}</ul>"
        case Terms():
            rows = (f"<div><dt>{_line(term)}</dt><dd>{_line(said)}</dd></div>" for term, said in block.rows)
            return f'<dl class="wide">{"".join(rows)}</dl>'
        case Display():
            label = f'<div class="label">{_line((Prose(block.label),))}</div>' if block.label else ""
            return f'{label}<div class="display" tabindex="0">{display_mathml(block.formula)}</div>'
        case Table():
            return _table(block)
        case Listing():
            spelt = "".join(f'<span class="{kind}">{_text(t)}</span>' if kind else _text(t) for kind, t in block.tokens)
            return f'<pre class="listing" tabindex="0"><code>{spelt}</code></pre>'
        case Diagrams():
            each = (f"<figure>{svg(d)}<figcaption>{_line(c)}</figcaption></figure>" for c, d in block.each)
            return f'<div class="diagrams">{"".join(each)}</div>'
        case Picture():
            return _picture(block)
        case Folded():
            state = " open" if block.open else ""
            return f"<details{state}><summary>{_line(block.summary)}</summary>{_blocks(block.blocks)}</details>"


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col"{_kind(j, table)}>{_text(h)}</th>' for j, h in enumerate(table.heads))
    body = "".join(_row(row, table) for row in table.rows)
    foot = f"<tfoot>{_row(table.total, table)}</tfoot>" if table.total else ""
    caption = f"<caption>{_text(table.caption)}</caption>" if table.caption else ""
    return (
        f'<div class="wide" tabindex="0"><table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>{foot}'
        f"</table></div>"
    )


def _row(row: Sequence[Line], table: Table) -> str:
    first, *others = row
    cells = "".join(f"<td{_kind(j, table)}>{_cell(cell)}</td>" for j, cell in enumerate(others, 1))
    return f'<tr><th scope="row">{_line(first)}</th>{cells}</tr>'


def _kind(place: int, table: Table) -> str:
    return "" if place in table.words else ' class="number"'


def _cell(cell: Line) -> str:
    """A cell; spaces after a number, which bring decimal points in line, as wide as digits."""
    spelt = _line(cell)
    bare = spelt.rstrip(" ")
    return bare + _FIGURE_SPACE * (len(spelt) - len(bare))


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.drawn("svg")).decode("ascii")
    caption = f"<figcaption>{_text(picture.caption)}</figcaption>" if picture.caption else ""
    alt = escape(picture.alt)
    return f'<figure class="picture"><img alt="{alt}" src="data:image/svg+xml;base64,{data}">{caption}</figure>'


# --------------------------------------------------------------------------------------------------------------- lines


def _line(line: Line) -> str:
    return "".join(_inline(piece) for piece in line)


def _inline(piece: Inline) -> str:
    match piece:
        case str():
            return _text(piece)
        case Prose():
            return _prose(piece.text)
        case Mark():
            return f'<span class="{escape(piece.kind)}">{_text(piece.text)}</span>'
        case Code():
            return f"<code>{_text(piece.text)}</code>"
        case sp.Basic():
            return mathml(piece)
    raise TypeError(piece)


def _prose(prose: str) -> str:
    pieces = prose.split("$")
    if len(pieces) % 2 == 0:  # a lone dollar is a dollar
        return _text(prose)
    return "".join(_mathematics(p) if n % 2 else _text(p) for n, p in enumerate(pieces))


def _mathematics(source: str) -> str:
    return tex_mathml(source) or f"<code>{_text(source)}</code>"


def _text(text: str) -> str:
    """Text for a page: escaped, without what no page can hold."""
    return escape("".join(c if c.isprintable() or c in "\n\t" else " " for c in text))
