"""Sentences with mathematics in them, for each medium: what stands between `$` is TeX, all else is anyone's text.

LaTeX comes out in ASCII, so that it compiles with pdflatex and no further package whatever a file's names and
descriptions hold; a character that TeX's own fonts lack is shown by its code point, never dropped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

__all__ = ["GREEK", "GREEK_WORDS", "latex_prose", "latex_text", "markdown_prose", "markdown_text", "text_prose"]

GREEK: Mapping[str, str] = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
    "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ",
    "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
GREEK_WORDS: Mapping[str, str] = {letter: word for word, letter in GREEK.items()}


def latex_prose(prose: str) -> str:
    r"""A sentence for LaTeX: what stands between `$` stays mathematics, all else is escaped, to ASCII."""
    pieces = prose.split("$")
    if len(pieces) % 2 == 0:  # a lone dollar is a dollar
        return latex_text(prose)
    return "".join(_latex_mathematics(p) if n % 2 else latex_text(p) for n, p in enumerate(pieces))


def _latex_mathematics(source: str) -> str:
    """`$source$` if it is sure to compile with amsmath alone, else the source as it is, to be read."""
    commands = re.findall(r"\\([a-zA-Z]+|.)", source)
    known = all(c in GREEK or c in _COMMANDS or c in _KNOWN for c in commands)
    plain = re.sub(r"\\([a-zA-Z]+|.)", "", source)
    depths = [plain[:n].count("{") - plain[:n].count("}") for n in range(len(plain) + 1)]
    pairs = commands.count("left") == commands.count("right")
    scripts = re.search(r"[\^_]\s*([\^_}]|$)", plain) is None
    safe = known and pairs and scripts and min(depths) == depths[-1] == 0 and not re.search(r"[#%&~]", plain)
    return f"${source}$" if safe and source.isascii() and source.strip() else rf"\texttt{{{latex_text(source)}}}"


def text_prose(prose: str) -> str:
    """A sentence for a terminal: mathematics between `$` becomes Unicode."""
    pieces = prose.split("$")
    if len(pieces) % 2 == 0:
        return prose
    return "".join(_plain(p) if n % 2 else p for n, p in enumerate(pieces))


def markdown_prose(prose: str) -> str:
    """A sentence for markdown: what stands between `$` stays mathematics, what markdown would read is escaped."""
    pieces = prose.split("$")
    if len(pieces) % 2 == 0:
        return markdown_text(prose)
    return "".join(f"${p}$" if n % 2 else markdown_text(p) for n, p in enumerate(pieces))


def markdown_text(prose: str) -> str:
    """Text for markdown, on one line: what markdown would read is escaped."""
    return re.sub(r"([\\`*_{}<>|#$~\[\]])", r"\\\1", re.sub(r"\s+", " ", prose))


_SPECIAL: Mapping[str, str] = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\^{}", "~": r"\~{}", "<": r"$<$", ">": r"$>$", "|": r"$|$", '"': r"''",
    "–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "…": r"\ldots{}", "\u00a0": "~",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}",
    "Ł": r"\L{}", "ı": r"\i{}", "§": r"\S{}", "©": r"\copyright{}", "£": r"\pounds{}", "≥": r"$\ge$", "≤": r"$\le$",
    "×": r"$\times$", "·": r"$\cdot$", "−": "$-$", "∞": r"$\infty$", "≠": r"$\ne$", "±": r"$\pm$", "∈": r"$\in$",
    "→": r"$\to$",
}  # fmt: skip
_ACCENTS: Mapping[str, str] = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0323": "d", "\u0331": "b",
}  # fmt: skip


def latex_text(prose: str) -> str:
    """Text for LaTeX in ASCII: specials escaped, accents composed, Greek as mathematics, the rest by its code point."""
    return "".join(_latex_character(c) for c in unicodedata.normalize("NFC", prose))


def _latex_character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii():
        return character if character.isprintable() or character == "\n" else " "
    if character in GREEK_WORDS:
        return rf"$\{GREEK_WORDS[character]}$"
    first, *marks = list(unicodedata.normalize("NFKD", character))
    if first.isascii() and first.isprintable() and all(m in _ACCENTS for m in marks):
        spelt = {"i": r"\i", "j": r"\j"}.get(first, first) if marks else _SPECIAL.get(first, first)
        for mark in marks:
            spelt = rf"\{_ACCENTS[mark]}{{{spelt}}}"
        return spelt
    return rf"\texttt{{U+{ord(character):04X}}}"


_COMMANDS: Mapping[str, str] = {
    "int": "∫", "ge": "≥", "le": "≤", "infty": "∞", "times": "×", "sum": "Σ", "partial": "∂", "cdot": "·", "in": "∈",
    "ne": "≠", "to": "→", "hat": "",
}  # fmt: skip

_KNOWN_WORDS = (
    "mathrm mathit text operatorname left right frac sqrt prod log exp max min quad prime ldots mid nabla mapsto approx"
)
_KNOWN = frozenset({*_KNOWN_WORDS.split(), ",", ";", ":", "!", " "})


def _plain(source: str) -> str:
    """A little mathematics in TeX as Unicode text; what it does not know keeps its name."""
    source = re.sub(r"\\(mathbb|mathrm|mathit|text|operatorname)\{([^{}]*)\}", r"\2", source)
    source = re.sub(r"\\hat\{([^{}]*)\}", "\\1\u0302", source)
    source = re.sub(r"\\[,;:! ]", " ", source)
    source = re.sub(r"\\([a-zA-Z]+)", lambda m: GREEK.get(m[1], _COMMANDS.get(m[1], m[1])), source)
    return re.sub(r" +", " ", re.sub(r"[{}]", "", source))
