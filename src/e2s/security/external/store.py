"""The tables of what is trusted of others: the records, and which user of whom has which local name."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.instants import format_instant
from e2s.base.outbox import Outbox, outbox_table
from e2s.security.external.mapping import Mapped

TABLES: Final = sa.MetaData()

RECORDS: Final = sa.Table(
    "records",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("octets", sa.LargeBinary, nullable=False),
)
#: ``key`` is equal for local names that look alike.
USERS: Final = sa.Table(
    "users",
    TABLES,
    sa.Column("identity", sa.LargeBinary, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
OUTBOX: Final = Outbox(outbox_table(TABLES))


def records(connection: sa.Connection) -> list[bytes]:
    """Every record, in order."""
    rows = connection.execute(sa.select(RECORDS.c.octets).order_by(RECORDS.c.number))
    return [bytes(row.octets) for row in rows]


def add_record(connection: sa.Connection, number: int, octets: bytes) -> None:
    """The next record."""
    connection.execute(RECORDS.insert().values(number=number, octets=octets))


def user(connection: sa.Connection, identity: bytes) -> Any | None:
    """The local name of a provider's user, if she has one."""
    return connection.execute(sa.select(USERS).where(USERS.c.identity == identity)).one_or_none()


def owner(connection: sa.Connection, key: str) -> Any | None:
    """Whose the local name that looks like this is."""
    return connection.execute(sa.select(USERS).where(USERS.c.key == key)).one_or_none()


def add_user(connection: sa.Connection, found: Mapped, name: str, at: datetime) -> None:
    """A provider's user has this name from now on."""
    values = {"identity": found.identity, "key": found.key, "provider": found.provider, "name": name}
    connection.execute(USERS.insert().values(**values, at=format_instant(at)))


def users(connection: sa.Connection) -> list[Any]:
    """Every user who has a name."""
    return list(connection.execute(sa.select(USERS).order_by(USERS.c.name)))
