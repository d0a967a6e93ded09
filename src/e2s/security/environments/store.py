"""The tables of deliveries: which PSE an invitation gives, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from e2s.base.instants import format_instant
from e2s.base.outbox import Outbox, outbox_table

TABLES: Final = sa.MetaData()

#: ``further``: JSON of profile to the reference that gives it, where one invitation does not give all.
MEANT: Final = sa.Table(
    "meant",
    TABLES,
    sa.Column("reference", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("further", sa.Text, nullable=False),
)
#: ``held`` are the certificates that somebody renews, or empty; ``serials`` are ``label:serial``;
#: ``keys`` are what key management made, sealed under the component's storage secret until the parcel is;
#: ``until`` is when what nobody fetched is revoked.
DELIVERIES: Final = sa.Table(
    "deliveries",
    TABLES,
    sa.Column("reference", sa.Text, primary_key=True),
    sa.Column("ask", sa.LargeBinary, nullable=False),
    sa.Column("held", sa.LargeBinary, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("until", sa.Text, nullable=False),
    sa.Column("keys", sa.LargeBinary, nullable=False),
    sa.Column("parcel", sa.LargeBinary, nullable=False, default=b""),
    sa.Column("receiver", sa.LargeBinary, nullable=False, default=b""),
    sa.Column("serials", sa.Text, nullable=False, default=""),
    sa.Column("receipt", sa.LargeBinary, nullable=False, default=b""),
)
sa.Index("deliveries_open", DELIVERIES.c.state, DELIVERIES.c.until)
OUTBOX: Final = Outbox(outbox_table(TABLES))


def mean(connection: sa.Connection, reference: str, kind: str, further: str) -> None:
    """An invitation is to a PSE of this kind."""
    values = {"reference": reference, "kind": kind, "further": further}
    connection.execute(MEANT.insert().values(values))


def meant(connection: sa.Connection, reference: str) -> Any | None:
    """What an invitation is to, or None where nobody said it."""
    return connection.execute(sa.select(MEANT).where(MEANT.c.reference == reference)).one_or_none()


def delivery(connection: sa.Connection, reference: str) -> Any | None:
    """The delivery of an invitation or a renewal, or None."""
    return connection.execute(sa.select(DELIVERIES).where(DELIVERIES.c.reference == reference)).one_or_none()


def begin(connection: sa.Connection, **values: Any) -> None:
    """Record what was asked, before anything is certified."""
    connection.execute(
        DELIVERIES.insert().values(parcel=b"", receiver=b"", serials="", receipt=b"", **values)
    )


def seal(
    connection: sa.Connection,
    reference: str,
    *,
    parcel: bytes,
    receiver: bytes,
    serials: str,
    until: datetime,
) -> bool:
    """Keep the parcel and forget the keys; False where there is one already."""
    known = DELIVERIES.c
    changed = connection.execute(
        DELIVERIES.update()
        .where(known.reference == reference, known.state == "asked")
        .values(
            state="sealed",
            parcel=parcel,
            receiver=receiver,
            serials=serials,
            keys=b"",
            until=format_instant(until),
        )
    )
    return changed.rowcount == 1


def end(connection: sa.Connection, reference: str, before: str, state: str, receipt: bytes = b"") -> bool:
    """The delivery is over: nothing is kept but that it was; False where it was over before."""
    known = DELIVERIES.c
    changed = connection.execute(
        DELIVERIES.update()
        .where(known.reference == reference, known.state == before)
        .values(state=state, receipt=receipt, keys=b"", parcel=b"")
    )
    return changed.rowcount == 1


def overdue(connection: sa.Connection, at: datetime, most: int) -> list[Any]:
    """Deliveries that are not over and whose time is."""
    known = DELIVERIES.c
    query = sa.select(DELIVERIES).where(
        known.state.in_(("asked", "sealed")), known.until < format_instant(at)
    )
    return list(connection.execute(query.order_by(known.until).limit(most)))


def deliveries(connection: sa.Connection, most: int) -> list[Any]:
    """The newest deliveries, for a list."""
    known = DELIVERIES.c
    columns = (known.reference, known.kind, known.state, known.at, known.until, known.serials)
    return list(connection.execute(sa.select(*columns).order_by(known.at.desc()).limit(most)))
