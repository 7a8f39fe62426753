"""A diagnosis for readers: what will be solved and why it may be trusted, then the findings with their places.

What all regimes have in common is said once. The JSON form is for editors: findings with ranges, and what they rest on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from mechdsl.errors import Diagnostic
from mechdsl.report.json_report import diagnostic_object, document
from mechdsl.report.terminal import heading
from mechdsl.theory.curvature import Curvature

if TYPE_CHECKING:
    from mechdsl.check import Diagnosis, RegimeDiagnosis, TypeDiagnosis
    from mechdsl.theory.substitution import Substitution

__all__ = ["check_object", "page"]

_INDENT = (0, 0, 0, 2)
_SHOWN = 12  # types listed one by one
UNHANDLED = "M060"
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_CONVEX = {
    True: "the programme is convex: a local optimum is the optimum",
    False: "the programme is not convex as posed: a local optimum need not be the optimum",
    None: "the programme could not be shown to be convex",
}


def page(diagnosis: Diagnosis) -> RenderableType:
    """The diagnosis as a person reads it."""
    market = next(iter(diagnosis.model.markets.values()))
    groups: list[list[RenderableType]] = [
        [heading(market)],
        [_regime(one) for one in diagnosis.regimes],
        [*_curvatures(diagnosis)],
        [*_types(diagnosis.types)],
        *([_finding(found, diagnosis)] for found in _findings(diagnosis)),
        [_summary(diagnosis)],
    ]
    parts = [part for group in groups if group for part in (*group, Text(""))]
    return Group(*parts[:-1])


def _findings(diagnosis: Diagnosis) -> list[Diagnostic]:
    """What is not already said with its regime."""
    return [found for found in diagnosis.diagnostics if found.code != UNHANDLED]


def _finding(found: Diagnostic, diagnosis: Diagnosis) -> RenderableType:
    """A diagnostic as it is always rendered; its excerpt must not be wrapped."""
    text = Text(found.render(diagnosis.model.source), no_wrap=True, overflow="ignore")
    text.stylize(_COLOURS[found.severity], 0, len(found.severity))
    return text


def check_object(diagnosis: Diagnosis) -> dict[str, Any]:
    """The object of `check --json`."""
    names = {law: str(law) for law in {one.distribution for one in diagnosis.types}}
    return document(
        diagnosis.model.name,
        "check",
        regimes={one.market.regime: _regime_object(one) for one in diagnosis.regimes},
        types={one.name: _type_object(one, names[one.distribution]) for one in diagnosis.types},
        diagnostics=[diagnostic_object(found) for found in diagnosis.diagnostics],
    )


def _regime(one: RegimeDiagnosis) -> RenderableType:
    name = Text(one.market.regime, style="bold")
    if one.market.regime_title:
        name.append(f"  {one.market.regime_title}", style="not bold")
    if one.match.structure is None:
        reasons = [Text(told, style="dim") for told in one.match.told]
        return Group(
            name,
            Padding(Group(Text("no installed structure handles it", style="yellow"), *reasons), _INDENT, expand=False),
        )
    taken = f"structure {one.match.structure.name}, for {one.match.why}"
    lines = [taken, _CONVEX[one.convex]]
    lines += [f"essential: {one.essential}"] if one.essential else []
    if one.substitution is not None:  # complements have a finding of their own, with their numbers
        lines.append("complements, see below" if one.substitution.worst else str(one.substitution))
    return Group(name, Padding(Group(*(Text(line, style="dim") for line in lines)), _INDENT, expand=False))


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
            count = sum(found.severity == severity for found in _findings(diagnosis))
            if count:
                yield f"{count} {severity}{'s' if count > 1 else ''}"

    unhandled = sum(one.match.structure is None for one in diagnosis.regimes)
    regimes = [f"{unhandled} of {len(diagnosis.regimes)} regimes not handled"] if unhandled else []
    return Text(", ".join([*regimes, *counts()]) or "nothing to remark", style="bold")


def _regime_object(one: RegimeDiagnosis) -> dict[str, Any]:
    structure = one.match.structure
    found: dict[str, Any] = {
        "structure": structure.name if structure else None,
        "status": "handled" if structure else "unhandled",
        "message": one.match.why,
        "not_taken": dict(one.match.reasons),
        "curvature": {name: _curvature_object(c) for name, c in one.curvatures.items()},
    }
    found |= {"convex": one.convex} if structure else {}
    if one.essential is not None:
        needed = [{"output": name, "for": row} for name, row in one.essential.needed]
        whole = {"needed": needed, "never_idle": list(one.essential.never_idle)}
        found["essential"] = {"clash": one.essential.clash} if one.essential.clash else whole
    if one.substitution is not None:
        found["substitution"] = _substitution_object(one.substitution)
        found["not_unique"] = [dataclasses.asdict(output) for output in one.loose]
    return found


def _substitution_object(found: Substitution) -> dict[str, Any]:
    verdict = {"holds": found.holds, "because": found.because, "solves": found.solves}
    return verdict | ({"worst": dataclasses.asdict(found.worst)} if found.worst is not None else {})


def _curvature_object(found: Curvature) -> dict[str, Any]:
    return {"wanted": found.wanted, "holds": found.holds, "evidence": found.evidence, "because": found.because}


def _type_object(one: TypeDiagnosis, distribution: str) -> dict[str, Any]:
    regularity = one.regularity
    return {
        "distribution": distribution,
        "regular": regularity.regular,
        "proved": regularity.proved,
        "reason": regularity.reason,
    }
