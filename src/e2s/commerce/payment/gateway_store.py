"""The gateway's tables: one authorisation for each (merchant, xid), and what was forwarded after it.

Instructions stay sealed as they came: no card number and no order line is written here in clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from e2s.base.outbox import Outbox, outbox_table

TABLES = sa.MetaData()

AUTHORISATION = sa.Table(
    "authorisation",
    TABLES,
    sa.Column("merchant", sa.Text, primary_key=True),
    sa.Column("xid", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("auth_id", sa.Text, nullable=False),
    sa.Column("auth", sa.LargeBinary, nullable=False),
    sa.Column("pi", sa.LargeBinary),
    sa.Column("si", sa.LargeBinary),
    sa.Column("issue_doc", sa.LargeBinary),
    sa.Column("reverse_doc", sa.LargeBinary),
    sa.Column("result", sa.Text),
    sa.Column("answer_id", sa.Text),
    sa.Column("answer", sa.LargeBinary),
)
FORWARDED = sa.Table(
    "forwarded",
    TABLES,
    sa.Column("merchant", sa.Text, primary_key=True),
    sa.Column("xid", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=False),
)
OUTBOX = Outbox(outbox_table(TABLES))


def authorisation(connection: sa.Connection, merchant: str, xid: str) -> sa.Row[Any] | None:
    """The authorisation of (merchant, xid)."""
    mine = (AUTHORISATION.c.merchant == merchant, AUTHORISATION.c.xid == xid)
    return connection.execute(sa.select(AUTHORISATION).where(*mine)).one_or_none()


def add_authorisation(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """A new authorisation; its (merchant, xid) must be new."""
    connection.execute(AUTHORISATION.insert().values(**values))


def advance(
    connection: sa.Connection, merchant: str, xid: str, state: str, values: Mapping[str, Any]
) -> bool:
    """Set members if the authorisation still is in ``state``; whether it was."""
    mine = (AUTHORISATION.c.merchant == merchant, AUTHORISATION.c.xid == xid, AUTHORISATION.c.state == state)
    return connection.execute(AUTHORISATION.update().where(*mine).values(**values)).rowcount == 1


def undecided(connection: sa.Connection, most: int = 200) -> list[tuple[str, str]]:
    """Authorisations that wait for the issuer."""
    query = sa.select(AUTHORISATION.c.merchant, AUTHORISATION.c.xid).where(
        AUTHORISATION.c.state.in_(("forwarded", "reversing"))
    )
    rows = connection.execute(query.order_by(AUTHORISATION.c.at).limit(most))
    return [(row.merchant, row.xid) for row in rows]


def forwarded(connection: sa.Connection, merchant: str, xid: str, kind: str, n: int) -> sa.Row[Any] | None:
    """The answered capture or reversal of this number."""
    mine = (
        FORWARDED.c.merchant == merchant,
        FORWARDED.c.xid == xid,
        FORWARDED.c.kind == kind,
        FORWARDED.c.n == n,
    )
    return connection.execute(sa.select(FORWARDED).where(*mine)).one_or_none()
