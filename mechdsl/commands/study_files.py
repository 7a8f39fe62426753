"""The figures of a study, as files; and those that an earlier run of it left behind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mechdsl.errors import UsageError

if TYPE_CHECKING:
    from mechdsl.market import Model
    from mechdsl.population.findings import Findings

__all__ = ["figures_written", "formats", "left_behind"]


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


def left_behind(name: str, made: Sequence[Path], folder: Path, others: Iterable[str]) -> list[Path]:
    """Files with the names of an experiment's figures and rows that this run of it has not made.

    They are for the user to remove: a figure once asked for may be kept on purpose.

    Args:
        name: of the experiment.
        made: by this run.
        folder: of the results.
        others: names of the file's other experiments, which may begin alike.
    """
    from mechdsl.elaborate.outcomes import FIGURES
    from mechdsl.figures import FORMATS

    longer = tuple(f"{other}_" for other in others if other.startswith(f"{name}_"))
    figures = tuple(f"{name}_{kind}_" for kind in FIGURES)
    found = []
    for path in sorted(folder.iterdir()):
        figure = path.name.startswith(figures) and path.suffix.lstrip(".") in FORMATS
        rows = path.name in (f"{name}_rows.csv", f"{name}_rows.parquet")
        if (figure or rows) and path not in made and path.is_file() and not path.name.startswith(longer):
            found.append(path)
    return found


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
