"""The programme as Python text for Pyomo: sets, params, variables, rules, each under its own name.

Written for the reader who knows Pyomo and not mechdsl: rules are the formulas with `model.` before every name, data
stand in dictionaries by label, and the last lines solve it.
"""

from __future__ import annotations

import itertools
import keyword
import pprint
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

from mechdsl.evaluate import Array
from mechdsl.formula import Entry, IndexProduct, IndexSet, IndexSum, Letter, Quantity, quantities
from mechdsl.program import Constraint, Optimum, Variable

__all__ = ["attribute", "index_sets", "index_valued", "script", "used_quantities"]

# Names of a Pyomo model's own, and of the text's.
_TAKEN = frozenset(
    {
        "clear",
        "cname",
        "config",
        "construct",
        "ctype",
        "dim",
        "display",
        "doc",
        "index",
        "is_active",
        "load",
        "local_name",
        "model",
        "name",
        "objective",
        "parent",
        "pprint",
        "pyo",
        "transfer_attributes_from",
        "type",
        "valid_model",
        "write",
    }
)


def attribute(name: str) -> str:
    """A market's name as one that Python and a Pyomo model leave free."""
    word = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return f"{word}_" if keyword.iskeyword(word) or word in _TAKEN else word


def formulas(program: Optimum) -> list[sp.Basic]:
    """Every formula of the programme."""
    ends = [e for v in program.variables for e in (v.lower, v.upper)]
    return [program.objective, *ends, *(e for c in program.constraints for e in (c.left, c.right, c.where))]


def used_quantities(program: Optimum) -> tuple[Quantity, ...]:
    """Params and open parameters that occur, by name."""
    found = {q for f in formulas(program) for q in quantities(f)} - {v.quantity for v in program.variables}
    return tuple(sorted(found, key=lambda q: str(q.name)))


def index_sets(program: Optimum) -> tuple[IndexSet, ...]:
    """The index sets that occur, each once."""
    found = [s for q in (*used_quantities(program), *(v.quantity for v in program.variables)) for s in q.sets]
    found += [a.index_set for c in program.constraints for a in c.letters]
    found += [a.index_set for f in formulas(program) for a in sorted(f.atoms(Letter), key=str)]
    return tuple({s.name: s for s in found}.values())


def script(program: Optimum, parameters: Mapping[Quantity, Array]) -> str:
    """The text; it defines `model`, and solves it when it is run as a program."""
    values = {**program.data, **parameters}
    places = index_valued(program)
    printer = _Rules(places)
    parts = [
        f'"""{program.name}, exported by mechdsl."""\n\nimport pyomo.environ as pyo\n',
        f"model = pyo.ConcreteModel({program.name!r})",
        *(
            f"model.{attribute(s.name)} = pyo.Set(initialize={list(s.labels)!r}, ordered=True)"
            for s in index_sets(program)
        ),
        *(_param(q, values[q], places.get(q)) for q in used_quantities(program)),
        *(_variable(v, printer) for v in program.variables),
        _objective(program, printer),
        *(_constraint(c, printer) for c in program.constraints),
        _closing(program),
    ]
    return "\n".join(parts)


def _param(quantity: Quantity, table: Array, of: IndexSet | None) -> str:
    name = attribute(str(quantity.name))
    if of is not None:  # a param that takes labels for values
        return f"{name} = {_dictionary(quantity, np.array([of.labels[int(v)] for v in table.ravel()]))}"
    initial = _dictionary(quantity, table) if quantity.sets else repr(float(table))
    sets = "".join(f"model.{attribute(s.name)}, " for s in quantity.sets)
    return f"model.{name} = pyo.Param({sets}initialize={initial}, mutable=True)"


def _dictionary(quantity: Quantity, table: Any) -> str:
    keys = itertools.product(*(s.labels for s in quantity.sets))
    entries = {k[0] if len(k) == 1 else k: v for k, v in zip(keys, table.ravel().tolist(), strict=True)}
    return pprint.pformat(entries, width=110, compact=True, sort_dicts=False)


def _variable(variable: Variable, printer: _Rules) -> str:
    ends = ", ".join("None" if e in (sp.oo, -sp.oo) else printer.doprint(e) for e in (variable.lower, variable.upper))
    name = attribute(variable.name)
    if not variable.letters:
        return f"model.{name} = pyo.Var(bounds=({ends}))"
    sets, letters = _sets(variable.letters), ", ".join(a.name for a in variable.letters)
    return f"model.{name} = pyo.Var({sets}, bounds=lambda model, {letters}: ({ends}))"


def _objective(program: Optimum, printer: _Rules) -> str:
    return f"model.objective = pyo.Objective(expr={printer.doprint(program.objective)}, sense=pyo.{program.sense})"


def _constraint(constraint: Constraint, printer: _Rules) -> str:
    left, right = printer.doprint(constraint.left), printer.doprint(constraint.right)
    row = f"{left} {constraint.relation} {right}"
    name = attribute(constraint.name)
    if not constraint.letters:
        return f"model.{name} = pyo.Constraint(expr={row})"
    skip = ""
    if constraint.where != sp.true:
        skip = f"    if not ({printer.condition(constraint.where)}):\n        return pyo.Constraint.Skip\n"
    letters = ", ".join(a.name for a in constraint.letters)
    rule = f"\n\ndef {name}_rule(model, {letters}):\n{skip}    return {row}\n\n\n"
    return f"{rule}model.{name} = pyo.Constraint({_sets(constraint.letters)}, rule={name}_rule)"


def _closing(program: Optimum) -> str:
    shown = "\n".join(f"    model.{attribute(v.name)}.display()" for v in program.variables)
    return f'\nif __name__ == "__main__":\n    pyo.SolverFactory("ipopt").solve(model, tee=True)\n{shown}\n'


def _sets(letters: Sequence[Letter]) -> str:
    return ", ".join(f"model.{attribute(a.index_set.name)}" for a in letters)


def index_valued(program: Optimum) -> dict[Quantity, IndexSet]:
    """Params whose values are labels: those that stand as indices, or are compared with letters."""
    found: dict[Quantity, IndexSet] = {}
    for formula in formulas(program):
        for node in sp.preorder_traversal(formula):
            if isinstance(node, Entry):
                for index_set, index in zip(node.quantity.sets, node.indices, strict=True):
                    if isinstance(index, Entry | Quantity):
                        found[index.quantity if isinstance(index, Entry) else index] = index_set
            elif isinstance(node, sp.Rel):
                for one, other in (node.args, node.args[::-1]):
                    if isinstance(other, Letter) and isinstance(one, Entry | Quantity):
                        found[one.quantity if isinstance(one, Entry) else one] = other.index_set
    return found


class _Rules(StrPrinter):  # type: ignore[misc]
    """Formulas as Python expressions over `model`."""

    printmethod = "_pyomo_text"  # not the `_sympystr` by which our nodes print as the language does

    def __init__(self, places: Mapping[Quantity, IndexSet]) -> None:
        super().__init__()
        self._label_valued = places

    def condition(self, node: Any) -> str:
        """A condition, as Python."""
        if isinstance(node, sp.And | sp.Or):
            word = " and " if isinstance(node, sp.And) else " or "
            return word.join(f"({self.condition(a)})" for a in node.args)
        if isinstance(node, sp.Not):
            return f"not ({self.condition(node.args[0])})"
        if node in (sp.true, sp.false):
            return str(bool(node))
        first, second = node.args
        of = self._labels_of(first) or self._labels_of(second)
        relation = {sp.Eq: "==", sp.Ne: "!=", sp.Gt: ">", sp.Ge: ">=", sp.Lt: "<", sp.Le: "<="}[node.func]
        if of is None:
            return f"pyo.value({self._print(first)}) {relation} pyo.value({self._print(second)})"
        sides = (self._label(side, of) for side in (first, second))
        if relation in ("==", "!="):
            return f" {relation} ".join(sides)
        order = f"model.{attribute(of.name)}.ord"
        return f" {relation} ".join(f"{order}({side})" for side in sides)

    def _labels_of(self, node: Any) -> IndexSet | None:
        if isinstance(node, Letter):
            return node.index_set
        quantity = node.quantity if isinstance(node, Entry) else node
        return self._label_valued.get(quantity)

    def _label(self, node: Any, of: IndexSet) -> str:
        """An index as Python: a letter, a label, or a look-up."""
        if isinstance(node, Letter):
            return str(node.name)
        if node.is_Integer:
            return repr(of.labels[int(node)])
        return self._looked_up(node, "")

    def _looked_up(self, node: Any, prefix: str) -> str:
        quantity = node.quantity if isinstance(node, Entry) else node
        name = f"{prefix}{attribute(str(quantity.name))}"
        if not isinstance(node, Entry):
            return name
        labels = [self._label(i, s) for s, i in zip(quantity.sets, node.indices, strict=True)]
        return f"{name}[{', '.join(labels)}]"

    def _print_Entry(self, node: Entry) -> str:
        return self._looked_up(node, "model.")

    def _print_Quantity(self, node: Quantity) -> str:
        return self._looked_up(node, "model.")

    def _print_Letter(self, node: Letter) -> str:
        return f"(model.{attribute(node.index_set.name)}.ord({node.name}) - 1)"

    def _print_IndexSum(self, node: IndexSum) -> str:
        return f"sum({self._spread(node)})"

    def _print_IndexProduct(self, node: IndexProduct) -> str:
        return f"pyo.prod([{self._spread(node)}])"

    def _spread(self, node: IndexSum | IndexProduct) -> str:
        loops = " ".join(f"for {a.name} in model.{attribute(a.index_set.name)}" for a in node.letters)
        where = "" if node.where == sp.true else f" if {self.condition(node.where)}"
        return f"{self._print(node.body)} {loops}{where}"

    def _print_Piecewise(self, node: sp.Piecewise) -> str:
        text = "float('nan')"
        for value, where in reversed(node.args):
            text = f"({self._print(value)} if {self.condition(where)} else {text})"
        return text

    def _print_Pow(self, node: sp.Pow, rational: bool = False) -> str:
        del rational
        power = PRECEDENCE["Pow"]
        base, exponent = (
            self.parenthesize(node.base, power, strict=False),
            self.parenthesize(node.exp, power, strict=False),
        )
        return f"{base}**{exponent}"

    def _print_Function(self, node: Any) -> str:
        return f"pyo.{node.func.__name__}({', '.join(self._print(a) for a in node.args)})"

    def _print_exp(self, node: Any) -> str:
        return f"pyo.exp({self._print(node.args[0])})"

    def _print_log(self, node: Any) -> str:
        return f"pyo.log({self._print(node.args[0])})"

    def _print_KroneckerDelta(self, node: Any) -> str:
        return f"int({self.condition(sp.Eq(*node.args, evaluate=False))})"

    def _print_Abs(self, node: Any) -> str:
        return f"abs({self._print(node.args[0])})"

    def _print_Max(self, node: Any) -> str:
        return self._choice(node.args, ">=")

    def _print_Min(self, node: Any) -> str:
        return self._choice(node.args, "<=")

    def _choice(self, arguments: Sequence[Any], relation: str) -> str:
        text: str = self._print(arguments[0])
        for other in map(self._print, arguments[1:]):
            text = f"pyo.Expr_if({text} {relation} {other}, {text}, {other})"
        return text

    def _print_Rational(self, node: Any) -> str:
        return str(node.p) if node.q == 1 else f"{node.p}/{node.q}"

    def emptyPrinter(self, expr: Any) -> str:
        """Refuse what has no Python form, rather than print something else."""
        from mechdsl.errors import InternalError

        raise InternalError(f"no Pyomo text for {type(expr).__name__}")
