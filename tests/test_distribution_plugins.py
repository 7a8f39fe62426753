"""Distributions of plugins: found, checked, used like the built-in ones, and named when they are broken."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mechdsl
from mechdsl.cli import main
from mechdsl.distributions import FAMILIES, Distribution, Family, plugged
from mechdsl.distributions.conformance import disagreements
from mechdsl.distributions.density import DensityFormula
from mechdsl.errors import MechError
from mechdsl.loading import Point
from mechdsl.structure import installed
from mechdsl.testing import check_family

RECIPROCAL = '''
"""Types whose logarithm is uniform: F = log(c / a) / log(b / a), so that F/f = c log(c / a)."""

from dataclasses import dataclass
from math import log

import numpy as np

from mechdsl.distributions import Distribution, DistributionError, Family


@dataclass(frozen=True, slots=True, repr=False)
class Reciprocal(Distribution):
    @property
    def _length(self):
        return log(self.upper / self.lower)

    def _pdf(self, c):
        return 1 / (c * self._length)

    def _cdf(self, c):
        return np.log(c / self.lower) / self._length

    def _survival(self, c):
        return np.log(self.upper / c) / self._length

    def _lower_ratio(self, c):
        return c * np.log(c / self.lower)

    def _upper_ratio(self, c):
        return c * np.log(self.upper / c)

    def _log_pdf_slope(self, c):
        return -1 / c

    def _lower_point(self, u):
        return self.lower * np.exp(u * self._length)

    def _upper_point(self, s):
        return self.upper * np.exp(-s * self._length)

    @property
    def mean(self):
        return (self.upper - self.lower) / self._length

    @property
    def variance(self):
        return (self.upper**2 - self.lower**2) / (2 * self._length) - self.mean**2

    def symbolic_pdf(self, c):
        return 1 / (c * self._length)

    def symbolic_cdf(self, c):
        from sympy import log

        return log(c / self.lower) / self._length


def make(arguments, support):
    a, b = map(float, arguments)
    if not 0 < a < b:
        raise DistributionError("reciprocal needs 0 < a < b", "Write reciprocal(0.1, 1), say.", argument=0)
    return Reciprocal("reciprocal", arguments, None, a, b)


DISTRIBUTIONS = (Family("reciprocal", ("a", "b"), make, "its logarithm is uniform between those of a and b"),)
'''

MARKET = """
market one "One seller"
layer buyer { value 6 * log(1 + x) }
layer seller { type c ~ reciprocal(0.5, 2)  choose x >= 0  cost c * x }
contract buyer -> seller: direct
objective buyer: maximize revenue
report c = 1
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "reciprocal.py"
    path.write_text(RECIPROCAL, encoding="utf-8")
    return path


@pytest.fixture
def market(tmp_path: Path) -> Path:
    path = tmp_path / "one.mech"
    path.write_text(MARKET, encoding="utf-8")
    return path


def family(plugin: Path) -> Family:
    return installed([plugin]).distributions.families["reciprocal"]


def test_a_plugin_file_may_hold_distributions_alone(plugin: Path) -> None:
    registry = installed([plugin])
    assert not registry.broken
    assert set(registry.distributions.families) == {*FAMILIES, "reciprocal"}
    assert registry.distributions.origins == {"reciprocal": str(plugin)}
    assert {s.name for s in registry.structures} == {s.name for s in installed().structures}
    check_family(family(plugin), (0.5, 2))


def test_a_market_is_solved_with_it(plugin: Path, market: Path) -> None:
    # vc(1) = 1 + log 2, x = 6 / vc - 1; the rent is the integral of x from 1 to 2, vc(t) = t (1 + log(2 t))
    found = mechdsl.load(market, plugins=[plugin]).solve(regime="main")
    x = 6 / (1 + math.log(2)) - 1
    rent = 6 * math.log((1 + math.log(4)) / (1 + math.log(2))) - 1
    assert found.certificate is not None
    assert found.certificate.passed
    assert found.json["allocation"]["x"] == pytest.approx(x, rel=1e-8)
    assert found.json["payments"]["seller"] == pytest.approx(x + rent, rel=1e-7)


def test_the_command_takes_it(plugin: Path, market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", str(market), "--plugin", str(plugin), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["regimes"]["main"]["status"] == "optimal"
    assert main(["inspect", str(market), "--plugin", str(plugin)]) == 0
    assert "reciprocal(0.5, 2)" in capsys.readouterr().out
    assert main(["plugins", "--plugin", str(plugin)]) == 0
    shown = capsys.readouterr().out
    assert "its logarithm is uniform" in shown
    assert "kumaraswamy" in shown


def test_populations_take_it_too(plugin: Path, market: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(market), "--plugin", str(plugin), "--draws", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["regimes"]["main"]["revenue"]["mean"] > 0


def test_without_it_the_name_is_unknown_and_with_it_its_refusals_have_a_place(
    plugin: Path, market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["solve", str(market)]) == 1
    assert "unknown distribution 'reciprocal'" in capsys.readouterr().err
    market.write_text(MARKET.replace("reciprocal(0.5, 2)", "reciprocal(2, 0.5)"), encoding="utf-8")
    assert main(["solve", str(market), "--plugin", str(plugin)]) == 1
    refused = capsys.readouterr().err
    assert "error[M040]" in refused
    assert "reciprocal needs 0 < a < b" in refused
    with pytest.raises(MechError, match=r"Did you mean 'reciprocal'\?"):
        mechdsl.parse(MARKET.replace("reciprocal", "reciprocol"), plugins=[plugin])


def test_a_market_from_outside_values_keeps_it(plugin: Path, market: Path) -> None:
    file = mechdsl.load(market, plugins=[plugin])
    assert str(file.at(at={"c": 0.7}).markets["main"].types[0].distributions[0]) == "reciprocal(0.5, 2)"


# --------------------------------------------------------------------------------------------------------- broken ones


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("DISTRIBUTIONS = 3", "a int is no mechdsl.distributions.Family"),
        ("import nowhere_to_be_found", "needs the module 'nowhere_to_be_found'"),
        ("x = 1", "defines no STRUCTURE"),
        (RECIPROCAL.replace('Family("reciprocal"', 'Family("uniform"'), "'uniform' is already taken by the language"),
        (RECIPROCAL.replace('Family("reciprocal"', 'Family("two words"'), "field 'name' must be a name"),
        (RECIPROCAL.replace('("a", "b"), make', '("a", "b"), 3'), "field 'make' must be callable"),
        (RECIPROCAL.replace('("a", "b"), make', '["a", "b"], make'), "field 'parameters' must be a tuple"),
        (RECIPROCAL.replace('of a and b")', "of a and b\", 'maybe')"), "field 'needs_support' must be one of"),
    ],
)  # fmt: skip
def test_a_broken_one_is_named_and_not_fatal(
    text: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, file = tmp_path / "bad.py", tmp_path / "one.mech"
    path.write_text(text, encoding="utf-8")
    file.write_text(MARKET.replace("reciprocal", "uniform"), encoding="utf-8")
    (broken,) = installed([path]).broken
    assert broken.name == "bad"
    assert reason in broken.reason
    assert main(["solve", str(file), "--plugin", str(path)]) == 0
    assert "plugin bad was not taken" in capsys.readouterr().err


def test_packages_name_theirs_by_entry_point(monkeypatch: pytest.MonkeyPatch, plugin: Path) -> None:
    one = family(plugin)

    def missing() -> Any:
        raise ImportError("no such module")

    points = (Point("laws", "package:DISTRIBUTIONS", lambda: [one]), Point("gone", "package.gone:LAW", missing))
    monkeypatch.setattr(plugged, "_entry_points", lambda: points)
    found = plugged.plugged()
    assert found.families["reciprocal"] is one
    ((name, reason),) = found.broken
    assert name == "gone"
    assert reason.startswith("package.gone:LAW: ImportError: no such module")
    # without a word about plugins, a text may use what packages bring
    with pytest.warns(UserWarning, match="plugin gone was not taken"):
        read = mechdsl.parse(MARKET)
    assert read.solve(regime="main").status == "optimal"


# ------------------------------------------------------------------------------------------------------------- the kit


def test_a_density_is_a_family_in_two_lines() -> None:
    def make(arguments: tuple[Any, ...], support: Any) -> Distribution:
        rate = float(arguments[0])
        formula = DensityFormula("gompertz", lambda c: np.exp(rate * c - np.exp(rate * c)),
                                 lambda c: rate * (1 - np.exp(rate * c)) * np.exp(rate * c - np.exp(rate * c)),
                                 symbolic=None)  # fmt: skip
        return FAMILIES["density"].build((formula,), support)

    gompertz = Family("gompertz", ("rate",), make, "hazard that grows at a rate", "required")
    law = gompertz.build((2,), (0, 1.5))
    # F = (1 - exp(-(e^(rc) - 1))) / (1 - exp(-(e^(rb) - 1))) for this density from 0
    c = 0.6
    expected = math.expm1(1 - math.exp(2 * c)) / math.expm1(1 - math.exp(3))
    assert law.cdf(c) == pytest.approx(expected, rel=1e-12)


BUILT_IN: dict[str, tuple[tuple[Any, ...], Any]] = {
    "uniform": ((Fraction(1, 10), 1), None),
    "triangular": ((0, Fraction(1, 3), 1), None),
    "normal": ((0, 1), (-1, 2)),
    "exponential": ((2,), (0, 3)),
    "lognormal": ((0, Fraction(1, 2)), (Fraction(1, 10), 5)),
    "beta": ((2, 3), None),
    "kumaraswamy": ((2, 3), (1, 2)),
    "power": ((3,), None),
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_ones_pass_the_kit(name: str) -> None:
    arguments, support = BUILT_IN[name]
    check_family(FAMILIES[name], arguments, support)


MUTANTS: dict[str, tuple[str, str]] = {
    "pdf": ("return 1 / (c * self._length)", "return 2 / (c * self._length)"),
    "survival": ("np.log(self.upper / c) / self._length", "np.log(self.upper / c)"),
    "F/f": ("c * np.log(c / self.lower)", "np.log(c / self.lower)"),
    "(1 - F)/f": ("c * np.log(self.upper / c)", "c * np.log(c / self.upper)"),
    "log_pdf_slope": ("return -1 / c", "return 1 / c"),
    "quantile": ("np.exp(u * self._length)", "np.exp(u * u)"),
    "upper_quantile": ("np.exp(-s * self._length)", "np.exp(-s)"),
    "mean": ("(self.upper - self.lower) / self._length", "(self.upper + self.lower) / 2"),
    "variance": ("(2 * self._length) - self.mean**2", "(2 * self._length)"),
    "symbolic_cdf": ("return log(c / self.lower) / self._length", "return c / self.lower"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_kit_finds_every_slip(name: str, tmp_path: Path) -> None:
    right, wrong = MUTANTS[name]
    assert right in RECIPROCAL
    path = tmp_path / "mutant.py"
    path.write_text(RECIPROCAL.replace(right, wrong), encoding="utf-8")
    law = family(path).build((0.5, 2))
    assert any(sentence.startswith(name) for sentence in disagreements(law)), list(disagreements(law))
    with pytest.raises(AssertionError, match="reciprocal: "):
        check_family(family(path), (0.5, 2))


def test_families_are_values(plugin: Path) -> None:
    renamed: Callable[..., Family] = replace
    assert renamed(family(plugin), name="log_uniform").build((1, 2)).mean == pytest.approx(1 / math.log(2))
