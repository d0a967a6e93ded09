"""What a register holds, asked by those who list, compare and re-issue it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from e2s.crypto.certificates import Certificate
from e2s.security.pki.finding import Finder
from e2s.security.pki.store import CERTIFICATES, REVOCATIONS, by_serial, finder, instant, of_key
from e2s.security.verification.crls import HELD

_ALL = (
    sa.select(
        CERTIFICATES.c.profile,
        CERTIFICATES.c.name,
        CERTIFICATES.c.der,
        REVOCATIONS.c.at,
        REVOCATIONS.c.reason,
    )
    .outerjoin(REVOCATIONS, REVOCATIONS.c.certificate == CERTIFICATES.c.id)
    .where(CERTIFICATES.c.der.is_not(None))
    .order_by(CERTIFICATES.c.id)
)


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One certificate in a register; ``state`` is good, held, revoked or expired."""

    profile: str
    name: str
    certificate: Certificate
    state: str
    reason: str = ""
    revoked_at: datetime | None = None

    @property
    def serial(self) -> int:
        """Its serial number."""
        return self.certificate.serial


def holdings(connection: sa.Connection, at: datetime) -> Iterator[Holding]:
    """Every certificate that was issued, in the order of issue."""
    for row in connection.execute(_ALL):
        yield _holding(row, at)


def valid(connection: sa.Connection, at: datetime) -> Iterator[Holding]:
    """Those that are good, or held for the moment, at ``at``."""
    return (one for one in holdings(connection, at) if one.state in {"good", "held"})


def of_serial(
    connection: sa.Connection, serial: int, at: datetime, found: Finder | None = None
) -> Holding | None:
    """The certificate of that serial; whoever asks often has a :func:`~e2s.security.pki.store.finder`."""
    row = by_serial(connection, found or finder(), serial)
    if row is None or row.der is None:
        return None
    return _holding(connection.execute(_ALL.where(CERTIFICATES.c.id == row.id)).one(), at)


def good_of_key(connection: sa.Connection, spki: bytes, profile: str, at: datetime) -> Certificate | None:
    """The newest good certificate of a key (its SubjectPublicKeyInfo, DER) for one profile."""
    for serial in reversed(of_key(connection, finder(), sha256(spki).digest(), profile)):
        found = of_serial(connection, int(serial, 16), at)
        if found is not None and found.state == "good":
            return found.certificate
    return None


def _holding(row: Any, at: datetime) -> Holding:
    certificate = Certificate.read(row.der)
    state = "expired" if certificate.not_after < at else "good"
    if row.at is not None:
        state = "held" if row.reason == HELD else "revoked"
    return Holding(
        profile=row.profile,
        name=row.name,
        certificate=certificate,
        state=state,
        reason=row.reason or "",
        revoked_at=None if row.at is None else instant(row.at),
    )
