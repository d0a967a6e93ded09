"""The gateway's tables: one authorisation for each (merchant, xid), and what was forwarded after it.

Instructions stay sealed as they came: no card number and no order line is written here in clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.prepared import Prepared, given

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

_AUTHORISATION = Prepared(
    sa.select(AUTHORISATION).where(
        AUTHORISATION.c.merchant == given("of_merchant"), AUTHORISATION.c.xid == given("of_xid")
    )
)
_UNDECIDED = Prepared(
    sa.select(AUTHORISATION.c.merchant, AUTHORISATION.c.xid)
    .where(AUTHORISATION.c.state.in_(("forwarded", "reversing")))
    .order_by(AUTHORISATION.c.at)
    .limit(given("most"))
)
_FORWARDED = Prepared(
    sa.select(FORWARDED).where(
        FORWARDED.c.merchant == given("of_merchant"),
        FORWARDED.c.xid == given("of_xid"),
        FORWARDED.c.kind == given("of_kind"),
        FORWARDED.c.n == given("of_n"),
    )
)


def authorisation(connection: sa.Connection, merchant: str, xid: str) -> sa.Row[Any] | None:
    """The authorisation of (merchant, xid)."""
    return _AUTHORISATION.row(connection, of_merchant=merchant, of_xid=xid)


def add_authorisation(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """A new authorisation; its (merchant, xid) must be new."""
    prepared.add(connection, AUTHORISATION, values)


def advance(
    connection: sa.Connection, merchant: str, xid: str, state: str, values: Mapping[str, Any]
) -> bool:
    """Set members if the authorisation still is in ``state``; whether it was."""
    mine = {"merchant": merchant, "xid": xid, "state": state}
    return prepared.change(connection, AUTHORISATION, mine, values) == 1


def undecided(connection: sa.Connection, most: int = 200) -> list[tuple[str, str]]:
    """Authorisations that wait for the issuer."""
    return [(row.merchant, row.xid) for row in _UNDECIDED.rows(connection, most=most)]


def add_forwarded(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """The answer to a capture or reversal of a new number."""
    prepared.add(connection, FORWARDED, values)


def forwarded(connection: sa.Connection, merchant: str, xid: str, kind: str, n: int) -> sa.Row[Any] | None:
    """The answered capture or reversal of this number."""
    return _FORWARDED.row(connection, of_merchant=merchant, of_xid=xid, of_kind=kind, of_n=n)
