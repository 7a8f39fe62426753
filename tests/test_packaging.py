"""What an installation must hold: one version, all its files, structures that load, an import that costs nothing."""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

import mechdsl
from mechdsl.errors import InternalError
from mechdsl.resources import folder

TREE = Path(__file__).parent.parent
HEAVY = {"casadi", "cyipopt", "lark", "mpmath", "numpy", "pandas", "pyomo", "rich", "scipy", "sympy"}


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))


def test_one_version() -> None:
    assert importlib.metadata.version("mechdsl") == mechdsl.__version__


def test_grammar_and_models_are_found() -> None:
    assert (folder("grammar") / "mech.lark").is_file()
    assert (folder("models") / "ai_2025" / "six_regimes.mech").is_file()


def test_a_folder_that_is_not_there_is_our_fault() -> None:
    with pytest.raises(InternalError, match="lacks its folder 'recipes'"):
        folder("recipes")


def test_an_installed_package_finds_its_own_folders(tmp_path: Path) -> None:
    installed = tmp_path / "mechdsl"
    installed.mkdir()
    for name in ("__init__.py", "errors.py", "resources.py"):
        shutil.copy(TREE / "mechdsl" / name, installed)
    shutil.copytree(TREE / "grammar", installed / "grammar")
    (tmp_path / "grammar").mkdir()  # another's, beside the package: not ours to read
    program = "from mechdsl.resources import folder; print(folder('grammar'))"
    assert run(program, tmp_path).strip() == str(installed / "grammar")


def test_every_folder_with_modules_is_in_the_wheel(pyproject: dict[str, Any]) -> None:
    setuptools = pyproject["tool"]["setuptools"]
    mapped = {path: name for name, path in setuptools["package-dir"].items()}
    for top in ("mechdsl", *mapped):
        for file in (TREE / top).rglob("*.py"):
            inner = file.parent.relative_to(TREE / top).parts
            assert ".".join((mapped.get(top, top), *inner)) in setuptools["packages"], file


def test_every_file_that_is_not_python_is_in_the_wheel(pyproject: dict[str, Any]) -> None:
    setuptools = pyproject["tool"]["setuptools"]
    for name, path in setuptools["package-dir"].items():
        patterns = [pattern.removeprefix("**/") for pattern in setuptools["package-data"].get(name, [])]
        for file in (TREE / path).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".py":
                assert any(fnmatch(file.name, pattern) for pattern in patterns), file


def test_the_built_in_structures_are_found_as_any_other() -> None:
    found = importlib.metadata.entry_points(group="mechdsl.structures")
    assert {"revenue", "welfare"} <= found.names
    for point in found:
        assert point.load().name == point.name


def test_every_structure_of_the_tree_is_declared(pyproject: dict[str, Any]) -> None:
    declared = pyproject["project"]["entry-points"]["mechdsl.structures"].values()
    modules = {path.stem for path in (TREE / "plugins").glob("*.py")} - {"__init__"}
    assert {value.removesuffix(":STRUCTURE").removeprefix("mechdsl.plugins.") for value in declared} == modules


@pytest.mark.parametrize("name", mechdsl.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(mechdsl, name) is not None
    assert name in dir(mechdsl)


def test_a_public_name_is_the_one_of_its_module() -> None:
    assert mechdsl.MechError is importlib.import_module("mechdsl.errors").MechError


def test_a_misspelt_public_name_is_an_attribute_error() -> None:
    misspelt = "MechErorr"
    with pytest.raises(AttributeError, match=misspelt):
        getattr(mechdsl, misspelt)


@pytest.mark.parametrize("module", ["mechdsl", "mechdsl.cli"])
def test_importing_costs_nothing(module: str, tmp_path: Path) -> None:
    program = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    assert not HEAVY & set(run(program, tmp_path, TREE).split())


def run(program: str, *path: Path) -> str:
    """What `program` prints in an interpreter of its own, started in the first folder and importing from the last."""
    environment = {"PYTHONPATH": str(path[-1])}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=path[0], env=environment, capture_output=True, text=True, check=True
    ).stdout
