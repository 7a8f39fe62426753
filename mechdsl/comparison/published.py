"""The theorems of Ai, Simchi-Levi & Xu (2025) as claims: what each says, when it is guaranteed, whether it holds here.

Which regime plays which mechanism (M1 to M6) follows from its contracts and its objective, whatever its name. What a
theorem promises of one mechanism (truth-telling, participation, optimality) is read off its certificate at the report;
rankings are decided like any claim. The conditions are ours where the paper's proof needs more than it says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mechdsl.certify import certify
from mechdsl.comparison.claims import Operands, Pair, Relation, related, together
from mechdsl.comparison.verdict import Verdict
from mechdsl.evaluate import evaluate
from mechdsl.expectation import Estimate, Estimates
from mechdsl.market import Market
from mechdsl.mechanism import Mechanism
from mechdsl.pipeline import stated_report
from mechdsl.program import Status
from mechdsl.structure import contract_chain
from mechdsl.theory import batch_of
from mechdsl.theory.essential import essential
from mechdsl.theory.private_cost import providers
from mechdsl.theory.substitution import Substitution

__all__ = ["PUBLISHED", "Cast", "Published", "cast_of"]

Cast = Mapping[str, Mechanism]
"""Role -> the mechanism that plays it: `M1` to `M6`."""
Substitutes = Callable[[], Substitution | None]

_PAPER = "Ai, Simchi-Levi & Xu (2025)"
_ROLES = {
    (("direct",), False, "revenue"): "M1",
    (("direct",), False, "welfare"): "M2",
    (("direct",), True, "revenue"): "M3",
    (("direct",), True, "welfare"): "M4",
    (("presigned", "direct"), False, "revenue"): "M5",
    (("presigned", "direct"), False, "welfare"): "M6",
}


def cast_of(ready: Mapping[str, Mechanism]) -> Cast:
    """The first regime that plays each role; regimes with known types, randomised payments or taxes play none."""
    found: dict[str, Mechanism] = {}
    for one in ready.values():
        role = _role(one.market)
        if role is not None:
            found.setdefault(role, one)
    return found


def _role(market: Market) -> str | None:
    chain = contract_chain(market)
    if not chain or not market.objectives or any(c.arguments for c in chain):
        return None
    represented = market.layer(chain[-1].provider).represents is not None
    goal = market.objectives[0].goal
    return _ROLES.get((tuple(c.kind for c in chain), represented, goal)) if isinstance(goal, str) else None


@dataclass(frozen=True, slots=True)
class Published:
    """A published statement.

    Args:
        name: `theorem_2_4`; text: what it says, in the paper's notation; place: where.
        ranks: relations between figures: (word, role, sign, word, role).
        subject: the mechanism whose certificate it speaks of.
        condition: when it is guaranteed.
        needs_substitutes: whether that condition is that outputs are substitutes.
    """

    name: str
    text: str
    place: str
    ranks: tuple[tuple[str, str, str, str], ...] = ()
    subject: str | None = None
    condition: str = "always"
    needs_substitutes: bool = False

    def speaks_of(self, cast: Cast) -> bool:
        """Whether anything that it says can be looked at here."""
        return any(b in cast and c in cast for _, b, _, c in self.ranks) or (self.subject or "") in cast

    def judge(
        self, cast: Cast, operands: Operands, found: Estimates, tolerance: float, substitutes: Substitutes
    ) -> Verdict:
        """Certificate and rankings, as far as the file has the regimes."""
        subject = cast.get(self.subject or "")
        more = _FURTHER.get(self.name, _certified)
        relations = [] if subject is None else more(subject, operands, found)
        for word, left, sign, right in self.ranks:
            text = f"{_SHORT[word]}{left[1:]} {_SIGNS[sign]} {_SHORT[word]}{right[1:]}"
            missing = [role for role in (left, right) if role not in cast]
            if missing:
                relations.append(Relation(text, None, "bounds", f"no regime here plays {' or '.join(missing)}"))
                continue
            sides: list[Pair | None] = [operands.of(word, cast[role].market.regime) for role in (left, right)]
            relations.append(related(text, sides[0], sign, sides[1], found, tolerance))
        verdict = together(
            self.name, self.text, relations, self._condition(cast, substitutes), f"{_PAPER}, {self.place}"
        )
        by = "certificate" if relations and all(r.by == "certificate" for r in relations) else verdict.by
        return replace(verdict, by=by, ranked=self.needs_substitutes)

    def _condition(self, cast: Cast, substitutes: Substitutes) -> str:
        if self.name == "corollary_2_2":
            return f"{self.condition} {_essential_words(next(iter(cast.values())).market)}"
        if not self.needs_substitutes:
            return f"Guaranteed: {self.condition}."
        answer = substitutes()
        if answer is None:
            return f"Guaranteed: {self.condition}; whether it is met here was not looked at."
        met = {True: "met", False: "NOT met", None: "not refuted"}[answer.holds]
        return f"Guaranteed: {self.condition}. Here it is {met}: {answer.because}"


_SHORT = {"revenue": "Rev", "welfare": "SW"}
_SIGNS = {">=": ">=", "==": "="}
_SUBSTITUTES = (
    "if outputs are substitutes (d2 Psi / dw_i dw_k >= 0 for i != k), which two domains always are; the paper's "
    "Definition 2.1 assumes it"
)
_IRONED = "always, virtual costs ironed where they fall; the paper assumes that none does (Assumption 2.3)"


def _certified(ready: Mechanism, operands: Operands, found: Estimates) -> list[Relation]:
    """What the certificate at the report says of truth-telling, participation and optimality."""
    del operands, found
    report = stated_report(ready.market)
    outcome = ready.structure.recover(ready, report)
    text = f"incentive compatible, individually rational and optimal at the report ({ready.market.regime})"
    if outcome.status is not Status.OPTIMAL:
        return [Relation(text, None, "certificate", outcome.message.rstrip("."))]
    certificate = certify(ready, report, outcome)
    failing = [c.name for c in certificate.checks if not c.passed]
    numbers = f"{len(certificate.checks)} checks passed" if certificate.passed else f"these fail: {', '.join(failing)}"
    return [Relation(text, certificate.passed, "certificate", numbers)]


# ---------------------------------------------------------------------------------------------- what is looked at more


def _no_domain_disappears(ready: Mechanism, operands: Operands, found: Estimates) -> list[Relation]:
    """Corollary 2.2: every output positive at every cost, by theory or at many; overproduction at some."""
    market = ready.market
    needed = essential(market)
    lowest, types = _smallest_output(ready)
    proved = needed is not None and len(needed.never_idle) == needed.outputs
    if np.isnan(lowest):
        return [Relation("no domain disappears", None, "bounds", "there is no solution at any report looked at")]
    positive = True if proved else (False if lowest <= 0 else None)
    how = "by the slopes of the demands near 0" if proved else f"smallest of {types} reports: {lowest:.3g}"
    relations = [Relation("no domain disappears", positive, "identity" if proved else "bounds", how)]
    slack = operands.expected[market.regime].slack
    surplus = [found.of(form) for row in slack.values() for form in row]
    over = any(s.lower > 0 for s in surplus)
    text = "some demands are not binding at some costs (the paper says they will not be: they can be)"
    largest = max(surplus, key=lambda s: s.mean, default=Estimate(0.0, 0.0))
    numbers = f"largest expected surplus {largest.shown(4)}"
    return [*relations, Relation(text, True if over else None, "bounds", numbers)]


def _smallest_output(ready: Mechanism) -> tuple[float, int]:
    """Over a fixed sample of reports, the ends of the supports included."""
    market = ready.market
    generator = np.random.default_rng(0)
    reports = {}
    for private in market.types:
        drawn = np.column_stack([d.sample(generator, 200) for d in private.distributions])
        ends = np.array(
            [[float(d.lower) for d in private.distributions], [float(d.upper) for d in private.distributions]]
        )
        reports[private.quantity] = np.concatenate([ends, drawn]).reshape(-1, *private.quantity.shape)
    solved = batch_of(ready).solve(ready.structure.parameters(market, reports))
    values = {**market.data, **{c.quantity: solved.values[str(c.quantity.name)] for c in market.choices}}
    outputs = [np.ravel(evaluate(p.coefficient, values, p.layer.letters)) for p in providers(market)]
    produced = np.concatenate(outputs)
    lowest = float(np.min(produced[~np.isnan(produced)])) if not np.isnan(produced).all() else np.nan
    return lowest, len(solved.objective)


def _path_independent(ready: Mechanism, operands: Operands, found: Estimates) -> list[Relation]:
    """Lemma 2.3: `int_c^b y . dt` along paths that move the types one after another, in both orders, and straight."""
    del operands, found
    from mechdsl.theory.paths import line_integrals

    integrals, error = line_integrals(ready, stated_report(ready.market))
    spread, size = float(np.ptp(integrals)), 1 + float(np.max(np.abs(integrals)))
    numbers = f"{', '.join(f'{v:.8g}' for v in integrals)}, error {error:.1e}"
    text = "the integral is the same along three paths from the report to b"
    if not np.isfinite([*integrals, error]).all():
        return [Relation(text, None, "bounds", "there is no solution at some types on the way")]
    return [Relation(text, spread <= 1e-7 * size + 2 * error, "bounds", numbers)]


_FURTHER: Mapping[str, Callable[[Mechanism, Operands, Estimates], list[Relation]]] = {
    "corollary_2_2": _no_domain_disappears,
    "lemma_2_3": _path_independent,
}


def _essential_words(market: Market) -> str:
    found = essential(market)
    if found is None:
        return "It was not looked at here."
    met = len(found.never_idle) == found.outputs
    return "Here it is met." if met else "Here it is NOT met."


PUBLISHED = (
    Published(
        "theorem_2_1",
        "M1 is valid, incentive compatible and individually rational, and earns the platform the most without a union.",
        "Theorem 2.1",
        (("revenue", "M1", ">=", "M2"), ("revenue", "M1", ">=", "M5"), ("revenue", "M1", ">=", "M6")), "M1",
        f"{_IRONED}; that outputs do not fall in others' costs, the second half of validity, needs substitutes",
    ),
    Published(
        "corollary_2_2",
        "With transferable data no domain disappears, whatever the costs, and some demands are overproduced.",
        "Corollary 2.2", subject="M1",
        condition="Guaranteed: if some demand binds, all mu and gamma are positive and, for each k, rho_k > 1 or some "
        "gamma_ki < 1 on a row that binds.",
    ),
    Published(
        "theorem_2_2",
        "M2 is valid, incentive compatible and individually rational, and achieves the highest welfare.",
        "Theorem 2.2",
        (("welfare", "M2", ">=", "M1"), ("welfare", "M2", ">=", "M5"), ("welfare", "M2", ">=", "M6")), "M2",
    ),
    Published("lemma_2_3", "The payment of M4 does not depend on the path of integration.", "Lemma 2.3", subject="M4"),
    Published(
        "theorem_2_3",
        "M4 is incentive compatible and individually rational, and achieves the highest welfare.",
        "Theorem 2.3", (("welfare", "M4", "==", "M2"), ("welfare", "M4", ">=", "M3")), "M4",
    ),
    Published(
        "theorem_2_4",
        "Rev1 >= Rev3, Rev1 >= Rev2 >= Rev4; SW2 = SW4 >= max{SW1, SW3}.",
        "Theorem 2.4",
        (("revenue", "M1", ">=", "M3"), ("revenue", "M1", ">=", "M2"), ("revenue", "M2", ">=", "M4"),
         ("welfare", "M2", "==", "M4"), ("welfare", "M4", ">=", "M1"), ("welfare", "M4", ">=", "M3")),
        condition=_SUBSTITUTES, needs_substitutes=True,
    ),
    Published(
        "theorem_3_1",
        "M5 solves the broker's and the platform's problem, and earns the platform the most through a broker.",
        "Theorem 3.1", (("revenue", "M5", ">=", "M6"),), "M5",
        condition="if what producing costs rises in output, so that the broker delivers just what it signed",
    ),
    Published(
        "theorem_3_2",
        "M6 solves the broker's and the platform's problem, and achieves the highest welfare through a broker.",
        "Theorem 3.2", (("welfare", "M6", ">=", "M5"),), "M6",
        condition="if what producing costs rises in output, so that the broker delivers just what it signed",
    ),
    Published(
        "theorem_3_3",
        "Lose-lose: Rev2 >= Rev4 = Rev5 >= Rev6 and SW2 = SW4 >= SW6 >= SW5.",
        "Theorem 3.3",
        (("revenue", "M2", ">=", "M4"), ("revenue", "M4", "==", "M5"), ("revenue", "M5", ">=", "M6"),
         ("welfare", "M2", "==", "M4"), ("welfare", "M4", ">=", "M6"), ("welfare", "M6", ">=", "M5")),
        condition=_SUBSTITUTES, needs_substitutes=True,
    ),
    Published("corollary_3_1", "Rev3 >= Rev5.", "Corollary 3.1", (("revenue", "M3", ">=", "M5"),)),
)  # fmt: skip
"""In the order of the paper."""
