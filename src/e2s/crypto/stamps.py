"""A time stamp proves that octets existed, by the word of an authority (RFC 3161, profile of RFC 5816).

The token is a SignedData over TSTInfo; here it is asked for, given, read and its signature checked.
The path of the authority's certificate and its purpose are the verifier's to judge.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.cms.signed import Limits, Signed, check_signature, read_signed
from e2s.crypto.cms.signing import sign
from e2s.crypto.ports import Signer
from e2s.crypto.suites import SHA256_ALGORITHMS

MAX_BYTES = 64 * 1024
_LIMITS = Limits(max_bytes=MAX_BYTES, exact=False)
_DIGEST_SIZE = 32
_NUMBER_OCTETS = 20
_GRANTED = frozenset((0, 1))
_REJECTION = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Query:
    """A TimeStampReq as read."""

    imprint: bytes
    nonce: int | None
    policy: str | None
    wants_certificate: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Stamp:
    """A time-stamp token as read; :func:`check_token` proves its signature."""

    at: datetime
    imprint: bytes
    serial: int
    nonce: int | None
    policy: str
    signed: Signed = field(repr=False)


def request(imprint_sha256: bytes, nonce: int) -> bytes:
    """A TimeStampReq for a SHA-256 digest that asks for the authority's certificate."""
    if len(imprint_sha256) != _DIGEST_SIZE:
        raise Misuse("bad-imprint", "the imprint is a SHA-256 digest")
    return der.sequence(
        der.integer(1), _imprint(imprint_sha256), der.integer(nonce), der.tlv(der.BOOLEAN, b"\xff")
    )


def read_request(octets: bytes) -> Query:
    """Read a TimeStampReq; raises :class:`Refusal` ``bad-stamp-request`` or ``der-...``."""
    reader = _open(octets)
    if reader.integer() != 1:
        raise Refusal("bad-stamp-request", "the request's version is unknown here")
    imprint = _read_imprint(reader, "bad-stamp-request")
    policy = reader.oid() if reader.peek() == der.OID else None
    nonce = reader.integer(_NUMBER_OCTETS) if reader.peek() == der.INTEGER else None
    wants = reader.peek() == der.BOOLEAN
    if wants and not reader.boolean():
        raise Refusal("bad-stamp-request", "a default is not written in DER")
    if reader.pos != reader.end:
        raise Refusal("bad-stamp-request", "extensions are not accepted")
    return Query(imprint=imprint, nonce=nonce, policy=policy, wants_certificate=wants)


def respond(request_der: bytes, signer: Signer, serial: int, at: datetime, policy: str) -> bytes:
    """A TimeStampResp that grants what is asked: a token of ``serial`` at ``at`` under ``policy``.

    Raises :class:`Refusal` for a request that cannot be granted; :func:`reject` makes its answer.
    """
    query = read_request(request_der)
    if query.policy not in {None, policy}:
        raise Refusal("bad-stamp-request", "the policy asked for is not this authority's")
    info = der.sequence(
        der.integer(1),
        der.oid(policy),
        _imprint(query.imprint),
        der.integer(serial),
        der.generalized_time(at),
        # accuracy: one second
        der.sequence(der.integer(1)),
        der.integer(query.nonce) if query.nonce is not None else b"",
    )
    return der.sequence(der.sequence(der.integer(0)), sign(info, oids.TST_INFO, signer, at))


def reject(text: str) -> bytes:
    """A TimeStampResp that grants nothing and says why (badRequest)."""
    # PKIFailureInfo is a named bit string: badRequest is bit 2, five unused bits
    failure = der.tlv(der.BIT_STRING, b"\x05\x20")
    return der.sequence(der.sequence(der.integer(_REJECTION), der.sequence(der.utf8(text)), failure))


def read_response(octets: bytes) -> bytes:
    """The token of a TimeStampResp; raises :class:`Refusal` ``stamp-not-granted`` or ``der-...``."""
    reader = _open(octets)
    status = reader.enter()
    granted = status.integer() in _GRANTED
    if not granted or reader.pos == reader.end:
        raise Refusal("stamp-not-granted", "the authority gave no time stamp")
    token = reader.element(der.SEQUENCE)
    reader.done()
    return token


def read_token(token_der: bytes) -> Stamp:
    """Read a token strictly; its signature is not checked here.  Raises ``bad-stamp``, ``cms-...``."""
    signed = read_signed(token_der, _LIMITS)
    if signed.content_type != oids.TST_INFO:
        raise Refusal("bad-stamp", "the signed content is no time stamp", found=signed.content_type)
    if signed.said.certificate_digest is None:
        raise Refusal("bad-stamp", "the authority's certificate is not named by what it signed")
    reader = _open(signed.octets)
    if reader.integer() != 1:
        raise Refusal("bad-stamp", "the time stamp's version is unknown here")
    policy = reader.oid()
    imprint = _read_imprint(reader, "bad-stamp")
    serial = reader.integer(_NUMBER_OCTETS + 1)
    at = reader.generalized_time()
    if reader.peek() == der.SEQUENCE:
        der.check(reader.element())
    if reader.peek() == der.BOOLEAN and not reader.boolean():
        raise Refusal("bad-stamp", "a default is not written in DER")
    nonce = reader.integer(_NUMBER_OCTETS) if reader.peek() == der.INTEGER else None
    if reader.peek() == 0xA0:
        der.check(reader.element())
    if reader.pos != reader.end:
        raise Refusal("bad-stamp", "extensions are not accepted")
    return Stamp(at=at, imprint=imprint, serial=serial, nonce=nonce, policy=policy, signed=signed)


def check_token(token_der: bytes, imprint_sha256: bytes, nonce: int | None = None) -> Stamp:
    """The stamp in a token over ``imprint_sha256``, its signature proven.

    Raises :class:`Refusal` ``wrong-imprint``, ``wrong-nonce`` (where ``nonce`` is given) and what
    :func:`~e2s.crypto.cms.check_signature` raises.
    """
    stamp = read_token(token_der)
    if not hmac.compare_digest(stamp.imprint, imprint_sha256):
        raise Refusal("wrong-imprint", "the time stamp is over something else")
    if nonce is not None and stamp.nonce != nonce:
        raise Refusal("wrong-nonce", "the time stamp answers another request")
    check_signature(stamp.signed)
    return stamp


def _open(octets: bytes) -> der.Reader:
    """The content of one whole SEQUENCE."""
    if len(octets) > MAX_BYTES:
        raise Refusal("too-large", "the time stamp is larger than may be read", size=len(octets))
    outer = der.Reader(octets)
    reader = outer.enter()
    outer.done()
    return reader


def _imprint(digest: bytes) -> bytes:
    """A MessageImprint of a SHA-256 digest."""
    return der.sequence(SHA256_ALGORITHMS[0], der.octet_string(digest))


def _read_imprint(reader: der.Reader, rule: str) -> bytes:
    """The digest of a MessageImprint, SHA-256 only."""
    imprint = reader.enter()
    algorithm = imprint.element(der.SEQUENCE)
    digest = imprint.content(der.OCTET_STRING)
    imprint.done()
    if algorithm not in SHA256_ALGORITHMS or len(digest) != _DIGEST_SIZE:
        raise Refusal(rule, "the imprint is not a SHA-256 digest")
    return digest
