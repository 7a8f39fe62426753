"""`mechdsl package`: a replication archive of a model and all it comes to; `--verify` runs one again and compares.

What is run again is run in processes of its own, in a folder made from the archive alone, by commands made of known
words; code that an archive carries (plugins) is run only when that is asked for.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mechdsl.commands import ANSWERED, AT_FAULT, NOT_CERTIFIED, NOT_SOLVED, OUR_FAULT, WRONG_USAGE
from mechdsl.commands.arguments import bare_parser, existing, plugin_option
from mechdsl.errors import UsageError

if TYPE_CHECKING:
    from mechdsl.replication import Manifest, Step

__all__ = ["run"]

_CALL = (sys.executable, "-P", "-m", "mechdsl")  # -P: the folder of an archive is no place to import from
_TOLERANCE = 1e-6


def run(arguments: list[str]) -> int:
    """Make an archive, or verify one."""
    options = _parser().parse_args(arguments)
    if (options.file is None) == (options.verify is None):
        raise UsageError("name a model to package, or an archive after --verify")
    return _verified(options) if options.verify is not None else _packaged(options)


def _parser() -> ArgumentParser:
    parser = bare_parser("package")
    parser.add_argument("file", metavar="FILE", nargs="?", help="a .mech file")
    parser.add_argument("-o", "--out", metavar="ARCHIVE.zip", help="the archive (default: FILE_replication.zip)")
    parser.add_argument("--verify", metavar="ARCHIVE", help="run an archive, or a folder it was unpacked to, again")
    text = "of what is the same, relative (default 1e-6, or the archive's own)"
    parser.add_argument("--tol", type=float, metavar="T", help=text)
    parser.add_argument("--set", action="append", default=[], metavar="D.LABEL=X", help="params, on top of the file's")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of params drawn with ~ (default 0)")
    plugin_option(parser)
    parser.add_argument("--run-plugins", action="store_true", help="with --verify: run the code an archive carries")
    parser.add_argument("--json", action="store_true", help="one JSON object, and nothing else, on stdout")
    return parser


# ----------------------------------------------------------------------------------------------------------- making


def _packaged(options: Namespace) -> int:
    from mechdsl.commands.arguments import loaded
    from mechdsl.replication import Manifest, Step, inputs, lock, readme, requirements, script, written
    from mechdsl.replication.archive import MANIFEST
    from mechdsl.replication.manifest import to_text

    model, _ = loaded(options)
    plugins = tuple(f"plugins/{Path(name).name}" for name in options.plugin)
    path = Path(options.file)
    tolerance = _tolerance(options.tol, _TOLERANCE)
    draws = any(type(item).__name__ == "PlotItem" for e in model.experiments for item in e.items)
    steps = [Step("solve", 0, ())]
    steps += [Step("compare", 0, ())] if model.claims else []
    steps += [Step("run", 0, ())] if model.experiments else []
    found = inputs(model, path, [Path(name) for name in options.plugin])
    files = {name: file.read_bytes() for name, file in found.items()}
    versions = lock(("matplotlib",) if draws else ())
    stated = Manifest(
        model.name,
        f"model/{path.name}",
        options.seed,
        tuple(options.set),
        plugins,
        tolerance,
        tuple(steps),
        {},
        versions,
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mechdsl-package-") as name:
        folder = Path(name)
        _lay(folder, files)
        done = []
        for step in steps:
            status, said = _step(step.command, stated, folder, "expected")
            if status in (AT_FAULT, WRONG_USAGE) or status >= OUR_FAULT:
                print(said, end="", file=sys.stderr)
                return status
            if status != ANSWERED:
                print(f"{step.command} ended with status {status}, which the package records", file=sys.stderr)
                print(said, end="", file=sys.stderr)
            made = _made(folder, step.command)
            done.append(Step(step.command, status, tuple(made)))
            files |= made
    seconds = time.monotonic() - began
    stated = _with(stated, files, tuple(done))
    files["requirements.txt"] = requirements(stated).encode()
    files["environment.json"] = _environment(stated).encode()
    files["run.sh"] = script(stated).encode()
    files["README.md"] = readme(stated, model, {n: len(b) for n, b in files.items()}, seconds).encode()
    stated = _with(stated, files, tuple(done))
    text = to_text(stated).encode()
    out = Path(options.out or f"{path.stem}_replication.zip")
    written(out, {**files, MANIFEST: text})
    _tell(options, out, stated, hashlib.sha256(text).hexdigest())
    return max((step.status for step in done), default=ANSWERED)


def _tolerance(stated: float | None, default: float) -> float:
    if stated is not None and not 0 <= stated < 1:
        raise UsageError("--tol is a share of the larger number: from 0 to less than 1")
    return default if stated is None else stated


def _with(manifest: Manifest, files: dict[str, bytes], steps: tuple[Step, ...]) -> Manifest:
    from dataclasses import replace

    return replace(manifest, steps=steps, files={n: hashlib.sha256(files[n]).hexdigest() for n in sorted(files)})


def _environment(manifest: Manifest) -> str:
    lock = manifest.lock
    facts = {"python": lock.python, "platform": lock.platform, "ipopt": lock.ipopt, "packages": dict(lock.packages)}
    return json.dumps(facts, indent=1, sort_keys=True) + "\n"


def _lay(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _made(folder: Path, command: str) -> dict[str, bytes]:
    """What a step left in `expected/`."""
    if command != "run":
        name = f"expected/{command}.json"
        return {name: (folder / name).read_bytes()}
    made = sorted(p for p in (folder / "expected" / "run").rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in made}


def _tell(options: Namespace, out: Path, manifest: Manifest, digest: str) -> None:
    facts = {"archive": str(out), "manifest_sha256": digest, "files": dict(manifest.files),
             "steps": [{"command": s.command, "status": s.status} for s in manifest.steps]}  # fmt: skip
    if options.json:
        _print(manifest.market, facts)
        return
    print(f"wrote {out}: {len(manifest.files) + 1} files, {', '.join(s.command for s in manifest.steps)} run")
    print(f"manifest SHA-256 {digest}")
    print(f"to run it again and compare: mechdsl package --verify {out}")


def _print(market: str, facts: dict[str, Any]) -> None:
    from mechdsl.report import json_report

    print(json_report.to_text(json_report.document(market, "package", **facts)))


# ---------------------------------------------------------------------------------------------------------- running


def _step(command: str, manifest: Manifest, folder: Path, out: str) -> tuple[int, str]:
    """A command run in a folder: its exit status, and what it said on stderr. Its results lie in `out`.

    On a terminal it says so there itself, and shows its progress.
    """
    from mechdsl.replication import arguments

    call = [*_CALL, *arguments(command, manifest, out)]
    (folder / out).mkdir(exist_ok=True)
    said = None if sys.stderr.isatty() else subprocess.PIPE
    done = subprocess.run(call, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, check=False)
    if command != "run":
        (folder / out / f"{command}.json").write_bytes(done.stdout)
    return done.returncode, (done.stderr or b"").decode("utf-8", "replace")


def _verified(options: Namespace) -> int:
    from mechdsl.replication import extracted, lock, manifest_of, unlike
    from mechdsl.replication.archive import MANIFEST

    existing(options.verify)
    with tempfile.TemporaryDirectory(prefix="mechdsl-verify-") as name:
        folder = Path(name)
        extracted(Path(options.verify), folder)
        manifest = manifest_of(folder)
        if manifest.plugins and not options.run_plugins:
            code = ", ".join(manifest.plugins)
            raise UsageError(f"the archive carries code ({code}): read it, then run it with --run-plugins")
        digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
        changed = unlike(folder, manifest)
        differences: dict[str, list[str]] = {}
        statuses = []
        for step in manifest.steps:
            status, said = _step(step.command, manifest, folder, "results")
            statuses.append((step, status))
            if status != step.status:
                told = f": {said.strip().splitlines()[0]}" if said.strip() else ""
                differences[step.command] = [f"ended with status {status}, and not {step.status}{told}"]
            for file in step.made:
                found = list(_differences(folder, file, _tolerance(options.tol, manifest.tolerance)))
                differences |= {file: found} if found else {}
    versions = manifest.lock.unlike(lock(manifest.lock.packages))
    _report(options, manifest, digest, changed, differences, versions)
    failed = [status for step, status in statuses if status != step.status and status in (AT_FAULT, NOT_SOLVED)]
    return failed[0] if failed else NOT_CERTIFIED if changed or differences else ANSWERED


def _differences(folder: Path, name: str, tolerance: float) -> Iterator[str]:
    """Where a result is not as expected; figures are not compared."""
    from mechdsl.replication import json_differences, table_differences

    expected, found = folder / name, folder / "results" / Path(name).relative_to("expected")
    if expected.suffix not in (".json", ".csv"):
        return
    if not expected.is_file() or not found.is_file():
        yield "it was not made" if expected.is_file() else "nothing to compare it with"
        return
    one, other = (p.read_text(encoding="utf-8", errors="replace") for p in (expected, found))
    if expected.suffix == ".csv":
        yield from map(str, table_differences(one, other, tolerance))
        return
    try:
        documents = json.loads(one), json.loads(other)
    except (ValueError, RecursionError):
        yield "it is no JSON"
        return
    yield from map(str, json_differences(*documents, tolerance))


def _report(
    options: Namespace, manifest: Manifest, digest: str, changed: list[str], differences: dict[str, list[str]],
    versions: list[str],
) -> None:  # fmt: skip
    if options.json:
        facts = {"archive": options.verify, "manifest_sha256": digest, "reproduced": not (changed or differences),
                 "changed": changed, "differences": differences, "versions": versions}  # fmt: skip
        _print(manifest.market, facts)
        return
    for text in versions:
        print(f"version: {text}")
    for text in changed:
        print(f"changed: {text}")
    for file, found in differences.items():
        for text in found[:20]:
            print(f"differs: {file}: {text}")
        if len(found) > 20:
            print(f"differs: {file}: {len(found) - 20} more")
    made = sum(Path(name).suffix in (".json", ".csv") for step in manifest.steps for name in step.made)
    result = "NOT reproduced" if changed or differences else "reproduced"
    print(f"{result}: {made} files of numbers compared, to {_tolerance(options.tol, manifest.tolerance):g}")
    print(f"manifest SHA-256 {digest}")
