"""What an archive says of itself: which commands, with which values, made which numbers; every file by its hash.

A manifest is read as data from strangers: each member is checked, and commands are made of known words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mechdsl.errors import MechError, UsageError
from mechdsl.overrides import assignments
from mechdsl.replication.lock import Lock

__all__ = ["SCHEMA", "STEPS", "Manifest", "Step", "arguments", "file_name", "from_text", "to_text"]

SCHEMA = "mechdsl-package/1"
STEPS = ("solve", "compare", "run")


@dataclass(frozen=True, slots=True)
class Step:
    """A command, the exit status it ended with, and the files that it made."""

    command: str
    status: int
    made: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """An archive's own account.

    Args:
        market: its name; model: where its file lies in the archive.
        seed, sets: as after `--seed` and `--set`; plugins: files in the archive.
        tolerance: relative, up to which numbers are the same.
        steps: in the order of running.
        files: name -> sha256, of every file but the manifest.
        lock: the versions they were made with.
    """

    market: str
    model: str
    seed: int
    sets: tuple[str, ...]
    plugins: tuple[str, ...]
    tolerance: float
    steps: tuple[Step, ...]
    files: Mapping[str, str]
    lock: Lock


def arguments(command: str, manifest: Manifest, out: str) -> list[str]:
    """The words after `mechdsl`, for a step whose files go to the folder `out`; of JSON, stdout is the file."""
    shared = [manifest.model, f"--seed={manifest.seed}"]
    shared += [f"--set={text}" for text in manifest.sets] + [f"--plugin={name}" for name in manifest.plugins]
    if command == "run":
        return ["run", *shared, f"--out={out}/run", "--formats=png"]
    return [command, *shared, "--json"]


def to_text(manifest: Manifest) -> str:
    """JSON, keys in order."""
    return json.dumps({"schema": SCHEMA, **asdict(manifest)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def from_text(text: str) -> Manifest:
    """A manifest, every member checked.

    Raises:
        UsageError: it is none.
    """
    try:
        found: Any = json.loads(text)
        if found["schema"] != SCHEMA:
            raise UsageError(f"this mechdsl verifies '{SCHEMA}', and the archive is '{found['schema']}'")
        versions = found["lock"]
        made = Manifest(
            str(found["market"]), file_name(found["model"]), int(found["seed"]), tuple(map(str, found["sets"])),
            tuple(map(file_name, found["plugins"])), float(found["tolerance"]),
            tuple(Step(str(s["command"]), int(s["status"]), tuple(map(file_name, s["made"]))) for s in found["steps"]),
            {file_name(name): str(value) for name, value in found["files"].items()},
            Lock(str(versions["python"]), str(versions["platform"]), str(versions["ipopt"]),
                 {str(n): str(v) for n, v in versions["packages"].items()}, tuple(map(str, versions["plugins"]))),
        )  # fmt: skip
        for text_of_set in made.sets:
            assignments(text_of_set)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UsageError(f"the archive's manifest.json cannot be read: {type(error).__name__} {error}") from None
    except MechError as error:
        raise UsageError(f"the archive's manifest.json sets no param: {error.diagnostics[0].message}") from None
    if any(step.command not in STEPS for step in made.steps):
        raise UsageError("the archive's manifest.json names a command that verifies nothing")
    return made


def file_name(name: Any) -> str:
    """A file's name in an archive: relative, without detours, no option of a command.

    Raises:
        ValueError: it is none.
    """
    text = str(name)
    parts = text.split("/")
    if any(p in ("", ".", "..") for p in parts) or "\\" in text or ":" in text or text.startswith("-") or "\0" in text:
        raise ValueError(f"'{text}' is no name of a file in an archive")
    return text
