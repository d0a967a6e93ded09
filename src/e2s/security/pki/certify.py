"""Certificates and CRLs are made from values alone: profile, names, key, serial and instant are arguments.

What a profile does not say, no certificate says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ObjectIdentifier

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import DELTA
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PrivateKey, PublicKey, kind_of, signing
from e2s.crypto.ports import Signer
from e2s.crypto.suites import sealing_suite_of, signature_suite_of
from e2s.security.keys.lent import built, lent
from e2s.security.pki.names import general_name, subject_of
from e2s.security.pki.profiles import Profile, Use

MAX_REQUEST_BYTES = 16 * 1024
#: A certificate counts from a little before its making: no party's clock is exact.
BACKDATED = 2 * DELTA


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be certified: a key under ``names`` (the first one gives the subject) for a profile."""

    profile: Profile
    names: tuple[str, ...]
    public_key: PublicKey
    pan_commit: bytes | None = None
    subject: x509.Name | None = None
    not_after: datetime | None = None

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` for a wish that fits no profile."""
        if self.profile.pan_commit != (self.pan_commit is not None):
            raise Misuse("pan-commit", "a card-holder's certificate, and no other, commits to a card number")
        if self.pan_commit is not None and len(self.pan_commit) != 32:
            raise Misuse("pan-commit", "the commitment has 32 octets")
        if not self.names and self.subject is None:
            raise Misuse("bad-name", "a certificate names its subject")
        if self.profile.use is Use.AGREE:
            sealing_suite_of(self.public_key)
        else:
            signature_suite_of(self.public_key)

    @property
    def distinguished_name(self) -> x509.Name:
        """The subject: as given, or as follows from the first name."""
        return self.subject if self.subject is not None else subject_of(self.names[0])


def certify(wish: Wish, issuer: Signer, *, serial: int, at: datetime) -> Certificate:
    """The certificate for ``wish`` signed by ``issuer``; never valid beyond the issuer's own certificate."""
    if not issuer.certificate.x509.subject.rdns:
        raise Misuse("bad-issuer", "an issuer has a subject")
    latest = min(wish.not_after or at + wish.profile.lifetime, issuer.certificate.not_after)
    builder = _builder(wish, serial, at, latest).issuer_name(issuer.certificate.x509.subject)
    builder = builder.add_extension(_authority(issuer.certificate), critical=False)
    made = built(builder, lent(issuer), issuer.suite)
    return Certificate.read(made.public_bytes(Encoding.DER))


def certify_root(wish: Wish, key: PrivateKey, *, serial: int, at: datetime) -> Certificate:
    """A self-signed root."""
    latest = wish.not_after or at + wish.profile.lifetime
    builder = _builder(wish, serial, at, latest).issuer_name(wish.distinguished_name)
    made = built(builder, signing(key), signature_suite_of(key))
    return Certificate.read(made.public_bytes(Encoding.DER))


def request(key: PrivateKey, names: tuple[str, ...]) -> bytes:
    """A PKCS #10 request, DER: proves possession of ``key`` (RFC 2986)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_of(names[0]))
    builder = builder.add_extension(
        x509.SubjectAlternativeName([general_name(n) for n in names]), critical=False
    )
    return built(builder, signing(key), signature_suite_of(key)).public_bytes(Encoding.DER)


def read_request(octets: bytes) -> PublicKey:
    """The key whose possession the request proves; its wishes for names are not read.

    Raises :class:`Refusal` ``bad-request`` or ``no-possession``.
    """
    if len(octets) > MAX_REQUEST_BYTES:
        raise Refusal("bad-request", "the request is larger than may be read", size=len(octets))
    try:
        parsed = x509.load_der_x509_csr(octets)
        key = parsed.public_key()
        good = parsed.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise Refusal("bad-request", "the octets are not a request that can be read") from error
    if not kind_of(type(key)):
        raise Refusal("bad-request", "the request's key is of an unknown kind")
    if not good:
        raise Refusal("no-possession", "the request is not signed by the key that it names")
    known = cast(PublicKey, key)
    signature_suite_of(known)
    return known


def _builder(wish: Wish, serial: int, at: datetime, latest: datetime) -> x509.CertificateBuilder:
    """Everything but the issuer."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(wish.distinguished_name)
        .public_key(wish.public_key)
        .serial_number(serial)
        .not_valid_before(at - BACKDATED)
        .not_valid_after(latest)
    )
    for extension, critical in _extensions(wish):
        builder = builder.add_extension(extension, critical=critical)
    return builder


def _extensions(wish: Wish) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions that the profile calls for, with their criticality."""
    profile = wish.profile
    wanted: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=profile.is_ca, path_length=profile.path_length), True),
        (_key_usage(profile.use, wish.public_key), True),
        (x509.SubjectKeyIdentifier.from_public_key(wish.public_key), False),
    ]
    if wish.names:
        wanted.append((x509.SubjectAlternativeName([general_name(n) for n in wish.names]), False))
    if profile.ekus:
        ekus = x509.ExtendedKeyUsage([ObjectIdentifier(oid) for oid in profile.ekus])
        wanted.append((ekus, profile.critical_ekus))
    if profile.confined:
        wanted.append((_subtree(wish.distinguished_name), True))
    if wish.pan_commit is not None:
        value = b"\x04\x20" + wish.pan_commit
        wanted.append((x509.UnrecognizedExtension(ObjectIdentifier(oids.PAN_COMMIT), value), False))
    return wanted


def _subtree(subject: x509.Name) -> x509.NameConstraints:
    """Only subjects of the CA's own community and party."""
    base = x509.Name(subject.rdns[:2])
    if len(base.rdns) < 2:
        raise Misuse("bad-name", "a confined CA belongs to a party of a community")
    return x509.NameConstraints(permitted_subtrees=[x509.DirectoryName(base)], excluded_subtrees=None)


def _key_usage(use: Use, key: PublicKey) -> x509.KeyUsage:
    certifies = use is Use.CERTIFY
    agrees = use is Use.AGREE
    # RSA carries a content key, and so does an encapsulation (RFC 9935, 5)
    transports = agrees and kind_of(type(key)) in {"rsa", "ml-kem-768", "ml-kem-1024"}
    return x509.KeyUsage(
        digital_signature=use in {Use.SIGN, Use.AUTHENTICATE},
        content_commitment=use is Use.SIGN,
        key_encipherment=transports,
        data_encipherment=False,
        key_agreement=agrees and not transports,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(issuer: Certificate) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(issuer.key_id, None, None)
