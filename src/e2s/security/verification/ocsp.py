"""An OCSP answer speaks for the certificates that it names, signed by their issuer or whom it delegated.

RFC 6960, 3.2 and 4.2.2: the answer names its certificate by hashes of the issuer's name and key; a delegated
responder is certified by that issuer itself, for that purpose alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from e2s.base.errors import Refusal
from e2s.base.instants import DELTA
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.security.verification.crls import Revocation
from e2s.security.verification.traits import Traits, traits

MAX_ANSWER_BYTES = 256 * 1024
_MAX_SINGLES = 1000
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, Refusal)
#: Hashes by which an answer may name a certificate's issuer (RFC 6960, 4.1.1; RFC 5019 asks for SHA-1).
_HASHES: dict[str, Callable[[bytes], bytes]] = {
    "sha1": lambda octets: hashlib.sha1(octets, usedforsecurity=False).digest(),
    "sha256": lambda octets: hashlib.sha256(octets).digest(),
    "sha384": lambda octets: hashlib.sha384(octets).digest(),
    "sha512": lambda octets: hashlib.sha512(octets).digest(),
}
_STATUS = {ocsp.OCSPCertStatus.GOOD: "good", ocsp.OCSPCertStatus.REVOKED: "revoked"}


@dataclass(frozen=True)
class Single:
    """What an answer says of one certificate."""

    hashing: str
    name_hash: bytes
    key_hash: bytes
    serial: int
    status: Literal["good", "revoked", "unknown"]
    revocation: Revocation | None
    this_update: datetime
    next_update: datetime

    def fresh(self, at: datetime) -> bool:
        """Whether it speaks for the instant: thisUpdate − δ ≤ at < nextUpdate."""
        return self.this_update - DELTA <= at < self.next_update


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """A successful BasicOCSPResponse as read; compared by identity."""

    der: bytes = field(repr=False)
    responder: bytes
    by_key: bool
    singles: tuple[Single, ...]
    certificates: tuple[Certificate, ...]
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    tbs: bytes = field(repr=False)

    @classmethod
    def read(cls, octets: bytes) -> Answer:
        """Read an OCSPResponse; raises :class:`Refusal` ``bad-ocsp``.  The last ones read are kept."""
        if len(octets) > MAX_ANSWER_BYTES:
            raise Refusal("bad-ocsp", "the OCSP answer is larger than may be read", size=len(octets))
        return _read(bytes(octets))

    def single(self, certificate: Traits, issuer: Traits) -> Single | None:
        """What it says of ``certificate``, issued by ``issuer``."""
        serial = certificate.certificate.serial
        for one in self.singles:
            if one.serial != serial or one.hashing not in _HASHES:
                continue
            if (one.name_hash, one.key_hash) == hashes_of(issuer.certificate, one.hashing):
                return one
        return None

    def by(self, responder: Certificate) -> bool:
        """Whether it names ``responder`` as who answers."""
        if self.by_key:
            return hashes_of(responder, "sha1")[1] == self.responder
        return traits(responder).subject == self.responder


def is_delegated(responder: Certificate, issuer: Certificate) -> bool:
    """Whether the certificate is for answering in the name of ``issuer`` (RFC 6960, 4.2.2.2)."""
    link = traits(responder)
    return (
        link.issued_by(traits(issuer)) and oids.EKU_OCSP in responder.ekus and link.may("digital_signature")
    )


def is_unchecked(responder: Certificate) -> bool:
    """Whether its issuer vouches for it for its whole life (RFC 6960, 4.2.2.2.1: id-pkix-ocsp-nocheck)."""
    return x509.OCSPNoCheck in responder.values


@lru_cache(maxsize=256)
def hashes_of(issuer: Certificate, hashing: str) -> tuple[bytes, bytes]:
    """Hashes of a certificate's subject and of its key's bits (RFC 6960, 4.1.1), by a digest's name."""
    spki = der.Reader(issuer.spki).enter()
    spki.element(der.SEQUENCE)
    bits = spki.content(der.BIT_STRING)
    hashed = _HASHES[hashing]
    return hashed(traits(issuer).subject), hashed(bits[1:])


@lru_cache(maxsize=256)
def _read(octets: bytes) -> Answer:
    try:
        response = ocsp.load_der_ocsp_response(octets)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise Refusal("bad-ocsp", "the responder gave no answer", status=response.response_status.name)
        singles = tuple(_single(one) for _, one in zip(range(_MAX_SINGLES), response.responses, strict=False))
        name, key = response.responder_name, response.responder_key_hash
        responder = key if key is not None else name.public_bytes() if name is not None else b""
        return Answer(
            der=octets,
            responder=responder,
            by_key=key is not None,
            singles=singles,
            certificates=tuple(
                Certificate.read(one.public_bytes(Encoding.DER)) for one in response.certificates
            ),
            algorithm=_algorithm(octets),
            signature=response.signature,
            tbs=response.tbs_response_bytes,
        )
    except _UNREADABLE as error:
        if isinstance(error, Refusal) and error.rule == "bad-ocsp":
            raise
        raise Refusal("bad-ocsp", "the octets are not an OCSP answer that can be read") from error


def _algorithm(octets: bytes) -> bytes:
    """The AlgorithmIdentifier of a BasicOCSPResponse's signature, whole (4.2.1)."""
    response = der.Reader(octets).enter()
    response.element(der.ENUMERATED)
    held = response.enter(0xA0).enter()
    held.oid()
    basic = der.Reader(held.content(der.OCTET_STRING)).enter()
    basic.element(der.SEQUENCE)
    return basic.element(der.SEQUENCE)


def _single(one: ocsp.OCSPSingleResponse) -> Single:
    """One SingleResponse; one without nextUpdate is taken as never fresh (RFC 5019, 2.2.4)."""
    revocation = None
    if one.revocation_time_utc is not None:
        reason = one.revocation_reason
        revocation = Revocation(
            one.revocation_time_utc, reason.value if reason is not None else "unspecified"
        )
    return Single(
        hashing=one.hash_algorithm.name,
        name_hash=one.issuer_name_hash,
        key_hash=one.issuer_key_hash,
        serial=one.serial_number,
        status=_STATUS.get(one.certificate_status, "unknown"),  # type: ignore[arg-type]
        revocation=revocation,
        this_update=one.this_update_utc,
        next_update=one.next_update_utc or one.this_update_utc,
    )
