"""What a person reads in the archive: the README a data editor asks for, the pins, the script.

The README follows the social science data editors' template (Vilhuber et al., 2022): data, requirements, instructions,
and which programme makes which table and figure. What only authors can say is marked for them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from mechdsl import syntax_tree as tree
from mechdsl.market import Model
from mechdsl.replication.manifest import Manifest, arguments

__all__ = ["readme", "requirements", "script"]

_TIMES = (
    (60, "less than a minute"),
    (600, "less than ten minutes"),
    (3600, "less than an hour"),
    (86400, "less than a day"),
)


def requirements(manifest: Manifest) -> str:
    """Every package with its version, for pip."""
    return "".join(f"{name}=={version}\n" for name, version in manifest.lock.packages.items())


def script(manifest: Manifest) -> str:
    """The commands in order, for a shell; their results beside the expected ones."""
    lines = ["#!/bin/sh", "# Makes everything anew in results/; expected/ holds what it made where this was packaged."]
    lines += ['cd "$(dirname "$0")" || exit 2', "mkdir -p results"]
    for step in manifest.steps:
        words = " ".join(shlex.quote(word) for word in arguments(step.command, manifest, "results"))
        goes = "" if step.command == "run" else f" > results/{step.command}.json"
        lines.append(f"mechdsl {words}{goes}  # exit status {step.status}")
    return "\n".join(lines) + "\n"


def readme(manifest: Manifest, model: Model, sizes: Mapping[str, int], seconds: float) -> str:
    """The README of an archive.

    Args:
        manifest: of the archive, its own files aside.
        model: the file.
        sizes: bytes of the files.
        seconds: that everything took.
    """
    market = next(iter(model.markets.values()))
    parts = [
        f"# Replication package: {market.title or manifest.market}",
        *_about(model),
        *_data(manifest, sizes),
        *_needs(manifest, seconds),
        *_instructions(manifest),
        *_results(manifest, model),
        "## References",
        *(f"- {citation}" for citation in market.citations),
        f"- mechdsl {manifest.lock.packages.get('mechdsl', '')}, the modelling language in which the model is stated.",
    ]
    return "\n\n".join(_joined(parts)) + "\n"


def _joined(parts: Sequence[str]) -> list[str]:
    """List items and table lines stand together."""
    found: list[str] = []
    for part in parts:
        if found and part[:1] in "-|" and found[-1][:1] == part[:1]:
            found[-1] += f"\n{part}"
        else:
            found.append(part)
    return found


def _about(model: Model) -> list[str]:
    regimes = [f"- `{name}`{f': {m.regime_title}' if m.regime_title else ''}" for name, m in model.markets.items()]
    return ["## Overview", "The model is stated in one file and solved in these variants (regimes):", *regimes]


def _data(manifest: Manifest, sizes: Mapping[str, int]) -> list[str]:
    data = [n for n in manifest.files if n.startswith("model/") and n != manifest.model]
    said = ["## Data availability and provenance statements"]
    if data:
        said += [
            "The model reads these files, all of them in this archive:",
            "| file | bytes | SHA-256 |",
            "| --- | --- | --- |",
        ]
        said += [f"| `{n}` | {sizes.get(n, 0)} | `{manifest.files[n]}` |" for n in data]
        said += [
            "*To be completed by the authors: where these data come from, and under which terms they may be shared.*"
        ]
    else:
        said += ["No data are used: all numbers are stated in the model, or drawn by the seeds stated there and below."]
    said += ["### Statement about rights"]
    said += [
        "*To be completed by the authors: that they have the right to publish what is in this archive; its licence.*"
    ]
    return said


def _needs(manifest: Manifest, seconds: float) -> list[str]:
    lock = manifest.lock
    time = next((text for most, text in _TIMES if seconds < most), "more than a day")
    said = ["## Computational requirements", "### Software"]
    said += [f"- Python {lock.python}", f"- Ipopt {lock.ipopt}, through cyipopt"]
    said += ["- the Python packages of `requirements.txt`, pinned to the versions that were used"]
    said += [f"- {name}, which gives mechdsl structures or distributions" for name in lock.plugins]
    said += [f"- the plugin `{name}`, in this archive" for name in manifest.plugins]
    said += [
        "### Controlled randomness",
        f"Params and types are drawn with seed {manifest.seed} where an experiment states none; the seeds of "
        "experiments stand in the model. Draws depend on seed, name and label alone, not on the number of processes.",
    ]
    said += [
        "### Memory, run time, storage",
        f"Made on {lock.platform}; everything took {time} there. A usual laptop suffices.",
    ]
    return said


def _instructions(manifest: Manifest) -> list[str]:
    commands = "\n".join(line for line in script(manifest).splitlines() if line.startswith("mechdsl"))
    return [
        "## Instructions to replicators",
        "    python -m venv .venv && . .venv/bin/activate\n"
        "    pip install -r requirements.txt\n"
        "    mechdsl package --verify .",
        "The last line checks every file against `manifest.json`, runs everything again in its own folder, compares "
        f"the numbers with those in `expected/` (to {manifest.tolerance:g}, relative) and names what differs; "
        "its exit status is 0 if nothing does. `sh run.sh` makes the results alone, in `results/`, by these commands:",
        "```\n" + commands + "\n```",
        "Results are compared as numbers, in JSON and csv. Figures are drawn from the tables beside them.",
    ]


def _results(manifest: Manifest, model: Model) -> list[str]:
    said = [
        "## List of tables and figures, and the programs that make them",
        "| result | what | made by |",
        "| --- | --- | --- |",
    ]
    for step in manifest.steps:
        if step.command != "run":
            what = {
                "solve": "every regime at the reported types",
                "compare": "expected outcomes, and the model's claims",
            }
            said.append(
                f"| `expected/{step.command}.json` | {what[step.command]} | `mechdsl {step.command} {manifest.model}` |"
            )
    for experiment in model.experiments:
        name, title = experiment.name.id, experiment.title or experiment.name.id
        program = f"`mechdsl run {manifest.model} {name}`"
        made = [
            n
            for step in manifest.steps
            for n in step.made
            if Path(n).parent.name == "run" and _of(Path(n).name, experiment, model)
        ]
        said += [f"| `{n}` | {title} | {program} |" for n in made]
    return said


def _of(file: str, experiment: tree.ExperimentStatement, model: Model) -> bool:
    """Whether a file of `run` is this experiment's: its name begins with the longest experiment's name that fits."""
    fits = [e.name.id for e in model.experiments if file == f"{e.name.id}.csv" or file.startswith(f"{e.name.id}_")]
    return bool(fits) and max(fits, key=len) == experiment.name.id
