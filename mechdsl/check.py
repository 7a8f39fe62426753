"""A model looked at: which structure takes each regime and why, what is proved, what looks wrong.

Nothing is solved unless a deep look is asked for, which searches for complements and for ties with a bounded effort.
Everything here is a finding with a place in the text; nothing is an error, for a model at fault is refused when it is
read. What is found once for many regimes is said once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mechdsl import syntax_tree as tree
from mechdsl.derivation import Derivation
from mechdsl.distributions import Distribution, Regularity
from mechdsl.errors import Diagnostic, MechError, Span, UsageError
from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Quantity, quantities
from mechdsl.market import Market, Model, alike
from mechdsl.pipeline import mechanism, stated_report, unhandled
from mechdsl.population.study import experiment_study
from mechdsl.population.task import Task
from mechdsl.program import Constraint, Program, optima
from mechdsl.report.prose import text_prose
from mechdsl.structure import Match, Registry, Structure, match
from mechdsl.theory.change_of_variables import curvatures_in_either, is_convex_in_costs
from mechdsl.theory.clashes import Clash, clash_of
from mechdsl.theory.curvature import Curvature, ranges_of
from mechdsl.theory.essential import Essential, essential
from mechdsl.theory.pointwise import pointwise_program
from mechdsl.theory.shape import shape

if TYPE_CHECKING:
    from mechdsl.theory.substitution import Loose, Substitution

__all__ = ["Diagnosis", "RegimeDiagnosis", "TypeDiagnosis", "diagnose"]

_WIDE = 1e8  # numbers further apart than this in one param, or in a virtual cost, are worth a word


@dataclass(frozen=True, slots=True, eq=False)
class RegimeDiagnosis:
    """What is known of a regime before it is solved.

    Args:
        market: the regime; match: the structure that takes it and why.
        curvatures: of every constraint, left minus right side, by the constraint's name.
        convex: of the programme to be solved: True shown, False refuted, None neither or no structure.
        essential: who is needed whatever the costs; of direct procurement.
        substitution, loose: substitutes or complements, and outputs the optimum leaves open; of a deep look alone.
    """

    market: Market
    match: Match
    curvatures: Mapping[str, Curvature]
    convex: bool | None = None
    essential: Essential | None = None
    substitution: Substitution | None = None
    loose: tuple[Loose, ...] = ()
    decided: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class TypeDiagnosis:
    """Whether the virtual cost of one entry of a type rises: `name` is `c[video]`."""

    name: str
    distribution: Distribution
    regularity: Regularity


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """All that was found: regime by regime, type by type, and as diagnostics in the order of the text."""

    model: Model
    regimes: tuple[RegimeDiagnosis, ...]
    types: tuple[TypeDiagnosis, ...]
    diagnostics: tuple[Diagnostic, ...]


def diagnose(model: Model, registry: Registry, regimes: Sequence[str] = (), *, deep: bool = False) -> Diagnosis:
    """Look at a model; without solving it unless the look is deep.

    Args:
        model: as elaborated.
        registry: the structures at hand.
        regimes: which; none named: all.
        deep: solve each regime of direct procurement some hundred times, for complements and ties.
    """
    found = [*model.warnings, *_stuck(model)]
    decided: set[str] = set()
    looked: list[RegimeDiagnosis] = []
    settings: list[_Setting] = []
    for name in regimes or tuple(model.markets):
        market = model.markets[name]
        setting = next((one for one in settings if alike(one.market, market)), None)
        if setting is None:
            setting = _Setting(market, model.file)
            settings.append(setting)
        one, diagnostics = _regime(market, setting, registry)
        if deep:
            one = _deep(one)
            diagnostics += _deep_findings(one)
        looked.append(one)
        decided |= one.decided
        found += diagnostics
    types: dict[tuple[str, Distribution], TypeDiagnosis] = {}
    for kind in (kind for setting in settings for kind in setting.types):
        types.setdefault((kind.name, kind.distribution), kind)
    found += [diagnostic for setting in settings for diagnostic in setting.findings]
    found += _unused(model.file, decided)
    ordered = sorted(dict.fromkeys(found), key=lambda d: (d.span.start if d.span else -1, d.code))
    return Diagnosis(model, tuple(looked), tuple(types.values()), tuple(ordered))


# ---------------------------------------------------------------------------------------------------------- a regime


class _Setting:
    """What regimes have in common that differ in contracts and objectives alone: it is looked at once for them all."""

    def __init__(self, market: Market, file: tree.File) -> None:
        self.market = market
        self._posed: list[tuple[Structure, Any, Any, Derivation, Program]] = []
        self.spans = {s.target.name: s.span for s in _statements(file) if isinstance(s, tree.ConstraintStatement)}
        self.curvatures = curvatures_in_either(market)
        self.types = tuple(_types(market))
        self.findings = (
            *_curvature_findings(market, self.curvatures, self.spans),
            *(d for c in market.constraints for d in _reach(market, c, self.spans.get(c.name))),
            *_type_findings(market, self.types),
            *_scales(market),
        )

    def posed(self, market: Market, structure: Structure) -> tuple[Derivation, Program]:
        """What a structure makes of a regime; of regimes that differ in nothing it is asked about, once."""
        for known, contracts, objectives, derivation, program in self._posed:
            if known is structure and contracts == market.contracts and objectives == market.objectives:
                return derivation, program
        derivation = structure.derive(market)
        program = structure.program(market, derivation)
        self._posed.append((structure, market.contracts, market.objectives, derivation, program))
        return derivation, program

    @cached_property
    def needed(self) -> Essential | None:
        """Who is needed whatever the costs, by each demand alone."""
        return essential(self.market)

    @cached_property
    def clash(self) -> Clash | None:
        """What clashes where nothing is feasible though each demand by itself could be met."""
        if (
            self.needed is None
            or self.needed.clash
            or not any(_may_clash(self.market, c) for c in self.market.constraints)
        ):
            return None
        return clash_of(pointwise_program(self.market), {})

    @cached_property
    def convex(self) -> bool:
        """Whether the programme is convex in costs or in decisions, whatever their weights."""
        return is_convex_in_costs(self.market)


def _regime(market: Market, setting: _Setting, registry: Registry) -> tuple[RegimeDiagnosis, list[Diagnostic]]:
    matched = match(market, registry)
    if matched.structure is None:
        problem = unhandled(market, matched, registry)
        return RegimeDiagnosis(market, matched, setting.curvatures), [dataclasses.replace(problem, severity="warning")]
    derivation, program = setting.posed(market, matched.structure)
    found: list[Diagnostic] = []
    needed = setting.needed if _is_direct(market) else None
    if needed is not None and setting.clash is not None:
        clash, spans = setting.clash, setting.spans
        needed = Essential((), (), needed.outputs, clash.named)
        span = next((spans[n] for n in (m.partition("[")[0] for m in clash.members) if n in spans), None)
        message = f"in regime '{market.regime}', {clash.named}"
        hint = f"No decision meets them all, whatever the types. {clash.way_out}"
        found.append(Diagnostic("M103", message, span, hint, "warning"))
    convex = True if _is_direct(market) and setting.convex else program.convex
    diagnosis = RegimeDiagnosis(market, matched, setting.curvatures, convex, needed, decided=_decided(program))
    return diagnosis, [*found, *_failing_steps(market, derivation, convex is True)]


def _may_clash(market: Market, constraint: Constraint) -> bool:
    """Whether a row of it may fail because others ask for too much."""
    return constraint.relation != ">=" or bool(
        shape(constraint.left - constraint.right, ranges_of(market, "data")).falls
    )


def _decided(program: Program) -> frozenset[str]:
    """The decisions that a programme's formulas speak of."""
    sides = [formula for stage in optima(program) for formula in (
        stage.objective, *(side for c in stage.constraints for side in (c.left, c.right))
    )]  # fmt: skip
    return frozenset(str(q.name) for formula in sides for q in quantities(formula, "decision"))


def _is_direct(market: Market) -> bool:
    return tuple(contract.kind for contract in market.contracts) == ("direct",)


def _deep(one: RegimeDiagnosis) -> RegimeDiagnosis:
    """The regime with what only solving tells."""
    from mechdsl.theory.substitution import loose_outputs, substitution

    if one.match.structure is None or not _is_direct(one.market):
        return one
    if one.essential is not None and one.essential.clash:
        return one
    ready = mechanism(one.market, one.match.structure)
    loose = loose_outputs(ready, stated_report(one.market))
    return dataclasses.replace(one, substitution=substitution(ready), loose=loose)


def _deep_findings(one: RegimeDiagnosis) -> Iterator[Diagnostic]:
    span = one.market.contracts[0].span if one.market.contracts else None
    regime = f"in regime '{one.market.regime}', "
    found = one.substitution
    if found is not None and found.worst is not None:
        hint = f"{found.because} Rankings of regimes that assume substitutes (Definition 2.1) need not hold."
        yield Diagnostic("M110", f"{regime}outputs are complements: {found.worst}", span, hint, "warning")
    if one.loose:
        shown = "; ".join(f"{o.output} may be anything from {o.low:.4g} to {o.high:.4g}" for o in one.loose[:4])
        more = f"; and {len(one.loose) - 4} more" if len(one.loose) > 4 else ""
        given = ", ".join(f"{o.output} = {o.given:.4g}" for o in one.loose[:4])
        hint = f"`solve` reports a point inside, the analytic centre: {given}."
        message = f"{regime}the optimum at the report is not unique: {shown}{more}"
        yield Diagnostic("M111", message, span, hint, "note")


def _curvature_findings(
    market: Market, curvatures: Mapping[str, Curvature], spans: Mapping[str, Span]
) -> Iterator[Diagnostic]:
    for name, found in curvatures.items():
        if found.holds is not True:
            place = spans.get(name) if found.offending is None else market.origin(found.offending, spans.get(name))
            message = f"'{name}' could not be shown to be {found.wanted}"
            hint = f"{found.because} A local optimum need not be a global one."
            yield Diagnostic("M104", message, place, hint, "warning")


def _failing_steps(market: Market, derivation: Derivation, convex: bool) -> Iterator[Diagnostic]:
    """Warnings; where there are none, notes: of one reason one step is enough."""
    span = market.contracts[0].span if market.contracts else None
    failing = {step: _severity(step.name, convex) for step in derivation.steps if not step.holds}
    worst = "warning" if "warning" in failing.values() else "note"
    for step in (step for step, severity in failing.items() if severity == worst):
        message = f"in regime '{market.regime}', the step '{step.name}' does not follow"
        yield Diagnostic("M109", message, span, text_prose(step.because), worst)


def _severity(step: str, convex: bool) -> str:
    """How a step that does not follow is reported; not at all where another finding says what fails, and where."""
    if step == "virtual cost":  # M101
        return ""
    if step == "transformed demand":  # M104, unless the programme is convex in x all the same
        return "note" if convex else ""
    return "warning"


def _reach(market: Market, constraint: Constraint, span: Span | None) -> Iterator[Diagnostic]:
    """Rows of a `>=` that hold whatever is chosen, and rows that nothing can meet; only where the left side rises."""
    if quantities(constraint.left - constraint.right, "precision"):
        return  # how far the signals' precision reaches is for the solver to say
    if constraint.relation != ">=" or shape(constraint.left - constraint.right, ranges_of(market, "data")).falls:
        return
    bounds = [{c.quantity: _bound(market, c.lower, c) for c in market.choices}]
    upper = {c.quantity: _bound(market, c.upper, c) for c in market.choices}
    for far in (1.0, 1e6):  # two points out, where there is no upper bound
        bounds.append({q: np.where(np.isfinite(b), b, _from(bounds[0][q]) + far) for q, b in upper.items()})
    with np.errstate(all="ignore"):
        low, middle, high = (_slack(market, constraint, point) for point in bounds)
        included = evaluate(constraint.where, market.data, constraint.letters).astype(bool)
        tolerance = 1e-9 * (1 + np.abs(evaluate(constraint.right, {**market.data, **bounds[0]}, constraint.letters)))
        bounded = np.array(all(np.isfinite(b).all() for b in upper.values()))
        trivial = included & (low >= -tolerance)
        hopeless = included & (high < -tolerance) & (bounded | ((low == middle) & (middle == high)))
    if trivial.any():
        rows = _rows(constraint, trivial)
        hint = "It asks for nothing; a condition (`where`) leaves such rows out."
        yield Diagnostic("M102", f"{rows} is met when nothing is chosen", span, hint, "note")
    if hopeless.any():
        hint = "No choice within its bounds is enough: the regime is infeasible. Raise a bound, or ask for less."
        yield Diagnostic("M103", f"{_rows(constraint, hopeless)} cannot be met", span, hint, "warning")


def _bound(market: Market, formula: Any, choice: Any) -> Array:
    return evaluate(formula, market.data, choice.declaration.letters)


def _from(lower: Array) -> Array:
    return np.where(np.isfinite(lower), lower, 0.0)


def _slack(market: Market, constraint: Constraint, point: Mapping[Quantity, Array]) -> Array:
    return evaluate(constraint.left - constraint.right, {**market.data, **point}, constraint.letters)


def _rows(constraint: Constraint, mask: npt.NDArray[np.bool_]) -> str:
    """`demand[video]`, `demand[video] and 3 more`, or the bare name."""
    places = np.argwhere(mask)
    if not constraint.letters:
        return constraint.name
    labels = ", ".join(a.index_set.labels[int(j)] for a, j in zip(constraint.letters, places[0], strict=True))
    return f"{constraint.name}[{labels}]" + (f" (and {len(places) - 1} more)" if len(places) > 1 else "")


# ------------------------------------------------------------------------------------------------------ types and data


def _types(market: Market) -> Iterator[TypeDiagnosis]:
    known: dict[Distribution, Regularity] = {}
    for private in market.types:
        for distribution, place in zip(private.distributions, np.ndindex(*private.quantity.shape), strict=True):
            if distribution not in known:
                known[distribution] = distribution.regularity()
            labels = ", ".join(s.labels[j] for s, j in zip(private.quantity.sets, place, strict=True))
            name = f"{private.name}[{labels}]" if labels else private.name
            yield TypeDiagnosis(name, distribution, known[distribution])


def _type_findings(market: Market, kinds: Sequence[TypeDiagnosis]) -> Iterator[Diagnostic]:
    """Irregular laws and far tails, once for each type: its first entry that has it is named."""
    for private in market.types:
        own = [kind for kind in kinds if kind.name.partition("[")[0] == private.name]
        span = private.declaration.span
        irregular = [kind for kind in own if kind.regularity.regular is not True]
        if irregular:
            first = irregular[0].regularity
            word = "falls somewhere" if first.regular is False else "may fall somewhere"
            hint = f"It is ironed where it is used: {first.reason}."
            yield Diagnostic("M101", f"the virtual cost of {_names(irregular)} {word}", span, hint, "note")
        tails = {law: _tail(law) for law in {kind.distribution for kind in own}}
        far = [kind for kind in own if tails[kind.distribution] is not None]
        if far:
            top, middle = tails[far[0].distribution] or (0.0, 0.0)
            message = (
                f"the virtual cost of {_names(far)} is {top:.2g} at the top of its support, {middle:.2g} at the median"
            )
            hint = "Its density all but vanishes there; a narrower support is as good, unless such types matter."
            yield Diagnostic("M106", message, span, hint, "note")
    if market.types and market.report is None:
        hint = "Add: report c = ..."
        yield Diagnostic("M108", "no report is stated: `solve` takes every type at its mean", None, hint, "note")


def _names(kinds: Sequence[TypeDiagnosis]) -> str:
    return kinds[0].name + (f" (and {len(kinds) - 1} more)" if len(kinds) > 1 else "")


def _tail(law: Distribution) -> tuple[float, float] | None:
    """The virtual cost at the top of the support and at the median, where they are far apart."""
    if law.is_point:
        return None
    with np.errstate(all="ignore"):
        top, middle = float(law.virtual_cost(law.upper)), float(law.virtual_cost(law.quantile(0.5)))
    return (top, middle) if middle > 0 and not top / middle < _WIDE else None


def _scales(market: Market) -> Iterator[Diagnostic]:
    for quantity, table in market.data.items():
        declaration = market.declarations.get(str(quantity.name))
        sizes = np.abs(np.asarray(table, dtype=np.float64))
        sizes = sizes[sizes > 0]
        if declaration is not None and sizes.size and sizes.max() > _WIDE * sizes.min():
            message = f"the entries of '{quantity.name}' run from {sizes.min():.2g} to {sizes.max():.2g}"
            yield Diagnostic("M105", message, declaration.span, "Check the units.", "note")


# ------------------------------------------------------------------------------------------------- the file as a whole


def _stuck(model: Model) -> Iterator[Diagnostic]:
    """Experiments whose tables or figures have no meaning in the market."""
    task = Task(model.source.text, model.source.name, None, tuple(model.markets))
    for experiment in model.experiments:
        try:
            experiment_study(experiment, model, task)
        except MechError as error:
            first = error.diagnostics[0]
            reason, hint = first.message, first.hint
        except UsageError as error:
            reason, hint = str(error), "Change the experiment, or what it plots."
        else:
            continue
        message = f"experiment '{experiment.name.id}' cannot run: {reason}"
        yield Diagnostic("M107", message, experiment.name.span, hint, "warning")


def _unused(file: tree.File, decided: Set[str]) -> Iterator[Diagnostic]:
    """Names that are declared and then used nowhere: not in the file, and not in what a structure makes of it."""
    used = decided | {name for statement in _statements(file) for name in _used(statement)}
    for statement in _statements(file):
        inner: Iterable[tree.Node] = statement.items if isinstance(statement, tree.LayerStatement) else ()
        for one in (statement, *inner):
            word = _KINDS.get(type(one))
            if word is None:
                continue
            names = _declared(one)
            if not used & set(names):
                hint = "Remove it, or use it; a misspelt name elsewhere would have been an error."
                yield Diagnostic("M100", f"{word} '{names[0]}' is used nowhere", one.span, hint, "warning")


_KINDS: Mapping[type, str] = {
    tree.ParamStatement: "param",
    tree.LetStatement: "let",
    tree.TypeStatement: "type",
    tree.ChooseStatement: "choice",
    tree.IndexStatement: "index set",
    tree.CommonStatement: "common factor",
}


def _declared(statement: Any) -> tuple[str, ...]:
    """The names a statement declares, its own first."""
    if isinstance(statement, tree.IndexStatement):
        return (statement.name, *(letter.id for letter in statement.letters))
    return (str(statement.target.name),)


def _statements(file: tree.File) -> Iterator[Any]:
    for statement in file.statements:
        if isinstance(statement, tree.RegimeStatement):
            yield from statement.body
        else:
            yield statement


def _used(node: Any) -> Iterator[str]:
    """Every name in a statement but those it declares or sets."""
    if isinstance(node, tree.Name):
        yield node.id
    elif isinstance(node, tree.Subscript):
        yield node.name
    if isinstance(node, tuple):
        for item in node:
            yield from _used(item)
    elif isinstance(node, tree.Node):
        for name in (f.name for f in dataclasses.fields(node)):
            about_it = name == "letters" and isinstance(node, tree.IndexStatement)
            overridden = name == "name" and isinstance(node, tree.SetStatement | tree.ReportStatement)
            if not (about_it or overridden):
                yield from _used(getattr(node, name))
