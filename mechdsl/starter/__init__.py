"""The package that `mechdsl new structure NAME` begins with: a structure that works, renamed.

What lies in `package/` is a whole plugin for a contract called `cost_plus`, with its model, its tests and packaging; a
new one is the same with another name. So there are no templates with holes, and the tests try what people get.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["STEM", "starting_package"]

STEM = "cost_plus"
_PACKAGE = Path(__file__).parent / "package"

# The file here (with `.txt` behind it, lest tools take it for part of this package): where it stands in the new one.
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "model.mech": "cost_plus.mech",
    "structure.py": "src/mechdsl_cost_plus.py",
    "tests/test_structure.py": "tests/test_cost_plus.py",
}


def starting_package(name: str) -> dict[str, str]:
    """The files of a new plugin: path within its folder -> text.

    Args:
        name: of the structure and of its kind of contract; a name of the language and of Python.
    """
    return {
        place.replace(STEM, name): (_PACKAGE / f"{file}.txt").read_text(encoding="utf-8").replace(STEM, name)
        for file, place in _FILES.items()
    }
