"""Makes certificates and lists that no CA of ours would: each wrong in exactly one thing."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from tests.worlds.pki import START

YEAR = timedelta(days=365)
MERCHANT = oids.SIGNING["merchant"]
NAME = "urn:e2s:market:volt"
SHOP = "https://volt.example:8443"


def name(common, organisation="market", unit=""):
    parts = [(NameOID.ORGANIZATION_NAME, organisation), (NameOID.COMMON_NAME, common)]
    if unit:
        parts.insert(1, (NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


@dataclass
class Node:
    """A certificate with its key; ``issuer`` None makes it self-signed."""

    common: str
    issuer: Node | None = None
    ca: bool = False
    path_length: int | None = None
    basic: bool = True
    usage: str = "sign"
    ekus: tuple[str, ...] = ()
    critical_ekus: bool = False
    names: tuple[str, ...] = ()
    not_before: datetime = START - YEAR
    not_after: datetime = START + YEAR
    constraints: x509.NameConstraints | None = None
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    sign_as: Node | None = None
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    digest: hashes.SHA224 | hashes.SHA256 = field(default_factory=hashes.SHA256)
    unit: str = ""
    key_ids: bool = True
    serial: int = 0

    def __post_init__(self):
        issuer = self.issuer or self
        signing = (self.sign_as or issuer).key
        self.serial = self.serial or int.from_bytes(secrets.token_bytes(15), "big") + 1
        self.subject = name(self.common, unit=self.unit)
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(issuer.subject)
            .public_key(self.key.public_key())
            .serial_number(self.serial)
            .not_valid_before(self.not_before)
            .not_valid_after(self.not_after)
        )
        for extension, critical in self.extensions(issuer):
            builder = builder.add_extension(extension, critical=critical)
        self.certificate = Certificate.read(builder.sign(signing, self.digest).public_bytes(Encoding.DER))

    def extensions(self, issuer):
        if self.basic:
            yield x509.BasicConstraints(ca=self.ca, path_length=self.path_length), True
        if self.usage:
            yield key_usage(self.usage), True
        if self.ekus:
            yield x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in self.ekus]), self.critical_ekus
        if self.names:
            yield x509.SubjectAlternativeName([general(n) for n in self.names]), False
        if self.constraints:
            yield self.constraints, True
        if self.key_ids:
            yield x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False
            if self.issuer:
                yield x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False
        yield from self.extra

    def crl(self, *revoked, at=START, until=None, extra=(), sign_as=None, names=None):
        """A list of (node, instant) or (node, instant, reason) by this CA."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name((names or self).subject)
            .last_update(at)
            .next_update(until or at + timedelta(days=1))
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical=critical)
        for node, since, *reasons in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(node.serial).revocation_date(since)
            for reason in reasons:
                entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign((sign_as or self).key, hashes.SHA256()).public_bytes(Encoding.DER)


def general(text):
    if ":" in text:
        return x509.UniformResourceIdentifier(text)
    return x509.RFC822Name(text) if "@" in text else x509.DNSName(text)


def key_usage(kind):
    flags = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    wanted = {
        "sign": ("digital_signature",),
        "agree": ("key_agreement",),
        "ca": ("key_cert_sign", "crl_sign"),
        "certify": ("key_cert_sign",),
        "list": ("crl_sign",),
    }
    return x509.KeyUsage(**(flags | dict.fromkeys(wanted[kind], True)))


def root(**more):
    return Node("root", ca=True, usage=more.pop("usage", "ca"), **more)


def ca(issuer, common="operating", **more):
    return Node(common, issuer, ca=more.pop("ca", True), usage=more.pop("usage", "ca"), **more)


def leaf(issuer, common="volt", **more):
    settings = {"ekus": (MERCHANT, oids.EKU_EMAIL), "names": (NAME, SHOP, "volt.example")} | more
    return Node(common, issuer, **settings)
