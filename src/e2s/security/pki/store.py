"""The register of one CA: every certificate, every revocation, every list, and the events of each act."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from e2s.base.outbox import outbox_table
from e2s.crypto.certificates import Certificate
from e2s.security.verification.crls import Revocation

TABLES = sa.MetaData()
#: ``der`` is empty from intent to signature; a serial, too long for an integer, is in hexadecimal.
CERTIFICATES = sa.Table(
    "certificates",
    TABLES,
    sa.Column("serial", sa.Text, primary_key=True),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("use", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("spki", sa.LargeBinary, nullable=False, index=True),
    sa.Column("der", sa.LargeBinary),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("revoked_at", sa.Text),
    sa.Column("reason", sa.Text),
)
CRLS = sa.Table(
    "crls",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("this_update", sa.Text, nullable=False),
    sa.Column("next_update", sa.Text, nullable=False),
    sa.Column("entries", sa.Integer, nullable=False, default=0),
    sa.Column("der", sa.LargeBinary),
    sqlite_autoincrement=True,
)
OUTBOX = outbox_table(TABLES)


def intend(
    connection: sa.Connection, serial: int, *, profile: str, use: str, name: str, spki: bytes, at: datetime
) -> None:
    """Note a certificate before its signature is made."""
    connection.execute(
        CERTIFICATES.insert().values(
            serial=f"{serial:x}", profile=profile, use=use, name=name, spki=spki, at=at.isoformat()
        )
    )


def issued(connection: sa.Connection, certificate: Certificate) -> None:
    """Complete the intent by the certificate."""
    connection.execute(
        CERTIFICATES.update()
        .where(CERTIFICATES.c.serial == f"{certificate.serial:x}")
        .values(der=certificate.der)
    )


def uses_of_key(connection: sa.Connection, spki: bytes) -> set[str]:
    """What the key is already certified to do."""
    rows = connection.execute(sa.select(CERTIFICATES.c.use).where(CERTIFICATES.c.spki == spki))
    return {row.use for row in rows}


def revocation(connection: sa.Connection, serial: int) -> tuple[bool, Revocation | None]:
    """Whether the serial is known, and its revocation if there is one."""
    table = CERTIFICATES.c
    row = connection.execute(
        sa.select(table.revoked_at, table.reason).where(table.serial == f"{serial:x}")
    ).first()
    if row is None:
        return False, None
    return True, _revocation(row.revoked_at, row.reason) if row.revoked_at else None


def revoke(connection: sa.Connection, serial: int, at: datetime, reason: str) -> None:
    """Note a revocation; the first one stands."""
    connection.execute(
        CERTIFICATES.update()
        .where(CERTIFICATES.c.serial == f"{serial:x}", CERTIFICATES.c.revoked_at.is_(None))
        .values(revoked_at=at.isoformat(), reason=reason)
    )


def unfinished(connection: sa.Connection) -> list[int]:
    """Serials that were intended, perhaps signed, and never recorded: a kill came between."""
    table = CERTIFICATES.c
    rows = connection.execute(sa.select(table.serial).where(table.der.is_(None), table.revoked_at.is_(None)))
    return [int(row.serial, 16) for row in rows]


def revoked(connection: sa.Connection) -> list[tuple[int, datetime, str]]:
    """All revocations, in the order of their instants."""
    table = CERTIFICATES.c
    rows = connection.execute(
        sa.select(table.serial, table.revoked_at, table.reason)
        .where(table.revoked_at.is_not(None))
        .order_by(table.revoked_at, table.serial)
    )
    return [(int(row.serial, 16), _instant(row.revoked_at), row.reason) for row in rows]


def intend_crl(connection: sa.Connection, at: datetime, until: datetime) -> int:
    """Take the next CRL number."""
    done = connection.execute(CRLS.insert().values(this_update=at.isoformat(), next_update=until.isoformat()))
    return int(done.inserted_primary_key[0])  # type: ignore[index]


def put_crl(connection: sa.Connection, number: int, der: bytes, entries: int) -> None:
    """Complete the number by its list."""
    connection.execute(CRLS.update().where(CRLS.c.number == number).values(der=der, entries=entries))


def newest_crl(connection: sa.Connection) -> tuple[datetime, int, bytes] | None:
    """The newest list's thisUpdate, number of entries and octets."""
    row = connection.execute(
        sa.select(CRLS.c.this_update, CRLS.c.entries, CRLS.c.der)
        .where(CRLS.c.der.is_not(None))
        .order_by(CRLS.c.number.desc())
        .limit(1)
    ).first()
    return (_instant(row.this_update), row.entries, row.der) if row else None


def revocations(connection: sa.Connection) -> int:
    """How many certificates are revoked; it only grows."""
    count = sa.select(sa.func.count()).select_from(CERTIFICATES).where(CERTIFICATES.c.revoked_at.is_not(None))
    return int(connection.execute(count).scalar_one())


def _revocation(at: str, reason: str) -> Revocation:
    return Revocation(_instant(at), reason)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
