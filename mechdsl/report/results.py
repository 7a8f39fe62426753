"""What a regime comes to, as blocks of a document: the same sheets and words that the terminal shows.

Numbers are spelt in `sheets`; here they only find their place: tables, who pays whom, the bottom line, the certificate
with all its checks, notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mechdsl.outcome import Certificate
from mechdsl.report.document import Block, Folded, Items, Line, Mark, Paragraph, Prose, Table, line
from mechdsl.report.sheets import (
    FIRST,
    LAST,
    ROWS,
    Sheet,
    accounts_sheet,
    bottom_line,
    certified_words,
    constraint_sheet,
    failing_words,
    menu_lines,
    menu_sheet,
    outcome_sheets,
    payers,
    side_by_side,
    structure_words,
    verdict_words,
)

if TYPE_CHECKING:
    from mechdsl.pipeline import Run

__all__ = ["regime_blocks", "regime_title", "runs_blocks", "side_by_side_table", "table_of", "verdict_marks"]

_KINDS = {True: "good", False: "bad", None: "strong"}


def regime_title(run: Run) -> str:
    """`M1: revenue, no union`."""
    market = run.market
    return f"{market.regime}: {market.regime_title}" if market.regime_title else market.regime


def runs_blocks(runs: Sequence[Run]) -> tuple[Block, ...]:
    """The runs one after another, folded where there are several, and side by side."""
    if len(runs) == 1:
        return regime_blocks(runs[0])
    each = [Folded(_summary(run), regime_blocks(run)) for run in runs]
    return (side_by_side_table(runs), *each)


def _summary(run: Run) -> Line:
    words, good = verdict_words(run)
    return line(Mark(regime_title(run), "strong"), " ", Mark(words, _KINDS[good]))


def verdict_marks(run: Run) -> Paragraph:
    """How a regime ended, as a line of its own."""
    words, good = verdict_words(run)
    return Paragraph((Mark(words, _KINDS[good]),))


def side_by_side_table(runs: Sequence[Run]) -> Table:
    """The regimes' figures and verdicts."""
    titles, cells = side_by_side(runs)
    rows = []
    for run, shown in zip(runs, cells, strict=True):
        words, good = verdict_words(run)
        rows.append(((run.market.regime,), *((c,) for c in shown), (Mark(words, _KINDS[good]),)))
    heads = ("regime", *titles, "verdict")
    return Table("Regimes side by side, at the reported types", heads, tuple(rows), words=(0, len(heads) - 1))


def regime_blocks(run: Run, *, all_rows: bool = False) -> tuple[Block, ...]:
    """One regime: structure, tables by label, demands, the books, the bottom line, the certificate, notes."""
    market, outcome = run.market, run.outcome
    if outcome is None or run.match.structure is None:
        said = run.problem.message if run.problem else "not solved"
        reasons = tuple(line(told) for told in run.match.told)
        return (Paragraph(line(Mark(said, "bad"))), *((Items(reasons),) if reasons else ()))
    words = structure_words(run)
    blocks: list[Block] = [Paragraph(line(Mark(f"{words[0].upper()}{words[1:]}.", "faint")))]
    if not outcome.status.found:
        blocks.append(Paragraph(line(Mark(outcome.status.word, "bad"), f": {outcome.message}")))
    if outcome.report_is_mean:
        blocks.append(Paragraph(line("No report is stated: every type stands at its mean.")))
    blocks += [table_of(sheet, _by_label(sheet), all_rows=all_rows) for sheet in outcome_sheets(run, outcome)]
    if outcome.slack:
        constraints = [(c, constraint_sheet(market, outcome, c)) for c in market.constraints]
        blocks += [table_of(s, f"Constraint {c.name}", all_rows=all_rows) for c, s in constraints]
    if outcome.accounts:
        blocks.append(Items(tuple(line(text) for text in payers(outcome))))
        blocks.append(table_of(accounts_sheet(market, outcome), "Accounts", all_rows=True))
    if "menu" in outcome.extra:
        blocks.append(table_of(menu_sheet(market, outcome), "The menu", all_rows=all_rows))
        blocks += [Paragraph(line(text)) for text in menu_lines(market, outcome)]
    figures = [piece for name, figure in bottom_line(outcome) for piece in (f"{name} ", Mark(figure, "strong"), "   ")]
    blocks += [Paragraph(tuple(figures[:-1]))] if figures else []
    blocks += [_certificate(run.certificate)] if run.certificate is not None else []
    blocks += [Paragraph(line(Mark("note: ", "faint"), Prose(note))) for note in outcome.notes]
    return tuple(blocks)


def _by_label(sheet: Sheet) -> str:
    return f"By {' and '.join(s.name for s in sheet.sets)}" if sheet.sets else ""


def table_of(sheet: Sheet, caption: str, *, all_rows: bool = False) -> Table:
    """A sheet as a table; of a long one its ends, unless every row is asked for."""
    labels = sheet.labels if sheet.sets else [sheet.title]
    head = sheet.title if sheet.title and sheet.sets else ", ".join(s.name for s in sheet.sets)
    kept = [j for j in range(len(labels)) if any(c.cells[j] for c in sheet.columns)]
    hidden = len(kept) > ROWS and not all_rows
    rows: list[tuple[Line, ...]] = []
    for count, j in enumerate([*kept[:FIRST], *kept[-LAST:]] if hidden else kept, 1):
        rows.append(((labels[j],), *((c.cells[j],) for c in sheet.columns)))
        if hidden and count == FIRST:
            rows.append((line(Mark(f"... {len(kept) - FIRST - LAST} more", "faint")), *(() for _ in sheet.columns)))
    totals = any(c.total for c in sheet.columns)
    total: tuple[Line, ...] = (("total",), *((c.total,) for c in sheet.columns)) if totals else ()
    return Table(caption, (head, *(c.title for c in sheet.columns)), tuple(rows), total)


def _certificate(certificate: Certificate) -> Folded:
    """The verdict; beneath it every check, and where each was worst."""
    if certificate.passed:
        head: Line = line(Mark("certified", "good"), certified_words(certificate))
    else:
        head = line(Mark(failing_words(certificate), "bad"))
    rows: list[tuple[Line, ...]] = [
        (
            (c.name,),
            (f"{c.value:.1e}",),
            (f"{c.tolerance:.0e}",),
            (Mark("passed", "good") if c.passed else Mark("FAILS", "bad"),),
            (Prose(c.detail),),
        )
        for c in certificate.checks
    ]
    heads = ("check", "value", "at most", "verdict", "how it was checked")
    table = Table("Checks of what was found against what was stated", heads, tuple(rows), words=(0, 3, 4))
    return Folded(head, (table,), open=not certificate.passed)
