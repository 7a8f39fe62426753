"""Formulas and derivations as shown: the text means what the formula does, and documents are whole and sound."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from xml.parsers import expat

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from latex_reader import assert_latex
from markets import DOMAINS, NONNEGATIVE, I, K, falling, genai, law, multitask, several_creators, single

from mechdsl import syntax, theory
from mechdsl import syntax_tree as tree
from mechdsl.derivation import Derivation, Step
from mechdsl.evaluate import evaluate
from mechdsl.formula import REAL_LINE, Entry, IndexProduct, IndexSet, IndexSum, Interval, Letter, Quantity
from mechdsl.market import Declaration, Market
from mechdsl.outcome import Outcome
from mechdsl.program import Status
from mechdsl.report.formulas import display_latex, latex, mathml, text
from mechdsl.report.inspect import FORMATS, Inspection, inspect, inspection
from mechdsl.report.prose import latex_prose, latex_text, markdown_prose, text_prose
from mechdsl.structure import Handles, Registry, Structure

X = Quantity("x", (DOMAINS,), "decision", NONNEGATIVE)
MU = Quantity("mu", (DOMAINS, DOMAINS), "param", NONNEGATIVE)
RHO = Quantity("rho", (DOMAINS,), "param", Interval(1, float("inf")))
A, B, P, Q = (Quantity(name, (), "param", Interval(0, float("inf"), True)) for name in ("a", "b", "p", "q"))


def derivation(market: Market) -> Derivation:
    """All steps that a structure for revenue strings together."""
    weight = theory.virtual_cost_of(market.types[0])
    program = theory.pointwise_program(market, weight)
    steps = (
        theory.change_of_variables_step(market),
        theory.transformed_demand_step(market),
        theory.truthtelling_step(market),
        theory.participation_step(market),
        theory.envelope_step(market, weight, lambda d: d.affine_virtual_cost),
        theory.virtual_cost_step(market),
        theory.pointwise_step(program, weight),
        theory.kkt_step(program),
    )
    return Derivation("Revenue", steps)


def shown(market: Market) -> Inspection:
    return Inspection(market, "revenue", "contracts: direct", derivation(market))


MARKETS = {
    "genai": genai(training=0.1),
    "creators": several_creators(),
    "multitask": multitask(),
    "falling": falling(),
    "exponential": single(lambda c, x: c * (sp.exp(x) - 1), law("triangular", 0, Fraction(1, 3), 1)),
    "elastic": single(lambda c, x: c * x, law("beta", 2, 3, on=(0, 1)), value=lambda x, d: d * sp.log(1 + x)),
}


# Formulas.


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (X[K] + IndexSum(MU[I, K] * X[I] ** RHO[I], (I,)), "x[k] + Σ_i μ[i, k]·x[i]^ρ[i]"),
        (A - (B - P), "a + p − b"),
        (-A * (B + P), "−a·(b + p)"),
        (sp.Add(A, sp.Mul(-1, B + P, evaluate=False), evaluate=False), "a − (b + p)"),
        (A / (B * P), "a/(b·p)"),
        ((A + B) / P, "(a + b)/p"),
        (A**-2, "1/a²"),
        (A ** (1 / B), "a^(1/b)"),
        (A ** (B + 1), "a^(1 + b)"),
        ((A**B) ** 2 + (A + B) ** 3, "(a + b)³ + a^(2·b)"),
        (sp.sqrt(1 + 4 * A) / 2 - sp.Rational(1, 2), "√(1 + 4·a)/2 − 1/2"),
        (IndexSum(X[I], (I,), sp.Ne(I, K)) ** 2 * A, "a·(Σ[i: i ≠ k] x[i])²"),
        (A * IndexSum(X[I], (I,)) + B, "b + a·Σ_i x[i]"),
        (IndexProduct(X[K] + 1, (K,)), "Π_k (1 + x[k])"),
        (X[0] - X[1] / 2, "x[video] − x[text]/2"),
        (sp.Max(A, B), "max(a, b)"),
        (sp.Abs(A - B), "|a − b|"),
        (sp.Piecewise((A, sp.Gt(A, B)), (B, True)), "if(a > b, a, b)"),
        (sp.KroneckerDelta(K, 0), "[k = video]"),
        (sp.exp(-A) * sp.log(B), "exp(−a)·log(b)"),
        (sp.Ge(A, B, evaluate=False), "a ≥ b"),
        (sp.And(sp.Gt(A, B), sp.Lt(P, Q)), "a > b ∧ p < q"),
        (sp.oo, "∞"),
        (sp.Float("1e-22"), "1e-22"),
        (sp.Float(0.1), "0.1"),
    ],
)
def test_text_of_formulas(formula: sp.Basic, expected: str) -> None:
    assert text(formula) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (X[K] ** RHO[K], r"x_{k}^{\rho_{k}}"),
        (A ** (1 / B), r"a^{1/b}"),
        (A / B, r"\frac{a}{b}"),
        (X[0], r"x_{\text{video}}"),
        (IndexSum(X[I], (I,), sp.Ne(I, K)), r"\sum_{i :\, i \ne k} x_{i}"),
        (Quantity("c_G", (DOMAINS,))[K], "c_{G, k}"),
        (Quantity("x12"), "x_{12}"),
        (Quantity("ρ"), r"\rho"),
        (Quantity("training_cost"), r"\text{training\_cost}"),
        (Quantity("quality"), r"\mathit{quality}"),
        (Quantity("coût"), r"\text{co\^{u}t}"),
        (Quantity("mean(c)", (DOMAINS,), "statistic")[K], r"\operatorname{mean}\left(c_{k}\right)"),
        (Quantity("b′") ** 2, "b'^{2}"),
        (sp.Float("1.5e-22"), r"1.5 \times 10^{-22}"),
        (2 * sp.Integer(3) ** A, r"2 \cdot 3^{a}"),
        (Quantity("m", (), "param", REAL_LINE, r"\lambda^{0}") ** 2, r"{\lambda^{0}}^{2}"),
        (Entry(X, Letter("k", IndexSet("numbers", ("1", "2")))), "x_{k}"),
        (Quantity("w", (IndexSet("numbers", ("1", "2")),))[1], "w_{2}"),
    ],
)
def test_latex_of_formulas(formula: sp.Basic, expected: str) -> None:
    assert latex(formula) == expected


def test_long_displays_are_broken_between_terms() -> None:
    long = sp.Add(*(Quantity(f"quantity{n}") for n in range(12)))
    broken = display_latex(sp.Ge(long, A, evaluate=False))
    assert broken.startswith(r"\begin{aligned}")
    assert broken.count(r"\\") >= 1
    assert_latex(rf"\[ {broken} \]", document=False)
    assert display_latex(A + B) == "a + b"


def assert_xml(source: str) -> None:
    """`source` is well-formed XML."""
    expat.ParserCreate().Parse(source, True)


SCALARS = st.sampled_from([A, B, P, Q, sp.Integer(2), sp.Integer(3), sp.Rational(1, 3), sp.Rational(5, 2)])
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] / p[1] if p[1] != 0 else p[0]),
        st.tuples(inner, st.sampled_from([sp.Integer(2), sp.Integer(-1), sp.Rational(1, 2), A, B + 1, -P, A / B])).map(
            lambda p: p[0] ** p[1] if p[0] != 0 else p[0]
        ),
        inner.map(sp.exp),
        inner.map(lambda e: sp.log(e) if e != 0 else e),
        st.tuples(inner, inner).map(lambda p: sp.Max(p[0], p[1], evaluate=False)),
    ),
    max_leaves=7,
)


OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., float]] = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt, "max": max}


def read_back(source: str, at: dict[str, float]) -> float:
    """What the printed text says, read by the language's own parser and worked out node by node."""
    for sign, word in (("−", "-"), ("·", "*"), ("²", "^2"), ("³", "^3")):
        source = source.replace(sign, word)
    source = re.sub(r"√(\w+)", r"sqrt(\1)", source).replace("√", "sqrt")
    return _worked_out(syntax.parse_expression(source), at)


def _worked_out(node: tree.Node, at: dict[str, float]) -> float:
    match node:
        case tree.Number():
            return float(node.value)
        case tree.Name():
            return at[node.id]
        case tree.Unary():
            return -_worked_out(node.operand, at)
        case tree.Binary():
            return float(OPERATIONS[node.operator](_worked_out(node.left, at), _worked_out(node.right, at)))
        case tree.Call():
            return float(FUNCTIONS[node.name](*(_worked_out(a.value, at) for a in node.arguments)))
    raise AssertionError(node)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(formula=TREES)
def test_the_text_means_what_the_formula_means(formula: sp.Expr) -> None:
    """Parentheses, signs and fractions: the text, read back, has the formula's value."""
    if formula.has(sp.zoo, sp.nan, sp.oo, sp.I) or formula.is_number:
        return
    values = {A: 0.7, B: 1.9, P: 0.4, Q: 2.3}
    with np.errstate(all="ignore"):
        expected = float(evaluate(formula, {q: np.array(v) for q, v in values.items()}))
        if not np.isfinite(expected) or abs(expected) > 1e100:
            return
        assert read_back(text(formula), {str(q.name): v for q, v in values.items()}) == pytest.approx(
            expected, rel=1e-9
        )
    assert_xml(mathml(formula))
    assert_latex(rf"\[ {latex(formula)} \]", document=False)


# LaTeX documents, read strictly.


@pytest.mark.parametrize("name", MARKETS)
def test_documents_are_whole(name: str, tmp_path: Path) -> None:
    source = FORMATS["latex"]([shown(MARKETS[name])])
    assert_latex(source)
    compiler = shutil.which("pdflatex")
    if compiler is not None:
        (tmp_path / "document.tex").write_text(source, encoding="ascii")
        command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
        assert run.returncode == 0, run.stdout[-2000:].decode("latin-1")


WRONG = [
    r"\[ x", r"\[ \left( x \]", "$x_k$ {", r"\text{$x$", r"\section{\frac{1}{2}}", r"\unheardof", "a_b", "50% of it",
    r"\[ \begin{aligned} x \]", r"\[ x^\frac \]", "é",
]  # fmt: skip


@pytest.mark.parametrize("source", WRONG)
def test_the_strict_reader_is_strict(source: str) -> None:
    with pytest.raises((AssertionError, IndexError)):
        assert_latex(source, document=False)


# Names, labels and descriptions of anyone's making.

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.from_regex(r"[^\W\d]\w{0,8}", fullmatch=True)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(prose=st.one_of(WORDS, st.text("$\\{}^_xk%&#~<é中", max_size=14)))
def test_prose_compiles_whatever_it_holds(prose: str) -> None:
    assert_latex(latex_text(prose), document=False)
    assert_latex(latex_prose(prose), document=False)
    assert "\n" not in markdown_prose("a\nb")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(name=NAMES, label=WORDS, doc=WORDS)
def test_any_name_label_and_description_is_shown(name: str, label: str, doc: str) -> None:
    index_set = IndexSet("set", (label, "other"))
    letter = Letter("k", index_set)
    quantity = Quantity(name, (index_set,), "param", NONNEGATIVE)
    formula = quantity[letter] ** 2 + quantity[0]
    market = replace(genai(), title=doc, citations=(doc,), declarations={name: Declaration(quantity, (letter,), doc)})
    step = Step(
        "a step", sp.Ge(formula, 1, evaluate=False), f"{doc} matters, as $x^{{2}}$ does.", doc, ((label, formula),)
    )
    inspected = [Inspection(market, "revenue", doc, Derivation(doc, (step,)))]
    assert_latex(FORMATS["latex"](inspected))
    assert_xml(mathml(formula))
    assert json.loads(FORMATS["json"](inspected))["regimes"]["main"]["steps"][0]["source"] == doc
    assert FORMATS["text"](inspected)
    assert FORMATS["markdown"](inspected)


def test_mathematics_in_sentences() -> None:
    assert text_prose(r"In $y = \phi(x)$ it is $\mathrm{E}[c\, y]$.") == "In y = φ(x) it is E[c y]."
    assert text_prose(r"a report $\hat{c}$ at 5$") == r"a report $\hat{c}$ at 5$"  # odd: no mathematics is meant
    assert latex_prose(r"In $y = \phi(x)$, 50% of a_b") == r"In $y = \phi(x)$, 50\% of a\_b"
    assert latex_prose(r"not $\input{secret}$ nor $x_{$") == (
        r"not \texttt{\textbackslash{}input\{secret\}} nor \texttt{x\_\{}"
    )
    assert markdown_prose("x[i]*y[i] is $x_i$ <b>") == r"x\[i\]\*y\[i\] is $x_i$ \<b\>"


# Derivations.


@pytest.mark.parametrize("name", MARKETS)
def test_json_says_every_step(name: str) -> None:
    found = json.loads(FORMATS["json"]([shown(MARKETS[name])]))
    assert found["schema"] == "mechdsl/1"
    assert found["command"] == "inspect"
    assert found["market"] == "by_hand"
    regime = found["regimes"]["main"]
    assert regime["structure"] == "revenue"
    steps = derivation(MARKETS[name]).steps
    assert [s["name"] for s in regime["steps"]] == [s.name for s in steps]
    for written, step in zip(regime["steps"], steps, strict=True):
        assert set(written) == {"name", "formula", "formulas", "because", "source", "proved", "holds"}
        assert written["formula"] == {"text": text(step.formula), "latex": latex(step.formula)}
        assert len(written["formulas"]) == len(step.formulas)
        assert written["proved"] is step.proved
        assert written["because"]
        assert written["source"]


@pytest.mark.parametrize("name", MARKETS)
def test_text_and_markdown_say_every_step(name: str) -> None:
    plain, marked = FORMATS["text"]([shown(MARKETS[name])]), FORMATS["markdown"]([shown(MARKETS[name])])
    unwrapped = " ".join(plain.split())
    for number, step in enumerate(derivation(MARKETS[name]).steps, 1):
        assert f"{number}. {step.name} (" in plain
        if step.formula != sp.true:
            assert " ".join(text(step.formula).split()) in unwrapped
            assert display_latex(step.formula) in marked
        assert " ".join(text_prose(step.because).split()) in unwrapped
    assert "$\\" not in plain
    assert marked.count("$$") % 2 == 0
    assert all(len(line) <= 96 or " " not in line.strip() for line in plain.splitlines()[2:] if "·" not in line)


def test_symbols_are_explained() -> None:
    plain = FORMATS["text"]([shown(MARKETS["genai"])])
    for row in ("d[k]     content demanded; in [0, ∞)", "γ[i, k]  GenAI capability; in [0, 1]", "vc       virtual cost",
                "λ        shadow price", "c₋ₖ      everyone else's", "F_k      cumulative distribution"):  # fmt: skip
        assert row in plain
    assert "ρ[k]" in plain
    assert r"\rho_{k}" in FORMATS["latex"]([shown(MARKETS["genai"])])


def test_a_claim_that_fails_is_shown_to_fail() -> None:
    assert "2. transformed demand (does not hold here)" in FORMATS["text"]([shown(MARKETS["falling"])])
    cubic = shown(single(lambda c, x: c * (x**3 + x), law("uniform", 0, 1)))
    assert "1. change of variables (checked on this instance)" in FORMATS["text"]([cubic])


def structure() -> Structure:
    return Structure(
        name="revenue", title="t", source="s", handles=Handles(("direct",), ("revenue",)),
        derive=derivation, program=lambda market, _: theory.pointwise_program(market),
        parameters=theory.reported_types,
        recover=lambda mechanism, report: Outcome("revenue", Status.OPTIMAL, ""),
    )  # fmt: skip


def test_every_regime_is_inspected_and_unhandled_ones_are_named() -> None:
    registry = Registry((structure(),))
    markets = [replace(genai(), regime="M1"), replace(genai(goal="welfare"), regime="M2")]
    assert inspection(markets[0], registry).structure == "revenue"
    assert inspection(markets[1], registry).derivation is None
    plain = inspect(markets, registry)
    assert "Regime M1" in plain
    assert "Nothing is derived" in plain
    found = json.loads(inspect(markets, registry, "json"))["regimes"]
    assert found["M2"]["structure"] is None
    assert "welfare" in found["M2"]["message"]
    assert len(found["M1"]["steps"]) == 8
    assert_latex(inspect(markets, registry, "latex"))
    assert "## Regime M2" in inspect(markets, registry, "markdown")
