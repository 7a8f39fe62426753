"""The published results of docs/reproduction.md: every command at a small size, its programme, and what it says."""

from __future__ import annotations

import csv
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from playing import blocks

import mechdsl
from mechdsl.cli import main
from mechdsl.replication import table_differences
from mechdsl.resources import folder

TREE = Path(__file__).parent.parent
PAGE = TREE / "docs" / "reproduction.md"
FIGURES = TREE / "docs" / "figures"
MODELS = folder("models")
COMMANDS = [
    tuple(line.partition("#")[0].split()[1:])
    for block in blocks(PAGE)
    if block.language == "sh"
    for line in block.text.splitlines()
    if line.startswith("mechdsl run")
]


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def small(text: str) -> str:
    """The same experiments: three values of an axis, eight draws, three markets."""

    def coarse(found: re.Match[str]) -> str:
        first, last = float(found[1]), float(found[2])
        return f"{found[1]}..{found[2]} by {(last - first) / 2:g}"

    text = re.sub(r"([\d.]+)\.\.([\d.]+) by [\d.]+", coarse, text)
    text = re.sub(r"seed in 1\.\.\d+", "seed in 1..3", text)
    text = re.sub(r"N in 1\.\.\d+", "N in 1..3", text)
    return re.sub(r"instances \d+", "instances 3", re.sub(r"draws \d+", "draws 8", text))


@pytest.mark.parametrize("command", COMMANDS, ids=["_".join(c[1:]).replace("/", "_") for c in COMMANDS])
def test_the_command_makes_its_tables_and_figures(command: tuple[str, ...], tmp_path: Path) -> None:
    verb, file, *names = command
    made = tmp_path / Path(file).name
    made.write_text(small((TREE / file).read_text(encoding="utf-8")))
    status = main([verb, str(made), *names, "--out", str(tmp_path / "out"), "--formats", "png", "--jobs", "1"])
    assert status == (3 if "dai_2026" in file else 0)  # Lemma 8: the firm would not take part
    stated = {e.name.id: e for e in mechdsl.load(made).model.experiments if not names or e.name.id in names}
    for name, experiment in stated.items():
        assert lines(tmp_path / "out" / f"{name}.csv")
        plots = [item for item in experiment.items if type(item).__name__ == "PlotItem"]
        figures = [p.name for p in (tmp_path / "out").glob(f"{name}_*.png")]
        longer = [n for n in stated if n.startswith(f"{name}_")]
        assert len([f for f in figures if not f.startswith(tuple(longer))]) == len(plots)


def ranked(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the page's programme prints of a table."""
    (program,) = (b for b in blocks(PAGE) if b.file == "rankings.py")
    (tmp_path / program.file).write_text(program.text)
    monkeypatch.setattr(sys, "argv", [program.file, str(table)])
    capsys.readouterr()
    runpy.run_path(str(tmp_path / program.file), run_name="__main__")
    return capsys.readouterr().out


def shown() -> str:
    (block,) = (b for b in blocks(PAGE) if b.language == "text")
    return block.text


def test_rankings_hold_in_every_market(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On three markets: as on the page but for the count."""
    made = tmp_path / "mechanisms.mech"
    text = (MODELS / "ai_2025" / "mechanisms.mech").read_text(encoding="utf-8")
    made.write_text(small(text).replace("draws 8", "draws 60"))
    assert main(["run", str(made), "markets", "--out", str(tmp_path), "--formats", "png", "--jobs", "1"]) == 0
    printed = ranked(tmp_path / "markets.csv", tmp_path, monkeypatch, capsys).splitlines()
    assert len(printed) == len(shown().splitlines())
    assert [line for line in printed if ">=" in line] == [
        line.replace("100 of 100", "3 of 3") for line in shown().splitlines() if ">=" in line
    ]


def test_without_genai_revenue_is_what_the_page_says() -> None:
    """-(10 d_1^rho_1 + d_2^rho_2) in every draw, so never above -22; three published figures are."""
    file = mechdsl.load(MODELS / "ai_2025" / "mechanisms.mech")
    made = "10 * d[1]^rho[1] + d[2]^rho[2]"
    found = file.sweep("seed in 1..6", ["no_genai"], draws=3, table=["revenue", made]).to_frame()
    assert found["revenue"].to_numpy() == pytest.approx(-found[made].to_numpy(), rel=1e-9)
    assert found["revenue 95%"].to_numpy() == pytest.approx(found["revenue 5%"].to_numpy(), rel=1e-9)
    published = [(-21.82, -3.86), (-21.95, -4.20), (-20.57, -3.40)]
    mean = [float(np.sqrt(2 / np.pi)), 0.5]  # of a normal cut at 0 (and 10), of a uniform
    for (revenue, welfare), stated in zip(published, (1.68, 1.61, 1.64), strict=True):
        output, _ = np.linalg.solve(np.array([[10, 1], mean]), np.array([-revenue, -welfare]))
        assert output == pytest.approx(stated, abs=0.01)
        assert output < 2


def test_figure_3_as_the_page_says() -> None:
    """x_1 level at 9.282 up to d_1 = 9.282, then d_1; x_2 = 0 where d_2 < sqrt(d_1), or d_2 <= d_1 / 2."""
    file = mechdsl.load(MODELS / "ai_2025" / "figure_3.mech")
    found = file.sweep("d.1 in {1, 9, 10}", "mu_12", table=["x[1]"]).to_frame()["x[1]"].to_numpy()
    assert found == pytest.approx([9.281955070507271, 9.281955070507271, 10])
    low = file.sweep("d.1 in {16}, d.2 in {3.9, 4.1}", "mu_12", table=["x[2]"]).to_frame()["x[2]"].to_numpy()
    assert low == pytest.approx([0, 0.1], abs=1e-6)
    low = file.sweep("d.1 in {16}, d.2 in {7.9, 8.1}", "gamma_12", table=["x[2]"]).to_frame()["x[2]"].to_numpy()
    assert low == pytest.approx([0, 0.1], abs=1e-6)  # x_1 = 15, so demand 2 is x_2 + 7.5 + 0.5


# ------------------------------------------------------------------------------------------------ by brute force, apart


def frontier(d: np.ndarray, rho: np.ndarray, mu: np.ndarray, gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least x_2 for each x_1 of a grid that meets both demands, as outputs y = x^rho."""
    x1 = np.concatenate([[0.0], np.geomspace(1e-5, 60, 6000)])
    need = np.maximum(d[1] - mu[0, 1] * x1 ** gamma[0, 1], 0)
    low, high = np.zeros_like(x1), need.copy()
    for _ in range(60):
        middle = (low + high) / 2
        enough = middle + mu[1, 1] * middle ** gamma[1, 1] >= need
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    short = np.maximum(d[0] - x1 - mu[0, 0] * x1 ** gamma[0, 0], 0)
    x2 = np.maximum(np.where(need > 0, high, 0), (short / mu[1, 0]) ** (1 / gamma[1, 0]))
    return x1 ** rho[0], x2 ** rho[1]


def test_a_drawn_market_against_a_grid() -> None:
    """M2, M4, M5, M6 of seed 0: weights c, b and E[c] over the frontier; welfare of M2 draw by draw."""
    file = mechdsl.load(MODELS / "ai_2025" / "mechanisms.mech")
    market = file.model.markets["M2"]
    values = {str(q.name): np.asarray(table) for q, table in market.data.items()}
    y1, y2 = frontier(values["d"], values["rho"], values["mu"], values["gamma"])

    def best(weights: tuple[float, float]) -> np.ndarray:
        place = int(np.argmin(weights[0] * y1 + weights[1] * y2))
        return np.array([y1[place], y2[place]])

    mean, upper = (np.sqrt(2 / np.pi), 0.5), (10.0, 1.0)
    found = file.simulate(25, ["M2", "M4", "M5", "M6"]).rows()
    rows = {name: found[found.regime == name] for name in ("M2", "M4", "M5", "M6")}
    for name, weights in (("M4", upper), ("M5", upper), ("M6", mean)):
        assert rows[name].revenue.to_numpy() == pytest.approx(-np.dot(upper, best(weights)), rel=2e-3), name
    costs = rows["M2"][["c.1", "c.2"]].to_numpy()
    wanted = [-np.dot(c, best((c[0], c[1]))) for c in costs]
    assert rows["M2"].welfare.to_numpy() == pytest.approx(np.array(wanted), rel=2e-3)


# -------------------------------------------------------------------------------------------- the figures of the README


def test_the_readme_shows_what_its_commands_make(tmp_path: Path) -> None:
    """By the numbers behind the figures, which stand beside them."""
    text = (TREE / "README.md").read_text(encoding="utf-8")
    assert {f"docs/figures/{p.name}" for p in FIGURES.glob("*.svg")} == set(re.findall(r"docs/figures/\S+\.svg", text))
    assert main(["run", str(MODELS / "dai_2026" / "figures.mech"), "originality", "--out", str(tmp_path)]) == 0
    kept = (FIGURES / "originality.csv").read_text()
    assert not list(table_differences(kept, (tmp_path / "originality.csv").read_text(), 1e-7))
    command = ["run", str(MODELS / "ai_2025" / "mechanisms.mech"), "table_1", "--regime", "M4,M5,M6"]
    assert main([*command, "--out", str(tmp_path), "--jobs", "1", "--formats", "png"]) == 0
    head, *rows = (FIGURES / "table_1.csv").read_text().splitlines()
    some = "\n".join([head, *(row for row in rows if row.split(",")[0] in ("M4", "M5", "M6"))])
    assert not list(table_differences(some, (tmp_path / "table_1.csv").read_text(), 1e-7))


@pytest.mark.slow
def test_all_of_figure_4(tmp_path: Path) -> None:
    assert main(["run", str(MODELS / "ai_2025" / "mechanisms.mech"), "table_1", "--out", str(tmp_path)]) == 0
    kept, found = ((at / "table_1.csv").read_text() for at in (FIGURES, tmp_path))
    assert not list(table_differences(kept, found, 1e-6))


@pytest.mark.slow
def test_a_hundred_markets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", str(MODELS / "ai_2025" / "mechanisms.mech"), "markets", "--out", str(tmp_path)]
    assert main(command) == 0
    assert ranked(tmp_path / "markets.csv", tmp_path, monkeypatch, capsys) == shown()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["figure_2", "figure_3"])
def test_the_heat_maps_in_full(name: str, tmp_path: Path) -> None:
    assert main(["run", str(MODELS / "ai_2025" / f"{name}.mech"), "--out", str(tmp_path)]) == 0
    if name == "figure_2":
        level = {r["d.1"]: float(r["x[1]"]) for r in lines(tmp_path / "figure_2a.csv") if float(r["d.2"]) == 18}
        assert max(level.values()) == pytest.approx(min(level.values()))
        level = {r["d.2"]: float(r["x[2]"]) for r in lines(tmp_path / "figure_2b.csv") if float(r["d.1"]) == 12.5}
        assert max(level.values()) == pytest.approx(min(level.values()))
        shares = [float(lines(tmp_path / f"markets_2{p}.csv")[0][f"excess[{k}]"]) for p, k in (("a", 1), ("b", 2))]
        assert shares == pytest.approx([0.485, 0.3425])
