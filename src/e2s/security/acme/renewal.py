"""When a certificate had best be renewed, and which order takes whose place (RFC 9773)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from cryptography import x509

from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import Document, b64u, unb64u
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.acme import store
from e2s.security.acme.book import Account, Book
from e2s.security.acme.identifiers import Identifier

#: RFC 9773, 4.3.2.
RETRY_SECONDS: Final = 6 * 3600
_MAX_NAME: Final = 128
_HOUR: Final = timedelta(hours=1)


def name_of(certificate: Certificate) -> str:
    """A certificate by its issuer's key identifier and its serial (RFC 9773, 4.1).

    Raises :class:`Refusal` ``bad-certificate`` for one that has no such identifier.
    """
    issuer = certificate.values.get(x509.AuthorityKeyIdentifier)
    if issuer is None or issuer.key_identifier is None:
        raise Refusal("bad-certificate", "the certificate does not say by which key it was issued")
    return f"{b64u(issuer.key_identifier)}.{b64u(_serial_octets(certificate.serial))}"


def _serial_octets(serial: int) -> bytes:
    return der.Reader(der.integer(serial)).content(der.INTEGER)


def find(connection: sa.Connection, name: object) -> tuple[sa.Row[Any], Certificate]:
    """The order and certificate that ``name`` is of; raises :class:`Refusal` ``not-found``."""
    unknown = Refusal("not-found", "no certificate of this name was issued here")
    if not isinstance(name, str) or len(name) > _MAX_NAME or name.count(".") != 1:
        raise unknown
    try:
        octets = unb64u(name.partition(".")[2])
    except Refusal as refusal:
        raise unknown from refusal
    row = store.order_of_serial(connection, f"{int.from_bytes(octets, 'big'):x}")
    if row is None:
        raise unknown
    found = Certificate.read(bytes(row.certificate))
    if name_of(found) != name:
        raise unknown
    return row, found


def window(certificate: Certificate, *, gone: bool) -> tuple[datetime, datetime]:
    """Between which instants to renew: the fifth sixth of its life; past ones where it is revoked."""
    begin, end = certificate.not_before, certificate.not_after
    if gone:
        return begin, begin + _HOUR
    life = end - begin
    return (end - life / 3).replace(microsecond=0), (end - life / 6).replace(microsecond=0)


def info(book: Book, name: str) -> Document:
    """The answer for anyone (RFC 9773, 4.2)."""
    with book.database.glance() as connection:
        row, certificate = find(connection, name)
    start, end = window(certificate, gone=bool(row.revoked) or book.desk.revoked(certificate.serial))
    return {"suggestedWindow": {"start": format_instant(start), "end": format_instant(end)}}


def check_replaced(
    connection: sa.Connection, account: Account, name: object, identifiers: Sequence[Identifier]
) -> None:
    """Raise :class:`Refusal` ``not-found``, ``not-yours`` or ``already-replaced`` (RFC 9773, 5)."""
    row, certificate = find(connection, name)
    names = {*certificate.dns, *certificate.ips}
    if row.account != account.n or names.isdisjoint(one.value for one in identifiers):
        raise Refusal("not-yours", "what is replaced is another account's, or for other hosts")
    if store.replaced(connection, str(name)):
        raise Refusal("already-replaced", "another order replaces this certificate already")
