"""Keys that EST's door makes for others, sealed, until they were fetched."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from e2s.base.outbox import Outbox, outbox_table
from e2s.base.prepared import Prepared, given

TABLES = sa.MetaData()
OUTBOX = Outbox(outbox_table(TABLES))

#: ``at`` and ``fetched`` are seconds of the epoch; 0: not yet.
KEYS = sa.Table(
    "keys",
    TABLES,
    sa.Column("transaction", sa.LargeBinary, primary_key=True),
    sa.Column("suite", sa.Text, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("fetched", sa.Integer, nullable=False, default=0),
    sqlite_with_rowid=False,
)
_KEY = Prepared(sa.select(KEYS).where(KEYS.c.transaction == given("called")))


def key(connection: sa.Connection, transaction: bytes) -> sa.Row[Any] | None:
    """The key that was made for a transaction."""
    return _KEY.row(connection, called=transaction)


def add(connection: sa.Connection, transaction: bytes, suite: str, sealed: bytes, at: datetime) -> None:
    """Keep a key; who was first is kept."""
    values = {"transaction": transaction, "suite": suite, "key": sealed, "at": int(at.timestamp())}
    connection.execute(KEYS.insert().prefix_with("OR IGNORE"), {**values, "fetched": 0})


def fetched(connection: sa.Connection, transaction: bytes, at: datetime) -> None:
    """Note when it was first answered with."""
    condition = (KEYS.c.transaction == transaction, KEYS.c.fetched == 0)
    connection.execute(KEYS.update().where(*condition), {"fetched": int(at.timestamp())})


def forget(connection: sa.Connection, *, fetched_by: datetime, made_by: datetime) -> int:
    """Forget what was fetched, or made, by then; how many."""
    old = sa.or_(
        sa.and_(KEYS.c.fetched > 0, KEYS.c.fetched <= int(fetched_by.timestamp())),
        KEYS.c.at <= int(made_by.timestamp()),
    )
    return connection.execute(KEYS.delete().where(old)).rowcount
