"""The distributions that the language knows, as a value: from a name and arguments to a distribution.

Plugins add families by making a larger value with `families`; nothing is registered anywhere. A family's module is
loaded when it is first used, so that a file with uniform costs does not wait for scipy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from mechdsl.distributions.arguments import DistributionError, Support
from mechdsl.distributions.closed_forms import exponential, point, uniform
from mechdsl.distributions.distribution import Distribution
from mechdsl.distributions.rescaled import kumaraswamy, power
from mechdsl.distributions.triangular import triangular

__all__ = ["FAMILIES", "Family", "families"]

Takes = Literal["numbers", "parts", "formula", "observations"]
Need = Literal["required", "optional", "forbidden"]


@dataclass(frozen=True, slots=True)
class Family:
    """One row of the language's table of distributions.

    Args:
        name: as a file spells it.
        parameters: names of the arguments, in order.
        make: from the arguments and the support (None where none was stated) to the distribution.
        doc: one sentence.
        needs_support: whether `on [a, b]` must, may or must not follow.
        takes: what the arguments are: numbers; `parts`, one sequence of (weight, Distribution) pairs; `formula`, one
            `DensityFormula`; `observations`, a sequence of floats and, if wanted, the label to show.
    """

    name: str
    parameters: tuple[str, ...]
    make: Callable[[tuple[Any, ...], Support | None], Distribution]
    doc: str
    needs_support: Need = "forbidden"
    takes: Takes = "numbers"

    def build(self, arguments: tuple[Any, ...], support: Support | None = None) -> Distribution:
        """The distribution.

        Raises:
            DistributionError: the arguments make none; says which argument and the remedy.
        """
        stated = f"{self.name}({', '.join(self.parameters)})"
        if support is None and self.needs_support == "required":
            raise DistributionError(f"{self.name} needs a support", f"Write {stated} on [a, b].")
        if support is not None and self.needs_support == "forbidden":
            raise DistributionError(
                f"{self.name} takes no support", f"{stated} says by itself where it lives.", at_support=True
            )
        if self.takes == "numbers" and len(arguments) != len(self.parameters):
            raise DistributionError(
                f"{stated} takes {len(self.parameters)}, not {len(arguments)} arguments", f"Write {stated}."
            )
        return self.make(arguments, support)


def families(extra: Iterable[Family] = ()) -> Mapping[str, Family]:
    """The built-in families and others beside them, by name.

    Raises:
        ValueError: two of one name.
    """
    known: dict[str, Family] = {}
    for family in (*_BUILT_IN, *extra):
        if family.name in known:
            raise ValueError(f"two distributions are named {family.name!r}")
        known[family.name] = family
    return MappingProxyType(known)


def _normal(arguments: tuple[Any, ...], support: Support | None) -> Distribution:
    from mechdsl.distributions.normal import normal

    return normal(arguments[0], arguments[1], support)


def _lognormal(arguments: tuple[Any, ...], support: Support | None) -> Distribution:
    from mechdsl.distributions.normal import lognormal

    return lognormal(arguments[0], arguments[1], support)


def _beta(arguments: tuple[Any, ...], support: Support | None) -> Distribution:
    from mechdsl.distributions.beta import beta

    return beta(arguments[0], arguments[1], support)


def _mixture(arguments: tuple[Any, ...], _: Support | None) -> Distribution:
    from mechdsl.distributions.mixture import mixture

    return mixture(*arguments)


def _density(arguments: tuple[Any, ...], support: Support | None) -> Distribution:
    from mechdsl.distributions.density import density

    return density(arguments[0], support)


def _empirical(arguments: tuple[Any, ...], _: Support | None) -> Distribution:
    from mechdsl.distributions.empirical import empirical

    return empirical(*arguments)


_BUILT_IN = (
    Family("uniform", ("a", "b"), lambda arguments, _: uniform(*arguments), "every cost in [a, b] equally likely"),
    Family(
        "triangular",
        ("a", "m", "b"),
        lambda arguments, _: triangular(*arguments),
        "on [a, b], most likely m, linear to both ends",
    ),
    Family("point", ("v",), lambda arguments, _: point(*arguments), "a type that is known"),
    Family("normal", ("m", "s"), _normal, "mean m, standard deviation s, truncated to [a, b]", "optional"),
    Family(
        "exponential",
        ("rate",),
        lambda arguments, support: exponential(arguments[0], support),
        "density falling at the given rate, truncated to [a, b]",
        "optional",
    ),
    Family(
        "lognormal",
        ("m", "s"),
        _lognormal,
        "its logarithm has mean m and standard deviation s; truncated to [a, b]",
        "optional",
    ),
    Family("beta", ("p", "q"), _beta, "beta rescaled to [a, b] (to [0, 1] if unstated)", "optional"),
    Family(
        "kumaraswamy",
        ("p", "q"),
        lambda arguments, support: kumaraswamy(arguments[0], arguments[1], support),
        "F = 1 - (1 - u^p)^q, u = (c - a)/(b - a)",
        "optional",
    ),
    Family(
        "power",
        ("p",),
        lambda arguments, support: power(arguments[0], support),
        "F = u^p, u = (c - a)/(b - a)",
        "optional",
    ),
    Family(
        "mixture", ("w1: D1", "w2: D2"), _mixture, "D1 with probability w1, D2 with probability w2, ...", takes="parts"
    ),
    Family("density", ("c: EXPR",), _density, "any positive density, normalised", "required", takes="formula"),
    Family(
        "empirical",
        ("FILE", "column"),
        _empirical,
        "observed values, the cdf interpolated between them",
        takes="observations",
    ),
)

FAMILIES: Mapping[str, Family] = families()
