"""Words in figures: none over another and none beyond the edge, with many regimes and long descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from mechdsl.api import MarketFile, parse

pytest.importorskip("matplotlib")

from mechdsl.figures import draw, labels

LONG = "content demanded by the readers of the platform who have stayed with it"
TEXT = f"""
market long_words "Long words"
index k in parts = {{sports, music}}
param h[k] in [0, inf) = 1 "{LONG}"
layer platform
layer creator[k] {{
  type c[k] ~ {{sports: uniform(0.5, 1), music: uniform(0.2, 1)}}
  choose x[k] >= 0 "human content, weighted by its quality as judged by the readers"
  cost c[k] * x[k]^2
}}
let total = sum(k: x[k])
demand[k]: x[k] + 0.3 * total >= h[k]
contract platform -> creator: direct
"""
AIMS = ("revenue", "welfare", "revenue  set h = 0.5", "welfare  set h = 0.5", "revenue  set h = 2")
KINDS = {
    "heatmap(x[sports])": "vary h.sports in 1..3, h.music in 1..3",
    "heatmap(x[sports], x[music])": "vary h.sports in 1..3, h.music in 1..3",
    "line(x[sports], x[music])": "vary h.sports in 1..3",
    "bar(x[sports])": "vary h.sports in 1..3",
    "bar(revenue)": "draws 8",
    "box(x[sports], x[music])": "draws 8",
}


def market(regimes: int) -> MarketFile:
    """With so many regimes, each with a long title, and an experiment for every kind of figure."""
    lines = [
        f'regime r{n} "what the platform does in regime number {n} of all of them"'
        f" {{ objective platform: maximize {aim} }}"
        for n, aim in enumerate(AIMS[:regimes])
    ]
    lines += [f'experiment e{n} "Figure {n}" {{ {how} plot {kind} }}' for n, (kind, how) in enumerate(KINDS.items())]
    return parse("\n".join((TEXT, *lines)))


def drawn(figure: Any) -> Iterator[Any]:
    """Every text that can be seen."""
    for parent in (figure, *figure.subfigs):
        yield from (t for t in (parent._suptitle, parent._supxlabel, parent._supylabel) if t is not None)
    for ax in figure.get_axes():
        if ax.get_visible():
            yield from (ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label)
            for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
                ticks = [t for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
                yield from (label for t in ticks for label in (t.label1, t.label2) if label.get_visible())
            yield from ax.get_legend().get_texts() if ax.get_legend() else ()


@pytest.mark.parametrize("regimes", [1, 3, 5])
def test_no_word_lies_over_another(regimes: int) -> None:
    file = market(regimes)
    for experiment in file.run().values():
        (plot,) = experiment.findings.study.plots
        figure = draw(plot, experiment.findings, labels(file.model))
        renderer: Any = figure.canvas.get_renderer()
        texts = [t for t in drawn(figure) if t.get_text()]
        boxes = [(t.get_text(), t.get_window_extent(renderer).padded(-1)) for t in texts]
        assert len(boxes) > 6
        for said, box in boxes:
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, (plot, said)
            assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, (plot, said)
        for (one, here), (other, there) in combinations(boxes, 2):
            assert not here.overlaps(there), (plot, one, other)
