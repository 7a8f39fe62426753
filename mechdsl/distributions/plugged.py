"""Distributions of installed packages and plugin files, beside the built-in ones: vocabulary, never syntax.

A package names its families by entry points of the group `mechdsl.distributions`, a plugin file by `DISTRIBUTIONS`;
either gives a `Family` or several. An entry point is loaded when a text uses its name, or a name that nobody knows.
Each is checked when it is found; a broken one is named and left out, never fatal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, get_args

from mechdsl.distributions.families import FAMILIES, Family, Need, Takes
from mechdsl.loading import Point, attempt, points
from mechdsl.vocabulary import Words

__all__ = ["ENTRY_POINT_GROUP", "Plugged", "Source", "plugged", "verify"]

ENTRY_POINT_GROUP = "mechdsl.distributions"

Source: TypeAlias = tuple[str, str, Callable[[], Any]]
"""A plugin: its name, where it comes from, and how to load what it gives."""

_NAME = re.compile(r"[^\W\d]\w{0,60}")


@dataclass(frozen=True, slots=True)
class Plugged:
    """The distributions at hand: `families` by name, `origins` of those that plugins add, what could not be taken."""

    families: Words[Family]

    @property
    def origins(self) -> Mapping[str, str]:
        return MappingProxyType(self.families.origins)

    @property
    def broken(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.families.broken)


def plugged(others: Sequence[Source] = ()) -> Plugged:
    """The built-in families, those of installed packages, and those of `others` (plugin files)."""
    words = Words(FAMILIES, verify, list(_entry_points()))
    for name, origin, load in others:
        words.take(name, origin, attempt(load, None))
    return Plugged(words)


def _entry_points() -> tuple[Point, ...]:
    return points(ENTRY_POINT_GROUP)


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
