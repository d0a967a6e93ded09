"""What a wallet holds proof of, in the form that a statement is compared with; its book is only read."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Misuse
from e2s.client.wallet import store
from e2s.client.wallet.reconciling import Purchase


def purchases(database: Database) -> list[Purchase]:
    """Every ordered payment in a wallet's book, newest trade first."""
    found: list[Purchase] = []
    with database.reading() as connection:
        for trade in store.trades(connection):
            purchase = _purchase(connection, trade)
            if purchase is not None:
                found.append(purchase)
    return found


def purchases_at(home: Path) -> list[Purchase]:
    """The same from the home of a wallet of this organisation; raises :class:`Misuse` ``no-wallet``."""
    path = home / "data.db"
    if not path.is_file():
        raise Misuse("no-wallet", "there is no wallet's book here", path=str(path))
    database = Database.open(path, store.TABLES)
    try:
        return purchases(database)
    finally:
        database.close()


def _purchase(connection: sa.Connection, trade: store.Trade) -> Purchase | None:
    ds = store.act_of(connection, trade.trade, "pay")
    offer = store.act_of(connection, trade.trade, "offer")
    if ds is None or offer is None:
        return None
    acceptance = store.act_of(connection, trade.trade, "accept")
    return Purchase(
        trade=trade.trade,
        cid=ds.document["cid"],
        xid=ds.document["xid"],
        buyer=acceptance.certificate.name if acceptance else "",
        state=trade.state,
        total=offer.document["total"],
        lines=offer.document["lines"],
        vat=offer.document["vat"],
    )
