"""A device that speaks SCEP: it makes its key and a certificate of its own, and says messages as it is told."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base.http import Handler, Request, Response
from e2s.crypto import cms, der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.crypto.openers import KeyOpener
from e2s.crypto.suites import UNNAMED_RSA
from e2s.security.certificates.names import subject_of
from e2s.security.scep.messages import Fail, Kind, Message, Status, read_message, written
from tests.worlds.enrolment import ANNA

SUITE = ("rsa-pkcs1-aes256cbc",)


def rsa_key(bits: int = 3072) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def self_made(key: rsa.RSAPrivateKey, at: datetime, name: str = ANNA) -> Certificate:
    """The certificate that a device makes for its own key (RFC 8894, 2.3)."""
    subject = subject_of(name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=7))
    )
    return Certificate.read(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


def request_of(key: rsa.RSAPrivateKey, name: str = ANNA, challenge: str = "") -> bytes:
    """A PKCS #10 request, with the code of an invitation as its challenge password."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_of(name))
    if challenge:
        builder = builder.add_attribute(x509.ObjectIdentifier(oids.CHALLENGE_PASSWORD), challenge.encode())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass
class Answer:
    """What came back, opened."""

    response: Response
    message: Message | None = None
    certificates: tuple[Certificate, ...] = ()
    crls: tuple[bytes, ...] = ()

    @property
    def status(self) -> Status | None:
        return self.message.status if self.message else None

    @property
    def fail(self) -> Fail | None:
        return self.message.fail if self.message else None

    @property
    def rule(self) -> str:
        """The rule by which it was refused, by HTTP or in failInfoText."""
        if self.message is None:
            return self.response.headers.get("e2s-rule", "")
        return self.message.text.partition(":")[0]


@dataclass
class Device:
    """``certificate`` is its own making until one was enrolled."""

    door: Handler
    at: datetime
    key: rsa.RSAPrivateKey = field(default_factory=rsa_key)
    name: str = ANNA
    certificate: Certificate | None = None
    path: str = "/scep"
    nonce: bytes = b""

    def __post_init__(self) -> None:
        got = self.door(Request("GET", f"{self.path}?operation=GetCACert"))
        assert got.status == 200, got.body
        found = cms.unbundled(got.body).certificates
        self.ra_signing = next(one for one in found if _usage(one, "digital_signature"))
        self.ra_sealing = next(one for one in found if _usage(one, "key_encipherment"))
        self.issuer = next(one for one in found if one.slices.subject == self.ra_signing.slices.issuer)

    @property
    def own(self) -> Certificate:
        if self.certificate is None:
            self.certificate = self_made(self.key, self.at, self.name)
        return self.certificate

    def sealed(self, content: bytes, suites: tuple[str, ...] = SUITE) -> bytes:
        return cms.seal(content, oids.DATA, [self.ra_sealing], secrets.token_bytes, suites=suites)

    def message(
        self, kind: Kind, content: bytes, *, transaction: bytes = b"t1", envelope: bytes | None = None, **more
    ) -> bytes:
        self.nonce = more.pop("sender_nonce", secrets.token_bytes(16))
        signer = more.pop("signer", None) or KeySigner(self.own, (), self.key, suite=UNNAMED_RSA)
        inside = self.sealed(content) if envelope is None else envelope
        return written(kind, transaction, signer, self.at, sender_nonce=self.nonce, envelope=inside, **more)

    def send(self, octets: bytes, method: str = "POST", **headers: str) -> Answer:
        """Send a message; what comes back is verified and opened."""
        from base64 import b64encode
        from urllib.parse import quote

        path = f"{self.path}?operation=PKIOperation"
        body = octets
        if method == "GET":
            path, body = f"{path}&message={quote(b64encode(octets), safe='')}", b""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.door(Request(method, path, body, named, "192.0.2.1"))
        if response.status != 200:
            return Answer(response)
        message = read_message(response.body)
        assert message.kind is Kind.ANSWER
        assert message.signer == self.ra_signing
        assert message.recipient_nonce == self.nonce
        if message.status is not Status.SUCCESS:
            assert not message.envelope
            return Answer(response, message)
        _, inside = cms.open_sealed(message.envelope, KeyOpener(self.own, self.key), allow_legacy=True)
        found = cms.unbundled(inside)
        return Answer(response, message, found.certificates, found.crls)

    def enrol(self, code: str, *, kind: Kind = Kind.REQUEST, transaction: bytes = b"t1", **more) -> Answer:
        return self.send(
            self.message(kind, request_of(self.key, self.name, code), transaction=transaction), **more
        )

    def renew(self, key: rsa.RSAPrivateKey, *, transaction: bytes = b"t2", **more) -> Answer:
        """A certificate for another key, by the one that is held."""
        return self.send(
            self.message(Kind.RENEWAL, request_of(key, self.name), transaction=transaction, **more)
        )

    def poll(self, *, transaction: bytes = b"t1") -> Answer:
        content = der.sequence(self.issuer.slices.subject, subject_of(self.name).public_bytes())
        return self.send(self.message(Kind.POLL, content, transaction=transaction))

    def look(self, kind: Kind, serial: int, issuer: Certificate | None = None) -> Answer:
        """GetCert or GetCRL."""
        content = der.sequence((issuer or self.issuer).slices.subject, der.integer(serial))
        return self.send(self.message(kind, content, transaction=b"t3"))


def _usage(certificate: Certificate, bit: str) -> bool:
    usage = certificate.values.get(x509.KeyUsage)
    return usage is not None and not usage.key_cert_sign and bool(getattr(usage, bit))
