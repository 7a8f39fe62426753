"""M06x: what the installed market structures can and cannot take."""

from __future__ import annotations

from mechdsl.catalog.explanation import Explanation

__all__ = ["STRUCTURES"]

STRUCTURES = (
    Explanation(
        "M060",
        "a regime that no installed structure handles",
        "The regime is well formed, but solving it takes a market structure: a plugin that knows the theory of these "
        "contracts under this objective. The message says of each structure why it does not fit: another kind of "
        "contract, another goal, an argument of the contract that it does not know, a cost that is not affine in the "
        "private type. Beside regimes that can be solved it is only a remark.",
        "Where a reason shows a slip (a kind of contract misspelt, say), correct it. `mechdsl plugins` lists what is "
        "installed and what each handles; a structure of your own is added by --plugin FILE.",
        bad="contract platform -> creator: handshake",
        good="contract platform -> creator: direct",
    ),
)
