"""A revocation list is made from values alone: entries, number, instants and the issuer's signer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Misuse
from e2s.crypto.ports import Signer
from e2s.security.keys.lent import built, lent


def revocation_list(
    revoked: Iterable[tuple[int, datetime, str]],
    issuer: Signer,
    *,
    number: int,
    at: datetime,
    lifetime: timedelta,
) -> bytes:
    """A complete CRL over (serial, instant, reason), DER; reasons as in RFC 5280, 5.3.1."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.x509.subject)
        .last_update(at)
        .next_update(at + lifetime)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(issuer.certificate.key_id, None, None), critical=False)
    )
    for serial, since, reason in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
        flag = reason_flag(reason)
        if flag is not x509.ReasonFlags.unspecified:
            entry = entry.add_extension(x509.CRLReason(flag), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return built(builder, lent(issuer), issuer.suite).public_bytes(Encoding.DER)


def reason_flag(reason: str) -> x509.ReasonFlags:
    """The reason as RFC 5280 knows it; raises :class:`Misuse` ``bad-reason``."""
    try:
        flag = x509.ReasonFlags(reason)
    except ValueError as error:
        raise Misuse("bad-reason", "RFC 5280, 5.3.1 names the reasons", reason=reason) from error
    if flag is x509.ReasonFlags.remove_from_crl:
        raise Misuse("bad-reason", "a revocation is not taken back", reason=reason)
    return flag
