"""What is at work is said on a terminal and nowhere else, and is gone at the end."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest

import mechdsl
from mechdsl.cli import main
from mechdsl.commands import progress
from mechdsl.comparison import compare
from mechdsl.structure import installed

TEXT = """
market small "One unit"
index k in sellers = {ann, bob}
layer buyer
layer seller[k] { type c[k] ~ uniform(0.1, 1)  choose x[k] >= 0  cost c[k] * x[k]^2 }
constraint one: sum(k: x[k]) >= 1
contract buyer -> seller: direct
regime first  { objective buyer: maximize revenue }
regime second { objective buyer: maximize welfare }
claim order: revenue(first) >= revenue(second)
"""


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    (tmp_path / "small.mech").write_text(TEXT, encoding="utf-8")
    return tmp_path / "small.mech"


@pytest.mark.parametrize("command", [("report", "--without", "derivation"), ("compare",), ("solve", "--json")])
def test_the_regime_at_work_is_named(command: tuple[str, ...], file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main([command[0], file.name, *command[1:]]) == 0
    shown = terminal.getvalue()
    last = {"report": "small.html: writing", "compare": "claims", "solve": "second: solving, 2 of 2 regimes"}
    assert last[command[0]] in shown  # how soon the others pass is the machine's affair
    assert shown.rstrip().endswith("\x1b[2K"), "the line is wiped"


def test_a_comparison_says_what_it_is_at() -> None:
    model, said = mechdsl.parse(TEXT).model, list[str]()
    compare(tuple(model.markets.values()), model.claims, installed(), tell=said.append)
    assert said == [
        "first: what is expected, 1 of 2 regimes", "second: what is expected, 2 of 2 regimes",
        "all regimes: integrating over the types", "claims",
    ]  # fmt: skip


def test_elsewhere_nothing_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", file.name]) == 0
    assert capsys.readouterr().err == ""
    with progress.at_work() as say:
        say("nothing")
    assert capsys.readouterr().err == ""


def test_what_ends_soon_shows_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(progress, "_PATIENCE", 60.0)
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.at_work() as say:
        say("a moment")
    assert terminal.getvalue() == ""
