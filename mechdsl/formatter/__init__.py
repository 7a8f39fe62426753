"""`mechdsl fmt`: one layout for a text, with every comment kept.

The tokens are laid out anew. Of the old layout three things are kept, because the writer meant them: blank lines
between groups (at most one), a body written on one line (if it still fits), and short statements that share a line in
a body. All else follows from the tokens and comments alone, so formatting twice changes nothing.
"""

from __future__ import annotations

from mechdsl.formatter.bodies import WIDTH, Layout
from mechdsl.syntax import parse_pieces

__all__ = ["WIDTH", "format_file"]


def format_file(text: str, name: str = "<text>") -> str:
    """The text in its one layout: `parse(format_file(text)) == parse(text)`, and its own layout is itself.

    Args:
        text: the contents of a `.mech` file.
        name: what the messages call it.

    Raises:
        MechError: the text does not parse.
    """
    lines = Layout(parse_pieces(text, name)).file()
    return "".join(f"{line}\n" for line in lines)
