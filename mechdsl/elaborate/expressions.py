"""Expressions of a text to formulas: names looked up, indices checked, sizes bounded. The only door from text to sympy.

Nothing is ever handed to sympy as text. A mistake is recorded and stands in the formula as a placeholder, so that one
run finds them all. Exact arithmetic is bounded before it is done: `9^9^9^9` is refused, not computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Any, Protocol

import sympy as sp

from mechdsl import syntax_tree as tree
from mechdsl.distributions import FAMILIES
from mechdsl.elaborate.limits import MAX_ENTRIES, MAX_HEIGHT, MAX_LETTERS, MAX_NODES, MAX_POWER_BITS
from mechdsl.elaborate.wording import ELSEWHERE, INFINITY, NO_EXPRESSION, ROLES, here, other_letter, unbound
from mechdsl.errors import Diagnostic, Span, did_you_mean
from mechdsl.formula import (
    Entry,
    IndexProduct,
    IndexSet,
    IndexSum,
    Letter,
    Quantity,
    bound_apart,
    decided,
    letters_of,
    precision_of,
    quantities,
    rename_letters,
)

__all__ = ["FUNCTIONS", "Names", "Resolver", "Scope", "label_text"]

# Name -> (least, greatest number of arguments, what it builds).
FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Any]]] = {
    "exp": (1, 1, sp.exp),
    "log": (1, 1, sp.log),
    "sqrt": (1, 1, sp.sqrt),
    "abs": (1, 1, sp.Abs),
    "min": (2, 50, sp.Min),
    "max": (2, 50, sp.Max),
}
_LARGEST_LOGARITHM = 710.0  # of a double
_STATISTICS = ("mean", "lower", "upper")
_RELATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": sp.Lt, "<=": sp.Le, ">": sp.Gt, ">=": sp.Ge, "==": sp.Eq, "!=": sp.Ne,
}  # fmt: skip


class Names(Protocol):
    """What a resolver asks of its surroundings; the elaborator answers lazily."""

    def quantity(self, name: str, span: Span) -> Quantity | None: ...
    def let(self, name: str, span: Span) -> tuple[tuple[Letter, ...], sp.Expr, int] | None: ...
    def letter(self, name: str) -> Letter | None: ...
    def statistic(self, kind: str, of: Quantity) -> Quantity: ...
    def index_valued(self, quantity: Quantity) -> IndexSet | None: ...
    def kind(self, name: str) -> str | None: ...
    def letters_over(self, index_set: IndexSet) -> tuple[str, ...]: ...
    def known(self) -> tuple[str, ...]: ...
    def as_declared(self, name: str) -> str: ...
    def elsewhere(self, name: str) -> str | None: ...
    def letter_remedy(self, name: str) -> str: ...
    def word(self, node: tree.Node, word: str) -> Span: ...
    def function(self, name: str) -> tuple[tuple[str, ...], tree.Expression] | None: ...
    def functions_of_plugins(self) -> tuple[str, ...]: ...


@dataclass(slots=True)
class Scope:
    """Where an expression stands: the letters it may use, and which roles of quantities (None: all).

    `apart`: sums of a `let` take other letters than these; in a constraint, say, whose left side may have them free.
    `values` are the arguments of the function whose formula it is, each with its size.
    """

    letters: Mapping[str, Letter] = field(default_factory=dict)
    roles: frozenset[str] | None = None
    purpose: str = ""
    apart: bool = False
    values: Mapping[str, tuple[Any, int]] = field(default_factory=dict)

    def with_letters(self, letters: tuple[Letter, ...]) -> Scope:
        return Scope({**self.letters, **{a.name: a for a in letters}}, self.roles, self.purpose, self.apart)


DATA = frozenset({"param", "statistic"})


def label_text(label: tree.Label) -> str:
    """A label as the name of a member: `video`, `New York`, `3`, `0.5`."""
    if isinstance(label, tree.Name):
        return label.id
    if isinstance(label, tree.String):
        return label.value
    return number_text(label.value)


def number_text(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):g}"


@dataclass(slots=True)
class Resolver:
    """Turns expression nodes into formulas, collecting diagnostics.

    Args:
        origins: where it notes the place of every term that depends on decisions, if it is to.
        size: how many parts it has met.
        calls: the functions of plugins whose formulas it is in; place: where the outermost was called.
    """

    names: Names
    diagnostics: list[Diagnostic]
    origins: dict[sp.Basic, list[Span]] | None = None
    size: int = 0
    calls: tuple[str, ...] = ()
    place: Span | None = None

    def formula(self, node: tree.Expression, scope: Scope) -> sp.Expr:
        """The formula of a node that must be a number; conditions and other things are errors."""
        self.size = 0
        result = self._resolve(node, scope)
        if not self._number(result, node):
            return self._placeholder()
        if self.size > MAX_HEIGHT and _height(result) > MAX_HEIGHT:
            message = f"this expression is nested more than {MAX_HEIGHT} deep, its `let`s written out"
            self._error("M091", message, node, "Use a sum or a product over an index instead of a chain of `let`s.")
            return self._placeholder()
        if result.has(sp.zoo, sp.nan):
            hint = "It comes to an infinity less an infinity, to zero times an infinity, or the like."
            self._error("M033", "this expression has no value", node, hint)
            return self._placeholder()
        return result if self._real(result, node) else self._placeholder()

    def _real(self, value: sp.Basic, node: tree.Node) -> bool:
        """Whether a formula holds no imaginary number, reporting it if it does; sympy compares real ones alone."""
        roots = (p for p in value.atoms(sp.Pow) if p.base.is_Number and p.base.is_negative)
        if not value.has(sp.I) and all(p.exp.is_integer is not False for p in roots):
            return True
        hint = "Logarithms and roots are of numbers that are not negative."
        self._error("M033", "this expression is not a real number", node, hint)
        return False

    def condition(self, node: tree.Expression, scope: Scope) -> Any:
        """The formula of a `where`: true or false for every combination of letters, free of decisions and types."""
        self.size = 0
        result = self._resolve(node, Scope(scope.letters, DATA, "a condition"))
        if _is_condition(result):
            return result
        self._boolean(result, node)
        return sp.true

    # ------------------------------------------------------------------------------------------------------ dispatch

    def _resolve(self, node: tree.Expression, scope: Scope) -> Any:
        self.size += 1
        if self.size > MAX_NODES:
            if self.size < 2 * MAX_NODES:
                self._error(
                    "M091",
                    f"this expression is too large (more than {MAX_NODES} parts, its `let`s written out)",
                    node,
                    "Split the market, or use indexed params instead of long sums.",
                )
                self.size = 2 * MAX_NODES
            return self._placeholder()
        try:
            result = self._resolved(node, scope)
        except OverflowError:  # sympy asks for the sign of `exp(exp(exp(exp(9))))`, and has not the digits
            hint = "Numbers reach to 1.8e308; choose other units."
            self._error("M033", "this expression is beyond all numbers", node, hint)
            return self._placeholder()
        composed = isinstance(node, tree.Binary | tree.Call | tree.Aggregate) and isinstance(result, sp.Expr)
        if self.origins is not None and composed and quantities(result, "decision"):
            self.origins.setdefault(decided(result), []).append(node.span)
        return result

    def _resolved(self, node: tree.Expression, scope: Scope) -> Any:
        match node:
            case tree.Number():
                return sp.Rational(node.value.numerator, node.value.denominator)
            case tree.Name():
                return self._name(node, scope)
            case tree.Subscript():
                return self._subscript(node, scope)
            case tree.Unary():
                return self._unary(node, scope)
            case tree.Binary():
                return self._binary(node, scope)
            case tree.Aggregate():
                return self._aggregate(node, scope)
            case tree.Call():
                return self._call(node, scope)
            case _:
                what, hint = NO_EXPRESSION[type(node)]
                self._error("M035", f"{what} stands where an expression is expected", node, hint)
                return self._placeholder()

    def _name(self, node: tree.Name, scope: Scope) -> Any:
        if node.id in scope.values:
            value, size = scope.values[node.id]
            self.size += size
            return value
        if node.id in scope.letters:
            return self._letter_value(scope.letters[node.id], node)
        kind = self.names.kind(node.id)
        if kind == "letter":
            self._error(
                "M023",
                f"index letter '{node.id}' is not bound here",
                node,
                unbound(node.id),
            )
            return self._placeholder()
        if node.id == "inf":
            return sp.oo
        if kind is None:
            self._unknown(node.id, node, self.names.known())
            return self._placeholder()
        return self._use(node.id, (), node, scope)

    def _unknown(self, name: str, node: tree.Node, known: tuple[str, ...]) -> None:
        what = self.names.elsewhere(name)
        message = f"unknown name '{name}'" if what is None else f"'{name}' is {what}, and no quantity"
        head, _, tail = name.rpartition("_")
        hint = did_you_mean(name, known)
        if head in known and tail:  # x_k, x_video
            hint = f"An entry of '{head}' is written {head}[{tail}]. {hint[hint.find('Known') :]}"
        elif name in INFINITY:
            hint = "Infinity is written 'inf'."
        self._error("M010", message, self.names.word(node, name), hint)

    def _letter_value(self, letter: Letter, node: tree.Node) -> sp.Expr:
        """A letter as a number, where its labels are consecutive numbers (`1..N`): the label."""
        labels = letter.index_set.labels
        first = int(labels[0]) if labels[0].lstrip("-").isdigit() else None
        if first is None or any(label != str(first + n) for n, label in enumerate(labels)):
            self._error(
                "M024",
                f"index letter '{letter.name}' is no number: the labels of {letter.index_set.name} are names",
                node,
                "Give each label its number by a param, as in `param number[k] = [1, 2]`.",
            )
            return self._placeholder()
        return letter + first

    def _subscript(self, node: tree.Subscript, scope: Scope) -> Any:
        if self.names.kind(node.name) is None:
            letters = self._letter_names()
            self._unknown(node.name, node, tuple(n for n in self.names.known() if n not in letters))
            return self._placeholder()
        return self._use(node.name, node.indices, node, scope)

    def _use(self, name: str, indices: tuple[tree.Expression, ...], node: tree.Node, scope: Scope) -> Any:
        """A declared quantity or `let`, with its indices."""
        if self.names.kind(name) == "let":
            found = self.names.let(name, node.span)
            if found is None:
                return self._placeholder()
            letters, formula, size = found
            self.size += size
            if not self._allowed(name, formula, scope, node):
                return self._placeholder()
            places = self._places(name, indices, tuple(a.index_set for a in letters), node, scope)
            if places is None:
                return self._placeholder()
            inlined = rename_letters(formula, dict(zip(letters, places, strict=True)))
            taken = tuple(scope.letters.values()) if scope.apart else ()
            return bound_apart(inlined, taken, self._spare(inlined))
        if self.names.kind(name) == "letter":
            self._error("M020", f"'{name}' is an index letter, it takes no indices", node, "Remove the brackets.")
            return self._placeholder()
        kind = self.names.kind(name)
        role = "decision" if kind == "choice" else str(kind)
        if scope.roles is not None and role not in scope.roles:
            self._not_data(name, name, role, scope, node)
            return self._placeholder()
        quantity = self.names.quantity(name, node.span)
        if quantity is None:
            return self._placeholder()
        places = self._places(name, indices, quantity.sets, node, scope)
        if places is None:
            return self._placeholder()
        return Entry(quantity, *places) if places else quantity

    def _spare(self, formula: sp.Expr) -> tuple[Letter, ...]:
        """The letters that range over what the sums of a formula range over."""
        sets = {a.index_set for a in formula.atoms(Letter)}
        names = sorted(n for s in sets for n in self.names.letters_over(s))
        return tuple(a for n in names if (a := self.names.letter(n)) is not None)

    def _allowed(self, name: str, formula: sp.Basic, scope: Scope, node: tree.Node) -> bool:
        """Whether what a `let` stands for may be used here; if not, what it contains is named."""
        if scope.roles is None:
            return True
        bad = sorted((str(q.name), q.role) for q in quantities(formula) if q.role not in scope.roles)
        for culprit, role in bad[:1]:
            self._not_data(name, culprit, role, scope, node)
        return not bad

    def _not_data(self, name: str, culprit: str, role: str, scope: Scope, node: tree.Node) -> None:
        what = ROLES.get(role, role)
        message = f"'{name}' is {what}" if culprit == name else f"'{name}' depends on '{culprit}', {what}"
        if scope.purpose == "a distribution" and role == "type":
            hint = "Types are drawn independently of each other: a distribution may use params only."
            self._error("M042", f"{message}, and types are independent", node, hint)
            return
        hint = "Use params, or lets made of them."
        if role == "type":
            hint += (
                f" What is known of a type is its mean, lower and upper end: mean({self.names.as_declared(culprit)})."
            )
        elif scope.purpose == "a bound":
            hint += " A bound by a decision is a constraint: `constraint NAME[k]: ...`."
        elif scope.purpose == "a condition":
            hint += " What a sum takes in, or for whom a demand holds, cannot depend on what is chosen."
        self._error("M035", f"{message}, and {scope.purpose or 'this'} must be made of known data", node, hint)

    # ------------------------------------------------------------------------------------------------------- indices

    def _places(
        self, name: str, indices: tuple[tree.Expression, ...], sets: tuple[IndexSet, ...], node: tree.Node, scope: Scope
    ) -> tuple[sp.Expr, ...] | None:
        if len(indices) != len(sets):
            wanted = f"{len(sets)} ind{'ex' if len(sets) == 1 else 'ices'}" if sets else "no index"
            stated = self.names.as_declared(name)
            hint = (
                f"It is declared as {stated}."
                if sets
                else f"Write {name}; what is declared without an index takes none."
            )
            self._error("M020", f"'{name}' takes {wanted}, here it has {len(indices) or 'none'}", node, hint)
            return None
        places = [self._index(i, s, name, scope) for i, s in zip(indices, sets, strict=True)]
        return None if any(p is None for p in places) else tuple(p for p in places if p is not None)

    def _index(self, node: tree.Expression, index_set: IndexSet, name: str, scope: Scope) -> sp.Expr | None:
        self.size += 1
        if isinstance(node, tree.Name):
            letter = scope.letters.get(node.id)
            if letter is not None:
                return self._matching(letter, letter.index_set, index_set, node, f"'{node.id}' ranges over")
            if node.id in index_set.labels:
                return sp.Integer(index_set.position(node.id))
            if self.names.kind(node.id) == "letter":
                self._error(
                    "M023",
                    f"index letter '{node.id}' is not bound here",
                    node,
                    unbound(node.id),
                )
                return None
            if self.names.kind(node.id) is None:
                known = (*scope.letters, *index_set.labels)
                self._error(
                    "M015",
                    f"'{node.id}' is neither an index letter nor a label of {index_set.name}",
                    node,
                    did_you_mean(node.id, known),
                )
                return None
        if isinstance(node, tree.Number | tree.String):
            label = label_text(node)
            if label not in index_set.labels:
                self._error(
                    "M015", f"{index_set.name} has no label '{label}'", node, did_you_mean(label, index_set.labels)
                )
                return None
            return sp.Integer(index_set.position(label))
        if isinstance(node, tree.Name | tree.Subscript):
            formula = self._resolve(node, Scope(scope.letters, DATA, "an index"))
            quantity = formula.quantity if isinstance(formula, Entry) else formula
            values_in = self.names.index_valued(quantity) if isinstance(quantity, Quantity) else None
            if values_in is not None:
                return self._matching(formula, values_in, index_set, node, f"'{quantity.name}' takes values in")
            if isinstance(quantity, sp.Dummy):
                return None
        self._error(
            "M024",
            f"an index of '{name}' must be a letter, a label, or a param that takes values in {index_set.name}",
            node,
            f"Indices know no arithmetic; which label follows which is a param: `param next[k] in {index_set.name} = "
            f"...`, then {name}[next[k]].",
        )
        return None

    def _matching(self, index: sp.Expr, has: IndexSet, wanted: IndexSet, node: tree.Node, what: str) -> sp.Expr | None:
        if has.name == wanted.name:
            return index
        letters = self.names.letters_over(wanted)
        self._error(
            "M021",
            f"{what} {has.name}, here a label of {wanted.name} is expected",
            node,
            f"{' and '.join(letters)} range{'s' if len(letters) == 1 else ''} over {wanted.name}.",
        )
        return None

    # ----------------------------------------------------------------------------------------------------- operators

    def _unary(self, node: tree.Unary, scope: Scope) -> Any:
        operand = self._resolve(node.operand, scope)
        if node.operator == "not":
            return sp.Not(operand) if self._boolean(operand, node.operand) else sp.true
        if not self._number(operand, node.operand):
            return self._placeholder()
        return -operand if node.operator == "-" else operand

    def _binary(self, node: tree.Binary, scope: Scope) -> Any:
        if node.operator in ("and", "or"):
            left, right = self._resolve(node.left, scope), self._resolve(node.right, scope)
            if not (self._boolean(left, node.left) and self._boolean(right, node.right)):
                return sp.true
            return sp.And(left, right) if node.operator == "and" else sp.Or(left, right)
        if node.operator in _RELATIONS:
            return self._comparison(node, scope)
        left, right = self._resolve(node.left, scope), self._resolve(node.right, scope)
        if not (self._number(left, node.left) and self._number(right, node.right)):
            return self._placeholder()
        if isinstance(left, sp.Dummy) or isinstance(right, sp.Dummy):  # said already
            return self._placeholder()
        match node.operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                if right != 0:
                    return left / right
                self._error("M033", "this divides by zero", node.right, "Check the divisor.")
                return self._placeholder()
            case _:
                return self._power(left, right, node)

    def _power(self, base: Any, exponent: Any, node: tree.Binary) -> Any:
        if exponent.is_Rational:
            # sympy raises every number that is a factor of the base at once; other numbers may become one.
            factors = [f.as_base_exp()[0] for f in sp.Mul.make_args(base)]
            numbers = [f for f in factors if f.is_Rational]
            bits = sum(max(abs(int(r.p)).bit_length(), int(r.q).bit_length()) for r in numbers)
            if abs(exponent) * bits > MAX_POWER_BITS or (base.is_Rational and int(exponent.q) > 10**6):
                self._error(
                    "M091",
                    "this power of numbers is too large to be exact",
                    node,
                    "Write the number itself, or use exp(... * log(...)).",
                )
                return self._placeholder()
            if base == 0 and exponent < 0:
                self._error("M033", "a negative power of zero divides by zero", node, "Check base and exponent.")
                return self._placeholder()
        elif base.is_number and exponent.is_number and base.is_real and exponent.is_real and base != 0:
            _within_numbers(exponent * sp.log(abs(base)))
        return base**exponent

    def _comparison(self, node: tree.Binary, scope: Scope) -> Any:
        for one, other in ((node.left, node.right), (node.right, node.left)):
            index_set = self._index_set_of(one, scope)
            if index_set is not None:
                first = self._index(one, index_set, "comparison", scope)
                second = self._index(other, index_set, "comparison", scope)
                if first is None or second is None:
                    return sp.true
                pair = (first, second) if one is node.left else (second, first)
                return _RELATIONS[node.operator](*pair)
        left, right = self._resolve(node.left, scope), self._resolve(node.right, scope)
        if not (self._number(left, node.left) and self._number(right, node.right)):
            return sp.true
        if not (self._real(left, node.left) and self._real(right, node.right)):
            return sp.true
        return _RELATIONS[node.operator](left, right)

    def _index_set_of(self, node: tree.Expression, scope: Scope) -> IndexSet | None:
        """The set a letter ranges over, or an index-valued param takes values in; None for numbers."""
        if isinstance(node, tree.Name) and node.id in scope.letters:
            return scope.letters[node.id].index_set
        if isinstance(node, tree.Name | tree.Subscript):
            name = node.id if isinstance(node, tree.Name) else node.name
            if self.names.kind(name) == "param":
                quantity = self.names.quantity(name, node.span)
                return None if quantity is None else self.names.index_valued(quantity)
        return None

    def _aggregate(self, node: tree.Aggregate, scope: Scope) -> Any:
        letters: list[Letter] = []
        for name in node.letters:
            letter = self.names.letter(name.id)
            if letter is None:
                if self.names.kind(name.id) != "letter":  # else its index set is at fault, and that is reported there
                    hint = self.names.letter_remedy(name.id)
                    self._error("M014", f"'{name.id}' is not an index letter", name, hint)
            elif name.id in scope.letters or name.id in {a.name for a in letters}:
                self._error(
                    "M022",
                    f"index letter '{name.id}' is already bound here",
                    name,
                    other_letter(
                        letter.index_set.name,
                        self.names.letters_over(letter.index_set),
                        (*scope.letters, *(a.name for a in letters)),
                    ),
                )
            else:
                letters.append(letter)
        if len(letters) != len(node.letters):
            return self._placeholder()
        inner = scope.with_letters(tuple(letters))
        if len(inner.letters) > MAX_LETTERS or prod(len(a.index_set) for a in inner.letters.values()) > MAX_ENTRIES:
            message = f"this {node.operator} runs over more than {MAX_ENTRIES:,} combinations of labels"
            self._error("M090", message, node, "Sum over fewer letters at once, or over smaller index sets.")
            return self._placeholder()
        where = sp.true
        if node.where is not None:
            size = self.size
            where = self.condition(node.where, inner)
            self.size += size
        body = self._resolve(node.body, inner)
        if not self._number(body, node.body):
            return self._placeholder()
        return (IndexSum if node.operator == "sum" else IndexProduct)(body, tuple(letters), where)

    def _letter_names(self) -> tuple[str, ...]:
        return tuple(n for n in self.names.known() if self.names.kind(n) == "letter")

    # --------------------------------------------------------------------------------------------------------- calls

    def _call(self, node: tree.Call, scope: Scope) -> Any:
        if node.name in _STATISTICS:
            return self._statistic(node, scope)
        if node.name == "if":
            return self._if(node, scope)
        if node.name == "precision":
            return self._precision(node, scope)
        if node.name not in FUNCTIONS:
            found = self.names.function(node.name)
            if found is not None:
                return self._plugged(node, *found, scope)
            self._unknown_function(node)
            return self._placeholder()
        least, greatest, build = FUNCTIONS[node.name]
        plain = [a for a in node.arguments if a.name is None and a.key is None]
        if len(plain) != len(node.arguments) or not least <= len(plain) <= greatest:
            count = f"{least}" if least == greatest else f"{least} to {greatest}"
            message = f"{node.name} takes {count} argument{'s' if greatest > 1 else ''}, {here(len(plain))}"
            self._error("M013", message, node, f"Write {node.name}(a{', b' if least > 1 else ''}).")
            return self._placeholder()
        arguments = [self._resolve(a.value, scope) for a in plain]
        if not all(self._number(v, a.value) for v, a in zip(arguments, plain, strict=True)):
            return self._placeholder()
        if any(isinstance(v, sp.Dummy) for v in arguments):
            return self._placeholder()
        if build is sp.exp and arguments[0].is_number:
            _within_numbers(arguments[0])
        if build is sp.log and arguments[0] == 0:
            hint = "A logarithm is of a positive number; log(1 + x) begins at zero."
            self._error("M033", "the logarithm of zero has no value", node, hint)
            return self._placeholder()
        if build in (sp.Min, sp.Max) and not all(self._real(v, a.value) for v, a in zip(arguments, plain, strict=True)):
            return self._placeholder()
        return build(*arguments)

    def _plugged(self, node: tree.Call, parameters: tuple[str, ...], body: tree.Expression, scope: Scope) -> Any:
        """A function of a plugin: its formula, the arguments in the place of its parameters."""
        plain = [a for a in node.arguments if a.name is None and a.key is None]
        if len(plain) != len(node.arguments) or len(plain) != len(parameters):
            message = (
                f"{node.name} takes {len(parameters)} argument{'s' if len(parameters) > 1 else ''}, {here(len(plain))}"
            )
            self._error("M013", message, node, f"Write {node.name}({', '.join(parameters)}).")
            return self._placeholder()
        if node.name in self.calls:
            self._error(
                "M013", f"{node.name} is defined through itself", node, "The plugin that defines it is at fault."
            )
            return self._placeholder()
        values: dict[str, tuple[Any, int]] = {}
        for name, argument in zip(parameters, plain, strict=True):
            before = self.size
            value = self._resolve(argument.value, scope)
            if not self._number(value, argument.value):
                return self._placeholder()
            values[name] = (value, self.size - before)
        inside = Resolver(
            self.names, self.diagnostics, None, self.size, (*self.calls, node.name), self.place or node.span
        )
        found = inside._resolve(body, Scope(values=values))
        self.size = inside.size
        return found if inside._number(found, body) else self._placeholder()

    def _precision(self, node: tree.Call, scope: Scope) -> sp.Expr:
        """`precision(theta)`: how precisely the signals tell a state; a number that follows from what is chosen."""
        if len(node.arguments) != 1 or node.arguments[0].name is not None:
            message = f"precision takes 1 argument, {here(len(node.arguments))}"
            self._error("M013", message, node, "Write precision(theta), of a state.")
            return self._placeholder()
        inner = Scope(scope.letters)
        state = self._resolve(node.arguments[0].value, inner)
        head = state.quantity if isinstance(state, Entry) else state
        if not isinstance(head, Quantity) or head.role != "state":
            if not unresolved(state):
                self._error("M035", "precision is of a state", node.arguments[0].value, "Declare one: state theta.")
            return self._placeholder()
        if scope.roles is not None:
            purpose = scope.purpose or "this"
            message = (
                f"'{node.name}({head.name})' follows from what is chosen, and {purpose} must be made of known data"
            )
            self._error("M035", message, node, "Use params, or lets made of them.")
            return self._placeholder()
        quantity = precision_of(head)
        return Entry(quantity, *state.indices) if isinstance(state, Entry) else quantity

    def _unknown_function(self, node: tree.Call) -> None:
        hint = ELSEWHERE.get(node.name) or did_you_mean(
            node.name, (*FUNCTIONS, *_STATISTICS, "if", "sum", "prod", *self.names.functions_of_plugins())
        )
        message = f"unknown function '{node.name}'"
        kind = self.names.kind(node.name)
        if kind is not None:
            message = f"'{node.name}' is {ROLES.get(kind, kind)}, and no function"
            words = [a.value for a in node.arguments if isinstance(a.value, tree.Name | tree.Number | tree.String)]
            entry = f"{node.name}[{', '.join(map(label_text, words))}]" if words else self.names.as_declared(node.name)
            hint = f"An entry stands in square brackets, {entry}; a product needs its sign."
        if node.name in FAMILIES and node.name not in ELSEWHERE:
            message = f"'{node.name}' is a distribution, and no function"
            hint = f"Draw a param from it, `param a ~ {node.name}(...)`, or a type, `type c[k] ~ {node.name}(...)`."
        self._error("M013", message, self.names.word(node, node.name), hint)

    def _statistic(self, node: tree.Call, scope: Scope) -> Any:
        if len(node.arguments) == 1:
            formula = self._resolve(node.arguments[0].value, Scope(scope.letters))
            quantity = formula.quantity if isinstance(formula, Entry) else formula
            if isinstance(quantity, Quantity) and quantity.role == "type":
                statistic = self.names.statistic(node.name, quantity)
                return Entry(statistic, *formula.indices) if isinstance(formula, Entry) else statistic
            if isinstance(quantity, sp.Dummy):
                return formula
        self._error("M013", f"{node.name} is of one private type", node, f"Write {node.name}(c[k]) for a type c[k].")
        return self._placeholder()

    def _if(self, node: tree.Call, scope: Scope) -> Any:
        if len(node.arguments) != 3:
            message = f"if takes 3 arguments, {here(len(node.arguments))}"
            self._error("M013", message, node, "Write if(condition, a, b).")
            return self._placeholder()
        condition = self._resolve(node.arguments[0].value, scope)
        if not self._boolean(condition, node.arguments[0].value):
            return self._placeholder()
        if quantities(condition, "type"):
            hint = "A case may turn on a decision or on data; who is of which type is known to that one alone."
            self._error("M058", "the condition of an `if` depends on a type", node.arguments[0].value, hint)
            return self._placeholder()
        first, second = (self._resolve(a.value, scope) for a in node.arguments[1:])
        return sp.Piecewise((first, condition), (second, True))

    # ------------------------------------------------------------------------------------------------------- verdicts

    def _boolean(self, value: Any, node: tree.Expression) -> bool:
        if _is_condition(value):
            return True
        hint = "Write a comparison: `i != k`, `d[k] > 0`."
        self._error("M059", "a condition is expected here, this is a number", node, hint)
        return False

    def _number(self, value: Any, node: tree.Expression) -> bool:
        if not _is_condition(value):
            return True
        hint = "A condition chooses between numbers: `if(condition, 1, 0)`."
        self._error("M059", "a comparison stands where a number is expected", node, hint)
        return False

    def _error(self, code: str, message: str, place: tree.Node | Span, hint: str) -> None:
        if self.place is not None:  # the text it stands in is a plugin's: what the reader wrote is the call
            message, place = f"in {self.calls[0]}, {message}", self.place
        self.diagnostics.append(Diagnostic(code, message, place if isinstance(place, Span) else place.span, hint))

    @staticmethod
    def _placeholder() -> sp.Expr:
        return sp.Dummy("unresolved", real=True)


def _height(formula: sp.Basic) -> int:
    """How many parts within parts; not by recursion, which is what it guards."""
    highest, stack = 0, [(formula, 1)]
    while stack:
        node, height = stack.pop()
        highest = max(highest, height)
        stack += [(part, height + 1) for part in node.args]
    return highest


def _is_condition(value: Any) -> bool:
    """True or false for given values; a sympy symbol could be either, ours are numbers."""
    return isinstance(value, sp.logic.boolalg.Boolean) and not isinstance(value, sp.Expr)


def unresolved(formula: sp.Basic) -> bool:
    """Whether a mistake was found in making `formula`."""
    return bool(formula.atoms(sp.Dummy))


def free_letters(formula: sp.Basic) -> tuple[Letter, ...]:
    return tuple(sorted(letters_of(formula), key=lambda a: a.name))


def _within_numbers(logarithm: sp.Expr) -> None:
    """Refuse a constant that no double holds before its digits are asked for.

    Raises:
        OverflowError: `exp(logarithm)` is beyond all numbers.
    """
    if logarithm.is_real and float(logarithm) > _LARGEST_LOGARITHM:
        raise OverflowError
