"""A certificate is its octets: read once, strictly, and compared by them.

Whom it names and what for is read here; whether it is to be trusted is the verifier's word.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Refusal
from e2s.base.wire import b64u
from e2s.crypto import der

MAX_CERTIFICATE_BYTES = 32 * 1024
MAX_CERTIFICATES = 64

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_Texts: TypeAlias = tuple[str, ...]

#: All that the parsers below raise for a certificate that is none, or that they do not know.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    Refusal,
)
_PEM = b"-----BEGIN"


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """One X.509 certificate; equal to another if and only if their octets are."""

    der: bytes
    digest: bytes
    id: str
    x509: x509.Certificate
    public_key: PublicKey
    spki: bytes
    names: tuple[str, ...]
    dns: tuple[str, ...]
    ips: tuple[str, ...]
    ekus: frozenset[str]
    not_before: datetime
    not_after: datetime
    serial: int
    subject: str
    issuer: str
    key_id: bytes | None
    issuer_and_serial: bytes

    @classmethod
    def read(cls, octets: bytes) -> Certificate:
        """Read one certificate, DER or PEM; raises :class:`Refusal` ``bad-certificate``."""
        if octets.lstrip()[: len(_PEM)] == _PEM:
            found = read_certificates(octets)
            if len(found) != 1:
                raise Refusal("bad-certificate", "one certificate was expected", found=len(found))
            return found[0]
        if len(octets) > MAX_CERTIFICATE_BYTES:
            raise Refusal("bad-certificate", "the certificate is larger than may be read", size=len(octets))
        return _read(bytes(octets))

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.x509.public_bytes(Encoding.PEM)

    @property
    def name(self) -> str:
        """The party's or person's name: the first URI, or the empty string."""
        return self.names[0] if self.names else ""

    def __eq__(self, other: object) -> bool:
        """Equal octets."""
        return self is other or (isinstance(other, Certificate) and self.der == other.der)

    def __hash__(self) -> int:
        """By the octets' digest."""
        return hash(self.digest)

    def __repr__(self) -> str:
        """Who and which, for a log."""
        return f"<Certificate {self.name or self.subject} {self.id}>"


def read_certificates(octets: bytes) -> tuple[Certificate, ...]:
    """All certificates of a PEM file, or the one of a DER file; raises ``bad-certificate``."""
    if _PEM not in octets:
        return (Certificate.read(octets),)
    if len(octets) > MAX_CERTIFICATES * MAX_CERTIFICATE_BYTES:
        raise Refusal("bad-certificate", "the file is larger than may be read", size=len(octets))
    try:
        found = x509.load_pem_x509_certificates(octets)
        return tuple(Certificate.read(one.public_bytes(Encoding.DER)) for one in found[:MAX_CERTIFICATES])
    except ValueError as error:
        raise Refusal("bad-certificate", "the file is not a PEM certificate") from error


@lru_cache(maxsize=1024)
def _read(octets: bytes) -> Certificate:
    """Read DER; the same few certificates come with nearly every act, so the last ones are kept."""
    try:
        return _parse(octets)
    except _UNREADABLE as error:
        raise Refusal("bad-certificate", "the octets are not a certificate that can be read") from error


def _parse(octets: bytes) -> Certificate:
    """The facts of a certificate; raises whatever the parsers raise."""
    issuer_and_serial, spki = _slices(octets)
    parsed = x509.load_der_x509_certificate(octets)
    key = parsed.public_key()
    extensions = parsed.extensions
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise Refusal("bad-certificate", "the certificate's key is of an unknown kind")
    digest = sha256(octets).digest()
    names, dns, ips = _alternative_names(extensions)
    return Certificate(
        der=octets,
        digest=digest,
        id="sha-256:" + b64u(digest),
        x509=parsed,
        public_key=key,
        spki=spki,
        names=names,
        dns=dns,
        ips=ips,
        ekus=_usages(extensions),
        not_before=parsed.not_valid_before_utc,
        not_after=parsed.not_valid_after_utc,
        serial=parsed.serial_number,
        subject=parsed.subject.rfc4514_string(),
        issuer=parsed.issuer.rfc4514_string(),
        key_id=_key_id(extensions),
        issuer_and_serial=issuer_and_serial,
    )


def _slices(octets: bytes) -> tuple[bytes, bytes]:
    """The IssuerAndSerialNumber (RFC 5652, 10.2.4) and SubjectPublicKeyInfo of a certificate."""
    tbs = der.Reader(octets).enter().enter()
    if tbs.peek() == 0xA0:
        tbs.span(0xA0)
    begin = tbs.pos
    # RFC 5280, 4.1.2.2: positive, at most 20 octets
    if tbs.integer(20) <= 0:
        raise Refusal("bad-certificate", "the serial number is not positive")
    serial = octets[begin : tbs.pos]
    tbs.span(der.SEQUENCE)
    issuer = tbs.element(der.SEQUENCE)
    tbs.span(der.SEQUENCE)
    tbs.span(der.SEQUENCE)
    return der.sequence(issuer, serial), tbs.element(der.SEQUENCE)


def _alternative_names(
    extensions: x509.Extensions,
) -> tuple[_Texts, _Texts, _Texts]:
    """URIs, DNS names and IP addresses of the subject."""
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), (), ()
    return (
        tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(str(ip) for ip in names.get_values_for_type(x509.IPAddress)),
    )


def _usages(extensions: x509.Extensions) -> frozenset[str]:
    """The extended key usages, dotted."""
    try:
        usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(usage.dotted_string for usage in usages)


def _key_id(extensions: x509.Extensions) -> bytes | None:
    """The subject key identifier, if there is one of a usual size."""
    try:
        found = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None
    return found if 8 <= len(found) <= 64 else None
