"""`simulate`, `sweep` and `run` as a person meets them: tables, files, figures, interrupts."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_population import TEXT

from mechdsl.api import parse
from mechdsl.errors import UsageError
from mechdsl.population.rows import Rows
from mechdsl.population.rows import computed as rows_of_part
from mechdsl.population.task import Part, Task

TREE = Path(__file__).parent.parent


LIBRARIES = [*Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()).glob("mechdsl/batch-*")]


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "mechdsl").mkdir(parents=True)
    for library in LIBRARIES:  # made once, not in every test
        shutil.copy(library, tmp_path / "cache" / "mechdsl")
    file = tmp_path / "pair.mech"
    file.write_text(TEXT)
    return file


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_simulate_says_means_with_their_errors(pair: Path, say: Any) -> None:
    status, out, _ = say("simulate", pair, "--draws", 30, "--json")
    found = json.loads(out)
    assert (status, found["command"], found["draws"], found["seed"]) == (0, "simulate", 30, 0)
    one = found["regimes"]["M1"]
    assert set(one["revenue"]) >= {"mean", "error", "quantiles"}
    assert one["allocation"]["x"]["left"]["mean"] > 0
    assert set(one["payments"]["seller"]) == {"left", "right"}
    assert one["report"]["c"]["left"]["mean"] == pytest.approx(1.25, abs=0.2)
    assert (one["rows"], one["certified"]) == (30, 30)
    assert found["regimes"]["M2"]["welfare"]["mean"] > one["welfare"]["mean"]


def test_rows_in_csv_and_parquet_are_the_same(pair: Path, say: Any) -> None:
    pa = pytest.importorskip("pyarrow.parquet")
    for name in ("t.csv", "t.parquet"):
        assert say("simulate", pair, "--draws", 8, "--out", name)[0] == 0
    text, table = lines(Path("t.csv")), pa.read_table("t.parquet").to_pydict()
    assert list(text[0]) == list(table)
    assert table["regime"] == [row["regime"] for row in text] == ["M1"] * 8 + ["M2"] * 8
    assert table["draw"] == [*range(8)] * 2
    assert table["revenue"] == [float(row["revenue"]) for row in text]


def test_a_seed_says_the_same_whatever_the_processes(pair: Path, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mechdsl.population.task.ROWS", 30)
    pair.write_text(TEXT.replace("draws 40", "instances 2  draws 40"))
    outs = [say("run", pair, "both", "--jobs", n, "--formats", "png", "--json") for n in (1, 2)]
    assert outs[0] == outs[1]
    assert outs[0][0] == 0


def test_sweep_tells_what_binds(pair: Path, say: Any) -> None:
    plots = ("--plot", "line(x[left], x[right])", "--plot", "bar(revenue)", "--formats", "png,svg,pdf")
    given = ("--regime", "M2", "--vary", "d.left in 0..4 by 1", "--at", "c.left=1,c.right=1")
    status, out, _ = say("sweep", pair, *given, "--out", "found", *plots)
    assert status == 0
    assert "M2: at d.left = 0.8 what binds changes from demand.right to demand.left, demand.right" in " ".join(
        out.split()
    )
    rows = lines(Path("found/pair.csv"))
    assert [row["binding"] for row in rows[:2]] == ["demand.right", "demand.left, demand.right"]
    assert rows[0]["changes"].startswith("d.left = 0.8")
    assert float(rows[2]["d.left"]) == 2
    for kind, head in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert Path(f"found/pair_line_x_left_x_right.{kind}").read_bytes().startswith(head)


def test_sweep_as_json(pair: Path, say: Any) -> None:
    given = (
        "--vary",
        "d.left in {0, 1}",
        "--vary",
        "d.right in [1, 2]",
        "--regime",
        "M2",
        "--table",
        "x[left], revenue",
    )
    status, out, _ = say("sweep", pair, *given, "--json")
    found = json.loads(out)
    assert status == 0
    assert [p["at"] for p in found["points"]] == [{"d.left": a, "d.right": b} for a in (0, 1) for b in (1, 2)]
    assert found["points"][2]["regimes"]["M2"]["binding"] == ["demand.left", "demand.right"]
    assert found["points"][0]["regimes"]["M2"]["measures"]["x[left]"] == pytest.approx(6 / 13)  # costs 1.25 and 1.5


def test_the_size_of_a_market_is_a_param_like_others(pair: Path, say: Any) -> None:
    pair.write_text("""
    market many "As many suppliers as one likes"
    param N in [1, 10] = 2
    index k in sellers = 1..N
    layer buyer
    layer seller[k] { type c[k] ~ uniform(1, 2)  choose x[k] >= 0  cost c[k] * x[k]^2 }
    demand: sum(k: x[k]) >= 6
    contract buyer -> seller: direct
    objective buyer: maximize welfare
    """)
    status, out, _ = say("sweep", pair, "--vary", "N in 1..3", "--table", "sum(k: x[k]), welfare", "--json")
    assert status == 0
    found = [p["regimes"]["main"] for p in json.loads(out)["points"]]
    assert [len(p["allocation"]["x"]) for p in found] == [1, 2, 3]
    assert [p["welfare"] for p in found] == pytest.approx([-1.5 * 36, -1.5 * 18, -1.5 * 12])
    assert [p["measures"]["sum(k: x[k])"] for p in found] == pytest.approx([6, 6, 6])


def test_run_writes_a_table_and_a_figure_each(pair: Path, say: Any) -> None:
    status, _, _ = say("run", pair, "--out", "found", "--rows", "csv")
    assert status == 0
    names = sorted(p.name for p in Path("found").iterdir())
    both = ("both.csv", "both_box_revenue.pdf", "both_box_revenue.png", "both_rows.csv")
    along = ("along.csv", "along_line_x_left.pdf", "along_line_x_left.png", "along_rows.csv")
    assert names == [*along, *both]
    table, rows = lines(Path("found/both.csv")), lines(Path("found/both_rows.csv"))
    mine = [float(r["revenue"]) for r in rows if r["regime"] == "M1"]
    assert float(table[0]["revenue"]) == pytest.approx(np.mean(mine))
    assert float(table[0]["revenue error"]) == pytest.approx(np.std(mine, ddof=1) / np.sqrt(40))
    assert float(table[0]["revenue 50%"]) == pytest.approx(np.median(mine))
    assert "revenue(M1) - revenue(M2)" in table[0]
    assert not (Path("cache") / "mechdsl" / "runs").exists() or not list(Path("cache/mechdsl/runs").iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "pair.mech", "boht"), "Did you mean 'both'?"),
        (("sweep", "pair.mech", "--vary", "d.left is 3"), "does not read as a grid"),
        (("sweep", "pair.mech", "--vary", "d.left in 1..2", "--plot", "heatmap(revenue)"), "two params varied"),
        (("simulate", "pair.mech", "--out", "t.xlsx"), "name a .csv or a .parquet file"),
        (("simulate", "pair.mech", "--draws", "0"), "0 is less than 1"),
        (("simulate", "pair.mech", "--scheduler", "tcp://127.0.0.1:1"), "no Dask scheduler answers"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], said: str, pair: Path, say: Any) -> None:
    if "--scheduler" in arguments:
        pytest.importorskip("distributed")
    status, out, err = say(*arguments)
    assert (status, out) == (2, "")
    assert said in " ".join(err.split())


def test_a_value_out_of_range_is_the_model_at_fault(pair: Path, say: Any) -> None:
    status, _, err = say("sweep", pair, "--vary", "g in 0.5..1.5 by 0.5")
    assert status == 1
    assert "g = 1" in err


def test_what_cannot_be_met_is_said(pair: Path, say: Any) -> None:
    pair.write_text(TEXT.replace("choose x[k] >= 0", "choose x[k] in [0, 2]"))
    status, out, err = say("sweep", pair, "--vary", "d.left in 1..5 by 2", "--regime", "M2", "--json")
    assert status == 4
    assert "are not certified" in err
    points = json.loads(out)["points"]
    assert [p["regimes"]["M2"]["certified"] for p in points] == [1, 1, 0]


RUN = "import sys; from mechdsl.cli import main; sys.exit(main())"


def started(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """A long simulation in a process of its own, once it has finished a part."""
    call = [sys.executable, "-c", "import mechdsl.population.task as t; t.ROWS = 20; " + RUN, *arguments]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    process = subprocess.Popen(call, cwd=tmp_path, env=environment, stdout=-1, stderr=-1, text=True)
    deadline = time.monotonic() + 60
    while not parts(tmp_path) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    return process


def test_a_script_needs_no_guard(pair: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import mechdsl, mechdsl.population.task as t\nt.ROWS = 20\nprint('once')\n"
        f"print(mechdsl.load({str(pair)!r}).simulate(60, 'M2', jobs=2).json['regimes']['M2']['certified'])\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("once\n60\n", "")


def parts(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache").rglob("*.npz"))


def test_a_killed_run_goes_on(pair: Path, say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("simulate", str(pair), "--draws", "400", "--regime", "M2", "--json")
    process = started(tmp_path, *given)
    process.kill()
    process.communicate()
    kept = {p.name: p.stat().st_mtime_ns for p in parts(tmp_path)}
    assert 0 < len(kept) < 20
    monkeypatch.setattr("mechdsl.population.task.ROWS", 20)
    computed: list[int] = []

    def counted(task: Task, part: Part) -> Rows:
        computed.append(part.number)
        return rows_of_part(task, part)

    monkeypatch.setattr("mechdsl.population.execution.computed", counted)
    status, out, _ = say(*given, "--resume", "--jobs", 1)
    assert status == 0
    assert {int(name.removesuffix(".npz")) for name in kept} == set(range(20)) - set(computed)
    assert out == say(*given, "--jobs", 1)[1]  # as if it had never been killed
    assert not parts(tmp_path)


def test_an_interrupt_says_how_to_go_on(pair: Path, tmp_path: Path) -> None:
    process = started(tmp_path, "simulate", str(pair), "--draws", "4000", "--regime", "M2")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "to go on: mechdsl simulate" in said
    assert said.rstrip().endswith("--resume")
    assert parts(tmp_path)


def test_from_python() -> None:
    pytest.importorskip("pandas")
    file = parse(TEXT)
    found = file.simulate(20, seed=3, table=["revenue", "revenue(M1) - revenue(M2)"])
    assert found["regimes"]["M1"]["revenue"]["mean"] < 0
    rows = found.rows()
    assert list(rows.regime) == ["M1"] * 20 + ["M2"] * 20
    table = found.to_frame().set_index("regime")
    assert table.loc["M1", "revenue"] == pytest.approx(rows[rows.regime == "M1"].revenue.mean())
    assert found.plot("box(revenue)").get_axes()[0].get_ylabel() == "Revenue of buyer"
    with pytest.raises(UsageError, match="a param varied"):
        found.plot("line(revenue)")
    swept = file.sweep("d.left in 0..2", "M2", at={"c": 1})
    assert list(swept.to_frame()["d.left"]) == [0, 1, 2]
    assert [c.values[0] for c in swept.findings.changes] == pytest.approx([0.8, 1.25], abs=1e-5)
    assert set(file.run("along")) == {"along"}


@pytest.mark.slow
def test_a_cluster_loses_nothing_when_a_worker_is_killed(
    pair: Path, say: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("mechdsl.population.task.ROWS", 25)
    given = ("simulate", pair, "--draws", 3000, "--regime", "M2", "--json")
    alone = say(*given, "--jobs", 1)
    assert alone[0] == 0
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        victim = cluster.workers[0].process.process.pid

        def murder() -> None:
            deadline = time.monotonic() + 120
            while len(parts(tmp_path)) < 5 and time.monotonic() < deadline:
                time.sleep(0.02)
            killed.append(len(parts(tmp_path)))
            os.kill(victim, signal.SIGKILL)

        killed: list[int] = []
        thread = threading.Thread(target=murder)
        thread.start()
        there = say(*given, "--scheduler", cluster.scheduler_address)
        thread.join()
    assert 5 <= killed[0] < 120  # in the middle of it
    assert there == alone
