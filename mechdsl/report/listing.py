"""A text of the language by its tokens, as its own parser reads them: a keyword is one only where it is used as one."""

from __future__ import annotations

from collections.abc import Mapping

from mechdsl import syntax
from mechdsl.report.document import Listing

__all__ = ["listing"]

_KINDS: Mapping[str, str] = {
    "NAME": "name",
    "PATH": "name",
    "STRING": "string",
    "NUMBER": "number",
    "AGGREGATE": "keyword",
}


def listing(text: str) -> Listing:
    """The text, which has been parsed before, with what each of its tokens is."""
    text = text.removeprefix("\ufeff")
    pieces = syntax.parse_pieces(text)
    known = [(t.start_pos or 0, str(t), _kind(t.type, str(t))) for t in pieces.tokens]
    known += [(c.start_pos or 0, str(c), "comment") for c in pieces.comments]
    tokens: list[tuple[str, str]] = []
    place = 0
    for start, written, kind in sorted(known):
        if start >= place and text.startswith(written, start):  # the end of the text is a token of no letters
            tokens += [("", text[place:start])] if start > place else []
            tokens.append((kind, written))
            place = start + len(written)
    return Listing((*tokens, ("", text[place:])))


def _kind(terminal: str, written: str) -> str:
    return _KINDS.get(terminal, "keyword" if written.isalpha() else "sign")
