"""Words that plugins add to the language, found by name and loaded when a text uses them.

A file that uses no word of a plugin never runs its code. Where a word is not known, a package that declares it is asked
first, then all the others, for one entry point may bring several words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from mechdsl.loading import Attempt, Point, tried

__all__ = ["Words"]

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Words(Mapping[str, T], Generic[T]):
    """Name -> what it means; the built-in ones, and those of plugins.

    Args:
        built_in: of the language itself.
        verify: why a value cannot be taken, or None.
        waiting: installed plugins that have not been loaded.
        origins: where each word of a plugin comes from.
        broken: name of a plugin, and why something of it could not be taken.
        printed: name of a plugin, and what it printed while it was loaded.
    """

    built_in: Mapping[str, T]
    verify: Callable[[Any], str | None]
    waiting: list[Point]
    origins: dict[str, str] = field(default_factory=dict)
    broken: list[tuple[str, str]] = field(default_factory=list)
    printed: list[tuple[str, str]] = field(default_factory=list)
    _known: dict[str, T] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known.update(self.built_in)

    def take(self, name: str, origin: str, found: Attempt) -> None:
        """Add what loading a plugin came to: one value, or several in a tuple."""
        if found.printed:
            self.printed.append((name, found.printed))
        if found.reason:
            self.broken.append((name, f"{origin}: {found.reason}"))
            return
        for candidate in found.value if isinstance(found.value, tuple | list) else (found.value,):
            reason = self.verify(candidate)
            if reason is None and candidate.name in self._known:
                taken = self.origins.get(candidate.name, "the language itself")
                reason = f"the name '{candidate.name}' is already taken by {taken}"
            if reason is not None:
                self.broken.append((name, f"{origin}: {reason}"))
                continue
            self._known[candidate.name] = candidate
            self.origins[candidate.name] = origin

    def complete(self) -> Words[T]:
        """Load all that wait; the same words, none of them waiting."""
        self._load(list(self.waiting))
        return self

    def _load(self, points: list[Point]) -> None:
        for point in points:
            self.waiting.remove(point)
            self.take(point.name, point.origin, tried(point))

    def __getitem__(self, name: str) -> T:
        if name not in self._known:
            self._load([p for p in self.waiting if p.name == name])
        if name not in self._known:
            self.complete()
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        self.complete()
        return iter(self._known)

    def __len__(self) -> int:
        self.complete()
        return len(self._known)
