"""Random numbers that depend on the seed, the name and the labels alone, so adding a param or a process moves no
other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

__all__ = ["uniform_draw"]


def uniform_draw(seed: int, name: str, labels: Sequence[str]) -> float:
    """A number in (0, 1), independent by seed, name and label.

    Source: ours; BLAKE2b as a counter-based generator, 53 bits: the same on every machine and numpy version
    (tests/test_draws.py compares its distribution with the uniform one).
    """
    key = "\x1f".join((str(seed), name, *labels)).encode()
    bits = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 11
    return (bits + 0.5) * 2.0**-53
