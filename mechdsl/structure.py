"""A market structure: one frozen value that says what it handles, what follows from theory, what to solve, and the
way home.

Structures are plugins. The built-in ones are found as anyone else's are, by entry point or from a file, and have no
privilege. A structure is checked when it is registered; a broken one is named and left out, never fatal; one for a kind
of contract of its own is loaded for markets that have such a contract, and for no other.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mechdsl.distributions.plugged import Plugged, Source, plugged
from mechdsl.elaborate.functions import Function, plugged_functions
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity
from mechdsl.guard import guarded
from mechdsl.loading import Attempt, Point, attempt, failure, module, points, tried
from mechdsl.vocabulary import Words

if TYPE_CHECKING:
    from mechdsl.derivation import Derivation
    from mechdsl.expected import Expected
    from mechdsl.market import Market
    from mechdsl.mechanism import Mechanism
    from mechdsl.outcome import Check, Outcome, Sample
    from mechdsl.program import Program

__all__ = ["Broken", "Claim", "Example", "Finding", "Handles", "Registry", "Report", "Structure", "installed", "match"]

STRUCTURES, CONTRACTS = "mechdsl.structures", "mechdsl.contracts"  # groups of entry points

Report: TypeAlias = Mapping[Quantity, Array]
"""Reported types: type -> array of shape `(..., *quantity.shape)`."""


NEAREST = 4
"""Structures whose reasons are told at length."""


@dataclass(frozen=True, slots=True)
class Handles:
    """Which markets a structure is for, by what their text says.

    Args:
        contracts: the kinds of the contracts, from the layer that sets the terms downwards: `("direct",)`,
            `("presigned", "direct")`.
        goals: the words its objective may be: `("revenue",)`.
        represented: whether the provider of the last contract represents another layer (a union).
        words: for each kind, the arguments it understands: `{"direct": ("payment", "trials", "information")}`.
        refuses: a further condition: the reason why this market does not fit after all, or None.
        money: for each kind, the arguments that are sums of money, and choices that are (a price): they scale with it.
    """

    contracts: tuple[str, ...]
    goals: tuple[str, ...]
    represented: bool = False
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refuses: Callable[[Market], str | None] = lambda market: None
    money: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        chain = ", then ".join(self.contracts) or "no contract"
        union = " with a layer that represents the providers" if self.represented else ""
        return f"contracts: {chain}{union}; objective: {' or '.join(self.goals)}"


@dataclass(frozen=True, slots=True)
class Example:
    """A market and numbers about it that were got outside the derivation (a closed form by hand, a paper's figure).

    Args:
        text: a whole `.mech` text.
        expect: `"allocation.x.video": 3.0`, `"revenue": -1.5`: paths into the JSON of `solve` -> number.
        source: where the numbers come from.
        tolerance: relative (absolute below 1).
        regime: which regime.
        money: its params and choices that are sums of money (a price floor, a price), beside what its costs, values and
            outside options say.
    """

    text: str
    expect: Mapping[str, float]
    source: str
    tolerance: float = 1e-6
    regime: str = "main"
    money: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a published statement comes to on an instance.

    Args:
        holds: None where it cannot be decided, or says nothing about this market.
        met: whether the condition that guarantees it is met; None where none is known.
        detail: the numbers, whole sentence.
    """

    holds: bool | None
    met: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A published statement about outcomes: the relation, when it is guaranteed, and who said so.

    Args:
        text: in the language of claims, or in words where `decide` says what it comes to.
        decide: regime -> (mechanism, outcome), for the regimes that were solved -> the finding.
    """

    name: str
    text: str
    condition: str
    guaranteed: Callable[[Market], bool | None]
    source: str
    decide: Callable[[Mapping[str, tuple[Mechanism, Outcome]]], Finding] | None = None


@dataclass(frozen=True, slots=True)
class Structure:
    """A market structure, whole.

    Args:
        name: as reports call it; title: a line about it; source: the paper.
        handles: which markets it is for.
        derive: market -> what theory makes of it, step by step.
        program: (market, derivation) -> what is to be solved, its weights left open.
        parameters: (market, report) -> values of the open parameters; vectorised over draws.
        recover: (mechanism, report) -> the outcome in the market's words. `program` and `recover` are a pair.
        checks: (mechanism, report, outcome) -> further certificate checks of its own, each named.
        claims: published statements it knows.
        examples: markets with known answers; the conformance kit solves them.
        sample: (mechanism, reports with a leading axis of N draws) -> the outcomes at all of them at once; None asks
            `recover` N times.
        rates: (mechanism, report, directions) -> how the outcome moves along directions in which the data move; None:
            it is solved again to either side.
        expected: mechanism -> the expected outcome over types as forms in what has to be integrated; None integrates
            the outcomes themselves.
    """

    name: str
    title: str
    source: str
    handles: Handles
    derive: Callable[[Market], Derivation]
    program: Callable[[Market, Derivation], Program]
    parameters: Callable[[Market, Report], Mapping[Quantity, Array]]
    recover: Callable[[Mechanism, Report], Outcome]
    checks: Callable[[Mechanism, Report, Outcome], Iterable[Check]] = lambda mechanism, report, outcome: ()
    claims: tuple[Claim, ...] = ()
    examples: tuple[Example, ...] = ()
    sample: Callable[[Mechanism, Report], Sample] | None = None
    rates: Callable[[Mechanism, Report, Any], Any] | None = None
    expected: Callable[[Mechanism], Expected] | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be taken: its name and the reason, for `mechdsl plugins` and for messages."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Registry:
    """The structures at hand, made once at start-up; `origins` says where each came from; the distributions beside
    them.

    Args:
        structures: of installed packages and of files.
        broken: what could not be taken.
        origins: by structure.
        distributions: by name.
        functions: that plugins add to the language, by name.
        waiting: installed structures for kinds of contract of their own, not loaded until a market has one.
        remarks: sentences about plugins that were taken all the same.
    """

    structures: tuple[Structure, ...]
    broken: tuple[Broken, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    distributions: Plugged = field(default_factory=plugged)
    waiting: tuple[Point, ...] = ()
    functions: Words[Function] = field(default_factory=plugged_functions)
    remarks: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of contract that are known, of structures that wait too."""
        return tuple(
            sorted({kind for s in self.structures for kind in s.handles.contracts} | {p.name for p in self.waiting})
        )

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is amiss with plugins that were loaded so far, a sentence each."""
        words = (self.distributions.families, self.functions)
        broken = [*((b.name, b.reason) for b in self.broken), *(pair for w in words for pair in w.broken)]
        printed = [f"plugin {name} printed while it was loaded: {text}" for w in words for name, text in w.printed]
        told = [f"plugin {name} was not taken: {reason}" for name, reason in broken]
        return tuple(dict.fromkeys((*told, *self.remarks, *printed)))

    def complete(self) -> Registry:
        """With everything loaded that waits to be used."""
        self.distributions.families.complete()
        self.functions.complete()
        return self.knowing()

    def knowing(self, kinds: Collection[str] | None = None) -> Registry:
        """With the structures loaded that wait for contracts of these kinds; None: with all."""
        wanted = [p for p in self.waiting if kinds is None or p.name in kinds]
        if not wanted:
            return self
        gathered = _Gathering(
            {s.name: s for s in self.structures}, list(self.broken), dict(self.origins), list(self.remarks)
        )
        for point in wanted:
            gathered.take(point.name, point.origin, tried(point), point.name)
        rest = tuple(p for p in self.waiting if p not in wanted)
        return gathered.registry(self.distributions, self.functions, rest)


_CALLABLE_FIELDS: Mapping[str, int] = {"derive": 1, "program": 2, "parameters": 2, "recover": 2, "checks": 3}


def verify(candidate: Any) -> str | None:
    """Why `candidate` cannot be registered (field and reason), or None."""
    if not isinstance(candidate, Structure):
        return f"STRUCTURE is a {type(candidate).__name__}, not a mechdsl.Structure"
    for name in ("name", "title", "source"):
        if not isinstance(getattr(candidate, name), str) or not getattr(candidate, name).strip():
            return f"field '{name}' must be a non-empty string"
    if not isinstance(candidate.handles, Handles):
        return "field 'handles' must be a mechdsl.Handles"
    for name, arity in _CALLABLE_FIELDS.items():
        function = getattr(candidate, name)
        if not callable(function):
            return f"field '{name}' is not callable"
        if not _accepts(function, arity):
            return f"field '{name}' must take {arity} argument{'s' if arity > 1 else ''}, as {_CALL_TEXT[name]}"
    for example in candidate.examples:
        if not isinstance(example, Example) or not example.expect:
            return "field 'examples' must hold mechdsl.Example values, each with at least one expected number"
    return None


_CALL_TEXT: Mapping[str, str] = {
    "derive": "derive(market)",
    "program": "program(market, derivation)",
    "parameters": "parameters(market, report)",
    "recover": "recover(mechanism, report)",
    "checks": "checks(mechanism, report, outcome)",
}


def _accepts(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


def installed(files: Sequence[Path] = ()) -> Registry:
    """All structures, distributions and functions: of installed packages (entry points), then of `files` (`--plugin`).

    A package's structure for a kind of contract of its own is named for that kind in the group `mechdsl.contracts`, and
    loaded when a market has such a contract; any other is in the group `mechdsl.structures`, and loaded here. A file
    defines `STRUCTURE` (one, or several in a tuple), `DISTRIBUTIONS` or `FUNCTIONS`; it is waited for.
    """
    gathered = _Gathering({}, [], {}, [])
    for point in points(STRUCTURES):
        gathered.take(point.name, point.origin, tried(point))
    laws: list[Source] = []
    formulas: list[Source] = []
    for path in dict.fromkeys(files):
        found = attempt(partial(module, path), None)
        name, origin = path.stem, str(path)
        gathered.hear(name, found)
        if found.reason:
            gathered.broken.append(Broken(name, f"{origin}: {found.reason}"))
        elif not any(hasattr(found.value, word) for word in _DEFINED):
            gathered.broken.append(Broken(name, f"{origin}: the file defines no {', no '.join(_DEFINED)}"))
        elif hasattr(found.value, "STRUCTURE"):
            gathered.take(name, origin, Attempt(found.value.STRUCTURE))
        for word, into in (("DISTRIBUTIONS", laws), ("FUNCTIONS", formulas)):
            if hasattr(found.value, word):
                into.append((name, origin, partial(getattr, found.value, word)))
    distributions, functions = plugged(laws), plugged_functions(formulas)
    for words in (distributions.families, functions):
        gathered.broken += [Broken(name, reason) for name, reason in words.broken]
    return gathered.registry(distributions, functions, points(CONTRACTS))


_DEFINED = ("STRUCTURE", "DISTRIBUTIONS", "FUNCTIONS")


@dataclass(slots=True)
class _Gathering:
    """A registry in the making."""

    structures: dict[str, Structure]
    broken: list[Broken]
    origins: dict[str, str]
    remarks: list[str]

    def take(self, name: str, origin: str, found: Attempt, kind: str | None = None) -> None:
        """Add the structure, or structures, that loading came to, or the reason why there is none."""
        self.hear(name, found)
        given = found.value if isinstance(found.value, tuple | list) else (found.value,)
        for candidate in given:
            reason = found.reason or verify(candidate)
            if not reason and candidate.name in self.structures:
                reason = (
                    f"the name '{candidate.name}' is already taken by {self.origins.get(candidate.name, 'another')}"
                )
            if not reason and kind is not None and kind not in candidate.handles.contracts:
                reason = f"it is declared for contracts of the kind '{kind}', and handles {candidate.handles}"
            if reason:
                self.broken.append(Broken(name, f"{origin}: {reason}"))
                continue
            own = origin.startswith("mechdsl.")
            self.structures[candidate.name] = candidate if own else guarded(candidate, origin)
            self.origins[candidate.name] = origin

    def hear(self, name: str, found: Attempt) -> None:
        """Keep what a plugin printed out of what the command prints, and say so."""
        if found.printed:
            self.remarks.append(f"plugin {name} printed while it was loaded: {found.printed}")

    def registry(self, distributions: Plugged, functions: Words[Function], waiting: tuple[Point, ...]) -> Registry:
        """The registry as it stands."""
        structures, broken, remarks = tuple(self.structures.values()), tuple(self.broken), tuple(self.remarks)
        return Registry(structures, broken, dict(self.origins), distributions, waiting, functions, remarks)


@dataclass(frozen=True, slots=True)
class Match:
    """The structure chosen for a market (or None) and why; `reasons` says why each other one was not, nearest to the
    market first, `broken` which could not be asked.
    """

    structure: Structure | None
    why: str
    reasons: Mapping[str, str]
    broken: tuple[Broken, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """The reasons as a page shows them: the nearest few whole, the other structures by their names."""
        lines = [f"{name}: {reason}" for name, reason in self.reasons.items()]
        if len(lines) <= NEAREST:
            return tuple(lines)
        further = ", ".join([*self.reasons][NEAREST:])
        return (*lines[:NEAREST], f"further off: {further} ('mechdsl plugins' says what each is for)")


def match(market: Market, registry: Registry) -> Match:
    """The structure that handles `market`. Two that do are an error of the installation: the first by name is taken
    and said so.
    """
    at_hand = registry.knowing({c.kind for c in market.contracts})
    by_distance = sorted(at_hand.structures, key=lambda s: (distance(market, s.handles), s.name))
    reasons = {s.name: _reason(market, s.handles) for s in by_distance}
    fitting = [s for s in at_hand.structures if reasons[s.name] is None]
    others = {name: reason for name, reason in reasons.items() if reason is not None}
    if not fitting:
        return Match(None, "no installed structure handles this market", others, at_hand.broken)
    chosen = min(fitting, key=lambda s: s.name)
    why = str(chosen.handles)
    if len(fitting) > 1:
        why += f" (also handled by {', '.join(s.name for s in fitting if s is not chosen)})"
    return Match(chosen, why, others, at_hand.broken)


def distance(market: Market, handles: Handles) -> tuple[int, int, bool, bool]:
    """How far a structure is from a market by what both say: contracts first, who is represented, then the objective.

    Source: ours (`test_the_nearest_structures_come_first`).
    """
    kinds, wanted = Counter(c.kind for c in market.contracts), Counter(handles.contracts)
    chain = contract_chain(market)
    represented = bool(chain) and market.layer(chain[-1].provider).represents is not None
    goal = market.objectives[0].goal if market.objectives else "none"
    off = max((kinds - wanted).total(), (wanted - kinds).total())
    return -(kinds & wanted).total(), off, represented != handles.represented, goal not in handles.goals


def _reason(market: Market, handles: Handles) -> str | None:
    """Why a structure does not fit; what goes wrong in asking it is a reason too."""
    try:
        found = _mismatch(market, handles)
    except Exception as error:  # noqa: BLE001 - another's code: it must not stand in the way of other structures
        return f"whether it fits cannot be told: {failure(error)}"
    if found is None or isinstance(found, str):
        return found
    return f"whether it fits cannot be told: `refuses` returns a {type(found).__name__}, no sentence and not None"


def _mismatch(market: Market, handles: Handles) -> str | None:
    kinds = tuple(c.kind for c in contract_chain(market))
    if kinds != handles.contracts:
        wanted, found = (" and ".join(k) or "no contract" for k in (handles.contracts, kinds))
        return f"it is for {wanted}, the market has {found}"
    goal = market.objectives[0].goal if market.objectives else None
    word = goal if isinstance(goal, str) else ("none" if goal is None else "an expression")
    if word not in handles.goals:
        return f"it is for the objective {' or '.join(handles.goals)}, the market's is {word}"
    if market.objectives and market.objectives[0].sense != "maximize":
        return "it maximises, the market's objective is to minimize"
    provider = contract_chain(market)[-1].provider if kinds else None
    represented = provider is not None and market.layer(provider).represents is not None
    if represented != handles.represented:
        return f"it is for providers {'represented by a layer' if handles.represented else 'that act for themselves'}"
    for contract in market.contracts:
        unknown = sorted(set(contract.arguments) - set(handles.words.get(contract.kind, ())))
        if unknown:
            words = ", ".join(handles.words.get(contract.kind, ())) or "none"
            return f"it does not know the argument '{unknown[0]}' of {contract.kind}, which takes {words}"
    return handles.refuses(market)


def contract_chain(market: Market) -> tuple[Any, ...]:
    """The contracts ordered from the layer that no one pays down to the last provider; as stated where they form no
    chain.
    """
    remaining = list(market.contracts)
    providers = {c.provider for c in remaining}
    start = next((c.payer for c in remaining if c.payer not in providers), None)
    chain = []
    while start is not None:
        following = next((c for c in remaining if c.payer == start), None)
        if following is None:
            break
        chain.append(following)
        remaining.remove(following)
        start = following.provider
    return (*chain, *remaining)
