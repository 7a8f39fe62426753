"""`mechdsl new structure NAME`: what it writes works at once, and what it cannot write is refused in words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mechdsl.cli import main
from mechdsl.starter import STEM, starting_package
from mechdsl.structure import installed
from mechdsl.testing import check_structure

TREE = Path(__file__).parent.parent


def made(folder: Path, name: str = "markup") -> Path:
    assert main(["new", "structure", name, "--into", str(folder)]) == 0
    return folder / name


def test_its_files_are_renamed_throughout(tmp_path: Path) -> None:
    folder = made(tmp_path)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "README.md",
        "markup.mech",
        "pyproject.toml",
        "src/mechdsl_markup.py",
        "tests/test_markup.py",
    }
    for path in files:
        text = (folder / path).read_text(encoding="utf-8")
        assert "markup" in text
        assert STEM not in text


def test_it_conforms_and_its_model_is_solved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made(tmp_path)
    plugin = folder / "src" / "mechdsl_markup.py"
    registry = installed([plugin])
    assert not registry.broken
    check_structure(next(s for s in registry.structures if s.name == "markup"))
    capsys.readouterr()
    assert main(["solve", str(folder / "markup.mech"), "--plugin", str(plugin)]) == 0
    said = capsys.readouterr()
    assert "structure markup" in said.out
    assert not said.err


def test_its_own_tests_pass_as_they_are(tmp_path: Path) -> None:
    folder = made(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(TREE)}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_its_structure_has_less_than_a_page_and_a_half() -> None:
    text = starting_package("markup")["src/mechdsl_markup.py"]
    code = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(code) < 120


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Capped", "Did you mean 'capped'?"),
        ("capped-total", "Did you mean 'capped_total'?"),
        ("2nd", "'2nd' is no name"),
        ("", "'' is no name"),
        ("../up", "is no name"),
        ("a" * 41, "is no name"),
        ("lambda", "means something in Python"),
        ("direct", "'direct' is taken"),
        ("posted_price", "'posted_price' is taken"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "structure", name, "--into", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "markup").mkdir()
    assert main(["new", "structure", "markup", "--into", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["new", "structure", "markup", "--into", str(tmp_path / "nowhere")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert main(["new", "market", "markup"]) == 2
