"""Every example of the README runs, and prints what the README says it prints.

A `mech` block names the file it belongs to (several blocks may make one file), a `console` block holds commands with
what they print, a `python` block is a program; all run in one folder, in the order of the page.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

TREE = Path(__file__).parent.parent
README = TREE / "README.md"
RUN = "import sys; from mechdsl.cli import main; sys.exit(main())"


class Block(NamedTuple):
    language: str
    file: str
    text: str


def blocks() -> list[Block]:
    found = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(*one) for one in found]


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what follows it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def settled(text: str) -> str:
    """Without what differs from machine to machine: how near checks came to failing, and trailing blanks."""
    text = re.sub(
        r"certified: (\d+) checks passed.*?\n(?=\S+:|\n|$)", r"certified: \1 checks passed\n", text, flags=re.DOTALL
    )
    text = re.sub(r"\s+(with\s+error|errors? at most)\s+\d\.\de-\d\d", r" \1 #", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def played(folder: Path) -> list[tuple[str, str, subprocess.CompletedProcess[str]]]:
    """Everything run, in order: what it was, what it should print, how it ended."""
    runs = []
    for block in blocks():
        if block.language == "mech":
            with (folder / block.file).open("a", encoding="utf-8") as file:
                file.write(block.text + "\n")
        elif block.language == "python":
            runs.append((block.text, "", python(["-c", block.text], folder)))
        elif block.language == "console":
            runs += [(command, output, shell(command, folder)) for command, output in commands(block)]
    return runs


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`mechdsl ... > file`, without a shell."""
    words = shlex.split(command)
    assert words[0] == "mechdsl", command
    target = folder / words[-1] if words[-2] == ">" else None
    done = python(["-c", RUN, *(words[1:-2] if target else words[1:])], folder)
    if target:
        target.write_text(done.stdout, encoding="utf-8")
    return done


def python(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(TREE), "COLUMNS": "80", "PATH": ""}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_readme_has_all_kinds_of_examples() -> None:
    assert {block.language for block in blocks()} == {"mech", "console", "python"}
    assert all(block.file for block in blocks() if block.language == "mech")


def test_every_command_ends_as_it_should(played: list[tuple[str, str, subprocess.CompletedProcess[str]]]) -> None:
    for what, output, done in played:
        assert done.returncode == (1 if "error[" in output else 0), f"{what}\n{done.stderr}"


def test_what_is_shown_is_what_is_printed(played: list[tuple[str, str, subprocess.CompletedProcess[str]]]) -> None:
    for what, output, done in played:
        if output:
            assert settled(done.stdout + done.stderr) == settled(output), what


def test_files_that_were_asked_for_are_there(folder: Path, played: object) -> None:
    assert (folder / "more_news.json").read_text().startswith("{")
    assert "$$" in (folder / "desk.md").read_text()


def test_the_map_names_every_module() -> None:
    text = README.read_text(encoding="utf-8")
    names = {path.stem if path.is_file() else path.name for path in (TREE / "mechdsl").iterdir() if is_module(path)}
    assert not [name for name in sorted(names) if f"`{name}`" not in text]


def is_module(path: Path) -> bool:
    package = path.is_dir() and (path / "__init__.py").is_file()
    return package or (path.suffix == ".py" and not path.name.startswith("__"))
