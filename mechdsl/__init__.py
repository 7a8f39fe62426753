"""mechdsl: markets and mechanisms as text, solved and certified.

The public names, each loaded from its module when it is first used: a command that only prints its help, or a plugin
that only looks up a name, must not wait for sympy, Pyomo and scipy.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for true; importing it from typing would cost more than all the rest
if TYPE_CHECKING:
    from mechdsl import theory
    from mechdsl.api import MarketFile, load, parse
    from mechdsl.derivation import Derivation, Step
    from mechdsl.elaborate.functions import Function
    from mechdsl.errors import MechError, UsageError
    from mechdsl.market import Market
    from mechdsl.mechanism import Mechanism
    from mechdsl.notebook import load_ipython_extension, unload_ipython_extension
    from mechdsl.outcome import Account, Check, Outcome, Sample
    from mechdsl.program import Constraint, Equilibrium, Menu, Optimum, Solution, Stages, Status, Variable
    from mechdsl.results import Result, Results
    from mechdsl.structure import Claim, Example, Handles, Report, Structure

__all__ = [
    "Account",
    "Check",
    "Claim",
    "Constraint",
    "Derivation",
    "Equilibrium",
    "Example",
    "Function",
    "Handles",
    "Market",
    "MarketFile",
    "MechError",
    "Mechanism",
    "Menu",
    "Optimum",
    "Outcome",
    "Report",
    "Result",
    "Results",
    "Sample",
    "Solution",
    "Stages",
    "Status",
    "Step",
    "Structure",
    "UsageError",
    "Variable",
    "__version__",
    "load",
    "load_ipython_extension",
    "parse",
    "theory",
    "unload_ipython_extension",
]

__version__ = "0.1.0"

# Public name: the module it lives in.
_HOME = {
    "Account": "outcome",
    "Check": "outcome",
    "Claim": "structure",
    "Constraint": "program",
    "Derivation": "derivation",
    "Equilibrium": "program",
    "Example": "structure",
    "Function": "elaborate.functions",
    "Handles": "structure",
    "Market": "market",
    "MarketFile": "api",
    "MechError": "errors",
    "Mechanism": "mechanism",
    "Menu": "program",
    "Optimum": "program",
    "Outcome": "outcome",
    "Report": "structure",
    "Result": "results",
    "Results": "results",
    "Sample": "outcome",
    "Solution": "program",
    "Stages": "program",
    "Status": "program",
    "Step": "derivation",
    "Structure": "structure",
    "UsageError": "errors",
    "Variable": "program",
    "load": "api",
    "load_ipython_extension": "notebook",
    "parse": "api",
    "unload_ipython_extension": "notebook",
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
