"""File -> Model: names resolved, ranges checked, formulas in sympy, data in arrays; every mistake found in one run.

One `RegimeNames` and one `RegimeBuilder` work for each regime, on the file's own statements followed by the regime's;
what they find wrong is gathered and raised together. Texts become formulas in `expressions`, and nowhere else in the
program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mechdsl import syntax_tree as tree
from mechdsl.distributions import Family
from mechdsl.distributions.plugged import plugged
from mechdsl.elaborate.functions import Function, plugged_functions
from mechdsl.elaborate.limits import MAX_ERRORS, MAX_REGIMES, MAX_TOTAL
from mechdsl.elaborate.names import RegimeNames
from mechdsl.elaborate.outcomes import claim_mistakes, experiment_mistakes
from mechdsl.elaborate.regime import RegimeBuilder
from mechdsl.elaborate.tables import Override
from mechdsl.elaborate.values import Folder
from mechdsl.elaborate.whole import repeated_names
from mechdsl.errors import Diagnostic, MechError, Source
from mechdsl.market import Market, Model

__all__ = ["Override", "elaborate"]


class _EnoughError(Exception):
    """There are more errors than anyone reads."""


class _Gathered(list[Diagnostic]):
    """Diagnostics as they are found, until there are enough."""

    def __init__(self, found: Iterable[Diagnostic]) -> None:
        super().__init__(found)
        self._different: set[Diagnostic] = set()

    def append(self, found: Diagnostic) -> None:
        super().append(found)
        self._different |= {found} if found.severity == "error" else set()
        if len(self._different) >= MAX_ERRORS:
            raise _EnoughError


def elaborate(
    file: tree.File,
    source: Source,
    folder: Path | None = None,
    overrides: Sequence[Override] = (),
    report: Sequence[Override] = (),
    seed: int = 0,
    families: Mapping[str, Family] | None = None,
    examine: Callable[[Market], Iterable[Diagnostic]] = lambda market: (),
    functions: Mapping[str, Function] | None = None,
) -> Model:
    """The model a file states.

    Args:
        file: as parsed.
        source: its text, for messages.
        folder: where csv files may lie.
        overrides: replace params, after the file's own `set`s.
        report: entries of the report (`--at`), on top of the file's own.
        seed: of params drawn with `~`.
        families: the distributions known; None: the built-in ones and those of installed packages.
        functions: those of plugins; None: of installed packages.
        examine: what theory finds wrong with a regime that is complete.

    Raises:
        MechError: with everything found wrong in any regime.
    """
    diagnostics = _Gathered(repeated_names(file))
    shared = tuple(s for s in file.statements if not isinstance(s, tree.RegimeStatement))
    regimes = [s for s in file.statements if isinstance(s, tree.RegimeStatement)]
    if len(regimes) > MAX_REGIMES:
        message = f"the file has {len(regimes)} regimes; the limit is {MAX_REGIMES}"
        hint = "What differs by a number is no regime: vary it in an experiment, or set it on the command line."
        raise MechError([Diagnostic("M090", message, regimes[MAX_REGIMES].name.span, hint)], source)
    plans = [(r.name.id, r.title or "", r.body) for r in regimes] or [("main", "", ())]
    known_laws = plugged().families if families is None else families
    known_functions = plugged_functions() if functions is None else functions
    markets: dict[str, Market] = {}
    room = MAX_TOTAL
    for name, title, body in plans:
        try:
            names = RegimeNames(
                shared,
                body,
                source,
                Folder(folder),
                tuple(overrides),
                seed,
                diagnostics,
                known_laws,
                known_functions,
                room,
            )
            market = _market(names, RegimeBuilder(names, tuple(report)), name, title)
        except _EnoughError:
            break
        room = names.room
        if market is not None:
            markets[name] = market
            diagnostics += examine(market)
    claims = tuple(s for s in file.statements if isinstance(s, tree.ClaimStatement))
    experiments = tuple(s for s in file.statements if isinstance(s, tree.ExperimentStatement))
    known = tuple(name for name, _, _ in plans)
    statements = (*shared, *(s for _, _, body in plans for s in body))
    layers = tuple(s.target.name for s in statements if isinstance(s, tree.LayerStatement))
    diagnostics += claim_mistakes(claims, known, layers, markets.values())
    if markets:
        diagnostics += experiment_mistakes(experiments, known, layers, markets.values())
    errors = [d for d in diagnostics if d.severity == "error"]
    if errors:
        raise MechError(errors, source)
    return Model(file, source, MappingProxyType(markets), claims, experiments, tuple(dict.fromkeys(diagnostics)))


def _market(names: RegimeNames, builder: RegimeBuilder, name: str, title: str) -> Market | None:
    """The regime's market; names that go deeper than Python can follow are a mistake of the text."""
    try:
        return builder.market(name, title)
    except RecursionError:
        names.say_too_long_a_chain()
        return None
