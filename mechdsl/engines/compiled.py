"""Which engine compiles which kind of programme: one line a kind, each engine imported only when its kind is met."""

from __future__ import annotations

from typing import Any

from mechdsl.errors import InternalError, UsageError
from mechdsl.program import Equilibrium, Menu, Optimum, Program, Stages

__all__ = ["compiled"]


def compiled(program: Program, method: str | None = None) -> Any:
    """The programme's engine, ready to `solve(parameters, start)` at many parameter values.

    Args:
        program: what is to be solved.
        method: the way, where an engine knows several; None: its own choice.

    Raises:
        UsageError: the engine knows no such way.
        InternalError: no engine solves such a programme.
    """
    if isinstance(program, Equilibrium):
        from mechdsl.engines.nash import compile_game

        return compile_game(program, method)
    if method is not None:
        raise UsageError(f"--method is for contests; a {program.name} is solved in one way")
    if isinstance(program, Optimum):
        from mechdsl.engines.optimum import compile_optimum

        return compile_optimum(program)
    if isinstance(program, Stages):
        from mechdsl.engines.stages import compile_stages

        return compile_stages(program)
    if isinstance(program, Menu):
        from mechdsl.engines.menu import CompiledMenu
        from mechdsl.engines.optimum import compile_optimum

        return CompiledMenu(program, compile_optimum(program.items))
    raise InternalError(f"no engine solves a {type(program).__name__}")
