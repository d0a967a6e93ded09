"""DSA, which signs nothing any more: read only to judge what it signed once (SP 800-131A: legacy use).

Such a key is of no kind (:mod:`e2s.crypto.kinds`), so no suite and no scheme takes it: whoever does not ask
for legacy use refuses it.  A key may leave its parameters to its issuer's (RFC 3279, 2.3.2).
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa

from e2s.base import meter
from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import (
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
    UNREADABLE,
    Certificate,
    Slices,
    assembled,
    read_certificates,
    slices_of,
)
from e2s.crypto.kinds import PublicKey
from e2s.crypto.suites.identifiers import algorithm

#: FIPS 186-4, 4.2, and the 1,024 bits of FIPS 186-2.
_SIZES: Final = frozenset({(1024, 160), (2048, 224), (2048, 256), (3072, 256)})
_NUMBER_OCTETS = 3072 // 8 + 1
_HASHES: Final = MappingProxyType(
    {
        algorithm(oids.DSA_SHA1): hashes.SHA1(),  # noqa: S303 - verified only, where legacy use is asked for
        algorithm(oids.DSA_SHA224): hashes.SHA224(),
        algorithm(oids.DSA_SHA256): hashes.SHA256(),
    }
)
_BLOCK = re.compile(
    rb"-----BEGIN CERTIFICATE-----[\r\n]([A-Za-z0-9+/=\r\n]*+)-----END CERTIFICATE-----", re.ASCII
)
#: Stands for the algorithm of a key that leaves its parameters out, which the library does not read: nobody
#: has a key of it.
_UNREAL = algorithm(f"{oids.ARC}.0")


class DsaKey(NamedTuple):
    """A public key; ``parameters`` are p, q and g, or None where they are its issuer's."""

    y: int
    parameters: tuple[int, int, int] | None

    @classmethod
    def read(cls, spki: bytes) -> DsaKey:
        """Read a SubjectPublicKeyInfo (RFC 3279, 2.3.2); raises ``bad-key`` or ``der-...``."""
        outer = der.Reader(spki).enter()
        named = outer.enter()
        bits = outer.content(der.BIT_STRING)
        outer.done()
        if named.oid() != oids.DSA or bits[:1] != b"\0":
            raise Refusal("bad-key", "the key is not one for DSA")
        held = der.Reader(bits[1:])
        y = held.integer(_NUMBER_OCTETS)
        held.done()
        if named.pos != named.end and named.peek() == der.NULL:
            named.content(der.NULL)
        if named.pos == named.end:
            return cls(y, None)
        numbers = named.enter()
        named.done()
        p, q, g = (numbers.integer(_NUMBER_OCTETS) for _ in range(3))
        numbers.done()
        if (p.bit_length(), q.bit_length()) not in _SIZES or not 1 < g < p or not 1 < y < p:
            raise Refusal("bad-key", "the key's numbers are of no size that DSA had")
        return cls(y, (p, q, g))

    def verifies(self, algorithm: bytes, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` over ``data`` is good; metered as ``verify``.  None is without parameters."""
        hashing = _HASHES.get(algorithm)
        if hashing is None or self.parameters is None:
            return False
        p, q, g = self.parameters
        meter.count("verify")
        try:
            key = dsa.DSAPublicNumbers(self.y, dsa.DSAParameterNumbers(p, q, g)).public_key()
            key.verify(signature, data, hashing)
        except (InvalidSignature, ValueError):
            return False
        return True


def legacy_key(certificate: Certificate) -> DsaKey | None:
    """The certificate's key where it is one for legacy use."""
    key: object = certificate.public_key
    return key if isinstance(key, DsaKey) else None


def with_parameters(certificate: Certificate, parameters: tuple[int, int, int]) -> Certificate:
    """The same certificate, the parameters of its key taken from its issuer's (RFC 5280, 6.1.4 e)."""
    inherited = cast(DsaKey, certificate.public_key)._replace(parameters=parameters)
    return assembled(certificate.der, certificate.slices, certificate.x509, cast(PublicKey, inherited))


def read_legacy(octets: bytes, most: int = MAX_CERTIFICATES) -> tuple[Certificate, ...]:
    """As :func:`~e2s.crypto.certificates.read_certificates`, keys for legacy use among them."""
    try:
        return read_certificates(octets, most)
    except Refusal:
        blocks = [block.group(1) for block in _BLOCK.finditer(octets)]
        if not blocks:
            return (_read(bytes(octets)),)
        if len(blocks) > most:
            raise
    try:
        found = [base64.b64decode(block.translate(None, b"\r\n"), validate=True) for block in blocks]
    except binascii.Error as error:
        raise Refusal("bad-certificate", "the file is not a PEM certificate") from error
    return tuple(_read(one) for one in found)


@lru_cache(maxsize=64)
def _read(octets: bytes) -> Certificate:
    if len(octets) > MAX_CERTIFICATE_BYTES:
        raise Refusal("bad-certificate", "the certificate is larger than may be read", size=len(octets))
    try:
        slices = slices_of(octets)
        if _named(slices) != oids.DSA:
            return Certificate.read(octets)
        key = DsaKey.read(slices.spki)
        parsed = x509.load_der_x509_certificate(octets if key.parameters else _completed(octets, slices))
        return assembled(octets, slices, parsed, cast(PublicKey, key))
    except UNREADABLE as error:
        raise Refusal("bad-certificate", "the octets are not a certificate that can be read") from error


def _named(slices: Slices) -> str:
    """The algorithm of the certificate's key."""
    return der.Reader(slices.spki).enter().enter().oid()


def _completed(octets: bytes, slices: Slices) -> bytes:
    """The certificate with a key of no algorithm, for a parser that insists on parameters."""
    whole = der.Reader(octets).enter()
    parts = der.Reader(whole.element(der.SEQUENCE)).enter().elements(None, 16)
    key = der.Reader(slices.spki).enter()
    key.element(der.SEQUENCE)
    parts[parts.index(slices.spki)] = der.sequence(_UNREAL, key.element(der.BIT_STRING))
    return der.sequence(der.sequence(*parts), *whole.elements(None, 2))
