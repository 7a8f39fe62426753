"""What experiments may say beyond one regime and one market: quantities of other regimes, seeds, every draw in turn."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mechdsl.api import MarketFile, parse
from mechdsl.cli import main
from mechdsl.errors import MechError, UsageError
from mechdsl.figures import draw, labels

# x = 3 h shared in inverse proportion to weights: virtual costs 2c - a are (1, 1) and costs (0.75, 0.6) at the means.
TEXT = """
market pair "Two suppliers"
index k in parts = {left, right}
param d[k] in [0, inf) ~ uniform(2, 5)
param h in [0, inf) = 1 "how much is wanted"
layer buyer
layer seller[k] {
  type c[k] ~ {left: uniform(0.5, 1), right: uniform(0.2, 1)}
  choose x[k] >= 0 "output"
  cost c[k] * x[k]^2
}
let total = sum(k: x[k])
let share[k] = x[k] / total
constraint enough: total >= 3 * h
contract buyer -> seller: direct
regime revenue { objective buyer: maximize revenue }
regime welfare { objective buyer: maximize welfare }
regime half    { objective buyer: maximize welfare  set h = 0.5 }
"""
RATIO = "x[left](revenue) / x[left](welfare)"


@pytest.fixture(scope="module")
def pair() -> MarketFile:
    return parse(TEXT)


def test_one_regimes_quantity_over_anothers(pair: MarketFile) -> None:
    """1.5 / (4/3), 1.5 / (5/3), and lets with and without an index, a sum over the entries, another regime's param."""
    table = [RATIO, "x[right](revenue) / x[right](welfare)", "share[left](welfare)", "total(half) / total"]
    table += ["sum(k: x[k](welfare))", "h(half)", "revenue(welfare) / revenue(revenue)"]
    found = pair.sweep("h in {1, 2}", ["revenue", "welfare", "half"], table=table).to_frame()
    for name, value in zip(table[:3], (9 / 8, 9 / 10, 4 / 9), strict=True):
        assert found[name].to_numpy() == pytest.approx([value] * 6), name
    # Here the sweep's h is that of every regime.
    assert found["h(half)"].to_numpy() == pytest.approx([1, 1, 1, 2, 2, 2])
    assert found["total(half) / total"].to_numpy() == pytest.approx([1] * 6)
    assert found["sum(k: x[k](welfare))"].to_numpy() == pytest.approx([3, 3, 3, 6, 6, 6])


def test_a_regimes_own_params_are_meant(pair: MarketFile) -> None:
    found = pair.simulate(5, ["welfare", "half"], table=["h(half) / h(welfare)", "x[left](half) / x[left]"])
    rows = found.rows()
    assert rows["h(half) / h(welfare)"].to_numpy() == pytest.approx([0.5] * 10)
    assert rows["x[left](half) / x[left]"].to_numpy() == pytest.approx([0.5] * 5 + [1] * 5)


def test_draw_by_draw(pair: MarketFile) -> None:
    """The same draw of the types on both sides of the division."""
    rows = pair.simulate(6, ["revenue", "welfare"], seed=3, table=[RATIO]).rows()
    own = [rows[rows.regime == name]["x.left"].to_numpy() for name in ("revenue", "welfare")]
    assert rows[RATIO].to_numpy() == pytest.approx(np.tile(own[0] / own[1], 2))


def test_one_curve_for_what_names_its_regimes(pair: MarketFile) -> None:
    found = pair.sweep("h in 1..3", ["revenue", "welfare"], table=[RATIO, "x[left]"])
    axes = found.plot(f"line({RATIO})").get_axes()[0]
    assert len(axes.get_lines()) == 1
    assert axes.get_legend() is None
    assert axes.get_ylabel() == r"$x_{\mathrm{left}}$ (revenue) / $x_{\mathrm{left}}$ (welfare)"
    both = found.plot(f"line(x[left], {RATIO})").get_axes()[0]
    assert len([one for one in both.get_lines() if len(one.get_xdata()) == 3]) == 3
    assert len(found.plot(f"bar({RATIO})").get_axes()[0].patches) == 3


def test_bars_of_what_names_its_regimes(pair: MarketFile) -> None:
    found = pair.simulate(5, ["revenue", "welfare"], table=[RATIO, "total(welfare)"])
    axes = found.plot(f"bar({RATIO}, total(welfare))").get_axes()[0]
    assert len(axes.patches) == 2
    assert [t.get_text() for t in axes.get_xticklabels()][1] == r"$\mathrm{total}$ (welfare)"


def test_regimes_of_different_sizes_meet_by_label() -> None:
    text = """
    market sizes "As many as there are"
    param N in [1, 9] = 2
    index k in sellers = 1..N
    layer buyer
    layer seller[k] { choose x[k] >= 0  cost x[k]^2 }
    constraint enough: sum(k: x[k]) >= 6
    layer planner
    objective planner: maximize welfare
    regime two { }
    regime three { set N = 3 }
    """
    found = parse(text).sweep("N in {2}", table=["x[2](three) / x[2](two)"])
    assert found.to_frame().iloc[:, 2].to_numpy() == pytest.approx([1, 1])  # the sweep's N holds in both
    mixed = parse(text.replace("planner\n    objective", "planner\n    param one in [0, 2] = 1\n    objective"))
    rows = mixed.sweep("one in {1}", table=["sum(k: x[k](two))", "sum(k: x[k](three))"]).to_frame()
    assert rows["sum(k: x[k](three))"].to_numpy() == pytest.approx([4, 6])  # `two` knows but two of the three
    assert np.isnan(rows["sum(k: x[k](two))"].to_numpy()).tolist() == [False, True]


def test_a_regime_that_is_not_computed_is_named(pair: MarketFile) -> None:
    with pytest.raises(MechError, match="unknown regime 'half'"):
        pair.simulate(5, ["revenue", "welfare"], table=["x[left](half)"])


def test_the_command_shows_one_line_a_point(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pair.mech"
    file.write_text(TEXT + f'experiment ratio "Ratio" {{ vary h in 1..3  table {RATIO}  plot line({RATIO}) }}')
    assert main(["run", str(file), "--out", str(tmp_path / "out"), "--formats", "png"]) == 0
    out = capsys.readouterr().out
    assert out.count("1.125") == 3
    with (tmp_path / "out" / "ratio.csv").open(newline="") as table:
        assert [float(row[RATIO]) for row in csv.DictReader(table)] == pytest.approx([1.125] * 9)
    assert main(["fmt", str(file)]) == 0
    assert RATIO in file.read_text()


# ----------------------------------------------------------------------------------------------------- seeds and traces


def test_a_varied_seed_is_the_seed_of_solve_and_simulate(pair: MarketFile) -> None:
    found = pair.sweep("seed in {4, 9}", ["revenue"], draws=7, table=["revenue", "d[left]"]).to_frame()
    for line, seed in enumerate((4, 9)):
        alone = parse(TEXT, seed=seed).simulate(7, "revenue", table=["revenue", "d[left]"]).to_frame()
        assert found["revenue"][line] == alone["revenue"][0]
        assert found["d[left]"][line] == alone["d[left]"][0]
    assert found["d[left]"][0] != found["d[left]"][1]


def test_a_param_called_seed_is_a_param() -> None:
    file = parse(TEXT.replace("param h ", "param seed ").replace("* h", "* seed").replace("set h", "set seed"))
    found = file.sweep("seed in {1, 2}", ["welfare"], table=["total"]).to_frame()
    assert found["total"].to_numpy() == pytest.approx([3, 6])


@pytest.mark.parametrize("grid", ["seed in {0.5}", "seed in -2..1", "seed in {1}, seed in {2}"])
def test_no_seeds(pair: MarketFile, grid: str) -> None:
    with pytest.raises(UsageError, match="seed"):
        pair.sweep(grid, ["revenue"])


def test_what_was_left_behind_is_named_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "pair.mech", tmp_path / "out"
    asked = 'experiment e "E" { regimes welfare  draws 9  plot box(revenue)  plot PLOT }\n'
    other = 'experiment e_box "F" { regimes welfare  draws 9  plot box(welfare) }'
    file.write_text(TEXT + asked.replace("PLOT", "bar(welfare)") + other, encoding="utf-8")
    assert main(["run", str(file), "--out", str(out), "--formats", "svg", "--rows", "csv"]) == 0
    assert "of an earlier run" not in capsys.readouterr().out
    for name in ("e_notes.svg", "mine.png"):
        (out / name).write_text("the user's own")
    before = set(out.iterdir())

    file.write_text(TEXT + asked.replace("PLOT", "box(welfare)") + other, encoding="utf-8")
    assert main(["run", str(file), "--out", str(out), "--formats", "svg"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "of an earlier run" in line]
    names = ["e_bar_welfare.svg", "e_rows.csv", "e_box_rows.csv"]
    assert told == [f"of an earlier run, not of this one: {out / name}" for name in names]
    assert before <= set(out.iterdir())

    assert main(["run", str(file), "e", "--out", str(out), "--formats", "svg", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["experiments"]["e"]
    assert found["left_behind"] == [str(out / name) for name in names[:2]]


def test_a_trace_shows_every_draw() -> None:
    file = parse(TEXT + 'experiment e "E" { regimes revenue, welfare  draws 9  seed 2  plot trace(revenue) }')
    found = file.run("e")["e"]
    rows = parse(TEXT, seed=2).simulate(9, ["revenue", "welfare"]).rows()
    (plot,) = found.findings.study.plots
    axes = draw(plot, found.findings, labels(file.model)).get_axes()[0]
    shown = [one for one in axes.get_lines() if len(one.get_xdata()) == 9]
    for one, name in zip(shown, ("revenue", "welfare"), strict=True):
        assert np.asarray(one.get_ydata()) == pytest.approx(rows[rows.regime == name].revenue.to_numpy())
    with pytest.raises(UsageError, match="draws of one market"):
        file.sweep("h in 1..2", ["revenue"], draws=3).plot("trace(revenue)")


# ------------------------------------------------------------------------------------ sums of a let where its letter is


def test_a_sum_within_what_ranges_over_the_same_letter() -> None:
    """`total` sums over k; a cap on each k's share of it is a constraint in k. At most 0.45 to the cheaper one."""
    text = TEXT.replace("contract", "constraint most[k]: x[k] <= (if(k == 2, 0.45, 1)) * total\ncontract")
    text = text.replace("index k in parts = {left, right}", "index k in parts = 1..2").replace("left:", "1:")
    found = parse(text.replace("right:", "2:")).solve("welfare", at={"c": [0.9, 0.3]})
    assert found.certified
    assert list(found.allocation["x"].values()) == pytest.approx([1.65, 1.35])


def test_no_equilibrium_at_a_point_is_an_answer(tmp_path: Path) -> None:
    """With three creators nobody's choice lasts: no number in the table, and nothing has failed."""
    model = Path(__file__).parent.parent / "models" / "yao_2024" / "attention_sweeps.mech"
    assert main(["sweep", str(model), "--regime", "inclusive", "--vary", "N in 2..3", "--table", "s, x[1]",
                 "--out", str(tmp_path / "t.csv")]) == 0  # fmt: skip
    with (tmp_path / "t.csv").open(newline="") as table:
        two, three = csv.DictReader(table)
    assert float(two["s"]) > float(two["x[1]"]) > 0
    assert (three["s"], three["x[1]"], three["certified"]) == ("", "", "0")
