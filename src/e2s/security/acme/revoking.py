"""Who holds a certificate, its account or its key, has it revoked (RFC 8555, 7.6)."""

from __future__ import annotations

from typing import Final

from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import Document, unb64u
from e2s.crypto.certificates import MAX_CERTIFICATE_BYTES, Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey
from e2s.security.acme import store
from e2s.security.acme.book import DOOR, Account, Book, controls
from e2s.security.enrolment.asking import Holder, Shown

#: RFC 5280, 5.3.1: those that a holder may give.
REASONS: Final = {
    0: "unspecified",
    1: "keyCompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    9: "privilegeWithdrawn",
}


def revoke(book: Book, account: Account | None, key: PublicKey, payload: Document) -> None:
    """Revoke the certificate in ``payload`` for good.

    Raises :class:`Refusal` ``bad-certificate``, ``bad-reason``, ``already-revoked``, ``not-yours``,
    ``foreign-certificate`` where the key that signed is neither, and as the desk refuses.
    """
    text = payload.get("certificate")
    if not isinstance(text, str) or len(text) > 2 * MAX_CERTIFICATE_BYTES:
        raise Refusal("bad-certificate", "a certificate is DER in base64url, of a fair length")
    certificate = Certificate.read(unb64u(text))
    code = payload.get("reason", 0)
    reason = REASONS.get(code) if type(code) is int else None
    if reason is None:
        raise Refusal("bad-reason", f"the reason is one of {' '.join(map(str, REASONS))}")
    shown = _shown(book, account, key, certificate)
    if certificate.slices.issuer != book.desk.issuer.slices.subject:
        raise Refusal("no-such-certificate", "this certificate is another CA's")
    with book.database.glance() as connection:
        row = store.order_of_serial(connection, f"{certificate.serial:x}")
    known = row is not None and bytes(row.certificate or b"") == certificate.der
    if known and book.desk.revoked(certificate.serial):
        raise Refusal("already-revoked", "this certificate is revoked")
    book.desk.withdraw(certificate.serial, reason, shown, door=DOOR)
    if row is not None:
        n = row.n
        book.together.write(lambda connection: store.change_order(connection, n, revoked=1))


def _shown(book: Book, account: Account | None, key: PublicKey, certificate: Certificate) -> Shown:
    """Who asks: the account with the hosts of the certificate that it controls now, or the key's holder."""
    if account is None:
        if spki_of(key) != certificate.spki:
            raise Refusal("foreign-certificate", "the key that signed is not the certificate's")
        return Holder(certificate=certificate)
    now = format_instant(book.now())
    names = [("dns", one.lower()) for one in certificate.dns] + [("ip", one) for one in certificate.ips]
    with book.database.reading() as connection:
        hosts = tuple(
            host
            for kind, host in names
            if store.standing(connection, account.n, kind, host, "valid", now) is not None
        )
    return controls(account, hosts)
