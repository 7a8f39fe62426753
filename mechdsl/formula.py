"""The vocabulary of every formula in mechdsl: sympy expressions over named, indexed quantities.

A formula is made once (by the elaborator, as stated; by a theory step, as derived) and afterwards only rendered: to
numpy (`mechdsl.evaluate`), to Ipopt's callbacks, to Pyomo, to LaTeX. Sums over index sets stay sums, so a market with
a thousand domains has formulas no longer than one with two. Own small node classes rather than `sympy.Indexed` and
`sympy.Sum`: they carry index sets, declared ranges and descriptions, and no sympy rule rewrites them behind our back.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import sympy as sp

__all__ = [
    "REAL_LINE",
    "UNIT_INTERVAL",
    "Entry",
    "IndexProduct",
    "IndexSet",
    "IndexSum",
    "Interval",
    "Letter",
    "Quantity",
    "bound_apart",
    "decided",
    "derivative",
    "entries",
    "letters_of",
    "precision_of",
    "quantities",
    "rename_letters",
    "substitute",
    "tangent",
]


@dataclass(frozen=True, slots=True)
class IndexSet:
    """An ordered finite set of labels; formulas refer to a label by its position (0-based), texts by its name."""

    name: str
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def position(self, label: str) -> int:
        """Position of `label`; KeyError when there is none."""
        try:
            return self.labels.index(label)
        except ValueError:
            raise KeyError(label) from None


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A range of reals; the ends may be infinite, and each may be open. Ordered, because sympy sorts what it meets."""

    lower: float
    upper: float
    lower_open: bool = False
    upper_open: bool = False

    def contains(self, value: float) -> bool:
        above = value > self.lower if self.lower_open else value >= self.lower
        below = value < self.upper if self.upper_open else value <= self.upper
        return above and below

    def __str__(self) -> str:
        left = "(" if self.lower_open or self.lower == -float("inf") else "["
        right = ")" if self.upper_open or self.upper == float("inf") else "]"
        return f"{left}{self.lower:g}, {self.upper:g}{right}"


REAL_LINE = Interval(-float("inf"), float("inf"), True, True)
UNIT_INTERVAL = Interval(0.0, 1.0)


class Letter(sp.Symbol):  # type: ignore[misc]
    """An index letter and the set it ranges over; as a number it is a position in that set."""

    __slots__ = ("index_set",)
    index_set: IndexSet

    def __new__(cls, name: str, index_set: IndexSet) -> Letter:
        letter = cast(Letter, sp.Symbol.__xnew__(cls, name, integer=True, nonnegative=True))
        letter.index_set = index_set
        return letter

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), self.index_set.name, len(self.index_set))

    def __getnewargs_ex__(self) -> tuple[Any, ...]:
        return (self.name, self.index_set), {}


class Quantity(sp.Symbol):  # type: ignore[misc]
    """A named number or table of numbers: a param, a type, a decision, or something a theory step introduces.

    Args:
        name: as the file calls it.
        sets: the index sets it is indexed by, in order; `()` for a scalar.
        role: `param` (known data), `type` (private information), `decision`, `open` (given with each solve, e.g. a
            virtual cost), `state`, `common`, `statistic` (a moment or end of a type's distribution), `precision` (of
            what signals tell of a state).
        domain: the range its values are known to lie in; curvature proofs rest on it.
        latex_name: how documents print it, when not from its name.
    """

    __slots__ = ("domain", "latex_name", "role", "sets")
    sets: tuple[IndexSet, ...]
    role: str
    domain: Interval
    latex_name: str | None

    def __new__(
        cls,
        name: str,
        sets: Iterable[IndexSet] = (),
        role: str = "param",
        domain: Interval = REAL_LINE,
        latex_name: str | None = None,
    ) -> Quantity:
        assumptions: dict[str, bool] = {"real": True}
        if domain.lower > 0 or (domain.lower == 0 and domain.lower_open):
            assumptions = {"positive": True}
        elif domain.lower >= 0:
            assumptions = {"nonnegative": True}
        elif domain.upper <= 0:
            assumptions = {"nonpositive": True}
        quantity = cast(Quantity, sp.Symbol.__xnew__(cls, name, **assumptions))
        quantity.sets = tuple(sets)
        quantity.role = role
        quantity.domain = domain
        quantity.latex_name = latex_name
        return quantity

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), self.role, tuple((s.name, len(s)) for s in self.sets), self.domain)

    def __getnewargs_ex__(self) -> tuple[Any, ...]:
        return (self.name, self.sets, self.role, self.domain, self.latex_name), {}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(s) for s in self.sets)

    # A quantity can be indexed but is no sequence: without this, sympy takes it for one.
    __iter__ = None

    def __getitem__(self, indices: Any) -> sp.Expr:
        """`mu[i, k]`: an entry; an index is a letter, or the position of a label."""
        return Entry(self, *(indices if isinstance(indices, tuple) else (indices,)))


class Entry(sp.Expr):  # type: ignore[misc]
    """One entry `q[i, k]` of an indexed quantity; inherits the sign of the quantity's declared range."""

    is_commutative = True

    def __new__(cls, quantity: Quantity, *indices: Any) -> Entry:
        return cast(Entry, sp.Expr.__new__(cls, quantity, *map(_node, indices)))

    @property
    def quantity(self) -> Quantity:
        return cast(Quantity, self.args[0])

    @property
    def indices(self) -> tuple[sp.Expr, ...]:
        return tuple(self.args[1:])

    @property
    def name(self) -> str:
        return str(self.quantity.name)

    def _eval_is_real(self) -> bool | None:
        return cast("bool | None", self.quantity.is_real)

    def _eval_is_positive(self) -> bool | None:
        return cast("bool | None", self.quantity.is_positive)

    def _eval_is_nonnegative(self) -> bool | None:
        return cast("bool | None", self.quantity.is_nonnegative)

    def _eval_is_nonpositive(self) -> bool | None:
        return cast("bool | None", self.quantity.is_nonpositive)

    def _eval_is_zero(self) -> bool | None:
        return cast("bool | None", self.quantity.is_zero)

    def _eval_is_finite(self) -> bool:
        return True

    def _eval_is_extended_real(self) -> bool | None:
        return cast("bool | None", self.quantity.is_real)

    def _sympystr(self, printer: Any) -> str:
        return f"{self.quantity.name}[{', '.join(_index_text(*pair) for pair in self._indexed())}]"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        # `exp` comes from a power: x_k^2, not {x_k}^{2}.
        inner = ", ".join(_index_latex(printer, *pair) for pair in self._indexed())
        power = f"^{{{exp}}}" if exp is not None else ""
        return f"{printer._print(self.quantity)}_{{{inner}}}{power}"

    def _indexed(self) -> Iterator[tuple[IndexSet, sp.Expr]]:
        return zip(self.quantity.sets, self.indices, strict=True)


class _Aggregate(sp.Expr):  # type: ignore[misc]
    """A body aggregated over bound letters, where a condition holds; args: body, Tuple of letters, condition."""

    is_commutative = True
    _word = ""

    def __new__(cls, body: Any, letters: Iterable[Letter], where: Any = sp.true) -> sp.Expr:
        return cast(sp.Expr, sp.Expr.__new__(cls, _node(body), sp.Tuple(*letters), where))

    @property
    def body(self) -> sp.Expr:
        return self.args[0]

    @property
    def letters(self) -> tuple[Letter, ...]:
        return tuple(self.args[1].args)

    @property
    def where(self) -> Any:
        return self.args[2]

    @property
    def free_symbols(self) -> set[sp.Basic]:
        free: set[sp.Basic] = self.body.free_symbols | self.where.free_symbols
        return free - set(self.letters)

    @property
    def bound_symbols(self) -> list[Letter]:
        return list(self.letters)

    def _eval_is_real(self) -> bool | None:
        return cast("bool | None", self.body.is_real)

    def _eval_is_finite(self) -> bool | None:
        return cast("bool | None", self.body.is_finite)

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.body.is_nonnegative else None

    def _sympystr(self, printer: Any) -> str:
        letters = ", ".join(str(letter) for letter in self.letters)
        where = "" if self.where == sp.true else f" where {printer._print(self.where)}"
        return f"{self._word}({letters}{where}: {printer._print(self.body)})"

    def _latex_with(self, printer: Any, operator: str, exp: str | None) -> str:
        under = ", ".join(printer._print(letter) for letter in self.letters)
        if self.where != sp.true:
            under += ":\\, " + printer._print(self.where)
        body = printer._print(self.body)
        if self.body.is_Add:
            body = rf"\left({body}\right)"
        text = rf"{operator}_{{{under}}} {body}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class IndexSum(_Aggregate):
    """`sum(i where COND: BODY)`."""

    _word = "sum"

    def _eval_is_nonpositive(self) -> bool | None:
        return True if self.body.is_nonpositive else None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return self._latex_with(printer, r"\sum", exp)


class IndexProduct(_Aggregate):
    """`prod(i where COND: BODY)`."""

    _word = "prod"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return self._latex_with(printer, r"\prod", exp)


def entries(expression: sp.Basic, role: str | None = None) -> frozenset[sp.Expr]:
    """All entries and scalar quantities in `expression`, of one role if given."""
    found: set[sp.Expr] = set()
    walk = sp.preorder_traversal(expression)
    for node in walk:
        if isinstance(node, Entry):
            if role is None or node.quantity.role == role:
                found.add(node)
            # The head of an entry is not a scalar of its own; its indices may hold entries (home[n]).
            for index in node.indices:
                found |= entries(index, role)
            walk.skip()
        elif isinstance(node, Quantity) and (role is None or node.role == role):
            found.add(node)
    return frozenset(found)


@lru_cache(maxsize=4096)  # asked of the same terms at every step of an analysis
def quantities(expression: sp.Basic, role: str | None = None) -> frozenset[Quantity]:
    """All quantities that occur in `expression`, of one role if given."""
    found = _quantities(expression)
    return found if role is None else frozenset(q for q in found if q.role == role)


@lru_cache(maxsize=1 << 16)
def _quantities(expression: sp.Basic) -> frozenset[Quantity]:
    """Remembered for every part: large formulas are made of few, and the same ones are asked for over and over."""
    if isinstance(expression, Quantity):
        return frozenset((expression,))
    return frozenset().union(*map(_quantities, expression.args))


def precision_of(state: Quantity) -> Quantity:
    """`precision(theta)`: what all signals together tell of a state, a number that follows from what is chosen."""
    latex = rf"\mathrm{{precision}}({state.latex_name or sp.latex(sp.Symbol(state.name))})"
    return Quantity(f"precision({state.name})", state.sets, "precision", Interval(0.0, float("inf")), latex)


def decided(expression: sp.Expr) -> sp.Expr:
    """The factors of a term that depend on decisions: `x^2` of `-3 d x^2`."""
    factors = sp.Mul.make_args(expression)
    return expression if len(factors) == 1 else sp.Mul(*(f for f in factors if quantities(f, "decision")))


def letters_of(expression: sp.Basic) -> frozenset[Letter]:
    """The letters that are free in `expression`."""
    return frozenset(s for s in expression.free_symbols if isinstance(s, Letter))


def rename_letters(expression: sp.Basic, mapping: Mapping[Letter, sp.Expr]) -> Any:
    """Replace free letters, renaming bound ones where they would capture a replacement."""
    if not mapping:
        return expression
    if isinstance(expression, Letter):
        return mapping.get(expression, expression)
    if isinstance(expression, _Aggregate):
        inner = {a: b for a, b in mapping.items() if a not in expression.letters}
        if not inner:
            return expression
        taken = {s for b in inner.values() for s in _node(b).free_symbols}
        fresh = {a: _fresh(a, taken | set(expression.letters)) for a in expression.letters if a in taken}
        letters = tuple(fresh.get(a, a) for a in expression.letters)
        body, where = (rename_letters(rename_letters(e, fresh), inner) for e in (expression.body, expression.where))
        return type(expression)(body, letters, where)
    if not expression.args:
        return expression
    return expression.func(*(rename_letters(a, mapping) for a in expression.args))


def bound_apart(expression: sp.Basic, taken: Collection[Letter], spare: Iterable[Letter] = ()) -> Any:
    """The same formula, its sums over letters that are not in use outside: `x[k] / sum(i: x[i])`.

    Args:
        expression: a formula.
        taken: letters in use where it is to stand.
        spare: letters to prefer, for those that read it.
    """
    bound = {a for node in expression.atoms(_Aggregate) for a in node.letters}
    if not bound & set(taken):
        return expression
    used = {*taken, *expression.atoms(Letter)}
    fresh: dict[Letter, Letter] = {}
    for letter in sorted(bound & set(taken), key=str):
        unused = (a for a in spare if a.index_set == letter.index_set and a.name not in {str(u) for u in used})
        fresh[letter] = next(unused, None) or _fresh(letter, used)
        used.add(fresh[letter])
    return _rebound(expression, fresh)


def _rebound(expression: sp.Basic, fresh: Mapping[Letter, Letter]) -> Any:
    """Bound letters replaced; free ones stay."""
    if isinstance(expression, Letter) or not expression.args:
        return expression
    if isinstance(expression, _Aggregate):
        mine = {a: fresh[a] for a in expression.letters if a in fresh}
        body, where = (rename_letters(_rebound(e, fresh), mine) for e in (expression.body, expression.where))
        return type(expression)(body, tuple(mine.get(a, a) for a in expression.letters), where)
    return expression.func(*(_rebound(a, fresh) for a in expression.args))


def substitute(expression: sp.Basic, quantity: Quantity, letters: tuple[Letter, ...], value: sp.Expr) -> Any:
    """Replace every `quantity[a, b]` by `value` with `letters` set to `a, b`; capture-free.

    This is how a `let` is inlined and how a change of variables is applied.
    """
    if isinstance(expression, Entry) and expression.quantity == quantity:
        indices = tuple(substitute(i, quantity, letters, value) for i in expression.indices)
        return rename_letters(value, dict(zip(letters, indices, strict=True)))
    if expression == quantity and not letters:
        return value
    if isinstance(expression, Entry) or not expression.args:
        if isinstance(expression, Entry):
            return Entry(expression.quantity, *(substitute(i, quantity, letters, value) for i in expression.indices))
        return expression
    if isinstance(expression, _Aggregate):
        captured = set(expression.letters) & (value.free_symbols - set(letters))
        if captured:
            fresh = {a: _fresh(a, value.free_symbols | set(expression.letters)) for a in captured}
            expression = type(expression)(
                rename_letters(expression.body, fresh),
                tuple(fresh.get(a, a) for a in expression.letters),
                rename_letters(expression.where, fresh),
            )
        body, where = (substitute(e, quantity, letters, value) for e in (expression.args[0], expression.args[2]))
        return type(expression)(body, tuple(expression.args[1].args), where)
    return expression.func(*(substitute(a, quantity, letters, value) for a in expression.args))


def derivative(expression: sp.Expr, variable: sp.Expr) -> sp.Expr:
    """`d E / d q[k]` for an entry (or a scalar quantity) `q[k]`, with `d q[i]/d q[k] = delta(i, k)` collapsed in sums.

    Sympy differentiates the expression as a function of the entries and sums in it, each taken for a symbol of its own;
    the chain rule over those is ours. The letters of `variable` must not be bound in `expression`.
    """
    head = variable.quantity if isinstance(variable, Entry) else variable
    inner = {
        node: sp.Dummy(real=True, positive=node.is_positive, nonnegative=node.is_nonnegative)
        for node in _outermost(expression, cast(Quantity, head))
    }
    outer = expression.xreplace(inner)
    back = {symbol: node for node, symbol in inner.items()}
    holding: dict[sp.Basic, list[sp.Expr]] = {symbol: [] for symbol in back}
    for term in sp.Add.make_args(outer):  # of a long sum each symbol is in few terms
        for symbol in term.free_symbols & back.keys():
            holding[symbol].append(term)
    terms = []
    for symbol, node in back.items():
        # x^p / x is x^(p - 1): the same formula, and a number where x is 0.
        slope = sp.powsimp(sp.diff(sp.Add(*holding[symbol]), symbol), combine="exp")
        if slope != 0:
            terms.append(slope.xreplace(back) * _inner_derivative(node, variable))
    return sp.Add(*terms)


def tangent(expression: sp.Expr, rates: Mapping[Quantity, Quantity]) -> sp.Expr:
    """`sum(q: dE/dq * rate(q))`: how fast E moves when every entry of each q moves at its rate.

    Args:
        expression: any formula.
        rates: quantity -> the quantity, of the same sets, that stands for its rate.
    """
    heads = frozenset(rates)
    inner = {
        node: sp.Dummy(real=True, positive=node.is_positive, nonnegative=node.is_nonnegative)
        for node in dict.fromkeys(n for head in sorted(heads, key=str) for n in _outermost(expression, head))
    }
    outer = expression.xreplace(inner)
    back = {symbol: node for node, symbol in inner.items()}
    terms = []
    for node, symbol in inner.items():
        slope = sp.powsimp(sp.diff(outer, symbol), combine="exp")
        if slope != 0:
            terms.append(slope.xreplace(back) * _moving(node, rates))
    return sp.Add(*terms)


def _moving(node: sp.Expr, rates: Mapping[Quantity, Quantity]) -> sp.Expr:
    """The rate of an entry, or of an aggregate."""
    if isinstance(node, IndexProduct):
        return node * IndexSum(tangent(node.body, rates) / node.body, node.letters, node.where)
    if isinstance(node, IndexSum):
        return IndexSum(tangent(node.body, rates), node.letters, node.where)
    if isinstance(node, Entry):
        return Entry(rates[node.quantity], *node.indices)
    return rates[cast(Quantity, node)]


def _outermost(expression: sp.Basic, head: Quantity) -> list[sp.Expr]:
    """The entries of `head`, and the aggregates that contain any, not inside a further aggregate."""
    if isinstance(expression, Entry):
        return [expression] if expression.quantity == head else []
    if expression == head:
        return [head]
    if isinstance(expression, _Aggregate):
        return [expression] if head in expression.atoms(Quantity) else []
    return list(dict.fromkeys(n for a in expression.args for n in _outermost(a, head)))


@lru_cache(maxsize=1024)  # the same sums stand in the programmes of regimes that differ in their goals alone
def _inner_derivative(node: sp.Expr, variable: sp.Expr) -> sp.Expr:
    if isinstance(node, IndexProduct):
        # (prod f)' = (prod f) * sum(f'/f)
        return node * _collapse(derivative(node.body, variable) / node.body, node.letters, node.where)
    if isinstance(node, IndexSum):
        return _collapse(derivative(node.body, variable), node.letters, node.where)
    if isinstance(node, Entry) and isinstance(variable, Entry):
        return sp.Mul(*(sp.KroneckerDelta(a, b) for a, b in zip(node.indices, variable.indices, strict=True)))
    return sp.S.One


def _node(value: Any) -> sp.Basic:
    """A sympy node as it is; a Python int as an Integer. Never text."""
    return value if isinstance(value, sp.Basic) else sp.Integer(value)


def _fresh(letter: Letter, taken: set[Any]) -> Letter:
    names = {str(t) for t in taken}
    for count in itertools.count(1):
        name = f"{letter.name}{count}"
        if name not in names:
            return Letter(name, letter.index_set)
    raise AssertionError  # pragma: no cover - count() does not end


def _collapse(body: sp.Expr, letters: tuple[Letter, ...], where: Any) -> sp.Expr:
    """`sum(i: delta(i, k) f(i)) = f(k)`, term by term; what has no delta in a bound letter stays a sum."""
    if body == 0:
        return sp.S.Zero
    if body.is_Add:
        return sp.Add(*(_collapse(term, letters, where) for term in body.args))
    body = sp.expand(body) if body.is_Mul and any(a.is_Add and a.has(sp.KroneckerDelta) for a in body.args) else body
    if body.is_Add:
        return sp.Add(*(_collapse(term, letters, where) for term in body.args))
    for factor in sp.Mul.make_args(body):
        if isinstance(factor, sp.KroneckerDelta):
            for bound, other in (factor.args, factor.args[::-1]):
                if bound in letters and other not in letters:
                    rest = tuple(a for a in letters if a != bound)
                    inner = rename_letters(body / factor, {cast(Letter, bound): other})
                    condition = rename_letters(where, {cast(Letter, bound): other})
                    if rest:
                        return _collapse(inner, rest, condition)
                    return inner if condition == sp.true else sp.Piecewise((inner, condition), (0, True))
    return IndexSum(body, letters, where)


def _index_text(index_set: IndexSet, index: sp.Expr) -> str:
    return index_set.labels[int(index)] if index.is_Integer else str(index)


def _index_latex(printer: Any, index_set: IndexSet, index: sp.Expr) -> str:
    if index.is_Integer:
        label = index_set.labels[int(index)]
        return label if label.isdigit() else rf"\text{{{label}}}"
    return cast(str, printer._print(index))
