"""libFuzzer, by way of atheris, follows the branches of the program: `python -m tests.fuzz.guided STATE RUNS SEED`.

It mutates bytes, and half of the time lets `mutations` change the text instead, which knows the words of the language.
What reaches new branches joins the corpus. Failures are counted and kept as in the other ways, so that one does not
end the run; only a death of the process does.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["mechdsl"], enable_loader_override=False):
    from . import mutations
    from .guard import limit_memory
    from .runs import Tally, read, try_one, warm_up
    from .seeds import fragments, seeds

_LONGEST = 300  # bytes
_SECONDS = 6.0  # instrumented code is slower


def main(state: Path, runs: int, seed: int) -> None:
    """`runs` inputs more; never returns, for libFuzzer ends the process."""
    path = state / "guided.json"
    tally = Tally.load(path)
    corpus = state / "corpus"
    if not corpus.is_dir():
        corpus.mkdir(parents=True)
        for number, one in enumerate((*seeds(), *fragments())):
            if len(one.text) <= _LONGEST:
                (corpus / f"seed{number}").write_bytes(one.text.encode("utf-8", errors="replace"))
    warm_up()
    at = os.open(state / "guided.at", os.O_RDWR | os.O_CREAT, 0o644)
    end = tally.done + runs
    last = [time.monotonic()]

    def look(text: str, number: int) -> str:
        return read(text, number, _SECONDS)

    def target(data: bytes) -> None:
        text = data.decode("utf-8", errors="replace")
        os.pwrite(at, b"%-12d" % tally.done, 0)
        try_one(text, tally.done, tally, state / "failures" / "guided", look)
        tally.done += 1
        if tally.done % 200 == 0 or tally.done == end:
            now = time.monotonic()
            tally.wall += now - last[0]
            last[0] = now
            tally.save(path)

    def mutator(data: bytes, most: int, draw: int) -> bytes:
        if draw % 2:
            return bytes(atheris.Mutate(data, most))
        text = data.decode("utf-8", errors="replace")
        dice = Random(draw)  # noqa: S311 - dice, not secrets
        return mutations.changed(dice, text).encode("utf-8", errors="replace")[:most]

    arguments = [
        sys.argv[0],
        str(corpus),
        f"-runs={runs}",
        f"-seed={seed + tally.done}",
        f"-max_len={_LONGEST}",
        "-timeout=120",
        "-rss_limit_mb=0",
        "-print_final_stats=1",
        "-verbosity=1",
        f"-artifact_prefix={state}/",
        "-reload=0",
    ]
    atheris.Setup(arguments, target, custom_mutator=mutator)
    limit_memory()
    atheris.Fuzz()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
