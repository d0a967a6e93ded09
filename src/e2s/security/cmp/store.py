"""The transactions of a CMP door: its tables and queries, on the open connection of the act."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.prepared import Prepared, given
from e2s.security.cmp.states import ENDED

TABLES = sa.MetaData()
OUTBOX = Outbox(outbox_table(TABLES))
_Text, _Octets, _Integer = sa.Text, sa.LargeBinary, sa.Integer

#: ``who`` is the invitation's reference, or the certificate that the requests are signed under; ``asked`` the
#: digest of the first message and ``given`` what it was answered, ``digest`` and ``answer`` those of the last
#: one; ``nonce`` stands in that answer.  ``until`` is when the state ends, in seconds since 1970.
TRANSACTION = sa.Table(
    "transactions",
    TABLES,
    sa.Column("id", _Octets, primary_key=True),
    sa.Column("state", _Text, nullable=False),
    sa.Column("kind", _Integer, nullable=False),
    sa.Column("shown", _Text, nullable=False),
    sa.Column("who", _Octets, nullable=False),
    sa.Column("asked", _Octets, nullable=False),
    sa.Column("digest", _Octets, nullable=False),
    sa.Column("given", _Octets, nullable=False, default=b""),
    sa.Column("answer", _Octets, nullable=False, default=b""),
    sa.Column("nonce", _Octets, nullable=False, default=b""),
    sa.Column("wished", _Octets, nullable=False, default=b""),
    sa.Column("certificate", _Octets, nullable=False, default=b""),
    sa.Column("implicit", _Integer, nullable=False, default=0),
    sa.Column("until", _Integer, nullable=False),
    sa.Index("transaction_until", "state", "until"),
)

_ROW: Final = Prepared(sa.select(TRANSACTION).where(TRANSACTION.c.id == given("which")))
_DUE: Final = Prepared(
    sa.select(TRANSACTION)
    .where(TRANSACTION.c.state == given("which"), TRANSACTION.c.until <= given("now"))
    .order_by(TRANSACTION.c.until)
    .limit(given("most"))
)
_OVER: Final = Prepared(
    TRANSACTION.delete().where(
        TRANSACTION.c.id.in_(
            sa.select(TRANSACTION.c.id)
            .where(TRANSACTION.c.state.in_(ENDED), TRANSACTION.c.until <= given("now"))
            .limit(given("most"))
        )
    )
)


def transaction(connection: sa.Connection, ident: bytes) -> sa.Row[Any] | None:
    """The transaction of this name."""
    return _ROW.row(connection, which=ident)


def add(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """A transaction that begins."""
    prepared.add(connection, TRANSACTION, values)


def change(connection: sa.Connection, ident: bytes, **values: object) -> None:
    """Set what changed."""
    prepared.change(connection, TRANSACTION, {"id": ident}, values)


def due(connection: sa.Connection, state: str, now: datetime, most: int) -> list[sa.Row[Any]]:
    """Transactions in ``state`` whose time is over, the oldest first."""
    return _DUE.rows(connection, which=state, now=int(now.timestamp()), most=most)


def forget(connection: sa.Connection, now: datetime, most: int) -> int:
    """Delete transactions that ended and whose answers nobody may ask for any more; how many there were."""
    return _OVER.run(connection, {"now": int(now.timestamp()), "most": most})
