"""Replication packages as a data editor meets them: made, verified elsewhere, tampered with, and not trusted."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mechdsl.cli import main
from mechdsl.replication import json_differences, table_differences

TEXT = """
market desk "Two teams, their costs from files"
cite "Nobody (2024), A source"
index k in teams = {sound, picture}
param d[k] in [0, inf) = csv("data/d.csv") "hours wanted"
param g in [0, inf) ~ uniform(0, 1)
layer studio
layer team[k] {
  type c[k] ~ {sound: uniform(1, 2), picture: empirical("costs.csv", column = "cost")}
  choose x[k] >= 0
  cost c[k] * x[k]^(1.5 + g)
}
demand[k]: x[k] >= d[k]
contract studio -> team: direct
regime least { objective studio: maximize revenue }
regime best  { objective studio: maximize welfare }
"""
MORE = """
claim better: revenue(least) >= revenue(best)
experiment draws "Over draws of the costs" { draws 20  table revenue, welfare  plot box(revenue) }
experiment draws_more "Over more" { draws 30  table revenue }
"""


def model(folder: Path, text: str = TEXT) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "d.csv").write_text("teams,d\nsound,2\npicture,3\n")
    (folder / "costs.csv").write_text("cost\n1\n1.2\n1.3\n1.7\n2\n")
    (folder / "secret.csv").write_text("not named by the model\n")
    (folder / "desk.mech").write_text(text)
    return folder / "desk.mech"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of one command."""
    folder = tmp_path_factory.mktemp("small")
    archive = folder / "small.zip"
    assert main(["package", str(model(folder / "market")), "-o", str(archive), "--set", "d.sound=2.5"]) == 0
    return archive


def again(archive: Path, target: Path, **changed: bytes | None) -> Path:
    """The archive with files changed; None takes one away. `manifest` gets the hashes of what is there."""
    with zipfile.ZipFile(archive) as source:
        files = {name: source.read(name) for name in source.namelist()}
    for name, content in changed.items():
        if content is None:
            del files[name]
        else:
            files[name] = content
    with zipfile.ZipFile(target, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return target


def content(archive: Path, name: str) -> Any:
    with zipfile.ZipFile(archive) as source:
        return json.loads(source.read(name))


def test_everything_a_data_editor_asks_for(tmp_path: Path, say: Any) -> None:
    archive = tmp_path / "one.zip"
    file = model(tmp_path / "market", TEXT + MORE)
    assert say("package", file, "-o", archive)[0] == 0
    with zipfile.ZipFile(archive) as made:
        names = set(made.namelist())
        page, pins = (made.read(n).decode() for n in ("README.md", "requirements.txt"))
        assert made.read("model/data/d.csv") == (file.parent / "data" / "d.csv").read_bytes()
    inputs = {"model/desk.mech", "model/data/d.csv", "model/costs.csv"}
    results = {"expected/solve.json", "expected/compare.json", "expected/run/draws.csv", "expected/run/draws_more.csv"}
    ours = {"README.md", "requirements.txt", "environment.json", "run.sh", "manifest.json"}
    assert names == inputs | results | ours | {"expected/run/draws_box_revenue.png"}  # and no secret.csv
    assert "mechdsl==" in pins
    assert "matplotlib==" in pins
    for said in ("Data availability", "Computational requirements", "Instructions to replicators", "Nobody (2024)"):
        assert said in page
    assert "| `expected/run/draws_more.csv` | Over more | `mechdsl run model/desk.mech draws_more` |" in page
    found = content(archive, "manifest.json")
    assert [s["command"] for s in found["steps"]] == ["solve", "compare", "run"]
    assert found["files"]["model/costs.csv"] == hashlib.sha256((file.parent / "costs.csv").read_bytes()).hexdigest()
    # Elsewhere, from the archive alone.
    (tmp_path / "elsewhere").mkdir()
    moved = archive.rename(tmp_path / "elsewhere" / "two.zip")
    (file.parent / "costs.csv").unlink()
    status, out, _ = say("package", "--verify", moved, "--json")
    assert status == 0
    assert json.loads(out)["reproduced"] is True
    assert json.loads(out)["versions"] == []


def test_bytes_are_those_of_the_content(small: Path, tmp_path: Path) -> None:
    file = model(tmp_path / "market")
    assert main(["package", str(file), "-o", str(tmp_path / "two.zip"), "--set", "d.sound=2.5"]) == 0
    assert (tmp_path / "two.zip").read_bytes() == small.read_bytes()


def test_an_unpacked_package_is_verified_in_its_folder(small: Path, tmp_path: Path, say: Any) -> None:
    with zipfile.ZipFile(small) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "results").mkdir()  # as run.sh leaves it
    (tmp_path / "results" / "solve.json").write_text("{}")
    status, out, _ = say("package", "--verify", tmp_path)
    assert (status, out.split(":")[0]) == (0, "reproduced")


def test_a_changed_input_is_found_twice(small: Path, tmp_path: Path, say: Any) -> None:
    """By its hash, and by what comes of it."""
    changed = again(small, tmp_path / "c.zip", **{"model/data/d.csv": b"teams,d\nsound,2\npicture,4\n"})
    status, out, _ = say("package", "--verify", changed)
    assert status == 3
    assert "changed: model/data/d.csv has been changed" in out
    assert "differs: expected/solve.json: regimes.least.allocation.x.picture: expected 3, found 4" in out
    assert "sound: expected" not in out


def test_a_changed_result_is_found_though_its_hash_is_changed_too(small: Path, tmp_path: Path, say: Any) -> None:
    solved, manifest = content(small, "expected/solve.json"), content(small, "manifest.json")
    solved["regimes"]["best"]["revenue"] *= 1 + 1e-5
    text = json.dumps(solved).encode()
    manifest["files"]["expected/solve.json"] = hashlib.sha256(text).hexdigest()
    files = {"expected/solve.json": text, "manifest.json": json.dumps(manifest).encode()}
    changed = again(small, tmp_path / "c.zip", **files)
    status, out, _ = say("package", "--verify", changed, "--json")
    found = json.loads(out)
    assert (status, found["changed"], found["reproduced"]) == (3, [], False)
    (said,) = found["differences"]["expected/solve.json"]
    assert said.startswith("regimes.best.revenue: expected ")
    assert say("package", "--verify", changed, "--tol", "1e-4")[0] == 0


def test_a_file_taken_away_and_one_put_in(small: Path, tmp_path: Path, say: Any) -> None:
    changed = again(small, tmp_path / "c.zip", **{"run.sh": None, "model/more.csv": b"1\n"})
    status, out, _ = say("package", "--verify", changed)
    assert status == 3
    assert "changed: run.sh is missing" in out
    assert "changed: model/more.csv is not in the manifest" in out


@pytest.mark.parametrize(
    "name",
    ["../escaped.txt", "/var/escaped.txt", "model/../../escaped.txt", "numpy.py", "model\\..\\x", "C:/x", "notes/x"],
)
def test_what_leads_elsewhere_is_refused(name: str, small: Path, tmp_path: Path, say: Any) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    status, _, err = say("package", "--verify", again(small, inner / "c.zip", **{name: b"x"}))
    assert status == 2
    assert "no part of a replication package" in err
    assert [p.name for p in tmp_path.iterdir()] == ["inner"]


def test_a_link_is_refused(small: Path, tmp_path: Path, say: Any) -> None:
    changed = again(small, tmp_path / "c.zip")
    with zipfile.ZipFile(changed, "a") as archive:
        link = zipfile.ZipInfo("model/link.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert say("package", "--verify", changed)[0] == 2


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("steps", [{"command": "fmt", "status": 0, "made": []}]),
        ("model", "--plugin=expected/x.py"),
        ("model", "../desk.mech"),
        ("plugins", ["/var/x.py"]),
        ("sets", ["d.sound=1 x"]),
        ("schema", "other/1"),
        ("seed", "x"),
        ("files", None),
    ],
)
def test_a_manifest_is_read_as_data_from_strangers(
    member: str, value: Any, small: Path, tmp_path: Path, say: Any
) -> None:
    manifest = content(small, "manifest.json") | {member: value}
    changed = again(small, tmp_path / "c.zip", **{"manifest.json": json.dumps(manifest).encode()})
    assert say("package", "--verify", changed)[0] == 2


def test_what_is_no_archive(tmp_path: Path, say: Any) -> None:
    (tmp_path / "x.zip").write_text("no zip")
    assert say("package", "--verify", tmp_path / "x.zip")[0] == 2
    assert say("package", "--verify", tmp_path / "missing.zip")[0] == 2
    assert say("package")[0] == 2
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        archive.writestr("README.md", "hello")
    status, _, err = say("package", "--verify", tmp_path / "y.zip")
    assert status == 2
    assert "no replication package" in err


def test_code_in_an_archive_runs_only_when_that_is_asked_for(tmp_path: Path, say: Any) -> None:
    plugin = tmp_path / "cosine.py"
    plugin.write_text(
        "from mechdsl.distributions import FAMILIES, Family\n"
        "def flat(arguments, support):\n"
        "    return FAMILIES['uniform'].build((1, 2), None)\n"
        "DISTRIBUTIONS = (Family('flat', (), flat, 'uniform(1, 2)'),)\n"
    )
    file = model(tmp_path / "market", TEXT.replace("sound: uniform(1, 2)", "sound: flat()"))
    archive = tmp_path / "p.zip"
    assert say("package", file, "--plugin", plugin, "-o", archive)[0] == 0
    status, _, err = say("package", "--verify", archive)
    assert status == 2
    assert "plugins/cosine.py" in err
    assert say("package", "--verify", archive, "--run-plugins")[0] == 0


def test_a_model_at_fault_makes_no_archive(tmp_path: Path, say: Any) -> None:
    file = model(tmp_path / "market", TEXT.replace('csv("data/d.csv")', 'csv("../d.csv")'))
    (tmp_path / "d.csv").write_text("teams,d\nsound,2\npicture,3\n")
    status, _, err = say("package", file, "-o", tmp_path / "x.zip")
    assert (status, "outside the folder" in err, (tmp_path / "x.zip").exists()) == (1, True, False)


# --------------------------------------------------------------------------------------------------- what is the same


def test_rounding_is_no_difference_and_a_wrong_digit_is_one() -> None:
    one = {"regimes": {"a": {"revenue": -30.5, "slack": 1e-15, "message": "x", "status": "optimal", "error": 1e-7}}}
    two = {"regimes": {"a": {"revenue": -30.5 * (1 + 1e-9), "slack": -3e-16, "message": "y", "status": "optimal"}}}
    two["regimes"]["a"]["error"] = 1.4e-7
    assert not list(json_differences(one, two, 1e-6))
    two["regimes"]["a"] |= {"revenue": -30.5001, "status": "failed", "welfare": 1}
    assert [d.place for d in json_differences(one, two, 1e-6)] == [
        "regimes.a.revenue", "regimes.a.status", "regimes.a.welfare"]  # fmt: skip


def test_small_numbers_have_digits_of_their_own() -> None:
    one = {"regimes": {"a": {"x": 1e-7, "y": 2e-7}, "b": {"x": 1e9}}}
    assert [str(d) for d in json_differences(one, {"regimes": {"a": {"x": 1e-7, "y": 2.1e-7}, "b": {"x": 1e9}}}, 1e-6)]


def test_checks_are_compared_by_whether_they_passed() -> None:
    def certificate(value: float, *, passed: bool) -> dict[str, Any]:
        return {"checks": [{"name": "gap", "value": value, "tolerance": 1e-8, "passed": passed}]}

    assert not list(json_differences(certificate(1e-12, passed=True), certificate(4e-10, passed=True), 1e-6))
    assert list(json_differences(certificate(1e-12, passed=True), certificate(1e-12, passed=False), 1e-6))


def test_tables() -> None:
    one = "d,regime,revenue,revenue error,changes\n1,a,-2.5,0.1,x\n2,a,,0.1,\n"
    assert not list(table_differences(one, one.replace("0.1,x", "0.11,y"), 1e-6))
    found = [str(d) for d in table_differences(one, one.replace("-2.5", "-2.6").replace("2,a,,", "2,a,7,"), 1e-6)]
    assert found == ["line 2, revenue: expected -2.5, found -2.6", "line 3, revenue: expected , found 7"]
    assert [d.place for d in table_differences(one, "d,regime\n", 1e-6)] == ["columns"]
