"""Randomness that a test can repeat."""

from __future__ import annotations

import hashlib


class Randomness:
    """Octets that never repeat and are the same in each run."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(self._seed + self._count.to_bytes(8, "big")).digest(size)
