"""A diagnosis for readers: what will be solved and why it may be trusted, then the findings with their places.

What all regimes have in common is said once. The JSON form is for editors: findings with ranges, and what they rest on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from mechdsl.report.json_report import diagnostic_object, document
from mechdsl.report.terminal import heading
from mechdsl.theory.curvature import Curvature

if TYPE_CHECKING:
    from mechdsl.check import Diagnosis, RegimeDiagnosis, TypeDiagnosis

__all__ = ["check_object", "page"]

_SHOWN = 12  # types listed one by one
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_CONVEX = {
    True: "the programme is convex: a local optimum is the optimum",
    False: "the programme is not convex as posed: a local optimum need not be the optimum",
    None: "the programme could not be shown to be convex",
}


def page(diagnosis: Diagnosis) -> RenderableType:
    """The diagnosis as a person reads it."""
    market = next(iter(diagnosis.model.markets.values()))
    parts: list[RenderableType] = [heading(market), Text("")]
    parts += [_regime(one) for one in diagnosis.regimes]
    parts += [
        Padding(Group(*lines), (1, 0, 0, 0)) for lines in (_curvatures(diagnosis), _types(diagnosis.types)) if lines
    ]
    for found in diagnosis.diagnostics:
        text = Text(found.render(diagnosis.model.source))
        text.stylize(_COLOURS[found.severity], 0, len(found.severity))
        parts.append(Padding(text, (1, 0, 0, 0)))
    parts.append(Padding(_summary(diagnosis), (1, 0, 0, 0)))
    return Group(*parts)


def check_object(diagnosis: Diagnosis) -> dict[str, Any]:
    """The object of `check --json`."""
    return document(
        diagnosis.model.name,
        "check",
        regimes={one.market.regime: _regime_object(one) for one in diagnosis.regimes},
        types={one.name: _type_object(one) for one in diagnosis.types},
        diagnostics=[diagnostic_object(found) for found in diagnosis.diagnostics],
    )


def _regime(one: RegimeDiagnosis) -> RenderableType:
    name = Text(one.market.regime, style="bold")
    if one.market.regime_title:
        name.append(f"  {one.market.regime_title}", style="not bold")
    if one.match.structure is None:
        return Group(name, Text("  no installed structure handles it", style="yellow"))
    taken = Text(f"  structure {one.match.structure.name} ({one.match.why}); {_CONVEX[one.convex]}", style="dim")
    return Group(name, Padding(taken, (0, 0, 0, 0)))


def _curvatures(diagnosis: Diagnosis) -> list[Text]:
    """Every constraint with its verdict; a regime is named where its verdict is its own."""
    verdicts: dict[tuple[str, str], list[str]] = {}
    for one in diagnosis.regimes:
        for name, found in one.curvatures.items():
            verdicts.setdefault((name, _verdict(found)), []).append(one.market.regime)
    whole = len(diagnosis.regimes)
    return [
        Text.assemble((name, "bold"), f"  {verdict}", f" (in {', '.join(where)})" if len(where) < whole else "")
        for (name, verdict), where in verdicts.items()
    ]


def _verdict(found: Curvature) -> str:
    return found.because[0].lower() + found.because[1:] if found.because else found.wanted


def _types(types: tuple[TypeDiagnosis, ...]) -> list[Text]:
    lines = [Text.assemble((one.name, "bold"), f"  {one.regularity}") for one in types[:_SHOWN]]
    if len(types) > _SHOWN:
        lines.append(Text(f"... {len(types) - _SHOWN} more types", style="dim"))
    return lines


def _summary(diagnosis: Diagnosis) -> Text:
    def counts() -> Iterator[str]:
        for severity in ("warning", "note"):
            count = sum(found.severity == severity for found in diagnosis.diagnostics)
            if count:
                yield f"{count} {severity}{'s' if count > 1 else ''}"

    return Text(", ".join(counts()) or "nothing to remark", style="bold")


def _regime_object(one: RegimeDiagnosis) -> dict[str, Any]:
    structure = one.match.structure
    found: dict[str, Any] = {
        "structure": structure.name if structure else None,
        "status": "handled" if structure else "unhandled",
        "message": one.match.why,
        "not_taken": dict(one.match.reasons),
        "curvature": {name: _curvature_object(c) for name, c in one.curvatures.items()},
    }
    return found | ({"convex": one.convex} if structure else {})


def _curvature_object(found: Curvature) -> dict[str, Any]:
    return {"wanted": found.wanted, "holds": found.holds, "evidence": found.evidence, "because": found.because}


def _type_object(one: TypeDiagnosis) -> dict[str, Any]:
    regularity = one.regularity
    return {
        "distribution": str(one.distribution),
        "regular": regularity.regular,
        "proved": regularity.proved,
        "reason": regularity.reason,
    }
