"""The notebook: the tutorial runs from top to bottom, `%%mech` takes Python's values and gives its own back."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mechdsl
from mechdsl.errors import MechError, UsageError
from mechdsl.notebook import filled, literal, load_ipython_extension, mech, unload_ipython_extension

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebook.ipynb"

CELL = """market first "A studio"
index k in teams = {sound, picture}
param d[k] in [0, inf) = hours "hours wanted"
layer studio
layer team[k] { type c[k] ~ uniform(1, 2)  choose x[k] >= 0  cost c[k] * x[k]^1.5 }
demand[k]: x[k] >= d[k]
contract studio -> team: direct
objective studio: maximize revenue
"""


class Shell:
    """What of IPython's shell a magic sees."""

    def __init__(self, **variables: Any) -> None:
        self.user_ns: dict[str, Any] = variables
        self.execution_count = 7
        self.magics: dict[tuple[str, str], Any] = {}
        self.shown: list[tuple[str, str]] = []
        self.display_formatter = SimpleNamespace(formatters={"image/png": self})

    def for_type_by_name(self, module: str, name: str, function: Any) -> None:
        self.shown.append((module, name))

    def push(self, variables: dict[str, Any]) -> None:
        self.user_ns.update(variables)

    def register_magic_function(self, function: Any, kind: str, name: str) -> None:
        self.magics[kind, name] = function


def test_a_cell_takes_variables_and_gives_results() -> None:
    shell = Shell(hours={"sound": 2, "picture": np.float64(3)})
    load_ipython_extension(shell)
    found = shell.magics["cell", "mech"]("desk -o bought --at c.sound=1.2,c.picture=1.7", CELL)
    assert found is shell.user_ns["bought"]
    assert found.payments["team"] == pytest.approx({"sound": 2 * 2**1.5, "picture": 2 * 3**1.5})
    assert isinstance(shell.user_ns["desk"], mechdsl.MarketFile)
    assert '{"sound": 2, "picture": 3.0}' in shell.user_ns["desk"].source.text
    assert mech(shell, "again", CELL) is shell.user_ns["again"]  # a name alone: not solved
    shell.push({"more": [1, 4]})
    assert mech(shell, "-i d=more", CELL.replace("hours ", "1 ")).allocation["x"] == pytest.approx(
        {"sound": 1, "picture": 4}
    )


def test_results_of_several_regimes_have_names() -> None:
    cell = CELL.replace("objective studio: maximize revenue", "") + (
        "regime a { objective studio: maximize revenue }\nregime b { objective studio: maximize welfare }\n"
    )
    found = mech(Shell(hours=[1, 2]), "-o r", cell)
    assert set(found) == {"a", "b"}
    assert mech(Shell(hours=[1, 2]), "--regime b", cell).regime == "b"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--foo", "unrecognized arguments: --foo"),
        ("-i nothing", "there is no Python variable 'nothing'"),
        ("-i e=hours", "the cell has no param 'e'. Known here: d."),
        ("-i d=wrong", "holds <object"),
        ("a-b", "no name for a Python variable"),
        ("-o 'x", "No closing quotation"),
        ("--regime no", "no regime 'no'"),
    ],
)
def test_wrong_lines_are_answered(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        mech(Shell(hours=1, wrong=object()), line, CELL)
    assert "\n".join(caught.value._render_traceback_()) == str(caught.value)


def test_a_mistake_is_counted_from_the_cell_s_first_line() -> None:
    """The line of the magic is the cell's first."""
    with pytest.raises(MechError) as caught:
        mech(Shell(hours=1), "", CELL.replace("uniform", "unifrom"))
    shown = "\n".join(caught.value._render_traceback_())
    assert "error[M012] in In[7], line 6, columns 29 to 35" in shown
    assert "Traceback" not in shown


def test_names_of_the_text_are_its_own() -> None:
    """Neither a label nor a param, a letter or a distribution is taken for a variable."""
    text = """market m "t"
index k in teams = {sound, picture}
param a in [0, inf) = 2
param d[k] in [0, inf) = {sound: a, picture: 2 * a + b}
param home[k] in teams = {sound: sound, picture: sound}
param s in [0, inf) = sum(k: d[k])
param u in [0, 1] ~ uniform(0, top)
"""
    variables = dict.fromkeys(("a", "b", "sound", "picture", "k", "uniform", "top", "inf"), 0.5)
    made = filled(text, {}, variables)
    assert made == text.replace("+ b}", "+ (0.5)}").replace("top", "(0.5)")
    assert filled(text, {"a": "k"}, variables).count("= 0.5") == 1
    with pytest.raises(UsageError, match="Did you mean 'home'"):
        filled(text, {"hom": "a"}, variables)


def test_python_values_in_the_language() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1, 2], [3, 4]], index=["a", "b"], columns=["x", "y"])
    assert literal(frame) == '{"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 4}}'
    assert literal(pandas.Series({1: 0.5, 2: 1e-7})) == "{1: 0.5, 2: 1e-07}"
    assert literal(np.array([[1.0, 2.0], [3.0, -4.0]])) == "[[1.0, 2.0], [3.0, -4.0]]"
    assert literal(np.int64(3)) == "3"
    assert literal("New York") == '"New York"'
    for wrong in (float("nan"), None, {None: 1}, 'a"b', {"x": object()}):
        with pytest.raises(UsageError):
            literal(wrong)


def test_the_extension_can_be_unloaded() -> None:
    class Magics:
        magics = {"cell": {"mech": mech}}  # noqa: RUF012 - as IPython has it

    class Loaded(Shell):
        magics_manager = Magics()

    unload_ipython_extension(Loaded())
    assert not Magics.magics["cell"]


def test_the_tutorial_is_kept_without_outputs() -> None:
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs"), cell["id"]
        assert cell.get("execution_count") is None


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tutorial, executed in a folder of its own."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    folder = tmp_path_factory.mktemp("notebook")
    book = nbformat.read(NOTEBOOK, as_version=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Jupyter's own
        nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return folder, [c for c in book.cells if c.cell_type == "code"]


def outputs(cells: Any, source: str) -> Any:
    """What the first cell that holds `source` gave."""
    return next(c.outputs for c in cells if source in c.source)


def test_the_tutorial_runs(played: Any) -> None:
    folder, cells = played
    failed = [c for c in cells if any(o.output_type == "error" for o in c.outputs)]
    assert [c.metadata.tags for c in failed] == [["raises-exception"]]
    (slip,) = failed[0].outputs
    assert slip.ename == "MechError"
    said = "\n".join(slip.traceback)
    assert "Did you mean 'uniform'?" in said
    assert "^^^^^^^" in said
    assert "File " not in said
    assert (folder / "studio.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_tutorial_shows_its_objects(played: Any) -> None:
    _, cells = played
    market = outputs(cells, "%%mech studio")[0].data["text/html"]
    assert "<svg" in market
    assert '<span class="keyword">market</span>' in market
    solved = outputs(cells, 'studio.solve("revenue")')[0].data
    assert "5.65685" in solved["text/html"]
    assert "| 5.65685" in solved["text/markdown"]
    derived = outputs(cells, 'studio.derivation("revenue")')[0].data
    assert "<math" in derived["text/html"]
    assert "$$" in derived["text/markdown"]
    assert "holds" in outputs(cells, "studio.compare()")[0].data["text/html"]
    assert "image/png" in outputs(cells, "sweep.plot")[0].data
