"""A strict reader of LaTeX, for tests: what opens is closed, and every command is known and in its mode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["assert_latex"]

GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "pi",
        "rho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Pi",
        "Sigma",
        "Upsilon",
        "Phi",
        "Psi",
        "Omega",
    ]
)
MATHEMATICS = GREEK | frozenset(
    [
        "frac",
        "sqrt",
        "sum",
        "prod",
        "int",
        "partial",
        "infty",
        "ge",
        "le",
        "ne",
        "times",
        "cdot",
        "left",
        "right",
        "hat",
        "mathit",
        "mathrm",
        "mathbf",
        "operatorname",
        "wedge",
        "vee",
        "neg",
        "in",
        "to",
        "exp",
        "log",
        "max",
        "min",
        "pm",
    ]
)
WORDS = frozenset(
    [
        "documentclass",
        "usepackage",
        "addtolength",
        "sloppy",
        "title",
        "author",
        "date",
        "maketitle",
        "section",
        "subsection",
        "noindent",
        "par",
        "item",
        "emph",
        "textbackslash",
        "ldots",
        "ss",
        "ae",
        "AE",
        "oe",
        "OE",
        "o",
        "O",
        "l",
        "L",
        "i",
        "j",
        "S",
        "copyright",
        "pounds",
        "H",
        "v",
        "c",
        "d",
        "b",
        "r",
        "u",
    ]
)
LAYOUT = frozenset(
    [
        "textbf",
        "textit",
        "textsl",
        "medskip",
        "smallskip",
        "hline",
        "small",
        "footnotesize",
        "scriptsize",
        "raggedright",
        "ttfamily",
        "hyphenchar",
        "font",
        "hangindent",
        "hspace",
        "mbox",
        "char",
        "hfill",
        "setlength",
        "unitlength",
        "put",
        "line",
        "vector",
        "framebox",
        "makebox",
        "shortstack",
        "includegraphics",
        "subsubsection",
        "paragraph",
        "phantom",
        "allowbreak",
        "tabularnewline",
        "nopagebreak",
    ]
)
SHRUNK = r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{$\displaystyle "
EITHER = frozenset(["text", "texttt", "quad", "textwidth", "oddsidemargin", "textheight", "topmargin", "baselineskip"])
WORDS_INSIDE = ("\\text", "\\texttt", "\\emph", "\\textbf", "\\textit", "\\textsl")
ENVIRONMENTS = {"document": False, "description": False, "aligned": True, "cases": True}  # name -> within mathematics
ENVIRONMENTS |= dict.fromkeys(("tabular", "picture", "minipage"), False)


@dataclass
class Reader:
    """What is open at a place of the source: groups (by what they belong to), environments, modes, fences."""

    groups: list[str] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    modes: list[str] = field(default_factory=lambda: ["text"])
    fences: int = 0

    @property
    def mathematical(self) -> bool:
        return self.modes[-1] != "text"

    def read(self, source: str) -> None:
        tokens = re.findall(r"\\[a-zA-Z]+|\\.|[{}$^_&#%~]|[^\\{}$^_&#%~]+", source, re.DOTALL)
        assert "".join(tokens) == source
        rest = iter(zip(tokens, ["", *tokens], [*tokens[1:], ""], strict=False))
        for token, before, after in rest:
            if token in ("\\begin", "\\end"):
                self.environment(token, rest)
            elif token in ("$", "\\[", "\\]"):
                self.mode(token)
            elif token in ("{", "}"):
                self.group(token, before)
            elif token.startswith("\\"):
                self.command(token[1:])
            else:
                self.character(token, after)
        assert not self.groups
        assert not self.environments
        assert self.modes == ["text"]
        assert self.fences == 0

    def environment(self, token: str, rest: Iterator[tuple[str, str, str]]) -> None:
        opened, name, closed = (next(rest)[0] for _ in range(3))
        assert (opened, closed) == ("{", "}")
        assert ENVIRONMENTS[name] == self.mathematical
        if token == "\\begin":
            self.environments.append(name)
        else:
            assert self.environments.pop() == name

    def mode(self, token: str) -> None:
        closing = {"$": "inline", "\\]": "display"}.get(token)
        if closing is not None and self.modes[-1] == closing:
            self.modes.pop()
            assert self.fences == 0
        else:
            assert token != "\\]"
            assert self.modes[-1] == "text"
            self.modes.append("inline" if token == "$" else "display")

    def group(self, token: str, before: str) -> None:
        if token == "{":
            self.groups.append(before)
            self.modes.append("text" if before in WORDS_INSIDE else self.modes[-1])
        else:
            self.groups.pop()
            self.modes.pop()

    def command(self, name: str) -> None:
        if not name.isalpha():
            assert name in "\\,:;! {}$&#%_^~'`\"=.[]-", name
            return
        assert name in MATHEMATICS | WORDS | LAYOUT | EITHER, name
        assert name in EITHER or (name in MATHEMATICS) == self.mathematical or name == "max", name
        self.fences += (name == "left") - (name == "right")
        assert self.fences >= 0

    def character(self, token: str, after: str) -> None:
        assert token not in "#%"
        if token in "^_":
            assert self.mathematical
            assert after[:1] == "{" or after[:1].isalnum()
        if token == "&":
            assert ENVIRONMENTS[self.environments[-1]] or self.environments[-1] == "tabular"


def assert_latex(source: str, document: bool = True) -> None:
    r"""`source` is ASCII and sound; with `document`, whole, with amsmath as its only package, or graphicx too."""
    assert source.isascii()
    named = re.sub(r"(\\includegraphics)\[[^]]*\]\{[^}]*\}", r"\1", source)  # the name of a file is no text
    Reader().read(named.replace(SHRUNK, "{").replace(r"$} \]", r"} \]"))
    if document:
        assert source.startswith(r"\documentclass{article}")
        graphics = ["graphicx"] if SHRUNK in source or r"\includegraphics" in source else []
        assert re.findall(r"\\usepackage\{(\w+)\}", source) == ["amsmath", *graphics]
        assert source.rstrip().endswith(r"\end{document}")
