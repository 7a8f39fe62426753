"""Text to statements: every form of the language, its mistakes, and texts made to hurt."""

from __future__ import annotations

import ast as python
import logging
import os
import random
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import lark
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from programs import written

from mechdsl import resources, syntax
from mechdsl import syntax_tree as tree
from mechdsl.errors import Diagnostic, MechError, Span
from mechdsl.syntax import parse, parse_axes, parse_chains, parse_expression, parse_values
from mechdsl.syntax.grammar import STARTS, load_grammar
from mechdsl.syntax.mistakes import FORMS
from mechdsl.syntax.reader import read_tokens
from mechdsl.syntax.scan import MAX_MISTAKES, scan

CASES = Path(__file__).parent / "cases"
GOOD = sorted((CASES / "good").glob("*.mech"))
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in GOOD}
CONTRACT = ("six_regimes", "data_market", "attention_contest", "two_regimes")

HERE = Span(0, 0, 1, 1, 1, 1)  # spans take no part in equality

quick = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


def number(value: float | str) -> tree.Number:
    return tree.Number(HERE, Fraction(value))


def name(word: str) -> tree.Name:
    return tree.Name(HERE, word)


def at(word: str, *indices: tree.Expression) -> tree.Subscript:
    return tree.Subscript(HERE, word, indices)


def call(word: str, *values: tree.Expression | tree.Argument) -> tree.Call:
    arguments = (value if isinstance(value, tree.Argument) else tree.Argument(HERE, value) for value in values)
    return tree.Call(HERE, word, tuple(arguments))


def binary(left: tree.Expression, sign: str, right: tree.Expression) -> tree.Binary:
    return tree.Binary(HERE, sign, left, right)


def target(word: str, *letters: str) -> tree.Target:
    return tree.Target(HERE, word, tuple(name(letter) for letter in letters))


def closed(lower: str, upper: str) -> tree.Interval:
    return tree.Interval(HERE, number(lower), number(upper), lower_open=False, upper_open=False)


def diagnostics(text: str) -> tuple[Diagnostic, ...]:
    """Everything that is said about a text."""
    try:
        parse(text)
    except MechError as error:
        return error.diagnostics
    return ()


def mistakes(text: str) -> list[tuple[str, int]]:
    """Code and line of everything that is said about a text."""
    return [(d.code, d.span.line if d.span else 0) for d in diagnostics(text)]


def nodes(node: object) -> Iterator[tree.Node]:
    """A node and all nodes in it."""
    if isinstance(node, tree.Node):
        yield node
    if isinstance(node, tuple):
        for part in node:
            yield from nodes(part)
    elif is_dataclass(node):
        for field in fields(node):
            yield from nodes(getattr(node, field.name))


# ---------------------------------------------------------------------------------------------------------- the grammar


def test_the_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    text = (resources.folder("grammar") / "mech.lark").read_text(encoding="utf-8")
    with caplog.at_level(logging.DEBUG, logger=lark.logger.name):
        lark.Lark(text, parser="lalr", start=list(STARTS), debug=True)  # reduce/reduce conflicts raise
    assert not [record for record in caplog.records if "onflict" in record.getMessage()]


@pytest.mark.parametrize("stem", TEXTS)
def test_the_grammar_is_the_whole_language(stem: str) -> None:
    """lark by itself, with its own lexer, reads the same tree off the grammar as the recovering reader."""
    text = (resources.folder("grammar") / "mech.lark").read_text(encoding="utf-8")
    plain = lark.Lark(text, parser="lalr", lexer="contextual", start="file", maybe_placeholders=True)
    grammar = load_grammar()
    assert read_tokens(grammar, scan(TEXTS[stem], grammar), "file").tree == plain.parse(TEXTS[stem])


@pytest.mark.parametrize("keyword", FORMS)
def test_the_example_of_every_statement_parses(keyword: str) -> None:
    body = next(body for body, words in load_grammar().statements.items() if keyword in words)
    around = {
        "file": "{}",
        "layer": "layer a {{ {} }}",
        "regime": "regime a {{ {} }}",
        "experiment": "experiment a {{ {} }}",
    }
    parse(around[body].format(FORMS[keyword]))


def test_every_statement_has_its_example() -> None:
    assert set(FORMS) == set().union(*load_grammar().statements.values())


# ---------------------------------------------------------------------------------------------------- the four examples


def test_the_examples_say_what_they_say() -> None:
    kinds = {
        stem: [type(s).__name__.removesuffix("Statement") for s in parse(TEXTS[stem]).statements] for stem in CONTRACT
    }
    assert kinds["six_regimes"] == [
        *(
            "Market",
            "Cite",
            "Index",
            "Param",
            "Param",
            "Param",
            "Param",
            "Layer",
            "Layer",
            "Let",
            "Constraint",
            "Report",
        ),
        *["Regime"] * 6,
        *["Claim"] * 2,
    ]
    assert kinds["data_market"] == [
        "Market",
        "Cite",
        "Index",
        *["Param"] * 3,
        "State",
        "Common",
        "Layer",
        "Layer",
        *["Regime"] * 5,
    ]
    assert kinds["attention_contest"] == [
        *("Market", "Cite", "Index", *["Param"] * 6, "Layer", "Layer", "Let", "Regime", "Regime")
    ]
    assert kinds["two_regimes"] == [
        *("Market", "Index", *["Param"] * 4, "Layer", "Layer", "Constraint", "Contract", *["Regime"] * 3),
        *["Experiment"] * 3,
    ]


def test_a_layer_of_the_first_example() -> None:
    layer = parse(TEXTS["six_regimes"]).statements[8]
    law = tree.Truncated(HERE, call("normal", number("0.5"), number("0.4")), closed("0.05", "1.5"))
    laws = tree.Mapping(HERE, ((name("video"), call("uniform", number("0.1"), number(1))), (name("text"), law)))
    from_zero = tree.Interval(HERE, number(0), name("inf"), lower_open=False, upper_open=True)
    assert layer == tree.LayerStatement(
        HERE,
        target("creator", "k"),
        (
            tree.TypeStatement(HERE, target("c", "k"), laws, "production efficiency, private"),
            tree.ChooseStatement(HERE, target("x", "k"), from_zero, "human content, quality-weighted"),
            tree.CostStatement(
                HERE, binary(at("c", name("k")), "*", binary(at("x", name("k")), "^", at("rho", name("k"))))
            ),
        ),
    )


def test_an_experiment_of_the_last_example() -> None:
    study = parse(TEXTS["two_regimes"]).statements[-2]
    assert isinstance(study, tree.ExperimentStatement)
    assert study.items == (
        tree.RegimesItem(HERE, (name("revenue"),)),
        tree.VaryItem(
            HERE,
            tuple(
                tree.Axis(HERE, ("d", label), tree.Range(HERE, number(1), number(20), number("0.5")))
                for label in ("sports", "music")
            ),
        ),
        tree.PlotItem(HERE, call("heatmap", at("x", name("sports")))),
        tree.PlotItem(HERE, call("heatmap", at("x", name("music")))),
    )


def test_a_signal_and_a_contest() -> None:
    creator = parse(TEXTS["data_market"]).statements[9]
    assert isinstance(creator, tree.LayerStatement)
    noise = call("noise", tree.Argument(HERE, binary(number(1), "/", at("e", name("i"))), name="variance"))
    common = binary(name("theta"), "+", binary(at("w", name("i")), "*", name("B")))
    assert creator.items[1] == tree.SignalStatement(HERE, target("s", "i"), binary(common, "+", noise))
    regime = parse(TEXTS["attention_contest"]).statements[-1]
    assert isinstance(regime, tree.RegimeStatement)
    prize = tree.Argument(HERE, binary(name("mu"), "*", binary(name("s"), "^", name("gt"))), name="prize")
    option = tree.Argument(HERE, binary(name("alpha"), "*", binary(name("s"), "^", name("bt"))), name="option")
    assert regime.body == (
        tree.ContractStatement(HERE, (), name("audience"), name("creator"), call("contest", prize, option)),
    )


# ------------------------------------------------------------------------------------------------------ statement forms


@pytest.mark.parametrize(
    "text",
    [
        "layer platform { cost sum(k: cg[k] * x[k]^rho[k]) }",
        "let X[k] = sum(n where home[n] == k: x[n])",
        "index n in creators = 1..6",
        "index n in creators = 1..N",
        "param home[n] in domains = {1: video, 2: text, 3: video}",
        "layer platform { value sum(k: a[k] * log(1 + x[k])) }",
        "contract platform -> creator: direct(payment = randomized, trials = 100)",
        "contract platform -> creator: direct(information = known)",
        "contract platform -> broker: presigned(tax = 0.1)",
        "contract firm -> intermediary: two_part_tariff(weights = precision)",
        "contract[k] audience -> creator: contest(score = x[i, k], prize = mu[k] * s[k]^gt)",
        "demand[k where d[k] > 0]: x[k] >= d[k]",
        "demand: x >= 1",
        "constraint cap[k]: x[k] <= 3",
        "layer a { type c[k] ~ mixture(0.3: normal(0, 1) on [0, 2], 0.7: uniform(0, 1)) }",
        "layer a { type c[k] ~ density(c: 1 + c) on [0, 1] }",
        'layer a { type c[k] ~ empirical("costs.csv", column = "cost") }',
        "layer a { type c ~ triangular(0, 1, 2) type e ~ point(3) }",
        "layer a { cost exp(x) - 1 } layer b { cost x + x^2 }",
        "let m[k] = mean(c[k]) + lower(c[k]) - upper(c[k])",
        "let q = if(a > b and not c == d, min(1, 2), max(abs(a), prod(i: x[i])))",
        'param mu[i, k] = csv("mu.csv")',
        "param mu[i, k] = [[0.3, 0.8], [0.5, 0.2]]",
        'param d[k] = {"New York": 3, -1: 2, 0.5: 1, video: 4}',
        'index c in cities = {"New York", Paris, 3, -1}',
        "regime a { set d[video] = 5 set d.video = 5 set mu = 0 set w.3 = 1 set mu[video, text] = {a: 1} }",
        "regime a { layer union { represents creator } index j in s = 1..2 param e = 1 report c = {video: 1} }",
        "objective planner: minimize cost + 2 * payoff",
        "experiment e { vary w in {1, 2, 5}, d[video] in [1, 2, 5], e in 1..3 by 1 / 2 table revenue(M1), x[video] }",
        "experiment e { vary seed in 1..3 table x[video](M1) / x[video] ( M2 ), sum(i: x[i](M1)), total(M1) }",
        "claim c: revenue(M1) >= revenue(M2) > 0, welfare(M1) != 2 * welfare(M2) 'doc'".replace("'", '"'),
        "layer creator[k] 'people who create' { choose x[k] }".replace("'", '"'),
        "layer creator[k] { choose x[k] <= 3 } 'people who create'".replace("'", '"'),
        "let ρ_1 = Δ * 2 'doc'".replace("'", '"'),
    ],
)
def test_forms_that_must_parse(text: str) -> None:
    assert parse(text).statements


@pytest.mark.parametrize(
    ("text", "lower", "upper", "opened"),
    [
        ("in [0, 10]", number(0), number(10), (False, False)),
        ("in (0, 1]", number(0), number(1), (True, False)),
        (">= a", name("a"), name("inf"), (False, True)),
        ("<= 3", tree.Unary(HERE, "-", name("inf")), number(3), (True, False)),
    ],
)
def test_bounds_of_a_choice(
    text: str, lower: tree.Expression, upper: tree.Expression, opened: tuple[bool, bool]
) -> None:
    (layer,) = parse(f"layer a {{ choose x {text} }}").statements
    bounds = tree.Interval(HERE, lower, upper, lower_open=opened[0], upper_open=opened[1])
    assert layer == tree.LayerStatement(HERE, target("a"), (tree.ChooseStatement(HERE, target("x"), bounds),))


def test_descriptions() -> None:
    text = 'index i in s = 1..2 "a" let x = 1 "b" state t "c" contract a -> b: direct "d" layer l { cost 1 "e" } "f"'
    index, let, state, contract, layer = parse(text).statements
    assert isinstance(layer, tree.LayerStatement)
    found = [index, let, state, contract, layer.items[0], layer]
    assert [getattr(node, "doc", None) for node in found] == list("abcdef")


@pytest.mark.parametrize("word", sorted(load_grammar().keywords.keys() - {"not"} | {"sum", "prod"}))
def test_keywords_are_names_where_a_name_can_stand(word: str) -> None:
    text = "param W[W] = W + 2 * W[W]\nlayer W { cost W value W }\nlet W = W".replace("W", word)
    param, layer, let = parse(text).statements
    assert isinstance(param, tree.ParamStatement)
    assert param.value == binary(name(word), "+", binary(number(2), "*", at(word, name(word))))
    assert layer == tree.LayerStatement(
        HERE, target(word), (tree.CostStatement(HERE, name(word)), tree.ValueStatement(HERE, name(word)))
    )
    assert let == tree.LetStatement(HERE, target(word), name(word))


@pytest.mark.parametrize(
    ("written_as", "canonical"),
    [
        *[("ρ", "rho"), ("rho", "rho"), ("Δx", "Deltax"), ("ρ_1", "rho_1"), ("µ", "mu"), ("μ", "mu"), ("ϵ", "epsilon")],
        *[
            ("é", "é"),
            ("e\u0301", "é"),
            ("λ", "lambda"),
            ("Ω", "Omega"),
            ("\u2126", "Omega"),
            ("π", "pi"),
            ("ς", "sigma"),
        ],
    ],
)
def test_one_identifier_however_it_is_written(written_as: str, canonical: str) -> None:
    assert parse(f"let {written_as}[{written_as}] = {written_as}") == parse(
        f"let {canonical}[{canonical}] = {canonical}"
    )
    assert parse_expression(written_as) == name(canonical)


def test_white_space_and_comments_mean_nothing() -> None:
    text = "param d[k] in [0, inf) = {video: 3}\nlayer a { cost 1 }"
    words = re.findall(r"\w+|[^\w\s]", text)
    assert parse("\n".join(words)) == parse(text)
    assert parse("\r\n".join(words)) == parse(text)
    assert parse("\t# param x = 1\n".join(words)) == parse(text)
    assert parse("\ufeff" + text.replace(" ", "\u00a0")) == parse(text)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        *[("0.1", Fraction(1, 10)), ("1e-3", Fraction(1, 1000)), (".5", Fraction(1, 2)), ("3.", 3), ("0", 0)],
        *[("2.5E+2", 250), ("1e300", 10**300)],
        ("0.1000000000000000055511151231257827", Fraction(1000000000000000055511151231257827, 10**34)),
    ],
)
def test_numbers_are_exact(literal: str, value: Fraction) -> None:
    assert parse_expression(literal) == tree.Number(HERE, Fraction(value))


def test_ranges_and_decimals_do_not_mix() -> None:
    (axis,) = parse_axes("x in 1..2.5 by .5")
    assert axis.values == tree.Range(HERE, number(1), number("2.5"), number("0.5"))


def test_what_the_command_line_is_made_of() -> None:
    assert parse_values('c.video=0.3,w.3=-1, m."New York".b = 2, x[-0.5]=1/3, mu=0') == (
        tree.SetStatement(HERE, name("c"), (name("video"),), number("0.3")),
        tree.SetStatement(HERE, name("w"), (number(3),), tree.Unary(HERE, "-", number(1))),
        tree.SetStatement(HERE, name("m"), (tree.String(HERE, "New York"), name("b")), number(2)),
        tree.SetStatement(HERE, name("x"), (number("-0.5"),), binary(number(1), "/", number(3))),
        tree.SetStatement(HERE, name("mu"), (), number(0)),
    )
    assert [
        axis.path for axis in parse_axes('d.video in 1..2, w.3 in {1}, m."New York"[1] in [1]'.replace("[1] in", " in"))
    ] == [
        ("d", "video"),
        ("w", "3"),
        ("m", "New York"),
    ]
    assert parse_chains("a >= b > 0, c == 1") == (
        tree.Chain(HERE, (name("a"), name("b"), number(0)), (">=", ">")),
        tree.Chain(HERE, (name("c"), number(1)), ("==",)),
    )
    assert parse_expression("heatmap(x[video])") == call("heatmap", at("x", name("video")))


@pytest.mark.parametrize("reader", [parse_values, parse_axes, parse_chains, parse_expression])
@pytest.mark.parametrize(
    "text", ["", "d.video in 1..", "x =", "a >=", "= 3", "let a = 1", "x )", "a, ", '"', "\x00", "x y"]
)
def test_a_piece_that_does_not_parse_is_refused_once(reader: object, text: str) -> None:
    assert callable(reader)
    with pytest.raises(MechError) as caught:
        reader(text)
    assert len(caught.value.diagnostics) <= 2  # one of the scan, one of the parser


# ---------------------------------------------------------------------------------------- expressions, against Python's


def like_python(node: object) -> object:
    """Our expression as nested tuples."""
    match node:
        case tree.Name(id=word):
            return word
        case tree.Number(value=value):
            return int(value)
        case tree.Unary(operator=sign, operand=inner):
            return (sign, like_python(inner))
        case tree.Binary(operator=sign, left=left, right=right):
            return (sign, like_python(left), like_python(right))
        case tree.Call(name=word, arguments=arguments):
            return (word, *(like_python(argument.value) for argument in arguments))
    raise AssertionError(node)


SIGNS: dict[type, str] = dict(
    zip(
        (
            *(python.Add, python.Sub, python.Mult, python.Div, python.Pow, python.USub, python.UAdd),
            *(python.Not, python.And, python.Or),
            *(python.Lt, python.LtE, python.Gt, python.GtE, python.Eq, python.NotEq),
        ),
        "+ - * / ^ - + not and or < <= > >= == !=".split(),  # noqa: SIM905
        strict=True,
    )
)


def from_python(node: python.AST) -> object:
    """Python's reading of the same text, in the same tuples."""
    match node:
        case python.Name(id=word):
            return word
        case python.Constant(value=value):
            return value
        case python.UnaryOp(op=sign, operand=inner):
            return (SIGNS[type(sign)], from_python(inner))
        case python.BinOp(op=sign, left=left, right=right):
            return (SIGNS[type(sign)], from_python(left), from_python(right))
        case python.BoolOp(op=sign, values=[left, *rest]):
            found = from_python(left)
            for right in rest:
                found = (SIGNS[type(sign)], found, from_python(right))
            return found
        case python.Compare(left=left, ops=[sign], comparators=[right]):
            return (SIGNS[type(sign)], from_python(left), from_python(right))
        case python.Call(func=python.Name(id=word), args=arguments):
            return (word, *map(from_python, arguments))
    raise AssertionError(python.dump(node))


def arithmetic(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(["x", "rho", "1", "20"])
    inner = [arithmetic(rng, depth - 1) for _ in range(3)]
    return rng.choice(
        [
            f"{inner[0]} {rng.choice('+-*/^')} {inner[1]} {rng.choice('+-*/^')} {inner[2]}",
            f"{rng.choice('+-')}{inner[0]}",
            f"({inner[0]})",
            f"max({inner[0]}, {inner[1]})",
        ]
    )


def condition(rng: random.Random, depth: int) -> str:
    if depth == 0:
        sign = rng.choice(["<", "<=", ">", ">=", "==", "!="])
        return f"{arithmetic(rng, 2)} {sign} {arithmetic(rng, 2)}"
    left, right = condition(rng, depth - 1), condition(rng, depth - 1)
    return rng.choice([f"{left} {rng.choice(['and', 'or'])} {right}", f"not {left}", f"({left})"])


def test_operators_bind_as_in_python() -> None:
    rng = random.Random(7)  # noqa: S311
    for _ in range(300):
        text = condition(rng, rng.randrange(3)) if rng.random() < 0.5 else arithmetic(rng, 3)
        read = python.parse(text.replace("^", "**"), mode="eval").body
        assert like_python(parse_expression(text)) == from_python(read), text


def test_a_power_binds_tighter_than_a_sign_and_to_the_right() -> None:
    power = binary(number(2), "^", binary(number(3), "^", name("x")))
    assert parse_expression("-2^3^x") == tree.Unary(HERE, "-", power)


# --------------------------------------------------------------------------------------------------------------- places


@pytest.mark.parametrize("stem", TEXTS)
def test_every_node_knows_its_place(stem: str) -> None:
    text = TEXTS[stem]
    file = parse(text)
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    for node in nodes(file):
        span = node.span
        assert 0 <= span.start <= span.end <= len(text)
        assert span.start == starts[span.line - 1] + span.column - 1
        assert span.end == starts[span.end_line - 1] + span.end_column - 1
        piece = text[span.start : span.end]
        match node:
            case tree.Name(id=word) if word != "inf":
                assert piece == word
            case tree.Number(value=value):
                assert Fraction(piece) == value
            case tree.Call(name=word) | tree.Subscript(name=word) | tree.Target(name=word):
                assert piece.startswith(word)
    for before, after in pairwise(file.statements):
        assert before.span.end <= after.span.start


def test_a_statement_is_where_its_words_are() -> None:
    text = "  # note\n  param d[k] in [0, 1] = (1 + 2)  'doc' # end\n".replace("'", '"')
    (param,) = parse(text).statements
    assert text[param.span.start : param.span.end] == 'param d[k] in [0, 1] = (1 + 2)  "doc"'


# ------------------------------------------------------------------------------------------------------------- mistakes


def test_several_mistakes_are_all_found() -> None:
    text = (CASES / "bad" / "several_mistakes.mech").read_text(encoding="utf-8")
    lines = [2, 3, 4, 7, 9, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23]  # one each; line 19 is one of two statements
    assert [line for _, line in mistakes(text)] == lines


def test_one_word_less_is_one_mistake_at_most() -> None:
    """Whatever word is left out of a good text, no more than one mistake is reported: no cascades."""
    for text in (TEXTS[stem] for stem in CONTRACT):
        for token in syntax.parse_pieces(text).tokens[1:-1:4]:
            assert token.start_pos is not None
            assert token.end_pos is not None
            gap = " " * (token.end_pos - token.start_pos)
            found = mistakes(text[: token.start_pos] + gap + text[token.end_pos :])
            assert len(found) <= 1, (token, token.line, found)


SHUT = {"(": ")", "[": "]", "{": "}"}


def brackets(text: str) -> list[tuple[lark.Token, lark.Token, bool]]:
    """Every bracket with its partner, and whether the two hold the body of a statement."""
    tokens = syntax.parse_pieces(text).tokens
    opened: list[int] = []
    found = []
    for i, token in enumerate(tokens):
        if token in SHUT:
            opened.append(i)
        elif token in SHUT.values():
            first = tokens[opened[-1] + 1]
            found.append((tokens[opened.pop()], token, first.type not in {"NAME", "NUMBER", "STRING", "LSQB", "MINUS"}))
    return [(a, b, body and a == "{") for a, b, body in found]


def changed(text: str, *changes: tuple[lark.Token, str]) -> str:
    for token, new in sorted(changes, key=lambda change: -(change[0].start_pos or 0)):
        text = text[: token.start_pos] + new + text[token.end_pos :]
    return text


def test_a_forgotten_bracket_is_one_mistake_where_it_was_forgotten() -> None:
    for text in (TEXTS[stem] for stem in CONTRACT):
        for pair in brackets(text):
            for token in pair[:2]:
                assert token.line is not None
                found = mistakes(changed(text, (token, "")))
                assert len(found) == 1, (token, token.line, found)
                assert abs(found[0][1] - token.line) <= 1, (token, token.line, found)


def test_a_bracket_that_stands_twice_is_one_mistake() -> None:
    for text in (TEXTS[stem] for stem in CONTRACT):
        for pair in brackets(text):
            for token in pair[:2]:
                found = mistakes(changed(text, (token, 2 * token)))
                assert len(found) == 1, (token, token.line, found)
                assert abs(found[0][1] - (token.line or 0)) <= 1, (token, token.line, found)


def test_a_body_with_other_brackets_or_none_is_one_mistake() -> None:
    for text in (TEXTS[stem] for stem in CONTRACT):
        bodies = [(opener, closer) for opener, closer, body in brackets(text) if body]
        for opener, closer in bodies:
            for one, other in (("", ""), ("(", ")"), ("[", "]"), ("{", ")"), ("(", "}")):
                found = mistakes(changed(text, (opener, one), (closer, other)))
                assert len(found) == 1, (opener.line, one, other, found)
                place = closer.line if one == "{" else opener.line
                assert abs(found[0][1] - (place or 0)) <= 1, (opener.line, one, other, found)
        without = changed(text, *((token, "") for pair in bodies for token in pair))
        assert {code for code, _ in mistakes(without)} == {"M004"}
        assert len(mistakes(without)) <= len(bodies)


def test_one_word_more_is_hardly_more_than_one_mistake() -> None:
    rng = random.Random(3)  # noqa: S311
    signs = [",", ")", "]", "}", "{", "(", "[", "=", "x", "3", '"s"', "param", "let", "choose", "+", "~", ":", "in"]
    counts = []
    for text in (TEXTS[stem] for stem in CONTRACT):
        for token in syntax.parse_pieces(text).tokens[1:-1:6]:
            assert token.start_pos is not None
            extra = f" {rng.choice(signs)} "
            counts.append(len(mistakes(text[: token.start_pos] + extra + text[token.start_pos :])))
    assert max(counts) <= 3
    assert sum(count > 1 for count in counts) <= 0.05 * len(counts)


def test_no_more_mistakes_than_anyone_reads() -> None:
    assert len(mistakes("let a = \n" * 1000)) == MAX_MISTAKES


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("let a = 1\nlet b = )\nlet c = 3 +", [("M006", 2), ("M004", 3)]),
        ("param d = # nothing\n\n\nparam e = 3", [("M004", 1)]),
        ("layer a { cost }\nlayer b { value }", [("M004", 1), ("M004", 2)]),
        ("layer a { cost f(x }\nlet b = 2", [("M005", 1)]),
        ("layer a[k { cost 1 }\nlet b = 2", [("M005", 1)]),
        ("regime { set a = 1 }\nregime b { set = 1 }", [("M004", 1), ("M004", 2)]),
        ("regime a {\n  layer b {\n    cost 1\n  set c = 1\n}\nregime d { set c = 2 }", [("M005", 3)]),
        ("layer a {\n  cost 1\n", [("M005", 2)]),
        ("layer a {\n  let b = 1\n  cost 1\n}", [("M009", 2)]),
        ("layer a {\nlet b = 1\ncost 1\n}\nregime r { set b = 2 }", [("M009", 2)]),
        ("layer a {\n  cost 1\nregime r\n  set b = 2\n}", [("M005", 2), ("M004", 4)]),
        ("regime r {\n  set b = 2\nlet c = 1\nclaim d: c >= 1", [("M005", 2)]),
        ("regime r {\n  layer a { cost 1 }}\n  set b = 2\n}", [("M006", 2)]),
        ('market m "x" {\n  let b = 1\n  let c =\n}\nlet d =', [("M004", 1), ("M004", 3), ("M004", 5)]),
        ("layer a {\n  chose x\n  cots 1\n}", [("M007", 2), ("M007", 3)]),
        ("what is this {\n  type c ~ uniform(0, 1)\n}\nlet b = 1", [("M007", 1)]),
        ("let a = 'x'\nlet b = 1".replace("'", "`"), [("M003", 1)]),
        ('let a = "x\nlet b = ', [("M008", 1), ("M004", 2)]),
        ("let a = 1; let b = 2;", [("M003", 1), ("M003", 1)]),
        ("let a = 2 rate\nlet b = 1", [("M004", 1)]),
        ("objective p maximize revenue\nlet b = 1", [("M004", 1)]),
        ("let a = f(x))\nlet b = (1 + 2\nlet c = [1, 2", [("M006", 1), ("M005", 2), ("M005", 3)]),
    ],
)
def test_where_mistakes_are_seen(text: str, found: list[tuple[str, int]]) -> None:
    assert mistakes(text) == found


# --------------------------------------------------------------------------------------------------------- hostile text

HOSTILE = {
    "a million digits": "param d = " + "9" * 1_000_000,
    "many digits": "param d = " + "9" * 400_000,
    "a vast exponent": "param d = 1e" + "9" * 400_000,
    "zero times a vast power": "param d = 0e999999999",
    "parentheses": "let a = " + "(" * 20_000 + "1" + ")" * 20_000,
    "calls": "let a = " + "f(" * 20_000 + "1" + ")" * 20_000,
    "maps": "let a = " + "{a: " * 20_000,
    "bodies": "layer a { " * 20_000,
    "signs": "let a = " + "-" * 20_000 + "1",
    "negations": "let a = " + "not " * 20_000 + "b",
    "powers": "let a = " + "2^" * 19_000 + "2",
    "a long sum": "let a = " + "1 + " * 19_000 + "1",
    "every byte": "".join(map(chr, range(256))) * 1_000,
    "null bytes": "\0" * 400_000,
    "lone surrogates": "let a = \ud800\udfff",
    "bidirectional marks": 'market m "\u202egnol"',
    "marks in comments": "# \u2066\nlet a = 1",
    "curly quotes": "“" * 400_000,
    "quotes": '"' * 400_000,
    "a long name": "let " + "a" * 400_000 + " = 1",
    "a long path": "regime a { set a" + ".b" * 200_000 + " = 1 }",
    "combining marks": "let a" + "\u0301" * 400_000 + " = 1",
    "closing braces": "}" * 39_000,
    "closing parentheses": ")" * 39_000,
    "keywords": "param " * 39_000,
    "unfinished statements": "let a = \n" * 12_000,
    "unknown statements": "foo bar\n" * 19_000,
    "escape sequences": 'market m "\x1b[2J"',
    "a hundred megabytes": "a" * 100_000_000,
    "python": "let a = __import__('os').system('true')",
    "more python": "param d = [x for x in (1).__class__.__base__.__subclasses__()]",
}


@pytest.mark.parametrize("title", HOSTILE)
def test_hostile_texts_are_refused(title: str) -> None:
    with pytest.raises(MechError) as caught:
        parse(HOSTILE[title])
    message = str(caught.value)
    assert len(message) < 40_000
    message.encode()  # nothing that cannot be printed
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", message)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("#" * 499_999, 0),
        (" " * 499_999, 0),
        ("\n" * 499_999, 0),
        ("param d = [" + "1," * 9_000 + "1]", 1),
        ("let a = " + "1 + " * 140 + "1", 1),
        ("let a = " + "(" * 49 + "1" + ")" * 49, 1),
        ("layer a layer b " * 5_000, 10_000),
    ],
)
def test_large_texts_within_the_limits_are_read(text: str, count: int) -> None:
    assert len(parse(text).statements) == count


@given(st.text(max_size=200))
@quick
def test_any_text_parses_or_is_refused(text: str) -> None:
    assert len(diagnostics(text)) <= MAX_MISTAKES + 1


SOUP = [
    *load_grammar().keywords,
    *"(){}[],:=~+-*/^<>#.",
    "x",
    "k",
    "1",
    "0.5",
    '"s"',
    "->",
    "..",
    ">=",
    "sum(",
    "\n",
    "\n",
    "d.v",
]


@given(st.lists(st.sampled_from(SOUP), max_size=60))
@settings(quick, max_examples=500)
def test_any_words_parse_or_are_refused(words: list[str]) -> None:
    text = " ".join(words)
    for diagnostic in diagnostics(text):
        assert diagnostic.hint
        assert diagnostic.span is not None
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)


@given(written(), st.randoms(use_true_random=False))
@quick
def test_texts_with_a_word_or_two_changed(text: str, rng: random.Random) -> None:
    words = re.findall(r"\s+|\w+|.", text)
    for _ in range(rng.randrange(1, 3)):
        if words:
            words[rng.randrange(len(words))] = rng.choice(SOUP)
    assert len(diagnostics("".join(words))) <= 8


# ---------------------------------------------------------------------------------------------------------------- files


def refusal(path: Path) -> str:
    with pytest.raises(MechError) as caught:
        syntax.read(path)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code


def test_a_file_is_read_with_its_source(tmp_path: Path) -> None:
    path = tmp_path / "m.mech"
    path.write_bytes(b'\xef\xbb\xbfmarket m "t"\r\nlet a = 1\r\n')
    file, source = syntax.read(str(path))
    assert file == parse('market m "t" let a = 1')
    assert source.name == str(path)
    assert source.line(2) == "let a = 1"
    assert file.statements[1].span.line == 2


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing.mech") == "M001"
    assert refusal(tmp_path) == "M001"
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "M001"
    assert refusal(Path("/dev/zero")) == "M001"
    for content in (
        b"\x7fELF\0\0",
        "let a = é".encode("latin-1"),
        "let a = 1".encode("utf-16"),
        b"\xc0\x80",
        b"\xed\xa0\x80",
    ):
        (tmp_path / "bad.mech").write_bytes(content)
        assert refusal(tmp_path / "bad.mech") == "M001"
    with pytest.raises(MechError):
        syntax.read("a\0b")


def test_a_vast_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "vast.mech"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    assert refusal(path) == "M002"


def test_a_file_that_grows_while_it_is_read_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "large.mech"
    path.write_text("#" * (syntax.MAX_CHARACTERS + 1), encoding="utf-8")
    assert refusal(path) == "M002"
