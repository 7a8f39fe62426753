"""A market structure: one frozen value that says what it handles, what follows from theory, what to solve, and the
way home.

Structures are plugins. The built-in ones are found as anyone else's are, by entry point (group `mechdsl.structures`)
or from a file, and have no privilege. A structure is checked when it is registered; a broken one is named and left
out, never fatal.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mechdsl.distributions.plugged import Plugged, plugged
from mechdsl.evaluate import Array
from mechdsl.formula import Quantity

if TYPE_CHECKING:
    from mechdsl.derivation import Derivation
    from mechdsl.expected import Expected
    from mechdsl.market import Market
    from mechdsl.mechanism import Mechanism
    from mechdsl.outcome import Check, Outcome, Sample
    from mechdsl.program import Program

__all__ = ["Broken", "Claim", "Example", "Finding", "Handles", "Registry", "Report", "Structure", "installed", "match"]

ENTRY_POINT_GROUP = "mechdsl.structures"

Report: TypeAlias = Mapping[Quantity, Array]
"""Reported types: type -> array of shape `(..., *quantity.shape)`."""


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
        money: for each kind, the arguments that are sums of money: they scale with it.
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
    """

    text: str
    expect: Mapping[str, float]
    source: str
    tolerance: float = 1e-6
    regime: str = "main"


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
    """

    structures: tuple[Structure, ...]
    broken: tuple[Broken, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    distributions: Plugged = field(default_factory=plugged)


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
    """All structures and distributions: of installed packages (entry points), then of `files` (`--plugin`).

    A file defines `STRUCTURE`, or `DISTRIBUTIONS`, or both.
    """
    modules: dict[Path, Any] = {}
    structures: dict[str, Structure] = {}
    broken: list[Broken] = []
    origins: dict[str, str] = {}
    points = sorted(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda p: p.name)
    sources: list[tuple[str, str, Callable[[], Any]]] = [(p.name, p.value, p.load) for p in points]
    for path in files:
        try:
            modules[path] = _module(path)
        except Exception as error:  # noqa: BLE001 - as below
            broken.append(Broken(path.stem, f"{path}: {type(error).__name__}: {error}"))
    laws = [(p.stem, str(p), functools.partial(getattr, m, "DISTRIBUTIONS")) for p, m in modules.items()
            if hasattr(m, "DISTRIBUTIONS")]  # fmt: skip
    sources += [(p.stem, str(p), functools.partial(_structure_in, m)) for p, m in modules.items()
                if hasattr(m, "STRUCTURE") or not hasattr(m, "DISTRIBUTIONS")]  # fmt: skip
    for name, origin, load in sources:
        try:
            candidate = load()
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way; it must not take others with it
            broken.append(Broken(name, f"{origin}: {type(error).__name__}: {error}"))
            continue
        reason = verify(candidate)
        if reason is None and candidate.name in structures:
            reason = f"the name '{candidate.name}' is already taken by {origins[candidate.name]}"
        if reason is not None:
            broken.append(Broken(name, f"{origin}: {reason}"))
            continue
        structures[candidate.name] = candidate
        origins[candidate.name] = origin
    distributions = plugged(laws)
    broken += [Broken(name, reason) for name, reason in distributions.broken]
    return Registry(tuple(structures.values()), tuple(broken), origins, distributions)


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"mechdsl_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _structure_in(module: Any) -> Any:
    if not hasattr(module, "STRUCTURE"):
        raise AttributeError("the file defines no STRUCTURE, and no DISTRIBUTIONS")
    return module.STRUCTURE


@dataclass(frozen=True, slots=True)
class Match:
    """The structure chosen for a market (or None) and why; `reasons` says why each other one was not."""

    structure: Structure | None
    why: str
    reasons: Mapping[str, str]


def match(market: Market, registry: Registry) -> Match:
    """The structure that handles `market`. Two that do are an error of the installation: the first by name is taken
    and said so.
    """
    reasons = {s.name: _mismatch(market, s.handles) for s in registry.structures}
    fitting = [s for s in registry.structures if reasons[s.name] is None]
    others = {name: reason for name, reason in reasons.items() if reason is not None}
    if not fitting:
        return Match(None, "no installed structure handles this market", others)
    chosen = min(fitting, key=lambda s: s.name)
    why = str(chosen.handles)
    if len(fitting) > 1:
        why += f" (also handled by {', '.join(s.name for s in fitting if s is not chosen)})"
    return Match(chosen, why, others)


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
