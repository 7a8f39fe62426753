"""Plugins at arm's length: every command takes a file's, and none suffers from what another's plugin does.

Installed plugins are tried as users have them: a folder on the path with a module and an entry point beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import mechdsl
from mechdsl import Function, loading, structure
from mechdsl.cli import main
from mechdsl.loading import Attempt, attempt, deadline, failure
from mechdsl.starter import starting_package
from mechdsl.structure import installed
from mechdsl.testing import NonconformingError, check_function, check_structure
from mechdsl.testing.functions import faults_of

TREE = Path(__file__).parent.parent
RUN = "import sys; from mechdsl.cli import main; sys.exit(main())"

ORDINARY = """
market one "One seller"
layer buyer { value 6 * log(1 + x) }
layer seller { type c ~ uniform(1, 2)  choose x >= 0  cost c * x }
contract buyer -> seller: direct
objective buyer: maximize revenue
report c = 1.5
claim sold: revenue >= 0
experiment prices "What an experiment is" { draws 8  seed 1  table revenue }
"""

GOOD = starting_package("markup")["src/mechdsl_markup.py"]
MODEL = starting_package("markup")["markup.mech"]


@pytest.fixture
def ordinary(tmp_path: Path) -> Path:
    path = tmp_path / "one.mech"
    path.write_text(ORDINARY, encoding="utf-8")
    return path


@pytest.fixture
def special(tmp_path: Path) -> Path:
    """A market that needs the plugin."""
    path = tmp_path / "markup.mech"
    experiment = 'experiment hours "By taste" { vary v in [10, 20]  table welfare }\n'
    path.write_text(MODEL + experiment, encoding="utf-8")
    return path


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "markup.py"
    path.write_text(GOOD, encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------------------------- every command


@pytest.mark.parametrize(
    "words",
    [
        ["solve", "FILE", "--json"],
        ["solve", "FILE", "--sensitivity"],
        ["check", "FILE"],
        ["inspect", "FILE", "--format", "latex"],
        ["export", "FILE", "--to", "pyomo"],
        ["export", "FILE", "--to", "json"],
        ["compare", "FILE"],
        ["simulate", "FILE", "--draws", "3"],
        ["sweep", "FILE", "--vary", "v in [10, 20, 30]"],
        ["run", "FILE", "--out", "OUT"],
        ["report", "FILE", "-o", "OUT.html"],
        ["plugins"],
    ],
    ids=" ".join,
)
def test_every_command_takes_a_plugin_file(
    words: list[str], special: Path, plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        {"FILE": str(special), "OUT": str(tmp_path / "out"), "OUT.html": str(tmp_path / "out.html")}.get(word, word)
        for word in words
    ]
    assert main([*given, "--plugin", str(plugin)]) == 0
    said = capsys.readouterr()
    assert not said.err
    assert said.out.strip()


def test_several_files_may_be_named_and_the_same_one_twice(
    special: Path, plugin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.py"
    other.write_text(GOOD.replace("markup", "surcharge"), encoding="utf-8")
    given = [word for path in (plugin, other, plugin) for word in ("--plugin", str(path))]
    assert main(["solve", str(special), *given]) == 0
    assert not capsys.readouterr().err


def test_other_processes_take_it_too(special: Path, plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = "v in 10..29, c.north in 1..4"
    rows = []
    for jobs in ("1", "2"):
        call = ["sweep", str(special), "--vary", grid, "--plugin", str(plugin), "--json", "--jobs", jobs]
        assert main(call) == 0
        rows.append(json.loads(capsys.readouterr().out))
    assert rows[0] == rows[1]


def test_what_is_kept_is_not_mistaken_for_another_versions(special: Path, plugin: Path) -> None:
    def fingerprint() -> str:
        file = mechdsl.load(special, plugins=[plugin])
        return file._task((), {}, {}, None).fingerprint

    before = fingerprint()
    assert before == fingerprint()
    plugin.write_text(GOOD + "\n# another margin\n", encoding="utf-8")
    assert fingerprint() != before


def test_a_market_cannot_name_python(special: Path, plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    special.write_text(f'plugin "{plugin.name}"\n' + special.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["solve", str(special)]) == 1
    assert "error[M0" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- files that are wrong

BROKEN = {
    "raising": ("raise ValueError('no luck')", "ValueError: no luck (markup.py, line 1)"),
    "leaving": ("import sys; sys.exit(3)", "it asked Python to exit"),
    "lacking": ("import a_package_nobody_has", "needs the module 'a_package_nobody_has', which is not installed"),
    "misspelt": ("def f(:", "it is no Python: invalid syntax (markup.py, line 1)"),
    "empty": ("", "the file defines no STRUCTURE, no DISTRIBUTIONS, no FUNCTIONS"),
    "of another type": ("STRUCTURE = {'name': 'markup'}", "STRUCTURE is a dict, not a mechdsl.Structure"),
    "nameless": (GOOD.replace('name="markup"', "name=''"), "field 'name' must be a non-empty string"),
    "of another shape": (GOOD.replace("derive=derive", "derive=lambda: 1"), "field 'derive' must take 1 argument"),
    "clashing": (GOOD.replace('name="markup"', 'name="revenue"'), "the name 'revenue' is already taken by mechdsl."),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_named_and_the_rest_goes_on(
    what: str, ordinary: Path, plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, reason = BROKEN[what]
    plugin.write_text(text, encoding="utf-8")
    assert main(["solve", str(ordinary), "--plugin", str(plugin), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["regimes"]["main"]["status"] == "optimal"
    assert said.err.startswith("plugin markup was not taken: ")
    assert reason in said.err
    assert said.err.count("\n") == 1
    assert main(["check", str(ordinary), "--plugin", str(plugin)]) == 0
    assert main(["plugins", "--plugin", str(plugin)]) == 0
    assert "markup was not taken" in capsys.readouterr().out.replace("\n", " ")


def test_what_it_prints_stays_out_of_the_output(
    special: Path, plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GOOD.replace("    ended = theory.unsolved", "    print('recovering')\n    ended = theory.unsolved")
    plugin.write_text("print('hello from', 'afar')\n" + text.replace("from __future__ import annotations\n", ""))
    assert main(["solve", str(special), "--plugin", str(plugin), "--json"]) == 0
    said = capsys.readouterr()
    json.loads(said.out)
    assert "plugin markup printed while it was loaded: hello from afar\n" in said.err
    assert "recovering" in said.err


FAILING: dict[str, tuple[Callable[[str], str], str]] = {
    "derive": (lambda t: t.replace("    steps = (", "    steps = 1 / 0\n    steps = ("), "ZeroDivisionError"),
    "program": (
        lambda t: t.replace("    return theory.optimum_of", "    return 7 or theory.optimum_of"), "it returns a int",
    ),
    "parameters": (lambda t: t.replace("    return {}", "    return None"), "it returns nothing, not a Mapping"),
    "recover": (lambda t: t.replace("    paid = theory", "    paid = {}['paid']; theory"), "KeyError: 'paid'"),
    "checks": (lambda t: t.replace("    yield theory", "    yield 1 / 0; theory"), "ZeroDivisionError"),
}  # fmt: skip


@pytest.mark.parametrize("part", FAILING)
def test_a_structure_that_fails_is_to_blame_and_no_traceback_follows(
    part: str, special: Path, plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = FAILING[part]
    assert change(GOOD) != GOOD
    plugin.write_text(change(GOOD), encoding="utf-8")
    assert main(["solve", str(special), "--plugin", str(plugin), "--json"]) == 4
    found = json.loads(capsys.readouterr().out)["regimes"]["main"]
    assert found["status"] == "failed"
    assert f"structure 'markup' ({plugin}) fails in `{part}`: " in found["message"]
    assert said in found["message"]
    assert main(["sweep", str(special), "--vary", "v in [10, 20]", "--plugin", str(plugin)]) == 4
    assert "fails in `" in capsys.readouterr().err


def test_one_that_cannot_say_whether_it_fits_does_not_fit(
    ordinary: Path, plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GOOD.replace('"profit",', '"revenue",').replace('contracts=("markup",)', 'contracts=("direct",)')
    plugin.write_text(text.replace("    contract = market.contracts[0]\n    if", "    contract = 1 / 0\n    if", 1))
    assert main(["solve", str(ordinary), "--plugin", str(plugin)]) == 0
    assert "structure revenue" in capsys.readouterr().out
    registry = installed([plugin])
    reasons = structure.match(mechdsl.parse(ORDINARY).model.markets["main"], registry).reasons
    assert "whether it fits cannot be told: ZeroDivisionError" in reasons["markup"]


# ------------------------------------------------------------------------------------------------------ installed ones


def put(folder: Path, group: str, name: str, text: str, value: str = "STRUCTURE") -> Path:
    """A package of one module, as pip leaves it."""
    folder.mkdir(exist_ok=True)
    (folder / f"far_{name}.py").write_text(text, encoding="utf-8")
    info = folder / f"far_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: far_{name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[mechdsl.{group}]\n{name} = far_{name}:{value}\n", encoding="utf-8")
    return folder


def command(words: list[str], site: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TREE), str(site)]), "COLUMNS": "200"}
    call = [sys.executable, "-c", RUN, *words]
    return subprocess.run(call, env=environment, capture_output=True, text=True, check=False, timeout=120)


SLOW = "import pathlib, time\npathlib.Path(__file__).with_suffix('.woken').touch()\ntime.sleep(30)\n"


def test_slow_and_broken_packages_do_not_matter_to_who_does_not_use_them(tmp_path: Path, ordinary: Path) -> None:
    site = put(tmp_path / "site", "contracts", "markup", SLOW + GOOD)
    put(site, "contracts", "barter", "raise ValueError('no luck')")
    put(site, "distributions", "cosine", SLOW, "LAW")
    put(site, "functions", "ces", SLOW, "CES")
    for words in (["--help"], ["explain", "M012"], ["fmt", "--check", str(ordinary)], ["check", str(ordinary)],
                  ["solve", str(ordinary), "--json"]):  # fmt: skip
        done = command(words, site)
        assert done.returncode in ((0, 1) if words[0] == "fmt" else (0,)), done.stderr
        assert not done.stderr
    assert not list(site.glob("*.woken"))


def test_an_installed_structure_is_loaded_for_its_markets_alone(tmp_path: Path, ordinary: Path, special: Path) -> None:
    trace = "import sys\nprint('awake', file=sys.stderr)\n"
    text = GOOD.replace("from __future__ import annotations\n", "from __future__ import annotations\n" + trace)
    site = put(tmp_path / "site", "contracts", "markup", text)
    assert "awake" not in command(["solve", str(ordinary)], site).stderr
    done = command(["solve", str(special)], site)
    assert done.returncode == 0, done.stderr
    assert "structure markup" in done.stdout
    assert "awake" in done.stderr
    assert "far_markup:STRUCTURE" in command(["plugins"], site).stdout


def test_one_that_is_needed_and_broken_is_said_where_it_is_missed(tmp_path: Path, special: Path) -> None:
    site = put(tmp_path / "site", "contracts", "markup", "import a_package_nobody_has")
    done = command(["solve", str(special)], site)
    assert done.returncode == 1
    assert "needs the module 'a_package_nobody_has'" in done.stderr
    other = put(tmp_path / "other", "contracts", "markup", GOOD.replace("markup", "surcharge"))
    done = command(["solve", str(special)], other)
    assert done.returncode == 1
    assert "declared for contracts of the kind 'markup', and handles contracts: surcharge" in done.stderr


def test_one_that_is_always_loaded_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began = time.monotonic()
    found = attempt(lambda: time.sleep(30), 0.2)
    assert time.monotonic() - began < 10
    assert found.reason == "it was not loaded within 0.2 seconds; with --plugin its file is waited for"
    assert attempt(lambda: 7) == Attempt(7)


def test_a_slow_one_among_those_always_loaded_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, ordinary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def endless() -> None:
        while True:
            pass

    known = loading.points("mechdsl.structures")
    slow = loading.Point("slow", "far_slow:STRUCTURE", endless)
    monkeypatch.setattr(loading, "PATIENCE", 0.3)
    monkeypatch.setattr(structure, "points", lambda group: (*known, slow) if group == "mechdsl.structures" else ())
    assert main(["solve", str(ordinary), "--json"]) == 0
    said = capsys.readouterr()
    json.loads(said.out)
    assert said.err == (
        "plugin slow was not taken: far_slow:STRUCTURE: it was not loaded within 0.3 seconds; "
        "with --plugin its file is waited for\n"
    )


def test_from_python_a_broken_file_is_a_warning(plugin: Path) -> None:
    plugin.write_text("raise ValueError('no luck')", encoding="utf-8")
    with pytest.warns(UserWarning, match="plugin markup was not taken: .*no luck"):
        assert mechdsl.parse(ORDINARY, plugins=[plugin]).solve("main").certified


def test_the_kit_blames_the_line_of_a_structure_that_comes_from_a_file(plugin: Path) -> None:
    plugin.write_text(FAILING["recover"][0](GOOD), encoding="utf-8")
    (found,) = [s for s in installed([plugin]).structures if s.name == "markup"]
    with pytest.raises(
        NonconformingError, match=r"fails in `recover`: KeyError: 'paid' \(markup.py, line \d+ of recover"
    ):
        check_structure(found)


def test_the_kit_knows_the_words_of_the_same_file(plugin: Path) -> None:
    words = 'from mechdsl import Function\nFUNCTIONS = (Function("taste", ("x",), "12 * log(1 + x)", "for hours"),)\n'
    text = GOOD.replace("value 12 * log(1 + x)", "value taste(x)") + words
    assert "taste(x)" in text
    plugin.write_text(text, encoding="utf-8")
    registry = installed([plugin])
    (found,) = [s for s in registry.structures if s.name == "markup"]
    check_structure(found, words=registry)
    with pytest.raises(NonconformingError, match="unknown function 'taste'"):
        check_structure(found)


@pytest.mark.slow
def test_pip_installs_what_was_begun(tmp_path: Path) -> None:
    assert main(["new", "structure", "markup", "--into", str(tmp_path)]) == 0
    site = tmp_path / "site"
    call = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    subprocess.run([*call, str(site), str(tmp_path / "markup")], check=True, capture_output=True)
    done = command(["solve", str(tmp_path / "markup" / "markup.mech")], site)
    assert done.returncode == 0, done.stderr
    assert "structure markup" in done.stdout
    assert not done.stderr


def test_a_deadline_leaves_nothing_behind() -> None:
    with deadline(0.05):
        pass
    time.sleep(0.1)  # no alarm rings
    with deadline(None):
        pass


def test_an_error_without_words_has_a_name() -> None:
    assert failure(ValueError()) == "ValueError"
    assert failure(ModuleNotFoundError("no", name="x")) == "it needs the module 'x', which is not installed"
    assert len(failure(ValueError("x" * 5000))) < 300


# ----------------------------------------------------------------------------------------------------------- functions

FUNCTIONS = """
from mechdsl import Function

FUNCTIONS = (
    Function("crra", ("x", "r"), "(x^(1 - r) - 1) / (1 - r)", "utility of constant relative risk aversion"),
    Function("softplus", ("x",), "log(1 + exp(x))", "a smooth max(0, x)"),
    Function("twice", ("x",), "softplus(x) + softplus(x)", "of another function"),
)
"""

WITH_FUNCTIONS = """
market one "One seller"
param r in (0, 1) = 0.5
layer buyer { value 6 * crra(1 + x, r) }
layer seller { type c ~ uniform(1, 2)  choose x in [0, 50]  cost c * x }
contract buyer -> seller: direct
objective buyer: maximize revenue
report c = 1.5
"""


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    path = tmp_path / "functions.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    return path


def test_a_function_stands_for_its_formula(functions: Path) -> None:
    """6 / sqrt(1 + x) = 2 c - 1 = 2: x = 8; the programme is shown to be convex, the payment is exact."""
    found = mechdsl.parse(WITH_FUNCTIONS, plugins=[functions]).solve("main")
    assert found.certified
    assert found.allocation["x"] == pytest.approx(8)
    written_out = WITH_FUNCTIONS.replace("crra(1 + x, r)", "((1 + x)^(1 - r) - 1) / (1 - r)")
    assert found.revenue == pytest.approx(mechdsl.parse(written_out).solve("main").revenue, rel=1e-12)


def test_every_reader_of_formulas_knows_it(functions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.mech"
    path.write_text(WITH_FUNCTIONS.replace("cost c * x", "cost c * (twice(x) - twice(0))"), encoding="utf-8")
    plugin = ["--plugin", str(functions)]
    assert main(["check", str(path), *plugin]) == 0
    assert "the programme is convex" in capsys.readouterr().out
    for words in (["inspect", str(path), "--format", "latex"], ["export", str(path), "--to", "pyomo"],
                  ["simulate", str(path), "--draws", "20", "--json"], ["compare", str(path)],
                  ["sweep", str(path), "--vary", "r in [0.3, 0.5]"], ["solve", str(path), "--sensitivity"],
                  ["plugins"]):  # fmt: skip
        assert main([*words, *plugin]) == 0, words
        said = capsys.readouterr()
        assert not said.err
        assert ("crra" in said.out) == (words[0] == "plugins")


def test_installed_functions_are_found_by_their_word(tmp_path: Path) -> None:
    path = tmp_path / "one.mech"
    path.write_text(WITH_FUNCTIONS, encoding="utf-8")
    site = put(tmp_path / "site", "functions", "crra", FUNCTIONS, "FUNCTIONS")
    done = command(["solve", str(path), "--json"], site)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["regimes"]["main"]["allocation"]["x"] == pytest.approx(8)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("crra(1 + x)", "crra takes 2 arguments, here is 1"),
        ("crra(1 + x, r = 2)", "crra takes 2 arguments"),
        ("crra(1 + x, y)", "unknown name 'y'"),
        ("crra(1 + x, 1)", "in crra, this divides by zero"),
        ("crra(x > 1, r)", "a comparison stands where a number is expected"),
        ("crar(1 + x, r)", "Did you mean 'crra'?"),
        ("twice(" * 40 + "x" + ")" * 40, "too large"),
    ],
)
def test_a_call_that_is_wrong_is_said_where_it_stands(written: str, said: str, functions: Path) -> None:
    with pytest.raises(mechdsl.MechError) as caught:
        mechdsl.parse(WITH_FUNCTIONS.replace("crra(1 + x, r)", written), plugins=[functions])
    assert said in str(caught.value)
    assert all(d.span is not None and d.span.line == 4 for d in caught.value.diagnostics)


def test_functions_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "circle.py"
    path.write_text(FUNCTIONS + 'FUNCTIONS += (Function("a", ("x",), "b(x)", "a"), Function("b", ("x",), "a(x)", "b"))')
    with pytest.raises(mechdsl.MechError, match="defined through itself"):
        mechdsl.parse(WITH_FUNCTIONS.replace("crra(1 + x, r)", "a(x)"), plugins=[path])


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ('Function("two words", ("x",), "x", "d")', "field 'name' must be a name of the language"),
        ('Function("exp", ("x",), "x", "d")', "'exp' is already taken by the language itself"),
        ('Function("sum", ("x",), "x", "d")', "'sum' is already taken by the language itself"),
        ('Function("f", (), "1", "d")', "field 'parameters' must be a tuple of different names"),
        ('Function("f", ("x", "x"), "x", "d")', "field 'parameters' must be a tuple of different names"),
        ('Function("f", ("x",), "x +", "d")', "field 'formula' is no formula of the language"),
        ('Function("f", ("x",), "y", "d")', "field 'formula' names 'y', which is none of its parameters"),
        ('Function("f", ("x",), "x[1]", "d")', "field 'formula' may use its parameters, numbers"),
        ('Function("f", ("x",), "f(x)", "d")', "field 'formula' defines 'f' through itself"),
        ('Function("f", ("x",), "x", "")', "field 'doc' must be a sentence"),
        ('Function("f", ("x",), lambda x: x, "d")', "field 'formula' must be a formula of the language, as text"),
        ('Function("f", ("x",), "x", "d", "curved")', "field 'curvature' must be"),
        ('Function("f", ("x",), "x", "d", ranges=((0, 1), (0, 1)))', "field 'ranges' must have"),
        ('"x^2"', "a str is no mechdsl.Function"),
    ],
)  # fmt: skip
def test_a_function_that_is_none_is_named_and_not_fatal(function: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(f"from mechdsl import Function\nFUNCTIONS = ({function},)\n", encoding="utf-8")
    (broken,) = installed([path]).broken
    assert reason in broken.reason


def test_the_kit_of_functions_proves_what_they_claim() -> None:
    softplus = Function("softplus", ("x",), "log(1 + exp(x))", "a smooth max(0, x)", "convex", ((-5.0, 5.0),),
                        (((0.0,), 0.6931471805599453),))  # fmt: skip
    check_function(softplus)
    check_function(Function("half", ("x",), "softplus(2 * x) / 2", "sharper", "convex", ((-2.0, 2.0),),
                            (((0.0,), 0.34657359027997264),)), [softplus])  # fmt: skip


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (Function("f", ("x",), "x^2", "d", examples=(((3.0,), 6.0),)), "f(3) is 9.0, stated 6.0"),
        (Function("f", ("x",), "x^2", "d"), "there is no example"),
        (Function("f", ("x",), "x^2", "d", "concave", ((0.0, 1.0),), (((1.0,), 1.0),)), "concave on x in [0, 1]"),
        (Function("f", ("x",), "log(x)", "d", "", (), (((1.0,), 0.0),)), "Narrow `ranges`"),
        (Function("f", ("x",), "if(x > 1, 3, sin(x))", "d", "", (), (((1.0,), 0.0),)), "unknown function 'sin'"),
    ],
)  # fmt: skip
def test_the_kit_of_functions_finds(function: Function, said: str) -> None:
    assert any(said in fault for fault in faults_of(function))


# ------------------------------------------------------------------------------------------ prices, floors, and the kit

ONE_PRICE = '''
"""Monopsony beside a spot market: one price for all farms, which supply what that price is worth to them.

Source: Robinson (1933), The Economics of Imperfect Competition, chapter 18.
"""

from mechdsl import Account, Check, Constraint, Derivation, Example, Handles, Step, Structure, theory


def parties(market):
    contract = market.contracts[0]
    return market.layer(contract.payer), market.layer(contract.provider), market.choices_of(contract.provider)[0]


def price(market):
    return market.choices_of(market.contracts[0].payer)[0].quantity


def misfit(market):
    buyer, seller, output = parties(market)
    named = [str(c.quantity.name) for c in market.choices_of(buyer.name)]
    if named[:1] != ["p"]:
        return f"the first choice of '{buyer.name}' must be the price, choose p >= 0"
    if len(market.contracts) != 1 or market.types or len(market.choices_of(seller.name)) != 1:
        return "it is for one contract, and sellers of known costs with one choice"
    return None


def objective(market):
    buyer, seller, output = parties(market)
    return buyer.value - buyer.cost - price(market) * theory.total(output.declaration.entry, seller)


def derive(market):
    buyer, seller, output = parties(market)
    supplied = theory.marginal(seller.cost, output)
    steps = (
        Step("supply", supplied, "A seller supplies until its marginal cost is the price.", "Robinson (1933)"),
        Step("buyer", objective(market), "A higher price is paid for all units.", "Robinson (1933)"),
    )
    return Derivation(STRUCTURE.title, steps)


def program(market, derivation):
    buyer, seller, output = parties(market)
    row = Constraint("supply", seller.letters, theory.marginal(seller.cost, output), "==", price(market))
    return theory.optimum_of(market, objective(market), more=(row,))


def parameters(market, report):
    return {}


def recover(mechanism, report):
    ended = theory.unsolved(mechanism, report, mechanism.solve(report))
    if ended is not None:
        return ended
    buyer, seller, output = parties(mechanism.market)
    paid = theory.solved_at(mechanism, report, price(mechanism.market) * output.declaration.entry, seller.letters)
    account = Account(buyer.name, seller.name, paid, "one price")
    return theory.effort_outcome(mechanism, report, [account], {}, buyer.name)


def checks(mechanism, report, outcome):
    yield theory.everyone_participates(mechanism, outcome)


MILL = """
market mill "A mill buys from two farms, at no less than a floor, and on the spot market"
index k in farms = {ann, bob}
param c[k] in (0, inf) = {ann: 1, bob: 2}
param m in [0, inf) = FLOOR
let all = sum(k: x[k])
layer mill { choose p >= 0  choose z >= 0  value 20 * log(1 + all + z)  cost 4 * z }
layer farm[k] { choose x[k] >= 0  cost c[k] * x[k]^2 / 2 }
constraint floor: p >= m
contract mill -> farm: one_price
objective mill: maximize profit
"""

STRUCTURE = Structure(
    name="one_price", title="Monopsony", source="Robinson (1933)",
    handles=Handles(("one_price",), ("profit",), refuses=misfit),
    derive=derive, program=program, parameters=parameters, recover=recover, checks=checks,
    # without a floor 2 X / 1.5 = 4, the spot price; a floor of 3 makes it buy more: X = 1.5 * 3, none on the market
    examples=(
        Example(MILL.replace("FLOOR", "0"), {"allocation.x.ann": 2.0, "allocation.z": 1.0}, "by hand", money=MONEY),
        Example(MILL.replace("FLOOR", "3"), {"allocation.x.ann": 3.0, "allocation.z": 0.0}, "by hand", money=MONEY),
    ),
)
'''


def monopsony(money: tuple[str, ...], path: Path) -> structure.Structure:
    path.write_text(ONE_PRICE.replace("MONEY", repr(money)), encoding="utf-8")
    (found,) = [s for s in installed([path]).structures if s.name == "one_price"]
    return found


def test_unknowns_that_are_prices_scale_with_money_where_an_example_says_so(tmp_path: Path) -> None:
    check_structure(monopsony(("p", "m"), tmp_path / "one_price.py"))
    with pytest.raises(NonconformingError, match="p changes with the unit of money"):
        check_structure(monopsony(("m",), tmp_path / "another.py"))
    with pytest.raises(NonconformingError, match="x changes with the unit of money"):
        check_structure(monopsony(("p",), tmp_path / "a_third.py"))
