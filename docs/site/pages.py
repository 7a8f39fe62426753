"""The pages that are made, not written: reference, error codes, API; from the grammar, the registries and the sources.

Each is a function from what is installed to a text. Where a registry has a word that `words.py` lacks, or the other
way round, there is no page but an error that names the word.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import import_module
from inspect import isclass, isfunction
from io import StringIO
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from unittest import mock

import words

import mechdsl
from mechdsl import commands, testing, theory
from mechdsl.catalog import EXPLANATIONS, RANGES, SETTING, Explanation
from mechdsl.distributions import FAMILIES
from mechdsl.elaborate.expressions import FUNCTIONS
from mechdsl.elaborate.outcomes import FIGURES, OUTCOME_WORDS
from mechdsl.resources import folder
from mechdsl.structure import Registry, Structure, installed

__all__ = ["made"]

TREE = Path(__file__).parents[2]
CASES = TREE / "tests" / "cases" / "bad"
SPOKEN = ("if", "sum", "prod", "mean", "lower", "upper", "precision", "noise")  # functions with a rule of their own
LIMITS = ("syntax/scan.py", "elaborate/limits.py")


def made() -> Mapping[str, str]:
    """Every page that is made: its place under `docs/` -> its text."""
    registry = installed()
    return {
        "reference/statements.md": statements(folder("grammar").joinpath("mech.lark").read_text(encoding="utf-8")),
        "reference/expressions.md": expressions(),
        "reference/distributions.md": distributions(),
        "reference/contracts.md": contracts(registry),
        "reference/structures.md": structures(registry),
        "reference/outcomes.md": outcomes(),
        "reference/commands.md": command_lines(),
        "reference/limits.md": limits(),
        "reference/grammar.md": grammar(),
        "api.md": api(),
        "notebook.md": notebook(TREE / "docs" / "notebook.ipynb"),
        **errors(),
    }


def agreed(what: str, known: Collection[object], described: Collection[object]) -> None:
    """That nothing is undescribed, and nothing described that is not there."""
    missing, idle = (sorted(map(str, a)) for a in (set(known) - set(described), set(described) - set(known)))
    if missing or idle:
        raise LookupError(f"docs/site/words.py, {what}: no word on {missing}, and {idle} are not there")


def page(title: str, *parts: str) -> str:
    """A page of paragraphs."""
    return "\n\n".join((f"# {title}", *(part for part in parts if part))) + "\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; what would end a cell is escaped."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    columns = list(head)
    return "\n".join(f"| {line} |" for line in (" | ".join(columns), " | ".join("---" for _ in columns), *lines))


def block(text: str, language: str = "text") -> str:
    """A block of code."""
    return f"```{language}\n{text.strip()}\n```"


def link(title: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


# ---------------------------------------------------------------------------------------------------------- language


def keywords(text: str) -> set[str]:
    """Every word that the grammar spells out."""
    rules = "\n".join(line.partition("//")[0] for line in text.splitlines())
    return set(re.findall(r'"([a-z]+)"', rules))


def statements(text: str) -> str:
    """A heading for each place, below it every statement that may stand there."""
    agreed("STATEMENTS and SMALL_WORDS", keywords(text), {*words.STATEMENTS, *words.SMALL_WORDS})
    parts = []
    for place, (heading, _, _) in words.CONTEXTS.items():
        parts.append(f"## {heading}")
        for name, word in words.STATEMENTS.items():
            if word.place == place:
                parts += [f"### {name}", word.meaning, block(word.example, "mech")]
    return page(
        "Statements",
        "A `.mech` file is a sequence of statements in any order. Each starts with its keyword; white space and line "
        "breaks carry no meaning; `#` starts a comment. A keyword counts as one only where a statement may start, so a "
        "param may be called `cost`. A string after a declaration is its description: it reaches tables, figures and "
        "documents. Greek letters may be written as themselves or spelt out: `ρ` and `rho` are one name.",
        *parts,
        "## Smaller words",
        table(("word", "where"), ((f"`{w}`", meaning) for w, meaning in words.SMALL_WORDS.items())),
    )


def expressions() -> str:
    """Operators and functions."""
    agreed("FUNCTIONS", {*FUNCTIONS, *SPOKEN}, words.FUNCTIONS)
    return page(
        "Expressions",
        "Numbers are exact until they are evaluated: `0.1 + 0.2 == 0.3` holds. `+ - * / ^` bind as usual, `^` to the "
        "right; `<= < >= > == !=` compare; `and`, `or`, `not` join conditions. An entry is `d[k]`, with the letter, or "
        "`d[video]`, with the label. A bound letter may not be bound again inside its own sum.",
        table(("function", "what it is"), ((f"`{form}`", meaning) for form, meaning in words.FUNCTIONS.values())),
        "Data, types and decisions may be mixed as theory allows: a cost is a private type times a convex increasing "
        "function of decisions, a demand concave. What goes beyond is refused with its reason "
        "([M053](errors/M053.md), [M054](errors/M054.md), [M055](errors/M055.md)).".replace("errors/", "../errors/"),
    )


def distributions() -> str:
    """Every family: its formula, parameters, an example with its figures."""
    agreed("LAWS", FAMILIES, words.LAWS)
    need = {"required": "must follow", "optional": "may follow", "forbidden": "may not follow"}
    parts = []
    for name, law in words.LAWS.items():
        family = FAMILIES[name]
        parts += [
            f"## {name}",
            f"{family.doc[0].upper()}{family.doc[1:]}.",
            f"$$ {law.formula} $$",
            f"Arguments: {law.parameters}. `on [a, b]` {need[family.needs_support]}.",
            block(f"type c ~ {law.example}", "mech"),
        ]
    return page(
        "Distributions",
        "Of private types, and of params drawn with `~`. The support must be finite above: payments rest on the "
        "highest cost there can be. Truncation renormalises; tails are computed through logarithms, so that "
        "`normal(0, 1) on [0, 10]` has its virtual costs at 10 too. Where the virtual cost $c + F(c)/f(c)$ is not "
        "increasing it is ironed, and `mechdsl check` says so.",
        *parts,
        "A package or a `--plugin` file may add others; `mechdsl plugins` lists what is there.",
    )


def contracts(registry: Registry) -> str:
    """Kinds of contracts, their arguments, and who takes them."""
    kinds = {kind: s for s in registry.structures for kind in s.handles.contracts}
    agreed("KINDS", kinds, words.KINDS)
    given = {(kind, w) for s in registry.structures for kind, ws in s.handles.words.items() for w in ws}
    agreed("ARGUMENTS", given, words.ARGUMENTS)
    parts = []
    for kind, meaning in words.KINDS.items():
        taking = [s for s in registry.structures if kind in s.handles.contracts]
        parts += [f"## {kind}", meaning]
        arguments = [(f"`{w}`", said) for (of, w), said in words.ARGUMENTS.items() if of == kind]
        parts += [table(("argument", "meaning"), arguments)] if arguments else []
        parts += ["Taken by " + ", ".join(f"[{s.name}](structures.md#{link(s.name)})" for s in taking) + "."]
    return page(
        "Contract kinds",
        "`contract PAYER -> PROVIDER: kind(argument = value)`. A kind means what the market structures that know it "
        "make of it; which one is taken, `mechdsl check` says.",
        *parts,
    )


def structures(registry: Registry) -> str:
    """What is installed: which markets it is for, what is claimed of it."""
    return page(
        "Market structures",
        "A market structure is a plugin that says which markets it is for, what follows from theory, what to solve, "
        "and the way back to the market's words. `mechdsl plugins` lists those installed, yours among them.",
        *chain.from_iterable(_structure(s) for s in registry.structures),
    )


def _structure(structure: Structure) -> Iterator[str]:
    yield f"## {structure.name}"
    yield f"{structure.title}. For {structure.handles}.".replace("For contracts:", "For contracts")
    yield f"Derivation: {(structure.derive.__doc__ or '').strip()}"
    yield f"Source: {structure.source}."
    if structure.claims:
        yield "What is claimed of it, decided on an instance by `compare --claims paper`:"
        rows = ((f"`{c.name}`", c.text, c.condition or "none is known") for c in structure.claims)
        yield table(("claim", "statement", "guaranteed where"), rows)
        yield f"Claimed in {'; '.join(dict.fromkeys(c.source for c in structure.claims))}."


def outcomes() -> str:
    """The words of claims, tables and figures."""
    agreed("OUTCOMES", OUTCOME_WORDS, words.OUTCOMES)
    agreed("FIGURES", FIGURES, words.FIGURES)
    return page(
        "Outcomes and figures",
        "Claims, `table` and `plot` speak of outcomes, of decisions (`x[video]`), and of expressions in them. "
        "`revenue(M1)` is that of regime M1; in an experiment a bare `revenue` is that of each regime. "
        "In tables and figures `x[video](M1)`, `total(M1)` are a quantity of regime M1: `x[video](M1) / x[video](M2)` "
        "is one curve. `vary seed in 1..10` draws the market and the types anew with each seed.",
        table(("outcome", "what it is"), ((f"`{w}`", meaning) for w, meaning in words.OUTCOMES.items())),
        "## Figures",
        table(("figure", "what it shows"), ((f"`{w}(...)`", meaning) for w, meaning in words.FIGURES.items())),
    )


def grammar() -> str:
    """The file that the reader reads by."""
    text = folder("grammar").joinpath("mech.lark").read_text(encoding="utf-8")
    return page("The grammar, whole", "LALR(1), in the notation of Lark.", block(text))


# ----------------------------------------------------------------------------------------------- limits and commands


def limits() -> str:
    """The constants of the sources, with what stands beside them."""
    rows = [row for name in LIMITS for row in constants(TREE / "mechdsl" / name)]
    return page(
        "Limits",
        "So that a short text can fill no memory and take no hours. What goes beyond is refused with the number that "
        "it passes ([M002](../errors/M002.md), [M090](../errors/M090.md), [M091](../errors/M091.md)).",
        table(("limit", "at most", "of what"), rows),
    )


def constants(path: Path) -> Iterator[tuple[str, str, str]]:
    """`MAX_LABELS = 100_000  # of an index set` -> labels, 100,000, of an index set."""
    text = path.read_text(encoding="utf-8")
    beside = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    body = ast.parse(text).body
    for here, following in zip(body, [*body[1:], None], strict=True):
        match here:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int(most))) if name.startswith(
                "MAX_"
            ):
                said = beside.get(here.lineno, "")
                match following:
                    case ast.Expr(value=ast.Constant(value=str(doc))):
                        said = f"{doc[0].lower()}{doc[1:].rstrip('.')}"
                yield name.removeprefix("MAX_").replace("_", " ").lower(), f"{most:,}", said


def command_lines() -> str:
    """Each command's options, from its parser; the exit statuses."""
    statuses = {n: v for n, v in vars(commands).items() if n.isupper() and isinstance(v, int)}
    agreed("EXIT", statuses, words.EXIT)
    parts = []
    for name, summary in commands.COMMANDS.items():
        parser = parser_of(name)
        rows = [
            (", ".join(f"`{flag}{_given(a)}`" for flag in a.option_strings) or f"`{a.metavar}`", a.help or "")
            for a in parser._actions
            if a.dest != "help"
        ]
        parts += [f"## mechdsl {name}", f"{summary[0].upper()}{summary[1:]}.", table(("", "meaning"), rows)]
    return page(
        "The command",
        "`mechdsl COMMAND --help` prints the same; `python -m mechdsl` is the same command. `name.label=value` "
        "addresses an entry (`w.3=0.5`, `mu.video.text=0.2`), `name=value` all of them; options repeat and take comma "
        "lists. With `--json`, one object and nothing else goes to stdout ([its keys](../json.md)).",
        *parts,
        "## Exit status",
        table(("status", "meaning"), ((str(statuses[n]), meaning) for n, meaning in words.EXIT.items())),
    )


def _given(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    return f" {action.metavar or ('|'.join(map(str, action.choices or ())) or action.dest.upper())}"


class _Seen(Exception):  # noqa: N818 - it carries what was looked for
    pass


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser that a command makes when it is called."""

    def stop(self: argparse.ArgumentParser, *_: object) -> None:
        raise _Seen(self)

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop):
        try:
            import_module(f"mechdsl.commands.{command}").run([])
        except _Seen as seen:
            parser: argparse.ArgumentParser = seen.args[0]
            return parser
    raise LookupError(f"{command} parses no arguments")


# ------------------------------------------------------------------------------------------------------------ errors


def errors() -> Mapping[str, str]:
    """A page for every code, and one that lists them."""
    cases = examples()
    pages = {f"errors/{code}.md": error(e, cases.get(code)) for code, e in EXPLANATIONS.items()}
    parts = []
    for start, about in RANGES.items():
        listed = "\n".join(f"- [{c}]({c}.md) {e.title}" for c, e in EXPLANATIONS.items() if c.startswith(start))
        parts += [f"## {start}x: {about}", listed]
    hidden = "```{toctree}\n:hidden:\n\n" + "\n".join(EXPLANATIONS) + "\n```"
    pages["errors/index.md"] = page(
        "Messages",
        "A message names its code; `mechdsl explain M012` prints what stands here. Codes are stable: none is used "
        "again for something else.",
        *parts,
        hidden,
    )
    return pages


def error(explained: Explanation, case: tuple[str, str] | None) -> str:
    """What `mechdsl explain` prints, and a file that has the mistake, with what is said about it."""
    parts = [explained.cause, explained.remedy]
    if explained.bad:
        before, after = ("With it", "Without") if explained.code.startswith(("M10", "M11")) else ("Wrong", "Right")
        parts += [f"{before}:", block(explained.bad, "mech"), f"{after}:", block(explained.good, "mech")]
        if not explained.bad.startswith("market"):
            parts += ["Both belong to a market that all such examples share:", block(SETTING, "mech")]
    if case:
        parts += ["## A file, and what is said about it", block(case[0], "mech"), block(case[1])]
    return page(f"{explained.code}: {explained.title}", *parts)


def examples() -> Mapping[str, tuple[str, str]]:
    """Code -> the shortest file of the tests that has this mistake alone, and the message it gets."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(CASES.glob("*.mech"), key=lambda p: (p.stat().st_size, p.name)):
        said = path.with_suffix(".expected").read_text(encoding="utf-8")
        codes = set(re.findall(r"^(?:error|warning|note)\[(M\d{3})\]", said, re.MULTILINE))
        if len(codes) == 1 and said.count("[M") == 1:
            found.setdefault(codes.pop(), (path.read_text(encoding="utf-8", errors="backslashreplace"), said))
    return found


# ----------------------------------------------------------------------------------------------------- notebook and api


def notebook(path: Path) -> str:
    """The cells of a notebook; its results are for whoever runs it."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        market = text.startswith("%%mech")
        parts.append(text if cell["cell_type"] == "markdown" else block(text, "mech" if market else "ipython"))
    return "\n\n".join(parts) + "\n\nThis page can be run: `jupyter lab docs/notebook.ipynb`.\n"


def api() -> str:
    """The public names, from their docstrings."""
    used = ["mechdsl.load", "mechdsl.parse", "mechdsl.MarketFile", "mechdsl.Results", "mechdsl.Result"]
    used += ["mechdsl.results.Compared", "mechdsl.results.Studied", "mechdsl.MechError", "mechdsl.UsageError"]
    rest = sorted({f"mechdsl.{n}" for n in mechdsl.__all__} - {*used, "mechdsl.__version__", "mechdsl.theory"})
    sections = {
        "Markets and answers": used,
        "What a market structure is made of": [
            *rest,
            "mechdsl.distributions.Family",
            "mechdsl.distributions.Distribution",
        ],
        "mechdsl.theory: steps of derivations": sorted((f"mechdsl.theory.{n}" for n in theory.__all__), key=str.lower),
        "mechdsl.testing: the conformance kit": [f"mechdsl.testing.{n}" for n in testing.__all__],
    }
    parts = list(chain.from_iterable((f"## {title}", *map(_entry, names)) for title, names in sections.items()))
    return page(
        "The Python API",
        "Markets are loaded with `mechdsl.load`, or `mechdsl.parse` from a text; what comes back answers as the "
        "command does, with tables. The names a plugin needs are public too.",
        *parts,
    )


def _entry(full: str) -> str:
    module, _, name = full.rpartition(".")
    value = getattr(import_module(module), name)
    if isclass(value):
        return _directive("autoclass", full)
    if isfunction(value):
        return _directive("autofunction", full)
    return f"**{name}**: {_value(value)}."


def _value(value: object) -> str:
    """A name that stands for data, in a few words."""
    match value:
        case dict() | MappingProxyType():
            return "; ".join(f"`{key}` takes " + ", ".join(f"`{w}`" for w in value[key]) for key in value)
        case tuple():
            return "the claims " + ", ".join(f"`{claim.name}`" for claim in value)
    return f"`{str(value).replace('collections.abc.', '')}`"


def _directive(kind: str, name: str) -> str:
    members = "\n   :members:" if kind == "autoclass" else ""
    return f"```{{eval-rst}}\n.. {kind}:: {name}{members}\n```"
