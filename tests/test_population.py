"""Draws, summaries and studies: what depends on the seed alone, what adds up, what is refused before it is computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mechdsl import pipeline
from mechdsl.draws import another_seed, uniform_draws
from mechdsl.errors import MechError, UsageError
from mechdsl.population import rows as rows_module
from mechdsl.population.execution import Work
from mechdsl.population.findings import Interrupted, findings
from mechdsl.population.moments import PROBABILITIES, Quantiles, Tally, across
from mechdsl.population.rows import computed, from_bytes, to_bytes, types_drawn
from mechdsl.population.store import Store
from mechdsl.population.study import experiment_study, grid, plots_of, study
from mechdsl.population.task import GridAxis, Part, Task
from mechdsl.population.workshop import workshop
from mechdsl.syntax import parse_axes

MODELS = Path(__file__).parent.parent / "models" / "ai_2025"

TEXT = """
market pair "Two suppliers"
index k in parts = {left, right}
param d[k] in [0, inf) = {left: 2, right: 1} "content demanded"
param g in [0, 1) = 0.5 "spillover"
param s[k] in (0, inf) = {left: 1, right: g + 1}
layer buyer
layer seller[k] {
  type c[k] ~ uniform(0.5, s[k] + 1)
  choose x[k] >= 0 "output"
  cost c[k] * x[k]^2
}
demand[k]: x[k] + g * sum(i where i != k: x[i]) >= d[k]
index i in parts
contract buyer -> seller: direct
regime M1 "revenue" { objective buyer: maximize revenue }
regime M2 "welfare" { objective buyer: maximize welfare }
experiment both "Both" {
  draws 40  seed 3
  table revenue, x[left] + x[right], revenue(M1) - revenue(M2)
  plot box(revenue)
}
experiment along "Along" { vary d.left in 0..4 by 1  plot line(x[left]) }
""".replace("index k in parts", "index k, i in parts").replace("index i in parts\n", "")


def task(**changes: object) -> Task:
    stated = Task(TEXT, "pair.mech", None, ("M1", "M2"))
    return replace(stated, **changes)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------------- draws


def test_draws_do_not_depend_on_how_they_are_cut() -> None:
    whole = uniform_draws(7, "c", ["video"], 0, 1000)
    pieces = [uniform_draws(7, "c", ["video"], a, b - a) for a, b in ((0, 1), (1, 6), (6, 333), (333, 1000))]
    assert np.array_equal(whole, np.concatenate(pieces))


def test_draws_are_known_for_good() -> None:
    assert uniform_draws(0, "c", ["video"], 5, 2).tolist() == [0.764862991120961, 0.7459791475911075]


def test_draws_are_uniform_and_independent_by_label_and_seed() -> None:
    columns = [uniform_draws(s, n, [m], 0, 20_000) for s, n, m in [(0, "c", "a"), (0, "c", "b"), (1, "c", "a")]]
    assert all(stats.kstest(c, "uniform").pvalue > 1e-3 for c in columns)
    assert np.abs(np.corrcoef(columns) - np.eye(3)).max() < 0.03


def test_instances_have_seeds_of_their_own() -> None:
    assert another_seed(5, 0) == 5
    assert len({another_seed(s, n) for s in range(20) for n in range(20)}) == 400


def test_types_follow_their_law_and_are_common_to_regimes() -> None:
    model = pipeline.parse(TEXT)
    drawn = {n: types_drawn(m.types, 3, 0, 5000) for n, m in model.markets.items()}
    (one,), (two,) = (tuple(d.values()) for d in drawn.values())
    assert np.array_equal(one, two)
    assert one.shape == (5000, 2)
    assert stats.kstest(one[:, 1], stats.uniform(0.5, 2.0).cdf).pvalue > 1e-3


# ----------------------------------------------------------------------------------------------------------- summaries


def test_a_tally_is_the_mean_and_its_error() -> None:
    values = np.random.default_rng(1).lognormal(size=1001)
    tally = Tally(quantiles=Quantiles())
    for piece in np.array_split(np.append(values, [np.nan, np.nan]), 13):
        tally.add(piece)
    figure = tally.figure
    assert (figure.count, figure.missing) == (1001, 2)
    assert figure.mean == pytest.approx(values.mean(), rel=1e-14)
    assert figure.error == pytest.approx(stats.sem(values), rel=1e-12)
    assert figure.quantiles == pytest.approx(np.quantile(values, PROBABILITIES))
    assert figure.rank_error == 0


def test_quantiles_of_many_stay_within_their_bound_and_in_little_memory() -> None:
    summary, count = Quantiles(size=256, keep=1024), 200_000
    values = np.random.default_rng(2).permutation(count).astype(float)
    for piece in np.array_split(values, 97):
        summary.add(piece)
    ranks = np.array(summary.at(PROBABILITIES)) / count
    assert 0 < summary.rank_error < 0.05
    assert np.abs(ranks - PROBABILITIES).max() <= summary.rank_error + 1e-5
    kept = sum(map(len, summary._fresh)) + sum(len(b) for bs in summary._levels.values() for b in bs)
    assert kept < 256 * 14


def test_merged_quantiles_stay_within_their_bound() -> None:
    values = np.random.default_rng(3).permutation(60_000).astype(float)
    parts = [Quantiles(size=128, keep=512) for _ in range(3)]
    for summary, piece in zip(parts, np.array_split(values, 3), strict=True):
        for stretch in np.array_split(piece, 31):
            summary.add(stretch)
    parts[0].merge(parts[1])
    parts[0].merge(parts[2])
    assert parts[0].count == 60_000
    ranks = np.array(parts[0].at(PROBABILITIES)) / 60_000
    assert np.abs(ranks - PROBABILITIES).max() <= parts[0].rank_error + 1e-4


def test_over_instances_the_error_is_that_of_their_means() -> None:
    tallies = []
    for mean in (1.0, 2.0, 6.0):
        tally = Tally(quantiles=Quantiles())
        tally.add(mean + np.array([-0.1, 0.1]))
        tallies.append(tally)
    figure = across(tallies)
    assert figure.mean == pytest.approx(3)
    assert figure.error == pytest.approx(stats.sem([1.0, 2.0, 6.0]))


# -------------------------------------------------------------------------------------------------------------- studies


def test_rows_do_not_depend_on_the_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = computed(task(draws=12), Part(0, 0, 1, 0, 12))
    halves = [computed(task(draws=12), Part(n, 0, 1, 6 * n, 6 * n + 6)) for n in range(2)]
    for regime in (0.0, 1.0):
        joined = {n: np.concatenate([h.columns[n][h.columns["regime"] == regime] for h in halves]) for n in WANTED}
        mine = whole.columns["regime"] == regime
        assert all(np.array_equal(joined[n], whole.columns[n][mine]) for n in WANTED)


WANTED = ("draw", "c.left", "c.right", "x.left", "revenue", "welfare", "payments.seller.right")


def test_rows_agree_with_solving_one_by_one() -> None:
    found = computed(task(draws=3), Part(0, 0, 1, 0, 3))
    from mechdsl.api import parse

    file = parse(TEXT)
    for n in range(6):
        row = {name: column[n] for name, column in found.columns.items()}
        regime = ("M1", "M2")[int(row["regime"])]
        solved = file.solve(regime, at={"c": {"left": row["c.left"], "right": row["c.right"]}})
        assert solved.revenue == pytest.approx(row["revenue"], rel=1e-7)
        assert solved.welfare == pytest.approx(row["welfare"], rel=1e-7)
        assert solved.allocation["x"]["left"] == pytest.approx(row["x.left"], rel=1e-7)


def test_rows_survive_a_file() -> None:
    rows = computed(task(draws=2), Part(0, 0, 1, 0, 2))
    back = from_bytes(to_bytes(rows))
    assert back.words == rows.words
    assert all(np.array_equal(back.columns[n], c, equal_nan=True) for n, c in rows.columns.items())


def test_points_replace_tables_or_elaborate_to_the_same() -> None:
    axes = (GridAxis("d", ("left",), (1.0, 3.0)), GridAxis("g", (), (0.1, 0.2)))
    stated = task(axes=axes)
    made = workshop(stated)
    assert "d" in made.loose
    assert "g" not in made.loose  # s rests on it, and types on s
    for number in range(stated.points):
        point = stated.point(number)
        quick = made.model(point)
        slow = pipeline.parse(_with(point.values))
        for regime, market in quick.markets.items():
            mine = {str(q.name): v.tolist() for q, v in market.data.items()}
            assert mine == {str(q.name): v.tolist() for q, v in slow.markets[regime].data.items()}
            assert market.types == slow.markets[regime].types


def _with(values: tuple[float, ...]) -> str:
    return TEXT.replace("{left: 2, right: 1}", f"{{left: {values[0]}, right: 1}}").replace("= 0.5 ", f"= {values[1]} ")


def test_an_experiment_and_its_measures(tmp_path: Path) -> None:
    model = pipeline.parse(TEXT)
    stated = experiment_study(model.experiments[0], model, task())
    assert (stated.task.draws, stated.task.seed, stated.name) == (40, 3, "both")
    assert stated.table == ("revenue", "x[left] + x[right]", "revenue(M1) - revenue(M2)")
    found = findings(stated, Work(jobs=1), Store(tmp_path / "run"))
    one, two = found.cells
    assert (one.rows, one.certified) == (40, 40)
    outputs = one.figures["x.left"].mean + one.figures["x.right"].mean
    assert one.figures["x[left] + x[right]"].mean == pytest.approx(outputs)
    paired = one.figures["revenue(M1) - revenue(M2)"]
    assert paired.mean == pytest.approx(one.figures["revenue"].mean - two.figures["revenue"].mean)
    assert 0 < paired.error < one.figures["revenue"].error
    assert not (tmp_path / "run").exists()


def test_a_sweep_finds_where_the_binding_set_changes(tmp_path: Path) -> None:
    # At equal costs both demands bind while g < d.left / d.right < 1 / g, that is d.left in (1/2, 2), d.right = 1.
    model = pipeline.parse(TEXT.replace("s[k] + 1", "1.5"))
    stated = experiment_study(model.experiments[1], model, task(text=model.source.text, regimes=("M2",)))
    found = findings(stated, Work(jobs=1), Store(tmp_path))
    assert [c.binding for c in found.cells][:2] == [("demand.right",), ("demand.left", "demand.right")]
    places = [c.values[0] for c in found.changes]
    # One demand alone, d.left = D: x = D (1, g) / (1 + g^2), and the other is met from x_r + g x_l = 2 g D / (1 + g^2).
    assert places == pytest.approx([2 * 0.5 / 1.25, 1.25 / (2 * 0.5)], abs=1e-5)
    assert found.changes[0].after == ("demand.left", "demand.right")


@pytest.mark.parametrize(
    ("text", "values"),
    [("d.left in 1..2 by 0.25", (1, 1.25, 1.5, 1.75, 2)), ("g in {0, 0.1}", (0, 0.1)), ("g in [1/4, 0.3]", (0.25, 0.3)),
     ("d in 0..0.3 by 0.1", (0, 0.1, 0.2, 0.3)), ("d in 3..1 by -1", (3, 2, 1))],
)  # fmt: skip
def test_grids(text: str, values: tuple[float, ...]) -> None:
    (axis,) = grid(parse_axes(text), pipeline.parse(TEXT))
    assert axis.values == values


@pytest.mark.parametrize(
    ("text", "said"),
    [("e in 1..2", "is no param"), ("c.left in 1..2", "is no param"), ("d.up in 1..2", "no label 'up'"),
     ("d in 1..2 by 0", "does not end"), ("d in 1..1e9", "larger step"), ("g.left in 1..2", "more labels"),
     ("d in 1..1000, d.left in 1..2000", "the limit is")],
)  # fmt: skip
def test_grids_that_are_none(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        grid(parse_axes(text), pipeline.parse(TEXT))


@pytest.mark.parametrize(
    ("plot", "said"),
    [("heatmap(revenue)", "two params varied"), ("pie(revenue)", "no figure 'pie'"),
     ("line(revenue)", "a param varied"),
     ("box()", "shows nothing"), ("revenue", "is no figure"), ("box(", "does not read")],
)  # fmt: skip
def test_figures_that_cannot_be(plot: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        study(task(draws=10), pipeline.parse(TEXT), "n", "t", (), plots_of([plot]))


@pytest.mark.parametrize(
    ("measure", "code"),
    [("revenu", "M010"), ("x[up]", "M015"), ("x[k]", "M023"), ("revenue(M9)", "M017"), ("utility(nobody)", "M017")],
)
def test_measures_that_are_none(measure: str, code: str) -> None:
    with pytest.raises(MechError) as caught:
        study(task(draws=10), pipeline.parse(TEXT), "n", "t", (measure,), ())
    assert caught.value.diagnostics[0].code == code


def test_a_finished_part_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mechdsl.population.task.ROWS", 10)
    stated = study(task(draws=30), pipeline.parse(TEXT), "n", "t", (), ())
    assert len(stated.task.parts) == 3
    whole = findings(stated, Work(jobs=1), Store(None))
    store = Store(tmp_path / "run")
    store.save(1, computed(stated.task, stated.task.parts[1]))
    asked: list[int] = []

    def counted(given: Task, part: Part) -> rows_module.Rows:
        asked.append(part.number)
        return computed(given, part)

    monkeypatch.setattr("mechdsl.population.execution.computed", counted)
    again = findings(stated, Work(jobs=1, resume=True), store)
    assert asked == [0, 2]
    assert [c.figures for c in again.cells] == [c.figures for c in whole.cells]


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupt_wherever_it_comes_says_what_is_kept(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mechdsl.population.task.ROWS", 10)
    stated = study(task(draws=30), pipeline.parse(TEXT), "n", "t", (), ())
    store, seen = Store(tmp_path / "run"), []

    def see(rows: rows_module.Rows) -> None:
        """Ctrl-C while the rows are looked at, not while they are computed."""
        seen.append(rows)
        if len(seen) == after:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        findings(stated, Work(jobs=1), store, see)
    assert (stopped.value.finished, stopped.value.parts) == (after, 3)


def test_a_part_that_was_cut_off_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mechdsl.population.task.ROWS", 10)
    stated = study(task(draws=20), pipeline.parse(TEXT), "n", "t", (), ())
    store = Store(tmp_path / "run")
    store.save(0, computed(stated.task, stated.task.parts[0]))
    kept = tmp_path / "run" / "0.npz"
    kept.write_bytes(kept.read_bytes()[:500])
    whole = findings(stated, Work(jobs=1), Store(None))
    again = findings(stated, Work(jobs=1, resume=True), store)
    assert [c.figures for c in again.cells] == [c.figures for c in whole.cells]


def test_what_the_numbers_depend_on_is_in_the_fingerprint() -> None:
    prints = {t.fingerprint for t in (task(), task(seed=1), task(draws=5), task(text=TEXT + "\n"), task(data="x"))}
    assert len(prints) == 5
    assert task(name="elsewhere.mech").fingerprint == task().fingerprint
