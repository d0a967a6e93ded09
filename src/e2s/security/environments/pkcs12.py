"""PKCS #12 carries one key with its certificates to other programs and from them (RFC 7292).

Written: PBES2 with AES-256 and an HMAC-SHA-256 over the whole (RFC 8018, RFC 7292, 4).  Read: the same, or
old ways to seal only where whoever reads says so; what it costs is looked at before it is spent.
"""

from __future__ import annotations

import warnings
from typing import Any, Final, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import ber, der, oids
from e2s.crypto.certificates import UNREADABLE, Certificate
from e2s.crypto.keys import read_private_key
from e2s.crypto.kinds import PrivateKey, kind_of
from e2s.crypto.pem import armoured
from e2s.crypto.sealed_info import MAX_ITERATIONS
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry

MAX_BYTES: Final = 512 * 1024
#: What deriving a key from the pass phrase costs a thief, for each try (OWASP's figure of 2023).
ITERATIONS: Final = 600_000
_MAX_CERTIFICATES: Final = 16
_MAX_PARTS: Final = 64
#: Kinds of keys for which the library writes PKCS #12.
_CARRIED: Final = frozenset({"ec", "rsa", "ed25519", "ed448"})
_PBMAC1: Final = "1.2.840.113549.1.5.14"
_SHROUDED: Final = "1.2.840.113549.1.12.10.1.2"
_NESTED: Final = "1.2.840.113549.1.12.10.1.6"
_STRONG_MACS: Final = frozenset({oids.SHA256, oids.SHA384, oids.SHA512, _PBMAC1})
_ENCRYPTED_DATA: Final = "1.2.840.113549.1.7.6"


def written(label: str, entry: Entry, phrase: Phrase, *, iterations: int = ITERATIONS) -> bytes:
    """The key, its certificate and chain, sealed under ``phrase``, with ``label`` as friendly name.

    Raises :class:`Misuse` ``not-carried`` for kinds of keys that no program reads from PKCS #12.
    """
    key: Any = entry.private_key
    if kind_of(key.__class__) not in _CARRIED:
        raise Misuse("not-carried", "PKCS #12 carries no key of this kind here", kind=kind_of(key.__class__))
    sealing = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(iterations)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(phrase.octets)
    )
    chain = [one.x509 for one in entry.chain]
    return pkcs12.serialize_key_and_certificates(label.encode(), key, entry.certificate.x509, chain, sealing)


def read(octets: bytes, phrase: Phrase, *, unsafe_allow_old: bool = False) -> Entry:
    """The key with its certificate and chain; metered as ``stretch``.

    Raises :class:`Refusal` ``too-large``, ``bad-pkcs12``, ``old-pkcs12`` for how only old programs seal
    unless ``unsafe_allow_old``, ``costly-pkcs12`` where opening it would take too long,
    ``wrong-pass-phrase``, ``no-key``, and ``suite-unknown`` or ``bad-key`` for a key that nothing here uses.
    """
    if len(octets) > MAX_BYTES:
        raise Refusal("too-large", "the file is larger than may be read", size=len(octets))
    look(octets, unsafe_allow_old=unsafe_allow_old)
    meter.count("stretch")
    try:
        with warnings.catch_warnings():
            # NSS writes BER, which the library reads with a warning
            warnings.simplefilter("ignore", UserWarning)
            opened = pkcs12.load_pkcs12(octets, phrase.octets)
    except (ValueError, UnsupportedAlgorithm, TypeError) as error:
        wrong = "the pass phrase is wrong, or the file holds what cannot be read"
        raise Refusal("wrong-pass-phrase", wrong) from error
    if opened.key is None or opened.cert is None:
        raise Refusal("no-key", "the file holds no key with its certificate")
    key = _judged(opened.key)
    try:
        certificate = Certificate.read(opened.cert.certificate.public_bytes(Encoding.DER))
        others = [_certificate(one.certificate) for one in opened.additional_certs[:_MAX_CERTIFICATES]]
    except UNREADABLE as error:
        raise Refusal("bad-pkcs12", "a certificate in the file cannot be read") from error
    return Entry(private_key=key, certificate=certificate, chain=_chain(certificate, others))


def _certificate(parsed: x509.Certificate) -> Certificate:
    return Certificate.read(parsed.public_bytes(Encoding.DER))


def _judged(key: Any) -> PrivateKey:
    """The key, once a suite uses one of its kind and size."""
    if not kind_of(key.__class__):
        raise Refusal("suite-unknown", "no suite uses a key of this kind")
    plain = cast(PrivateKey, key).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return read_private_key(armoured(plain, b"PRIVATE KEY"))


def _chain(certificate: Certificate, others: list[Certificate]) -> tuple[Certificate, ...]:
    """The issuers in their order, nearest first, without a root."""
    found: list[Certificate] = []
    below = certificate
    while len(found) <= len(others):
        issuer = next((one for one in others if one.slices.subject == below.slices.issuer), None)
        if issuer is None or issuer in found or issuer.slices.subject == issuer.slices.issuer:
            break
        found.append(issuer)
        below = issuer
    return tuple(found)


def look(octets: bytes, *, unsafe_allow_old: bool) -> None:
    """Refuse what is sealed in old ways, or costs too much, before anything is derived."""
    try:
        outer = der.Reader(ber.normalised(octets))
        whole = outer.enter()
        outer.done()
        if whole.integer() != 3:
            raise Refusal("bad-pkcs12", "the version is not 3 (RFC 7292, 4)")
        kind, safe = _content(whole.enter())
        if kind != oids.DATA:
            raise Refusal("bad-pkcs12", "the whole is not protected by the pass phrase (RFC 7292, 4)")
        if whole.pos == whole.end:
            raise Refusal("bad-pkcs12", "nothing shows whether the file was altered (RFC 7292, 4)")
        _mac(whole.enter(), unsafe_allow_old=unsafe_allow_old)
        whole.done()
        contents = der.Reader(ber.normalised(safe.content(der.OCTET_STRING)))
        for one in contents.enter().elements(der.SEQUENCE, _MAX_PARTS):
            _part(der.Reader(one).enter(), unsafe_allow_old=unsafe_allow_old)
    except Refusal as refusal:
        if refusal.rule.endswith("pkcs12"):
            raise
        raise Refusal("bad-pkcs12", f"the file is no PKCS #12: {refusal.message}") from refusal


def _content(info: der.Reader) -> tuple[str, der.Reader]:
    """A ContentInfo's type and content (RFC 5652, 3)."""
    kind = info.oid()
    explicit = info.enter(0xA0)
    info.done()
    return kind, explicit


def _mac(data: der.Reader, *, unsafe_allow_old: bool) -> None:
    """MacData (RFC 7292, 4; RFC 9579, 4)."""
    algorithm = data.enter().enter()
    used = algorithm.oid()
    if used not in _STRONG_MACS and not unsafe_allow_old:
        raise _old("an old digest protects the whole")
    data.content(der.OCTET_STRING)
    _affordable(data.integer(8) if data.pos != data.end else 1)
    if used == _PBMAC1:
        _derivation(algorithm.enter().enter())


def _part(info: der.Reader, *, unsafe_allow_old: bool) -> None:
    """One ContentInfo of the AuthenticatedSafe (RFC 7292, 4.1)."""
    kind, explicit = _content(info)
    if kind == _ENCRYPTED_DATA:
        data = explicit.enter()
        data.integer()
        encrypted = data.enter()
        encrypted.oid()
        _sealing(encrypted.enter(), unsafe_allow_old=unsafe_allow_old)
        return
    if kind != oids.DATA:
        raise Refusal("bad-pkcs12", "a part is sealed to a key, not to the pass phrase")
    bags = der.Reader(ber.normalised(explicit.content(der.OCTET_STRING))).enter()
    for one in bags.elements(der.SEQUENCE, _MAX_PARTS):
        bag = der.Reader(one).enter()
        bag_kind = bag.oid()
        if bag_kind == _NESTED:
            raise Refusal("bad-pkcs12", "bags within bags are not read")
        if bag_kind == _SHROUDED:
            _sealing(bag.enter(0xA0).enter().enter(), unsafe_allow_old=unsafe_allow_old)


def _sealing(algorithm: der.Reader, *, unsafe_allow_old: bool) -> None:
    """How a part is sealed: PBES2 with AES, or an old way (RFC 8018, A.4; RFC 7292, C)."""
    if algorithm.oid() != oids.PBES2:
        if not unsafe_allow_old:
            raise _old("a part is sealed in an old way")
        parameters = algorithm.enter()
        parameters.content(der.OCTET_STRING)
        _affordable(parameters.integer(8))
        return
    parameters = algorithm.enter()
    _derivation(parameters.enter())
    if (
        parameters.enter().oid() not in {oids.AES128_CBC, oids.AES192_CBC, oids.AES256_CBC}
        and not unsafe_allow_old
    ):
        raise _old("a part is sealed by an old cipher")


def _derivation(derivation: der.Reader) -> None:
    """PBKDF2 within bounds (RFC 8018, A.2)."""
    if derivation.oid() != oids.PBKDF2:
        raise Refusal("bad-pkcs12", "the key is not derived by PBKDF2")
    parameters = derivation.enter()
    parameters.content(der.OCTET_STRING)
    _affordable(parameters.integer(8))


def _affordable(iterations: int) -> None:
    if not 0 < iterations <= MAX_ITERATIONS:
        raise Refusal("costly-pkcs12", "opening the file would take too long", iterations=iterations)


def _old(why: str) -> Refusal:
    return Refusal("old-pkcs12", f"{why}: who reads it anyway says so", by="--unsafe-allow-old")
