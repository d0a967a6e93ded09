"""Wrong secrets are counted, of each reference from each address; after a few no more are heard for a while.

What is remembered is bounded: who is silent longest is forgotten first.  Time is an argument.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from e2s.base.errors import Refusal
from e2s.security.repository.rates import client_of

_REMEMBERED: Final = 8192
#: Events of strangers' refusals within a minute; of more there is only a number.
_TOLD: Final = 60
_MINUTE: Final = timedelta(minutes=1)


class Told:
    """How many refusals of strangers become events, or who guesses would fill the disk."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._lock = threading.Lock()
        self._told, self._untold = 0, 0
        self._minute: datetime | None = None

    def one_more(self, at: datetime) -> int | None:
        """How many were not told since the last one that is, None for another of those."""
        with self._lock:
            if self._minute is None or not self._minute <= at < self._minute + _MINUTE:
                self._minute, self._told = at, 0
            if self._told >= _TOLD:
                self._untold += 1
                return None
            untold, self._untold = self._untold, 0
            self._told += 1
            return untold


class Tries:
    """Counts of wrong secrets; safe to share among threads."""

    def __init__(self, most: int, within: timedelta) -> None:
        """``most`` are heard within the time, and no more."""
        self._most, self._within = most, within
        self._counts: OrderedDict[tuple[str, str], tuple[int, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, reference: str, client: str, at: datetime) -> None:
        """Raise :class:`Refusal` ``too-many-tries`` where no more are heard."""
        with self._lock:
            number, since = self._counts.get((reference, client_of(client)), (0, at))
            if number >= self._most and at < since + self._within:
                wait = int((since + self._within - at).total_seconds()) + 1
                raise Refusal("too-many-tries", "too many wrong secrets: ask again later", wait=wait)

    def wrong(self, reference: str, client: str, at: datetime) -> None:
        """Count one more."""
        key = (reference, client_of(client))
        with self._lock:
            number, since = self._counts.pop(key, (0, at))
            if at >= since + self._within:
                number, since = 0, at
            while len(self._counts) >= _REMEMBERED:
                self._counts.popitem(last=False)
            self._counts[key] = (number + 1, since)

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._counts)
