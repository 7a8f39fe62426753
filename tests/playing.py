"""Pages of documentation, played: files written, commands and programs run in a folder of their own, in order.

A block with a file name is (part of) that file, whatever its language. A `console` block holds commands after `$` with
what they print: `mechdsl ...` (`> file` if wanted), `cat FILE`, `echo $?`. A `python` block is a program; an `output`
block after it is what it prints. What other blocks hold (`sh`, `text`) is only shown. A line `...` stands for any
lines. Numbers are compared to the digits shown.
"""

from __future__ import annotations

import io
import os
import re
import runpy
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from mechdsl.cli import main

__all__ = ["Block", "Played", "blocks", "difference", "played"]

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")


class Block(NamedTuple):
    """A fenced block: its language, its file if it is one, its text."""

    language: str
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Played:
    """What was run, what it should print (empty: anything), what it printed, how it ended and should have."""

    what: str
    expected: str
    printed: str
    status: int
    wanted: int


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(*one) for one in found]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and what follows it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.replace("\\\n", " ").partition("\n")
        yield command, output


def played(page: Path, folder: Path) -> list[Played]:
    """Everything run, in the order of the page."""
    runs: list[Played] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COLUMNS", "80")
        found = blocks(page)
        for block, following in zip(found, [*found[1:], Block("", "", "")], strict=False):
            if block.file:
                target = folder / block.file
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("a", encoding="utf-8") as file:
                    file.write(block.text + {"mech": "\n", "python": "\n\n"}.get(block.language, ""))
            elif block.language == "python":
                wanted = following.text if following.language == "output" else ""
                runs.append(Played(block.text, wanted, program(block.text, folder), 0, 0))
            elif block.language == "console":
                runs += console(block.text, folder)
    return runs


def console(text: str, folder: Path) -> Iterator[Played]:
    """The commands of a block; `echo $?` says how the one before it ought to end."""
    stated = list(commands(text))
    asked = [output.strip() if command == "echo $?" else "" for command, output in [*stated[1:], ("", "")]]
    for (command, output), status in zip(stated, asked, strict=True):
        if command != "echo $?":
            wanted = int(status) if status else int("error[" in output)
            yield Played(command, output, *shell(command, folder), wanted)


def shell(command: str, folder: Path) -> tuple[str, int]:
    """What a command prints, and how it ends; without a shell, in this process."""
    first, *words = shlex.split(command)
    if first == "cat":
        return "".join((folder / name).read_text(encoding="utf-8") for name in words), 0
    assert first == "mechdsl", command
    target = folder / words[-1] if words[-2:-1] == [">"] else None
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(words[:-2] if target else words)
    if target:
        target.write_text(out.getvalue(), encoding="utf-8")
    return ("" if target else out.getvalue()) + err.getvalue(), status


def program(text: str, folder: Path) -> str:
    """What a program prints."""
    path = folder / "_program.py"
    path.write_text(text, encoding="utf-8")
    with redirect_stdout(io.StringIO()) as out:
        runpy.run_path(os.fspath(path))
    return out.getvalue()


def difference(expected: str, printed: str) -> str:
    """The first line that is not as it should be; empty where all are."""
    wanted, found = settled(expected).splitlines(), settled(printed).splitlines()
    place, sought = 0, False  # sought: after `...`
    for line in wanted:
        if line.strip() == "...":
            sought = True
            continue
        here = next((n for n in range(place, len(found)) if alike(line, found[n])), None) if sought else place
        if here is None or here >= len(found) or not alike(line, found[here]):
            return f"expected: {line}\nprinted:  {found[place] if place < len(found) else 'nothing more'}"
        place, sought = here + 1, False
    return "" if sought or place == len(found) else f"printed, not expected: {found[place]}"


def alike(expected: str, printed: str) -> bool:
    """The same words, and numbers that agree to one unit of the last digit shown."""
    wanted, found = (_NUMBER.sub("#", " ".join(re.sub("[─]+", "─", t).split())) for t in (expected, printed))
    pairs = zip(_NUMBER.findall(expected), _NUMBER.findall(printed), strict=False)
    return wanted == found and all(abs(number(a) - number(b)) <= 1.01 * unit(a) for a, b in pairs)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def unit(text: str) -> float:
    """Of the last digit: 0.001 for `2.345`, and 0 for `7`: a whole number is meant."""
    digits, _, power = text.partition("e")
    _, point, places = digits.partition(".")
    return float(10.0 ** (int(power or 0) - len(places))) if point or power else 0.0


def settled(text: str) -> str:
    """Without what differs from machine to machine and says nothing: how near checks came to failing, how often a
    quadrature asked, trailing blanks.
    """
    text = re.sub(
        r"certified: (\d+) checks passed.*?\n(?=\S+:|\n|$)", r"certified: \1 checks passed\n", text, flags=re.DOTALL
    )
    text = re.sub(r"\s+(with\s+error|errors? at most)\s+\d\.\de-\d\d", r" \1 #", text)
    text = re.sub(r"\b\d+ reports;", "# reports;", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
