"""Every example of the README and of docs/ runs and prints what the page says; every word has its reference."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import words
from pages import made
from playing import Block, blocks, difference, played

from mechdsl import cli, pipeline, syntax
from mechdsl.catalog import EXPLANATIONS
from mechdsl.commands import COMMANDS
from mechdsl.distributions import FAMILIES
from mechdsl.elaborate.limits import MAX_LABELS

TREE = Path(__file__).parent.parent
README = TREE / "README.md"
PAGES = [README, *sorted((TREE / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(TREE)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_is_shown_is_what_is_printed(page: Path, tmp_path: Path) -> None:
    for one in played(page, tmp_path):
        assert one.status == one.wanted, f"{one.what}\n{one.printed}"
        wrong = difference(one.expected, one.printed) if one.expected else ""
        assert not wrong, f"{one.what}\n{wrong}\n\nall of it:\n{one.printed}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_is_shown_alone_is_sound(page: Path) -> None:
    for block in blocks(page):
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "mech" and not block.file:
            sound(block)


def sound(block: Block) -> None:
    """A whole market can be made; a statement or two can be read."""
    if re.search(r"^market ", block.text, re.MULTILINE):
        pipeline.parse(block.text)
    else:
        syntax.parse(block.text)


def test_the_readme_has_all_kinds_of_examples() -> None:
    assert {"mech", "console", "python"} <= {block.language for block in blocks(README)}


def test_the_map_names_every_module() -> None:
    text = README.read_text(encoding="utf-8")
    names = {path.stem if path.is_file() else path.name for path in (TREE / "mechdsl").iterdir() if is_module(path)}
    assert not [name for name in sorted(names) if f"`{name}`" not in text]


def is_module(path: Path) -> bool:
    package = path.is_dir() and (path / "__init__.py").is_file()
    return package or (path.suffix == ".py" and not path.name.startswith("__"))


def test_the_json_that_is_shown_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    market, shown = (b.text for b in blocks(TREE / "docs" / "json.md") if b.language in ("mech", "json"))
    (tmp_path / "first.mech").write_text(market)
    assert cli.main(["solve", str(tmp_path / "first.mech"), "--json"]) == 0
    wanted, found = json.loads(shown), json.loads(capsys.readouterr().out)
    for document in (wanted, found):
        document["regimes"]["main"].pop("certificate")
    wanted, found = flat(wanted), flat(found)
    assert found.keys() == wanted.keys()
    assert all(found[path] == (pytest.approx(v, rel=1e-9) if isinstance(v, float) else v) for path, v in wanted.items())


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Paths to what is no table."""
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        return {p: v for name, member in members for p, v in flat(member, f"{path}.{name}").items()}
    return {path: value}


# -------------------------------------------------------------------------------------------- how examples are compared


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("revenue -16.0492", "revenue  -16.0491"),
        ("a 1\n...\nb 2", "a 1\nx\ny\nb 2"),
        ("a\n...", "a\nb"),
        ("1,000 of 1,000", "1,000 of 1,000"),
        ("certified: 9 checks passed; nearest 1e-3\nnote: so", "certified: 9 checks passed; nearest 2e-3\nnote: so"),
    ],
)
def test_what_is_alike(expected: str, printed: str) -> None:
    assert difference(expected, printed) == ""


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("revenue -16.0492", "revenue -16.0495"),
        ("9 checks", "10 checks"),
        ("a\nb", "a"),
        ("a", "a\nb"),
        ("a\n...\nc", "a\nb"),
        ("revenue 1", "welfare 1"),
        ("a 1 2", "a 1"),
    ],
)
def test_what_is_not_alike(expected: str, printed: str) -> None:
    assert difference(expected, printed) != ""


# ---------------------------------------------------------------------------------------------- the pages that are made


@pytest.fixture(scope="module")
def reference() -> Mapping[str, str]:
    return (
        made()
    )  # refuses where a word of the grammar or of a registry is not described, or one described is not there


def test_every_code_has_a_page(reference: Mapping[str, str]) -> None:
    assert {f"errors/{code}.md" for code in EXPLANATIONS} < reference.keys()
    assert all(e.title in reference[f"errors/{code}.md"] for code, e in EXPLANATIONS.items())


def test_every_option_of_every_command_has_its_line(reference: Mapping[str, str], capsys: Any) -> None:
    for command in COMMANDS:
        cli.main([command, "--help"])
        options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
        section = reference["reference/commands.md"].partition(f"## mechdsl {command}\n")[2].partition("\n## ")[0]
        assert not [option for option in options if option not in section]


def test_examples_of_the_reference_are_read(reference: Mapping[str, str]) -> None:
    for word in words.STATEMENTS.values():
        _, before, after = words.CONTEXTS[word.place]
        syntax.parse(f"{before}{word.example}{after}")
    for law in words.LAWS.values():
        syntax.parse(f"layer a {{ type c ~ {law.example} }}")


def test_formulas_of_the_reference_are_those_of_the_distributions() -> None:
    """Densities and cdfs written out again, up to a factor where `proportional` is said."""
    c = np.array([0.3, 0.6, 0.9])
    u = c / 2
    stated: dict[str, Any] = {
        "normal": np.exp(-((c - 0.5) ** 2) / (2 * 0.4**2)),
        "exponential": np.exp(-2 * c),
        "lognormal": np.exp(-(np.log(c) ** 2) / (2 * 0.5**2)) / c,
        "beta": u * (1 - u) ** 2,
    }
    given = {"normal": (0.5, 0.4), "exponential": (2.0,), "lognormal": (0.0, 0.5), "beta": (2.0, 3.0)}
    for name, density in stated.items():
        law = FAMILIES[name].build(given[name], (0.25 if name == "lognormal" else 0.0, 2.0))
        ratio = law.pdf(c) / density
        assert ratio == pytest.approx(ratio[0], rel=1e-9)
    laws = {name: FAMILIES[name].build((2.0, 3.0)[: len(FAMILIES[name].parameters)], (0.0, 2.0))
            for name in ("kumaraswamy", "power")}  # fmt: skip
    assert laws["kumaraswamy"].cdf(c) == pytest.approx(1 - (1 - u**2) ** 3, rel=1e-12)
    assert laws["power"].cdf(c) == pytest.approx(u**2, rel=1e-12)
    assert FAMILIES["triangular"].build((0.0, 0.6, 2.0)).pdf(c) == pytest.approx(
        [2 * 0.3 / (2 * 0.6), 2 * (2 - 0.6) / (2 * (2 - 0.6)), 2 * (2 - 0.9) / (2 * (2 - 0.6))], rel=1e-12
    )


def test_limits_have_their_numbers(reference: Mapping[str, str]) -> None:
    assert f"{MAX_LABELS:,} | of an index set" in reference["reference/limits.md"]
