"""The chain, top to bottom: text -> File -> Model -> (structure) -> Derivation -> Program -> Outcome -> Certificate.

Each stage is a pure function made elsewhere; here they stand in order. A `Run` holds what each made for one regime,
side by side, so any of it can be printed, tested or reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mechdsl import syntax
from mechdsl import syntax_tree as tree
from mechdsl.distributions import Family
from mechdsl.elaborate import Override, elaborate
from mechdsl.errors import Diagnostic, MechError, Source
from mechdsl.market import Market, Model
from mechdsl.outcome import Certificate, Outcome
from mechdsl.program import Status, given, optima
from mechdsl.structure import Match, Registry, Report, Structure, match

if TYPE_CHECKING:
    from mechdsl.derivation import Derivation
    from mechdsl.mechanism import Mechanism

__all__ = ["Run", "derive", "elaborated", "load", "mechanism", "parse", "run", "stated_report", "unhandled"]


def load(
    path: Path | str,
    overrides: Sequence[Override] = (),
    report: Sequence[Override] = (),
    seed: int = 0,
    families: Mapping[str, Family] | None = None,
) -> Model:
    """Read, parse and elaborate a file.

    Raises:
        MechError: with every mistake found.
    """
    file, source = syntax.read(path)
    return elaborated(file, source, Path(path).parent, overrides, report, seed, families)


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
) -> Model:
    """The model a file states, as `elaborate` makes it, refused where its curvature is refuted.

    Raises:
        MechError: with every mistake found; those of curvature only where there are no others.
    """
    from mechdsl.theory.faults import faults

    model = elaborate(file, source, folder, overrides, report, seed, families)
    found = [fault for market in model.markets.values() for fault in faults(market)]
    if found:
        raise MechError(found, source)
    return model


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


def mechanism(market: Market, structure: Structure, method: str | None = None) -> Mechanism:
    """The structure applied to the market: derived, posed and compiled, ready to be asked at any report.

    Raises:
        UsageError: `method` names no way in which such a programme is solved.
    """
    from mechdsl.engines.compiled import compiled
    from mechdsl.mechanism import Mechanism

    derivation = structure.derive(market)
    program = structure.program(market, derivation)
    return Mechanism(market, structure, derivation, program, compiled(program, method))


def run(market: Market, registry: Registry, method: str | None = None) -> Run:
    """Solve one regime at its report (the types' means where none is stated) and certify the answer.

    Interrupted, it is a run like any other, of status `interrupted`, so that those before it are not lost.

    Args:
        market: the regime.
        registry: the structures at hand.
        method: how, where there are several ways (`mirror` for a contest).
    """
    matched = match(market, registry)
    if matched.structure is None:
        return Run(market, matched, problem=unhandled(market, matched, registry))
    ready = mechanism(market, matched.structure, method)
    report = stated_report(market)
    try:
        outcome, certificate = _certified(ready, report)
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

    first = next(iter(optima(ready.program)), None)  # what comes after it can always do what it is given
    parameters = ready.structure.parameters(ready.market, report)
    clash = None if first is None else clash_of(first, given(first, parameters, {}))
    return outcome if clash is None else replace(outcome, message=f"{outcome.message} {clash}")


def stated_report(market: Market) -> Report:
    """The report the file states, or the mean of every type."""
    if market.report is not None:
        return market.report
    return {t.quantity: np.asarray(t.table(lambda d: d.mean)) for t in market.types}


def unhandled(market: Market, matched: Match, registry: Registry) -> Diagnostic:
    """M060: the market's contracts and objective, and what the installed structures handle."""
    span = market.contracts[0].span if market.contracts else (market.objectives[0].span if market.objectives else None)
    lines = [f"{s.name} ({s.handles}): {matched.reasons.get(s.name, 'it fits')}" for s in registry.structures]
    hint = f"Installed: {'; '.join(lines)}." if lines else "No structures are installed."
    if not market.contracts:
        hint = f"The market has no contract: add one, contract A -> B: direct. {hint}"
    return Diagnostic("M060", f"no installed structure handles regime '{market.regime}'", span, hint)
