r"""The little TeX that stands in sentences, as MathML: `$\int_c^b y$`, `$\mathrm{E}[(c + F/f)\, y]$`.

A reader of its own: what descriptions in a file hold is anyone's, so what is not known here is refused, and shown as
it was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

from mechdsl.report.prose import GREEK

__all__ = ["tex_mathml"]

_TOKEN = re.compile(r"\\([a-zA-Z]+|.)|([0-9]+(?:\.[0-9]+)?)|(\s+)|(.)", re.DOTALL)
_SIGNS: Mapping[str, str] = {
    "ge": "≥", "le": "≤", "times": "×", "cdot": "·", "in": "∈", "ne": "≠", "to": "→", "partial": "∂", "mid": "|",
    "nabla": "∇", "mapsto": "↦", "approx": "≈", "ldots": "…", "sum": "∑", "prod": "∏", "int": "∫", "pm": "±",
    "{": "{", "}": "}",
}  # fmt: skip
_WORDS = frozenset({"log", "exp", "max", "min", "quad", "infty"})
_SPACES: Mapping[str, str] = {",": "0.17em", ":": "0.22em", ";": "0.28em", " ": "0.33em", "quad": "1em", "!": "0em"}
_UPRIGHT = frozenset({"mathrm", "text", "operatorname", "mathit"})
_DEEPEST = 12


def tex_mathml(source: str) -> str | None:
    """The formula as MathML to stand in a sentence; None where it holds what is not known here."""
    tokens = [m.groups() for m in _TOKEN.finditer(source)]
    reader = _Reader(tokens)
    try:
        inner = reader.row(None, 0)
    except _UnknownError:
        return None
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{inner}</math>' if inner else None


def _fence(sign: str) -> str:
    """A fence that does not grow."""
    return f'<mo stretchy="false" lspace="0" rspace="0">{sign}</mo>'


class _UnknownError(Exception):
    """Something that is not known here."""


class _Reader:
    """Tokens from left to right: groups, scripts, commands."""

    def __init__(self, tokens: list[tuple[str | None, ...]]) -> None:
        self.tokens = tokens
        self.place = 0

    def row(self, closing: str | None, depth: int) -> str:
        """Pieces up to `closing`, which is taken, or to the end."""
        if depth > _DEEPEST:
            raise _UnknownError
        pieces: list[str] = []
        while self.place < len(self.tokens):
            command, _, space, sign = self.tokens[self.place]
            if sign == closing and closing is not None:
                self.place += 1
                return "".join(pieces)
            if space is not None:
                self.place += 1
            elif sign in ("^", "_", "'"):
                self._script(pieces, depth)
            elif command == "right":
                break
            else:
                pieces.append(self._atom(depth))
        if closing is not None:
            raise _UnknownError
        return "".join(pieces)

    def _atom(self, depth: int) -> str:
        command, number, _, sign = self.tokens[self.place]
        self.place += 1
        if number is not None:
            return f"<mn>{number}</mn>"
        if command is not None:
            return self._command(command, depth)
        assert sign is not None
        if sign == "{":
            return f"<mrow>{self.row('}', depth + 1)}</mrow>"
        if sign.isalpha():
            return f"<mi>{escape(sign)}</mi>"
        if sign in "}^_&#%$~" or not sign.isprintable():
            raise _UnknownError
        return _fence(sign) if sign in "()[]" else f"<mo>{'−' if sign == '-' else escape(sign)}</mo>"

    def _command(self, command: str, depth: int) -> str:
        if command in GREEK:
            return f"<mi>{GREEK[command]}</mi>"
        if command in _SPACES:
            return f'<mspace width="{_SPACES[command]}"/>'
        if command in _SIGNS:
            return f"<mo>{_SIGNS[command]}</mo>"
        if command in _WORDS:
            return f"<mi>{'∞' if command == 'infty' else command}</mi>"
        if command in _UPRIGHT:
            return self._word(upright=command != "mathit")
        if command in ("left", "right"):
            return self._fenced(depth)
        if command == "frac":
            return f"<mfrac>{self._group(depth)}{self._group(depth)}</mfrac>"
        if command == "sqrt":
            return f"<msqrt>{self._group(depth)}</msqrt>"
        if command == "hat":
            return f'<mover accent="true">{self._group(depth)}<mo>^</mo></mover>'
        raise _UnknownError

    def _fenced(self, depth: int) -> str:
        """What stands between `left` and `right`, with its fences."""
        pieces = [self._fence(), self.row(None, depth + 1) if self._more() else ""]
        if not self._more() or self.tokens[self.place][0] != "right":
            raise _UnknownError
        self.place += 1
        return f"<mrow>{pieces[0]}{pieces[1]}{self._fence()}</mrow>"

    def _fence(self) -> str:
        if not self._more():
            raise _UnknownError
        command, _, _, sign = self.tokens[self.place]
        self.place += 1
        written = sign if sign and sign in "()[]|." else command if command in ("{", "}") else None
        if written is None:
            raise _UnknownError
        return "" if written == "." else f"<mo>{written}</mo>"

    def _word(self, *, upright: bool) -> str:
        """What stands in braces, letter by letter."""
        if not self._more() or self.tokens[self.place][3] != "{":
            raise _UnknownError
        self.place += 1
        letters = ""
        while self._more() and self.tokens[self.place][3] != "}":
            command, *others = self.tokens[self.place]
            word = next((o for o in others if o is not None), "")
            if command is not None or word in "{$" or not word.isprintable():
                raise _UnknownError
            letters += word
            self.place += 1
        if not self._more():
            raise _UnknownError
        self.place += 1
        return f"<mtext>{escape(letters)}</mtext>" if upright else f"<mi>{escape(letters)}</mi>"

    def _group(self, depth: int) -> str:
        """One argument: a group, or a single token."""
        while self._more() and self.tokens[self.place][2] is not None:
            self.place += 1
        if not self._more():
            raise _UnknownError
        return f"<mrow>{self._atom(depth + 1)}</mrow>"

    def _script(self, pieces: list[str], depth: int) -> None:
        """Sub- and superscripts of the piece before."""
        below = above = ""
        base = pieces.pop() if pieces else "<mrow></mrow>"
        while self._more() and self.tokens[self.place][3] in ("^", "_", "'"):
            sign = self.tokens[self.place][3]
            self.place += 1
            if sign == "'":
                above += "<mo>′</mo>"
            elif sign == "^":
                above += self._group(depth)
            else:
                below += self._group(depth)
        if below and above:
            pieces.append(f"<msubsup>{base}<mrow>{below}</mrow><mrow>{above}</mrow></msubsup>")
        elif below:
            pieces.append(f"<msub>{base}<mrow>{below}</mrow></msub>")
        else:
            pieces.append(f"<msup>{base}<mrow>{above}</mrow></msup>")

    def _more(self) -> bool:
        return self.place < len(self.tokens)
