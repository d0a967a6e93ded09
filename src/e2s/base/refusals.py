"""Refusals of strangers are counted, not listed: nobody fills a log or a disk by being refused.

The first of a kind and rule is an event at once; those that follow within a minute become one event with
their number.  What is remembered is bounded: beyond it, kinds are counted together.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

from e2s.base.errors import Fact
from e2s.base.events import Event

WINDOW: Final = timedelta(minutes=1)
MAX_KINDS: Final = 256
_REST: Final = ("refused", "many-rules")


class RefusalCounter:
    """Gives the events that are due; the caller writes them to its outbox."""

    def __init__(self, component: str) -> None:
        """``component`` is named in every event."""
        self._component = component
        self._since: dict[tuple[str, str], datetime] = {}
        self._count: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def note(self, kind: str, rule: str, at: datetime) -> list[Event]:
        """Count a refusal; the first of its kind and rule within a minute is an event now."""
        with self._lock:
            due = self._closed(at)
            key = (kind, rule)
            if key not in self._since and len(self._since) >= MAX_KINDS:
                key = _REST
            if key not in self._since:
                self._since[key] = at
                return [*due, self._event(key, 1, at)]
            self._count[key] = self._count.get(key, 0) + 1
            return due

    def due(self, at: datetime) -> list[Event]:
        """The counts of every minute that has ended; called by the component's tick."""
        with self._lock:
            return self._closed(at)

    def _closed(self, at: datetime) -> list[Event]:
        ended = [key for key, since in self._since.items() if not since <= at < since + WINDOW]
        for key in ended:
            del self._since[key]
        return [self._event(key, self._count.pop(key), at) for key in ended if key in self._count]

    def _event(self, key: tuple[str, str], times: int, at: datetime) -> Event:
        kind, rule = key
        facts: dict[str, Fact] = {"rule": rule, "times": times}
        return Event(kind=kind, at=at, component=self._component, outcome="refused", facts=facts)
