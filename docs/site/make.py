"""`make docs`: what is written and what is made, put together in build/docs/source, and Sphinx run over it.

The written pages are copied, so that the tree stays as it is; a page that no table of contents names is listed under
`Further`. Warnings are errors: a link to nowhere, a name that is not there.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
DOCS = HERE.parent
TREE = DOCS.parent
BUILD = TREE / "build" / "docs"


def staged(target: Path) -> None:
    """All pages in one folder."""
    from pages import made

    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(DOCS, target, ignore=shutil.ignore_patterns("site", "__pycache__"))
    for name, text in made().items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, encoding="utf-8")
    figures(target)
    index = target / "index.md"
    text = index.read_text(encoding="utf-8")
    listed = "\n".join(re.findall(r"```\{toctree\}(.*?)```", text, re.DOTALL))
    further = sorted(p.stem for p in target.glob("*.md") if not re.search(rf"\b{p.stem}\b", listed) and p != index)
    there = (line for line in text.splitlines() if not line.endswith("?") or (target / f"{line[:-1]}.md").is_file())
    kept = "\n".join(re.sub(r"^([\w-]+)\?$", r"\1", line) for line in there)
    if further:
        kept += "\n\n```{toctree}\n:hidden:\n:caption: Further\n\n" + "\n".join(further) + "\n```\n"
    index.write_text(kept, encoding="utf-8")


def figures(target: Path) -> None:
    """The figures that the commands of a page draw, where the page shows them."""
    from playing import played

    for page in target.rglob("*.md"):
        shown = re.findall(r"^!\[.*\]\((.*)\)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        missing = [name for name in shown if not (page.parent / name).is_file()]
        if missing:
            with tempfile.TemporaryDirectory() as folder:
                played(page, Path(folder))
                for name in missing:
                    (page.parent / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(Path(folder) / name, page.parent / name)


def main() -> int:
    """The site in build/docs/html.

    Returns:
        Sphinx's exit status.
    """
    try:
        from sphinx.cmd.build import build_main
    except ImportError:
        print("the documentation is built with Sphinx: pip install '.[docs]', or `make docs`", file=sys.stderr)
        return 2
    staged(BUILD / "source")
    given = ["-c", str(HERE), "-b", "html", "-q", "-n", "-W", "--keep-going"]
    status = build_main([*given, "-E", "-d", str(BUILD / "read"), str(BUILD / "source"), str(BUILD / "html")])
    if status == 0:
        print(f"the documentation is in {BUILD / 'html' / 'index.html'}")
    return int(status)


if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(TREE / "tests")]
    sys.exit(main())
