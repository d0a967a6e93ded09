"""Events go from a component's outbox to the party's sequencer and leave it once they are durable there."""

from __future__ import annotations

from typing import Protocol

from e2s.base.database import Database
from e2s.base.outbox import Outbox
from e2s.server.audit.batch import DOOR, MAX_EVENTS, fitting, read_head, write_batch


class Asks(Protocol):
    """Port: a link to the sequencer (:class:`e2s.network.sessions.link.Link`)."""

    def ask(self, path: str, body: bytes) -> bytes:
        """The sequencer's answer; raises ``Unreachable`` when none came."""


def ship(database: Database, outbox: Outbox, sequencer: Asks, *, name: str = "", most: int = 2000) -> int:
    """Send what waits, at most about ``most`` events; gives how many the sequencer has entered.

    ``name`` tells apart the outboxes of a component that has several.

    Raises ``Unreachable`` or :class:`~e2s.base.errors.Refusal` and leaves the rest for the next time.
    """
    shipped = 0
    while shipped < most:
        with database.reading() as connection:
            rows = fitting(outbox.waiting(connection, "audit", MAX_EVENTS))
        if not rows:
            break
        read_head(sequencer.ask(DOOR, write_batch(rows, name)))
        with database.transaction() as connection:
            outbox.done(connection, [row for row, _ in rows])
        shipped += len(rows)
    return shipped
