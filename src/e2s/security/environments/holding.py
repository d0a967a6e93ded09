"""What a holder's acts share: her clock and randomness, what she was told, and the key that she asks with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from e2s.base.instants import Clock
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.kinds import PrivateKey, SigningKey, signing
from e2s.crypto.ports import Signer
from e2s.crypto.suites import signature_suite_of
from e2s.security.keys.container import Cost, production_cost
from e2s.security.keys.lent import built
from e2s.security.keys.software import Random

EPHEMERAL_SUITE: Final = "ecdh-p256-aes256gcm"
_EPHEMERAL_DAYS: Final = 60
#: What a PSE says besides: its kind, where it is renewed, and the root, DER.
KIND, ORIGIN, ROOT = "kind", "origin", "root"


@dataclass(frozen=True, kw_only=True)
class Edges:
    """The holder's clock, randomness, and what deriving a key from her pass phrase costs."""

    clock: Clock
    random: Random = field(repr=False)
    cost: Cost = field(default_factory=production_cost)


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """What a holder was told: reference, secret, and the digest of the root, in hexadecimal."""

    reference: str
    secret: bytes = field(repr=False)
    root: str


class Keeper(Protocol):
    """Port: keeps the keys of a PSE where they never come out, by label."""

    def key(self, label: str, suite: str) -> SigningKey:
        """A new key, or the one that waits there, as the library takes it: it signs, and no more."""

    def certified(self, label: str, certificate: Certificate, chain: tuple[Certificate, ...]) -> None:
        """Put the certificate beside its key; the same once more changes nothing."""

    def signer(self, label: str) -> Signer:
        """Signs with a certified key."""


def names_of(certificate: Certificate) -> tuple[str, ...]:
    """The names that a certificate was asked for under."""
    mails: tuple[str, ...] = ()
    extension = certificate.values.get(x509.SubjectAlternativeName)
    if extension is not None:
        mails = tuple(extension.get_values_for_type(x509.RFC822Name))
    return (*certificate.names, *certificate.dns, *certificate.ips, *mails)


def ephemeral_certificate(key: PrivateKey, at: datetime, random: Random) -> Certificate:
    """A certificate that nobody believes: it holds the place that an envelope names."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "delivery")])
    own = signing(key)
    public = own.public_key()
    builder = x509.CertificateBuilder(name, name, public, serial_number(random))
    builder = builder.not_valid_before(at - timedelta(days=1))
    builder = builder.not_valid_after(at + timedelta(days=_EPHEMERAL_DAYS))
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return Certificate.read(built(builder, own, signature_suite_of(key)).public_bytes(Encoding.DER))
