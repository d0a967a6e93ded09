"""The sequencer's table: entries by number; an outbox row of a component occurs once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.prepared import Prepared, given
from e2s.server.audit.chain import GENESIS, Entry

TABLES: Final = sa.MetaData()
LOG: Final = sa.Table(
    "audit_log",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("event", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("source", "row"),
)

_HEAD: Final = Prepared(sa.select(LOG.c.number, LOG.c.digest).order_by(LOG.c.number.desc()).limit(1))
_KNOWN: Final = Prepared(
    sa.select(LOG.c.event).where(LOG.c.source == given("of_source"), LOG.c.row == given("of_row"))
)


def head(connection: sa.Connection) -> tuple[int, bytes]:
    """Number and digest of the last entry; 0 and the genesis when there is none."""
    row = _HEAD.row(connection)
    return (row.number, row.digest) if row else (0, GENESIS)


def known(connection: sa.Connection, source: str, row: int) -> bytes | None:
    """The event that stands under this row of this component."""
    found = _KNOWN.value(connection, of_source=source, of_row=row)
    return None if found is None else bytes(found)


def add(connection: sa.Connection, entry: Entry) -> None:
    """Append an entry."""
    values = {"number": entry.number, "source": entry.source, "row": entry.row}
    prepared.add(connection, LOG, {**values, "event": entry.event, "digest": entry.digest})


def entries(connection: sa.Connection) -> Iterator[Entry]:
    """Every entry in order, read as it is consumed."""
    for row in connection.execute(sa.select(LOG).order_by(LOG.c.number)):
        yield Entry(number=row.number, source=row.source, row=row.row, event=row.event, digest=row.digest)
