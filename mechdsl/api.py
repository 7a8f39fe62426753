"""mechdsl from Python: `mechdsl.load("f.mech").solve(regime="M1", at={"c": {"video": 0.3}})`.

The same stages as the command runs, with the same words: tables are maps by label, as in the JSON, and a result prints
as the command prints it. Nothing here computes; whoever wants the arrays finds them in `Result.run`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from mechdsl import pipeline, syntax
from mechdsl import syntax_tree as tree
from mechdsl.check import Diagnosis, diagnose
from mechdsl.derivation import Derivation
from mechdsl.elaborate import Override
from mechdsl.errors import Source, UsageError, did_you_mean
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.market import Market, Model
from mechdsl.outcome import Certificate
from mechdsl.overrides import assignments, entries
from mechdsl.pipeline import Run
from mechdsl.population.execution import Work
from mechdsl.population.findings import Findings, findings
from mechdsl.population.json_form import study_object
from mechdsl.population.rows import Rows
from mechdsl.population.store import Store
from mechdsl.population.study import Study, data_hash, experiment_study, fits, grid, measures_of, plots_of, study
from mechdsl.population.tables import figure_table, frame, row_table
from mechdsl.population.task import Task
from mechdsl.program import Program, Status
from mechdsl.report import json_report
from mechdsl.report.export import nl_text, program_object, pyomo_text
from mechdsl.report.inspect import Inspection, as_text, inspect, inspected, inspection
from mechdsl.structure import Registry, Structure, installed, match

if TYPE_CHECKING:
    from mechdsl.comparison import Comparison
    from mechdsl.report.document import Block

__all__ = [
    "Compared",
    "Derived",
    "MarketFile",
    "Result",
    "Results",
    "Studied",
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


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """What is derived, regime by regime; `derived["M1"].step("virtual cost").formula` is a sympy expression."""

    inspections: tuple[Inspection, ...]

    def __getitem__(self, regime: str) -> Derivation:
        """A regime's steps.

        Raises:
            KeyError: there is no such regime, or nothing is derived in it.
        """
        return {i.market.regime: i.derivation for i in self.inspections if i.derivation}[regime]

    def __str__(self) -> str:
        return as_text(self.inspections)

    def __repr__(self) -> str:
        counts = [
            f"{i.market.regime}: {len(i.derivation.steps) if i.derivation else 0} steps" for i in self.inspections
        ]
        return f"<derivation {', '.join(counts)}>"

    def _repr_html_(self) -> str:
        from mechdsl.report import html

        return html.fragment((), inspected(self.inspections).sections)

    def _repr_markdown_(self) -> str:
        from mechdsl.report import markdown

        return markdown.fragment((), inspected(self.inspections).sections)


@dataclass(frozen=True, slots=True, eq=False)
class Studied:
    """A simulation, a sweep or an experiment.

    Args:
        findings: figures by regime and point, and where what binds changes.
        parts: every row, as computed.
        model: the file.
    """

    findings: Findings
    parts: tuple[Rows, ...]
    model: Model

    @property
    def json(self) -> Mapping[str, Any]:
        """As `mechdsl simulate --json` prints it."""
        return study_object(self.findings)

    def to_frame(self) -> Any:
        """Means, errors and quantiles as a pandas table, one line a point and regime. Needs pandas."""
        return frame(figure_table(self.findings))

    def rows(self) -> Any:
        """Every row as a pandas table: regime, point, draw, types, decisions, payments, figures. Needs pandas."""
        return frame(row_table(self.findings.study.task, self.parts))

    def plot(self, figure: str) -> Any:
        """`box(revenue)`, `heatmap(x[video])`: a matplotlib figure, which a notebook shows.

        Raises:
            UsageError: no such figure, or one that does not suit what was varied and drawn.
        """
        from mechdsl.figures import draw, labels

        (plot,) = plots_of([figure])
        asked = set(plot.measures) - set(self.findings.study.task.measures)
        known = {n for c in self.findings.cells for n in c.figures}
        if asked - known:
            raise UsageError(f"{min(asked - known)} was not computed: name it in table=[...]")
        fits(plot, self.findings.study.task)
        return draw(plot, self.findings, labels(self.model))

    def __getitem__(self, name: str) -> Any:
        """Any member of the JSON object: `["regimes"]["M1"]["revenue"]["mean"]`."""
        return self.json[name]

    def __repr__(self) -> str:
        task = self.findings.study.task
        rows = sum(c.rows for c in self.findings.cells)
        certified = sum(c.certified for c in self.findings.cells)
        return f"<{self.findings.study.name}: {len(task.regimes)} regimes, {certified} of {rows} rows certified>"

    def _repr_html_(self) -> str:
        from mechdsl.dossier import study_blocks
        from mechdsl.report import html

        return html.fragment(study_blocks(self.findings, self.model))


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One regime solved: tables by label, named as in the JSON.

    Args:
        run: market, mechanism, outcome, certificate, as arrays and formulas.
        json: the regime's object, as `mechdsl solve --json` prints it.
    """

    run: Run
    json: Mapping[str, Any]

    @classmethod
    def of(cls, run: Run) -> Result:
        return cls(run, json_report.regime_object(run))

    @property
    def regime(self) -> str:
        return self.run.market.regime

    @property
    def status(self) -> str:
        """`optimal`, `infeasible`, ..., or `unhandled` where no structure is for this market; `message` says more."""
        return str(self.json["status"])

    @property
    def message(self) -> str:
        return str(self.json["message"])

    @property
    def structure(self) -> str | None:
        return self.run.match.structure.name if self.run.match.structure else None

    @property
    def report(self) -> Mapping[str, Any]:
        return self._tables("report")

    @property
    def allocation(self) -> Mapping[str, Any]:
        return self._tables("allocation")

    @property
    def payments(self) -> Mapping[str, Any]:
        """Money received, by layer."""
        return self._tables("payments")

    @property
    def utilities(self) -> Mapping[str, Any]:
        return self._tables("utilities")

    @property
    def slack(self) -> Mapping[str, Any]:
        return self._tables("slack")

    @property
    def shadow_price(self) -> Mapping[str, Any]:
        return self._tables("shadow_price")

    @property
    def revenue(self) -> float | None:
        return self.json.get("revenue")

    @property
    def welfare(self) -> float | None:
        return self.json.get("welfare")

    @property
    def profit(self) -> float | None:
        return self.json.get("profit")

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self.json.get("notes", ()))

    @property
    def certificate(self) -> Certificate | None:
        """The checks made against the market as stated; None where there was nothing to check."""
        return self.run.certificate

    @property
    def certified(self) -> bool:
        return self.run.certificate is not None and self.run.certificate.passed

    def __getitem__(self, name: str) -> Any:
        """Any member of the JSON object, further quantities of a structure included."""
        return self.json[name]

    def to_frame(self) -> Any:
        """A tidy pandas table, one number a row: `regime`, `quantity`, `name`, `label`, `value`. Needs pandas."""
        return _frame([self])

    def __repr__(self) -> str:
        figures = [f"{name} {self.json[name]:.6g}" for name in ("revenue", "welfare", "profit") if name in self.json]
        verdict = ["certified" if self.certified else "NOT CERTIFIED"] if self.certificate else []
        words = [self.status, *figures, *verdict]
        return f"<{self.regime}: {', '.join(words)}>"

    def __str__(self) -> str:
        from mechdsl.report import terminal

        return terminal.as_text([self.run])

    def _repr_html_(self) -> str:
        return _shown_html([self.run])

    def _repr_markdown_(self) -> str:
        return _shown_markdown([self.run])

    def _tables(self, member: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.json.get(member, {})
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Regimes compared in expectation.

    Args:
        comparison: figures with their errors, and verdicts.
        json: as `mechdsl compare --json` prints it.
    """

    comparison: Comparison
    json: Mapping[str, Any]

    @classmethod
    def of(cls, comparison: Comparison) -> Compared:
        from mechdsl.report.comparison import comparison_object

        return cls(comparison, comparison_object(comparison))

    @property
    def claims(self) -> Mapping[str, Mapping[str, Any]]:
        """The claims' verdicts, by name."""
        return {claim["name"]: claim for claim in self.json["claims"]}

    def __getitem__(self, regime: str) -> Mapping[str, Any]:
        """A regime's expected figures: `compared["M1"]["revenue"]["mean"]`."""
        found: Mapping[str, Any] = self.json["regimes"][regime]
        return found

    def plot(self, path: str | Path) -> None:
        """Revenue, welfare and information rent as bars, in a PNG, SVG or PDF file. Needs matplotlib."""
        from mechdsl.report.comparison import draw

        draw([self.comparison], path)

    def to_frame(self) -> Any:
        """A pandas table, one figure a row: `regime`, `figure`, `mean`, `error`, `lower`, `upper`. Needs pandas."""
        pandas = _pandas()
        rows = [
            {"regime": side.regime, "figure": name, **self[side.regime][name]}
            for side in self.comparison.sides
            for name in side.figures
        ]
        return pandas.DataFrame(rows, columns=["regime", "figure", "mean", "error", "lower", "upper"])

    def __str__(self) -> str:
        from mechdsl.report import terminal
        from mechdsl.report.comparison import page

        return terminal.written(page([self.comparison]))

    def __repr__(self) -> str:
        verdicts = {True: "holds", False: "FAILS", None: "undecided"}
        claims = [f"{v.name} {verdicts[v.holds]}" for v in self.comparison.claims]
        return f"<{len(self.comparison.sides)} regimes compared{': ' if claims else ''}{', '.join(claims)}>"

    def _repr_html_(self) -> str:
        from mechdsl.report import html

        return html.fragment(self._blocks())

    def _repr_markdown_(self) -> str:
        from mechdsl.report import markdown

        return markdown.fragment(self._blocks())

    def _blocks(self) -> tuple[Block, ...]:
        from mechdsl.report.comparison import claim_blocks, expected_blocks

        return (*expected_blocks(self.comparison), *claim_blocks(self.comparison))


@dataclass(frozen=True, slots=True, eq=False)
class Results(Mapping[str, Result]):
    """Several regimes solved, by name; where there is one alone, its quantities are at hand without its name."""

    by_regime: Mapping[str, Result]

    def __getitem__(self, regime: str) -> Result:
        return self.by_regime[regime]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_regime)

    def __len__(self) -> int:
        return len(self.by_regime)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(Result, name):
            raise AttributeError(f"Results has no attribute '{name}'")
        if len(self.by_regime) != 1:
            raise AttributeError(f"several regimes have '{name}': name one, as in results['{next(iter(self))}'].{name}")
        return getattr(next(iter(self.by_regime.values())), name)

    def to_frame(self) -> Any:
        """All regimes in one tidy pandas table: `regime`, `quantity`, `name`, `label`, `value`. Needs pandas."""
        return _frame(list(self.values()))

    def __repr__(self) -> str:
        return f"<{len(self)} regimes: {' '.join(repr(r) for r in self.values())}>"

    def __str__(self) -> str:
        from mechdsl.report import terminal

        return terminal.as_text([r.run for r in self.values()])

    def _repr_html_(self) -> str:
        return _shown_html([r.run for r in self.values()])

    def _repr_markdown_(self) -> str:
        return _shown_markdown([r.run for r in self.values()])


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


def _shown_html(runs: Sequence[Run]) -> str:
    from mechdsl.report import html
    from mechdsl.report.results import runs_blocks

    return html.fragment(runs_blocks(runs))


def _shown_markdown(runs: Sequence[Run]) -> str:
    from mechdsl.report import markdown
    from mechdsl.report.results import runs_blocks

    return markdown.fragment(runs_blocks(runs))


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


def _pandas() -> Any:
    try:
        return import_module("pandas")
    except ImportError:
        raise ImportError("to_frame needs pandas: pip install pandas") from None


def _frame(results: Sequence[Result]) -> Any:
    pandas = _pandas()
    members = ("report", "allocation", "payments", "utilities", "costs", "slack", "shadow_price")
    rows = [
        (r.regime, member, name, label, value)
        for r in results
        for member in members
        for name, table in r.json.get(member, {}).items()
        for label, value in _flat(table)
    ]
    rows += [(r.regime, m, "", "", r.json[m]) for r in results for m in ("revenue", "welfare", "profit") if m in r.json]
    return pandas.DataFrame(rows, columns=["regime", "quantity", "name", "label", "value"])


def _flat(table: Any, labels: tuple[str, ...] = ()) -> Iterator[tuple[str, float]]:
    if isinstance(table, Mapping):
        for label, inner in table.items():
            yield from _flat(inner, (*labels, label))
    else:
        yield ", ".join(labels), table
