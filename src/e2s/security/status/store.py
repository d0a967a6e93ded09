"""What a responder knows: of each CA every change in order, and so of each certificate how it stands.

A CA numbers its changes without a gap.  A change that is not the next one is refused, so that what is told
here is what the CA's register said at some moment, and never a mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import sqlalchemy as sa

from e2s.base.errors import Refusal
from e2s.base.prepared import Prepared, given
from e2s.crypto.certificates import Certificate
from e2s.security.status.answers import Status
from e2s.security.status.entries import decode

TABLES = sa.MetaData()
#: ``number``: that of the last change that is known here; ``ca``: the digest of the CA's certificate.
CAS = sa.Table(
    "status_ca",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("ca", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("number", sa.Integer, nullable=False),
)
#: One row for each serial (its octets); ``entry`` is what a list says of it, DER.
STATUSES = sa.Table(
    "status",
    TABLES,
    sa.Column("ca", sa.Integer, primary_key=True),
    sa.Column("serial", sa.LargeBinary, primary_key=True),
    sa.Column("known", sa.Integer, nullable=False),
    sa.Column("entry", sa.LargeBinary),
    sqlite_with_rowid=False,
)

_CA = Prepared(sa.select(CAS.c.id, CAS.c.number).where(CAS.c.ca == given("of_ca")))
_NEW_CA = Prepared(CAS.insert(), ["ca", "number"])
_NUMBER = Prepared(CAS.update().where(CAS.c.id == given("of_id")), ["number"])
_PUT = Prepared(STATUSES.insert().prefix_with("OR REPLACE"), ["ca", "serial", "known", "entry"])
_STATUS = Prepared(
    sa.select(CAS.c.number, STATUSES.c.known, STATUSES.c.entry)
    .join_from(
        CAS,
        STATUSES,
        sa.and_(STATUSES.c.ca == CAS.c.id, STATUSES.c.serial == given("of_serial")),
        isouter=True,
    )
    .where(CAS.c.ca == given("of_ca"))
)


class Change(Protocol):
    """One change of a CA's register, as its feed gives it."""

    @property
    def number(self) -> int:
        """Its place in the order: the one before has the number below."""

    @property
    def serial(self) -> int:
        """Of which certificate."""

    @property
    def entry(self) -> bytes | None:
        """What a list says of the certificate from now on, DER; None of one that is not revoked."""

    @property
    def known(self) -> bool:
        """Whether the CA issued a certificate of this serial."""


def followed(connection: sa.Connection, ca: Certificate) -> int:
    """The number of the last change of ``ca`` that is known; 0 where none is."""
    row = _CA.row(connection, of_ca=ca.digest)
    return 0 if row is None else int(row.number)


def apply(connection: sa.Connection, ca: Certificate, changes: Sequence[Change]) -> int:
    """Take the next changes of ``ca``; the number of the last one.

    Raises :class:`Refusal` ``feed-gap`` for a change that is not the next, ``feed-entry`` for one whose entry
    is not of its serial; then the whole transaction is to be undone.
    """
    row = _CA.row(connection, of_ca=ca.digest)
    if row is None:
        ca_id, number = _NEW_CA.added(connection, {"ca": ca.digest, "number": 0}), 0
    else:
        ca_id, number = int(row.id), int(row.number)
    for change in changes:
        if change.number != number + 1:
            raise Refusal(
                "feed-gap",
                "a change of the CA's register is missing or repeated",
                wanted=number + 1,
                got=change.number,
            )
        number += 1
        if change.entry is not None:
            _check(change.entry, change.serial)
        values = {
            "ca": ca_id,
            "serial": _octets(change.serial),
            "known": int(change.known),
            "entry": change.entry,
        }
        _PUT.run(connection, values)
    if changes:
        _NUMBER.run(connection, {"of_id": ca_id, "number": number})
    return number


def status(connection: sa.Connection, ca: Certificate, serial: int) -> tuple[int, Status]:
    """How a certificate of ``ca`` stands, and the number of the last change that was known then."""
    row = _STATUS.row(connection, of_ca=ca.digest, of_serial=_octets(serial))
    if row is None:
        return 0, Status(known=False)
    return row.number, Status(bool(row.known), None if row.entry is None else decode(row.entry))


def _octets(serial: int) -> bytes:
    return serial.to_bytes((serial.bit_length() + 7) // 8 or 1, "big")


def _check(entry: bytes, serial: int) -> None:
    try:
        found = decode(entry).serial
    except Refusal as refusal:
        raise Refusal("feed-entry", "a change's entry cannot be read", because=refusal.rule) from refusal
    if found != serial:
        raise Refusal("feed-entry", "a change's entry is of another serial")
