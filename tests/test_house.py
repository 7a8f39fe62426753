"""How the house is built, held as data: which way imports point, what is confined to one room, what nobody may call.

The sources are read as syntax trees, never run. A new module needs a place in `LAYERS`; where it belongs is a decision.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

TREE = Path(__file__).parent.parent

# Imports point up this list only. A package is one layer. `certify` stands above `theory`, which it must not see: it
# checks against what was stated, never against a derivation. `theory` stands below `mechanism`, which its payments ask.
LAYERS = (
    "catalog",
    "errors",
    "loading",
    "vocabulary",
    "resources",
    "syntax_tree",
    "syntax",
    "formatter",
    "formula",
    "evaluate",
    "draws",
    "distributions",
    "program",
    "market",
    "signals",
    "elaborate",
    "overrides",
    "derivation",
    "outcome",
    "expected",
    "engines",
    "guard",
    "structure",
    "mechanism",
    "accounting",
    "certify",
    "theory",
    "expectation",
    "report",
    "pipeline",
    "comparison",
    "testing",
    "population",
    "sensitivity",
    "figures",
    "check",
    "dossier",
    "starter",
    "results",
    "api",
    "replication",
    "notebook",
    "commands",
    "cli",
    "__main__",
)

# What may be imported only by the layers named; a name that is not here may be imported by all.
CONFINED: dict[str, tuple[str, ...]] = {
    "lark": ("syntax",),
    "pyomo": ("engines", "testing"),
    "cyipopt": ("engines",),
    "rich": ("report", "commands"),
    "matplotlib": ("figures",),
    "distributed": ("population",),
    "pyarrow": ("population",),
    # A stage is a function of its arguments: no clock, no dice but a seed's, no log.
    "datetime": ("commands",),
    "logging": (),
    "random": (),
    "time": ("commands", "engines", "population"),  # how long it took; whether more processes pay
    # These run what they read.
    "builtins": (),
    "cloudpickle": (),
    "code": (),
    "dill": (),
    "joblib": (),
    "marshal": (),
    "pickle": (),
    "shelve": (),
}

# Functions that turn text into running code, by bare name and under any name they are reached by.
BANNED_BUILTINS = {"__import__", "compile", "eval", "exec"}
BANNED_ANYWHERE = {"parse_expr", "parse_latex", "sympify"}
BANNED_CALLS = {"S"}  # sympy's short name for sympify; its constants (S.One) are welcome

# Values are frozen. These are at work: they gather as they go, and no stage hands them to the next. (Private ones may.)
AT_WORK = {
    "Along",
    "Complementarity",
    "Game",
    "Mechanism",
    "Quantiles",
    "RegimeNames",
    "Resolver",
    "Scope",
    "Tables",
    "Tally",
    "Words",
    "Workshop",
}

# Extras whose packages are imported where they are used, with a word on what to install where they are missing.
RUNTIME_EXTRAS = ("figures", "tables", "cluster")

BANNED_FILE_NAMES = {"base", "common", "helper", "helpers", "misc", "tools", "util", "utils"}

SOURCES = sorted([*(TREE / "mechdsl").rglob("*.py"), *(TREE / "plugins").rglob("*.py")])
NAMES = [str(path.relative_to(TREE)) for path in SOURCES]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def layer(path: Path) -> str:
    """`engines` for `mechdsl/engines/ipopt.py`, `cli` for `mechdsl/cli.py`, `` for `mechdsl/__init__.py`."""
    first = path.relative_to(TREE / "mechdsl").parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def module_file(dotted: str) -> Path | None:
    """The source of `mechdsl.x.y`, if that is a module and not a name in one."""
    stem = TREE.joinpath(*dotted.split("."))
    return next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)


def imports(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """`(module, name)` for all that is imported at run time, at the top or in a function; types alone bind nobody."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
                for branch in otherwise:
                    yield from imports(branch)
            case ast.Import(names=names):
                yield from ((alias.name, None) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                assert level == 0, "imports are absolute"
                assert module is not None
                yield from ((module, alias.name) for alias in names)
            case _:
                yield from imports(node)


def imported_files(path: Path) -> set[Path]:
    """The modules of mechdsl that the one at `path` imports; a bare `mechdsl` is its `__init__.py`."""
    found: set[Path] = set()
    for module, name in imports(parsed(path)):
        if module.split(".")[0] == "mechdsl":
            file = (name and module_file(f"{module}.{name}")) or module_file(module)
            found |= {file} if file else set()  # what is not there fails in the interpreter
    return found


def package_sources() -> list[Path]:
    return [path for path in SOURCES if path.is_relative_to(TREE / "mechdsl")]


def test_every_module_has_its_place() -> None:
    homeless = {layer(path) for path in package_sources()} - {*LAYERS, ""}
    assert not homeless, f"give these a place in LAYERS: {sorted(homeless)}"


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_imports_point_up_the_page(path: Path) -> None:
    if not path.is_relative_to(TREE / "mechdsl"):
        return  # a plugin: below
    here = layer(path)
    for file in imported_files(path):
        there = layer(file)
        if here and there != here and not (here == "cli" and file.name == "__init__.py"):  # `--version`
            assert there, f"{here} imports names of the package itself, which stands at the end of the page"
            assert LAYERS.index(there) < LAYERS.index(here), f"{here} may not import {there}"


def test_no_import_goes_round() -> None:
    order = TopologicalSorter({path: imported_files(path) for path in package_sources()})
    order.prepare()  # raises CycleError, naming the cycle


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_what_is_confined_stays_in_its_room(path: Path) -> None:
    here = layer(path) if path.is_relative_to(TREE / "mechdsl") else "plugins"
    for module, _ in imports(parsed(path)):
        rooms = CONFINED.get(module.split(".")[0])
        assert rooms is None or here in rooms, f"{here} may not import {module}; this may: {rooms}"


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_every_import_is_a_declared_dependency(path: Path) -> None:
    project = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [r for extra in RUNTIME_EXTRAS for r in project["optional-dependencies"][extra]]
    declared = {r.split(">=")[0] for r in (*project["dependencies"], *optional)}
    roots = {module.split(".")[0] for module, _ in imports(parsed(path))}
    assert roots <= declared | set(sys.stdlib_module_names) | {"mechdsl"}


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_no_text_becomes_code(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        match node:
            case ast.Name(id=name) if name in BANNED_BUILTINS | BANNED_ANYWHERE:
                pass
            case ast.Attribute(attr=name) | ast.alias(name=name) if name.split(".")[-1] in BANNED_ANYWHERE:
                pass
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in BANNED_CALLS:
                pass
            case _:
                continue
        pytest.fail(f"{path}:{getattr(node, 'lineno', '?')}: {name}")


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_values_are_frozen_and_slotted(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                call = decorator.func if isinstance(decorator, ast.Call) else decorator
                if isinstance(call, ast.Name | ast.Attribute) and ast.unparse(call).split(".")[-1] == "dataclass":
                    flags = {k.arg for k in getattr(decorator, "keywords", []) if ast.unparse(k.value) == "True"}
                    needed = {"slots"} if node.name in AT_WORK or node.name.startswith("_") else {"frozen", "slots"}
                    assert needed <= flags, f"{node.name} wants {sorted(needed)}"


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_no_global_is_rebound(path: Path) -> None:
    assert not [node.lineno for node in ast.walk(parsed(path)) if isinstance(node, ast.Global)]


def test_file_names_say_what_is_in_them() -> None:
    assert not {path.stem for path in SOURCES} & BANNED_FILE_NAMES


def test_the_core_knows_no_plugin() -> None:
    for path in package_sources():
        for module, name in imports(parsed(path)):
            assert not f"{module}.{name}.".startswith("mechdsl.plugins."), f"{path} imports a plugin by name"


def test_plugins_use_public_names_alone() -> None:
    for path in (TREE / "plugins").rglob("*.py"):
        for module, name in imports(parsed(path)):
            if module.split(".")[0] == "mechdsl":
                assert not module.startswith("mechdsl.plugins"), f"{path}: a structure stands alone"
                assert name, f"{path}: name what you import from {module}"
                if module_file(f"{module}.{name}") is None:
                    assert name in public_names(module), f"{path}: {module} does not list {name} in its __all__"


def public_names(dotted: str) -> set[str]:
    """A module's `__all__`, read without importing it."""
    file = module_file(dotted)
    assert file is not None, f"there is no {dotted}"
    for node in parsed(file).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return set(ast.literal_eval(node.value))
    return set()
