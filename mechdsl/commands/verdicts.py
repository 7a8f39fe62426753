"""From what came out to the exit status: which regimes nothing handles, what was not solved, what is not certified."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mechdsl.commands import ANSWERED, AT_FAULT, NOT_CERTIFIED, NOT_SOLVED
from mechdsl.errors import Diagnostic, MechError

if TYPE_CHECKING:
    from mechdsl.market import Market
    from mechdsl.pipeline import Run
    from mechdsl.structure import Registry

__all__ = ["fault", "status", "unhandled_fault", "was_interrupted"]


def fault(market: Market, problems: Sequence[Diagnostic], *, alone: bool, named: bool) -> bool:
    """Whether regimes that nothing handles are a fault and not an answer beside others; if so, named on stderr."""
    if not problems or not (alone or named):
        return False
    print(MechError(problems, market.source).render(), file=sys.stderr)
    return True


def unhandled_fault(markets: tuple[Market, ...], registry: Registry, options: Namespace) -> bool:
    """The same, for commands that do not solve."""
    from mechdsl.pipeline import unhandled
    from mechdsl.structure import match

    matches = [(market, match(market, registry)) for market in markets]
    problems = [unhandled(market, found, registry) for market, found in matches if found.structure is None]
    return fault(markets[0], problems, alone=len(markets) == 1, named=bool(options.regime))


def was_interrupted(runs: Sequence[Run]) -> bool:
    """Whether the last solve was stopped by the user: Ipopt returns then, and Python is told nothing."""
    from mechdsl.program import Status

    last = runs[-1].outcome
    return last is not None and last.status is Status.INTERRUPTED


def status(runs: Sequence[Run], *, named: bool) -> int:
    """The exit status over the regimes asked for: the first of fault, failure and failed certificate that applies."""
    from mechdsl.program import Status

    if fault(runs[0].market, [r.problem for r in runs if r.problem], alone=len(runs) == 1, named=named):
        return AT_FAULT
    answers = (Status.OPTIMAL, Status.ATTAINED, Status.NO_MARKET, Status.NO_EQUILIBRIUM)
    if any(r.outcome is not None and r.outcome.status not in answers for r in runs):
        return NOT_SOLVED
    if any(r.certificate is not None and not r.certificate.passed for r in runs):
        return NOT_CERTIFIED
    return ANSWERED
