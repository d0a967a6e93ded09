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
