"""What a model reads: its own text, the data files it names, the plugin files it was given; nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mechdsl import syntax_tree as tree
from mechdsl.elaborate.places import walk
from mechdsl.errors import UsageError
from mechdsl.market import Model

__all__ = ["inputs"]


def inputs(model: Model, path: Path, plugins: Sequence[Path]) -> Mapping[str, Path]:
    """Name in the archive -> file: `model/market.mech`, `model/data/costs.csv`, `plugins/structure.py`.

    Args:
        model: as read, so its data files are there and in its folder.
        path: of the model.
        plugins: files given with `--plugin`.

    Raises:
        UsageError: two plugins of one name, or a data file outside the folder.
    """
    root = path.resolve().parent
    found = {f"model/{path.name}": path}
    for node in walk(model.file.statements):
        if isinstance(node, tree.Call) and node.name in ("csv", "empirical"):
            for argument in node.arguments:
                if isinstance(argument.value, tree.String):
                    target = (root / argument.value.value).resolve()
                    if not target.is_file():
                        continue  # another argument: the column
                    if not target.is_relative_to(root):
                        raise UsageError(f"'{argument.value.value}' lies outside the folder of the model")
                    # Under the name the model calls it by, whatever it links to.
                    found[f"model/{_inside(argument.value.value)}"] = target
    for plugin in plugins:
        name = f"plugins/{plugin.name}"
        if name in found:
            raise UsageError(f"two plugins are called '{plugin.name}'")
        found[name] = plugin
    return found


def _inside(name: str) -> str:
    """`data/../costs.csv` as `costs.csv`: a name without detours."""
    parts: list[str] = []
    for part in name.replace("\\", "/").split("/"):
        if part == "..":
            if not parts:
                raise UsageError(f"'{name}' leaves the folder of the model on its way: name it without '..'")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
