"""Only the sender's repeat recovers a lost message: soon at first, then ever more rarely.

What is repeated stands in the tables; how often it was tried is only remembered here, so after a start
all of it is tried at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

Key: TypeAlias = tuple[str, ...]
_FIRST = timedelta(seconds=1)
_LONGEST = timedelta(seconds=60)


class Patience:
    """When to try what again."""

    def __init__(self) -> None:
        """Knows of no failure yet."""
        self._waits: dict[Key, tuple[timedelta, datetime]] = {}

    def due(self, key: Key, at: datetime) -> bool:
        """Whether to try now; a clock that was set back does not make anybody wait longer than the wait."""
        wait, since = self._waits.get(key, (timedelta(0), at))
        return not timedelta(0) <= at - since < wait

    def failed(self, key: Key, at: datetime) -> None:
        """Wait twice as long as the last time."""
        wait, _ = self._waits.get(key, (timedelta(0), at))
        self._waits[key] = (min(max(_FIRST, 2 * wait), _LONGEST), at)

    def done(self, key: Key) -> None:
        """Forget it."""
        self._waits.pop(key, None)
