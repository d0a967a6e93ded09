"""A PKCS #10 request proves that who asks holds the key (RFC 2986); its wishes for names are not read.

A key that signs nothing, as of ML-KEM or X25519, cannot prove that: the request is signed by another, whose
certificate it holds (RFC 9883).  Whether that is believed is the CA's to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PublicKey, kind_of
from e2s.crypto.suites import sealing_suites_of, signature_suite_of
from e2s.security.verification import signatures

MAX_REQUEST_BYTES: Final = 16 * 1024
_LONG: Final = 0x80
_MAX_ATTRIBUTES: Final = 16
_STATEMENT: Final = der.oid(oids.POSSESSION_STATEMENT)


class Proven(NamedTuple):
    """A key whose possession was proven, and its SubjectPublicKeyInfo, DER.

    ``stated`` is the certificate of the key by which it was only stated.
    """

    key: PublicKey
    spki: bytes
    stated: Certificate | None = None


def read_proof(octets: bytes) -> Proven:
    """The key that the request asks for and is signed by, or that its signer states to hold.

    Raises :class:`Refusal` ``bad-request``, ``suite-unknown`` or ``no-possession``.
    """
    proven, algorithm, signature, signed = _read(octets)
    key = proven.key if proven.stated is None else proven.stated.public_key
    if not signatures.good(key, algorithm, signature, signed):
        raise Refusal("no-possession", "the request is not signed by the key that it names, or states")
    return proven


def read_proven(octets: bytes) -> Proven:
    """The same of a request whose signature was found good elsewhere.

    Raises :class:`Refusal` ``bad-request``.
    """
    if _STATEMENT in octets:
        return _read(octets)[0]
    try:
        key = x509.load_der_x509_csr(octets).public_key()
        return Proven(cast(PublicKey, key), _parts(octets)[2])
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Refusal("bad-request", "the octets are not a request that can be read") from error


def prove_here(requests: Sequence[bytes]) -> list[Proven | Refusal]:
    """For each request its key, or why it proves nothing."""
    return [_tried(one) for one in requests]


def _tried(octets: bytes) -> Proven | Refusal:
    try:
        return read_proof(octets)
    except Refusal as refusal:
        return refusal


def _read(octets: bytes) -> tuple[Proven, bytes, bytes, bytes]:
    """The key, and the algorithm, the signature and what it is over."""
    if len(octets) > MAX_REQUEST_BYTES:
        raise Refusal("bad-request", "the request is larger than may be read", size=len(octets))
    try:
        parsed = x509.load_der_x509_csr(octets)
        key = parsed.public_key()
        signature = parsed.signature
        signed, algorithm, spki = _parts(octets)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Refusal("bad-request", "the octets are not a request that can be read") from error
    if not kind_of(type(key)):
        raise Refusal("bad-request", "the request's key is of an unknown kind")
    known = cast(PublicKey, key)
    stated = _statement(octets) if _STATEMENT in octets else None
    if stated is None:
        signature_suite_of(known)
    elif not sealing_suites_of(known):
        raise Refusal("suite-unknown", "no suite seals to a key of this kind or size")
    return Proven(known, spki, stated), algorithm, signature, signed


def _statement(octets: bytes) -> Certificate:
    """The certificate of a PrivateKeyPossessionStatement (RFC 9883, 4), of the request's subject.

    It must be there: who states is looked for nowhere else.
    """
    try:
        info = der.Reader(octets).enter().enter()
        info.span(der.INTEGER)
        subject = info.element(der.SEQUENCE)
        info.span(der.SEQUENCE)
        for one in info.enter(0xA0).elements(der.SEQUENCE, _MAX_ATTRIBUTES):
            attribute = der.Reader(one).enter()
            if attribute.oid() != oids.POSSESSION_STATEMENT:
                continue
            values = attribute.enter(der.SET)
            attribute.done()
            statement = values.enter()
            values.done()
            named = statement.element(der.SEQUENCE)
            stated = Certificate.read(statement.element(der.SEQUENCE))
            statement.done()
            if named != stated.issuer_and_serial or subject != stated.slices.subject:
                break
            return stated
    except Refusal as refusal:
        raise Refusal("bad-request", f"the statement cannot be read: {refusal.message}") from refusal
    raise Refusal("bad-request", "the request has no statement by its own subject's certificate")


def _parts(octets: bytes) -> tuple[bytes, bytes, bytes]:
    """What is signed, the AlgorithmIdentifier and the SubjectPublicKeyInfo (RFC 2986, 4).

    The library read the request: lengths are in their shortest form, and hold.
    """
    begin = _content(octets, 0)
    end = _end(octets, begin)
    version = _content(octets, begin)
    subject = _end(octets, version)
    key = _end(octets, subject)
    return octets[begin:end], octets[end : _end(octets, end)], octets[key : _end(octets, key)]


def _content(octets: bytes, at: int) -> int:
    """Where the content of the element at ``at`` begins."""
    size = octets[at + 1]
    return at + 2 if size < _LONG else at + 2 + size - _LONG


def _end(octets: bytes, at: int) -> int:
    """Where the element at ``at`` ends."""
    size = octets[at + 1]
    if size < _LONG:
        return at + 2 + size
    begin = at + 2 + size - _LONG
    return begin + int.from_bytes(octets[at + 2 : begin], "big")
