"""What clashes where no decision meets all that was stated, and the cheapest way out of it.

Every demand row and every cap may give way at a price: the relative amount by which it is relaxed. The least total is
the cheapest remedy; the shadow prices of that programme prove which declarations clash, and a deletion filter leaves
none of these that could go. Concave rows are cut by tangents that hold for every decision, so each answer is a linear
programme's: a proof that owes nothing to the search that failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mechdsl.evaluate import Array, evaluate
from mechdsl.formula import Entry, Letter, Quantity, derivative
from mechdsl.program import Constraint, Optimum, Variable
from mechdsl.theory.curvature import curvature

__all__ = ["Clash", "Relaxation", "clash_of"]

_WANTED = {">=": "concave", "<=": "convex", "==": "affine"}
_NOTHING = 1e-7  # a relative relaxation, or a shadow price, that counts as none
_ROUNDS = 120  # of tangents
_TRIALS = 60  # linear programmes of the deletion filter
_LARGEST = 250_000  # entries of a table of slopes; larger markets are not looked at


@dataclass(frozen=True, slots=True)
class Relaxation:
    """One declaration that gives way: `name` from `stated` to `enough`, a change of `share` of what was stated.

    Args:
        name: `demand[text]`, or `the cap of x[text]`.
        verb: `lower` or `raise`.
        stated, enough: what the row asks for (of a cap: allows), and what it may ask for at most (at least).
        share: the relative change; of a row or cap of 0 the change itself.
    """

    name: str
    verb: str
    stated: float
    enough: float
    share: float

    def __str__(self) -> str:
        by = f"by {abs(self.stated - self.enough):.6g} from {self.stated:.6g} to {self.enough:.6g}"
        return f"{self.verb} {self.name} {by}" + (f" ({self.share:.3g} of it)" if self.stated else "")


@dataclass(frozen=True, slots=True)
class Clash:
    """Why nothing is feasible, in the market's words.

    Args:
        remedy: the relaxations with the least sum of relative changes.
        members: declarations that cannot all hold, though they could without any one of them.
        minimal: whether the deletion filter came to its end.
    """

    remedy: tuple[Relaxation, ...]
    members: tuple[str, ...]
    minimal: bool = True

    @property
    def named(self) -> str:
        """What clashes: `demand[video] and cap clash`."""
        return f"{_listed(self.members)} {'clash' if len(self.members) > 1 else 'cannot be met'}"

    @property
    def way_out(self) -> str:
        """The cheapest remedy, a sentence."""
        return f"Cheapest remedy (least total relative change): {'; '.join(map(str, self.remedy))}."

    def __str__(self) -> str:
        sentences = [self.way_out]
        if len(self.members) == 1:
            sentences.append(f"{self.members[0][0].upper()}{self.members[0][1:]} cannot be met even alone.")
        elif self.members:
            without = "without any one of them the rest can hold" if self.minimal else "not all may be needed"
            sentences.append(f"These clash: {_listed(self.members)} ({without}).")
        return " ".join(sentences)


def clash_of(program: Optimum, parameters: Mapping[Quantity, Array]) -> Clash | None:
    """`minimise sum of relative relaxations` over rows and caps, and a minimal set of them that cannot hold together.

    Lower bounds stay as they are. The relaxation of a row is relative to what it lacks where all decisions are 0 (for
    `x[k] >= d[k]`, to `d[k]`), that of a cap to the cap.

    Args:
        program: as posed by a structure.
        parameters: the values of its open parameters; they matter only where a constraint has them.

    Returns:
        None where no clash is proved: there is a feasible point, a row is not shown to be concave (nothing is proved by
        tangents then), or the market is too large to be looked at.

    Source: Chinneck & Dravnieks (1991), Locating Minimal Infeasible Constraint Sets in Linear Programs, ORSA Journal on
    Computing 3; Kelley (1960), The Cutting-Plane Method, J. SIAM 8. That rows with a shadow price clash by themselves
    is duality.
    """
    values = {**program.data, **parameters}
    columns = sum(v.quantity.sets == () or int(np.prod(v.quantity.shape)) for v in program.variables)
    rows = sum(int(np.prod(c.shape)) for c in program.constraints)
    if columns * rows > _LARGEST:
        return None
    if any(curvature(c.left - c.right, program, _WANTED[c.relation]).holds is not True for c in program.constraints):
        return None
    cuts = _Cuts(program, values)
    if (cuts.lower > cuts.upper).any():
        return None
    found = cuts.least(range(len(cuts.names)))
    if found.total <= _NOTHING:
        return None
    kept, minimal = _filtered(cuts, found.priced)
    remedy = tuple(sorted(cuts.remedy(found.x), key=lambda one: -one.share))
    return Clash(remedy, tuple(cuts.names[row] for row in kept), minimal)


def _filtered(cuts: _Cuts, rows: Sequence[int]) -> tuple[tuple[int, ...], bool]:
    """Rows of which none can go: each is left out in turn, and for good if the others still clash without it."""
    kept, needed = list(rows), set[int]()
    for _ in range(_TRIALS):
        row = next((r for r in kept if r not in needed), None)
        if row is None:
            return tuple(kept), True
        found = cuts.least([r for r in kept if r != row])
        if found.total > _NOTHING:
            kept = [r for r in kept if r in found.priced]
        else:
            needed.add(row)
    return tuple(kept), False


@dataclass(frozen=True, slots=True)
class _Least:
    """The least total relaxation (a lower bound, if tangents ran out), its decision, the rows with a shadow price."""

    total: float
    x: Array
    priced: tuple[int, ...]


class _Cuts:
    """Rows and caps as `relaxation >= shortfall(x)`, each shortfall convex and known by its tangents, kept throughout.

    A row is a row of a constraint (an equation gives two) or the cap of a decision; `size` is what its relaxation is
    relative to, `sign` +1 where the constraint's left side must be large.
    """

    def __init__(self, program: Optimum, values: Mapping[Quantity, Array]) -> None:
        self.program, self.values = program, values
        self.lower = _flat(evaluate(v.lower, values, v.letters) for v in program.variables)
        self.upper = _flat(evaluate(v.upper, values, v.letters) for v in program.variables)
        self.slopes = [[_slope(c, v) for v in program.variables] for c in program.constraints]
        self.capped = np.flatnonzero(np.isfinite(self.upper))
        nothing = np.where(np.isfinite(self.lower), self.lower, 0.0)
        self.names: list[str] = []
        self.verbs: list[str] = []
        self.signs: list[float] = []
        self.places: list[int] = []  # among all rows of the constraints
        offset = 0
        for c in program.constraints:
            included = np.broadcast_to(evaluate(c.where, values, c.letters), c.shape).astype(bool)
            for sign in {">=": (1.0,), "<=": (-1.0,), "==": (1.0, -1.0)}[c.relation]:
                for place in np.flatnonzero(included.reshape(-1)):
                    self.names.append(_name(c.name, c.letters, int(place)))
                    self.verbs.append("lower" if sign > 0 else "raise")
                    self.signs.append(sign)
                    self.places.append(offset + int(place))
            offset += int(np.prod(c.shape))
        entries = [
            _name(v.name, v.letters, k) for v in program.variables for k in range(int(np.prod(v.quantity.shape)))
        ]
        self.names += [f"the cap of {entries[k]}" for k in self.capped]
        self.verbs += ["raise"] * len(self.capped)
        asked = -self.body(np.zeros(len(self.lower)))
        self.stated = np.concatenate((np.where(np.isfinite(asked), asked, 0.0), self.upper[self.capped]))
        self.size = np.where(self.stated != 0, np.abs(self.stated), 1.0)
        self.tangents: list[list[tuple[Array, float]]] = [[] for _ in self.names]
        for k, column in enumerate(self.capped):
            unit = np.zeros(len(self.lower))
            unit[column] = 1.0
            self.tangents[len(self.places) + k].append((unit, -float(self.upper[column])))
        self.touch(np.clip(nothing + 1.0, self.lower, self.upper), range(len(self.places)))

    def point(self, x: Array) -> dict[Quantity, Array]:
        found, start = dict(self.values), 0
        for v in self.program.variables:
            count = int(np.prod(v.quantity.shape))
            found[v.quantity] = x[start : start + count].reshape(v.quantity.shape)
            start += count
        return found

    def body(self, x: Array) -> Array:
        """Left minus right side of every row of the constraints."""
        at = self.point(x)
        with np.errstate(all="ignore"):  # what overflows is infinite, and is passed over
            every = _flat(evaluate(c.left - c.right, at, c.letters) for c in self.program.constraints)
        return every[np.array(self.places, dtype=np.intp)] if self.places else np.zeros(0)

    def shortfall(self, x: Array) -> Array:
        """How much each row lacks; negative where it has more than it asks for."""
        return np.concatenate((-np.array(self.signs) * self.body(x), (x - self.upper)[self.capped]))

    def touch(self, x: Array, rows: Iterable[int]) -> None:
        """Tangents to these rows at `x`, or beside it where a slope is infinite there."""
        aside = np.where(x - self.lower < 1e-12, self.lower + 1e-12, x)
        for start in (x, aside):
            at = self.point(start)
            with np.errstate(all="ignore"):
                table = np.concatenate([
                    np.concatenate([
                        np.reshape(evaluate(slope, at, (*c.letters, *fresh)), (int(np.prod(c.shape)), -1))
                        for slope, fresh in row
                    ], axis=1)
                    for c, row in zip(self.program.constraints, self.slopes, strict=True)
                ])  # fmt: skip
                body = self.body(start)
            for row in rows:
                slope = -self.signs[row] * table[self.places[row]]
                height = -self.signs[row] * body[row]
                if np.isfinite(slope).all() and np.isfinite(height):
                    self.tangents[row].append((slope, float(height - slope @ start)))
            if np.isfinite(table).all():
                return

    def least(self, rows: Sequence[int]) -> _Least:
        """The least sum of relaxations of these rows, the others left out."""
        from scipy.optimize import linprog

        chosen, n = list(rows), len(self.lower)
        cost = np.concatenate((np.zeros(n), np.ones(len(chosen))))
        bounds = [(low if np.isfinite(low) else None, None) for low in self.lower] + [(0.0, None)] * len(chosen)
        found = _Least(0.0, np.where(np.isfinite(self.lower), self.lower, 0.0), ())
        for _ in range(_ROUNDS):
            owner = [k for k, row in enumerate(chosen) for _ in self.tangents[row]]
            cuts = [
                (slope / self.size[row], height / self.size[row])
                for row in chosen
                for slope, height in self.tangents[row]
            ]
            if not cuts:
                return found
            relaxed = np.zeros((len(cuts), len(chosen)))
            relaxed[np.arange(len(cuts)), owner] = -1.0
            answer = linprog(
                cost, np.hstack((np.array([slope for slope, _ in cuts]), relaxed)), -np.array([h for _, h in cuts]),
                bounds=bounds, method="highs",
            )  # fmt: skip
            if answer.status != 0:
                return found
            x = answer.x[:n]
            priced = {chosen[owner[k]] for k in np.flatnonzero(-answer.ineqlin.marginals > _NOTHING)}
            found = _Least(float(answer.fun), x, tuple(sorted(priced)))
            lacking = self.shortfall(x)[chosen] / self.size[chosen] - answer.x[n:]
            curved = [row for k, row in enumerate(chosen) if lacking[k] > _NOTHING / 10 and row < len(self.places)]
            if not curved:
                return found
            self.touch(x, curved)
        return found

    def remedy(self, x: Array) -> list[Relaxation]:
        """What must give way for `x` to be allowed."""
        lacking = self.shortfall(x)
        found = []
        for row in np.flatnonzero(lacking > _NOTHING * self.size):
            stated, change = float(self.stated[row]), float(lacking[row])
            enough = stated + (change if self.verbs[row] == "raise" else -change)
            share = change / float(self.size[row])
            found.append(Relaxation(self.names[row], self.verbs[row], stated, enough, share))
        return found


def _slope(constraint: Constraint, variable: Variable) -> tuple[object, tuple[Letter, ...]]:
    """The derivative of left minus right side in an entry of the variable, at letters of its own."""
    fresh = tuple(Letter(f"{a.name}_", a.index_set) for a in variable.letters)
    entry = Entry(variable.quantity, *fresh) if fresh else variable.quantity
    return derivative(constraint.left - constraint.right, entry), fresh


def _flat(tables: Iterable[Array]) -> Array:
    return np.concatenate([np.asarray(table, dtype=np.float64).reshape(-1) for table in tables] or [np.zeros(0)])


def _name(head: str, letters: tuple[Letter, ...], place: int) -> str:
    if not letters:
        return head
    positions = np.unravel_index(place, tuple(len(a.index_set) for a in letters))
    return f"{head}[{', '.join(a.index_set.labels[int(p)] for a, p in zip(letters, positions, strict=True))}]"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
