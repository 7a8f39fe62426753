"""The guide "Write your own market structure" is run as it stands: its files are made, its commands and programs run.

A block with a file's name is a piece of that file, a `console` block holds commands with what they print (nothing: they
need only end well), a `python` block without a name is a program; all in one folder, in the order of the page.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from test_readme import TREE, Block, commands, python, settled, shell

GUIDE = TREE / "docs" / "structure.md"


def blocks() -> list[Block]:
    found = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(*one) for one in found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guide")


@pytest.fixture(scope="module")
def played(folder: Path) -> list[tuple[str, str, subprocess.CompletedProcess[str]]]:
    runs = []
    for block in blocks():
        if block.file:
            with (folder / block.file).open("a", encoding="utf-8") as file:
                file.write(block.text + "\n\n")
        elif block.language == "python":
            runs.append((block.text, "", python(["-c", block.text], folder)))
        elif block.language == "console":
            runs += [(command, output, shell(command, folder)) for command, output in commands(block)]
    return runs


def test_everything_ends_well(played: list[tuple[str, str, subprocess.CompletedProcess[str]]]) -> None:
    assert len(played) >= 9
    for what, _, done in played:
        assert done.returncode == 0, f"{what}\n{done.stderr}"
        assert not done.stderr, what


def test_what_is_shown_is_what_is_printed(played: list[tuple[str, str, subprocess.CompletedProcess[str]]]) -> None:
    for what, output, done in played:
        if output.strip():
            assert settled(done.stdout) == settled(output), what


def test_each_structure_has_less_than_a_hundred_lines(played: object, folder: Path) -> None:
    for name in ("quantities.py", "public_funds.py"):
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        assert len([line for line in lines if line.strip()]) < 100, name
