"""A bank's door takes octets by POST and gives octets; what it refuses has no effect and is counted.

Refusals of strangers are counted by rule and written as one event each tick, so nobody fills the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Lock
from typing import TypeAlias

from e2s.base.database import Database
from e2s.base.errors import Fact, Refusal, Unreachable
from e2s.base.events import Event
from e2s.base.http import Request, Response, refused, route
from e2s.base.outbox import Outbox
from e2s.crypto import oids
from e2s.crypto.cms import open_sealed
from e2s.crypto.ports import Opener

Answering: TypeAlias = Callable[[bytes], bytes]


class Refusals:
    """How often which rule refused somebody since the last flush."""

    def __init__(self, component: str) -> None:
        """``component`` names the events' source."""
        self._component = component
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def add(self, refusal: Refusal) -> None:
        """Count one."""
        with self._lock:
            self._counts[refusal.rule] += 1

    def flush(self, store: Database, outbox: Outbox, at: datetime) -> None:
        """Write one event for each rule that refused; nothing when none did."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if counts:
            with store.transaction() as connection:
                for rule, times in sorted(counts.items()):
                    facts: dict[str, Fact] = {"rule": rule, "times": times}
                    event = Event(
                        kind="refused", at=at, component=self._component, outcome="refused", facts=facts
                    )
                    outbox.sink(connection).append(event)


class PostDoors:
    """Joins paths to acts; refusals answer 400 with their rule, unreachable peers 503."""

    def __init__(self, doors: Mapping[str, Answering], refusals: Refusals) -> None:
        """``doors`` by path."""
        self._doors = {("POST", path): self._door(act) for path, act in doors.items()}
        self._refusals = refusals

    def handle(self, request: Request) -> Response:
        """Answer one request; bad input never raises."""
        return route(self._doors, request)

    def _door(self, act: Answering) -> Callable[[Request], Response]:
        def door(request: Request) -> Response:
            try:
                return Response(200, act(request.body), {"content-type": "application/cms"})
            except Refusal as refusal:
                self._refusals.add(refusal)
                return refused(refusal)
            except Unreachable as unreachable:
                return Response(503, b"", {"e2s-rule": unreachable.rule})

        return door


def opened(envelope: bytes, opener: Opener, content_type: str) -> bytes:
    """The content sealed to us, of the kind expected here; raises ``bad-envelope`` or ``not-for-me``."""
    found, content = open_sealed(envelope, opener)
    if found != content_type:
        raise Refusal("bad-envelope", "the envelope holds something else", expected=content_type)
    return content


def opened_parcel(envelope: bytes, opener: Opener) -> bytes:
    """The octets of the Parcel sealed to us."""
    return opened(envelope, opener, oids.PLAIN_PARCEL)
