"""Inputs by the thousand, counted: what each came to, what failed, how long it took; stopped and resumed at will.

The state of a way of making texts is a small file: how many inputs are done, and what came of them. Failures with
one signature (where the exception arose) are one failure; the first text of each is kept whole beside its traceback.
"""

from __future__ import annotations

import faulthandler
import json
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import MappingProxyType

import mechdsl

from . import markets, mutations, texts
from .examine import Misdeed, examine
from .guard import SECONDS, Breach, watched
from .seeds import TABLES, fragments, pieces, seeds
from .solved import solved

__all__ = ["WAYS", "Tally", "made", "read", "signature", "try_one", "warm_up", "work"]

WAYS: Mapping[str, Callable[[Random], str]] = MappingProxyType(
    {"grammar": texts.generated, "mutation": mutations.mutated, "market": markets.market}
)
PACKAGE = Path(mechdsl.__file__).parent
_SAVED_EVERY = 500
_HANGING = 900.0  # seconds for a hundred inputs, after which the process is given up


@dataclass(slots=True)
class Tally:
    """What came of the inputs of one way so far."""

    done: int = 0
    cpu: float = 0.0
    wall: float = 0.0
    slowest: float = 0.0
    results: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Tally:
        """As saved; new if nothing is."""
        if not path.is_file():
            return cls()
        kept = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**kept, "results": Counter(kept["results"])})

    def save(self, path: Path) -> None:
        """All or nothing: an interrupt in between leaves what was there."""
        kept = {name: getattr(self, name) for name in self.__slots__}
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        draft.replace(path)


def warm_up() -> None:
    """What is made or loaded on demand is there from now on, and counts for no input."""
    pieces(), fragments()
    for seed in seeds():
        with suppress(Misdeed):
            examine(seed.text, TABLES, layout=False, check=seed.name.startswith("models"))


def made(way: str, seed: int, number: int) -> str:
    """Input `number` of a way: the same for the same seed and the same texts to start from."""
    return WAYS[way](Random(f"{seed}:{way}:{number}"))  # noqa: S311


def read(text: str, number: int, seconds: float = SECONDS) -> str:
    """Examine one text within the bounds; one in 16 is laid out, another is checked."""
    with watched(TABLES, seconds):
        return examine(text, TABLES, layout=number % 16 == 1, check=number % 16 == 0)


def try_one(text: str, number: int, tally: Tally, kept: Path, look: Callable[[str, int], str] = read) -> None:
    """Look at one text, and count what comes of it."""
    start = time.process_time()
    try:
        result = look(text, number)
    except KeyboardInterrupt:
        raise
    except (Exception, Breach) as error:  # noqa: BLE001 - whatever it is, no text may cause it
        result = f"FAILED {type(error).__name__}"
        name = signature(error)
        if name not in tally.failures:
            tally.failures[name] = str(number)
            kept.mkdir(parents=True, exist_ok=True)
            stem = kept / f"{number}"
            stem.with_suffix(".mech").write_bytes(text.encode("utf-8", errors="surrogatepass"))
            stem.with_suffix(".txt").write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    spent = time.process_time() - start
    tally.results[result] += 1
    tally.cpu += spent
    tally.slowest = max(tally.slowest, spent)


def signature(error: BaseException) -> str:
    """Where it arose, and for a property that does not hold, which."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if Path(f.filename).is_relative_to(PACKAGE)]
    last = (ours or frames)[-1]
    which = str(error)[:32] if isinstance(error, Misdeed) else ""
    return f"{type(error).__name__} {Path(last.filename).name}:{last.lineno} {which}".strip()


def work(way: str, seed: int, until: int, state: Path) -> None:
    """Inputs of a way from where it stands until `until`; the number at hand is always on disk, should we die of it."""
    path = state / f"{way}.json"
    tally = Tally.load(path)
    at = os.open(state / f"{way}.at", os.O_RDWR | os.O_CREAT, 0o644)
    last = time.monotonic()
    for number in range(tally.done, until):
        os.pwrite(at, b"%-12d" % number, 0)
        if number % 100 == 0:  # what hangs outside of Python hears no signal
            faulthandler.dump_traceback_later(_HANGING, exit=True)
        look = solved if way == "market" else read
        try_one(made(way, seed, number), number, tally, state / "failures" / way, look)
        tally.done = number + 1
        if tally.done % _SAVED_EVERY == 0 or tally.done == until:
            now = time.monotonic()
            tally.wall += now - last
            last = now
            tally.save(path)
    faulthandler.cancel_dump_traceback_later()
    os.close(at)
