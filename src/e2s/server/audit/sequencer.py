"""The party's only hand that numbers events: a batch is entered whole, in one durable act, or not at all."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.http import Request, Response
from e2s.base.instants import Clock
from e2s.network.sessions.link import LinkDoor
from e2s.server.audit import store
from e2s.server.audit.batch import DOOR, read_batch, write_head
from e2s.server.audit.chain import Altered, Whole, following, verify


class Sequencer:
    """The component of kind ``audit``: its door takes batches from the components that share a link key."""

    def __init__(
        self,
        name: str,
        database: Database,
        keys: Mapping[str, bytes],
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        """``database`` is open over :data:`e2s.server.audit.store.TABLES`; ``keys`` by component."""
        self.database = database
        self._door = LinkDoor(name, keys, {DOOR: self.take}, clock, random)

    def handle(self, request: Request) -> Response:
        """Answer over the link only."""
        return self._door.handle(request)

    def take(self, peer: str, octets: bytes) -> bytes:
        """Enter the batch of ``peer``; a repeated row stands already, a changed one is refused.

        Raises :class:`Refusal` ``audit-row-changed`` when a row comes again with other octets.
        """
        outbox, rows = read_batch(octets)
        source = f"{peer}/{outbox}" if outbox else peer
        with self.database.transaction() as connection:
            number, digest = store.head(connection)
            for row, event in rows:
                before = store.known(connection, source, row)
                if before is None:
                    number += 1
                    entry = following(digest, number=number, source=source, row=row, event=event)
                    store.add(connection, entry)
                    digest = entry.digest
                elif not hmac.compare_digest(before, event):
                    raise Refusal("audit-row-changed", "this row was entered with other octets", row=row)
        return write_head(number, digest)

    def tick(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def examine(database: Database, expected: tuple[int, bytes] | None = None) -> Whole | Altered:
    """Recompute the chain that ``database`` holds."""
    with database.reading() as connection:
        return verify(store.entries(connection), expected)
