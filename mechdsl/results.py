"""What Python users hold in their hands: a result, several, a derivation, a comparison, a study.

Each is a window on the value that the stages made: tables are maps by label, as in the JSON; it prints as the command
prints it, shows itself in notebooks, and becomes a pandas frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mechdsl.derivation import Derivation
from mechdsl.errors import UsageError
from mechdsl.market import Model
from mechdsl.outcome import Certificate
from mechdsl.pipeline import Run
from mechdsl.population.findings import Findings
from mechdsl.population.json_form import study_object
from mechdsl.population.rows import Rows
from mechdsl.population.study import fits, plots_of
from mechdsl.population.tables import figure_table, frame, row_table
from mechdsl.report import json_report
from mechdsl.report.inspect import Inspection, as_text, inspected

if TYPE_CHECKING:
    from mechdsl.comparison import Comparison
    from mechdsl.report.document import Block

__all__ = ["Compared", "Derived", "Result", "Results", "Studied"]


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


def _shown_html(runs: Sequence[Run]) -> str:
    from mechdsl.report import html
    from mechdsl.report.results import runs_blocks

    return html.fragment(runs_blocks(runs))


def _shown_markdown(runs: Sequence[Run]) -> str:
    from mechdsl.report import markdown
    from mechdsl.report.results import runs_blocks

    return markdown.fragment(runs_blocks(runs))


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
