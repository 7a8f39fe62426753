"""A structure of a plugin, at work: what its functions raise, return or print is said to be theirs.

The chain that asks a structure trusts what it gets. Between the two stands this: a value of the wrong kind or an
exception becomes a sentence with the structure's name, its function and the line, and nobody sees a traceback.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any

from mechdsl.derivation import Derivation
from mechdsl.errors import MechError, PluginError, UsageError
from mechdsl.loading import failure
from mechdsl.outcome import Outcome
from mechdsl.program import Equilibrium, Menu, Optimum, Stages

__all__ = ["guarded"]


def guarded(structure: Any, origin: str) -> Any:
    """The structure with functions that say whose fault it is when they fail; what they print goes to stderr.

    Args:
        structure: of a plugin.
        origin: where it comes from.
    """
    wanted: dict[str, Any] = {
        "derive": Derivation,
        "program": (Optimum, Stages, Menu, Equilibrium),
        "parameters": Mapping,
        "recover": Outcome,
        "checks": tuple,
    }
    functions = {name: getattr(structure, name) for name in (*wanted, "sample", "rates", "expected")}
    files = {code.co_filename for f in functions.values() if (code := getattr(f, "__code__", None)) is not None}
    whose = f"structure '{structure.name}' ({origin})"

    def guard(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def asked(*arguments: Any) -> Any:
            try:
                with contextlib.redirect_stdout(sys.stderr):
                    found = function(*arguments)
                    found = tuple(found) if name == "checks" else found
            except (MechError, UsageError, PluginError):
                raise
            except Exception as error:
                raise PluginError(f"{whose} fails in `{name}`: {failure(error, files)}") from error
            if name in wanted and not isinstance(found, wanted[name]):
                kind = "nothing" if found is None else f"a {type(found).__name__}"
                kinds = wanted[name] if isinstance(wanted[name], tuple) else (wanted[name],)
                raise PluginError(
                    f"{whose} fails in `{name}`: it returns {kind}, not a {' or '.join(k.__name__ for k in kinds)}"
                )
            return found

        return asked

    asked: dict[str, Any] = {name: guard(name, f) for name, f in functions.items() if f is not None}
    return replace(structure, **asked)
