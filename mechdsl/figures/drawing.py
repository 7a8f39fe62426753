"""From findings to a figure: which chart, its frame, its caption; and a figure to a file."""

from __future__ import annotations

import textwrap
from io import BytesIO
from pathlib import Path
from typing import Any

from mechdsl.errors import UsageError
from mechdsl.figures import charts
from mechdsl.figures.heatmap import heatmap
from mechdsl.figures.labels import Labels, drawable
from mechdsl.figures.style import INK, SETTINGS
from mechdsl.population.findings import Findings
from mechdsl.population.study import Plot

__all__ = ["FORMATS", "draw", "encoded", "save"]

FORMATS = ("png", "svg", "pdf")


def draw(plot: Plot, found: Findings, words: Labels) -> Any:
    """A matplotlib figure of findings.

    Args:
        plot: what is asked for; it suits the study (`study` has checked).
        found: the study's findings.
        words: of the model.

    Raises:
        UsageError: matplotlib is missing, or there is nothing to show.
    """
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("figures need matplotlib: pip install 'mechdsl[figures]'") from None
    if not any(m in c.figures for m in plot.measures for c in found.cells):
        raise UsageError(f"{plot.kind}({', '.join(plot.measures)}) has nothing to show: no market was solved")
    charted = {
        "heatmap": heatmap, "box": charts.box, "bar": charts.bar, "line": charts.line, "trace": charts.trace,
    }  # fmt: skip
    chart = charted[plot.kind]
    with mpl.rc_context(SETTINGS):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        layout: Any = figure.get_layout_engine()
        layout.set(w_pad=0.06, h_pad=0.06)
        caption = chart(figure, plot, found, words)
        width = figure.get_figwidth()
        title = textwrap.fill(drawable(found.study.title), int(width * 11.5))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
        if caption:
            figure.supxlabel(textwrap.fill(caption, int(width * 16.5)), x=0.01, ha="left", fontsize=7, color="#555555")
        figure.canvas.draw()
    return figure


def encoded(figure: Any, kind: str) -> bytes:
    """A figure as the bytes of a png, svg or pdf file; the same figure gives the same bytes."""
    import matplotlib as mpl

    undated: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    written = BytesIO()
    with mpl.rc_context(SETTINGS):
        figure.savefig(written, format=kind, metadata=undated)
    return written.getvalue()


def save(figure: Any, path: Path) -> None:
    """A figure as a png, svg or pdf file; the same figure gives the same bytes.

    Raises:
        UsageError: it cannot be written, or the name has another ending.
    """
    kind = path.suffix.lstrip(".")
    if kind not in FORMATS:
        raise UsageError(f"'{path}' is no figure: name a {', '.join('.' + f for f in FORMATS)} file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(figure, kind))
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror}") from None
