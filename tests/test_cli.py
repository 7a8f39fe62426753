"""The command as a person or a script meets it: what goes to which stream, and the exit status."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from outcomes import REFUSED, TEXT, outcome, unhandled
from outcomes import run as made

from mechdsl import cli
from mechdsl.commands import COMMANDS
from mechdsl.errors import InternalError
from mechdsl.market import Market
from mechdsl.outcome import Outcome
from mechdsl.pipeline import Run
from mechdsl.program import Status
from mechdsl.structure import Registry

TREE = Path(__file__).parent.parent
MODELS = TREE / "models"
SIX = MODELS / "ai_2025" / "six_regimes.mech"


class Said(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command in this process."""
    monkeypatch.delenv("MECHDSL_DEBUG", raising=False)

    def command(*arguments: object) -> Said:
        capsys.readouterr()
        status = cli.main([str(a) for a in arguments])
        return Said(status, *capsys.readouterr())

    return command


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    file = tmp_path / "pair.mech"
    file.write_text(TEXT)
    return file


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    call = [sys.executable, "-c", "import sys; from mechdsl.cli import main; sys.exit(main())", *map(str, arguments)]
    return subprocess.run(
        call, cwd=TREE, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


# ---------------------------------------------------------------------------------------------------- help, wrong usage


def test_help_names_every_command(say: Any) -> None:
    said = say("--help")
    assert (said.status, said.err) == (0, "")
    for command in COMMANDS:
        assert f"\n  {command}" in said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(command: str, say: Any) -> None:
    said = say(command, "--help")
    assert said.status == 0
    assert f"usage: mechdsl {command}" in said.out


@pytest.mark.parametrize("arguments", [(), ("slove", "x.mech"), ("solve",), ("solve", "a", "b"), ("export", "a")])
def test_wrong_usage(arguments: Sequence[str], say: Any) -> None:
    said = say(*arguments)
    assert (said.status, said.out) == (2, "")
    assert "mechdsl" in said.err


def test_a_misspelt_command_is_guessed(say: Any) -> None:
    assert "Did you mean 'solve'?" in say("slove").err


def test_what_does_not_exist_is_no_stub(say: Any) -> None:
    said = say("mend", SIX)
    assert said.status == 2
    assert f"Known here: {', '.join(sorted(COMMANDS))}." in said.err


def test_options_are_not_abbreviated(say: Any, pair: Path) -> None:
    assert say("solve", pair, "--reg", "plain").status == 2


def test_a_file_that_is_not_there(say: Any) -> None:
    said = say("solve", "nowhere.mech")
    assert (said.status, said.out) == (2, "")
    assert "there is no file 'nowhere.mech'" in said.err


def test_a_regime_that_is_not_there(say: Any, pair: Path) -> None:
    said = say("solve", pair, "--regime", "plane")
    assert (said.status, said.out) == (2, "")
    assert "Did you mean 'plain'?" in said.err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--at", "c.vidio=0.3", "'video'"),
        ("--at", "cc.video=0.3", "Did you mean 'c'?"),
        ("--at", "c.video", "'c.video'"),
        ("--at", "c.video=", "'c.video='"),
        ("--at", "c.video.text=1", "takes 1 label"),
        ("--set", "d.vidio=3", "'video'"),
        ("--set", "e=3", "'e' is no param"),
        ("--set", "d=1/0", "divides by zero"),
        ("--set", "=3", "'=3'"),
        ("--seed", "x", "--seed"),
    ],
)
def test_a_wrong_address_is_wrong_usage(option: str, value: str, words: str, say: Any, pair: Path) -> None:
    said = say("solve", pair, option, value)
    assert (said.status, said.out) == (2, "")
    assert words in said.err


def test_a_word_where_a_number_belongs_is_the_models_fault(say: Any, pair: Path) -> None:
    said = say("solve", pair, "--at", "c.video=much")
    assert (said.status, said.out) == (1, "")
    assert "a report of 'c' is a number, and 'much' is given from outside the file" in said.err


# --------------------------------------------------------------------------------------------------- the model at fault


def test_a_model_at_fault(say: Any, tmp_path: Path) -> None:
    file = tmp_path / "bad.mech"
    file.write_text(TEXT.replace("uniform(0, 1)", "unifrom(0, 1)"))
    for command in (("solve",), ("inspect",), ("check",), ("export", "--to", "json")):
        said = say(*command, file)
        assert (said.status, said.out) == (1, "")
        assert "error[M012]" in said.err
        assert "^^^^^^^" in said.err
        assert "Did you mean 'uniform'?" in said.err


def test_an_editor_gets_mistakes_as_json(say: Any, tmp_path: Path) -> None:
    file = tmp_path / "bad.mech"
    file.write_text(TEXT.replace("uniform(0, 1)", "unifrom(0, 1)"))
    said = say("check", file, "--json")
    assert said.status == 1
    (found,) = said.json["diagnostics"]
    assert (found["code"], found["severity"]) == ("M012", "error")
    assert found["range"]["start"]["line"] == 6


@pytest.mark.parametrize(("option", "value", "code"), [("--at", "c.video=7", "M038"), ("--set", "d.video=-1", "M034")])
def test_a_value_that_does_not_fit_is_the_models(option: str, value: str, code: str, say: Any, pair: Path) -> None:
    said = say("solve", pair, option, value)
    assert (said.status, said.out) == (1, "")
    assert f"error[{code}]" in said.err


def test_part_of_a_report_names_what_is_missing(say: Any, tmp_path: Path) -> None:
    file = tmp_path / "silent.mech"
    file.write_text(TEXT.replace("report c = {video: 0.5, text: 0.25}\n", ""))
    said = say("solve", file, "--at", "c.video=0.3")
    assert (said.status, said.out) == (1, "")
    assert "c[text]" in said.err


# -------------------------------------------------------------------------------- statuses, from runs that were made up


@pytest.fixture
def solving(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets `pipeline.run` answer as told: by regime, a run, or something to raise."""

    def told(**answers: Run | BaseException) -> None:
        def run(market: Market, registry: Registry, method: str | None = None, tolerance: float | None = None) -> Run:
            answer = answers[market.regime]
            if isinstance(answer, BaseException):
                raise answer
            return answer

        monkeypatch.setattr("mechdsl.pipeline.run", run)

    return told


FAILED = Outcome("by_hand", Status.FAILED, "Ipopt gave up.")
INFEASIBLE = Outcome("by_hand", Status.INFEASIBLE, "demand[video] cannot be met.")
NO_MARKET = Outcome("by_hand", Status.NO_MARKET, "There is no market.")


def test_answered(say: Any, solving: Any, pair: Path) -> None:
    solving(plain=made(), other=made(regime="other"))
    said = say("solve", pair)
    assert (said.status, said.err) == (0, "")
    assert "side by side" in said.out
    assert "An Author (2001)" in said.out


@pytest.mark.parametrize(
    ("plain", "status"),
    [
        (made(INFEASIBLE, None), 4),
        (made(FAILED, None), 4),
        (made(NO_MARKET, None), 0),
        (made(certificate=REFUSED), 3),
        (made(), 0),
    ],
    ids=["infeasible", "failed", "no market", "not certified", "certified"],
)
def test_the_status_says_how_it_ended(plain: Run, status: int, say: Any, solving: Any, pair: Path) -> None:
    solving(plain=plain, other=made(regime="other"))
    assert say("solve", pair).status == status
    said = say("solve", pair, "--json")
    assert said.status == status
    assert said.json["regimes"].keys() == {"plain", "other"}


def test_the_first_status_that_applies(say: Any, solving: Any, pair: Path) -> None:
    solving(plain=made(certificate=REFUSED), other=made(FAILED, None, "other"))
    assert say("solve", pair).status == 4
    solving(plain=unhandled("plain"), other=made(FAILED, None, "other"))
    assert say("solve", pair).status == 4
    assert say("solve", pair, "--regime", "plain", "--regime", "other").status == 1


def test_an_unhandled_regime_beside_others_is_reported(say: Any, solving: Any, pair: Path) -> None:
    solving(plain=unhandled("plain"), other=made(regime="other"))
    said = say("solve", pair)
    assert (said.status, said.err) == (0, "")
    assert "no installed structure handles regime 'plain'" in said.out
    assert say("solve", pair, "--json").json["regimes"]["plain"]["status"] == "unhandled"


def test_an_unhandled_regime_by_name_or_alone_is_a_fault(say: Any, solving: Any, pair: Path, tmp_path: Path) -> None:
    solving(plain=unhandled("plain"), other=made(regime="other"))
    said = say("solve", pair, "--regime", "plain,other")
    assert said.status == 1
    assert "error[M060]" in said.err
    alone = tmp_path / "alone.mech"
    alone.write_text(TEXT.replace("regime other { objective platform: maximize welfare }\n", ""))
    assert say("solve", alone).status == 1


def test_regimes_in_the_order_of_the_file(say: Any, solving: Any, pair: Path) -> None:
    solving(plain=made(), other=made(regime="other"))
    for words in (["--regime", "other,plain"], ["--regime", "other", "--regime", "plain"]):
        assert list(say("solve", pair, "--json", *words).json["regimes"]) == ["plain", "other"]
    assert list(say("solve", pair, "--json", "--regime", "other").json["regimes"]) == ["other"]


def test_json_is_one_object_and_nothing_else(say: Any, solving: Any, pair: Path) -> None:
    solving(plain=made(outcome(welfare=np.nan)), other=made(regime="other"))
    said = say("solve", pair, "--json")
    assert said.err == ""
    assert said.json["schema"] == "mechdsl/1"
    assert (said.json["market"], said.json["command"]) == ("pair", "solve")
    assert "welfare" not in said.json["regimes"]["plain"]


def test_an_interrupt_keeps_what_was_finished(say: Any, solving: Any, pair: Path) -> None:
    solving(plain=made(), other=KeyboardInterrupt())
    said = say("solve", pair)
    assert said.status == 130
    assert "platform pays creator" in said.out
    said = say("solve", pair, "--json")
    assert said.status == 130
    assert list(said.json["regimes"]) == ["plain"]


@pytest.mark.parametrize("error", [InternalError("two\nlines"), ZeroDivisionError("oh"), RecursionError("deep")])
def test_our_fault_is_one_line(error: Exception, say: Any, solving: Any, pair: Path) -> None:
    solving(plain=error, other=made())
    said = say("solve", pair)
    assert said.status == 70
    assert said.err.count("\n") == 1
    assert said.err.startswith("internal error: ")
    assert "please report" in said.err
    assert "Traceback" not in said.err


def test_our_fault_at_length_when_debugging(
    say: Any, solving: Any, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solving(plain=InternalError("here"), other=made())
    monkeypatch.setenv("MECHDSL_DEBUG", "1")
    said = say("solve", pair)
    assert said.status == 70
    assert "Traceback" in said.err


# ------------------------------------------------------------------------------------------------------ other commands


def test_fmt_lays_out_in_place(say: Any, pair: Path) -> None:
    assert say("fmt", "--check", pair).status == 1
    assert pair.read_text() == TEXT
    said = say("fmt", pair)
    assert (said.status, said.out) == (0, f"laid out {pair}\n")
    assert pair.read_text() != TEXT
    assert say("fmt", "--check", pair) == Said(0, "", "")


def test_fmt_leaves_a_file_that_does_not_parse(say: Any, tmp_path: Path) -> None:
    file = tmp_path / "bad.mech"
    file.write_text("market {")
    assert say("fmt", file).status == 1
    assert file.read_text() == "market {"


def test_explain_lists_what_it_can_explain(say: Any) -> None:
    said = say("explain")
    assert said.status == 0
    assert "M00x, about the text" in said.out
    assert "  M031  a value for a label that does not exist" in said.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [("mechdsl co", "compare completion"), ("mechdsl solve a.mech --se", "--seed --sensitivity --set")],
)
def test_completion_in_bash(say: Any, typed: str, completed: str) -> None:
    asked = f"COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _mechdsl; echo ${{COMPREPLY[@]}}"
    script = f"{say('completion', 'bash').out}\n{asked}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == completed.split()


def test_help_on_a_command(say: Any) -> None:
    said = say("help", "solve")
    assert said.status == 0
    assert said.out == say("solve", "--help").out


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "mechdsl", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mechdsl ")


def test_explain(say: Any) -> None:
    said = say("explain", "m001")
    assert said.status == 0
    assert "M001" in said.out
    wrong = say("explain", "M999")
    assert (wrong.status, wrong.out) == (2, "")


def test_plugins_lists_the_built_in(say: Any) -> None:
    said = say("plugins")
    assert said.status == 0
    for name in ("revenue", "welfare"):
        assert f"\n{name}  " in f"\n{said.out}"


def test_a_broken_plugin_is_named_and_not_fatal(say: Any, solving: Any, pair: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("STRUCTURE = 1\n")
    solving(plain=made(), other=made(regime="other"))
    said = say("solve", pair, "--plugin", plugin)
    assert said.status == 0
    assert "plugin mine was not taken" in said.err
    assert "mine was not taken" in say("plugins", "--plugin", plugin).out
    assert say("plugins", "--plugin", tmp_path / "none.py").status == 2


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "json"])
def test_inspect(form: str, say: Any, pair: Path) -> None:
    said = say("inspect", pair, "--regime", "plain", "--format", form)
    assert (said.status, said.err) == (0, "")
    assert "change of variables" in said.out


@pytest.mark.parametrize("file", sorted(MODELS.rglob("*.mech")), ids=lambda path: path.stem)
def test_every_model_passes_check(file: Path, say: Any) -> None:
    said = say("check", file)
    assert (said.status, said.err) == (0, "")


@pytest.mark.parametrize("command", [("check",), ("inspect",), ("export", "--to", "json")])
def test_what_nothing_handles_asked_for_by_name(command: Sequence[str], say: Any, tmp_path: Path) -> None:
    file = tmp_path / "odd.mech"
    odd = "regime odd { contract platform -> creator: direct  objective platform: maximize payoff }"
    file.write_text(f"{SIX.read_text()}\n{odd}\n")
    assert say(*command, file).status == 0
    said = say(*command, file, "--regime", "odd")
    assert said.status == 1
    assert "error[M060]" in said.err


def test_export_json(say: Any, pair: Path) -> None:
    said = say("export", pair, "--to", "json", "--regime", "other", "--at", "c=0.125")
    assert (said.status, said.err) == (0, "")
    programme = said.json["regimes"]["other"]
    assert programme["objective"] == "sum(k: c[k]*x[k])"
    demand = {"name": "demand[k]", "left": "x[k]", "relation": ">=", "right": "d[k]", "where": "d[k] > 0"}
    assert programme["constraints"] == [demand]
    assert programme["parameters"] == {"c": {"video": 0.125, "text": 0.125}}


def test_export_to_a_file(say: Any, pair: Path, tmp_path: Path) -> None:
    target = tmp_path / "pair.tex"
    assert say("export", pair, "--to", "latex", "-o", target) == Said(0, "", "")
    assert target.read_text().startswith("\\documentclass")
    said = say("export", pair, "--to", "latex", "-o", tmp_path / "no" / "pair.tex")
    assert (said.status, said.out) == (2, "")
    assert "cannot be written" in said.err


def test_export_of_one_programme_wants_one_regime(say: Any, pair: Path) -> None:
    said = say("export", pair, "--to", "nl")
    assert said.status == 2
    assert "name one of plain, other" in said.err


def test_export_to_pyomo_is_a_program(say: Any, pair: Path) -> None:
    said = say("export", pair, "--to", "pyomo", "--regime", "other", "--at", "c=0.125")
    assert (said.status, said.err) == (0, "")
    names: dict[str, Any] = {"__name__": "exported"}
    exec(said.out, names)  # noqa: S102 - the text is a program
    model = names["model"]
    model.x["video"].set_value(3.0)
    model.x["text"].set_value(2.0)
    assert names["pyo"].value(model.objective) == pytest.approx(0.625)
    assert names["pyo"].value(model.demand["video"].body) - 3 == pytest.approx(0)
    assert list(model.demand) == ["video"]  # d[text] = 0 is excluded


def test_export_to_nl(say: Any, pair: Path) -> None:
    said = say("export", pair, "--to", "nl", "--regime", "plain")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("g3 ")


# ---------------------------------------------------------------------------------------------- processes and terminals


def test_a_reader_that_leaves_is_no_error() -> None:
    call = [sys.executable, "-c", "import sys; from mechdsl.cli import main; sys.exit(main())", "inspect", str(SIX)]
    with subprocess.Popen(call, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait() == 141


def test_an_interrupted_process_ends_with_130(tmp_path: Path) -> None:
    plugin = tmp_path / "slow.py"
    plugin.write_text("import sys, time\nprint('ready', file=sys.stderr, flush=True)\ntime.sleep(60)\n")
    call = [sys.executable, "-c", "import sys; from mechdsl.cli import main; sys.exit(main())"]
    with subprocess.Popen(
        [*call, "plugins", "--plugin", str(plugin)], cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "ready\n"
        time.sleep(0.3)  # until it sleeps
        running.send_signal(signal.SIGINT)
        assert running.stderr.read() == "interrupted\n"
        assert running.wait() == 130


def test_colour_is_for_terminals_alone() -> None:
    said = process("check", SIX)
    assert said.returncode == 0
    assert "\x1b" not in said.stdout


def test_a_terminal_without_greek() -> None:
    said = process("inspect", SIX, "--regime", "M1", PYTHONIOENCODING="ascii")
    assert (said.returncode, said.stderr) == (0, "")
    assert "\\u03c1" in said.stdout


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from mechdsl.cli import main; main(['--help']);"
        "print({'argparse', 'pathlib', 'typing', 'numpy', 'sympy', 'lark', 'rich'} & set(sys.modules), file=sys.stderr)"
    )
    said = subprocess.run([sys.executable, "-S", "-c", program], cwd=TREE, capture_output=True, text=True, check=True)
    assert said.stderr.strip() == "set()"
