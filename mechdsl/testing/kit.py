"""Running the kit: a structure's functions are called one after another, and whatever they do becomes a sentence.

A structure under test may raise, return something else, take for ever, or change what it was given. Each is a failure
like any other, found where it happens, so that its author reads one page and not a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import numpy as np

from mechdsl import pipeline, syntax
from mechdsl import syntax_tree as tree
from mechdsl.derivation import Derivation
from mechdsl.elaborate import elaborate
from mechdsl.errors import MechError, PluginError, Source
from mechdsl.evaluate import Array
from mechdsl.loading import OvertimeError, deadline, failure
from mechdsl.market import Market
from mechdsl.mechanism import Mechanism
from mechdsl.outcome import Outcome
from mechdsl.program import Equilibrium, Menu, Optimum, Stages, optima
from mechdsl.structure import Example, Registry, Report, Structure, match, verify
from mechdsl.testing.checks import CHECKS, Found
from mechdsl.testing.relabelling import relabelled

__all__ = ["Failure", "NonconformingError", "check_structure", "failures"]

_CORRECT = "Correct it; where the market is at fault, let `refuses` say why it does not fit."
_COPIES = "Compute with copies: `2 * x`, not `x *= 2`."
SECONDS = 60.0  # that any one function of a structure may take on an example


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing a structure does not do as it must.

    Args:
        example: the market on which it showed; `structure` where none is at fault.
        check: which of the kit's checks; checked: what it asks for, a sentence.
        message: what was found; remedy: what to do about it.
    """

    example: str
    check: str
    message: str
    checked: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = "the structure itself" if self.example == "structure" else f"market '{self.example}'"
        lines = [f"{self.check}, on {place}"]
        parts = (("checked", self.checked), ("found", self.message), ("to do", self.remedy))
        lines += [f"  {name + ':':<9}{text}" for name, text in parts if text]
        return "\n".join(lines)


class NonconformingError(AssertionError):
    """A structure failed the kit; the message lists every failure."""


def check_structure(structure: Structure, seconds: float = SECONDS, *, words: Registry | None = None) -> None:
    """Run the whole kit.

    Args:
        structure: to be checked.
        seconds: how long any one of its functions may take on an example.
        words: where the functions and distributions are found that its examples use: `installed([Path("mine.py")])`;
            None: the installed ones.

    Raises:
        NonconformingError: with every failure, in words.
    """
    found = list(failures(structure, seconds, words=words))
    if found:
        name = getattr(structure, "name", "?")
        raise NonconformingError("\n\n".join([f"structure '{name}' does not conform:", *map(str, found)]))


def failures(structure: Structure, seconds: float = SECONDS, *, words: Registry | None = None) -> Iterator[Failure]:
    """Every failure of the kit; none for a conforming structure."""
    reason = verify(structure)
    if reason is not None:
        yield Failure("structure", "registration", reason, "the fields of the structure are of the right kinds",
                      "Correct the field; the docstring of mechdsl.Structure says what each one is.")  # fmt: skip
        return
    if not structure.examples:
        yield Failure(
            "structure",
            "examples",
            "there is none: a structure needs a market with a number stated elsewhere",
            "a structure is tried on markets of its own",
            "Add Example(text, {path: number}, source), the number from a paper or from a sheet of paper.",
        )
    for example in structure.examples:
        try:
            yield from _Trial(structure, example, seconds, words or Registry((structure,))).failures()
        except _StopError as stop:
            yield stop.failure


class _StopError(Exception):
    """After this failure nothing further can be asked."""

    def __init__(self, failed: Failure) -> None:
        super().__init__(str(failed))
        self.failure = failed


@dataclass(slots=True)
class _Trial:
    """One example of one structure."""

    structure: Structure
    example: Example
    seconds: float
    words: Registry
    name: str = "example"

    def failures(self) -> Iterator[Failure]:
        file, market = self._read()
        self.name = market.name
        self._matched(market)
        before = _fingerprint(market.data)
        mechanism = self._mechanism(market)
        report = pipeline.stated_report(market)
        outcome = self._recovered(mechanism, report)
        yield from self._changed(before, market)
        yield from self._shapes(mechanism, outcome)
        for name, checked, remedy, check in CHECKS:
            found = self._call(name, partial(_list, check, mechanism, report, outcome, self.example))
            yield from (Failure(self.name, name, *_said(one, checked, remedy)) for one in found)
        yield from self._again(market, report, outcome)
        turned = self._call(
            "relabelling", lambda: list(relabelled(self.structure, file, self._markets, self.example, outcome))
        )
        remedy = "Refer to entries by letters, never by their place: no `[0]`, no order of labels, in any function."
        checked = "the same market with its labels in the opposite order has the same answer"
        yield from (Failure(self.name, "relabelling", message, checked, remedy) for message in turned)

    # ------------------------------------------------------------------------------------------------- to the outcome

    def _read(self) -> tuple[tree.File, Market]:
        checked = "the example's text is a market"
        try:
            file = syntax.parse(self.example.text, "example")
            markets = self._markets(file)
        except MechError as error:
            self._stop("reading", str(error), checked, "Correct the text: save it as a file and run `mechdsl check`.")
        if self.example.regime not in markets:
            known = ", ".join(markets)
            self._stop("reading", f"it has no regime '{self.example.regime}', only {known}", checked,
                       "Name one in Example(..., regime=...).")  # fmt: skip
        return file, markets[self.example.regime]

    def _markets(self, file: tree.File) -> Mapping[str, Market]:
        families, functions = self.words.distributions.families, self.words.functions
        return elaborate(file, Source("example", self.example.text), families=families, functions=functions).markets

    def _matched(self, market: Market) -> None:
        chosen = self._call("matching", lambda: match(market, Registry((self.structure,))))
        if chosen.structure is None:
            (reason,) = chosen.reasons.values()
            self._stop("matching", f"it does not: {reason}", "the structure takes its own example",
                       "Make `handles` (contracts, goals, words, refuses) and the market agree.")  # fmt: skip

    def _mechanism(self, market: Market) -> Mechanism:
        from mechdsl.engines.compiled import compiled

        one = self.structure
        derivation = self._call("derive", lambda: one.derive(market))
        self._typed("derive", derivation, Derivation)
        program = self._call("program", lambda: one.program(market, derivation))
        self._typed("program", program, (Optimum, Stages, Menu, Equilibrium))
        report = pipeline.stated_report(market)
        given = self._call("parameters", lambda: one.parameters(market, report))
        self._typed("parameters", given, Mapping)
        for quantity in () if isinstance(program, Equilibrium | Menu) else program.parameters:
            table = given.get(quantity)
            if table is None or np.shape(table)[np.ndim(table) - len(quantity.sets) :] != quantity.shape:
                found = "no value" if table is None else f"a table of shape {np.shape(table)}"
                self._stop("parameters", f"parameters(market, report) has {found} for '{quantity.name}', which the "
                           f"programme leaves open and which has shape {quantity.shape}",
                           "every open parameter of the programme gets its value",
                           "Return {quantity: array}; `theory.reported_types` does it for types.")  # fmt: skip
        engine = self._call("program", lambda: compiled(program, None))
        return Mechanism(market, one, derivation, program, lambda: engine)

    def _recovered(self, mechanism: Mechanism, report: Report) -> Outcome:
        solution = self._call("solving", lambda: mechanism.solve(report)) if optima(mechanism.program) else None
        before = None if solution is None else _fingerprint(solution.values)
        outcome = self._call("recover", lambda: self.structure.recover(mechanism, report))
        self._typed("recover", outcome, Outcome)
        assert isinstance(outcome, Outcome)
        checked = "the example has a solution"
        if not outcome.status.found:
            self._stop("solving", f"status {outcome.status}: {outcome.message}", checked,
                       "Is the programme the right way round (maximize, minimize), is every choice bounded by cost, "
                       "value or constraint? `mechdsl export FILE --to pyomo` shows it.")  # fmt: skip
        if solution is not None and before != _fingerprint(solution.values):
            changed = _differing(before, solution.values)
            self._stop("recover", f"it changes the solution it was given ({changed})",
                       "no function changes what it is given", _COPIES)  # fmt: skip
        return outcome

    # -------------------------------------------------------------------------------------------- what can be looked at

    def _shapes(self, mechanism: Mechanism, outcome: Outcome) -> Iterator[Failure]:
        """Names, shapes and finiteness of what an outcome holds; what is missing ends the trial."""
        market, checked = mechanism.market, "an outcome names every decision and layer, with tables of their shapes"
        if outcome.structure != self.structure.name:
            found = (
                f"the outcome says it is of the structure '{outcome.structure}', which is named '{self.structure.name}'"
            )
            remedy = "Use mechanism.structure.name."
            yield Failure(self.name, "outcome", found, "an outcome names its structure", remedy)
        wanted: dict[str, tuple[Any, tuple[int, ...]]] = {
            f"allocation of '{c.quantity.name}'": (outcome.allocation.get(str(c.quantity.name)), c.quantity.shape)
            for c in market.choices
        }
        layers = {y.name: y.shape for y in market.layers}
        for what, tables in (("utility", outcome.utilities), ("payment", outcome.payments)):
            named = layers if what == "utility" else [n for n in tables if n in layers]
            wanted |= {f"{what} of '{n}'": (tables.get(n), layers[n]) for n in named}
        for what, (table, shape) in wanted.items():
            if table is None:
                self._stop("outcome", f"there is no {what}", checked,
                           "Take the allocation from mechanism.solve(report).values, and let the books (theory."
                           "effort_outcome, mechdsl.accounting.settle) make the rest.")  # fmt: skip
            if np.shape(table) != shape:
                self._stop("outcome", f"the {what} has shape {np.shape(table)}, not {shape}", checked,
                           "One number for each label, in the order of the labels.")  # fmt: skip
            if not np.all(np.isfinite(np.asarray(table, dtype=np.float64))):
                self._stop("outcome", f"the {what} is {np.asarray(table).tolist()}", "every amount is a number",
                           "Look for a division by 0, or 0 * inf, where an output is 0.")  # fmt: skip

    def _changed(self, before: Mapping[str, bytes], market: Market) -> Iterator[Failure]:
        if before != _fingerprint(market.data):
            found = f"the market's data are not what they were ({_differing(before, market.data)})"
            yield Failure(self.name, "market unchanged", found, "no function changes what it is given",
                          _COPIES)  # fmt: skip

    def _again(self, market: Market, report: Report, first: Outcome) -> Iterator[Failure]:
        """The same question, asked of a mechanism made anew."""
        second = self._recovered(self._mechanism(market), report)
        for what, one, other in (
            *((f"allocation of '{n}'", t, second.allocation.get(n)) for n, t in first.allocation.items()),
            *((f"payment of '{n}'", t, second.payments.get(n)) for n, t in first.payments.items()),
        ):
            if other is None or not np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True):
                found = f"the {what} is {_table(one)} at first and {_table(other)} when asked again"
                yield Failure(self.name, "determinism", found, "the same market has the same answer, to the last digit",
                              "No dice without a fixed seed, no clock, nothing remembered between calls.")  # fmt: skip
                return

    # --------------------------------------------------------------------------------------------------------- calling

    def _call(self, stage: str, function: Callable[[], Any]) -> Any:
        """What the structure's function returns; what it raises ends the trial."""
        try:
            with deadline(self.seconds):
                return function()
        except OvertimeError:
            self._stop(stage, f"it was not done within {self.seconds:g} seconds",
                       "a structure answers a small market in the time it takes to read it",
                       "Is there a search or a loop that numpy or the engine could do? mechanism.solve(report) "
                       "remembers what it has solved; mechanism.keep(key, make) remembers the rest.")  # fmt: skip
        except PluginError as error:  # it has been said already, with its place
            self._stop(stage, str(error), "nothing is raised on a market that is handled", _CORRECT)
        except Exception as error:  # noqa: BLE001 - whatever a structure raises is what is wrong with it
            self._stop(stage, failure(error, files_of(self.structure)), "nothing is raised on a market that is handled",
                       _CORRECT)  # fmt: skip

    def _typed(self, name: str, value: Any, wanted: Any) -> None:
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        if not isinstance(value, kinds):
            said = " or ".join(k.__name__ for k in kinds)
            found = "nothing" if value is None else f"a {type(value).__name__}"
            self._stop(name, f"{name} returns {found}, not a {said}", "each function returns what it must",
                       f"Return a {said}.")  # fmt: skip

    def _stop(self, check: str, message: str, checked: str, remedy: str) -> NoReturn:
        raise _StopError(Failure(self.name, check, message, checked, remedy)) from None


def files_of(structure: Structure) -> Collection[str]:
    """The files that the functions of a structure come from."""
    functions = (structure.derive, structure.program, structure.parameters, structure.recover, structure.checks,
                 structure.handles.refuses)  # fmt: skip
    return {code.co_filename for f in functions if (code := getattr(f, "__code__", None)) is not None}


def _list(check: Callable[..., Iterator[Found]], *arguments: Any) -> list[Found]:
    return list(check(*arguments))


def _said(found: Found, checked: str, remedy: str) -> tuple[str, str, str]:
    return (found, checked, remedy) if isinstance(found, str) else (found[0], checked, found[1])


def _fingerprint(tables: Mapping[Any, Array]) -> dict[str, bytes]:
    return {str(name): np.asarray(table).tobytes() for name, table in tables.items()}


def _differing(before: Mapping[str, bytes] | None, tables: Mapping[Any, Array]) -> str:
    now = _fingerprint(tables)
    return ", ".join(f"'{n}'" for n in sorted({*(before or {}), *now}) if (before or {}).get(n) != now.get(n))


def _table(table: Any) -> str:
    return "nothing" if table is None else str(np.asarray(table).tolist())
