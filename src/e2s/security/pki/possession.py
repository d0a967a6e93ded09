"""A PKCS #10 request proves that who asks holds the key (RFC 2986); its wishes for names are not read."""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.kinds import PublicKey, kind_of
from e2s.crypto.suites import signature_suite_of
from e2s.security.verification import signatures

MAX_REQUEST_BYTES: Final = 16 * 1024


class Proven(NamedTuple):
    """A key whose possession was proven, and its SubjectPublicKeyInfo, DER."""

    key: PublicKey
    spki: bytes


def read_proof(octets: bytes) -> Proven:
    """The key that the request asks for and is signed by.

    Raises :class:`Refusal` ``bad-request``, ``suite-unknown`` or ``no-possession``.
    """
    if len(octets) > MAX_REQUEST_BYTES:
        raise Refusal("bad-request", "the request is larger than may be read", size=len(octets))
    try:
        parsed = x509.load_der_x509_csr(octets)
        key = parsed.public_key()
        signature = parsed.signature
        signed, algorithm, spki = _parts(octets)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, Refusal) as error:
        raise Refusal("bad-request", "the octets are not a request that can be read") from error
    if not kind_of(type(key)):
        raise Refusal("bad-request", "the request's key is of an unknown kind")
    known = cast(PublicKey, key)
    signature_suite_of(known)
    if not signatures.good(known, algorithm, signature, signed):
        raise Refusal("no-possession", "the request is not signed by the key that it names")
    return Proven(known, spki)


def _parts(octets: bytes) -> tuple[bytes, bytes, bytes]:
    """What is signed, the AlgorithmIdentifier and the SubjectPublicKeyInfo (RFC 2986, 4)."""
    outer = der.Reader(octets)
    whole = outer.enter()
    outer.done()
    signed = whole.element(der.SEQUENCE)
    algorithm = whole.element(der.SEQUENCE)
    info = der.Reader(signed).enter()
    info.span(der.INTEGER)
    info.span(der.SEQUENCE)
    return signed, algorithm, info.element(der.SEQUENCE)
