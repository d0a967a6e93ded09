"""Who asked for what waits: who polls shows the same key, but says no password again (RFC 8894, 3.3.3)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from e2s.base.prepared import Prepared, given

TABLES = sa.MetaData()

#: ``reference`` is that of the invitation by which it was asked; ``at`` is in seconds of the epoch.
WAITING = sa.Table(
    "waiting",
    TABLES,
    sa.Column("transaction", sa.LargeBinary, primary_key=True),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("at", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
_REFERENCE = Prepared(sa.select(WAITING.c.reference).where(WAITING.c.transaction == given("called")))
_ADD = Prepared(WAITING.insert().prefix_with("OR REPLACE"), ("transaction", "reference", "at"))


def add(connection: sa.Connection, transaction: bytes, reference: str, at: datetime) -> None:
    """Remember by which invitation a transaction was begun; a later one takes its place."""
    _ADD.run(connection, {"transaction": transaction, "reference": reference, "at": int(at.timestamp())})


def reference(connection: sa.Connection, transaction: bytes) -> str | None:
    """By which invitation it was begun."""
    found: str | None = _REFERENCE.value(connection, called=transaction)
    return found


def forget(connection: sa.Connection, before: datetime) -> int:
    """Forget what began by then; how many."""
    old = WAITING.c.at <= int(before.timestamp())
    return connection.execute(WAITING.delete().where(old)).rowcount
