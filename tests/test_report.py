"""The report: one document, three renderings; what a file holds is text there, never markup; LaTeX compiles."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.parsers import expat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from latex_reader import assert_latex

import mechdsl
from mechdsl.cli import main
from mechdsl.report import html, latex, markdown
from mechdsl.report.diagram import Box, diagram, standalone_svg
from mechdsl.report.document import Code, Document, Folded, Items, Mark, Paragraph, Prose, Section, Table
from mechdsl.report.formulas import latex as latex_formula
from mechdsl.report.formulas import text
from mechdsl.report.inspect import inspected
from mechdsl.report.listing import listing
from mechdsl.report.tex import tex_mathml

MODELS = sorted((Path(__file__).parent.parent / "models").rglob("*.mech"))

HOSTILE = "<script>alert(1)</script> & <img src=x onerror=alert(2)> \\input{secret} $\\evil{x}$ $a<b$ ```"

TEXT = f"""
market hostile "{HOSTILE}"
cite "{HOSTILE}"
index k in teams = {{"<b>&'x", picture}}
param d[k] in [0, inf) = [2, 3] "hours & <i>hours</i>"
layer studio
layer team[k] {{
  type c[k] ~ uniform(1, 2) "{HOSTILE}"
  choose x[k] >= 0
  cost c[k] * x[k]^1.5
}}
demand[k]: x[k] >= d[k]
regime revenue "</style></svg>{HOSTILE}" {{ contract studio -> team: direct  objective studio: maximize revenue }}
regime welfare {{ contract studio -> team: direct  objective studio: maximize welfare }}
claim order: revenue(revenue) >= revenue(welfare)
claim wrong: revenue(revenue) > 1
experiment hours "{HOSTILE}" {{ regimes revenue  draws 20  table revenue, welfare  plot box(revenue) }}
"""


class Reader(HTMLParser):
    """Elements with their attributes, in order, and what is open."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return reader


def assert_sound(page: str) -> Reader:
    """Well nested; nothing fetched, nothing run; headings, table heads and images as readers of screens need them."""
    found = read(page)
    kinds = Counter(tag for tag, _ in found.elements)
    assert not kinds.keys() & {"script", "iframe", "object", "embed", "base", "form", "b", "i"}
    assert kinds["style"] == kinds["title"] == kinds["h1"] == 1
    for tag, attributes in found.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
        assert tag != "img" or attributes["alt"]
        assert tag != "svg" or attributes["aria-label"]
        assert tag != "th" or attributes["scope"] in ("row", "col")
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert all(b <= a + 1 for a, b in pairwise(levels)), "no heading skips a level"
    places = [a["id"] for _, a in found.elements if "id" in a]
    assert len(places) == len(set(places))
    assert {a["href"] for tag, a in found.elements if tag == "a"} <= {f"#{place}" for place in places}
    assert "url(" not in page
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile market, reported in all three ways."""
    made = tmp_path_factory.mktemp("report")
    (made / "hostile.mech").write_text(TEXT, encoding="utf-8")
    for ending in ("html", "tex", "md"):
        assert main(["report", str(made / "hostile.mech"), "-o", str(made / f"out.{ending}")]) == 3  # `wrong` fails
    return made


def test_what_a_file_holds_is_text_on_the_page(folder: Path) -> None:
    page = (folder / "out.html").read_text(encoding="utf-8")
    found = assert_sound(page)
    assert HOSTILE.partition("$")[0].strip() in " ".join(found.text)
    assert "&lt;script&gt;" in page
    assert "<b>&'x" in "".join(found.text)


def test_the_page_says_everything(folder: Path) -> None:
    page = (folder / "out.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", "".join(read(page).text))
    for said in (
        "The market as written", "Structure: who pays whom", "Derivation", "Results", "In expectation over the types",
        "Claims", "Experiments", "How it was produced", "5.65685", "10.3923", "Accounts", "largest gain from",
        "Params by teams", "2 regimes, 2 certified", "2 claims, 1 holds, 1 FAILS", "Structure revenue",
        "envelope payment",
    ):  # fmt: skip
        assert said in text, said
    assert hashlib.sha256(TEXT.encode()).hexdigest() in text
    assert mechdsl.__version__ in text
    assert page.count("<math") > 30
    assert page.count('<svg xmlns="http://www.w3.org/2000/svg" class="diagram"') == 2
    assert "data:image/svg+xml;base64," in page


def test_the_same_inputs_give_the_same_page(folder: Path) -> None:
    again = folder / "again.html"
    assert main(["report", str(folder / "hostile.mech"), "-o", str(again)]) == 3
    pages = [f.read_text(encoding="utf-8").replace("again.html", "out.html") for f in (again, folder / "out.html")]
    assert pages[0] == pages[1]


def compiled(source: Path) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("there is no pdflatex")
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", source.name]
    run = subprocess.run(command, cwd=source.parent, capture_output=True, check=False, timeout=120)
    assert run.returncode == 0, run.stdout[-2000:].decode("latin-1")


def test_the_latex_compiles_as_it_stands(folder: Path) -> None:
    source = (folder / "out.tex").read_text(encoding="ascii")
    assert r"\includegraphics" in source
    assert_latex(source)
    compiled(folder / "out.tex")


def test_the_markdown_shows_its_figures(folder: Path) -> None:
    text = (folder / "out.md").read_text(encoding="utf-8")
    assert "<script>" not in re.sub(r"`+mech.*?\n`{3,}\n|\\<", "", text, flags=re.DOTALL)
    shown = re.findall(r"!\[.*\]\((.*)\)", text)
    assert len(shown) == 3
    for name in shown:
        expat.ParserCreate().Parse((folder / name).read_text(encoding="utf-8"), True)
    assert r"$$" in text
    assert "| --- | ---: |" in text


def test_parts_can_be_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = folder / "short.html"
    file = str(folder / "hostile.mech")
    assert main(["report", file, "-o", str(short), "--without", "derivation,expectation", "--without", "figures"]) == 0
    page = short.read_text(encoding="utf-8")
    assert "envelope payment" not in page
    assert "Claims" not in page
    assert "Experiments" in page
    assert "<img" not in page
    for wrong in (["-o", "x.pdf"], ["-o", str(folder / "nowhere" / "x.html")], ["--without", "results"]):
        assert main(["report", file, *wrong]) == 2
    assert "results" in capsys.readouterr().err


EDGE = """market edge "Edges"
index k in teams = {"north east", south}
param d[k] in [0, inf) = csv("d.csv")
layer studio
layer team[k] { type c[k] ~ uniform(1, 2)  choose x[k] in [0, 1]  cost c[k] * x[k]^2 }
demand[k]: x[k] >= d[k]
objective studio: maximize revenue
regime strange { contract studio -> team: barter }
regime tight { contract studio -> team: direct }
regime fine { contract studio -> team: direct  set d = 0.5 }
"""


def test_what_cannot_be_solved_is_told_and_data_are_hashed(tmp_path: Path) -> None:
    """A byte order mark belongs to the file that is hashed; a folder's name suits LaTeX whatever the report's is."""
    file, data, page = tmp_path / "edge ü.mech", tmp_path / "d.csv", tmp_path / "r é.md"
    file.write_bytes(b"\xef\xbb\xbf" + EDGE.encode())
    data.write_text("teams,d\nnorth east,3\nsouth,0.2\n", encoding="utf-8")
    assert main(["report", str(file), "-o", str(page)]) == 4
    text = page.read_text(encoding="utf-8")
    for path in (file, data):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    assert "3 regimes, **1 certified**" in text
    assert "none knows a contract 'barter'" in text
    assert r"demand\[north east\]: 1 where at least 3 is asked" in text
    assert "| fine | -1 | -0.75 | 1 | **certified** |" in text
    assert (tmp_path / "r_files" / "structure_1.svg").is_file()
    assert "Params by teams that fine sets" in text


@pytest.mark.parametrize("path", MODELS, ids=[p.stem for p in MODELS])
def test_structures_are_drawn_and_texts_listed(path: Path) -> None:
    market = mechdsl.load(path)
    assert "".join(text for _, text in listing(market.source.text).tokens) == market.source.text
    kinds = {kind for kind, _ in listing(market.source.text).tokens}
    assert {"keyword", "name", "sign", "string"} <= kinds
    for regime in market.model.markets.values():
        drawn = diagram(regime)
        expat.ParserCreate().Parse(standalone_svg(drawn), True)
        assert {b.name.split("[")[0] for b in drawn.boxes} == {layer.name for layer in regime.layers}
        payments = {(c.payer, c.provider) for c in regime.contracts}
        assert sum(not a.faint for a in drawn.arrows) == len(payments)
        assert all(0 <= x <= drawn.width and 0 <= y <= drawn.height for a in drawn.arrows for x, y in a.corners)
        assert not any(overlap(a, b) for n, a in enumerate(drawn.boxes) for b in drawn.boxes[:n])


def overlap(a: Box, b: Box) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def test_money_flows_from_payer_to_provider() -> None:
    """The arrow of a contract ends at the box of who is paid."""
    market = mechdsl.load(next(p for p in MODELS if p.stem == "six_regimes")).model.markets["M5"]
    drawn = diagram(market)
    boxes = {b.name.split("[")[0]: b for b in drawn.boxes}
    for arrow, (payer, provider) in zip(drawn.arrows, [("platform", "broker"), ("broker", "creator")], strict=True):
        (x, y), (u, v) = arrow.corners[0], arrow.corners[-1]
        assert y == boxes[payer].y + boxes[payer].height
        assert boxes[payer].x < x < boxes[payer].x + boxes[payer].width
        assert v == boxes[provider].y
        assert boxes[provider].x < u < boxes[provider].x + boxes[provider].width
    assert "platform pays broker under a contract presigned" in drawn.alt


def test_who_stands_by_is_drawn_so() -> None:
    """A layer of the file that a regime gives no contract: faint, named so in words, and in the books if it costs."""
    market = mechdsl.parse("""
        market idle "Layers at the top"
        layer buyer
        layer agency { cost 0.1 }
        layer guild
        layer seller { type c ~ uniform(1, 2)  choose x >= 0  cost c * x }
        constraint one: x >= 1
        regime alone   { contract buyer -> seller: direct  objective buyer: maximize revenue }
        regime through { contract buyer -> agency: presigned  contract agency -> seller: direct
                         objective buyer: maximize revenue }
    """)
    alone, through = (market.model.markets[n] for n in ("alone", "through"))
    assert alone.bystanders == ("agency", "guild")
    assert through.bystanders == ("guild",)
    drawn = diagram(alone)
    assert {b.name for b in drawn.boxes if b.faint} == {"agency", "guild"}
    assert drawn.alt.startswith("Layers: buyer, seller. ")
    assert drawn.alt.endswith("Without a contract: agency, guild.")
    assert standalone_svg(drawn).count('class="box faint"') == 2
    solved = str(market.solve("alone"))
    books = solved[solved.index("accounts ") :]
    assert "agency" in books
    assert "guild" not in books


# Mathematics in sentences.


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x", "<mi>x</mi>"),
        (r"\phi(x)", '<mi>φ</mi><mo stretchy="false" lspace="0" rspace="0">(</mo><mi>x</mi>'),
        ("c_1 - 2", "<msub><mi>c</mi><mrow><mrow><mn>1</mn></mrow></mrow></msub><mo>−</mo><mn>2</mn>"),
        (r"a' \le b", "<msup><mi>a</mi><mrow><mo>′</mo></mrow></msup><mo>≤</mo><mi>b</mi>"),
        (r"\int_c^b y", "<msubsup><mo>∫</mo>"),
        (r"\mathrm{E}[c\, y]", '<mtext>E</mtext><mo stretchy="false" lspace="0" rspace="0">[</mo>'),
        (r"\frac{1}{2}", "<mfrac><mrow><mrow><mn>1</mn></mrow></mrow><mrow><mrow><mn>2</mn></mrow></mrow></mfrac>"),
    ],
)
def test_tex_becomes_mathml(source: str, expected: str) -> None:
    assert expected in (tex_mathml(source) or "")


@pytest.mark.parametrize(
    "source", [r"\input{x}", "{x", "x}", r"\left( x", r"\frac{1}", "", r"\text{a$b}", "x_", "{" * 50]
)
def test_what_is_no_known_tex_is_refused(source: str) -> None:
    assert tex_mathml(source) is None


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text("$\\{}^_xk%&#~<>'\"é中12 ()[]|fracleftrightsqrt.", max_size=24))
def test_any_tex_is_well_formed_or_refused(source: str) -> None:
    found = tex_mathml(source)
    if found is not None:
        expat.ParserCreate().Parse(found, True)


ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(words=ANYTHING, more=st.text("$\\{}<>&\"'`|*_#~^%[]x", max_size=16))
def test_any_words_make_sound_documents(words: str, more: str) -> None:
    """Headings, cells, code, prose and listings of anyone's making, in every rendering."""
    table = Table(words, (more, words), (((words,), (Prose(more),)), ((more,), ("1.5  ",))), ((words,), ("2",)))
    blocks = (Paragraph((words, Mark(more, "bad"), Code(more))), Items(((Prose(words),),)), table)
    made = Document(words, blocks, (Section(more, (Folded((words,), (table,)),), (Section(words, blocks),)),))
    assert_sound(html.as_html(made))
    assert_latex(latex.as_latex(made).text)
    assert markdown.as_markdown(made).text
    read(html.fragment(blocks))


def test_notebooks_show_markets_derivations_and_results() -> None:
    market = mechdsl.parse(TEXT)
    solved = market.solve()
    for shown in (market, market.derivation(), solved, solved["revenue"], market.compare()):
        found = read(shown._repr_html_())
        assert not any(tag == "script" for tag, _ in found.elements)
        assert found.elements[0] == ("div", {"class": "mechdsl"})
        assert shown._repr_markdown_()
    assert "<math" in market.derivation("revenue")._repr_html_()
    assert "virtual cost" in str(market.derivation("revenue"))
    assert market.derivation()["revenue"].step("virtual cost").formula is not None
    study = market.run("hours")["hours"]
    assert "<img" in study._repr_html_()


def test_python_writes_the_same_report(tmp_path: Path) -> None:
    market = mechdsl.parse(TEXT)
    assert market.report(tmp_path / "r.md", without=("experiments",))[0] == tmp_path / "r.md"
    assert "Claims" in (tmp_path / "r.md").read_text(encoding="utf-8")
    with pytest.raises(mechdsl.UsageError, match="no part"):
        market.report(tmp_path / "r.md", without=("results",))


def test_derivations_are_sound_pages() -> None:
    for path in MODELS:
        market = mechdsl.load(path)
        assert_sound(html.as_html(inspected(market.derivation().inspections)))


@pytest.mark.parametrize("path", MODELS, ids=[p.stem for p in MODELS])
def test_formulas_are_tidy(path: Path) -> None:
    """No empty parentheses, no double signs, no factor 1, no operator in letters of a name."""
    for one in mechdsl.load(path).derivation().inspections:
        for step in one.derivation.steps if one.derivation else ():
            for formula in (step.formula, *(f for _, f in step.formulas)):
                assert not re.search(r"\(\)|[−+] ?[−+]|\(−[^()]*\)[·)/]|−\(Σ|\b1·|·1\b", text(formula)), text(formula)
                found = latex_formula(formula)
                assert not re.search(r"left\(\\right|\\mathit\{(max|min|exp|log)\}|\\text\{(?!if )[^}]* ", found), found
