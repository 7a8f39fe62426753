"""One document with everything about a file: the market as written, its structure, the derivation, results, claims,
experiments, and how all of it was produced.

What each part says, its own module of `report` says; here stands what a document consists of and in which order. The
same inputs give the same document: no date, no machine's name.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mechdsl.comparison import Comparison
from mechdsl.errors import UsageError
from mechdsl.figures import draw, encoded, labels
from mechdsl.market import Market, Model
from mechdsl.pipeline import Run
from mechdsl.population.findings import Findings
from mechdsl.population.study import Plot, data_files
from mechdsl.population.summary import WORDS, summary
from mechdsl.report import html, latex, markdown
from mechdsl.report.comparison import claim_blocks, expected_blocks
from mechdsl.report.diagram import diagram
from mechdsl.report.document import (
    Block,
    Code,
    Diagrams,
    Document,
    Items,
    Line,
    Mark,
    Paragraph,
    Picture,
    Section,
    Table,
    Terms,
    line,
)
from mechdsl.report.inspect import Inspection, derivation_section, shared_statements, symbols
from mechdsl.report.listing import listing
from mechdsl.report.results import regime_blocks, regime_title, side_by_side_table, table_of, verdict_marks
from mechdsl.report.sheets import Sheet, data_sheets

__all__ = ["FORMATS", "PARTS", "Evidence", "Made", "dossier", "market_blocks", "production", "study_blocks", "written"]

PARTS = ("derivation", "expectation", "experiments", "figures")
"""What a document may do without."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything that is to be shown.

    Args:
        model: the file.
        runs: its regimes, solved.
        comparison: of them in expectation; None where that was not asked for.
        studies: the experiments; figures: whether theirs are drawn.
        derivation: whether it is shown.
        production: how it was made, what and how: `production`.
    """

    model: Model
    runs: tuple[Run, ...]
    comparison: Comparison | None = None
    studies: tuple[Findings, ...] = ()
    figures: bool = True
    derivation: bool = True
    production: tuple[tuple[str, str], ...] = ()


def dossier(evidence: Evidence) -> Document:
    """The document."""
    market = evidence.runs[0].market
    title = market.title or market.name
    sections = [_written(evidence.model), _structure(evidence.runs)]
    sections += [_derivation(evidence.runs)] if evidence.derivation else []
    sections += [_results(evidence.runs)]
    sections += [*_expected(evidence.comparison)] if evidence.comparison else []
    sections += [_experiments(evidence)] if evidence.studies else []
    sections += [_production(evidence.production)] if evidence.production else []
    return Document(title, _lead(evidence), tuple(sections))


def market_blocks(markets: Sequence[Market]) -> tuple[Block, ...]:
    """A file at a glance: who pays whom in every regime, and the text as written."""
    return (_diagrams(markets), listing(markets[0].source.text.strip("\n")))


def _lead(evidence: Evidence) -> tuple[Block, ...]:
    market = evidence.runs[0].market
    cited = tuple(line(citation) for citation in market.citations)
    count = len(evidence.runs)
    certified = sum(r.certificate is not None and r.certificate.passed for r in evidence.runs)
    said: list[Any] = [f"{count} regime{'s' if count != 1 else ''}, "]
    said.append(Mark(f"{certified} certified", "good" if certified == count else "strong"))
    claims = evidence.comparison.claims if evidence.comparison else ()
    if claims:
        holding = sum(v.holds is True for v in claims)
        failing = sum(v.holds is False for v in claims)
        said += [f". {len(claims)} claim{'s' if len(claims) != 1 else ''}, "]
        said += [Mark(f"{holding} hold{'s' if holding == 1 else ''}", "good" if holding == len(claims) else "strong")]
        said += [", ", Mark(f"{failing} FAIL{'S' if failing == 1 else ''}", "bad")] if failing else []
    return (*((Items(cited),) if cited else ()), Paragraph((*said, ".")))


def _written(model: Model) -> Section:
    warnings = tuple(line(Mark(f"{w.severity} {w.code}: ", "strong"), f"{w.message} {w.hint}") for w in model.warnings)
    remarks = (Items(warnings),) if warnings else ()
    return Section("The market as written", (listing(model.source.text.strip("\n")), *remarks))


def _structure(runs: Sequence[Run]) -> Section:
    """Diagrams; what all regimes state and what is each one's own; the symbols."""
    markets = [run.market for run in runs]
    shared, own = shared_statements(markets)
    stated = [Section("As stated", (shared,) if len(runs) == 1 else (Paragraph(("In every regime:",)), shared))]
    if len(runs) > 1:
        rows = [((regime_title(run),), _joined(terms)) for run, terms in zip(runs, own, strict=True) if terms.rows]
        table = Table("What each regime adds", ("regime", "states"), tuple(rows), words=(0, 1))
        stated += [Section("By regime", (table,))] if rows else []
    meant = [Section("Symbols", (symbols(_inspected(runs)),)), *_data(markets)]
    return Section("Structure: who pays whom", (_diagrams(markets),), (*stated, *meant))


def _data(markets: Sequence[Market]) -> Iterator[Section]:
    """Every param's values, as given or drawn; of a regime that changes some, those."""
    first = markets[0]
    blocks: list[Block] = [table_of(sheet, _by(sheet)) for sheet in data_sheets(first)]
    for market in markets[1:]:
        changed = [
            name
            for name, d in market.declarations.items()
            if d.quantity in market.data
            and not np.array_equal(market.data[d.quantity], first.data.get(d.quantity, np.nan), equal_nan=True)
        ]
        blocks += [table_of(s, f"{_by(s)} that {market.regime} sets") for s in data_sheets(market, changed)]
    if blocks:
        yield Section("Data", tuple(blocks))


def _by(sheet: Sheet) -> str:
    """What the rows of a table of data stand for."""
    return f"Params by {' and '.join(s.name for s in sheet.sets)}" if sheet.sets else "Single params"


def _joined(terms: Terms) -> Line:
    """Statements one after another: `contract: platform pays creator: direct; ...`."""
    pieces = [p for n, (what, said) in enumerate(terms.rows) for p in (*(("; ",) if n else ()), *what, ": ", *said)]
    return tuple(pieces)


def _diagrams(markets: Sequence[Market]) -> Diagrams:
    """A drawing for every regime; those that are alike share one."""
    drawn: dict[Any, list[str]] = {}
    for market in markets:
        title = f"{market.regime}: {market.regime_title}" if market.regime_title else market.regime
        drawn.setdefault(diagram(market), []).append("" if len(markets) == 1 else title)
    return Diagrams(tuple((("; ".join(t for t in titles if t),), made) for made, titles in drawn.items()))


def _inspected(runs: Sequence[Run]) -> Inspection:
    """All regimes' steps as if they were one's, for the symbols they use."""
    from mechdsl.derivation import Derivation

    steps = tuple(dict.fromkeys(s for r in runs if r.derivation for s in r.derivation.steps))
    names = {n: d for r in reversed(runs) for n, d in r.market.declarations.items()}
    return Inspection(runs[0].market, None, "", Derivation("", steps), names)


def _derivation(runs: Sequence[Run]) -> Section:
    """Regime by regime; a step is shown once, where it is first taken."""
    told: dict[Any, str] = {}
    sections: list[Section] = []
    for run in runs:
        structure = run.match.structure
        why = run.match.why if structure else f"{run.match.why}. {run.problem.message if run.problem else ''}"
        shown = Inspection(run.market, structure.name if structure else None, why, run.derivation)
        sections.append(derivation_section(shown, regime_title(run), told))
        for step in run.derivation.steps if run.derivation else ():
            told.setdefault(step, f"regime {run.market.regime}")
    if len(sections) == 1:
        return replace(sections[0], title="Derivation")
    return Section("Derivation", (), tuple(sections))


def _results(runs: Sequence[Run]) -> Section:
    if len(runs) == 1:
        return Section("Results", (verdict_marks(runs[0]), *regime_blocks(runs[0])))
    each = tuple(Section(regime_title(run), (verdict_marks(run), *regime_blocks(run))) for run in runs)
    return Section("Results", (side_by_side_table(runs),), each)


def _expected(comparison: Comparison) -> Iterator[Section]:
    yield Section("In expectation over the types", expected_blocks(comparison))
    if comparison.claims:
        yield Section("Claims", claim_blocks(comparison))


def _experiments(evidence: Evidence) -> Section:
    each: list[Section] = []
    for found in evidence.studies:
        before = sum(len(s.blocks) for s in each)
        blocks = study_blocks(found, evidence.model, figures=evidence.figures, before=before)
        study = found.study
        each.append(Section(f"{study.name}: {study.title}" if study.title else study.name, blocks))
    return Section("Experiments", (), tuple(each))


def study_blocks(found: Findings, model: Model, *, figures: bool = True, before: int = 0) -> tuple[Block, ...]:
    """A study: how it was done, its figures, its table.

    Args:
        found: the findings.
        model: the file.
        figures: whether they are shown.
        before: how many blocks stand before, for the names of the figures' files.
    """
    told = summary(found)
    words = (0, *(j for j, head in enumerate(told.heads) if head in WORDS))
    width = len(told.heads)
    rows = tuple(tuple((cell,) for cell in (*row, *[""] * (width - len(row)))) for row in told.rows)
    blocks: list[Block] = [Paragraph(line(Mark(f"{told.how[0].upper()}{told.how[1:]}.", "faint")))]
    blocks += _pictures(found, model, before) if figures else []
    blocks.append(Table("", told.heads, rows, words=words))
    blocks += [Items(tuple(line(remark) for remark in told.remarks))] if told.remarks else []
    silent = {n: w for n, w in found.words.items() if not w.get("structure") and w.get("message")}
    blocks += [Items(tuple(line(f"{n}: {w['message']}") for n, w in silent.items()))] if silent else []
    return tuple(blocks)


def _pictures(found: Findings, model: Model, before: int) -> list[Block]:
    """The study's figures, each drawn when it is asked for."""
    made: list[Block] = []
    words = labels(model)
    for number, plot in enumerate(found.study.plots, 1):
        name = "_".join(re.findall("[A-Za-z0-9]+", f"{found.study.name} {plot.name}"))
        alt = f"{found.study.title or found.study.name}: {plot.kind} of {', '.join(plot.measures)}"
        made.append(Picture(f"{before + number}_{name}", alt, "", partial(_drawn, plot, found, words)))
    return made


def _drawn(plot: Plot, found: Findings, words: Any, kind: str) -> bytes:
    return encoded(draw(plot, found, words), kind)


# ------------------------------------------------------------------------------------------------- how it was produced


def production(
    model: Model, folder: Path | None, command: str, options: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    """What was run on what: the command, seeds and tolerances, versions, hashes.

    Args:
        model: the file.
        folder: where its data lie.
        command: as it would be typed.
        options: seeds, tolerances and the like, as they were.
    """
    rows = [("command", command), *options]
    file = Path(model.source.name)
    told = file.read_bytes() if file.is_file() else model.source.text.encode()  # the bytes that sha256sum sees
    rows.append((file.name, f"SHA-256 {hashlib.sha256(told).hexdigest()}"))
    data = dict.fromkeys(data_files(model.file, str(folder) if folder else None))
    rows += [(path.name, f"SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}") for path in data]
    rows += [("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    rows += [(name, version) for name in _PACKAGES if (version := _version(name))]
    return tuple(rows)


_PACKAGES = ("mechdsl", "sympy", "numpy", "scipy", "pyomo", "cyipopt", "lark", "matplotlib")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _production(rows: Sequence[tuple[str, str]]) -> Section:
    said = "Each check of a certificate names its own tolerance, in the results above."
    return Section("How it was produced", (Terms(tuple((line(what), line(Code(how))) for what, how in rows)),
                                           Paragraph((said,))))  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- writing


@dataclass(frozen=True, slots=True)
class Made:
    """A rendering: the text, and the files that belong in `folder` beside it."""

    text: str
    folder: str
    files: tuple[tuple[str, bytes], ...] = ()


def _html(document: Document, folder: str) -> Made:
    return Made(html.as_html(document), folder)


def _latex(document: Document, folder: str) -> Made:
    made = latex.as_latex(document, folder)
    return Made(made.text, folder, made.files)


def _markdown(document: Document, folder: str) -> Made:
    made = markdown.as_markdown(document, folder)
    return Made(made.text, folder, made.files)


FORMATS: Mapping[str, Callable[[Document, str], Made]] = {".html": _html, ".tex": _latex, ".md": _markdown}
"""By a file's ending."""


def written(document: Document, path: Path) -> tuple[Path, ...]:
    """The document in a file, in the format its ending names; figures of LaTeX and markdown in a folder beside it.

    Returns:
        the files written.

    Raises:
        UsageError: another ending, or it cannot be written.
    """
    if path.suffix not in FORMATS:
        raise UsageError(f"'{path}': a report is written as {', '.join(FORMATS)}")
    stem = "_".join(re.findall("[A-Za-z0-9]+", path.stem)) or "report"
    made = FORMATS[path.suffix](document, f"{stem}_files")
    files = [path, *(path.parent / made.folder / name for name, _ in made.files)]
    try:
        path.write_text(made.text, encoding="utf-8", newline="\n")
        for file, (_, data) in zip(files[1:], made.files, strict=True):
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
    except OSError as error:
        raise UsageError(f"'{error.filename or path}' cannot be written: {error.strerror}") from None
    return tuple(files)
