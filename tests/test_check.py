"""`check` looks at a model without solving it: what it finds, where, and that it finds nothing in a good one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mechdsl import check, pipeline
from mechdsl.check import Diagnosis, diagnose
from mechdsl.market import Market
from mechdsl.report import diagnosis
from mechdsl.report.json_report import to_text
from mechdsl.report.terminal import console
from mechdsl.structure import Registry, installed
from mechdsl.theory.change_of_variables import curvatures_in_either

TREE = Path(__file__).parent.parent
GOOD = """
market good "Good"
index k in domains = {video, text}
param d[k] in [0, inf) = {video: 3, text: 4}
layer platform
layer creator[k] {
  type c[k] ~ uniform(1, 2)
  choose x[k] >= 0
  cost c[k] * x[k]^2
}
demand[k]: x[k] >= d[k]
contract platform -> creator: direct
objective platform: maximize welfare
report c = 1.5
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return installed()


def look(text: str, registry: Registry, regimes: Sequence[str] = ()) -> Diagnosis:
    return diagnose(pipeline.parse(text), registry, regimes)


def findings(text: str, registry: Registry) -> dict[str, str]:
    """Code: the text its place covers."""
    return {d.code: text[d.span.start : d.span.end] if d.span else "" for d in look(text, registry).diagnostics}


def test_a_good_market_gives_nothing_to_remark(registry: Registry) -> None:
    found = look(GOOD, registry)
    assert found.diagnostics == ()
    assert [r.market.regime for r in found.regimes] == ["main"]
    structure = found.regimes[0].match.structure
    assert structure is not None
    assert structure.name == "welfare"
    assert found.regimes[0].convex is True
    assert found.regimes[0].curvatures["demand"].holds is True
    assert [t.name for t in found.types] == ["c[video]", "c[text]"]
    assert all(t.regularity.regular for t in found.types)


CASES: list[Any] = [
    pytest.param("param spare in [0, 1] = 0.5\n", "", "M100", "param spare in [0, 1] = 0.5", id="unused param"),
    pytest.param("let spare[k] = 2 * d[k]\n", "", "M100", "let spare[k] = 2 * d[k]", id="unused let"),
    pytest.param("index n in others = 1..3\n", "", "M100", "index n in others = 1..3", id="unused index set"),
    pytest.param("video: 3", "video: 0", "M102", "demand[k]: x[k] >= d[k]", id="met by nothing chosen"),
    pytest.param("x[k] >= 0\n", "x[k] in [0, 3.5]\n", "M103", "demand[k]: x[k] >= d[k]", id="out of reach"),
    pytest.param(
        "constraint both: x[video] * x[text] / (x[video] + x[text]) >= 1\n",
        "",
        "M104",
        "x[video] * x[text] / (x[video] + x[text])",
        id="not shown to be concave",
    ),
    pytest.param(
        "cost c[k] * x[k]^2",
        "cost c[k] * (x[k]^2 + abs(x[k] - 1) + x[k] - 1)",
        "M109",
        "contract platform -> creator: direct",
        id="a cost that is not shown to rise",
    ),
    pytest.param(
        "demand[k]: x[k] >=",
        "demand[k]: x[k] - 0.1 * x[video] >=",
        "M109",
        "contract platform -> creator: direct",
        id="a falling term, not concave in y",
    ),
    pytest.param("text: 4", "text: 4e9", "M105", "param d[k] in [0, inf) = {video: 3, text: 4e9}", id="scale"),
    pytest.param(
        "uniform(1, 2)", "normal(0, 1) on [0, 10]", "M106", "type c[k] ~ normal(0, 1) on [0, 10]", id="far tail"
    ),
    pytest.param(
        "uniform(1, 2)",
        "mixture(0.2: uniform(1, 2), 0.8: uniform(1.5, 1.6))",
        "M101",
        "type c[k] ~ mixture(0.2: uniform(1, 2), 0.8: uniform(1.5, 1.6))",
        id="irregular",
    ),
    pytest.param("report c = 1.5\n", "", "M108", "", id="no report"),
    pytest.param("direct\n", "handshake\n", "M060", "handshake", id="unhandled"),
]


@pytest.mark.parametrize(("old", "new", "code", "place"), CASES)
def test_a_finding_has_its_code_and_its_place(old: str, new: str, code: str, place: str, registry: Registry) -> None:
    text = GOOD.replace(old, new) if old in GOOD else GOOD + old
    assert text != GOOD
    found = findings(text, registry)
    assert code in found
    assert found[code] == place


def test_what_no_longer_follows_is_said_once_and_without_tex(registry: Registry) -> None:
    falling = look(GOOD.replace("demand[k]: x[k] >=", "demand[k]: x[k] - 0.1 * x[video] >="), registry)
    assert [(d.code, d.severity) for d in falling.diagnostics] == [("M109", "note")]
    assert "solved in x" in falling.diagnostics[0].hint
    assert falling.regimes[0].convex is True
    unknown = look(GOOD.replace("x[k]^2", "(x[k]^2 + abs(x[k] - 1) + x[k] - 1)"), registry)
    assert [(d.code, d.severity) for d in unknown.diagnostics] == [("M109", "warning")]
    assert not any(sign in unknown.diagnostics[0].hint for sign in ("\\", "$"))


def test_concave_in_costs_is_enough(registry: Registry) -> None:
    found = look(GOOD.replace("demand[k]: x[k] >=", "demand[k]: x[k]^1.5 >="), registry)
    assert found.diagnostics == ()
    assert found.regimes[0].convex is True
    assert found.regimes[0].curvatures["demand"].because.startswith("In y = phi(x) it is concave")


def test_a_row_out_of_reach_is_named(registry: Registry) -> None:
    found = look(GOOD.replace("x[k] >= 0\n", "x[k] in [0, 3.5]\n"), registry)
    assert [d.message for d in found.diagnostics if d.code == "M103"] == ["demand[text] cannot be met"]


def test_a_demand_that_nothing_raises_is_out_of_reach_without_bounds(registry: Registry) -> None:
    text = GOOD.replace("index k in", "index k, i in")
    text += "param mu[k, i] = 0\nconstraint far[k]: sum(i: mu[k, i] * x[i]) >= 1\n"
    assert findings(text, registry) == {"M103": "constraint far[k]: sum(i: mu[k, i] * x[i]) >= 1"}


@pytest.mark.parametrize("item", ["plot heatmap(revenue)", "plot line(welfare)"])
def test_an_experiment_that_cannot_run_is_said(item: str, registry: Registry) -> None:
    good = 'experiment later "Later" { draws 10  table revenue  plot box(revenue) }\n'
    assert "M107" not in findings(GOOD + good, registry)
    found = findings(GOOD + f'experiment later "Later" {{ draws 10  {item} }}\n', registry)
    assert found == {"M107": "later"}


def test_a_name_used_in_an_experiment_or_by_set_alone(registry: Registry) -> None:
    text = GOOD.replace("objective platform: maximize welfare\n", "") + "param spare = 1\n"
    text += "regime a { objective platform: maximize welfare  set spare = 2 }\n"
    assert findings(text, registry) == {"M100": "param spare = 1"}


def test_what_regimes_share_is_said_once(registry: Registry) -> None:
    text = GOOD.replace("objective platform: maximize welfare\n", "") + "param spare = 1\n"
    text += "regime a { objective platform: maximize welfare }\nregime b { objective platform: maximize revenue }\n"
    found = look(text, registry)
    assert [d.code for d in found.diagnostics] == ["M100"]
    assert len(found.types) == 2
    assert [r.market.regime for r in found.regimes] == ["a", "b"]


def test_findings_stand_in_the_order_of_the_text(registry: Registry) -> None:
    text = GOOD.replace("uniform(1, 2)", "normal(0, 1) on [0, 10]") + "param spare = 1\nparam more = 2\n"
    places = [d.span.start for d in look(text, registry).diagnostics if d.span]
    assert len(places) == 3
    assert places == sorted(places)


def test_the_json_of_check(registry: Registry) -> None:
    text = GOOD.replace("video: 3", "video: 0").replace("direct\n", "handshake\n")
    found = json.loads(to_text(diagnosis.check_object(look(text, registry))))
    assert found["schema"] == "mechdsl/1"
    assert (found["market"], found["command"]) == ("good", "check")
    main = found["regimes"]["main"]
    assert (main["structure"], main["status"]) == (None, "unhandled")
    assert main["not_taken"].keys() == {s.name for s in registry.structures}
    assert main["curvature"]["demand"]["holds"] is True
    assert found["types"]["c[video]"]["regular"] is True
    by_code = {d["code"]: d for d in found["diagnostics"]}
    lines = text.splitlines()
    at = by_code["M102"]["range"]
    assert by_code["M102"]["severity"] == "note"
    assert lines[at["start"]["line"]][at["start"]["character"] : at["end"]["character"]] == "demand[k]: x[k] >= d[k]"


def test_the_page_says_what_is_known_and_what_was_found(registry: Registry) -> None:
    page = console()
    with page.capture() as captured:
        page.print(diagnosis.page(look(GOOD.replace("video: 3", "video: 0"), registry)), crop=False)
    text = captured.get()
    assert "structure welfare" in text
    assert "the programme is convex" in text
    assert "c[video]  regular (proved)" in text
    assert "note[M102]" in text
    assert text.splitlines()[-1].strip() == "1 note"


def test_check_waits_for_no_solver(tmp_path: Path) -> None:
    program = (
        "import sys; from mechdsl.cli import main; status = main(['check', sys.argv[1]]);"
        "print(*{'pyomo', 'cyipopt', 'ipopt'} & {n.split('.')[0] for n in sys.modules}, status, file=sys.stderr)"
    )
    file = tmp_path / "good.mech"
    file.write_text(GOOD)
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], cwd=TREE, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "0"


UNHANDLED = [
    pytest.param("handshake", "knows a contract 'handshake'", "handshake", "Known here: contest, direct", id="kind"),
    pytest.param("dirct", "none knows a contract 'dirct'", "dirct", "Did you mean 'direct'?", id="misspelt kind"),
    pytest.param(
        "direct(paymnt = randomized)", "regime 'main'", "contract platform -> creator: direct(paymnt = randomized)",
        "welfare: it does not know the argument 'paymnt' of direct, which takes payment, trials, information",
        id="word",
    ),
    pytest.param(
        "direct(payment = randomised)", "regime 'main'", "contract platform -> creator: direct(payment = randomised)",
        "welfare: 'payment' of direct is envelope or randomized, not randomised", id="value of a word",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "words", "place", "hint"), UNHANDLED)
def test_what_nobody_handles_is_said_by_those_that_come_nearest(
    kind: str, words: str, place: str, hint: str, registry: Registry
) -> None:
    text = GOOD.replace("creator: direct", f"creator: {kind}")
    (found,) = (d for d in look(text, registry).diagnostics if d.code == "M060")
    assert words in found.message
    assert found.span is not None
    assert text[found.span.start : found.span.end] == place
    assert hint in found.hint
    assert "welfare (contracts: direct; objective: welfare)" in found.hint  # what the nearest ones handle
    assert "presigned and direct, the market has" not in found.hint


NEAREST = [
    ("contract platform -> creator: direct  objective platform: maximize profit", ["revenue", "welfare"], "objective"),
    ("contract platform -> creator: direct  objective creator: maximize revenue", ["revenue", "welfare"], "contract"),
    ("contract platform -> creator: linear_price  objective platform: maximize welfare", ["linear_price"], "contract"),
    ("contract platform -> creator: direct(tax = 1)  objective platform: maximize welfare", ["welfare"], "contract"),
    (
        "layer union { represents creator }  contract platform -> union: direct  objective platform: maximize profit",
        ["union_revenue", "union_welfare"],
        "objective",
    ),
]


@pytest.mark.parametrize(("stated", "nearest", "word"), NEAREST)
def test_the_nearest_structures_come_first(stated: str, nearest: list[str], word: str, registry: Registry) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith(("contract", "objective"))]
    text = "\n".join([*lines, stated, ""])
    found = look(text, registry)
    (said,) = (d for d in found.diagnostics if d.code == "M060")
    assert said.hint.startswith(f"Not {nearest[0]}: ")
    assert said.span is not None
    assert text[said.span.start :].startswith(word)
    told = found.regimes[0].match.told
    assert [line.split(":")[0] for line in told[: len(nearest)]] == nearest
    assert len(told) == 5
    assert "broker" in told[-1] or any(line.startswith("broker") for line in told)
    assert said.hint.count("(contracts:") == 4


def test_what_regimes_share_is_looked_at_once(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    regimes = "".join(
        f"regime r{n} {{ objective platform: maximize {goal} {more} }}\n"
        for n, (goal, more) in enumerate([("revenue", ""), ("welfare", ""), ("revenue", ""), ("revenue", "set d = 5")])
    )
    text = GOOD.replace("objective platform: maximize welfare\n", "") + regimes
    looked: list[Market] = []

    def counted(market: Market) -> object:
        looked.append(market)
        return curvatures_in_either(market)

    monkeypatch.setattr(check, "curvatures_in_either", counted)
    found = look(text, registry)
    assert [market.regime for market in looked] == ["r0", "r3"]
    monkeypatch.undo()
    alone = [look(text, registry, regimes=[name]) for name in ("r0", "r1", "r2", "r3")]
    for one, (by_itself,) in zip(found.regimes, (a.regimes for a in alone), strict=True):
        assert one.match.structure is by_itself.match.structure
        assert (one.essential, one.convex, one.decided) == (by_itself.essential, by_itself.convex, by_itself.decided)
        assert {name: c.verdict for name, c in one.curvatures.items()} == {
            name: c.verdict for name, c in by_itself.curvatures.items()
        }
    assert set(found.diagnostics) == {d for a in alone for d in a.diagnostics}
