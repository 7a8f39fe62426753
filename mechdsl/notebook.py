"""Markets in a notebook: `%load_ext mechdsl`, then cells that start with `%%mech`.

A cell is a `.mech` file whose params may take their values from Python's variables: those named on the first line, and
every name that stands in a param's (a report's, a `set`'s) value and that the cell itself does not declare. They are
written into the text as literals, so what is bound, shown, simulated and reported is one market, whole. Nothing of
IPython is imported: it hands itself over when it loads the extension.
"""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial
from typing import Any, NoReturn

from mechdsl import syntax
from mechdsl import syntax_tree as tree
from mechdsl.api import MarketFile, parse
from mechdsl.elaborate.places import walk
from mechdsl.errors import UsageError, did_you_mean

__all__ = ["filled", "literal", "load_ipython_extension", "mech", "unload_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext mechdsl` calls: `%%mech` is known, and figures show themselves."""
    shell.register_magic_function(partial(mech, shell), "cell", "mech")
    shell.display_formatter.formatters["image/png"].for_type_by_name("matplotlib.figure", "Figure", _png)


def _png(figure: Any) -> bytes:
    from mechdsl.figures import encoded

    return encoded(figure, "png")


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext mechdsl` calls."""
    shell.magics_manager.magics["cell"].pop("mech", None)


def mech(shell: Any, line: str, cell: str) -> Any:
    """`%%mech [NAME] [-i VAR,PARAM=VAR] [-o NAME] [--regime R] [--at C.LABEL=X] [--set D.LABEL=X] [--seed S]`.

    With NAME the market is bound to it; with `-o` it is solved, and the results are bound; with neither it is solved,
    and the results are shown.

    Args:
        shell: IPython's.
        line: what follows `%%mech`.
        cell: the market.

    Returns:
        the results if it is solved, else the market; a notebook shows either.

    Raises:
        UsageError: the line does not read, or a variable does not fit.
        MechError: the market is at fault.
    """
    options = _read(line)
    given = dict(_pairs(options.input))
    for param, variable in given.items():
        if variable not in shell.user_ns:
            known = (n for n in shell.user_ns if not n.startswith("_"))
            raise UsageError(f"there is no Python variable '{variable}' for '{param}'. {did_you_mean(variable, known)}")
    name = f"In[{getattr(shell, 'execution_count', 0)}]"
    text = filled("\n" + cell, given, shell.user_ns, name)  # the magic's own line is the first, as the cell counts them
    market = parse(text, name=name, folder=".", seed=options.seed, plugins=options.plugin)
    shown: Any = market
    if options.name:
        shell.push({options.name: market})
    if options.output or not options.name:
        shown = _solved(market, options)
    if options.output:
        shell.push({options.output: shown})
    return shown


def _solved(market: MarketFile, options: argparse.Namespace) -> Any:
    """The results; of a single regime its own."""
    regimes = [name for given in options.regime for name in given.split(",") if name] or list(market.regimes)
    at, changed = ",".join(options.at) or None, ",".join(options.set) or None
    if len(regimes) == 1:
        return market.solve(regimes[0], at=at, set=changed)
    return market.solve(regimes, at=at, set=changed)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are messages in the notebook, and that never ends the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%%mech: {message}. It takes {' '.join(self.format_usage().split()[2:])}")


def _read(line: str) -> argparse.Namespace:
    parser = _Parser(prog="%%mech", add_help=False, allow_abbrev=False)
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("-i", "--input", action="append", default=[], metavar="VAR,PARAM=VAR")
    parser.add_argument("-o", "--output", metavar="NAME")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    for option in ("--regime", "--at", "--set", "--plugin"):
        parser.add_argument(option, action="append", default=[])
    try:
        options = parser.parse_args(shlex.split(line))
    except ValueError as error:
        raise UsageError(f"%%mech: {error}") from None
    for name in (options.name, options.output):
        if name is not None and not name.isidentifier():
            raise UsageError(f"%%mech: '{name}' is no name for a Python variable")
    return options


def _pairs(given: list[str]) -> Iterator[tuple[str, str]]:
    """`d,mu=transfer` as (d, d), (mu, transfer)."""
    for part in (part.strip() for text in given for part in text.split(",") if part.strip()):
        param, _, variable = part.partition("=")
        yield param, variable or param


def filled(text: str, given: Mapping[str, str], variables: Mapping[str, Any], name: str = "<cell>") -> str:
    """The text with Python's values in it.

    Args:
        text: of the market.
        given: param -> the variable whose value it takes, whatever its own.
        variables: by name.
        name: what messages call the text.

    Raises:
        UsageError: `given` names no param, or a value cannot be written in the language.
        MechError: the text does not parse.
    """
    file = syntax.parse(text, name)
    declared = _declared(file)
    params = {s.target.name: s for s in file.statements if isinstance(s, tree.ParamStatement)}
    pieces: dict[tuple[int, int], str] = {}
    for param, variable in given.items():
        if param not in params:
            raise UsageError(f"the cell has no param '{param}'. {did_you_mean(param, params)}")
        stated = params[param].value or params[param].draw
        assert stated is not None
        pieces[stated.span.start, stated.span.end] = literal(variables[variable], variable)
    for node in _values(file):
        whole = (node.span.start, node.span.end)
        if whole in pieces:
            continue
        for part in walk(node):
            if isinstance(part, tree.Name) and part.id not in declared and _is_value(variables.get(part.id)):
                spelt = literal(variables[part.id], part.id)
                inside = (part.span.start, part.span.end)
                pieces[inside] = spelt if inside == whole else f"({spelt})"
    for (start, end), spelt in sorted(pieces.items(), reverse=True):
        text = text[:start] + spelt + text[end:]
    return text


def _values(file: tree.File) -> Iterator[tree.Node]:
    """What params, reports and `set` are given."""
    for node in walk(file.statements):
        if isinstance(node, tree.ParamStatement):
            yield from (part for part in (node.value, node.draw) if part is not None)
        elif isinstance(node, tree.ReportStatement | tree.SetStatement):
            yield node.value


def _declared(file: tree.File) -> set[str]:
    """Every name that means something in the text itself: declared, bound, or a label."""
    found = {"inf"}
    for node in walk(file.statements):
        match node:
            case tree.Target(name=name, letters=letters):
                found |= {name, *(letter.id for letter in letters)}
            case tree.IndexStatement(name=name, letters=letters):
                found |= {name, *(letter.id for letter in letters)}
            case tree.LabelSet(labels=labels):
                found |= {label.id for label in labels if isinstance(label, tree.Name)}
            case tree.Aggregate(letters=letters):
                found |= {letter.id for letter in letters}
            case tree.Mapping(entries=entries):
                found |= {label.id for label, _ in entries if isinstance(label, tree.Name)}
    return found


def _is_value(value: Any) -> bool:
    """Whether a variable holds numbers, in any of the forms that `literal` knows."""
    return (
        isinstance(value, int | float | Fraction | Mapping | list | tuple)
        or hasattr(value, "to_dict")
        or hasattr(value, "tolist")
    )


def literal(value: Any, name: str = "value") -> str:
    """A Python value in the language: `{video: 3.0, text: 4.0}`, `[1.0, 2.0]`, `0.5`.

    Args:
        value: a number, a label, a map by label, a list, an array, a pandas Series or DataFrame (rows, then columns).
        name: what the message calls it.

    Raises:
        UsageError: it is none of these.
    """
    if hasattr(value, "to_dict"):
        value = (value.T if getattr(value, "ndim", 1) == 2 else value).to_dict()
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_label(k, name)}: {literal(v, name)}' for k, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(v, name) for v in value)}]"
    if isinstance(value, str):
        return _label(value, name)
    if isinstance(value, int | float | Fraction) and math.isfinite(value):
        return repr(int(value)) if isinstance(value, int) else repr(float(value))
    raise UsageError(f"the Python variable '{name}' holds {value!r}, which is no number, label, list or map of such")


def _label(label: Any, name: str) -> str:
    if isinstance(label, str):
        if any(c in label for c in '"\r\n'):
            raise UsageError(f"the Python variable '{name}' has a label that cannot be written: {label!r}")
        return f'"{label}"'
    if isinstance(label, int | float) and math.isfinite(label):
        return f"{float(label):g}" if not float(label).is_integer() else str(int(label))
    raise UsageError(f"the Python variable '{name}' has a label that is no text and no number: {label!r}")
