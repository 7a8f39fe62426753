"""Where the files that are not Python lie: `grammar/` and `models/`.

They stand beside the package in the source tree, where people look for them, and inside it in an installed wheel.
This is the one place that knows of the two.
"""

from __future__ import annotations

from pathlib import Path

from mechdsl.errors import InternalError

__all__ = ["folder"]


def folder(name: str) -> Path:
    """The folder `grammar` or `models` that belongs to this very package, wherever it is installed.

    Args:
        name: `grammar` or `models`.

    Returns:
        Its absolute path.

    Raises:
        InternalError: the installation lacks it.
    """
    package = Path(__file__).resolve().parent
    for home in (package, package.parent):
        if (home / name).is_dir():
            return home / name
    raise InternalError(f"this installation of mechdsl lacks its folder '{name}': install it anew")
