"""Texts to markets: what each statement becomes, and that values, overrides and reports end where they belong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from mechdsl import pipeline, syntax
from mechdsl.elaborate import Override, elaborate
from mechdsl.errors import MechError, Source
from mechdsl.market import Market

GOOD = Path(__file__).parent / "cases" / "good"

HEAD = 'market m "M"  index k, i in domains = {video, text}\n'
CREATORS = "layer platform  layer creator[k] { type c[k] ~ uniform(0, 1)  choose x[k] >= 0  cost c[k] * x[k]^1.5 }\n"
REST = "demand[k]: x[k] >= d[k]  contract platform -> creator: direct  objective platform: maximize revenue\n"


def market(text: str, folder: Path | None = None, regime: str = "main") -> Market:
    return pipeline.parse(text, folder=folder).markets[regime]


def values(text: str, name: str, folder: Path | None = None) -> np.ndarray:
    built = market(HEAD + CREATORS + REST + text, folder)
    return np.asarray(built.data[built.declarations[name].quantity])


def codes(text: str, folder: Path | None = None) -> list[str]:
    with pytest.raises(MechError) as caught:
        pipeline.parse(text, folder=folder)
    return [d.code for d in caught.value.diagnostics]


@pytest.mark.parametrize("path", sorted(GOOD.glob("*.mech")), ids=lambda p: p.stem)
def test_example_files_elaborate(path: Path) -> None:
    model = pipeline.load(path)
    assert model.markets
    for one in model.markets.values():
        assert one.choices
        assert all(np.isfinite(table).all() for table in one.data.values())


def test_the_six_regimes_share_the_file_and_differ_in_contracts() -> None:
    markets = pipeline.load(GOOD / "six_regimes.mech").markets
    assert list(markets) == ["M1", "M2", "M3", "M4", "M5", "M6"]
    assert [m.objectives[0].goal for m in markets.values()] == ["revenue", "welfare"] * 3
    assert [c.kind for c in markets["M5"].contracts] == ["presigned", "direct"]
    assert markets["M3"].layer("union").represents == "creator"
    assert str(markets["M1"].constraints[0].left) == "x[k] + sum(i: x[i]**gamma[i, k]*mu[i, k])"
    assert [str(d) for d in markets["M1"].types[0].distributions] == [
        "uniform(0.1, 1)",
        "normal(0.5, 0.4) on [0.05, 1.5]",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", [3, 3]),
        ("[3, 4]", [3, 4]),
        ("{text: 4, video: 3}", [3, 4]),
        ("2 * scale", [6, 6]),
        ("{video: scale, text: scale^2}", [3, 9]),
        ("if(k == video, 1, 2)", [1, 2]),
        ("sum(i where i != k: other[i])", [7, 5]),
        ("max(scale, other[k])", [5, 7]),
        ("upper(c[k]) + mean(c[k])", [1.5, 1.5]),
    ],
)
def test_values_of_a_param(value: str, expected: list[float]) -> None:
    text = f"param scale = 3  param other[k] = [5, 7]  param d[k] = {value}"
    assert values(text, "d") == pytest.approx(expected)


def test_two_indices_by_map_list_or_both() -> None:
    for value in (
        "{video: {video: 1, text: 2}, text: {video: 3, text: 4}}",
        "[[1, 2], [3, 4]]",
        "{text: [3, 4], video: {text: 2, video: 1}}",
    ):
        assert values(f"param d[k] = 1  param mu[i, k] = {value}", "mu").tolist() == [[1, 2], [3, 4]]


def test_csv_wide_long_and_one_column(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text(",text,video\nvideo,2,1\ntext,4,3\n")
    (tmp_path / "one.csv").write_text("domain,demand\ntext,4\nvideo,3\n")
    (tmp_path / "long.csv").write_text("value,domains\n3,video\n4,text\n")
    assert values('param d[k] = 1  param mu[i, k] = csv("wide.csv")', "mu", tmp_path).tolist() == [[1, 2], [3, 4]]
    assert values('param d[k] = csv("one.csv")', "d", tmp_path).tolist() == [3, 4]
    assert values('param d[k] = csv("long.csv")', "d", tmp_path).tolist() == [3, 4]


def test_a_csv_outside_the_folder_is_refused_even_through_a_link(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.csv").write_text("domain,demand\ntext,4\nvideo,3\n")
    (inside / "link.csv").symlink_to(tmp_path / "secret.csv")
    for name in ("../secret.csv", "link.csv", str(tmp_path / "secret.csv")):
        assert codes(HEAD + CREATORS + REST + f'param d[k] = csv("{name}")', inside) == ["M081"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("domain,demand\ntext,4\n", "no value for d\\[video\\]"),
        ("domain,demand\ntext,4\nvideo,x\n", "line 3: 'x' is no number"),
        ("domain,demand\ntext,4\nradio,1\nvideo,1\n", "no label 'radio'"),
        ("domain,demand\ntext,4\ntext,1\nvideo,1\n", "given twice"),
        ("", "not laid out"),
    ],
)
def test_a_bad_csv_names_line_and_entry(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "d.csv").write_text(content)
    with pytest.raises(MechError, match=word) as caught:
        pipeline.parse(HEAD + CREATORS + REST + 'param d[k] = csv("d.csv")', folder=tmp_path)
    assert [d.code for d in caught.value.diagnostics] == ["M082"]


def test_draws_do_not_move_when_a_param_is_added() -> None:
    first = values("param d[k] ~ uniform(2, 5)", "d")
    assert values("param extra[k] ~ uniform(0, 1)  param d[k] ~ uniform(2, 5)", "d").tolist() == first.tolist()
    assert ((first > 2) & (first < 5)).all()


def test_the_seed_changes_draws() -> None:
    text = HEAD + CREATORS + REST + "param d[k] ~ uniform(2, 5)"
    tables = [pipeline.parse(text, seed=s).markets["main"] for s in (0, 0, 1)]
    draws = [t.data[t.declarations["d"].quantity].tolist() for t in tables]
    assert draws[0] == draws[1] != draws[2]


def test_overrides_reach_dependent_params() -> None:
    text = HEAD + CREATORS + REST + "param base = 2  param d[k] = base * 3"
    file = syntax.parse(text)
    source = pipeline.parse(text).source
    built = elaborate(file, source, overrides=[Override("base", (), 5.0)]).markets["main"]
    assert built.data[built.declarations["d"].quantity].tolist() == [15, 15]
    built = elaborate(file, source, overrides=[Override("d", ("text",), 1.0)]).markets["main"]
    assert built.data[built.declarations["d"].quantity].tolist() == [6, 1]


def test_set_in_a_regime_whole_or_one_entry() -> None:
    text = (
        HEAD
        + CREATORS
        + REST
        + "param d[k] = [3, 4]  regime a { set d = 1 }  regime b { set d[text] = 9 }  regime c { }"
    )
    markets = pipeline.parse(text).markets
    tables = {n: m.data[m.declarations["d"].quantity].tolist() for n, m in markets.items()}
    assert tables == {"a": [1, 1], "b": [3, 9], "c": [3, 4]}


def test_set_takes_labels_and_rows_as_a_declaration_does() -> None:
    text = (
        HEAD
        + CREATORS
        + REST
        + "index n in creators = 1..2  param home[n] in domains = video  param d[k] = 1  param mu[i, k] = 0.5\n"
        + "regime a { set home[2] = text  set mu[text] = {video: 0.1, text: 0.2} }\n"
        + "regime b { set mu = [[1, 2], [3, 4]] }"
    )
    markets = pipeline.parse(text).markets
    tables = {(r, n): m.data[m.declarations[n].quantity].tolist() for r, m in markets.items() for n in ("home", "mu")}
    assert tables["a", "home"] == [0, 1]
    assert tables["a", "mu"] == [[0.5, 0.5], [0.1, 0.2]]
    assert tables["b", "home"] == [0, 0]
    assert tables["b", "mu"] == [[1, 2], [3, 4]]


def test_a_set_of_labels_may_share_its_name_with_a_param() -> None:
    built = market(HEAD + CREATORS + REST + "index n in N = 1..N  param N = 3  param d[k] = 1")
    assert {s.name: len(s) for s in built.sets} == {"domains": 2, "N": 3}


OUTER = HEAD + CREATORS + REST + (
    "index n in creators = 2..4  param home[n] in creators = 2  param d[k] in [0, inf) = [3, 4]\n"
    "param mu[i, k] in [0, 1] = 0.5  report c = {video: 0.3, text: 0.6}"
)  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "report", "message"),
    [
        ([("dd", (), 1)], [], "'dd' is no param"),
        ([("x", (), 1)], [], "'x' is no param but a decision"),
        ([("d", ("music",), 1)], [], "domains has no label 'music', so d[music] is no entry"),
        ([("d", ("video", "text"), 1)], [], "'d' takes 1 label, here are 2"),
        ([("mu", (), 2)], [], "mu[video, video] = 2 (and 3 more), given from outside the file, is outside its "
            "declared range [0, 1]"),
        ([("mu", ("text",), 0.1), ("mu", ("text", "video"), -1)], [], "mu[text, video] = -1, given from outside the "
            "file, is outside its declared range [0, 1]"),
        ([("home", ("3",), 9)], [], "creators has no label '9', which 'home' is given from outside the file"),
        ([], [("d", (), 1)], "'d' is no private type but a param"),
        ([], [("c", ("music",), 1)], "domains has no label 'music', so c[music] is no entry"),
        ([], [("c", (), 1.5)], "the report c[video] = 1.5 (and 1 more) is outside its support [0, 1]"),
        ([], [("c", ("text",), 1.00000001)], "the report c[text] = 1.00000001 is outside its support [0, 1]"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_values_from_outside_has_no_place(
    overrides: list[tuple[str, tuple[str, ...], float]], report: list[tuple[str, tuple[str, ...], float]], message: str
) -> None:
    file = syntax.parse(OUTER)
    given = ([Override(*o) for o in overrides], [Override(*o) for o in report])
    with pytest.raises(MechError) as caught:
        elaborate(file, Source("outer", OUTER), None, *given)
    assert [(d.message, d.span) for d in caught.value.diagnostics] == [(message, None)]


def test_a_number_from_outside_is_the_label_of_a_param_that_takes_labels() -> None:
    model = elaborate(syntax.parse(OUTER), Source("outer", OUTER), None, [Override("home", ("3",), 4.0)])
    built = model.markets["main"]
    assert built.data[built.declarations["home"].quantity].tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    ("text", "word", "line", "column"),
    [
        ("param d[k] = 1  let a =\n  3 * σκ[k]", "σκ", 2, 7),
        ("param d[k] = 1\r\nparam b[k] =\r\n  unifrm(1)", "unifrm", 3, 3),
        ("param d[k] = {video: 1,\n  text: 1 +\n  #foo\n  foo[k]}", "foo", 4, 3),
    ],
)
def test_the_word_that_is_wrong_is_underlined(text: str, word: str, line: int, column: int) -> None:
    whole = HEAD.replace("\n", " ") + CREATORS.replace("\n", " ") + REST.replace("\n", " ") + "\n" + text
    with pytest.raises(MechError) as caught:
        pipeline.parse(whole)
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert whole[found.span.start : found.span.end] == word
    assert (found.span.line, found.span.column) == (line + 1, column)
    assert (found.span.end_line, found.span.end_column) == (line + 1, column + len(word))


def test_layers_named_again_are_added_to() -> None:
    text = HEAD + CREATORS + REST + "param d[k] = 1  regime a { layer platform { cost sum(k: x[k]) } }  regime b { }"
    markets = pipeline.parse(text).markets
    assert str(markets["a"].layer("platform").cost) == "sum(k: x[k])"
    assert markets["b"].layer("platform").cost == 0


def test_several_creators_a_domain() -> None:
    text = (
        HEAD + "index n in creators = 1..N  param N = 3  param home[n] in domains = {1: video, 2: text, 3: video}\n"
        "let X[k] = sum(n where home[n] == k: x[n])  param d[k] = 1  param rho[n] in [1, inf) = 1 + n / 10\n"
        "layer platform\n"
        "layer creator[n] { type c[n] ~ uniform(0, n)  choose x[n] in [0, 2]  cost c[n] * x[n]^rho[n] }\n"
        "demand[k where d[k] > 0]: X[k] + sum(i: 0.5 * X[i]^0.5) >= d[k]\n"
        "contract platform -> creator: direct(payment = randomized, trials = 10)\n"
        "objective platform: maximize welfare\n"
    )
    built = market(text)
    assert built.data[built.declarations["home"].quantity].tolist() == [0, 1, 0]
    assert built.data[built.declarations["rho"].quantity] == pytest.approx([1.1, 1.2, 1.3])
    assert [str(d) for d in built.types[0].distributions] == ["uniform(0, 1)", "uniform(0, 2)", "uniform(0, 3)"]
    assert built.contracts[0].arguments == {"payment": "randomized", "trials": sp.Integer(10)}
    assert built.choices[0].quantity.domain.upper == 2


def test_signals_and_common_factors() -> None:
    built = pipeline.load(GOOD / "data_market.mech").markets["strict_ip"]
    signal = built.layer("creator").signals[0]
    assert str(signal.mean) == "B*w[i] + theta"
    assert str(signal.noise_precision) == "e[i]"
    assert str(built.commons[0].variance) == "V"
    assert str(built.layer("firm").value) == "precision(theta)"


def test_the_report_completes_or_complains() -> None:
    text = HEAD + CREATORS + REST + "param d[k] = 1"
    assert market(text).report is None
    full = market(text + " report c = {video: 0.25, text: 0.5}")
    assert full.report is not None
    assert next(iter(full.report.values())).tolist() == [0.25, 0.5]
    file, source = syntax.parse(text), full.source
    both = elaborate(file, source, report=[Override("c", ("video",), 0.1), Override("c", ("text",), 0.9)]).markets[
        "main"
    ]
    assert both.report is not None
    assert next(iter(both.report.values())).tolist() == [0.1, 0.9]
    with pytest.raises(MechError, match="nothing of c\\[text\\]"):
        elaborate(file, source, report=[Override("c", ("video",), 0.1)])


def test_greek_letters_are_their_names() -> None:
    text = HEAD + CREATORS.replace("^1.5", "^ρ[k]") + REST + "param rho[k] in [1, inf) = 1.5  param d[k] = 1"
    assert "rho" in market(text).declarations


def test_distributions_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "costs.csv").write_text("cost,other\n0.5,1\n0.1,2\n0.9,3\n")
    for law in (
        "triangular(0, 0.5, 1)",
        "point(0.5)",
        "exponential(2) on [0, 3]",
        "lognormal(0, 1) on [0.1, 4]",
        "beta(2, 3) on [0, 1]",
        "kumaraswamy(2, 2) on [0, 1]",
        "power(2) on [0, s]",
        "mixture(0.3: uniform(0, 1), 0.7: normal(1, s) on [0, 2])",
        "density(c: 1 + s * c^2) on [0, 1]",
        'empirical("costs.csv", column = "cost")',
        "{video: uniform(0, 1), text: uniform(s, 3 * s)}",
    ):
        text = HEAD + CREATORS.replace("uniform(0, 1)", law) + REST + "param s = 0.5  param d[k] = 1"
        built = market(text, tmp_path)
        assert len(built.types[0].distributions) == 2
        assert np.isfinite(built.types[0].table(lambda d: d.mean)).all()


def test_a_density_in_the_text_is_the_density(tmp_path: Path) -> None:
    del tmp_path
    text = HEAD + CREATORS.replace("uniform(0, 1)", "density(t: 1 + s[k] * t) on [0, 1]") + REST
    laws = market(text + "param s[k] = [0, 2]  param d[k] = 1").types[0].distributions
    assert laws[0].cdf(0.25) == pytest.approx(0.25)
    assert laws[1].cdf(0.5) == pytest.approx((0.5 + 0.25) / 2)  # (t + t^2) / 2
    assert laws[1].virtual_cost(0.5) == pytest.approx(0.5 + 0.375 / (2 / 2))  # F / f with f = (1 + 2 t) / 2


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("param d[k] = 9^9^9^9", "M091"),
        ("index z in big = 1..1000000000  param d[k] = 1", "M090"),
        ("param d[k] = 1/0", "M033"),
        ("param d[k] = exp(100000)", "M033"),
        ("param d[k] = sum(k: 1)", "M022"),
        ("param d[k] = x[k]", "M035"),
        ("param d[k] = i", "M023"),
        ("param d[k] = k", "M024"),
        ("param d[k] = 1 < 2", "M059"),
        ("param d[k] = {video: 1}", "M030"),
    ],
)
def test_refusals(text: str, code: str) -> None:
    assert codes(HEAD + CREATORS + REST + text) == [code]


def test_one_run_finds_them_all() -> None:
    found = codes((Path(__file__).parent / "cases" / "many_mistakes.mech").read_text())
    assert {
        "M010",
        "M011",
        "M012",
        "M013",
        "M015",
        "M016",
        "M017",
        "M019",
        "M022",
        "M031",
        "M032",
        "M033",
    } <= set(found)
    assert {"M034", "M035", "M040", "M041", "M052", "M057", "M091"} <= set(found)
    assert len(found) >= 20


def test_a_label_from_outside_is_a_value_where_labels_are_values() -> None:
    from mechdsl.overrides import assignments, entries

    source = Source("outer", OUTER)
    for given in (assignments('home.3=2, home.4="3"'), entries("home", (), {"3": "2", "4": "3"}, ())):
        model = elaborate(syntax.parse(OUTER), source, None, given)
        built = model.markets["main"]
        quantity = built.declarations["home"].quantity
        assert [quantity.sets[0].labels[int(p)] for p in built.data[quantity]] == ["2", "2", "3"]
    for text, code in (("home=9", "M015"), ("d.video=text", "M032"), ("home=video", "M015")):
        with pytest.raises(MechError) as refused:
            elaborate(syntax.parse(OUTER), source, None, assignments(text))
        assert [d.code for d in refused.value.diagnostics] == [code]
    with pytest.raises(MechError, match="a report of 'c' is a number"):
        elaborate(syntax.parse(OUTER), source, report=assignments("c.video=text"))
