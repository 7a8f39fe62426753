"""Any text is understood or refused in words, within bounds: seconds of what `python -m tests.fuzz` does for hours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest
from fuzz import examine as examined
from fuzz.examine import Misdeed, examine, refusal
from fuzz.guard import Breach, watched
from fuzz.mutations import changed
from fuzz.runs import WAYS, Tally, made, signature, try_one, warm_up
from fuzz.seeds import CORPUS, FOUND, TABLES, words
from fuzz.solved import solved
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.extra.lark import from_lark

from mechdsl import load
from mechdsl.errors import Diagnostic, MechError, Source, Span, UsageError
from mechdsl.syntax.grammar import load_grammar

CASES = Path(__file__).parent / "cases" / "good"
KEPT = sorted([*CORPUS.glob("*.mech"), *FOUND.glob("*.mech")])


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm_up()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_was_once_found(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", errors="surrogatepass")
    with watched(TABLES):
        examine(text, TABLES)


def test_markets_are_solved(tmp_path: Path) -> None:
    tally = Tally()
    for number in range(12):
        try_one(made("market", 0, number), number, tally, tmp_path, solved)
    assert not tally.failures, tally.failures
    assert tally.results["optimal"] > 2


@pytest.mark.parametrize("way", ["grammar", "mutation"])
def test_a_short_run(way: str, tmp_path: Path) -> None:
    tally = Tally()
    for number in range(400):
        try_one(made(way, 0, number), number, tally, tmp_path)
    assert not tally.failures, tally.failures
    # The inputs get everywhere: some are no texts, some no models, some are valid.
    assert {result.split()[0] for result in tally.results} == {"text", "model", "valid"}


@given(from_lark(load_grammar().lark, start="file"))
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
def test_texts_of_the_grammar(text: str) -> None:
    with watched(TABLES):
        examine(text, TABLES)


# ----------------------------------------------------------------------------------------------- the fuzzers themselves


def test_an_input_is_made_from_its_number_alone() -> None:
    for way in WAYS:
        assert made(way, 3, 17) == made(way, 3, 17) != made(way, 3, 18)


def test_words_lose_nothing() -> None:
    for number in range(100):
        text = made("mutation", 5, number)
        assert "".join(words(text)) == text


def for_ever() -> None:
    while True:
        pass


FORBIDDEN: dict[str, Callable[[], object]] = {
    "run a text": partial(eval, "1 + 1"),
    "read elsewhere": lambda: Path("/etc/hostname").read_bytes(),
    "write": lambda: (TABLES / "new.csv").write_bytes(b""),
    "remove": (TABLES / "d.csv").unlink,
    "run a program": lambda: subprocess.run(["true"], check=True),
    "run a shell": lambda: os.system("true"),  # noqa: S605
    "go on for ever": for_ever,
}


@pytest.mark.parametrize("deed", FORBIDDEN)
def test_the_guard_refuses_to(deed: str) -> None:
    with pytest.raises(Breach), watched(TABLES, seconds=0.1):
        FORBIDDEN[deed]()
    assert sorted(path.name for path in TABLES.iterdir()) == ["costs.csv", "d.csv", "empty.csv", "mu.csv", "odd.csv"]


def test_the_guard_sees_what_is_caught() -> None:
    with pytest.raises(Breach), watched(TABLES), suppress(BaseException):
        Path("/etc/hostname").read_bytes()


def test_the_guard_lets_the_folder_be_read() -> None:
    with watched(TABLES):
        assert (TABLES / "d.csv").read_text(encoding="utf-8").startswith("domains")


HERE = Span(0, 1, 1, 1, 1, 2)
WRONG = {
    "an unknown code": Diagnostic("M999", "bad", HERE, "Mend it."),
    "no remedy": Diagnostic("M010", "bad", HERE),
    "no place": Diagnostic("M010", "bad", None, "Mend it."),
    "a place outside": Diagnostic("M010", "bad", Span(0, 9, 1, 1, 1, 10), "Mend it."),
    "a wrong column": Diagnostic("M010", "bad", Span(0, 1, 1, 2, 1, 3), "Mend it."),
    "no error": Diagnostic("M010", "bad", HERE, "Mend it.", "note"),
    "a message without end": Diagnostic("M010", "bad" * 100_000, HERE, "Mend it."),
}


@pytest.mark.parametrize("title", WRONG)
def test_a_bad_refusal_is_seen(title: str) -> None:
    with pytest.raises(Misdeed):
        refusal(MechError([WRONG[title]], Source("t", "let")), "let")


def test_failures_are_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(examined, "elaborate", broken)
    tally = Tally()
    for number in range(3):
        try_one('market m "t"', number, tally, tmp_path)
    assert tally.results["FAILED RuntimeError"] == 3
    assert list(tally.failures.values()) == ["0"]
    assert (tmp_path / "0.mech").read_text(encoding="utf-8") == 'market m "t"'
    assert "a bug" in (tmp_path / "0.txt").read_text(encoding="utf-8")


def test_a_tally_is_kept(tmp_path: Path) -> None:
    tally = Tally(done=3, cpu=1.5)
    tally.results["valid"] += 3
    tally.save(tmp_path / "t.json")
    assert Tally.load(tmp_path / "t.json") == tally
    assert Tally.load(tmp_path / "none.json") == Tally()


def test_a_signature_says_where() -> None:
    with pytest.raises(Misdeed) as caught:
        refusal(MechError([], Source("t", "")), "")
    assert signature(caught.value) == f"Misdeed examine.py:{caught.traceback[-1].lineno + 1} refused without a word"


OPTIONS = (
    "d.video=5",
    "mu=0",
    "d.video=5,d.text=2",
    "mu.video.text=0.2",
    "rho[text]=1.2",
    "c.video=0.3,c.text=1",
    "c=0.5",
)


@pytest.mark.parametrize("option", ["set", "at"])
def test_values_from_outside_are_taken_or_refused_in_words(option: str) -> None:
    market = load(CASES / "six_regimes.mech")
    outcomes: set[str] = set()
    for number in range(250):
        rng = Random(f"{option}:{number}")  # noqa: S311
        text = rng.choice(OPTIONS)
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            text = changed(rng, text)
        try:
            with watched(CASES):
                market.at(set=text) if option == "set" else market.at(at=text)
            outcomes.add("taken")
        except (MechError, UsageError) as error:
            outcomes.add(type(error).__name__ if str(error) else "refused without a word")
    assert {"taken", "MechError"} <= outcomes <= {"taken", "MechError", "UsageError"}
