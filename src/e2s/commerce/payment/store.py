"""The merchant's payment tables: what was said to a buyer before she paid, and each payment by its xid.

Card numbers never come here: PI and SI stay sealed to gateway and issuer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from e2s.base.outbox import Outbox, outbox_table

TABLES = sa.MetaData()

PINIT = sa.Table(
    "pinit",
    TABLES,
    sa.Column("cid", sa.Text, primary_key=True),
    sa.Column("nonce", sa.Text, primary_key=True),
    sa.Column("xid", sa.Text, unique=True, nullable=False),
    sa.Column("buyer", sa.Text, nullable=False),
    sa.Column("act", sa.LargeBinary, nullable=False),
)
PAYMENT = sa.Table(
    "payment",
    TABLES,
    sa.Column("xid", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, unique=True, nullable=False),
    sa.Column("cid", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("buyer", sa.Text, nullable=False),
    sa.Column("ds", sa.LargeBinary, nullable=False),
    sa.Column("ds_id", sa.Text, nullable=False),
    sa.Column("oi", sa.LargeBinary, nullable=False),
    sa.Column("pi", sa.LargeBinary, nullable=False),
    sa.Column("si", sa.LargeBinary, nullable=False),
    # The merchant's words: document (the intent), then the act.
    sa.Column("auth_doc", sa.LargeBinary, nullable=False),
    sa.Column("auth", sa.LargeBinary),
    sa.Column("authres", sa.LargeBinary),
    sa.Column("pres", sa.LargeBinary),
    sa.Column("hold_until", sa.Text),
    sa.Column("claim_until", sa.Text),
    sa.Column("delivery", sa.LargeBinary),
    sa.Column("token", sa.LargeBinary),
    sa.Column("capreq_doc", sa.LargeBinary),
    sa.Column("capreq", sa.LargeBinary),
    sa.Column("capres", sa.LargeBinary),
    sa.Column("authrev_doc", sa.LargeBinary),
    sa.Column("authrev", sa.LargeBinary),
    sa.Column("revres", sa.LargeBinary),
    sa.Column("reason", sa.Text),
    sa.Column("cancel", sa.LargeBinary),
)
OUTBOX = Outbox(outbox_table(TABLES))

#: States in which something waits for the gateway.
WAITING = ("asking", "capturing", "reversing")
#: States in which the contract is being paid, or is paid: no second payment may begin.
LIVE = ("asking", "authorised", "capturing", "captured", "reversing", "unpaid")


def pinit(connection: sa.Connection, cid: str, nonce: str) -> sa.Row[Any] | None:
    """What was answered to (contract, buyer's nonce)."""
    query = sa.select(PINIT).where(PINIT.c.cid == cid, PINIT.c.nonce == nonce)
    return connection.execute(query).one_or_none()


def pinit_of(connection: sa.Connection, xid: str) -> sa.Row[Any] | None:
    """The answer from which ``xid`` follows."""
    return connection.execute(sa.select(PINIT).where(PINIT.c.xid == xid)).one_or_none()


def payment(connection: sa.Connection, xid: str) -> sa.Row[Any] | None:
    """The payment of this transaction."""
    return connection.execute(sa.select(PAYMENT).where(PAYMENT.c.xid == xid)).one_or_none()


def newest(connection: sa.Connection, cid: str) -> sa.Row[Any] | None:
    """The contract's newest payment."""
    query = sa.select(PAYMENT).where(PAYMENT.c.cid == cid).order_by(PAYMENT.c.seq.desc()).limit(1)
    return connection.execute(query).one_or_none()


def live(connection: sa.Connection, cid: str) -> bool:
    """Whether the contract is being paid already."""
    query = sa.select(PAYMENT.c.xid).where(PAYMENT.c.cid == cid, PAYMENT.c.state.in_(LIVE)).limit(1)
    return connection.execute(query).first() is not None


def add_payment(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """A new payment; its xid must be new."""
    seq = connection.execute(sa.select(sa.func.coalesce(sa.func.max(PAYMENT.c.seq), 0) + 1)).scalar_one()
    connection.execute(PAYMENT.insert().values(seq=seq, **values))


def advance(connection: sa.Connection, xid: str, state: str, values: Mapping[str, Any]) -> bool:
    """Set members if the payment still is in ``state``; whether it was."""
    mine = (PAYMENT.c.xid == xid, PAYMENT.c.state == state)
    return connection.execute(PAYMENT.update().where(*mine).values(**values)).rowcount == 1


def waiting(connection: sa.Connection, most: int = 200) -> Sequence[str]:
    """Payments that wait for the gateway, oldest first."""
    query = sa.select(PAYMENT.c.xid).where(PAYMENT.c.state.in_(WAITING)).order_by(PAYMENT.c.seq).limit(most)
    return connection.execute(query).scalars().all()
