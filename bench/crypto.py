"""What our CMS costs over the bare primitives it is made of, each measured in turn with them."""

from __future__ import annotations

import gc
import hashlib
import secrets
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import NameOID

from e2s.crypto import certificates, cms, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.security.verification.verifier import Verifier

AT = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
MERCHANT = oids.SIGNING["merchant"]
NAME = "urn:e2s:bench:merchant"
CONTENT_BYTES = 9_000
RECIPIENTS = 100
ROUNDS = 25
VERIFY_REPEATS = 40
SCHEME = ec.ECDSA(hashes.SHA256())


def rounds() -> list[dict[str, Any]]:
    """The three figures of this area."""
    return [_sign(), _envelope(), _verify()]


def _sign() -> dict[str, Any]:
    """Sign 9 kB with P-256 against the bare signature with its hash."""
    authority, content = _Authority(), secrets.token_bytes(CONTENT_BYTES)
    key = ec.generate_private_key(ec.SECP256R1())
    signer = KeySigner(authority.certify("signer", key), authority.chain, key)

    def bare() -> None:
        key.sign(content, ec.ECDSA(hashes.SHA256()))

    def ours() -> None:
        cms.sign(content, oids.ACT, signer, AT)

    return _figure("crypto.sign-9kB", 1.5, bare, ours, repeats=200)


def _envelope() -> dict[str, Any]:
    """Envelope 9 kB to 100 recipients on P-256 against the bare key agreements."""
    authority, content = _Authority(), secrets.token_bytes(CONTENT_BYTES)
    recipients = [
        authority.certify(f"r{n}", ec.generate_private_key(ec.SECP256R1())) for n in range(RECIPIENTS)
    ]
    keys = [one.public_key for one in recipients]
    own = ec.generate_private_key(ec.SECP256R1())

    def bare() -> None:
        for key in keys:
            own.exchange(ec.ECDH(), key)  # type: ignore[arg-type]  # all are on this curve

    def ours() -> None:
        cms.seal(content, oids.ACT, recipients, secrets.token_bytes)

    size = len(cms.seal(content, oids.ACT, recipients, secrets.token_bytes)) - CONTENT_BYTES
    return _figure("crypto.envelope-100", 1.2, bare, ours, repeats=2, envelope_bytes=size)


def _verify() -> dict[str, Any]:
    """Verify one signer whose certificate was never seen, by a chain of three certificates below the root.

    Remembered are the signatures of CRLs and what the CAs' certificates say, no signature of a certificate;
    against the bare verifications of the signature, under a key read from its octets as it was never seen
    either, and of the three certificates.
    """
    authority, content = _Authority(), secrets.token_bytes(CONTENT_BYTES)
    crls, verifier = authority.crls(), Verifier((authority.root,))
    messages, jobs = [], []
    for n in range(VERIFY_REPEATS * (ROUNDS + 1)):
        key = ec.generate_private_key(ec.SECP256R1())
        one = authority.certify(f"signer {n}", key)
        messages.append(cms.sign(content, oids.ACT, KeySigner(one, authority.chain, key), AT))
        jobs.append(_Job(authority, one, key))
    certificates._read.cache_clear()  # noqa: SLF001  # so that no signer's certificate is known
    works, unread = iter(jobs), iter(messages)

    def bare() -> None:
        next(works).done(content)

    def ours() -> None:
        verifier.forget_paths()
        read = cms.read_signed(next(unread))
        cms.check_signature(read)
        verifier.judge(
            read.signer_certificate, read.certificates, crls, at=AT, purpose=MERCHANT, name=NAME
        ).or_refuse()

    return _figure("crypto.verify-chain", 1.8, bare, ours, repeats=VERIFY_REPEATS, verifications=4)


class _Job:
    """The bare work of one verification: of a signature over attributes, and of three certificates."""

    def __init__(self, authority: _Authority, one: Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.spki, self.attributes = one.spki, secrets.token_bytes(300)
        self.signature = key.sign(self.attributes, SCHEME)
        self.chain = [
            (issuer.public_key(), below.x509.signature, below.x509.tbs_certificate_bytes)
            for below, issuer in zip((one, *authority.chain), authority.keys, strict=True)
        ]

    def done(self, content: bytes) -> None:
        hashlib.sha256(content)
        key = load_der_public_key(self.spki)
        key.verify(self.signature, self.attributes, SCHEME)  # type: ignore[union-attr, call-arg, arg-type]
        for issuer, signature, data in self.chain:
            issuer.verify(signature, data, SCHEME)


class _Authority:
    """A root, a policy CA, an operating CA and their lists, made by hand."""

    def __init__(self) -> None:
        #: Private keys of the operating CA, the policy CA and the root.
        self.keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
        operating, policy, root = self.keys
        self.root = self._certificate("root", "root", root, root, ca=True)
        self.chain = (
            self._certificate("operating", "policy", operating, policy, ca=True),
            self._certificate("policy", "root", policy, root, ca=True),
        )

    def certify(self, name: str, key: ec.EllipticCurvePrivateKey) -> Certificate:
        """An end entity's certificate."""
        return self._certificate(name, "operating", key, self.keys[0], ca=False)

    def crls(self, *_certificates: Certificate) -> tuple[bytes, ...]:
        """The lists of the three CAs."""
        return tuple(
            x509.CertificateRevocationListBuilder()
            .issuer_name(_name(issuer))
            .last_update(AT - timedelta(hours=1))
            .next_update(AT + timedelta(days=1))
            .add_extension(x509.CRLNumber(1), critical=False)
            .sign(key, hashes.SHA256())
            .public_bytes(Encoding.DER)
            for issuer, key in zip(("operating", "policy", "root"), self.keys, strict=True)
        )

    def _certificate(
        self,
        name: str,
        issuer: str,
        key: ec.EllipticCurvePrivateKey,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool,
    ) -> Certificate:
        usage = {
            "digital_signature": not ca,
            "key_cert_sign": ca,
            "crl_sign": ca,
            "content_commitment": False,
            "key_encipherment": False,
            "data_encipherment": False,
            "key_agreement": False,
            "encipher_only": False,
            "decipher_only": False,
        }
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(NAME)])
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(AT - timedelta(days=30))
            .not_valid_after(AT + timedelta(days=300))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
        )
        if not ca:
            made = made.add_extension(names, critical=False).add_extension(
                x509.ExtendedKeyUsage([x509.ObjectIdentifier(MERCHANT)]), critical=False
            )
        return Certificate.read(made.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.DER))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _figure(
    name: str,
    limit: float,
    bare: Callable[[], None],
    ours: Callable[[], None],
    *,
    repeats: int,
    **detail: int,
) -> dict[str, Any]:
    """The median over rounds of the ratio of ``ours`` to ``bare``, each run ``repeats`` times per round.

    Processor time, not wall time: nothing here waits, and other processes' turns are no cost of ours.
    """
    ratios, seconds = [], {"bare": [], "ours": []}
    gc.collect()
    gc.disable()
    try:
        for n in range(ROUNDS + 1):
            spent = {}
            # the first round warms up; after it the order changes with each round
            for which, act in sorted({"bare": bare, "ours": ours}.items(), reverse=bool(n % 2)):
                begin = time.process_time()
                for _ in range(repeats):
                    act()
                spent[which] = (time.process_time() - begin) / repeats
            if n:
                ratios.append(spent["ours"] / spent["bare"])
                for which, value in spent.items():
                    seconds[which].append(value)
    finally:
        gc.enable()
    value = round(statistics.median(ratios), 3)
    shown = {f"{which}_us": round(1e6 * statistics.median(all_), 1) for which, all_ in seconds.items()}
    return {
        "name": name,
        "value": value,
        "limit": limit,
        "better": "lower",
        "holds": value <= limit,
        "detail": {**shown, "rounds": ROUNDS, "repeats": repeats, **detail},
    }
