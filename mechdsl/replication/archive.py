"""Zip archives whose bytes depend on their content alone, and their extraction without trusting them.

Times, owners and the order of files are fixed on writing. On reading, names that lead elsewhere, links, files beside
the known folders and whatever is too large are refused before anything is written.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

from mechdsl.errors import UsageError
from mechdsl.replication.manifest import Manifest, file_name, from_text

__all__ = ["MANIFEST", "extracted", "manifest_of", "unlike", "written"]

MANIFEST = "manifest.json"
TOPS = (MANIFEST, "README.md", "environment.json", "requirements.txt", "run.sh")
FOLDERS = ("model", "plugins", "expected")
MOST_FILES, MOST_BYTES = 10_000, 2 << 30
_BEGINNING = (1980, 1, 1, 0, 0, 0)  # of zip's calendar


def written(path: Path, files: Mapping[str, bytes]) -> None:
    """The files as an archive, whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(unfinished, "w") as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, _BEGINNING)
                entry.create_system = 3  # unix, wherever it is written
                entry.external_attr = (stat.S_IFREG | (0o755 if name.endswith(".sh") else 0o644)) << 16
                archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, 9)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise UsageError(f"'{path}' cannot be written: {error.strerror}") from None


def extracted(path: Path, folder: Path) -> None:
    """An archive (or a folder that one was unpacked to) as files in an empty folder.

    Raises:
        UsageError: it is no archive of ours, or holds what must not be written.
    """
    if path.is_dir():
        _copied(path, folder)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir()]
            _refuse(entries, path)
            left = MOST_BYTES
            for entry in entries:
                with archive.open(entry) as source:
                    content = source.read(left + 1)
                left -= len(content)
                if left < 0:  # sizes that an archive states need not be true
                    raise UsageError(f"'{path}' unpacks to more than {MOST_BYTES >> 30} GB")
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise UsageError(f"'{path}' cannot be read as an archive: {error}") from None


def _refuse(entries: list[zipfile.ZipInfo], path: Path) -> None:
    names = [entry.filename for entry in entries]
    if len(names) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise UsageError(f"'{path}' is too large: at most {MOST_FILES:,} files and {MOST_BYTES >> 30} GB are unpacked")
    if len({name.casefold() for name in names}) < len(names):
        raise UsageError(f"'{path}' holds two files of one name")
    for entry in entries:
        if not _ours(entry.filename) or stat.S_ISLNK(entry.external_attr >> 16):
            raise UsageError(f"'{path}' holds '{entry.filename}', which is no part of a replication package")


def _ours(name: str) -> bool:
    try:
        top, *rest = file_name(name).split("/")
    except ValueError:
        return False
    return (top in FOLDERS and bool(rest)) or (top in TOPS and not rest)


def _copied(path: Path, folder: Path) -> None:
    """The parts of a package in a folder; `results`, where one has run it oneself, are none."""
    left = MOST_BYTES
    for source in sorted(path.rglob("*")):
        name = source.relative_to(path).as_posix()
        if not source.is_file() or not _ours(name):
            continue
        if source.is_symlink() or not source.resolve().is_relative_to(path.resolve()):
            raise UsageError(f"'{source}' is a link, and no part of a replication package")
        left -= source.stat().st_size
        if left < 0:
            raise UsageError(f"'{path}' holds more than {MOST_BYTES >> 30} GB")
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())


def manifest_of(folder: Path) -> Manifest:
    """The manifest of an unpacked archive.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    file = folder / MANIFEST
    if not file.is_file():
        raise UsageError(f"this is no replication package: it has no {MANIFEST}")
    try:
        return from_text(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise UsageError(f"the archive's {MANIFEST} is no text") from None


def unlike(folder: Path, manifest: Manifest) -> list[str]:
    """Files that are not as the manifest has them, in words."""
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}
    said = [f"{name} is missing" for name in sorted(manifest.files.keys() - there)]
    said += [f"{name} is not in the manifest" for name in sorted(there - manifest.files.keys())]
    for name in sorted(there & manifest.files.keys()):
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != manifest.files[name]:
            said.append(f"{name} has been changed: its SHA-256 is not that of the manifest")
    return said
