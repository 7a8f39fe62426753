"""The figures of a study, as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mechdsl.errors import UsageError

if TYPE_CHECKING:
    from mechdsl.market import Model
    from mechdsl.population.findings import Findings

__all__ = ["figures_written", "formats"]


def formats(text: str) -> tuple[str, ...]:
    """`png,svg` as file endings.

    Raises:
        UsageError: another format.
    """
    from mechdsl.figures import FORMATS

    kinds = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    for kind in kinds:
        if kind not in FORMATS:
            raise UsageError(f"figures come as {', '.join(FORMATS)}, not as '{kind}'")
    return kinds


def figures_written(found: Findings, model: Model, folder: Path, head: str, kinds: tuple[str, ...]) -> list[Path]:
    """Every figure of a study, in every format; `head` starts their names."""
    from mechdsl.figures import draw, labels, save

    files = []
    for plot in found.study.plots:
        figure = draw(plot, found, labels(model))
        for kind in kinds:
            files.append(folder / f"{head}{plot.name}.{kind}")
            save(figure, files[-1])
    return files
