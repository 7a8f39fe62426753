"""Texts and data files made to hurt: a clear refusal (or an answer) within two seconds and 500 MB, nothing executed.

Each case is examined in a process of its own, as `tests/fuzz` examines its inputs: processor time, memory and every
file, program and piece of code are watched. `test_syntax.py` holds those that do not parse; here are the rest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.examine import examine
from fuzz.guard import limit_memory, watched

from mechdsl import syntax
from mechdsl.elaborate import elaborate
from mechdsl.errors import MechError, Source

HEAD = 'market m "t"\n'
MARKET = """market m "t"
index k, i in domains = {video, text}
param d[k] in [0, inf) = {video: 3, text: 4}
layer platform
layer creator[k] { type c[k] ~ uniform(0.1, 1)  choose x[k] >= 0  cost c[k] * x[k]^2 }
demand[k]: x[k] >= d[k]
contract platform -> creator: direct
objective platform: maximize revenue
"""
LARGE = """market m "t"
index k in s = 1..{n}
param m[k] {m}
layer platform
layer creator[k] {{ type c[k] ~ normal(m[k], 0.1) on [0, 1]  choose x[k] >= 0  cost c[k] * x[k]^2 }}
demand[k]: x[k] >= 1
contract platform -> creator: direct
objective platform: maximize revenue
"""


def chain(word: str, first: str, step: str, count: int) -> str:
    """`let a0 = first  let a1 = step of a0 ...`."""
    return f"{word} a0 = {first}\n" + "".join(f"{word} a{j + 1} = {step.format(f'a{j}')}\n" for j in range(count))


def back(word: str, step: str, count: int) -> str:
    """Names each made of the next, so that the first needs them all."""
    return "".join(f"{word} a{j} = {step.format(f'a{j + 1}')}\n" for j in range(count)) + f"{word} a{count} = 1\n"


def nested(function: str, depth: int) -> str:
    return f"constraint z[k]: {f'{function}(' * depth}x[k]{')' * depth} <= 5\n"


def law(text: str) -> str:
    return MARKET.replace("uniform(0.1, 1)", text)


def cost(text: str) -> str:
    return MARKET.replace("x[k]^2", text)


TABLES = HEAD + "index a in s = 1..2000\nindex b in t = 1..2000\n"

# Text -> the code it is refused with; `valid` where there is nothing wrong with it.
TEXTS: dict[str, tuple[str, str]] = {
    "a vast index set": (HEAD + "index k in s = 1..1000000000\nparam p[k] = 1", "M090"),
    "an index set by a tower": (HEAD + "index k in s = 1..9^9^9^9", "M091"),
    "a tower of powers": (HEAD + "param p = 9^9^9^9", "M091"),
    "a tower in a let": (HEAD + "let p = 9^9^9^9", "M091"),
    "a small tower": (HEAD + "param p = (1/3)^99999999", "M091"),
    "a root of a vast order": (HEAD + "param p = 123456789123456789^0.333333333", "M091"),
    "a power of a root": (MARKET + "constraint z[k]: (12345678901234567890^(1/3) / 2.5E+2 * x[k])^1e9 <= 1", "M091"),
    "exponentials of exponentials": (HEAD + "param p = exp(exp(exp(exp(exp(9)))))", "M033"),
    "their powers": (HEAD + "param p = exp(exp(exp(exp(exp(exp(exp(exp(9))))))))^9^9^9", "M033"),
    "ever more laughs": (HEAD + chain("let", "2", "{0} * {0}", 60), "M091"),
    "laughs of params": (HEAD + chain("param", "2", "{0} * {0}", 60), "M033"),
    "laughs of decisions": (MARKET + chain("let", "sum(k: x[k])", "{0} * {0} + 1", 30), "M091"),
    "a deep chain of lets": (MARKET + chain("let", "sum(k: x[k])", "sqrt(1 + {0})", 150), "M091"),
    "lets each by the next": (HEAD + back("let", "{} + 1", 1_500), "M091"),
    "params each by the next": (HEAD + back("param", "{} + 1", 1_500), "M091"),
    "a vast cycle": (HEAD + back("let", "{} + 1", 1_499).replace("a1499 = 1", "a1499 = a0"), "M091"),
    "sums in sums": (
        HEAD + "index a, b, c in s = 1..2000\nparam q[a] = 1\nparam p = sum(a, b, c: q[a] * q[c])",
        "M090",
    ),
    "a double sum": (HEAD + "index a, b in s = 1..100000\nparam p = sum(a, b: if(a == b, 1, 0))", "M090"),
    "a vast table": (HEAD + "index a, b in s = 1..100000\nparam p[a, b] = 1", "M090"),
    "many large tables": (TABLES + "".join(f"param p{j}[a, b] = {j}\n" for j in range(20)), "M090"),
    "large tables by regime": (
        TABLES + "param p[a, b] = 1\n" + "".join(f"regime r{j} {{}}\n" for j in range(20)),
        "M090",
    ),
    "too many dimensions": (
        HEAD
        + "".join(f"index k{j} in s{j} = 1..1\n" for j in range(70))
        + f"param p[{', '.join(f'k{j}' for j in range(70))}] = 1",
        "M090",
    ),
    "many types": (LARGE.format(n=100_000, m="= 0.5"), "M090"),
    "many types of their own": (LARGE.format(n=20_000, m="~ uniform(0, 1)"), "M090"),
    "a large market": (LARGE.format(n=10_000, m="= 0.5"), "valid"),
    "many regimes": (MARKET + "".join(f"regime r{j} {{ set d = {j} }}\n" for j in range(3_000)), "M090"),
    "many constraints": (MARKET + "".join(f"constraint c{j}[k]: x[k] >= 0\n" for j in range(2_000)), "M090"),
    "many unknown names": (HEAD + "".join(f"let a{j} = b{j}\n" for j in range(3_000)), "M010"),
    "many unknown labels": (
        HEAD
        + f"index k in s = {{{', '.join(f'l{j}' for j in range(2_000))}}}\n"
        + f"param p[k] = {{{', '.join(f'm{j}: 1' for j in range(2_000))}}}",
        "M031",
    ),
    "many unused names": (HEAD + "".join(f"param p{j} = {j}\n" for j in range(3_000)), "valid"),
    "powers of powers of sums": (MARKET + f"constraint z[k]: {'(' * 20}1 + x[k]{')^50' * 20} <= 5", "valid"),
    "a tower of exponentials": (MARKET + nested("exp", 40), "valid"),
    "a tower of logarithms": (MARKET + nested("log", 20), "valid"),
    "a cost that nothing simplifies": (
        cost("(x[k] + x[k]^1.1 + x[k]^1.01 + x[k]^1.001 + exp(x[k]^3) + log(1 + x[k]^7))^1.3"),
        "valid",
    ),
    "a cost of a vast power": (cost("x[k]^1e9"), "valid"),
    "a density with a pole": (law("density(t: 1 / (t - 0.5)) on [0, 1]"), "M040"),
    "a density with a needle": (law("density(t: 1 + exp(-(1000000 * (t - 0.3))^2) * 1e9) on [0, 1]"), "valid"),
    "a density that overflows": (law(f"density(t: {'exp(' * 20}t{')' * 20}) on [0, 1]"), "M040"),
    "mixtures in mixtures": (law(f"mixture({'1: mixture(' * 20}1: uniform(0, 1){')' * 20})"), "valid"),
    "shapes beyond reason": (law("beta(1e300, 1e-300) on [0, 1]"), "M040"),
    "a normal law all tail": (law("normal(0, 1e-150) on [1, 2]"), "M040"),
    "an experiment without end": (MARKET + "experiment e { vary d.video in 1..1000000000 by 0.0000001 }", "M091"),
    "closing brackets without end": (HEAD + "let a = 1" + ") + 1" * 5_000, "M006"),
    "python in a value": (HEAD + "param p = lambda", "M010"),
    "python in a name of a file": (HEAD + "param p = csv(\"__import__('os').system('true')\")", "M080"),
}

# Name -> the file, and the code the param read from it is refused with.
FILES: dict[str, tuple[bytes, str]] = {
    "never closed": (b'a,1\n"' + b"x" * 40_000_000, "M082"),
    "too large": (b"a,1\n" * 15_000_000, "M083"),
    "many rows": (b"a,1\n" * 1_000_000, "M083"),
    "only line ends": (b"\n" * 40_000_000, "M083"),
    "a wide row": (b"a," * 5_000_000, "M082"),
    "a vast number": (b"a," + b"9" * 1_000_000 + b"\nb,2\n", "M082"),
    "a number of digits": (b"a," + b"9" * 100_000 + b"\nb,2\n", "M082"),
    "null bytes": (b"a,\0001\nb,2\n", "M082"),
    "bytes": (bytes(range(256)) * 10, "M082"),
    "UTF-16": ("a,1\nb,2\n".encode("utf-16"), "M082"),
    "Python's number": (b"a,1_000\nb,2\n", "M082"),
    "Arabic digits": ("a,٣\nb,2\n".encode(), "M082"),
    "infinity": (b"a,1e999\nb,2\n", "M082"),
    "not a number": (b"a,nan\nb,2\n", "M082"),
    "a formula": (b"a,=1+1\nb,2\n", "M082"),
    "escape sequences": (b"a,\x1b[2J\nb,2\n", "M082"),
    "nothing": (b"", "M082"),
    "separators of lines": ("a,1\u2028b,2\n".encode(), "M082"),
    "all in order": (b'\xef\xbb\xbfk,value\r\n"a"," 1.5e0 "\r\nb,+2.\r\n', "valid"),
}
NAMES = (
    "../x.csv",
    "/etc/passwd",
    "~/x.csv",
    "file:///etc/passwd",
    "http://x/y.csv",
    ".",
    "",
    "*.csv",
    "|true",
    "`true`",
)


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is loaded on demand is there before the processes part."""
    for text in (MARKET, law("density(t: 1 + t) on [0, 1]"), law("mixture(1: uniform(0, 1), 2: beta(2, 3) on [0, 1])")):
        examine(text, tmp_path_factory.mktemp("warm"))


def outcome(text: str, folder: Path) -> str:
    """What a process of its own, bounded in time and memory, makes of a text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            limit_memory()
            with watched(folder):
                result = examine(text, folder, layout=len(text) < 20_000)
        except BaseException:  # noqa: BLE001 - whatever it is, the parent must hear of it
            result = traceback.format_exc()[-2_000:]
        os.write(writer, result.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as said:
        result = said.read()
    _, status = os.waitpid(child, 0)
    return result if status == 0 else f"{result} status {status}"


@pytest.mark.parametrize("title", TEXTS)
def test_a_hostile_text(title: str, tmp_path: Path) -> None:
    text, expected = TEXTS[title]
    assert outcome(text, tmp_path).split()[-1] == expected


@pytest.mark.parametrize("title", FILES)
def test_a_hostile_file(title: str, tmp_path: Path) -> None:
    content, expected = FILES[title]
    (tmp_path / "p.csv").write_bytes(content)
    text = 'market m "t"\nindex i in k = {a, b}\nparam p[i] = csv("p.csv")\n'
    assert outcome(text, tmp_path).split()[-1] == expected


@pytest.mark.parametrize("title", [title for title in FILES if title != "all in order"])
def test_a_hostile_file_of_observations(title: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"a,n\n" + FILES[title][0])
    assert outcome(law('empirical("p.csv", column = "n")'), tmp_path).startswith("model M0")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    found = outcome(f'market m "t"\nparam p = csv("{name}")\n', tmp_path)
    assert found in {"model M080", "model M081"}


def special(folder: Path) -> Iterator[str]:
    """Files that are none, made in a folder."""
    os.mkfifo(folder / "pipe.csv")
    (folder / "folder.csv").mkdir()
    (folder / "link.csv").symlink_to("/etc/passwd")
    (folder / "loop.csv").symlink_to("loop.csv")
    (folder / "zero.csv").symlink_to("/dev/zero")
    yield from sorted(path.name for path in folder.iterdir())


def test_files_that_are_none(tmp_path: Path) -> None:
    for name in special(tmp_path):
        assert outcome(f'market m "t"\nparam p = csv("{name}")\n', tmp_path) in {"model M080", "model M081"}


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "p.csv").write_text("1\n", encoding="utf-8")
    monkeypatch.setattr(Path, "read_text", refused)
    text = 'market m "t"\nparam p = csv("p.csv")\n'
    with pytest.raises(MechError, match=r"M080.*cannot be read: permission denied"):
        elaborate(syntax.parse(text), Source("t", text), tmp_path)


def test_labels_of_a_large_file_are_looked_up_at_once(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n}\n" for n in range(1, 30_001))
    (tmp_path / "p.csv").write_text(rows, encoding="utf-8")
    text = 'market m "t"\nindex k in s = 1..30000\nparam p[k] = csv("p.csv")\n'
    assert outcome(text, tmp_path) == "valid"


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (500_000_000, 500_000_000))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
from mechdsl.cli import main
sys.exit(main(["check", sys.argv[1]]))
"""


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000_000, "let a = " + "(" * 20_000, HEAD + "param p = 9^9^9^9", HEAD + back("let", "{} + 1", 1_500)],
    ids=["large", "deep", "tower", "chain"],
)
def test_the_command_as_a_whole(text: str, tmp_path: Path) -> None:
    file = tmp_path / "hostile.mech"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, file], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error[M0")
    assert "Traceback" not in done.stderr
