"""A certificate is its octets: read once, strictly, and compared by them.

Whom it names and what for is read here; whether it is to be trusted is the verifier's word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.errors import Refusal
from e2s.base.wire import b64u
from e2s.crypto import der
from e2s.crypto.kinds import PublicKey, kind_of
from e2s.crypto.pem import armoured

MAX_CERTIFICATE_BYTES = 32 * 1024
MAX_CERTIFICATES = 64
SERIAL_BYTES = 16
MAX_SERIAL_BYTES = 20

#: 17 bits in practice; one as long as the modulus makes each verification a hundred times as slow.
_MAX_EXPONENT_BITS = 64
#: 160 or 256 bits in practice.
_KEY_ID_SIZES = range(8, 65)

_Texts: TypeAlias = tuple[str, ...]
_Extension: TypeAlias = x509.Extension[Any]

#: All that the parsers below raise for a certificate that is none, or that they do not know.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    Refusal,
)
_PEM = b"-----BEGIN"


def serial_number(random: Callable[[int], bytes]) -> int:
    """A positive serial of 128 random bits, of which the top one is set so that it never is zero."""
    return int.from_bytes(random(SERIAL_BYTES), "big") | 1 << 127


class Slices(NamedTuple):
    """The parts of a certificate as they stand in it, DER; ``signature`` is None unless whole octets.

    ``algorithm`` is the AlgorithmIdentifier beside the signature.
    """

    serial: bytes
    issuer: bytes
    subject: bytes
    spki: bytes
    tbs: bytes
    algorithm: bytes
    signature: bytes | None


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """One X.509 certificate; equal to another if and only if their octets are."""

    der: bytes
    digest: bytes
    id: str
    x509: x509.Certificate
    public_key: PublicKey
    names: tuple[str, ...]
    dns: tuple[str, ...]
    ips: tuple[str, ...]
    ekus: frozenset[str]
    not_before: datetime
    not_after: datetime
    serial: int
    key_id: bytes | None
    slices: Slices
    #: Extensions by the class of their value; those that the library does not know are in a list.
    values: Mapping[type, Any]
    critical: tuple[_Extension, ...]

    @classmethod
    def read(cls, octets: bytes) -> Certificate:
        """Read one certificate, DER or PEM; raises :class:`Refusal` ``bad-certificate``."""
        if octets[:1] != b"0" and octets.lstrip()[: len(_PEM)] == _PEM:
            found = read_certificates(octets)
            if len(found) != 1:
                raise Refusal("bad-certificate", "one certificate was expected", found=len(found))
            return found[0]
        if len(octets) > MAX_CERTIFICATE_BYTES:
            raise Refusal("bad-certificate", "the certificate is larger than may be read", size=len(octets))
        return _read(bytes(octets))

    @property
    def spki(self) -> bytes:
        """The SubjectPublicKeyInfo, DER."""
        return self.slices.spki

    @cached_property
    def issuer_and_serial(self) -> bytes:
        """The IssuerAndSerialNumber (RFC 5652, 10.2.4), DER."""
        return der.sequence(self.slices.issuer, self.slices.serial)

    @cached_property
    def subject(self) -> str:
        """The subject's distinguished name (RFC 4514), for people."""
        return self._shown("subject")

    @cached_property
    def issuer(self) -> str:
        """The issuer's distinguished name (RFC 4514), for people."""
        return self._shown("issuer")

    def _shown(self, which: Literal["subject", "issuer"]) -> str:
        """A distinguished name as text; one that cannot be shown equals no other certificate's."""
        try:
            name: x509.Name = getattr(self.x509, which)
            return name.rfc4514_string()
        except UNREADABLE:
            return f"(name of {self.id} that cannot be shown)"

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return armoured(self.der, b"CERTIFICATE")

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


def read_certificates(octets: bytes, most: int = MAX_CERTIFICATES) -> tuple[Certificate, ...]:
    """All certificates of a PEM file, at most ``most``, or the one of a DER file.

    Raises :class:`Refusal` ``bad-certificate``.
    """
    if _PEM not in octets:
        return (Certificate.read(octets),)
    if len(octets) > most * MAX_CERTIFICATE_BYTES or octets.count(_PEM) > most:
        raise Refusal("bad-certificate", "the file is larger than may be read", size=len(octets))
    try:
        found = x509.load_pem_x509_certificates(octets)
        return tuple(Certificate.read(one.public_bytes(Encoding.DER)) for one in found)
    except UNREADABLE as error:
        raise Refusal("bad-certificate", "the file is not a PEM certificate") from error


@lru_cache(maxsize=1024)
def _read(octets: bytes) -> Certificate:
    """Read DER; the same few certificates come with nearly every act, so the last ones are kept."""
    try:
        return _parse(octets)
    except UNREADABLE as error:
        raise Refusal("bad-certificate", "the octets are not a certificate that can be read") from error


def read_self_made(octets: bytes) -> Certificate:
    """Read a certificate that may be one that a client made for its own key, DER.

    Its serial number may be any: some clients of SCEP take a digest of 20 octets for it, which as often as
    not needs one octet more than there may be.  Raises :class:`Refusal` ``bad-certificate``.
    """
    if len(octets) > MAX_CERTIFICATE_BYTES:
        raise Refusal("bad-certificate", "the certificate is larger than may be read", size=len(octets))
    try:
        return _parse(octets, any_serial=True)
    except UNREADABLE as error:
        raise Refusal("bad-certificate", "the octets are not a certificate that can be read") from error


def _parse(octets: bytes, *, any_serial: bool = False) -> Certificate:
    """The facts of a certificate; raises whatever the parsers raise."""
    slices = slices_of(octets, any_serial=any_serial)
    parsed = x509.load_der_x509_certificate(octets)
    key = parsed.public_key()
    kind = kind_of(type(key))
    if not kind:
        raise Refusal("bad-certificate", "the certificate's key is of an unknown kind")
    if kind == "rsa" and cast(rsa.RSAPublicKey, key).public_numbers().e.bit_length() > _MAX_EXPONENT_BITS:
        raise Refusal("bad-certificate", "the RSA key's exponent is of absurd size")
    return assembled(octets, slices, parsed, cast(PublicKey, key))


def assembled(octets: bytes, slices: Slices, parsed: x509.Certificate, key: PublicKey) -> Certificate:
    """The certificate of these octets, taken apart already; raises whatever the parsers raise."""
    values, critical = _extensions(parsed.extensions)
    digest = sha256(octets).digest()
    names, dns, ips, ekus, key_id = _claims(values)
    read = object.__new__(Certificate)  # as its constructor does, in one step instead of fourteen
    read.__dict__.update(
        der=octets,
        digest=digest,
        id="sha-256:" + b64u(digest),
        x509=parsed,
        public_key=key,
        names=names,
        dns=dns,
        ips=ips,
        ekus=ekus,
        not_before=parsed.not_valid_before_utc,
        not_after=parsed.not_valid_after_utc,
        serial=parsed.serial_number,
        key_id=key_id,
        slices=slices,
        values=values,
        critical=critical,
    )
    return read


def slices_of(octets: bytes, *, any_serial: bool = False) -> Slices:
    """The parts of a certificate (RFC 5280, 4.1); with ``any_serial`` one octet more, of any sign."""
    whole = der.Reader(octets).enter()
    signed = whole.element(der.SEQUENCE)
    algorithm = whole.element(der.SEQUENCE)
    signature = whole.content(der.BIT_STRING)
    tbs = der.Reader(signed).enter()
    if tbs.peek() == 0xA0:
        tbs.span(0xA0)
    begin = tbs.pos
    # RFC 5280, 4.1.2.2: positive, at most 20 octets
    if any_serial:
        start, stop = tbs.span(der.INTEGER)
        if not 0 < stop - start <= MAX_SERIAL_BYTES + 1:
            raise Refusal("bad-certificate", "the serial number is empty or too long")
    elif tbs.integer(MAX_SERIAL_BYTES) <= 0:
        raise Refusal("bad-certificate", "the serial number is not positive")
    serial = signed[begin : tbs.pos]
    # RFC 5280, 4.1.1.2: the one inside, which is signed, is the same
    if tbs.element(der.SEQUENCE) != algorithm:
        raise Refusal("bad-certificate", "the certificate names two algorithms")
    issuer = tbs.element(der.SEQUENCE)
    tbs.span(der.SEQUENCE)
    subject = tbs.element(der.SEQUENCE)
    spki = tbs.element(der.SEQUENCE)
    # Unused bits would be the same signature under other octets.
    whole_octets = signature[1:] if signature[:1] == b"\0" else None
    return Slices(serial, issuer, subject, spki, signed, algorithm, whole_octets)


def _claims(values: Mapping[type, Any]) -> tuple[_Texts, _Texts, _Texts, frozenset[str], bytes | None]:
    """URIs, DNS names, IP addresses, extended key usages (dotted) and the key identifier."""
    uris: list[str] = []
    dns: list[str] = []
    ips: list[str] = []
    for name in values.get(x509.SubjectAlternativeName, ()):
        kind = type(name)
        if kind is x509.UniformResourceIdentifier:
            uris.append(name.value)
        elif kind is x509.DNSName:
            dns.append(name.value)
        elif kind is x509.IPAddress:
            ips.append(str(name.value))
    ekus = frozenset([usage.dotted_string for usage in values.get(x509.ExtendedKeyUsage, ())])
    own = values.get(x509.SubjectKeyIdentifier)
    key_id = own.digest if own is not None and len(own.digest) in _KEY_ID_SIZES else None
    return tuple(uris), tuple(dns), tuple(ips), ekus, key_id


def _extensions(extensions: x509.Extensions) -> tuple[dict[type, Any], tuple[_Extension, ...]]:
    """Values by their class, those that the library does not know in a list, and which are critical.

    By class, not by identifier: comparing the library's identifiers costs more than all the rest.
    """
    values: dict[type, Any] = {}
    critical = []
    for extension in extensions:
        value = extension.value
        kind = type(value)
        if kind is x509.UnrecognizedExtension:
            values.setdefault(kind, []).append(value)
        else:
            values[kind] = value
        if extension.critical:
            critical.append(extension)
    return values, tuple(critical)
