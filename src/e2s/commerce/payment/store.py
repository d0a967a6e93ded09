"""The merchant's payment tables: what was said to a buyer before she paid, and each payment by its xid.

Card numbers never come here: PI and SI stay sealed to gateway and issuer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.prepared import Prepared, given

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

_PINIT = Prepared(sa.select(PINIT).where(PINIT.c.cid == given("of_cid"), PINIT.c.nonce == given("of_nonce")))
_PINIT_OF = Prepared(sa.select(PINIT).where(PINIT.c.xid == given("of_xid")))
_PAYMENT = Prepared(sa.select(PAYMENT).where(PAYMENT.c.xid == given("of_xid")))
_NEWEST = Prepared(
    sa.select(PAYMENT).where(PAYMENT.c.cid == given("of_cid")).order_by(PAYMENT.c.seq.desc()).limit(1)
)
_LIVE = Prepared(
    sa.select(PAYMENT.c.xid).where(PAYMENT.c.cid == given("of_cid"), PAYMENT.c.state.in_(LIVE)).limit(1)
)
_NEXT = Prepared(sa.select(sa.func.coalesce(sa.func.max(PAYMENT.c.seq), 0) + 1))
_WAITING = Prepared(
    sa.select(PAYMENT.c.xid).where(PAYMENT.c.state.in_(WAITING)).order_by(PAYMENT.c.seq).limit(given("most"))
)


def pinit(connection: sa.Connection, cid: str, nonce: str) -> sa.Row[Any] | None:
    """What was answered to (contract, buyer's nonce)."""
    return _PINIT.row(connection, of_cid=cid, of_nonce=nonce)


def pinit_of(connection: sa.Connection, xid: str) -> sa.Row[Any] | None:
    """The answer from which ``xid`` follows."""
    return _PINIT_OF.row(connection, of_xid=xid)


def add_pinit(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """What is answered to a new (contract, buyer's nonce)."""
    prepared.add(connection, PINIT, values)


def payment(connection: sa.Connection, xid: str) -> sa.Row[Any] | None:
    """The payment of this transaction."""
    return _PAYMENT.row(connection, of_xid=xid)


def newest(connection: sa.Connection, cid: str) -> sa.Row[Any] | None:
    """The contract's newest payment."""
    return _NEWEST.row(connection, of_cid=cid)


def live(connection: sa.Connection, cid: str) -> bool:
    """Whether the contract is being paid already."""
    return _LIVE.value(connection, of_cid=cid) is not None


def add_payment(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """A new payment; its xid must be new."""
    prepared.add(connection, PAYMENT, {"seq": _NEXT.value(connection), **values})


def advance(connection: sa.Connection, xid: str, state: str, values: Mapping[str, Any]) -> bool:
    """Set members if the payment still is in ``state``; whether it was."""
    return prepared.change(connection, PAYMENT, {"xid": xid, "state": state}, values) == 1


def waiting(connection: sa.Connection, most: int = 200) -> Sequence[str]:
    """Payments that wait for the gateway, oldest first."""
    return _WAITING.column(connection, most=most)
