"""Nothing is released without its record: events and messages leave through the outbox of their act.

A row is written in the transaction of its effect and removed only after the receiver has answered
that it is durable; so a kill between the two repeats the message, and receivers are idempotent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.events import Event
from e2s.base.prepared import Prepared, given


def outbox_table(tables: sa.MetaData) -> sa.Table:
    """The outbox of one component, as part of its tables."""
    return sa.Table(
        "outbox",
        tables,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )


class Outbox:
    """The rows that wait to leave; its :meth:`events` sink writes on an open connection."""

    def __init__(self, table: sa.Table) -> None:
        """``table`` as made by :func:`outbox_table`."""
        self.table = table
        self._waiting = Prepared(
            sa.select(table.c.id, table.c.body)
            .where(table.c.topic == given("topic"))
            .order_by(table.c.id)
            .limit(given("most"))
        )
        self._done = Prepared(table.delete().where(table.c.id == given("id")))

    def put(self, connection: sa.Connection, topic: str, body: bytes, at: datetime) -> None:
        """Add a row within the act's transaction."""
        values = {"topic": topic, "body": body, "at": at.isoformat()}
        prepared.add(connection, self.table, values)

    def put_all(self, connection: sa.Connection, topic: str, bodies: Sequence[bytes], at: datetime) -> None:
        """Add rows of one instant within the act's transaction."""
        instant = at.isoformat()
        prepared.add_all(
            connection, self.table, [{"topic": topic, "body": body, "at": instant} for body in bodies]
        )

    def waiting(self, connection: sa.Connection, topic: str, most: int = 200) -> list[tuple[int, bytes]]:
        """The oldest rows of ``topic``, at most ``most``."""
        return [(row.id, row.body) for row in self._waiting.rows(connection, topic=topic, most=most)]

    def done(self, connection: sa.Connection, ids: list[int]) -> None:
        """Remove rows whose receiver answered."""
        for row in ids:
            self._done.run(connection, {"id": row})

    def sink(self, connection: sa.Connection) -> OutboxSink:
        """An audit sink bound to the act's open transaction."""
        return OutboxSink(self, connection)


class OutboxSink:
    """The audit sink of one act: its events commit with the act or not at all."""

    def __init__(self, outbox: Outbox, connection: sa.Connection) -> None:
        """Made by :meth:`Outbox.sink`."""
        self._outbox = outbox
        self._connection = connection

    def append(self, event: Event) -> None:
        """Write the event as a row of topic ``audit``."""
        self._outbox.put(self._connection, "audit", event.encoded(), event.at)

    def append_all(self, events: Sequence[Event]) -> None:
        """Write events of one instant."""
        if events:
            bodies = [event.encoded() for event in events]
            self._outbox.put_all(self._connection, "audit", bodies, events[0].at)
