"""The wallet's book of trades: every act, intent, stamp, certificate and CRL, each kept before it is used.

A trade moves only by the buyer's table, in the transaction that keeps the act which moves it.  An intent
is the exact document about to be signed; after a crash the same document is signed again, so its ``#``
stays the same.  Nothing here is secret: card numbers stand only sealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from e2s.base import prepared, wire
from e2s.base.errors import Refusal
from e2s.base.events import Event
from e2s.base.instants import format_instant
from e2s.base.outbox import Outbox, outbox_table
from e2s.base.prepared import Prepared, given
from e2s.commerce.purchasing.tables import BUYER
from e2s.commerce.steps import Step, follow
from e2s.crypto.acts import Act, read_act
from e2s.crypto.certificates import Certificate

TABLES = sa.MetaData()
OUTBOX = Outbox(outbox_table(TABLES))
_TRADES = sa.Table(
    "trades",
    TABLES,
    sa.Column("trade", sa.Text, primary_key=True),
    sa.Column("shop", sa.Text, nullable=False),  # the merchant's party name
    sa.Column("state", sa.Text, nullable=False),
    sa.Column(
        "wanted", sa.LargeBinary, nullable=False
    ),  # canonical: list, sums, deliverTo, costCentre, atMost
    sa.Column("opened", sa.Text, nullable=False),
    sa.Column("changed", sa.Text, nullable=False),
    sa.Column("claim_until", sa.Text, nullable=False, default=""),
    sa.Column("because", sa.Text, nullable=False, default=""),  # why it ended void
    sa.Column("settled", sa.Boolean, nullable=False, default=False),  # nothing is left to send
    sa.Column("bundle", sa.Text, nullable=False, default=""),  # file name of the evidence
)
_ACTS = sa.Table(
    "acts",
    TABLES,
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("trade", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("octets", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("trade", "kind", "id"),
)
_INTENTS = sa.Table(
    "intents",
    TABLES,
    sa.Column("trade", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("beside", sa.LargeBinary, nullable=False),
)
_STAMPS = sa.Table(
    "stamps",
    TABLES,
    sa.Column("trade", sa.Text, primary_key=True),
    sa.Column("of", sa.Text, primary_key=True),
    sa.Column("token", sa.LargeBinary, nullable=False),
)
_PAPERS = sa.Table(
    "papers",
    TABLES,
    sa.Column("trade", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),  # certificate, crl
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("octets", sa.LargeBinary, nullable=False),
)


_BASKET = sa.Table(
    "basket",
    TABLES,
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("shop", sa.Text, nullable=False),
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("qty", sa.Text, nullable=False),
    sa.UniqueConstraint("shop", "sku"),
)

_OF_TRADE = given("of_trade")
_TRADE = Prepared(sa.select(_TRADES).where(_TRADES.c.trade == _OF_TRADE))
_STATE = Prepared(sa.select(_TRADES.c.state).where(_TRADES.c.trade == _OF_TRADE))
_KNOWN = Prepared(
    sa.select(_ACTS.c.n).where(
        _ACTS.c.trade == _OF_TRADE, _ACTS.c.kind == given("of_kind"), _ACTS.c.id == given("of_id")
    )
)
_NEWEST = Prepared(
    sa.select(_ACTS.c.octets)
    .where(_ACTS.c.trade == _OF_TRADE, _ACTS.c.kind == given("of_kind"))
    .order_by(_ACTS.c.n.desc())
    .limit(1)
)
_EVERY_ACT = Prepared(
    sa.select(_ACTS.c.kind, _ACTS.c.octets).where(_ACTS.c.trade == _OF_TRADE).order_by(_ACTS.c.n)
)
_INTENT = Prepared(
    sa.select(_INTENTS.c.document, _INTENTS.c.beside).where(
        _INTENTS.c.trade == _OF_TRADE, _INTENTS.c.kind == given("of_kind")
    )
)
_STAMP = Prepared(sa.select(_STAMPS.c.token).where(_STAMPS.c.trade == _OF_TRADE, _STAMPS.c.of == given("id")))
_EVERY_STAMP = Prepared(sa.select(_STAMPS.c.of, _STAMPS.c.token).where(_STAMPS.c.trade == _OF_TRADE))
_PAPER_DIGESTS = Prepared(
    sa.select(_PAPERS.c.digest).where(_PAPERS.c.trade == _OF_TRADE, _PAPERS.c.kind == given("of_kind"))
)
_EVERY_PAPER = Prepared(
    sa.select(_PAPERS.c.octets).where(_PAPERS.c.trade == _OF_TRADE, _PAPERS.c.kind == given("of_kind"))
)


@dataclass(frozen=True, kw_only=True)
class Trade:
    """One trade as it stands."""

    trade: str
    shop: str
    state: str
    wanted: dict[str, Any]
    opened: str
    changed: str
    claim_until: str
    because: str
    settled: bool
    bundle: str

    @property
    def ended(self) -> bool:
        """Whether the trade's evidence can be sealed: void, or received with the receipt stored."""
        return self.state in {"void", "closed"} or (self.state == "received" and self.settled)


def open_trade(
    connection: sa.Connection, trade: str, shop: str, wanted: dict[str, Any], at: datetime
) -> None:
    """A new trade in state *asked*; ``wanted`` is what the buyer saw and wants."""
    now = format_instant(at)
    values = {"trade": trade, "shop": shop, "state": "asked", "opened": now, "changed": now}
    prepared.add(connection, _TRADES, {**values, "wanted": wire.encode(wanted)})


def trade_of(connection: sa.Connection, trade: str) -> Trade:
    """The trade; raises :class:`Refusal` ``unknown-trade``."""
    row = _TRADE.row(connection, of_trade=trade)
    if row is None:
        raise Refusal("unknown-trade", "this wallet knows no such trade", trade=trade)
    return _trade(row._mapping)  # noqa: SLF001 - a row's public name for its members


def trades(connection: sa.Connection) -> list[Trade]:
    """Every trade, newest first."""
    rows = connection.execute(
        sa.select(_TRADES).order_by(_TRADES.c.opened.desc(), _TRADES.c.trade)
    ).mappings()
    return [_trade(row) for row in rows]


def unfinished(connection: sa.Connection) -> list[Trade]:
    """Trades that have not ended, and those that ended before their evidence was written; oldest first."""
    known = set(connection.execute(sa.select(_ACTS.c.trade).distinct()).scalars())
    left = [trade for trade in trades(connection) if not trade.ended or not trade.bundle]
    return [trade for trade in reversed(left) if not trade.ended or trade.trade in known]


def move(connection: sa.Connection, trade: str, event: str, at: datetime, because: str = "") -> Step:
    """Follow the buyer's table; a pair that it does not list raises ``out-of-order`` and has no effect."""
    state = str(_STATE.value(connection, of_trade=trade))
    step = follow(BUYER, state, event)
    values = {"state": step.state, "changed": format_instant(at)}
    if because:
        values["because"] = because
    prepared.change(connection, _TRADES, {"trade": trade}, values)
    if step.state != state:
        facts = {"trade": trade, "from": state, "to": step.state, "by": event}
        OUTBOX.sink(connection).append(Event(kind="trade.moved", at=at, component="wallet", facts=facts))
    return step


def note(connection: sa.Connection, trade: str, **values: str | bool) -> None:
    """Set ``claim_until``, ``settled``, ``because`` or ``bundle`` of a trade."""
    prepared.change(connection, _TRADES, {"trade": trade}, values)


def keep(connection: sa.Connection, trade: str, kind: str, act: Act) -> None:
    """Keep an act; the same one again (by ``#``) is no change: the first octets stay."""
    if _KNOWN.value(connection, of_trade=trade, of_kind=kind, of_id=act.id) is None:
        values = {"trade": trade, "kind": kind, "id": act.id, "octets": act.octets}
        prepared.add(connection, _ACTS, values)


def act_of(connection: sa.Connection, trade: str, kind: str) -> Act | None:
    """The newest act of its kind (a second payment has a dual signature of its own), if there is one."""
    octets = _NEWEST.value(connection, of_trade=trade, of_kind=kind)
    return None if octets is None else read_act(octets)


def acts_of(connection: sa.Connection, trade: str) -> list[tuple[str, bytes]]:
    """Kind and octets of every act of a trade, in the order in which they came about."""
    return [(row.kind, row.octets) for row in _EVERY_ACT.rows(connection, of_trade=trade)]


def intend(
    connection: sa.Connection, trade: str, kind: str, document: wire.Document, beside: bytes = b""
) -> None:
    """Commit to signing exactly ``document``; ``beside`` goes with it when it is sent."""
    values = {"trade": trade, "kind": kind, "document": wire.encode(document), "beside": beside}
    prepared.add(connection, _INTENTS, values)


def intent_of(connection: sa.Connection, trade: str, kind: str) -> tuple[wire.Document, bytes] | None:
    """The intent of this kind, if there is one."""
    row = _INTENT.row(connection, of_trade=trade, of_kind=kind)
    return None if row is None else (wire.decode(row.document), row.beside)


def drop_intents(connection: sa.Connection, trade: str, kinds: Iterable[str]) -> None:
    """Forget intents that were never released, so that new ones can be made."""
    connection.execute(_INTENTS.delete().where(_INTENTS.c.trade == trade, _INTENTS.c.kind.in_(list(kinds))))


def keep_stamp(connection: sa.Connection, trade: str, of: str, token: bytes) -> None:
    """Keep the first time stamp over the act ``of``."""
    if stamp_of(connection, trade, of) is None:
        prepared.add(connection, _STAMPS, {"trade": trade, "of": of, "token": token})


def stamp_of(connection: sa.Connection, trade: str, of: str) -> bytes | None:
    """The time stamp over the act ``of``, if there is one."""
    token: bytes | None = _STAMP.value(connection, of_trade=trade, id=of)
    return token


def stamps_of(connection: sa.Connection, trade: str) -> dict[str, bytes]:
    """All time stamps of a trade by the ``#`` of what they date."""
    return {row.of: row.token for row in _EVERY_STAMP.rows(connection, of_trade=trade)}


def keep_papers(connection: sa.Connection, trade: str, kind: str, octets: Sequence[bytes]) -> None:
    """Keep the certificates or CRLs that were relied on, each once."""
    known = set(_PAPER_DIGESTS.column(connection, of_trade=trade, of_kind=kind)) if octets else set()
    for each in dict.fromkeys(octets):
        digest = sha256(each).hexdigest()
        if digest not in known:
            values = {"trade": trade, "kind": kind, "digest": digest, "octets": each}
            prepared.add(connection, _PAPERS, values)


def papers_of(connection: sa.Connection, trade: str, kind: str) -> list[bytes]:
    """The papers of one kind."""
    return _EVERY_PAPER.column(connection, of_trade=trade, of_kind=kind)


def certificates_of(connection: sa.Connection, trade: str) -> list[Certificate]:
    """The certificates kept beside those inside the acts."""
    return [Certificate.read(octets) for octets in papers_of(connection, trade, "certificate")]


def basket_of(connection: sa.Connection, shop: str) -> list[tuple[str, str]]:
    """What lies in the basket for a shop: SKU and quantity, in the order in which it was put there."""
    rows = connection.execute(
        sa.select(_BASKET.c.sku, _BASKET.c.qty).where(_BASKET.c.shop == shop).order_by(_BASKET.c.n)
    )
    return [(row.sku, row.qty) for row in rows]


def put_in_basket(connection: sa.Connection, shop: str, sku: str, qty: str) -> None:
    """Set the quantity of an item; the empty quantity takes it out."""
    here = (_BASKET.c.shop == shop) & (_BASKET.c.sku == sku)
    changed = connection.execute(_BASKET.update().where(here).values(qty=qty)) if qty else None
    if not qty:
        connection.execute(_BASKET.delete().where(here))
    elif changed is not None and not changed.rowcount:
        connection.execute(_BASKET.insert().values(shop=shop, sku=sku, qty=qty))


def empty_basket(connection: sa.Connection, shop: str) -> None:
    """Take everything out."""
    connection.execute(_BASKET.delete().where(_BASKET.c.shop == shop))


def _trade(row: Any) -> Trade:
    return Trade(**{**row, "wanted": wire.decode(row["wanted"]), "settled": bool(row["settled"])})
