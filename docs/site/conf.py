"""How Sphinx makes the site: markdown, formulas as MathML (no script, no network), docstrings as they are written."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from pygments.lexer import RegexLexer
from pygments.lexer import words as any_of
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Text
from words import SMALL_WORDS, STATEMENTS

from mechdsl import __version__

project = "mechdsl"
author = copyright = "The mechdsl developers"  # noqa: A001 - Sphinx's name
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = "mechdsl"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "monokai"

myst_enable_extensions = ["dollarmath"]
smartquotes = False  # formulas in words have primes
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]

autodoc_typehints = "none"
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False
napoleon_custom_sections = ["Source"]
html_math_renderer = "mathml"
# Names of other projects, and of mechdsl's that are not public.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|numpy|sympy|typing)\..*|mechdsl\.formula\.Quantity"),
    ("py:exc", r"\w+"),  # after `Raises`: some are not for outside
]


KEYWORDS = tuple({**STATEMENTS, **SMALL_WORDS})


class MechLexer(RegexLexer):  # type: ignore[misc]
    """`.mech` in colour."""

    name = "mech"
    aliases = ["mech"]  # noqa: RUF012 - as pygments wants it
    tokens = {  # noqa: RUF012 - as pygments wants it
        "root": [
            (r"#[^\n]*", Comment),
            (r'"[^"\n]*"', String),
            (
                any_of(KEYWORDS, prefix=r"\b", suffix=r"\b(?!\s*=)"),
                Keyword,
            ),
            (r"\d+(\.\d+)?([eE][+-]?\d+)?", Number),
            (r"[^\W\d]\w*", Name),
            (r"[-+*/^<>=!~:,|.]+", Operator),
            (r"\s+", Text.Whitespace),
            (r".", Text),
        ]
    }


def _plain(text: str) -> str:
    """A docstring's text as reStructuredText would have it: what stands in backticks is code, a star a star."""
    pieces = re.split(r"(`[^`\n]+`)", text)
    return "".join(f"`{piece}`" if piece.startswith("`") else re.sub(r"([*|_\\])", r"\\\1", piece) for piece in pieces)


def _docstring(_app: Any, what: str, _name: str, found: Any, _options: Any, lines: list[str]) -> None:
    """Each line made plain before sections are looked for; a value of a built-in type has none of its own."""
    text = "" if what == "data" and lines == (type(found).__doc__ or "").expandtabs().splitlines() else "\n".join(lines)
    if what in ("attribute", "property"):  # napoleon takes what stands before a colon for the type
        text = text.replace(": ", "; ", 1)
    lines[:] = _plain(text).split("\n")


def _inline(writer: Any, node: nodes.Element) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _display(writer: Any, node: nodes.Element) -> None:
    writer.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """What Sphinx calls."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    app.add_lexer("mech", MechLexer)
    app.connect("autodoc-process-docstring", _docstring, priority=100)
