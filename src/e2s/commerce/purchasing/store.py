"""The tables of purchasing: trades with their state, acts, intents, stamps, results, price lists, CRLs.

Every query works on the open connection of the act that asks, so an effect, its stored answer and its
event commit together or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from e2s.base import prepared
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.prepared import Prepared, given
from e2s.commerce.purchasing.tables import MERCHANT
from e2s.commerce.steps import Step, follow
from e2s.crypto.acts import Act, read_act

TABLES = sa.MetaData()
OUTBOX = Outbox(outbox_table(TABLES))

TRADE = sa.Table(
    "trade",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("trade", sa.Text, nullable=False),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("asked", sa.LargeBinary, nullable=False),  # digest of what the offer was asked with
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("confirm_by", sa.Text, nullable=False),
    sa.Column("pay_by", sa.Text, nullable=False),
    sa.Column("cid", sa.Text, nullable=False, server_default=""),
    sa.Column("xid", sa.Text, nullable=False, server_default=""),
    sa.Column("issuer", sa.Text, nullable=False, server_default=""),
    sa.Column("hold_until", sa.Text, nullable=False, server_default=""),
    sa.Column("claim_until", sa.Text, nullable=False, server_default=""),
    sa.Column("sealed", sa.Integer, nullable=False, server_default="0"),  # acts in the evidence bundle
    sa.UniqueConstraint("person", "trade"),
)
ACT = sa.Table(
    "act",
    TABLES,
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("trade", sa.ForeignKey("trade.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("octets", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("trade", "id"),
)
INTENT = sa.Table(
    "intent",
    TABLES,
    sa.Column("trade", sa.ForeignKey("trade.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("octets", sa.LargeBinary, nullable=False),
    sa.Column("over", sa.Text, nullable=False),  # names of the acts that it will be over
)
STAMP = sa.Table(
    "stamp",
    TABLES,
    sa.Column("trade", sa.ForeignKey("trade.id"), primary_key=True),
    sa.Column("act", sa.Text, primary_key=True),
    sa.Column("token", sa.LargeBinary, nullable=False),
)
RESULT = sa.Table(
    "result",
    TABLES,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("rid", sa.Text, primary_key=True),
    sa.Column("asked", sa.LargeBinary, nullable=False),
    sa.Column("answer", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.Text, nullable=False, index=True),
)
LIST = sa.Table(
    "list",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("octets", sa.LargeBinary, nullable=False),
    sa.Column("current", sa.Boolean, nullable=False),
)
CATALOGUE = sa.Table(
    "catalogue",
    TABLES,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("octets", sa.LargeBinary, nullable=False),
)
CRL = sa.Table(
    "crl",
    TABLES,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("octets", sa.LargeBinary, nullable=False),
)
TRADE_CRL = sa.Table(
    "trade_crl",
    TABLES,
    sa.Column("trade", sa.ForeignKey("trade.id"), primary_key=True),
    sa.Column("digest", sa.ForeignKey("crl.digest"), primary_key=True),
)

OPENED = sa.Table(
    "opened",
    TABLES,
    sa.Column("trade", sa.ForeignKey("trade.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("octets", sa.LargeBinary, nullable=False),
)

#: Names under which acts are kept, where those are not the end of their type.
TYPES = {"ds": "pay"}

#: States in which a trade still has something to come from us or from time.
OPEN = ("offered", "confirmed", "asking", "authorised", "delivered", "reversing")
ENDED = ("captured", "unpaid", "void")


@dataclass(frozen=True, kw_only=True)
class Trade:
    """One trade's row."""

    id: int
    person: str
    trade: str
    organisation: str
    subject: str
    asked: bytes
    state: str
    confirm_by: str
    pay_by: str
    cid: str
    xid: str
    issuer: str
    hold_until: str
    claim_until: str
    sealed: int


_KEY = given("key")
_NAME = given("of_name")
_FIND = Prepared(sa.select(TRADE).where(TRADE.c.person == given("of_person"), TRADE.c.trade == _NAME))
_GET = Prepared(sa.select(TRADE).where(TRADE.c.id == _KEY))
_WAITING = Prepared(sa.select(TRADE).where(TRADE.c.state.in_(OPEN)).order_by(TRADE.c.id).limit(given("most")))
_OFFERS = Prepared(
    sa.select(sa.func.count()).where(TRADE.c.person == given("of_person"), TRADE.c.state == "offered")
)
_KEPT = Prepared(sa.select(ACT.c.n).where(ACT.c.trade == _KEY, ACT.c.id == given("of_act")))
_ACT = Prepared(
    sa.select(ACT.c.octets).where(ACT.c.trade == _KEY, ACT.c.name == _NAME).order_by(ACT.c.n.desc()).limit(1)
)
_FORGET_ACT = Prepared(ACT.delete().where(ACT.c.trade == _KEY, ACT.c.id == given("of_act")))
_ACTS = Prepared(sa.select(ACT.c.name, ACT.c.id, ACT.c.octets).where(ACT.c.trade == _KEY).order_by(ACT.c.n))
_INTENT = Prepared(sa.select(INTENT).where(INTENT.c.trade == _KEY, INTENT.c.name == _NAME))
_INTENTS = Prepared(sa.select(INTENT.c.name).where(INTENT.c.trade == _KEY))
_FULFIL = Prepared(INTENT.delete().where(INTENT.c.trade == _KEY, INTENT.c.name == _NAME))
_STAMP = Prepared(sa.select(STAMP.c.token).where(STAMP.c.trade == _KEY, STAMP.c.act == given("of_act")))
_STAMPS = Prepared(sa.select(STAMP.c.act, STAMP.c.token).where(STAMP.c.trade == _KEY))
_UNSTAMPED = Prepared(
    sa.select(ACT.c.trade)
    .select_from(
        ACT.join(TRADE, TRADE.c.id == ACT.c.trade).outerjoin(
            STAMP, (STAMP.c.trade == ACT.c.trade) & (STAMP.c.act == ACT.c.id)
        )
    )
    .where(ACT.c.name == "confirm", STAMP.c.act.is_(None), TRADE.c.confirm_by >= given("since"))
    .limit(given("most"))
)
_CRL = Prepared(sa.select(CRL.c.digest).where(CRL.c.digest == given("of_digest")))
_TRADE_CRLS = Prepared(sa.select(TRADE_CRL.c.digest).where(TRADE_CRL.c.trade == _KEY))
_CRLS = Prepared(
    sa.select(CRL.c.octets)
    .select_from(CRL.join(TRADE_CRL, TRADE_CRL.c.digest == CRL.c.digest))
    .where(TRADE_CRL.c.trade == _KEY)
)
_RESULT = Prepared(sa.select(RESULT).where(RESULT.c.person == given("of_person"), RESULT.c.rid == _NAME))
_KEEP_RESULT = Prepared(RESULT.insert().prefix_with("OR IGNORE"), ("person", "rid", "asked", "answer", "at"))
_INSIDE = sa.select(sa.func.count()).where(ACT.c.trade == TRADE.c.id).scalar_subquery()
_ENDED = Prepared(
    sa.select(TRADE)
    .where(TRADE.c.state.in_(ENDED), TRADE.c.cid != "", TRADE.c.sealed < _INSIDE)
    .limit(given("most"))
)
_DROP_OPENED = Prepared(OPENED.delete().where(OPENED.c.trade == _KEY, OPENED.c.name == _NAME))
_OPENED = Prepared(sa.select(OPENED.c.name, OPENED.c.octets).where(OPENED.c.trade == _KEY))


def _trade(row: sa.Row[Any]) -> Trade:
    return Trade(**row._mapping)  # noqa: SLF001 - a row's public name for its members


def find(connection: sa.Connection, person: str, trade: str) -> Trade | None:
    """The buyer's trade of this name, if there is one."""
    row = _FIND.row(connection, of_person=person, of_name=trade)
    return None if row is None else _trade(row)


def get(connection: sa.Connection, key: int) -> Trade:
    """The trade of this row."""
    return _trade(_GET.rows(connection, key=key)[0])


def waiting(connection: sa.Connection, most: int) -> list[Trade]:
    """Trades that time or a repeat may move, oldest first."""
    return [_trade(row) for row in _WAITING.rows(connection, most=most)]


def open_offers(connection: sa.Connection, person: str) -> int:
    """How many offers wait for this person."""
    return int(_OFFERS.value(connection, of_person=person))


def insert(connection: sa.Connection, values: dict[str, object]) -> int:
    """A new trade's row; its key."""
    return prepared.add(connection, TRADE, values)


def move(connection: sa.Connection, key: int, event: str, **values: str) -> Step:
    """Follow the table for ``event`` from the state that stands *now*; raises ``out-of-order``."""
    step = follow(MERCHANT, get(connection, key).state, event)
    change(connection, key, state=step.state, **values)
    return step


def change(connection: sa.Connection, key: int, **values: str | int) -> None:
    """Set members of a trade."""
    prepared.change(connection, TRADE, {"id": key}, values)


def keep(connection: sa.Connection, key: int, name: str, octets: bytes) -> Act:
    """Keep an act; one that is kept already (by its #) stays as it came first."""
    act = read_act(octets)
    if _KEPT.value(connection, key=key, of_act=act.id) is None:
        prepared.add(connection, ACT, {"trade": key, "name": name, "id": act.id, "octets": octets})
    return act


def act(connection: sa.Connection, key: int, name: str) -> Act | None:
    """The newest act of this name in the trade."""
    octets = _ACT.value(connection, key=key, of_name=name)
    return read_act(octets) if octets is not None else None


def forget_act(connection: sa.Connection, key: int, act_id: str) -> None:
    """Take out an act that was kept for an intent that came to nothing."""
    _FORGET_ACT.run(connection, {"key": key, "of_act": act_id})


def needed(connection: sa.Connection, key: int, name: str) -> Act:
    """The act of this name; raises :class:`Refusal` ``out-of-order`` where the trade has none yet."""
    found = act(connection, key, name)
    if found is None:
        raise Refusal("out-of-order", "the trade has no such act yet", act=name)
    return found


def acts(connection: sa.Connection, key: int) -> list[tuple[str, str, bytes]]:
    """Name, id and octets of every act, in the order in which they came about."""
    return [(row.name, row.id, row.octets) for row in _ACTS.rows(connection, key=key)]


def intend(connection: sa.Connection, key: int, name: str, octets: bytes, over: Sequence[str] = ()) -> None:
    """Write down exactly what will be signed (or sent), over which acts."""
    values = {"trade": key, "name": name, "octets": octets, "over": " ".join(over)}
    prepared.add(connection, INTENT, values)


def intent(connection: sa.Connection, key: int, name: str) -> tuple[bytes, list[bytes]] | None:
    """The octets intended under this name and the acts that they go over."""
    row = _INTENT.row(connection, key=key, of_name=name)
    if row is None:
        return None
    return row.octets, [needed(connection, key, part).octets for part in row.over.split()]


def intents(connection: sa.Connection, key: int) -> list[str]:
    """Names of what is intended and not done."""
    return _INTENTS.column(connection, key=key)


def fulfil(connection: sa.Connection, key: int, name: str) -> None:
    """The intent is done (or will not be)."""
    _FULFIL.run(connection, {"key": key, "of_name": name})


def stamp(connection: sa.Connection, key: int, act_id: str) -> bytes | None:
    """The token over the act's signature, if there is one."""
    token: bytes | None = _STAMP.value(connection, key=key, of_act=act_id)
    return token


def stamps(connection: sa.Connection, key: int) -> dict[str, bytes]:
    """All tokens of the trade by act."""
    return {row.act: row.token for row in _STAMPS.rows(connection, key=key)}


def keep_stamp(connection: sa.Connection, key: int, act_id: str, token: bytes) -> None:
    """Keep the first token over an act."""
    if stamp(connection, key, act_id) is None:
        prepared.add(connection, STAMP, {"trade": key, "act": act_id, "token": token})


def unstamped(connection: sa.Connection, since: datetime, most: int) -> list[int]:
    """Trades, to be confirmed by ``since`` or later, whose confirmation has no time stamp yet."""
    return _UNSTAMPED.column(connection, since=format_instant(since), most=most)


def keep_crls(connection: sa.Connection, key: int, crls: Sequence[bytes]) -> None:
    """Keep the revocation lists that were relied on just now."""
    here = set(_TRADE_CRLS.column(connection, key=key)) if crls else set()
    for octets in crls:
        digest = sha256(octets).digest()
        if digest in here:
            continue
        if _CRL.value(connection, of_digest=digest) is None:
            prepared.add(connection, CRL, {"digest": digest, "octets": octets})
        prepared.add(connection, TRADE_CRL, {"trade": key, "digest": digest})
        here.add(digest)


def crls(connection: sa.Connection, key: int) -> list[bytes]:
    """The revocation lists kept for the trade."""
    return _CRLS.column(connection, key=key)


def result(connection: sa.Connection, person: str, rid: str, asked: bytes) -> bytes | None:
    """The stored answer to (signer, rid); raises ``rid-reused`` for another request under the same rid."""
    row = _RESULT.row(connection, of_person=person, of_name=rid)
    if row is None:
        return None
    if row.asked != asked:
        raise Refusal("rid-reused", "another request was made under this rid")
    return bytes(row.answer)


def keep_result(
    connection: sa.Connection, person: str, rid: str, asked: bytes, answer: bytes, at: datetime
) -> None:
    """Store the answer to (signer, rid)."""
    values = {"person": person, "rid": rid, "asked": asked, "answer": answer, "at": format_instant(at)}
    _KEEP_RESULT.run(connection, values)


def forget_results(connection: sa.Connection, before: datetime) -> None:
    """Drop stored answers that nobody can still be waiting for."""
    connection.execute(RESULT.delete().where(RESULT.c.at < format_instant(before)))


def ended(connection: sa.Connection, most: int) -> list[Trade]:
    """Ended trades with acts that are in no evidence bundle yet."""
    return [_trade(row) for row in _ENDED.rows(connection, most=most)]


def sealed(connection: sa.Connection, key: int, acts_inside: int) -> None:
    """The bundle of the trade holds so many acts."""
    change(connection, key, sealed=acts_inside)


def keep_opened(connection: sa.Connection, key: int, name: str, octets: bytes) -> None:
    """Keep the canonical octets of an instruction that we may show."""
    _DROP_OPENED.run(connection, {"key": key, "of_name": name})
    prepared.add(connection, OPENED, {"trade": key, "name": name, "octets": octets})


def opened(connection: sa.Connection, key: int) -> dict[str, bytes]:
    """The instructions that we may show, by name."""
    return {row.name: row.octets for row in _OPENED.rows(connection, key=key)}
