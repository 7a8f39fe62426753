"""The versions that numbers were made with: Python, Ipopt, and every installed package that mechdsl rests on."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

from mechdsl.engines.ipopt import ipopt_version

__all__ = ["Lock", "lock"]

GROUPS = ("mechdsl.structures", "mechdsl.contracts", "mechdsl.distributions", "mechdsl.functions")


@dataclass(frozen=True, slots=True)
class Lock:
    """Versions.

    Args:
        python, platform, ipopt: as they call themselves.
        packages: distribution -> version, mechdsl among them.
        plugins: those that give mechdsl structures or distributions, by name.
    """

    python: str
    platform: str
    ipopt: str
    packages: Mapping[str, str]
    plugins: tuple[str, ...] = ()

    def unlike(self, other: Lock) -> list[str]:
        """What differs, in words."""
        said = [
            f"{name} {theirs} there, {ours} here"
            for name, theirs, ours in (
                ("Python", self.python, other.python),
                ("platform", self.platform, other.platform),
                ("Ipopt", self.ipopt, other.ipopt),
            )
            if theirs != ours
        ]
        for name in sorted({*self.packages, *other.packages}):
            there, here = self.packages.get(name, "none"), other.packages.get(name, "none")
            if there != here and name in self.packages:
                said.append(f"{name} {there} there, {here} here")
        return said


def lock(more: Iterable[str] = ()) -> Lock:
    """What is installed here.

    Args:
        more: packages that are used beside what mechdsl always needs: `matplotlib`.
    """
    plugins = sorted({d for group in GROUPS for p in metadata.entry_points(group=group) if (d := _giver(p))})
    found: dict[str, str] = {}
    for name in ("mechdsl", *plugins, *more):
        _gather(name, found)
    ordered = dict(sorted(found.items(), key=lambda item: item[0].lower()))
    system = f"{platform.system()} {platform.machine()}"
    return Lock(platform.python_version(), system, ipopt_version(), ordered, tuple(plugins))


def _giver(point: metadata.EntryPoint) -> str:
    name = point.dist.name if point.dist is not None else ""
    return "" if name == "mechdsl" else name


def _gather(name: str, found: dict[str, str]) -> None:
    """A package and all that it requires and is there."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return
    found[name] = version
    for requirement in metadata.requires(name) or ():
        needed, _, condition = requirement.partition(";")
        if re.search(r"\bextra\b", condition):
            continue
        spelled = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", needed)
        if spelled is not None and spelled.group(1) not in found:
            _gather(spelled.group(1), found)
