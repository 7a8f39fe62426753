"""Random numbers that depend on the seed, the name and the labels alone, so adding a param or a process moves no
other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["another_seed", "uniform_draw", "uniform_draws"]


def uniform_draw(seed: int, name: str, labels: Sequence[str]) -> float:
    """A number in (0, 1), independent by seed, name and label.

    Source: ours; BLAKE2b as a counter-based generator, 53 bits: the same on every machine and numpy version
    (tests/test_draws.py compares its distribution with the uniform one).
    """
    key = "\x1f".join((str(seed), name, *labels)).encode()
    bits = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 11
    return (bits + 0.5) * 2.0**-53


def uniform_draws(seed: int, name: str, labels: Sequence[str], first: int, count: int) -> npt.NDArray[np.float64]:
    """Draws `first` to `first + count - 1` of a sequence of numbers in (0, 1), one sequence a seed, name and label.

    The n-th does not depend on how many are asked for, or together with which others: it is the output of a keyed
    permutation of n, so any process may compute any stretch.

    Source: Salmon, Moraes, Dror & Shaw (2011), Parallel random numbers: as easy as 1, 2, 3 (Philox 4x64-10), four
    numbers a counter; the key is a hash of seed, name and labels.
    """
    text = "\x1f".join(("draws", str(seed), name, *labels)).encode()
    key = np.frombuffer(hashlib.blake2b(text, digest_size=16).digest(), dtype="<u8").astype(np.uint64)
    block, skipped = divmod(first, 4)
    source = np.random.Philox(key=key, counter=np.array([block, 0, 0, 0], dtype=np.uint64))
    bits = source.random_raw(skipped + count)[skipped:]
    numbers: npt.NDArray[np.float64] = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return numbers


def another_seed(seed: int, number: int) -> int:
    """The seed of the `number`-th instance of a market: 0 is `seed` itself, the others are hashes, below 2^53."""
    if number == 0:
        return seed
    text = f"instance\x1f{seed}\x1f{number}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 11
