"""The guide "Write your own market structure" keeps its promise of length; that it runs, test_docs.py sees to."""

from __future__ import annotations

from pathlib import Path

from playing import blocks

GUIDE = Path(__file__).parent.parent / "docs" / "structure.md"


def test_each_structure_has_less_than_a_hundred_lines() -> None:
    for name in ("quantities.py", "public_funds.py"):
        text = "".join(block.text for block in blocks(GUIDE) if block.file == name)
        assert 20 < len([line for line in text.splitlines() if line.strip()]) < 100, name
