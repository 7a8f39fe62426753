"""The chain, top to bottom: text -> File -> Model -> (structure) -> Derivation -> Program -> Outcome -> Certificate.

Each stage is a pure function made elsewhere; here they stand in order. A `Run` holds what each made for one regime,
side by side, so any of it can be printed, tested or reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mechdsl import syntax
from mechdsl import syntax_tree as tree
from mechdsl.distributions import Family
from mechdsl.elaborate import Override, elaborate
from mechdsl.elaborate.functions import Function
from mechdsl.elaborate.places import word_span
from mechdsl.errors import Diagnostic, PluginError, Source, UsageError, did_you_mean
from mechdsl.market import Market, Model, alike
from mechdsl.outcome import Certificate, Outcome
from mechdsl.program import Menu, Status, given, optima
from mechdsl.structure import NEAREST, Match, Registry, Report, Structure, distance, match

if TYPE_CHECKING:
    from mechdsl.derivation import Derivation
    from mechdsl.mechanism import Mechanism

__all__ = [
    "Run",
    "derive",
    "elaborated",
    "load",
    "mechanism",
    "parse",
    "refuse_tolerance",
    "run",
    "stated_report",
    "unhandled",
]

TIGHTEST = 1e-8  # tolerance that can be asked for: items of a menu are found to about as much


def load(
    path: Path | str,
    overrides: Sequence[Override] = (),
    report: Sequence[Override] = (),
    seed: int = 0,
    families: Mapping[str, Family] | None = None,
    functions: Mapping[str, Function] | None = None,
) -> Model:
    """Read, parse and elaborate a file.

    Raises:
        MechError: with every mistake found.
    """
    file, source = syntax.read(path)
    return elaborated(file, source, Path(path).parent, overrides, report, seed, families, functions)


def parse(text: str, name: str = "<text>", folder: Path | None = None, seed: int = 0) -> Model:
    """Parse and elaborate a text; without a folder it can name no csv files.

    Raises:
        MechError: with every mistake found.
    """
    return elaborated(syntax.parse(text, name), Source(name, text), folder, seed=seed)


def elaborated(
    file: tree.File,
    source: Source,
    folder: Path | None = None,
    overrides: Sequence[Override] = (),
    report: Sequence[Override] = (),
    seed: int = 0,
    families: Mapping[str, Family] | None = None,
    functions: Mapping[str, Function] | None = None,
) -> Model:
    """The model a file states, as `elaborate` makes it, refused where its curvature is refuted.

    Raises:
        MechError: with every mistake found; those of curvature in the regimes that have no other.
    """
    from mechdsl.theory.faults import faults, stray_cases

    looked: list[Market] = []

    def examined(market: Market) -> Iterable[Diagnostic]:
        """Of regimes that differ in contracts and objectives alone, theory finds the same but in these."""
        if any(alike(one, market) for one in looked):
            return stray_cases(market)
        looked.append(market)
        return faults(market)

    return elaborate(file, source, folder, overrides, report, seed, families, examined, functions)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One regime, from its market to its certificate; what was not reached is None.

    Args:
        market: as stated; match: the structure taken and why.
        mechanism: derivation, programme and compiled engine, ready to be asked again.
        outcome, certificate: the answer and its checks.
        problem: what stands in the way when no structure handles the market.
    """

    market: Market
    match: Match
    mechanism: Mechanism | None = None
    outcome: Outcome | None = None
    certificate: Certificate | None = None
    problem: Diagnostic | None = None

    @property
    def derivation(self) -> Derivation | None:
        return self.mechanism.derivation if self.mechanism else None

    @property
    def solved(self) -> bool:
        return self.outcome is not None and self.outcome.status.found


def derive(market: Market, structure: Structure) -> Derivation:
    """What theory makes of the market."""
    return structure.derive(market)


def mechanism(
    market: Market, structure: Structure, method: str | None = None, tolerance: float | None = None
) -> Mechanism:
    """The structure applied to the market: derived, posed and compiled, ready to be asked at any report.

    Args:
        market: the regime.
        structure: that handles it.
        method: how, where there are several ways.
        tolerance: of what is found by approximation (`Mechanism.tolerance`).

    Raises:
        UsageError: `method` names no way in which such a programme is solved.
    """
    from mechdsl.engines.compiled import compiled
    from mechdsl.mechanism import Mechanism

    derivation = structure.derive(market)
    program = structure.program(market, derivation)
    if method is not None:  # refused here, where somebody listens, and not at the first question
        engine = compiled(program, method)
        return Mechanism(market, structure, derivation, program, lambda: engine, tolerance)
    return Mechanism(market, structure, derivation, program, lambda: compiled(program), tolerance)


def refuse_tolerance(tolerance: float | None, markets: Iterable[Market], registry: Registry) -> None:
    """Nothing, where the tolerance is one, and means something to one of these regimes.

    Raises:
        UsageError: it is out of range, or all of the regimes are solved exactly.
    """
    if tolerance is None:
        return
    if not TIGHTEST <= tolerance < 1:
        raise UsageError(f"--tol is at least {TIGHTEST:g} and below 1")
    exact = []
    for market in markets:
        structure = match(market, registry).structure
        if structure is None:
            continue
        try:
            approximate = isinstance(structure.program(market, structure.derive(market)), Menu)
        except PluginError:  # whoever runs it says so
            approximate = True
        if approximate:
            return
        exact.append(market.regime)
    raise UsageError(
        "--tol is for what is found by approximation, as the menu for a union is under revenue; "
        f"{', '.join(exact) or 'nothing here'} {'is' if len(exact) == 1 else 'are'} solved to machine precision"
    )


def run(market: Market, registry: Registry, method: str | None = None, tolerance: float | None = None) -> Run:
    """Solve one regime at its report (the types' means where none is stated) and certify the answer.

    Interrupted, it is a run like any other, of status `interrupted`, so that those before it are not lost; of status
    `failed` where the code of a plugin fails.

    Args:
        market: the regime.
        registry: the structures at hand.
        method: how, where there are several ways (`mirror` for a contest).
        tolerance: of what is found by approximation.
    """
    matched = match(market, registry)
    if matched.structure is None:
        return Run(market, matched, problem=unhandled(market, matched, registry))
    report = stated_report(market)
    ready = None
    try:
        ready = mechanism(market, matched.structure, method, tolerance)
        outcome, certificate = _certified(ready, report)
    except PluginError as error:
        outcome, certificate = Outcome(matched.structure.name, Status.FAILED, f"{error}."), None
    except KeyboardInterrupt:
        stopped = Status.INTERRUPTED
        reported = {str(q.name): np.asarray(table) for q, table in report.items()}
        outcome, certificate = Outcome(matched.structure.name, stopped, stopped.sentence, report=reported), None
    return Run(market, matched, ready, outcome, certificate)


def _certified(ready: Mechanism, report: Report) -> tuple[Outcome, Certificate | None]:
    from mechdsl.certify import certify

    outcome = ready.structure.recover(ready, report)
    if outcome.status is Status.INFEASIBLE:
        outcome = _explained(ready, report, outcome)
    return outcome, certify(ready, report, outcome) if outcome.status.found else None


def _explained(ready: Mechanism, report: Report, outcome: Outcome) -> Outcome:
    """The outcome with what clashes, and the cheapest way out, in its message."""
    from mechdsl.theory.clashes import clash_of

    posed = ready.program.items if isinstance(ready.program, Menu) else ready.program
    first = next(iter(optima(posed)), None)  # what comes after it can always do what it is given
    parameters = ready.structure.parameters(ready.market, report)
    clash = None if first is None else clash_of(first, given(first, parameters, {}))
    return outcome if clash is None else replace(outcome, message=f"{outcome.message} {clash}")


def stated_report(market: Market) -> Report:
    """The report the file states, or the mean of every type."""
    if market.report is not None:
        return market.report
    return {t.quantity: np.asarray(t.table(lambda d: d.mean)) for t in market.types}


def unhandled(market: Market, matched: Match, registry: Registry) -> Diagnostic:
    """M060: why nobody takes it, by the structures that come nearest, and what the installed ones handle."""
    place = market.contracts[0].span if market.contracts else (market.objectives[0].span if market.objectives else None)
    kinds = tuple(contract.kind for contract in market.contracts)
    known = registry.kinds
    strange = next((contract for contract in market.contracts if contract.kind not in known), None)
    message = f"no installed structure handles regime '{market.regime}'"
    hint = _installed(market, registry)
    lost = [b for b in matched.broken if b.name in kinds]
    if lost:
        hint = f"{'; '.join(f'plugin {b.name} was not taken: {b.reason}' for b in lost)}. {hint}"
    elif strange is not None and known:
        message = f"{message}: none knows a contract '{strange.kind}'"
        place = strange.span if strange.span is None else word_span(market.source, strange.span, strange.kind)
        hint = f"{did_you_mean(strange.kind, known)} A structure of your own is named with --plugin FILE. {hint}"
    elif not market.contracts:
        hint = f"The market has no contract: add one, contract A -> B: direct. {hint}"
    else:
        near = [s for s in _nearest(market, registry) if set(s.handles.contracts) & set(kinds)]
        best = [s for s in near if distance(market, s.handles) == distance(market, near[0].handles)]
        reasons = [f"not {s.name}: {matched.reasons.get(s.name, 'it fits')}" for s in best]
        hint = f"{'; '.join(reasons)}. {hint}" if reasons else hint
        if best and market.objectives and distance(market, best[0].handles) == (-len(kinds), 0, False, True):
            place = market.objectives[0].span
    return Diagnostic("M060", message, place, hint[0].upper() + hint[1:])


def _nearest(market: Market, registry: Registry) -> list[Structure]:
    """The structures that come nearest to a market, the nearest first; few of many."""
    by_distance = sorted(registry.structures, key=lambda s: (distance(market, s.handles), s.name))
    return by_distance[:NEAREST]


def _installed(market: Market, registry: Registry) -> str:
    """What the nearest structures handle, and the names of the others."""
    near = _nearest(market, registry)
    if not near:
        return "No structures are installed."
    others = [s.name for s in registry.structures if s not in near]
    handled = "; ".join(f"{s.name} ({s.handles})" for s in near)
    if not others:
        return f"Installed: {handled}."
    return f"Installed, nearest first: {handled}; and {', '.join(others)}: 'mechdsl plugins' says what each handles."
