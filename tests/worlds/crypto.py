"""Certificates and keys of each suite, made by hand: the crypto floor is tested without the floors above."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.crypto.openers import KeyOpener

AT = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
KINDS = ("p256", "p384", "rsa")


@dataclass(frozen=True)
class Party:
    """A certificate with its issuer and key."""

    certificate: Certificate
    issuer: Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @property
    def signer(self) -> KeySigner:
        return KeySigner(self.certificate, (self.issuer,), self.key)

    @property
    def opener(self) -> KeyOpener:
        return KeyOpener(self.certificate, self.key)

    def files(self, folder: Path) -> tuple[str, str, str]:
        """Paths of certificate, key and issuer in PEM."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        name = self.certificate.digest.hex()[:12]
        found = []
        for suffix, octets in (("crt", self.certificate.pem), ("key", key), ("ca", self.issuer.pem)):
            path = folder / f"{name}.{suffix}"
            path.write_bytes(octets)
            found.append(str(path))
        return found[0], found[1], found[2]


def new_key(kind: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 3072)
    return ec.generate_private_key(ec.SECP256R1() if kind == "p256" else ec.SECP384R1())


def new_party(
    name: str, key=None, *, key_id: bool = True, usage=ExtendedKeyUsageOID.EMAIL_PROTECTION
) -> Party:
    """A certificate for ``key`` (a new P-256 key) by the one test issuer."""
    key = key or new_key("p256")
    issuer, issuer_key = _issuer()
    builder = _builder(name, "issuer", key.public_key()).add_extension(
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:e2s:test:{name}")]), critical=False
    )
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    if key_id:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(secrets.token_bytes(20)), critical=False)
    made = builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.DER)
    return Party(Certificate.read(made), issuer, key)


@cache
def party(kind: str, name: str = "anna") -> Party:
    """One party per kind of key and name, made once: RSA keys take their time."""
    return new_party(name, new_key(kind))


@cache
def _issuer() -> tuple[Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("issuer", "issuer", key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    made = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    return Certificate.read(made), key


def _builder(subject: str, issuer: str, key) -> x509.CertificateBuilder:
    def name(common: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(AT - timedelta(days=30))
        .not_valid_after(AT + timedelta(days=3650))
    )


def parse(octets: bytes) -> list:
    """A DER value as nested lists ``[tag, content]``, to alter and write again with :func:`unparse`."""
    reader = der.Reader(octets)
    found = []
    while reader.pos != reader.end:
        tag = reader.peek()
        content = reader.content(tag)
        found.append([tag, parse(content) if tag & 0x20 else content])
    return found


def unparse(elements: list) -> bytes:
    """The DER of what :func:`parse` gave."""
    return b"".join(der.tlv(t, unparse(c) if isinstance(c, list) else c) for t, c in elements)
