"""Every file of `cases/bad` has its mistake and its whole message: `NAME.mech` beside `NAME.expected`.

A new case is a new file: `pytest tests/test_cases_bad.py --update-golden` writes what it gets, to be read before it
is kept.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mechdsl import pipeline
from mechdsl.errors import MechError

BAD = Path(__file__).parent / "cases" / "bad"
CASES = sorted(BAD.glob("*.mech"))


def message(path: Path) -> str:
    """All that is said about a file, by its bare name."""
    try:
        pipeline.load(path)
    except MechError as error:
        return error.render().replace(str(path), path.name) + "\n"
    return ""


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_message(path: Path, update_golden: bool) -> None:
    found = message(path)
    assert found, "nothing is wrong with this file"
    expected = path.with_suffix(".expected")
    if update_golden:
        expected.write_text(found, encoding="utf-8")
    assert expected.is_file(), f"no {expected.name}: run with --update-golden and read what it writes"
    assert found == expected.read_text(encoding="utf-8")


def test_no_expectation_without_its_case() -> None:
    assert {path.stem for path in BAD.glob("*.expected")} == {path.stem for path in CASES}
