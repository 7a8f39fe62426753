"""`mechdsl fmt`: the meaning and every comment stay, formatting twice changes nothing, golden files hold the look."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from programs import written

from mechdsl.errors import MechError
from mechdsl.formatter import WIDTH, format_file
from mechdsl.formatter.pretty import BREAK, SOFT, SPACE, Group, Indent, Text, concat, render
from mechdsl.syntax import parse, parse_pieces

CASES = Path(__file__).parent / "cases"
GOOD = sorted((CASES / "good").glob("*.mech"))
LAYOUTS = sorted((CASES / "format").glob("*.mech"))

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


def comments(text: str) -> list[str]:
    return [comment.rstrip() for comment in parse_pieces(text).comments]


def check(text: str) -> str:
    """The text laid out, after all that must hold of every layout."""
    formatted = format_file(text)
    assert parse(formatted) == parse(text)
    assert comments(formatted) == comments(text)
    assert format_file(formatted) == formatted
    assert not any(line != line.rstrip() for line in formatted.split("\n"))
    assert "\n\n\n" not in formatted
    assert formatted == formatted.lstrip("\n")
    return formatted


@quick
@given(written(commented=False))
def test_meaning_stays(text: str) -> None:
    check(text)


@quick
@given(written(commented=True))
def test_comments_stay(text: str) -> None:
    check(text)


@quick
@given(written(commented=False))
def test_no_line_is_wider_than_it_must_be(text: str) -> None:
    for line in format_file(text).splitlines():
        assert len(line) <= WIDTH or '"' in line or len(line.split()) <= 12, line


@pytest.mark.parametrize("path", [*GOOD, *LAYOUTS], ids=lambda path: path.stem)
def test_files(path: Path) -> None:
    check(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", LAYOUTS, ids=lambda path: path.stem)
def test_layout(path: Path, update_golden: bool) -> None:
    formatted = format_file(path.read_text(encoding="utf-8"))
    expected = path.with_suffix(".formatted")
    if update_golden:
        expected.write_text(formatted, encoding="utf-8")
    assert formatted == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("", ""),
        ("\n\n  \n", ""),
        ("# alone", "# alone\n"),
        ("\ufeffcite\t'x'".replace("'", '"'), 'cite "x"\n'),
        ('market m "t"\r\nlet a=1\r\n', 'market m "t"\nlet a = 1\n'),
        ("let a=-x^-2*-3+ +y", "let a = -x^-2 * -3 + +y\n"),
        ("let a=if(not x<1 and y>=2,(x),- (y))", "let a = if(not x < 1 and y >= 2, (x), -(y))\n"),
        ("param d[ k ]in[0,inf)=1", "param d[k] in [0, inf) = 1\n"),
        ("index i in s=1 .. N", "index i in s = 1..N\n"),
        ("index i in s=1. .. .5", "index i in s = 1. ...5\n"),
        ("layer a{}layer b{\n}", "layer a {}\nlayer b {}\n"),
        ("layer a{cost 1 value 2}", "layer a { cost 1  value 2 }\n"),
        ("layer a{cost 1\nvalue 2}", "layer a {\n  cost  1\n  value 2\n}\n"),
        ("layer a{cost 1 value 2\noutside 0}", "layer a {\n  cost 1  value 2\n  outside 0\n}\n"),
        ("let a = 1\n\n\n\n# c\nlet b = 2", "let a = 1\n\n# c\nlet b = 2\n"),
        ("param a = 1 'x'\nparam bb = 22 'y'".replace("'", '"'), 'param a  = 1   "x"\nparam bb = 22  "y"\n'),
        ("contract[k]a->b:direct(tax=0.1)", "contract[k] a -> b: direct(tax = 0.1)\n"),
        ("regime a{set d.video=5 set d[text]=6}", "regime a { set d.video = 5  set d[text] = 6 }\n"),
    ],
)
def test_small_layouts(text: str, formatted: str) -> None:
    assert format_file(text) == formatted
    check(text)


def test_a_text_that_does_not_parse_is_refused() -> None:
    with pytest.raises(MechError):
        format_file("let a = ")


# ---------------------------------------------------------------------------------------------------- the printer alone

LIST = Group(concat([Text("f("), Indent(2, concat([SOFT, Text("one,"), SPACE, Text("two")])), SOFT, Text(")")]))


def test_a_group_is_on_one_line_if_it_fits() -> None:
    assert render(LIST, 0, 11) == ["f(one, two)"]
    assert render(LIST, 0, 10) == ["f(", "  one,", "  two", ")"]


def test_what_follows_a_group_must_fit_too() -> None:
    assert render(concat([LIST, Text(";")]), 0, 11) == ["f(", "  one,", "  two", ");"]
    assert render(concat([LIST, SPACE, Text("and more")]), 0, 11) == ["f(one, two)", "and more"]


def test_a_forced_break_breaks_all_around_it_once() -> None:
    doc = Group(concat([Text("a"), SPACE, Group(concat([Text("b"), BREAK, BREAK, Text("c")]))]))
    assert render(doc, 0, 80) == ["a", "b", "c"]


@given(st.lists(st.text("ab", min_size=1, max_size=6), min_size=1, max_size=12), st.integers(6, 30))
@settings(deadline=None, derandomize=True)
def test_packed_words_are_greedy(words: list[str], width: int) -> None:
    filled = concat([Text(words[0]), *(Group(concat([SPACE, Text(word)])) for word in words[1:])])
    lines: list[str] = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    assert render(filled, 0, width) == lines
