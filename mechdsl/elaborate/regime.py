"""One regime's statements -> its `Market`: layers merged, contracts and objective placed, constraints and bounds
resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import sympy as sp

from mechdsl import syntax_tree as tree
from mechdsl.elaborate.expressions import DATA, Resolver, Scope, unresolved
from mechdsl.elaborate.limits import MAX_CONSTRAINTS
from mechdsl.elaborate.names import TARGETED, Declared, RegimeNames
from mechdsl.elaborate.places import walk
from mechdsl.elaborate.reports import report_tables
from mechdsl.elaborate.tables import Override
from mechdsl.elaborate.values import entry_text
from mechdsl.elaborate.wording import ROLES, here, number_text
from mechdsl.errors import did_you_mean
from mechdsl.formula import Letter, Quantity, derivative, entries, quantities
from mechdsl.market import (
    Choice,
    Common,
    Contract,
    Declaration,
    Layer,
    Market,
    Objective,
    PrivateType,
    Signal,
)  # fmt: skip
from mechdsl.program import Constraint

__all__ = ["RegimeBuilder"]

GOALS = ("revenue", "welfare", "profit", "payoff")


@dataclass(frozen=True, slots=True)
class RegimeBuilder:
    """Builds the market of one regime from its names."""

    names: RegimeNames
    report: tuple[Override, ...]

    def market(self, name: str, title: str) -> Market | None:
        """The regime's market; None where a mistake leaves none to speak of (all mistakes are in `diagnostics`)."""
        before = sum(d.severity == "error" for d in self.names.diagnostics)
        for set_name in self.names.set_statements:
            self.names.index_set(set_name)
        declarations: dict[str, Declaration] = {}
        for value_name, declared in self.names.declared.items():
            self._make(value_name, declared, declarations)
        self._check_overrides()
        layers = self._layers()
        contracts = self._contracts(layers)
        built = Market(
            *self._head(), name, title,
            sets=tuple(s for s in self.names.sets_found.values() if s is not None),
            declarations=MappingProxyType(declarations),
            lets=self._let_list(),
            data=MappingProxyType({}),
            types=self._types(declarations),
            choices=self._choices(declarations),
            layers=layers,
            states=tuple(d for d in declarations.values() if d.quantity.role == "state"),
            commons=self._commons(declarations),
            constraints=self._constraints(),
            contracts=contracts,
            objectives=self._objectives(layers),
            report=report_tables(self.names, declarations, self.report),
            source=self.names.source,
            origins=MappingProxyType({term: tuple(spans) for term, spans in self.names.origins.items()}),
        )  # fmt: skip
        if sum(d.severity == "error" for d in self.names.diagnostics) > before:
            return None
        # Formulas are all made by now, so every statistic they use (`mean(c)`) has been asked for.
        return replace(built, data=MappingProxyType(self.names.tables.known() | self.names.statistics))

    def _make(self, name: str, declared: Declared, declarations: dict[str, Declaration]) -> None:
        if declared.kind == "letter":
            return
        if declared.kind == "let":
            self.names.let(name, declared.statement.span)
            return
        quantity = self.names.quantity(name, declared.statement.span)
        if quantity is None:
            return
        statement = declared.statement
        assert isinstance(statement, TARGETED)
        letters = self.names.letters(statement.target.letters) or ()
        values_in = self.names.index_valued(quantity)
        declarations[name] = Declaration(quantity, letters, statement.doc or "", statement.span, values_in)
        if declared.kind == "param":
            self.names.tables.data(name)

    def _head(self) -> tuple[str, str, tuple[str, ...]]:
        statements = [s for s in self.names.shared if isinstance(s, tree.MarketStatement)]
        cites = tuple(s.text for s in self.names.statements if isinstance(s, tree.CiteStatement))
        return (statements[0].name, statements[0].title, cites) if statements else ("", "", cites)

    def _let_list(self) -> tuple[tuple[Declaration, sp.Expr], ...]:
        found = []
        for name, entry in self.names.lets_found.items():
            statement = self.names.declared[name].statement
            if entry is not None and isinstance(statement, tree.LetStatement):
                letters, formula, _ = entry
                quantity = Quantity(name, tuple(a.index_set for a in letters), "let")
                found.append((Declaration(quantity, letters, statement.doc or "", statement.span), formula))
        return tuple(found)

    def _layers(self) -> tuple[Layer, ...]:
        merged: dict[str, list[tree.LayerStatement]] = {}
        for statement in self.names.statements:
            if isinstance(statement, tree.LayerStatement):
                merged.setdefault(statement.target.name, []).append(statement)
        return tuple(self._layer(name, parts) for name, parts in merged.items())

    def _layer(self, name: str, parts: list[tree.LayerStatement]) -> Layer:
        given = [p for p in parts if p.target.letters] or parts[:1]
        letters = self.names.letters(given[0].target.letters) or ()
        for part in parts:
            again = tuple(a.id for a in part.target.letters)
            if again and again != tuple(a.name for a in letters):
                self.names.error(
                    "M021",
                    f"layer '{name}' is declared as {entry_text(name, [a.name for a in letters])} elsewhere",
                    part.target,
                    "Naming a layer again adds to it: use the same letters, or leave them out.",
                )
        scope = Scope({a.name: a for a in letters}, apart=True)
        found: dict[str, sp.Expr] = {}
        lines: dict[str, int] = {}
        represents: str | None = None
        signals = []
        resolver = Resolver(self.names, self.names.diagnostics, self.names.origins)
        for item in (item for part in parts for item in part.items):
            match item:
                case (
                    tree.CostStatement() | tree.ValueStatement() | tree.OutsideStatement() | tree.BargainingStatement()
                ):
                    word = type(item).__name__.removesuffix("Statement").lower()
                    formula = resolver.formula(item.value, scope)
                    self._once(name, word, item, lines)
                    found[word] = formula
                case tree.RepresentsStatement():
                    represents = item.layer.id
                    self._once(name, "represents", item, lines)
                    self._known_layer(item.layer)
                case tree.SignalStatement():
                    signal = self._signal(item, letters)
                    signals += [] if signal is None else [signal]
        doc = next((p.doc for p in parts if p.doc), "")
        return Layer(
            name,
            letters,
            found.get("cost", sp.S.Zero),
            found.get("value", sp.S.Zero),
            found.get("outside", sp.S.Zero),
            found.get("bargaining"),
            represents,
            tuple(signals),
            doc,
            parts[0].span,
        )

    def _once(self, layer: str, word: str, item: tree.Node, lines: dict[str, int]) -> None:
        """A layer has one cost, one value, ...; a second is a mistake."""
        if word in lines:
            hint = "A layer represents one layer." if word == "represents" else "Write one formula for the whole."
            article = "represents another" if word == "represents" else f"has {'an' if word[0] == 'o' else 'a'} {word}"
            message = f"layer '{layer}' already {article}, in line {lines[word]}"
            self.names.error("M011", message, item, hint)
        lines.setdefault(word, item.span.line)

    def _known_layer(self, node: tree.Name) -> None:
        names = self._layer_names()
        if node.id not in names:
            self.names.error("M016", f"unknown layer '{node.id}'", node, did_you_mean(node.id, names))

    def _layer_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(s.target.name for s in self.names.statements if isinstance(s, tree.LayerStatement)))

    def _signal(self, item: tree.SignalStatement, layer_letters: tuple[Letter, ...]) -> Signal | None:
        letters = self.names.letters(item.target.letters)
        if letters is None:
            return None
        scope = Scope({a.name: a for a in (*layer_letters, *letters)})
        terms = _summands(item.value)
        noises = [t for t in terms if isinstance(t, tree.Call) and t.name == "noise"]
        if len(noises) != 1:
            self.names.error(
                "M056",
                f"a signal has one noise(variance = ...) in its sum, {here(len(noises))}",
                item.value,
                "Write signal s[i] = theta + noise(variance = 1 / e[i]), say.",
            )
            return None
        arguments = noises[0].arguments
        if len(arguments) != 1 or arguments[0].name not in ("variance", "precision"):
            self.names.error(
                "M056",
                "noise takes a variance or a precision, by name",
                noises[0],
                "Write noise(variance = 1 / e[i]) or noise(precision = e[i]).",
            )
            return None
        resolver = Resolver(self.names, self.names.diagnostics)
        given = resolver.formula(arguments[0].value, scope)
        mean = sp.Add(*(resolver.formula(t, scope) for t in terms if t is not noises[0]))
        if not _affine_in_unknowns(mean):
            self.names.error(
                "M056",
                "a signal is linear in states and common factors",
                item.value,
                "Write a sum of states and factors, each times known data: theta + w[i] * B + noise(variance = 1).",
            )
            return None
        variance, precision = (given, 1 / given) if arguments[0].name == "variance" else (1 / given, given)
        quantity = Quantity(item.target.name, tuple(a.index_set for a in letters), "signal")
        return Signal(Declaration(quantity, letters, item.doc or "", item.span), mean, variance, precision)

    def _contracts(self, layers: tuple[Layer, ...]) -> tuple[Contract, ...]:
        contracts = []
        for statement in self.names.statements:
            if not isinstance(statement, tree.ContractStatement):
                continue
            self._known_layer(statement.payer)
            self._known_layer(statement.provider)
            letters = self.names.letters(statement.letters) or ()
            provider = next((layer for layer in layers if layer.name == statement.provider.id), None)
            scope = Scope({a.name: a for a in (*letters, *(provider.letters if provider else ()))})
            arguments = {}
            for argument in statement.kind.arguments:
                if argument.name is None or argument.key is not None:
                    message = f"the arguments of a contract are named: {statement.kind.name}(name = value)"
                    self.names.error("M013", message, argument, "Name it, as in direct(payment = randomized).")
                    continue
                word = argument.value
                if isinstance(word, tree.Name) and self.names.kind(word.id) is None and word.id not in scope.letters:
                    arguments[argument.name] = word.id
                else:
                    arguments[argument.name] = Resolver(self.names, self.names.diagnostics).formula(word, scope)
            contracts.append(
                Contract(
                    statement.payer.id,
                    statement.provider.id,
                    statement.kind.name,
                    MappingProxyType(arguments),
                    letters,
                    statement.span,
                )
            )
        return tuple(contracts)

    def _objectives(self, layers: tuple[Layer, ...]) -> tuple[Objective, ...]:
        found: list[Objective] = []
        for statement in self.names.statements:
            if not isinstance(statement, tree.ObjectiveStatement):
                continue
            layer = next((one for one in layers if one.name == statement.layer.id), None)
            self._known_layer(statement.layer)
            goal = statement.goal
            if isinstance(goal, tree.Name) and goal.id not in GOALS and self.names.kind(goal.id) is None:
                hint = did_you_mean(goal.id, GOALS) + " An expression may stand here too."
                self.names.error("M010", f"unknown goal '{goal.id}'", goal, hint)
                goal = tree.Name(goal.span, GOALS[0])
            word = isinstance(goal, tree.Name) and goal.id in GOALS and self.names.kind(goal.id) is None
            letters = {a.name: a for a in layer.letters} if layer else {}
            value = (
                goal.id
                if word and isinstance(goal, tree.Name)
                else Resolver(self.names, self.names.diagnostics, self.names.origins).formula(goal, Scope(letters))
            )
            if found:
                line = found[0].span.line if found[0].span else 0
                message = f"a regime has one objective, this is the second (the first stands in line {line})"
                hint = "Put each in a regime of its own: regime NAME { objective ... }."
                self.names.error("M052", message, statement, hint)
            found.append(Objective(statement.layer.id, statement.sense, value, statement.span))
        return tuple(found)

    def _types(self, declarations: Mapping[str, Declaration]) -> tuple[PrivateType, ...]:
        found = []
        for name, declared in self.names.declared.items():
            laws = self.names.laws(name)
            if declared.kind == "type" and laws is not None and name in declarations and declared.layer is not None:
                found.append(PrivateType(declarations[name], declared.layer.target.name, laws))
        return tuple(found)

    def _choices(self, declarations: Mapping[str, Declaration]) -> tuple[Choice, ...]:
        found = []
        for name, declared in self.names.declared.items():
            statement = declared.statement
            if name not in declarations or not isinstance(statement, tree.ChooseStatement) or declared.layer is None:
                continue
            letters = declarations[name].letters
            formulas = [self.names.tables.formula(node, letters, "a bound") for node, _ in self.names.ends(statement)]
            ends = [sp.S.Zero if f is None else f for f in formulas] or [-sp.oo, sp.oo]
            self._check_bounds(statement, ends, letters)
            found.append(Choice(declarations[name], declared.layer.target.name, ends[0], ends[1]))
        return tuple(found)

    def _check_bounds(self, statement: tree.ChooseStatement, ends: list[sp.Expr], letters: tuple[Letter, ...]) -> None:
        values = [self.names.tables.evaluated(e, letters) for e in ends]
        if values[0] is not None and values[1] is not None and bool((values[0] > values[1]).any()):
            place = tuple(int(j) for j in np.argwhere(values[0] > values[1])[0])
            labels = [a.index_set.labels[j] for a, j in zip(letters, place, strict=True)]
            low, high = (number_text(float(v[place])) for v in values if v is not None)
            entry = entry_text(statement.target.name, labels)
            message = f"no value is allowed for {entry}: its lower bound {low} is above its upper bound {high}"
            self.names.error("M034", message, statement.domain, "Exchange the bounds, or correct one.")

    def _commons(self, declarations: Mapping[str, Declaration]) -> tuple[Common, ...]:
        found = []
        for name, declared in self.names.declared.items():
            statement = declared.statement
            if isinstance(statement, tree.CommonStatement) and name in declarations:
                law = statement.distribution
                letters = {a.name: a for a in declarations[name].letters}
                if not (isinstance(law, tree.Call) and law.name == "normal" and len(law.arguments) == 2):
                    self.names.error(
                        "M012",
                        "a common factor is normally distributed",
                        law,
                        "Write normal(mean, standard deviation).",
                    )
                    continue
                mean, deviation = (
                    Resolver(self.names, self.names.diagnostics).formula(
                        a.value, Scope(letters, DATA, "a distribution")
                    )
                    for a in law.arguments
                )
                found.append(Common(declarations[name], mean, deviation**2))
        return tuple(found)

    def _constraints(self) -> tuple[Constraint, ...]:
        found: list[Constraint] = []
        lines: dict[str, int] = {}
        stated = [s for s in self.names.statements if isinstance(s, tree.ConstraintStatement)]
        if len(stated) > MAX_CONSTRAINTS:
            message = f"there are more than {MAX_CONSTRAINTS} constraints"
            place = stated[MAX_CONSTRAINTS].target
            self.names.error("M090", message, place, "Index them: `constraint NAME[k]: ...`.")
            return ()
        for statement in stated:
            name = statement.target.name
            if name in lines:
                message = f"'{name}' is already a constraint, in line {lines[name]}"
                hint = "Give the second a name of its own: `constraint NAME[k]: ...`."
                self.names.error("M011", message, statement.target, hint)
            lines.setdefault(name, statement.span.line)
            letters = self.names.letters(statement.target.letters)
            if letters is None:
                continue
            scope = Scope({a.name: a for a in letters}, apart=True)
            resolver = Resolver(self.names, self.names.diagnostics, self.names.origins)
            where = sp.true if statement.where is None else resolver.condition(statement.where, scope)
            left, right = resolver.formula(statement.left, scope), resolver.formula(statement.right, scope)
            if not any(
                unresolved(side) or quantities(side, "decision") or quantities(side, "precision")
                for side in (left, right)
            ):
                hint = "Use what is chosen in it; what a param must satisfy is its range, `param d in [1, inf)`."
                self.names.error("M057", f"'{name}' binds no decision", statement, hint)
            for node, side in ((statement.left, left), (statement.right, right)):
                for quantity in sorted(quantities(side, "type"), key=str):
                    self._type_in_a_constraint(name, node, quantity)
            relation, doc = statement.relation, statement.doc or ""
            found.append(Constraint(name, letters, left, relation, right, where, doc, statement.span))
        return tuple(found)

    def _type_in_a_constraint(self, name: str, node: tree.Expression, quantity: Quantity) -> None:
        """M042, at the type itself or at the `let` that hides it."""
        hiding = {n for n, let in self.names.lets_found.items() if let is not None and quantity in quantities(let[1])}
        place = next((n for n in walk(node) if _named(n) in {quantity.name, *hiding}), node)
        message = f"'{name}' depends on the private type '{quantity.name}'"
        known = self.names.as_declared(str(quantity.name))
        hint = f"What must be met is the same for every type: use what is known of it, mean({known}) or upper({known})."
        self.names.error("M042", message, place, hint)

    def _check_overrides(self) -> None:
        for statement in self.names.body:
            if isinstance(statement, tree.SetStatement):
                self._check_param(statement.name.id, statement.name)
        for given in self.names.overrides:
            self._check_param(given.name, None)

    def _check_param(self, name: str, place: tree.Node | None) -> None:
        kind = self.names.kind(name)
        if kind != "param":
            params = tuple(n for n, d in self.names.declared.items() if d.kind == "param")
            what = "" if kind is None else f" but {ROLES[kind]}"
            self.names.error("M010", f"'{name}' is no param{what}", place, did_you_mean(name, params))


def _affine_in_unknowns(mean: sp.Expr) -> bool:
    """Whether no slope of `mean` in a state or a common factor depends on one."""
    if unresolved(mean):
        return True
    unknown = {e for role in ("state", "common") for e in entries(mean, role)}
    return not any(quantities(derivative(mean, e), role) for e in unknown for role in ("state", "common"))


def _named(node: tree.Node) -> str | None:
    """What a node refers to by name."""
    return node.id if isinstance(node, tree.Name) else node.name if isinstance(node, tree.Subscript) else None


def _summands(node: tree.Expression) -> list[tree.Expression]:
    if isinstance(node, tree.Binary) and node.operator == "+":
        return [*_summands(node.left), *_summands(node.right)]
    return [node]
