"""What the guide "Write your own market structure" promises of its length; that it runs, `test_docs` sees to."""

from __future__ import annotations

from pathlib import Path

import pytest
from playing import blocks

GUIDE = Path(__file__).parent.parent / "docs" / "structure.md"


@pytest.mark.parametrize("name", ["quantities.py", "public_funds.py"])
def test_each_structure_has_less_than_a_hundred_lines(name: str) -> None:
    lines = [line for block in blocks(GUIDE) if block.file == name for line in block.text.splitlines()]
    assert 50 < len([line for line in lines if line.strip()]) < 100
