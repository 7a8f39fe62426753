"""Who pays whom, laid out: a box a layer, payers above those they pay, an arrow a contract; drawn from what was stated.

Boxes and lines with upright and level strokes alone, so that any medium can draw them: SVG here, LaTeX's own `picture`
too, neither with the help of anything that must be fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from mechdsl.market import Layer, Market
from mechdsl.report.formulas import text

__all__ = ["Arrow", "Box", "Diagram", "diagram", "standalone_svg", "svg"]

_NO_PART = "no contract here"
_LINE, _PAD, _GAP, _ASIDE, _LETTER, _LANE = 17, 10, 58, 28, 7.1, 22


@dataclass(frozen=True, slots=True)
class Box:
    """A layer: its place, its name, and what it wants, knows and chooses; `faint` where it stands by."""

    x: float
    y: float
    width: float
    height: float
    name: str
    lines: tuple[str, ...]
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """From who pays to who is paid, by corners; `faint` where no money flows (a union speaks for its members)."""

    corners: tuple[tuple[float, float], ...]
    label: str
    label_at: tuple[float, float]
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Diagram:
    """Boxes and arrows on a sheet, from its upper left corner; `alt` says the same in words."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    alt: str


@dataclass(frozen=True, slots=True)
class _Link:
    """One layer above another, and why."""

    above: str
    below: str
    label: str
    faint: bool = False


def diagram(market: Market) -> Diagram:
    """The market's layers and contracts."""
    links = _links(market)
    depth = _depths([layer.name for layer in market.layers], links)
    idle = market.bystanders
    ordered = sorted(market.layers, key=lambda layer: layer.name in idle)  # bystanders to the right
    rows = [[layer for layer in ordered if depth[layer.name] == level] for level in range(max(depth.values()) + 1)]
    texts = {y.name: (*_lines_of(y, market), *((_NO_PART,) if y.name in idle else ())) for y in market.layers}
    widths = {n: max(map(len, (_head(market.layer(n)), *found))) * _LETTER + 2 * _PAD for n, found in texts.items()}
    across = max(sum(widths[y.name] for y in row) + _ASIDE * (len(row) - 1) for row in rows)
    label_room = max((len(link.label) for link in links), default=0) * _LETTER
    boxes: dict[str, Box] = {}
    top = 1.0
    for row in rows:
        left = 1 + (across - sum(widths[y.name] for y in row) - _ASIDE * (len(row) - 1)) / 2
        for layer in row:
            found = texts[layer.name]
            height = (len(found) + 1) * _LINE + 2 * _PAD
            boxes[layer.name] = Box(left, top, widths[layer.name], height, _head(layer), found, layer.name in idle)
            left += widths[layer.name] + _ASIDE
        top += max(boxes[y.name].height for y in row) + _GAP
    arrows = tuple(_arrows(links, boxes, depth, across))
    ends = [x for a in arrows for x, _ in a.corners]
    ends += [a.label_at[0] + len(a.label) * _LETTER for a in arrows]
    width = max([across + 2, *(e + 4 for e in ends), label_room])
    return Diagram(round(width, 1), round(top - _GAP + 2, 1), tuple(boxes.values()), arrows, _alt(market))


def _links(market: Market) -> list[_Link]:
    """Contracts, who speaks for whom, and what a planner decides."""
    found: dict[tuple[str, str], list[str]] = {}
    for contract in market.contracts:
        terms = ", ".join(f"{n} = {v}" for n, v in contract.arguments.items() if isinstance(v, str) or v.is_number)
        label = contract.kind.replace("_", " ") + (f" ({terms})" if terms else "")
        found.setdefault((contract.payer, contract.provider), []).append(label)
    links = [_Link(a, b, " + ".join(dict.fromkeys(labels))) for (a, b), labels in found.items() if a != b]
    links += [_Link(y.name, y.represents, "represents", True) for y in market.layers if y.represents]
    if not market.contracts:
        planners = [o.layer for o in market.objectives if not market.choices_of(o.layer)]
        chosen = dict.fromkeys(c.layer for c in market.choices)
        links += [_Link(p, n, "decides for", True) for p in planners for n in chosen if p != n]
    return links


def _depths(names: Sequence[str], links: Sequence[_Link]) -> dict[str, int]:
    """How far below the first payer each stands: the longest way down (a circle of payers ends after as many steps)."""
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for link in links:
            depth[link.below] = min(len(names) - 1, max(depth[link.below], depth[link.above] + 1))
    levels = sorted(set(depth.values()))
    return {name: levels.index(d) for name, d in depth.items()}


def _head(layer: Layer) -> str:
    return f"{layer.name}[{', '.join(map(str, layer.letters))}]" if layer.letters else layer.name


def _lines_of(layer: Layer, market: Market) -> tuple[str, ...]:
    found = [f"{o.sense}s {o.goal if isinstance(o.goal, str) else text(o.goal)}" for o in market.objectives
             if o.layer == layer.name]  # fmt: skip
    found += [f"{' × '.join(f'{len(a.index_set)} {a.index_set.name}' for a in layer.letters)}"] if layer.letters else []
    found += [f"private {text(t.declaration.entry)}" for t in market.types_of(layer.name)]
    found += [f"chooses {text(c.declaration.entry)}" for c in market.choices_of(layer.name)]
    found += [f"signals {text(s.declaration.entry)}" for s in layer.signals]
    found += ["bears a cost"] if layer.cost != 0 else []
    found += ["enjoys a value"] if layer.value != 0 else []
    return tuple(line if len(line) <= 34 else f"{line[:33]}…" for line in found)


def _arrows(links: Sequence[_Link], boxes: dict[str, Box], depth: dict[str, int], across: float) -> Iterable[Arrow]:
    lanes = 0
    for link in links:
        above, below = boxes[link.above], boxes[link.below]
        outgoing = [k for k in links if k.above == link.above]
        incoming = [k for k in links if k.below == link.below]
        start = above.x + above.width * (outgoing.index(link) + 1) / (len(outgoing) + 1)
        end = below.x + below.width * (incoming.index(link) + 1) / (len(incoming) + 1)
        bottom, top = above.y + above.height, below.y
        bend = top - _GAP * 0.62
        if depth[link.below] - depth[link.above] == 1:
            if len(incoming) == 1 and below.x + _PAD < start < below.x + below.width - _PAD:
                end = start
            elif len(outgoing) == 1 and above.x + _PAD < end < above.x + above.width - _PAD:
                start = end
            corners: tuple[tuple[float, float], ...] = ((start, bottom), (start, bend), (end, bend), (end, top))
            corners = ((start, bottom), (end, top)) if start == end else corners
        else:
            lanes += 1
            lane = across + _LANE * lanes
            corners = ((start, bottom), (start, bottom + 9), (lane, bottom + 9), (lane, bend), (end, bend), (end, top))
        yield Arrow(corners, link.label, (end + 7, top - _GAP * 0.28), link.faint)


def _alt(market: Market) -> str:
    said = [f"{c.payer} pays {c.provider} under a contract {c.kind}" for c in market.contracts]
    said += [f"{y.name} represents {y.represents}" for y in market.layers if y.represents]
    said += [
        f"{o.layer} {o.sense}s {o.goal if isinstance(o.goal, str) else 'an objective of its own'}"
        for o in market.objectives
    ]
    idle = market.bystanders
    aside = f" Without a contract: {', '.join(idle)}." if idle else ""
    named = ", ".join(_head(y) for y in market.layers if y.name not in idle)
    return f"Layers: {named}. {'; '.join(said)}.{aside}"


def svg(drawn: Diagram) -> str:
    """The diagram as an `<svg>` element, to stand in a page; its colours are the page's."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="diagram" role="img" aria-label="{escape(drawn.alt)}" '
        f'width="{drawn.width:g}" height="{drawn.height:g}" viewBox="0 0 {drawn.width:g} {drawn.height:g}">'
    ]
    for arrow in drawn.arrows:
        path = " ".join(f"{'M' if n == 0 else 'L'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(arrow.corners))
        x, y = arrow.corners[-1]
        faint = " faint" if arrow.faint else ""
        parts.append(f'<path class="arrow{faint}" d="{path}"/>')
        parts.append(
            f'<path class="head" d="M{x - 4.5:.1f} {y - 9:.1f} L{x:.1f} {y:.1f} L{x + 4.5:.1f} {y - 9:.1f} Z"/>'
        )
        parts.append(
            f'<text class="label" x="{arrow.label_at[0]:.1f}" y="{arrow.label_at[1]:.1f}">{escape(arrow.label)}</text>'
        )
    for box in drawn.boxes:
        middle = box.x + box.width / 2
        place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
        parts.append(f'<rect class="box{" faint" if box.faint else ""}" {place} rx="5"/>')
        for n, line in enumerate((box.name, *box.lines)):
            kind = "name" if n == 0 and not box.faint else "detail"
            y = box.y + _PAD + (n + 0.75) * _LINE
            parts.append(f'<text class="{kind}" x="{middle:.1f}" y="{y:.1f}">{escape(line)}</text>')
    return "".join([*parts, "</svg>"])


_STYLE = """
.box{fill:#f6f8fa;stroke:#59636e;stroke-width:1.2}
text{fill:#1f2328;font:13px system-ui,sans-serif;text-anchor:middle}
.name{font-weight:700}.detail{fill:#59636e}.label{text-anchor:start;fill:#0a5bc4}
.arrow{fill:none;stroke:#0a5bc4;stroke-width:1.5}.faint{stroke-dasharray:4 3}.box.faint{fill:none}.head{fill:#0a5bc4}
@media (prefers-color-scheme:dark){.box{fill:#1a2129;stroke:#9aa6b2}text{fill:#e6edf3}.detail{fill:#9aa6b2}
.label{fill:#79b8ff}.arrow{stroke:#79b8ff}.head{fill:#79b8ff}}
"""


def standalone_svg(drawn: Diagram) -> str:
    """The diagram as a file of its own, with its own colours."""
    head, rest = svg(drawn).split(">", 1)
    return f"{head}><style>{_STYLE}</style>{rest}"
