"""A PKCS #10 request proves that who asks holds the key (RFC 2986); its wishes for names are not read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from e2s.base.errors import Refusal
from e2s.crypto.kinds import PublicKey, kind_of
from e2s.crypto.suites import signature_suite_of
from e2s.security.verification import signatures

MAX_REQUEST_BYTES: Final = 16 * 1024
_LONG: Final = 0x80


class Proven(NamedTuple):
    """A key whose possession was proven, and its SubjectPublicKeyInfo, DER."""

    key: PublicKey
    spki: bytes


def read_proof(octets: bytes) -> Proven:
    """The key that the request asks for and is signed by.

    Raises :class:`Refusal` ``bad-request``, ``suite-unknown`` or ``no-possession``.
    """
    proven, algorithm, signature, signed = _read(octets)
    if not signatures.good(proven.key, algorithm, signature, signed):
        raise Refusal("no-possession", "the request is not signed by the key that it names")
    return proven


def read_proven(octets: bytes) -> Proven:
    """The same of a request whose signature was found good elsewhere."""
    return _read(octets)[0]


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
    signature_suite_of(known)
    return Proven(known, spki), algorithm, signature, signed


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
