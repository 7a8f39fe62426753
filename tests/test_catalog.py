"""The catalogue of codes: none missing, none idle, and every snippet has the mistake it is there for, or no more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mechdsl import pipeline, syntax
from mechdsl import syntax_tree as tree
from mechdsl.catalog import EXPLANATIONS, RANGES, SETTING, Explanation
from mechdsl.check import diagnose
from mechdsl.errors import MechError
from mechdsl.structure import Registry, installed

TREE = Path(__file__).parent.parent
SOURCES = [
    path
    for folder in ("mechdsl", "plugins")
    for path in (TREE / folder).rglob("*.py")
    if not path.is_relative_to(TREE / "mechdsl" / "catalog")
]
WITH_SNIPPETS = [pytest.param(e, id=e.code) for e in EXPLANATIONS.values() if e.bad]
BY_CHECK = ("M06", "M10", "M11")  # found when a model is looked at, not when it is read


def codes_used() -> set[str]:
    """Every string in the sources that is a code."""
    texts = (
        node.value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in texts if re.fullmatch(r"M\d{3}", text)}


def test_every_code_in_use_is_explained_and_none_else() -> None:
    assert codes_used() == set(EXPLANATIONS)


def test_codes_stand_in_their_ranges() -> None:
    assert list(EXPLANATIONS) == sorted(EXPLANATIONS)
    assert {code[:3] for code in EXPLANATIONS} == set(RANGES)
    assert all(e.code == code for code, e in EXPLANATIONS.items())


@pytest.mark.parametrize("explained", EXPLANATIONS.values(), ids=lambda e: e.code)
def test_an_explanation_is_prose_with_both_snippets_or_none(explained: Explanation) -> None:
    assert explained.title[0].islower()
    assert not explained.title.endswith(".")
    assert all(text[0].isupper() and text[-1] in ".)" for text in (explained.cause, explained.remedy))
    assert bool(explained.bad) == bool(explained.good)
    assert not explained.bad or explained.bad != explained.good
    assert max(map(len, str(explained).splitlines())) <= 110


# ---------------------------------------------------------------------------------------------------------- snippets


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the one data file that snippets read."""
    path = tmp_path_factory.mktemp("snippets")
    (path / "prices.csv").write_text("domain,price\nvideo,3\ntext,4\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def registry() -> Registry:
    return installed()


def stated(statement: tree.Statement) -> Iterator[tuple[str, str]]:
    """What a statement is about: two statements about the same cannot both stand in a market."""
    match statement:
        case tree.RegimeStatement():
            inner = (one for s in statement.body for one in stated(s))
            yield from (one for one in inner if one[0] in {"contract", "objective"})
        case tree.ContractStatement() | tree.ObjectiveStatement() | tree.MarketStatement():
            yield (type(statement).__name__.removesuffix("Statement").lower(), "")
        case tree.IndexStatement():
            yield ("index", statement.name)
        case tree.ReportStatement():
            yield ("report", statement.name.id)
        case tree.LayerStatement() | tree.ConstraintStatement():
            yield (type(statement).__name__, statement.target.name)
        case tree.ParamStatement() | tree.LetStatement() | tree.StateStatement() | tree.CommonStatement():
            yield ("name", statement.target.name)


def in_its_setting(snippet: str) -> str:
    """The setting with the snippet in it, or in place of what it states anew; a whole market stands for itself."""
    anew = {about for statement in syntax.parse(snippet).statements for about in stated(statement)}
    if ("market", "") in anew:
        return snippet
    kept = [s for s in syntax.parse(SETTING).statements if not anew.intersection(stated(s))]
    return "\n".join([*(SETTING[s.span.start : s.span.end] for s in kept), snippet])


def codes(explained: Explanation, snippet: str, folder: Path, registry: Registry) -> list[str]:
    """What is said about a snippet at the stage that the code belongs to."""
    try:
        if explained.code.startswith("M00"):
            syntax.parse(snippet)
            return []
        model = pipeline.parse(in_its_setting(snippet), folder=folder)
    except MechError as error:
        return [d.code for d in error.diagnostics]
    if explained.code.startswith(BY_CHECK):
        deep = explained.code.startswith("M11")
        return [d.code for d in diagnose(model, registry, deep=deep).diagnostics]
    return [d.code for d in model.warnings]


def test_nothing_is_to_be_said_about_the_setting(registry: Registry) -> None:
    assert diagnose(pipeline.parse(SETTING), registry).diagnostics == ()


@pytest.mark.parametrize("explained", WITH_SNIPPETS)
def test_the_bad_snippet_has_the_mistake(explained: Explanation, folder: Path, registry: Registry) -> None:
    found = set(codes(explained, explained.bad, folder, registry))
    assert explained.code in found
    if not explained.code.startswith(BY_CHECK):  # a diagnosis may have more than one thing to say
        assert found == {explained.code}


@pytest.mark.parametrize("explained", WITH_SNIPPETS)
def test_the_good_snippet_has_none(explained: Explanation, folder: Path, registry: Registry) -> None:
    assert codes(explained, explained.good, folder, registry) == []
