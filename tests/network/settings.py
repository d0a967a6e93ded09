"""Time by hand and repeatable randomness."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from tests.network.authority import NOON


class HandClock:
    """Stands at noon until time is made to pass."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def pass_(self, span: timedelta) -> None:
        self.at += span


class Randomness:
    """Octets that never repeat and are the same in each run."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(self._seed + self._count.to_bytes(8, "big")).digest(size)
