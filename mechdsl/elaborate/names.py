"""The names of one regime, looked up lazily: index sets, letters, quantities, `let`s, distributions.

A text is order-free. Asking for a name works out what it rests on; a name that is asked for while it is being worked
out is a cycle. What the first pass cannot place twice (a second definition) it reports and leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from mechdsl import syntax_tree as tree
from mechdsl.distributions import Distribution, Family
from mechdsl.elaborate.expressions import Resolver, Scope, label_text
from mechdsl.elaborate.functions import Function, body_of
from mechdsl.elaborate.laws import Laws
from mechdsl.elaborate.limits import MAX_DECISIONS, MAX_ENTRIES, MAX_LABELS, MAX_LETTERS, MAX_TOTAL, MAX_TYPES
from mechdsl.elaborate.places import word_span
from mechdsl.elaborate.tables import Override, Tables
from mechdsl.elaborate.values import Folder, entry_text
from mechdsl.elaborate.wording import ROLES, here, number_text, other_letter
from mechdsl.errors import Diagnostic, Source, Span, did_you_mean
from mechdsl.evaluate import Array
from mechdsl.formula import REAL_LINE, IndexSet, Interval, Letter, Quantity

__all__ = ["TARGETED", "Declared", "RegimeNames", "too_many_labels"]


@dataclass(frozen=True, slots=True)
class Declared:
    """A name of the value namespace, as the first pass finds it."""

    kind: str  # letter, param, let, type, choice, state, common
    statement: tree.Node
    layer: tree.LayerStatement | None = None


@dataclass(slots=True)
class RegimeNames:
    """The names of one regime, looked up lazily; answers what a resolver asks (`expressions.Names`)."""

    shared: tuple[tree.Statement, ...]
    body: tuple[tree.Statement, ...]
    source: Source
    folder: Folder
    overrides: tuple[Override, ...]
    seed: int
    diagnostics: list[Diagnostic]
    families: Mapping[str, Family]
    functions: Mapping[str, Function]
    room: int = MAX_TOTAL  # for the entries of params yet to come
    declared: dict[str, Declared] = field(default_factory=dict)
    set_statements: dict[str, tree.IndexStatement] = field(default_factory=dict)
    letter_sets: dict[str, str] = field(default_factory=dict)
    sets_found: dict[str, IndexSet | None] = field(default_factory=dict)
    quantities_found: dict[str, Quantity | None] = field(default_factory=dict)
    lets_found: dict[str, tuple[tuple[Letter, ...], sp.Expr, int] | None] = field(default_factory=dict)
    _laws: dict[str, tuple[Distribution, ...] | None] = field(default_factory=dict)
    _in_progress: list[str] = field(default_factory=list)
    statistics: dict[Quantity, Array] = field(default_factory=dict)
    origins: dict[sp.Basic, list[Span]] = field(default_factory=dict)
    tables: Tables = field(init=False)

    def __post_init__(self) -> None:
        self.tables = Tables(self)
        self._declare()

    # ------------------------------------------------------------------------------------------------- the first pass

    @property
    def statements(self) -> tuple[tree.Statement, ...]:
        return (*self.shared, *self.body)

    def _declare(self) -> None:
        for statement in self.statements:
            if isinstance(statement, tree.IndexStatement):
                self._declare_set(statement)
            elif isinstance(statement, tree.LayerStatement):
                for item in statement.items:
                    if isinstance(item, tree.TypeStatement | tree.ChooseStatement):
                        self._add(item.target.name, _KINDS[type(item)], item, statement)
            elif isinstance(statement, TARGETED):
                self._add(statement.target.name, _KINDS[type(statement)], statement)

    def _declare_set(self, statement: tree.IndexStatement) -> None:
        if statement.name in self.set_statements:
            line = self.set_statements[statement.name].span.line
            place = self.word(statement, statement.name)
            message = f"index set '{statement.name}' is already defined, in line {line}"
            self.error("M011", message, place, "Rename one of the two; all letters of a set stand in one statement.")
            return
        self.set_statements[statement.name] = statement
        for letter in statement.letters:
            self._add(letter.id, "letter", letter)
            self.letter_sets[letter.id] = statement.name

    def _add(self, name: str, kind: str, statement: tree.Node, layer: tree.LayerStatement | None = None) -> None:
        if name in self.declared:
            first = self.declared[name]
            hint = "Names are global: rename one of the two."
            if first.kind == kind == "param" and any(statement is s for s in self.body):
                hint = f"A regime gives a param another value by `set {name} = ...`."
            message = f"'{name}' is already {ROLES[first.kind]}, defined in line {first.statement.span.line}"
            self.error("M011", message, self.word(statement, name), hint)
        elif name == "inf":
            self.error("M011", "'inf' means infinity", self.word(statement, name), "Choose another name.")
        else:
            self.declared[name] = Declared(kind, statement, layer)

    # --------------------------------------------------------------------------- what a resolver asks (resolve.Names)

    def kind(self, name: str) -> str | None:
        found = self.declared.get(name)
        return found.kind if found else None

    def letters_over(self, index_set: IndexSet) -> tuple[str, ...]:
        """The letters that range over a set, as declared."""
        return tuple(letter for letter, name in self.letter_sets.items() if name == index_set.name)

    def known(self) -> tuple[str, ...]:
        return tuple(self.declared)

    def word(self, node: tree.Node, word: str) -> Span:
        """Where in a node a word stands, for messages about the word."""
        return word_span(self.source, node.span, word)

    def function(self, name: str) -> tuple[tuple[str, ...], tree.Expression] | None:
        """The parameters and the formula of a function that a plugin adds."""
        found = self.functions.get(name)
        return None if found is None else (found.parameters, body_of(found.formula))

    def functions_of_plugins(self) -> tuple[str, ...]:
        """Their names, for messages."""
        return tuple(self.functions)

    def as_declared(self, name: str) -> str:
        """`mu[i, k]`: a name with the letters of its declaration."""
        statement = self.declared[name].statement
        letters = statement.target.letters if isinstance(statement, TARGETED) else ()
        return entry_text(name, [letter.id for letter in letters])

    def elsewhere(self, name: str) -> str | None:
        """What a name that is no quantity names instead: a layer, an index set, a label."""
        if name in self.set_statements:
            return "an index set"
        if any(isinstance(s, tree.LayerStatement) and s.target.name == name for s in self.statements):
            return "a layer"
        return next((f"a label of {s.name}" for s in self.sets_found.values() if s and name in s.labels), None)

    def letter_remedy(self, name: str) -> str:
        """What to write in place of a name that is no index letter."""
        if name in self.set_statements:
            letters = " or ".join(letter for letter, of in self.letter_sets.items() if of == name)
            return f"It is an index set; write the letter that ranges over it: {letters}."
        for found in self.sets_found.values():
            letter = next((a for a, of in self.letter_sets.items() if found is not None and of == found.name), None)
            if found is not None and letter is not None and name in found.labels:
                return f"It is a label of {found.name}: declare for all, with [{letter}], and give values by label."
        return did_you_mean(name, self.letter_sets) if self.letter_sets else "Declare it: index k in domains = {a, b}."

    def letter(self, name: str) -> Letter | None:
        if name not in self.letter_sets:
            return None
        index_set = self.index_set(self.letter_sets[name])
        return Letter(name, index_set) if index_set is not None else None

    def quantity(self, name: str, span: Span) -> Quantity | None:
        """The quantity of a param, type, choice, state or common; None where its declaration is at fault."""
        del span
        if name not in self.quantities_found:
            with_cycle = self.enter(name)
            self.quantities_found[name] = self._make_quantity(name, self.declared[name]) if with_cycle else None
            if with_cycle:
                self.leave(name)
        return self.quantities_found[name]

    def let(self, name: str, span: Span) -> tuple[tuple[Letter, ...], sp.Expr, int] | None:
        """A `let`'s letters, its formula, and the size of the formula."""
        del span
        if name not in self.lets_found:
            if not self.enter(name):
                return None
            statement = self.declared[name].statement
            assert isinstance(statement, tree.LetStatement)
            letters = self.letters(statement.target.letters)
            found = None
            if letters is not None:
                resolver = Resolver(self, self.diagnostics, self.origins)
                formula = resolver.formula(statement.value, Scope({a.name: a for a in letters}))
                found = (letters, formula, resolver.size)
            self.lets_found[name] = found
            self.leave(name)
        return self.lets_found[name]

    def statistic(self, kind: str, of: Quantity) -> Quantity:
        """`mean(c)`, `lower(c)`, `upper(c)` of a type, as known data."""
        laws = self._laws.get(str(of.name)) or ()
        table = np.array([getattr(d, kind) for d in laws], dtype=np.float64).reshape(of.shape)
        quantity = Quantity(f"{kind}({of.name})", of.sets, "statistic", of.domain)
        self.statistics[quantity] = table
        return quantity

    def index_valued(self, quantity: Quantity) -> IndexSet | None:
        found = self.declared.get(str(quantity.name))
        if found and isinstance(found.statement, tree.ParamStatement) and isinstance(found.statement.domain, tree.Name):
            return self.index_set(found.statement.domain.id)
        return None

    def enter(self, name: str, in_progress: list[str] | None = None, place: Span | None = None) -> bool:
        """Mark `name` as being worked out; a second entry is a cycle, reported at its declaration."""
        path = self._in_progress if in_progress is None else in_progress
        if name not in path:
            path.append(name)
            return True
        cycle = " -> ".join([*path[path.index(name) :], name])
        hint = "Break the cycle: one of these must not use the next."
        word = name.removeprefix("index set ")
        self.error("M019", f"'{word}' is defined through itself: {cycle}", place or self._declared_at(name), hint)
        return False

    def _declared_at(self, name: str) -> Span:
        return self.word(self.declared[name].statement, name)

    def leave(self, name: str) -> None:
        self._in_progress.remove(name)

    # ------------------------------------------------------------------------------------------------- sets, quantities

    def index_set(self, name: str) -> IndexSet | None:
        if name not in self.sets_found:
            statement = self.set_statements.get(name)
            if statement is None:
                return None
            key, in_progress = f"index set {name}", self.tables.in_progress  # a param may have the same name
            if not self.enter(key, in_progress, self.word(statement, name)):
                return None
            self.sets_found[name] = self._make_set(statement)
            in_progress.remove(key)
        return self.sets_found[name]

    def _make_set(self, statement: tree.IndexStatement) -> IndexSet | None:
        members = statement.members
        if isinstance(members, tree.LabelSet):
            labels = tuple(label_text(label) for label in members.labels)
            for n, (node, label) in enumerate(zip(members.labels, labels, strict=True)):
                if label in labels[:n]:
                    self.error("M039", f"label '{label}' stands twice in {statement.name}", node, "Remove one of them.")
            return IndexSet(statement.name, tuple(dict.fromkeys(labels)))
        if members.by is not None:
            self.error("M032", "the steps of an index set are 1", members, "Write 1..N.")
            return None
        first, last = (self.tables.scalar(e, "an index set") for e in (members.first, members.last))
        if first is None or last is None:
            return None
        if first != int(first) or last != int(last):
            end, value = (members.first, first) if first != int(first) else (members.last, last)
            message = f"an index set runs over whole numbers, and {number_text(value)} is none"
            self.error("M032", message, end, "Write 1..N with whole ends.")
            return None
        if last < first:
            self.error(
                "M032",
                f"index set {statement.name} is empty: {first:g}..{last:g}",
                members,
                "The last label must not be below the first.",
            )
            return None
        if last - first >= MAX_LABELS:
            self.error(
                "M090",
                f"index set {statement.name} has {last - first + 1:,.0f} labels; the limit is {MAX_LABELS:,}",
                members,
                "Group what is alike, or split the market.",
            )
            return None
        return IndexSet(statement.name, tuple(str(n) for n in range(int(first), int(last) + 1)))

    def letters(self, names: Sequence[tree.Name]) -> tuple[Letter, ...] | None:
        """The letters of a declaration, each declared and none twice."""
        letters: list[Letter] = []
        good = True
        for node in names:
            letter = self.letter(node.id)
            if letter is None:
                good = False
                if node.id not in self.letter_sets:  # else its index set is at fault, and that is reported there
                    message = f"'{node.id}' is not an index letter"
                    self.error("M014", message, node, self.letter_remedy(node.id))
            elif letter in letters:
                good = False
                self.error(
                    "M022",
                    f"index letter '{node.id}' stands twice",
                    node,
                    other_letter(letter.index_set.name, self.letters_over(letter.index_set), [n.id for n in names]),
                )
            else:
                letters.append(letter)
        return tuple(letters) if good else None

    def _make_quantity(self, name: str, declared: Declared) -> Quantity | None:
        statement = declared.statement
        assert isinstance(statement, TARGETED)
        letters = self.letters(statement.target.letters)
        if letters is None:
            return None
        sets = tuple(a.index_set for a in letters)
        if len(sets) > MAX_LETTERS:
            message = f"'{name}' takes {len(sets)} indices; the limit is {MAX_LETTERS}"
            self.error(
                "M090", message, self.word(statement, name), "Join indices into one, with a label for each pair."
            )
            return None
        if not self._fits(name, statement, math.prod(map(len, sets))):
            return None
        match statement:
            case tree.ParamStatement():
                return Quantity(name, sets, "param", self._declared_range(statement))
            case tree.TypeStatement():
                laws = self._type_laws(name, statement, letters)
                if laws is None:
                    return None
                return Quantity(name, sets, "type", Interval(min(d.lower for d in laws), max(d.upper for d in laws)))
            case tree.ChooseStatement():
                return Quantity(name, sets, "decision", self._choice_range(statement, letters))
            case _:
                return Quantity(name, sets, declared.kind)

    def _fits(self, name: str, statement: tree.Node, entries: int) -> bool:
        """Whether there is room for the entries of a quantity; those of params are all held."""
        limit = {tree.ParamStatement: MAX_ENTRIES, tree.TypeStatement: MAX_TYPES}.get(type(statement), MAX_DECISIONS)
        if isinstance(statement, tree.ParamStatement) and entries <= limit:
            self.room -= entries
        if entries <= limit and self.room >= 0:
            return True
        message = f"'{name}' would have more than {limit:,} entries"
        if entries <= limit:
            message = f"with '{name}' the params of the file would have too many entries together"
        self.error("M090", message, self.word(statement, name), "Group what is alike, or split the market.")
        return False

    def _declared_range(self, statement: tree.ParamStatement) -> Interval:
        domain = statement.domain
        if isinstance(domain, tree.Interval):
            lower, upper = (self.tables.scalar(e, "a range", infinite=True) for e in (domain.lower, domain.upper))
            if lower is not None and upper is not None:
                stated = Interval(lower, upper, domain.lower_open, domain.upper_open)
                if lower > upper or (lower == upper and (domain.lower_open or domain.upper_open)):
                    hint = "Exchange its ends." if lower > upper else "No number lies in it; [a, b] includes its ends."
                    self.error("M034", f"the range {stated} of '{statement.target.name}' is empty", domain, hint)
                    return REAL_LINE
                return stated
        elif isinstance(domain, tree.Name):
            index_set = self.index_set(domain.id)
            if index_set is None:
                if domain.id not in self.set_statements:
                    self.error(
                        "M014", f"unknown index set '{domain.id}'", domain, did_you_mean(domain.id, self.set_statements)
                    )
                return REAL_LINE
            return Interval(0, len(index_set) - 1)
        return REAL_LINE

    def _choice_range(self, statement: tree.ChooseStatement, letters: tuple[Letter, ...]) -> Interval:
        """The range that holds for every label; curvature proofs rest on it."""
        ends = []
        for node, sign in self.ends(statement):
            formula = self.tables.formula(node, letters, "a bound")
            values = None if formula is None else self.tables.evaluated(formula, letters)
            ends.append(-sign * np.inf if values is None else float(values.min() if sign < 0 else values.max()))
        return Interval(ends[0], ends[1]) if ends else REAL_LINE

    @staticmethod
    def ends(statement: tree.ChooseStatement) -> tuple[tuple[tree.Expression, int], ...]:
        domain = statement.domain
        return () if domain is None else ((domain.lower, -1), (domain.upper, 1))

    def _type_laws(
        self, name: str, statement: tree.TypeStatement, letters: tuple[Letter, ...]
    ) -> tuple[Distribution, ...] | None:
        if name not in self._laws:
            self._laws[name] = Laws(self, self.diagnostics, self.folder).of_type(name, statement.distribution, letters)
        return self._laws[name]

    def laws(self, name: str) -> tuple[Distribution, ...]:
        """The distributions of a type, by label; none where its declaration is at fault."""
        return self._laws.get(name) or ()

    def place(self, quantity: Quantity, labels: tuple[str, ...], node: tree.Node | None) -> tuple[int, ...] | None:
        """Positions of an addressed entry (`mu.video.text`), or None after reporting."""
        name = str(quantity.name)
        if len(labels) > len(quantity.sets):
            self.error(
                "M020", too_many_labels(quantity, len(labels)), node, f"It is declared as {self.as_declared(name)}."
            )
            return None
        for label, index_set in zip(labels, quantity.sets, strict=False):
            if label not in index_set.labels:
                message = f"{index_set.name} has no label '{label}', so {entry_text(name, labels)} is no entry"
                place = None if node is None else self.word(node, label)
                self.error("M015", message, place, did_you_mean(label, index_set.labels))
                return None
        return tuple(s.position(label) for label, s in zip(labels, quantity.sets, strict=False))

    def say_too_long_a_chain(self) -> None:
        """Record that names defined by each other go deeper than can be followed."""
        chain = [*self.tables.in_progress, *self._in_progress]
        name = next((n for n in chain if n in self.declared), None)
        place = None if name is None else self._declared_at(name)
        message = f"'{name}' is defined through too many others, each by the next" if name else "this nests too deep"
        self.error("M091", message, place, "Declare a name after those it is made of, or index them.")

    def error(self, code: str, message: str, place: tree.Node | Span | None, hint: str) -> None:
        """Record a mistake at a place of the text, or at none."""
        self.diagnostics.append(Diagnostic(code, message, place.span if isinstance(place, tree.Node) else place, hint))


def too_many_labels(quantity: Quantity, count: int) -> str:
    """Why an address (`d.video.text`) is none."""
    wanted = len(quantity.sets)
    return f"'{quantity.name}' takes {wanted or 'no'} label{'s' if wanted != 1 else ''}, {here(count)}"


TARGETED = (
    tree.ParamStatement,
    tree.LetStatement,
    tree.TypeStatement,
    tree.ChooseStatement,
    tree.StateStatement,
    tree.CommonStatement,
)
"""The statements that declare a name of the value namespace, with a target."""

_KINDS: Mapping[type, str] = {
    tree.ParamStatement: "param",
    tree.LetStatement: "let",
    tree.TypeStatement: "type",
    tree.ChooseStatement: "choice",
    tree.StateStatement: "state",
    tree.CommonStatement: "common",
}
