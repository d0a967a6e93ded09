"""The issuer's tables: organisations, managers, cards, control parameters, payments, statements.

A payment is keyed by (card-holder, xid): nobody can void or answer another's.  Card numbers are not
stored: a card is found again by a keyed digest of its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.instants import format_instant, parse_instant
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.prepared import Prepared, given
from e2s.commerce.bankcard.holds import COUNTED, Use

TABLES = sa.MetaData()
_Text = sa.Text
_Octets = sa.LargeBinary

ORGANISATION = sa.Table(
    "organisation",
    TABLES,
    sa.Column("name", _Text, primary_key=True),
    sa.Column("currency", _Text, nullable=False),
    sa.Column("since", _Text, nullable=False),
)
MANAGER = sa.Table(
    "manager",
    TABLES,
    sa.Column("name", _Text, primary_key=True),
    sa.Column("organisation", _Text, nullable=False),
    sa.Column("agreement", _Octets, nullable=False),
    sa.Column("chain", _Octets, nullable=False),
)
CARD = sa.Table(
    "card",
    TABLES,
    sa.Column("holder", _Text, primary_key=True),
    sa.Column("name", _Text, nullable=False),
    sa.Column("organisation", _Text, nullable=False),
    sa.Column("pan_mac", _Octets, nullable=False),
    sa.Column("expiry", _Text, nullable=False),
    sa.Column("blocked", sa.Boolean, nullable=False),
)
CONTROLS = sa.Table(
    "controls",
    TABLES,
    sa.Column("organisation", _Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("id", _Text, nullable=False),
    sa.Column("act", _Octets, nullable=False),
    sa.Column("answer_doc", _Octets, nullable=False),
    sa.Column("answer", _Octets),
)
PAYMENT = sa.Table(
    "payment",
    TABLES,
    sa.Column("holder", _Text, primary_key=True),
    sa.Column("xid", _Text, primary_key=True),
    sa.Column("seq", sa.Integer, unique=True, nullable=False),
    sa.Column("state", _Text, nullable=False),
    sa.Column("organisation", _Text, nullable=False),
    sa.Column("trade", _Text, nullable=False),
    sa.Column("cid", _Text, nullable=False),
    sa.Column("part", _Text, nullable=False),
    sa.Column("ds_id", _Text, nullable=False),
    sa.Column("ds", _Octets, nullable=False),
    sa.Column("auth_id", _Text),
    sa.Column("merchant", _Text, nullable=False),
    sa.Column("merchant_name", _Text, nullable=False),
    sa.Column("gateway", _Text, nullable=False),
    sa.Column("gateway_name", _Text, nullable=False),
    sa.Column("amount", _Text, nullable=False),
    sa.Column("currency", _Text, nullable=False),
    sa.Column("si", _Octets),
    sa.Column("decided", _Text, nullable=False),
    sa.Column("hold_until", _Text),
    sa.Column("claim_until", _Text),
    # The issuer's words: document (the intent), then the act.
    sa.Column("decision_doc", _Octets),
    sa.Column("decision_id", _Text),
    sa.Column("decision", _Octets),
    sa.Column("voided_doc", _Octets),
    sa.Column("voided", _Octets),
    sa.Column("capreq_id", _Text),
    sa.Column("captured_doc", _Octets),
    sa.Column("captured", _Octets),
    sa.Column("authrev_id", _Text),
    sa.Column("reversed_doc", _Octets),
    sa.Column("reversed", _Octets),
    sa.Column("entry", _Octets),
    sa.Column("capture_seq", sa.Integer),
    sa.Column("statement", sa.Integer),
    sa.Index("payment_contract", "holder", "cid"),
    sa.Index("payment_ageing", "state", "hold_until", "claim_until"),
    sa.Index("payment_statement", "organisation", "statement"),
)
STATEMENT = sa.Table(
    "statement",
    TABLES,
    sa.Column("organisation", _Text, primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("ends", _Text, nullable=False),
    sa.Column("doc", _Octets, nullable=False),
    sa.Column("id", _Text, nullable=False),
    sa.Column("act", _Octets),
)
OUTBOX = Outbox(outbox_table(TABLES))

_NOW = given("now")
_HELD_TOO_LONG = sa.and_(PAYMENT.c.state == "held", PAYMENT.c.hold_until <= _NOW)
_CLAIMABLE_TOO_LONG = sa.and_(PAYMENT.c.state == "expired", PAYMENT.c.claim_until <= _NOW)
_EXPIRE = Prepared(PAYMENT.update().where(_HELD_TOO_LONG).values(state=sa.literal_column("'expired'")))
_CLOSE = Prepared(PAYMENT.update().where(_CLAIMABLE_TOO_LONG).values(state=sa.literal_column("'closed'")))
_DUE = Prepared(sa.select(PAYMENT.c.seq).where(sa.or_(_HELD_TOO_LONG, _CLAIMABLE_TOO_LONG)).limit(1))
_HOLDER = given("of_holder")
_PAYMENT = Prepared(sa.select(PAYMENT).where(PAYMENT.c.holder == _HOLDER, PAYMENT.c.xid == given("of_xid")))
_NEXT = Prepared(sa.select(sa.func.coalesce(sa.func.max(PAYMENT.c.seq), 0) + 1))
_NEXT_CAPTURE = Prepared(sa.select(sa.func.coalesce(sa.func.max(PAYMENT.c.capture_seq), 0) + 1))
_SECOND_LIVE = Prepared(
    sa.select(PAYMENT.c.xid)
    .where(
        PAYMENT.c.holder == _HOLDER,
        PAYMENT.c.cid == given("of_cid"),
        PAYMENT.c.part == given("of_part"),
        PAYMENT.c.state.in_(COUNTED),
    )
    .limit(1)
)
_USES = Prepared(
    sa.select(PAYMENT.c.state, PAYMENT.c.amount, PAYMENT.c.decided).where(
        PAYMENT.c.holder == _HOLDER, PAYMENT.c.state.in_(COUNTED)
    )
)
_CARD = Prepared(sa.select(CARD).where(CARD.c.holder == _HOLDER))
_NAME = given("of_name")
_MANAGER = Prepared(sa.select(MANAGER).where(MANAGER.c.name == _NAME))
_ORGANISATION = Prepared(sa.select(ORGANISATION).where(ORGANISATION.c.name == _NAME))
_CONTROLS = Prepared(
    sa.select(CONTROLS).where(CONTROLS.c.organisation == _NAME).order_by(CONTROLS.c.n.desc()).limit(1)
)


def age(connection: sa.Connection, at: datetime) -> None:
    """Let time pass: held becomes expired, expired closed; a clock set back undoes nothing."""
    now = format_instant(at)
    _EXPIRE.run(connection, {"now": now})
    _CLOSE.run(connection, {"now": now})


def ageing_due(connection: sa.Connection, at: datetime) -> bool:
    """Whether :func:`age` would change something."""
    return _DUE.value(connection, now=format_instant(at)) is not None


def payment(connection: sa.Connection, holder: str, xid: str) -> sa.Row[Any] | None:
    """The payment of (card-holder, xid)."""
    return _PAYMENT.row(connection, of_holder=holder, of_xid=xid)


def add_payment(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """A new payment; its (card-holder, xid) must be new."""
    prepared.add(connection, PAYMENT, {"seq": _NEXT.value(connection), **values})


def change_payment(connection: sa.Connection, holder: str, xid: str, values: Mapping[str, Any]) -> None:
    """Set members of a payment."""
    prepared.change(connection, PAYMENT, {"holder": holder, "xid": xid}, values)


def next_capture(connection: sa.Connection) -> int:
    """The number of the next capture: the order in which statements list them."""
    return int(_NEXT_CAPTURE.value(connection))


def second_live(connection: sa.Connection, holder: str, cid: str, part: str) -> bool:
    """Whether a payment of this contract and part already holds or took money."""
    return _SECOND_LIVE.value(connection, of_holder=holder, of_cid=cid, of_part=part) is not None


def uses(connection: sa.Connection, holder: str) -> list[Use]:
    """Everything of the card-holder that may count against her limits."""
    rows = _USES.rows(connection, of_holder=holder)
    return [Use(state=r.state, amount=Decimal(r.amount), decided=parse_instant(r.decided)) for r in rows]


def card(connection: sa.Connection, holder: str) -> sa.Row[Any] | None:
    """The card of a card-holder's certificate."""
    return _CARD.row(connection, of_holder=holder)


def manager(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    """The purchasing manager of this name."""
    return _MANAGER.row(connection, of_name=name)


def organisation(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    """The organisation's account."""
    return _ORGANISATION.row(connection, of_name=name)


def newest_controls(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    """The organisation's control parameters in force."""
    return _CONTROLS.row(connection, of_name=name)


def statement(connection: sa.Connection, name: str, n: int) -> sa.Row[Any] | None:
    """The organisation's statement number ``n``."""
    query = sa.select(STATEMENT).where(STATEMENT.c.organisation == name, STATEMENT.c.n == n)
    return connection.execute(query).one_or_none()


def last_statement(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    """The organisation's newest statement."""
    query = (
        sa.select(STATEMENT).where(STATEMENT.c.organisation == name).order_by(STATEMENT.c.n.desc()).limit(1)
    )
    return connection.execute(query).one_or_none()


def unstated(connection: sa.Connection, name: str, most: int) -> list[Any]:
    """The organisation's oldest captures that stand on no statement, at most ``most``."""
    query = (
        sa.select(PAYMENT.c.holder, PAYMENT.c.xid, PAYMENT.c.entry)
        .where(PAYMENT.c.organisation == name, PAYMENT.c.state == "captured", PAYMENT.c.statement.is_(None))
        .order_by(PAYMENT.c.capture_seq)
        .limit(most)
    )
    return list(connection.execute(query))
