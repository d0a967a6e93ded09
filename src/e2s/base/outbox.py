"""Nothing is released without its record: events and messages leave through the outbox of their act.

A row is written in the transaction of its effect and removed only after the receiver has answered
that it is durable; so a kill between the two repeats the message, and receivers are idempotent.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from e2s.base.events import Event


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

    def put(self, connection: sa.Connection, topic: str, body: bytes, at: datetime) -> None:
        """Add a row within the act's transaction."""
        connection.execute(self.table.insert().values(topic=topic, body=body, at=at.isoformat()))

    def waiting(self, connection: sa.Connection, topic: str, most: int = 200) -> list[tuple[int, bytes]]:
        """The oldest rows of ``topic``, at most ``most``."""
        rows = connection.execute(
            sa.select(self.table.c.id, self.table.c.body)
            .where(self.table.c.topic == topic)
            .order_by(self.table.c.id)
            .limit(most)
        )
        return [(row.id, row.body) for row in rows]

    def done(self, connection: sa.Connection, ids: list[int]) -> None:
        """Remove rows whose receiver answered."""
        connection.execute(self.table.delete().where(self.table.c.id.in_(ids)))

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
