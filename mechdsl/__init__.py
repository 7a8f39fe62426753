"""mechdsl: markets and mechanisms as text, solved and certified.

The public names, each loaded from its module when it is first used: a command that only prints its help, or a plugin
that only looks up a name, must not wait for sympy, Pyomo and scipy.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for true; importing it from typing would cost more than all the rest
if TYPE_CHECKING:
    from mechdsl.errors import MechError

__all__ = ["MechError", "__version__"]

__version__ = "0.1.0"

# Public name: the module it lives in.
_HOME = {
    "MechError": "errors",
}

if not TYPE_CHECKING:  # so that a misspelt name is still an error to the type checker

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'mechdsl' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"mechdsl.{_HOME[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
