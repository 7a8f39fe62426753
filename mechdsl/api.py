"""mechdsl from Python: `mechdsl.load("f.mech").solve(regime="M1", at={"c": {"video": 0.3}})`.

The same stages as the command runs, with the same words: tables are maps by label, as in the JSON, and a result prints
as the command prints it. Nothing here computes; whoever wants the arrays finds them in `Result.run`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from mechdsl import pipeline, syntax
from mechdsl import syntax_tree as tree
from mechdsl.check import Diagnosis, diagnose
from mechdsl.elaborate import Override
from mechdsl.errors import Source, UsageError, did_you_mean
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.market import Market, Model
from mechdsl.overrides import assignments, entries
from mechdsl.pipeline import Run
from mechdsl.population.execution import Work
from mechdsl.population.findings import findings
from mechdsl.population.rows import Rows
from mechdsl.population.store import Store
from mechdsl.population.study import Study, data_hash, experiment_study, grid, measures_of, study
from mechdsl.population.task import Task
from mechdsl.program import Program, Status
from mechdsl.report import json_report
from mechdsl.report.export import nl_text, program_object, pyomo_text
from mechdsl.report.inspect import inspect, inspection
from mechdsl.results import Compared, Derived, Result, Results, Studied
from mechdsl.structure import Registry, Structure, installed, match

if TYPE_CHECKING:
    pass

__all__ = [
    "MarketFile",
    "chosen",
    "exported",
    "load",
    "parse",
    "task_of",
]

Values: TypeAlias = "Mapping[str, Any] | str | None"
"""What `at` and `set` take: `{"c": {"video": 0.3}}`, `{"c.video": 0.3}`, `{"d": [3, 4]}`, `{"mu": 0}`, `"d.text=4"`."""

Names: TypeAlias = "tuple[str, ...] | list[str] | None"
"""Regimes; None for all."""


def load(path: str | Path, *, seed: int = 0, plugins: Sequence[str | Path] = ()) -> MarketFile:
    """Read a `.mech` file.

    Args:
        path: of the file.
        seed: of params drawn with `~`.
        plugins: files with market structures of one's own.

    Raises:
        MechError: with every mistake in the file.
    """
    file, source = syntax.read(path)
    return _opened(file, source, Path(path).parent, seed, plugins)


def parse(
    text: str,
    *,
    name: str = "<text>",
    folder: str | Path | None = None,
    seed: int = 0,
    plugins: Sequence[str | Path] = (),
) -> MarketFile:
    """Read a market from a string; `folder` is where the csv files it names lie. Otherwise as `load`."""
    return _opened(syntax.parse(text, name), Source(name, text), Path(folder) if folder else None, seed, plugins)


def _opened(
    file: tree.File, source: Source, folder: Path | None, seed: int, plugins: Sequence[str | Path]
) -> MarketFile:
    registry = installed([Path(p) for p in plugins])
    model = pipeline.elaborated(file, source, folder, seed=seed, families=registry.distributions.families,
                                functions=registry.functions)  # fmt: skip
    for sentence in registry.troubles:
        warnings.warn(sentence, stacklevel=3)
    files = tuple(str(Path(p).resolve()) for p in plugins)
    return MarketFile(file, source, folder, model, registry, seed, files)


@dataclass(frozen=True, slots=True, eq=False)
class MarketFile:
    """A `.mech` file at hand: solve it, look at what is derived, check it, export what is solved.

    Args:
        file, source, folder: the text, as parsed.
        model: as elaborated, without values from outside.
        registry: the market structures at hand.
        seed: of params drawn with `~`.
        plugins: files with market structures of one's own.
    """

    file: tree.File
    source: Source
    folder: Path | None
    model: Model
    registry: Registry
    seed: int = 0
    plugins: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def regimes(self) -> tuple[str, ...]:
        return tuple(self.model.markets)

    @overload
    def solve(
        self,
        regime: str,
        *,
        at: Values = ...,
        set: Values = ...,
        seed: int | None = ...,
        method: str | None = ...,
        tol: float | None = ...,
    ) -> Result: ...

    @overload
    def solve(
        self,
        regime: Names = ...,
        *,
        at: Values = ...,
        set: Values = ...,
        seed: int | None = ...,
        method: str | None = ...,
        tol: float | None = ...,
    ) -> Results: ...

    def solve(
        self,
        regime: str | Names = None,
        *,
        at: Values = None,
        set: Values = None,  # noqa: A002 - the language's own word
        seed: int | None = None,
        method: str | None = None,
        tol: float | None = None,
    ) -> Result | Results:
        """Solve at the reported types, and certify.

        Args:
            regime: one regime, for its `Result`; several, or None for all, for `Results`.
            at: reported types, on top of the file's own report.
            set: params, on top of the file's own.
            seed: of params drawn with `~`; the one given on loading if None.
            method: of equilibria: `conditions` or `mirror`; None for the first.
            tol: of menus: how close, relative to the expected cost, what is attained and its bound are to come; None
                for 1e-5.

        Raises:
            UsageError: there is no such regime or method, `at` or `set` cannot be read, or `tol` means nothing here.
            MechError: a value does not fit the market.
        """
        model = self.at(at=at, set=set, seed=seed)
        markets = chosen(model, _names(regime))
        pipeline.refuse_tolerance(tol, markets, self.registry)
        results = {m.regime: Result.of(_finished(m, self.registry, method, tol)) for m in markets}
        return results[regime] if isinstance(regime, str) else Results(results)

    def simulate(
        self,
        draws: int = 1000,
        regime: str | Names = None,
        *,
        set: Values = None,  # noqa: A002 - the language's own word
        seed: int | None = None,
        table: str | Sequence[str] = (),
        jobs: int | None = None,
    ) -> Studied:
        """Outcomes at common draws of the types: means, errors, quantiles, and every row.

        Args:
            draws: how many.
            regime: one or several; None for all.
            set: params, on top of the file's own.
            seed: of params and types; the one given on loading if None.
            table: expressions to evaluate in every row, `"revenue(M1) - revenue(M2), x[video]"` or a list of them.
            jobs: processes; None for as many as pay.
        """
        task = replace(self._task(_names(regime), set, None, seed), draws=draws)
        return self._studied(study(task, self.model, self.name, self._title, _measures(table), ()), jobs)

    def sweep(
        self,
        vary: str,
        regime: str | Names = None,
        *,
        draws: int = 0,
        at: Values = None,
        set: Values = None,  # noqa: A002 - the language's own word
        seed: int | None = None,
        table: str | Sequence[str] = (),
        jobs: int | None = None,
    ) -> Studied:
        """Outcomes on a grid of params, `"d.video in 1..20 by 0.5, mu in [0, 0.1]"`, and where what binds changes.

        Without draws at the reported types (`at`); otherwise as `simulate`.
        """
        stated = self._task(_names(regime), set, at, seed)
        task = replace(stated, draws=draws, axes=grid(syntax.parse_axes(vary), self.model))
        return self._studied(study(task, self.model, self.name, self._title, _measures(table), ()), jobs)

    def run(
        self,
        *experiments: str,
        regime: str | Names = None,
        set: Values = None,  # noqa: A002 - the language's own word
        seed: int | None = None,
        jobs: int | None = None,
    ) -> Mapping[str, Studied]:
        """The file's experiments, or those named, by name.

        Raises:
            UsageError: the file has no such experiment.
        """
        known = {e.name.id: e for e in self.model.experiments}
        for name in experiments:
            if name not in known:
                raise UsageError(f"the file has no experiment '{name}'. {did_you_mean(name, known)}")
        task = self._task(_names(regime), set, None, seed)
        chosen_ones = {n: e for n, e in known.items() if not experiments or n in experiments}
        return {n: self._studied(experiment_study(e, self.model, task), jobs) for n, e in chosen_ones.items()}

    @property
    def _title(self) -> str:
        return next(iter(self.model.markets.values())).title

    def _task(self, regimes: Sequence[str], params: Values, at: Values, seed: int | None) -> Task:
        names = tuple(m.regime for m in chosen(self.model, regimes))
        folder = str(self.folder.resolve()) if self.folder is not None else None
        return Task(
            self.source.text, self.source.name, folder, names, self.plugins,
            self._overrides(params), self._overrides(at),
            seed=self.seed if seed is None else seed, data=data_hash(self.file, folder),
        )  # fmt: skip

    def _studied(self, stated: Study, jobs: int | None) -> Studied:
        rows: list[Rows] = []
        found = findings(stated, Work(jobs), Store(None), rows.append)
        return Studied(found, tuple(rows), self.model)

    def at(self, *, at: Values = None, set: Values = None, seed: int | None = None) -> Model:  # noqa: A002
        """The model with reported types and params from outside. Raises as `solve` does."""
        if not (at or set) and seed in (None, self.seed):
            return self.model
        given = (self._overrides(set), self._overrides(at))
        seed = self.seed if seed is None else seed
        words = (self.registry.distributions.families, self.registry.functions)
        return pipeline.elaborated(self.file, self.source, self.folder, *given, seed, *words)

    def inspect(self, regime: str | Names = None, format: str = "text") -> str:  # noqa: A002
        """Everything derived, each step with its reason and source, as `text`, `markdown`, `latex` or `json`."""
        return inspect(chosen(self.model, _names(regime)), self.registry, format)

    def derivation(self, regime: str | Names = None) -> Derived:
        """Everything derived, to be looked at: a notebook shows it with its mathematics, `print` as text."""
        return Derived(tuple(inspection(m, self.registry) for m in chosen(self.model, _names(regime))))

    def check(self, regime: str | Names = None, *, deep: bool = False) -> Diagnosis:
        """A diagnosis without solving; a `deep` one solves some hundred times, for complements and ties."""
        return diagnose(self.model, self.registry, [m.regime for m in chosen(self.model, _names(regime))], deep=deep)

    def compare(
        self,
        regime: str | Names = None,
        *,
        set: Values = None,  # noqa: A002 - the language's own word
        seed: int | None = None,
        tol: float = 1e-6,
        claims: str | None = None,
    ) -> Compared:
        """Expected outcomes side by side, and the claims of the file with their verdicts.

        Args:
            regime: some of the regimes; the file's claims are judged where all are compared.
            set: params, on top of the file's own.
            seed: of params drawn with `~`, and of quasi-Monte Carlo.
            tol: of claims, relative to the larger side.
            claims: `paper` adds the published theorems, each with its condition.

        Raises:
            UsageError: there is no such regime, `set` cannot be read, or a claim speaks of what has no figure.
            MechError: a value does not fit the market.
        """
        from mechdsl.comparison import compare

        if claims not in (None, "paper"):
            raise UsageError(f"claims are those of the file or, with 'paper', published ones, not '{claims}'")
        model = self.at(set=set, seed=seed)
        names = _names(regime)
        drawn = self.seed if seed is None else seed
        made = compare(
            chosen(model, names), () if names else model.claims, self.registry, tolerance=tol,
            published=claims == "paper", seed=drawn,
        )  # fmt: skip
        return Compared.of(made)

    def export(self, to: str, regime: str | None = None) -> str:
        """What is solved at the file's report, as `pyomo`, `nl`, `latex` or `json`; see `exported`."""
        return exported(chosen(self.model, _names(regime)), self.registry, to)

    def report(
        self,
        path: str | Path,
        regime: str | Names = None,
        *,
        at: Values = None,
        set: Values = None,  # noqa: A002 - the language's own word
        seed: int | None = None,
        tol: float = 1e-6,
        claims: str | None = None,
        without: Sequence[str] = (),
        jobs: int | None = None,
    ) -> tuple[Path, ...]:
        """One document with everything, as `mechdsl report` writes it.

        Args:
            path: of an .html, .tex or .md file.
            regime: one or several; None for all.
            at: reported types, on top of the file's own report.
            set: params, on top of the file's own.
            seed: of params drawn with `~`.
            tol: of claims.
            claims: `paper` adds the published theorems.
            without: parts left out: derivation, expectation, experiments, figures.
            jobs: processes for the experiments.

        Returns:
            the files written.

        Raises:
            UsageError: another kind of file, or one that cannot be written; an unknown part.
            MechError: a value does not fit the market.
        """
        from mechdsl.dossier import PARTS, Evidence, dossier, production, written

        for part in without:
            if part not in PARTS:
                raise UsageError(f"'{part}' is no part that can be left out: {', '.join(PARTS)}")
        names = _names(regime)
        model = self.at(at=at, set=set, seed=seed)
        runs = tuple(_finished(m, self.registry, None, None) for m in chosen(model, names))
        compared = (
            None if "expectation" in without else self.compare(regime, set=set, seed=seed, tol=tol, claims=claims)
        )
        task = self._task(names, set, at, seed)
        studies = () if "experiments" in without else tuple(
            self._studied(experiment_study(e, model, task), jobs).findings for e in model.experiments
        )  # fmt: skip
        given = {"at": at, "set": set, "regime": regime}
        rows = [(name, str(value)) for name, value in given.items() if value]
        rows += [("seed", str(self.seed if seed is None else seed)), ("tolerance of claims", f"{tol:g}")]
        evidence = Evidence(
            model, runs, compared.comparison if compared else None, studies,
            "figures" not in without, "derivation" not in without,
            production(model, self.folder, "MarketFile.report", rows),
        )  # fmt: skip
        return written(dossier(evidence), Path(path))

    def __repr__(self) -> str:
        return f"<market {self.name}: {', '.join(self.regimes)}>"

    def _repr_html_(self) -> str:
        from mechdsl.dossier import market_blocks
        from mechdsl.report import html

        return html.fragment(market_blocks(tuple(self.model.markets.values())))

    def _repr_markdown_(self) -> str:
        from mechdsl.dossier import market_blocks
        from mechdsl.report import markdown

        return markdown.fragment(market_blocks(tuple(self.model.markets.values())))

    def _overrides(self, values: Values) -> tuple[Override, ...]:
        if values is None or isinstance(values, str):
            return assignments(values or "")
        sets = {n: d.quantity.sets for m in self.model.markets.values() for n, d in m.declarations.items()}
        found: list[Override] = []
        for address, value in values.items():
            name, *labels = address.split(".")
            found += entries(name, tuple(labels), value, sets.get(name, ()))
        return tuple(found)


def chosen(model: Model, regimes: Sequence[str]) -> tuple[Market, ...]:
    """The markets of the regimes named, in the order of the file; all where none is named.

    Raises:
        UsageError: the file has no such regime.
    """
    for name in regimes:
        if name not in model.markets:
            raise UsageError(f"the file has no regime '{name}'. {did_you_mean(name, model.markets)}")
    return tuple(m for name, m in model.markets.items() if not regimes or name in regimes)


def exported(markets: Sequence[Market], registry: Registry, to: str) -> str:
    """The programmes of regimes, at their reports, for other tools.

    Args:
        markets: the regimes; `pyomo` and `nl` hold one programme.
        registry: the structures at hand.
        to: `pyomo`, `nl`, `json` (the programmes), or `latex` (the derivations, a whole document).

    Raises:
        UsageError: several regimes where one is wanted, or none that a structure handles.
    """
    if to == "latex":
        return inspect(markets, registry, "latex")
    posed = {m.regime: _posed(m, found.structure) for m in markets if (found := match(m, registry)).structure}
    if not posed:
        raise UsageError("no installed structure handles what is to be exported (`mechdsl check` says why)")
    if to == "json":
        regimes = {name: program_object(*programme) for name, programme in posed.items()}
        return json_report.to_text(json_report.document(markets[0].name, "export", regimes=regimes))
    if len(posed) > 1:
        raise UsageError(f"{to} holds one regime: name one of {', '.join(posed)}")
    (programme,) = posed.values()
    return {"pyomo": pyomo_text, "nl": nl_text}[to](*programme)


def task_of(
    model: Model,
    path: str | Path | None,
    sets: Sequence[str] = (),
    at: Sequence[str] = (),
    *,
    regimes: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    draws: int = 0,
    seed: int = 0,
) -> Task:
    """What to compute, as text and numbers, from a model and what is given from outside.

    Args:
        model: the file, read.
        path: of the file; None for a text.
        sets: as after `--set`.
        at: as after `--at`.
        regimes: those asked for; () for all.
        plugins: files of further structures.
        draws: of the types.
        seed: of types and params.
    """
    folder = str(Path(path).resolve().parent) if path is not None else None
    overrides, report = (tuple(o for text in given for o in assignments(text)) for given in (sets, at))
    return Task(
        model.source.text, model.source.name, folder, tuple(regimes) or tuple(model.markets),
        tuple(str(Path(p).resolve()) for p in plugins), overrides, report,
        draws=draws, seed=seed, data=data_hash(model.file, folder),
    )  # fmt: skip


def _posed(market: Market, structure: Structure) -> tuple[Program, Mapping[Quantity, Array]]:
    """The programme of a regime, and its open parameters at the regime's report."""
    program = structure.program(market, structure.derive(market))
    return program, structure.parameters(market, pipeline.stated_report(market))


def _finished(market: Market, registry: Registry, method: str | None, tolerance: float | None) -> Run:
    """The run of a regime; an interrupt is Python's, so that it stops whatever calls this."""
    run = pipeline.run(market, registry, method, tolerance)
    if run.outcome is not None and run.outcome.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return run


def _names(regime: str | Names) -> tuple[str, ...]:
    return (regime,) if isinstance(regime, str) else tuple(regime or ())


def _measures(table: str | Sequence[str]) -> tuple[str, ...]:
    return measures_of((table,) if isinstance(table, str) else table)
