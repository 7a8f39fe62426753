"""Distributions of installed packages and plugin files, beside the built-in ones: vocabulary, never syntax.

A package names its families by entry points of the group `mechdsl.distributions`, a plugin file by `DISTRIBUTIONS`;
either gives a `Family` or several. Each is checked when it is found; a broken one is named and left out, never fatal.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeAlias, get_args

from mechdsl.distributions.families import FAMILIES, Family, Need, Takes

__all__ = ["ENTRY_POINT_GROUP", "Plugged", "Source", "plugged", "verify"]

ENTRY_POINT_GROUP = "mechdsl.distributions"

Source: TypeAlias = tuple[str, str, Callable[[], Any]]
"""A plugin: its name, where it comes from, and how to load what it gives."""

_NAME = re.compile(r"[^\W\d]\w{0,60}")


@dataclass(frozen=True, slots=True)
class Plugged:
    """The distributions at hand: `families` by name, `origins` of those that plugins add, what could not be taken."""

    families: Mapping[str, Family]
    origins: Mapping[str, str]
    broken: tuple[tuple[str, str], ...]


def plugged(others: Sequence[Source] = ()) -> Plugged:
    """The built-in families, those of installed packages, then those of `others` (plugin files)."""
    known: dict[str, Family] = dict(FAMILIES)
    origins: dict[str, str] = {}
    broken: list[tuple[str, str]] = []
    for name, origin, load in (*_entry_points(), *others):
        try:
            given = load()
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way; it must not take others with it
            broken.append((name, f"{origin}: {type(error).__name__}: {error}"))
            continue
        for candidate in given if isinstance(given, tuple | list) else (given,):
            reason = verify(candidate)
            if reason is None and candidate.name in known:
                taken = origins.get(candidate.name, "the language itself")
                reason = f"the name '{candidate.name}' is already taken by {taken}"
            if reason is not None:
                broken.append((name, f"{origin}: {reason}"))
                continue
            known[candidate.name] = candidate
            origins[candidate.name] = origin
    return Plugged(MappingProxyType(known), MappingProxyType(origins), tuple(broken))


@lru_cache(maxsize=1)  # what is installed does not change while a program runs
def _entry_points() -> tuple[Source, ...]:
    points = sorted(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda p: p.name)
    return tuple((p.name, p.value, p.load) for p in points)


def verify(candidate: Any) -> str | None:
    """Why `candidate` cannot be taken (field and reason), or None."""
    if not isinstance(candidate, Family):
        return f"a {type(candidate).__name__} is no mechdsl.distributions.Family"
    if not isinstance(candidate.name, str) or not _NAME.fullmatch(candidate.name):
        return f"field 'name' must be a name of the language, not {candidate.name!r}"
    if not isinstance(candidate.doc, str) or not candidate.doc.strip():
        return "field 'doc' must be a sentence"
    if not isinstance(candidate.parameters, tuple) or not all(isinstance(p, str) for p in candidate.parameters):
        return "field 'parameters' must be a tuple of names"
    if not callable(candidate.make):
        return "field 'make' must be callable, as make(arguments, support)"
    for field, words in (("needs_support", get_args(Need)), ("takes", get_args(Takes))):
        if getattr(candidate, field) not in words:
            return f"field '{field}' must be one of {', '.join(words)}"
    return None
