"""An OCSP answer is made from values alone: what is asked, how it stands, until when, and who signs.

RFC 6960, 4.2, written straight in DER.  The responder is named by its key (4.2.2.3), and its certificate goes
along where it is not the CA's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from e2s.base.errors import Misuse
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.security.status.entries import Entry
from e2s.security.status.queries import DIGESTS, nonce_extension
from e2s.security.verification.ocsp import hashes_of
from e2s.security.verification.revoked import HELD, REASONS

_CODES = {name: code for code, name in REASONS.items()}
_BASIC = der.oid("1.3.6.1.5.5.7.48.1.1")
_GOOD, _UNKNOWN = b"\x80\x00", b"\x82\x00"
#: RFC 6960, 4.4.8: a serial that was never issued may be told as revoked.
_EXTENDED = der.sequence(der.oid("1.3.6.1.5.5.7.48.1.9"), der.octet_string(b"\x05\x00"))
_NEVER = Entry(0, datetime(1970, 1, 1, tzinfo=UTC), HELD)

#: OCSPResponseStatus (4.2.1): answers without a signature that say why there is no other.
MALFORMED, INTERNAL, TRY_LATER, UNAUTHORIZED = (
    der.sequence(der.tlv(der.ENUMERATED, bytes((code,)))) for code in (1, 2, 3, 6)
)


@dataclass(frozen=True)
class Status:
    """How a certificate stands: ``entry`` of a revoked one; ``known``: whether the CA issued its serial."""

    known: bool
    entry: Entry | None = None


class Single(NamedTuple):
    """A CertID as it was asked, DER, and the status of its certificate."""

    cert_id: bytes
    status: Status


def cert_id(issuer: Certificate, serial: int, hashing: str = "sha1") -> bytes:
    """The CertID of a certificate of ``issuer``, DER; RFC 5019, 2.1.1 asks for SHA-1."""
    name, key = hashes_of(issuer, hashing)
    return der.sequence(
        DIGESTS[hashing][hashing == "sha1"],
        der.octet_string(name),
        der.octet_string(key),
        der.integer(serial),
    )


def write_answer(
    singles: Iterable[Single],
    signer: Signer,
    issuer: Certificate,
    *,
    at: datetime,
    until: datetime,
    nonce: bytes | None = None,
    extended: bool = False,
) -> bytes:
    """An OCSPResponse that holds from ``at`` to ``until``, signed for ``issuer``, DER.

    ``extended``: serials that were never issued are told as revoked (2.2), otherwise as unknown.  Raises
    :class:`Misuse` ``bad-instant``.
    """
    if at >= until:
        raise Misuse("bad-instant", "an answer ends after it began")
    produced, ends = _instant(at), _instant(until)
    times = produced + der.tlv(0xA0, ends)
    made = [
        der.tlv(der.SEQUENCE, one.cert_id + _status(one.status, extended=extended) + times) for one in singles
    ]
    more = b""
    if nonce is not None or extended:
        said = (nonce_extension(nonce) if nonce is not None else b"", _EXTENDED if extended else b"")
        more = der.tlv(0xA1, der.sequence(*said))
    own, suite = signer.certificate, signer.suite
    responder, delegate = _names(own, issuer)
    listed = der.tlv(der.SEQUENCE, b"".join(made))
    data = der.tlv(der.SEQUENCE, responder + produced + listed + more)
    signature = der.tlv(der.BIT_STRING, b"\0" + signer.sign(data))
    basic = der.tlv(der.SEQUENCE, data + suite.signature_algorithm + signature + delegate)
    held = der.tlv(0xA0, der.tlv(der.SEQUENCE, _BASIC + der.octet_string(basic)))
    return der.tlv(der.SEQUENCE, b"\x0a\x01\x00" + held)


def _status(status: Status, *, extended: bool) -> bytes:
    """A CertStatus."""
    entry = status.entry
    if entry is None:
        if status.known:
            return _GOOD
        if not extended:
            return _UNKNOWN
        entry = _NEVER
    since = _instant(entry.at)
    if entry.reason == "unspecified":
        return der.tlv(0xA1, since)
    return der.tlv(0xA1, since + der.tlv(0xA0, der.tlv(der.ENUMERATED, bytes((_CODES[entry.reason],)))))


@lru_cache(maxsize=1024)
def _instant(at: datetime) -> bytes:
    """A GeneralizedTime; answers of the same second have the same ones."""
    return der.generalized_time(at)


@lru_cache(maxsize=64)
def _names(own: Certificate, issuer: Certificate) -> tuple[bytes, bytes]:
    """The ResponderID by key, SHA-1 of its bits, and the delegate's certificate as it goes along."""
    responder = der.tlv(0xA2, der.octet_string(hashes_of(own, "sha1")[1]))
    return responder, b"" if own == issuer else der.tlv(0xA0, der.sequence(own.der))
