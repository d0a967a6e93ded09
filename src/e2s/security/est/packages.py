"""A private key on its way to its holder: PKCS #8 plain, or signed by its maker and sealed to a key of hers.

RFC 7030, 4.4: the request says so by the identifier of a key, which is its own: made for this one answer, it
is nobody's for anything else.  A key that signs in TLS opens nothing (SP 800-57, 5.2).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from e2s.base.errors import Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.capabilities import Capabilities, read_capabilities
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PrivateKey, PublicKey
from e2s.crypto.openers import KeyOpener, ephemeral
from e2s.crypto.ports import Opener, Signer
from e2s.crypto.private_info import key_of
from e2s.crypto.suites import signature_suite_of
from e2s.security.certificates.names import subject_octets
from e2s.security.certificates.request_attributes import request_attributes

_MAX_KEY_ID: Final = 64
_VALID: Final = timedelta(days=1)


def plain(key: PrivateKey) -> bytes:
    """The key as PKCS #8 (RFC 5958), DER."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def read_plain(octets: bytes) -> PrivateKey:
    """The key of a PKCS #8 document; raises :class:`Refusal` ``bad-key`` or ``der-...``."""
    try:
        return cast(PrivateKey, key_of(octets) or load_der_private_key(octets, None))
    except (ValueError, TypeError) as error:
        raise Refusal("bad-key", "the octets are no private key") from error


def package(
    key: PrivateKey,
    signer: Signer,
    recipient: Certificate,
    theirs: Capabilities | None,
    *,
    at: datetime,
    random: Callable[[int], bytes],
) -> bytes:
    """The package of ``key`` (RFC 5958, 2), signed and then sealed to ``recipient``, who reads ``theirs``."""
    signed = cms.sign(der.sequence(plain(key)), oids.KEY_PACKAGE, signer, at)
    suites = cms.sealings_for([(recipient, theirs)]) if theirs is not None else ()
    return cms.seal(signed, oids.SIGNED_DATA, [recipient], random, suites=suites)


def unpacked(octets: bytes, opener: Opener) -> tuple[PrivateKey, Certificate]:
    """The key in a package and who signed for having made it; whether that one is trusted is yours to judge.

    Raises :class:`Refusal` of the envelope, of the signature, and ``bad-key``.
    """
    kind, signed_octets = cms.open_sealed(octets, opener, allow_legacy=True)
    signed = cms.read_signed(signed_octets, cms.FOREIGN)
    if kind != oids.SIGNED_DATA or signed.content_type != oids.KEY_PACKAGE:
        raise Refusal("bad-key", "the envelope holds no key that its maker signed")
    cms.check_signature(signed)
    keys = der.Reader(signed.octets).enter().elements(der.SEQUENCE, 2)
    if len(keys) != 1:
        raise Refusal("bad-key", "a package holds one key")
    return read_plain(keys[0]), signed.signer_certificate


def recipient_in(request: bytes, key: PublicKey, at: datetime) -> Certificate | None:
    """Whom to seal to, as a request of this ``key`` says; None where it does not say.

    Raises :class:`Refusal` ``no-such-decryption-key`` for any other key than its own.
    """
    attributes = request_attributes(request)
    if oids.DECRYPT_KEY_ID in attributes:
        raise Refusal("no-such-decryption-key", "no secret key is shared here by which to seal")
    values = attributes.get(oids.ASYMMETRIC_DECRYPT_KEY_ID, ())
    if not values:
        return None
    try:
        reader = der.Reader(values[0])
        named = reader.content(der.OCTET_STRING)
        reader.done()
    except Refusal as refusal:
        raise Refusal("bad-request", "a decryption key is named by its identifier") from refusal
    if isinstance(key, ec.EllipticCurvePublicKey) and named == key_id(key):
        return bearer(key, at)
    raise Refusal("no-such-decryption-key", "what is sealed is sealed to the request's own key, on a curve")


def key_request(key: PrivateKey, name: str = "") -> bytes:
    """A PKCS #10 request, DER, for a key that is to be made and sealed to ``key``, which serves this once.

    ``name`` gives the subject, where the server wants one.
    """
    named = der.sequence(
        der.oid(oids.ASYMMETRIC_DECRYPT_KEY_ID), der.tlv(der.SET, der.octet_string(key_id(key.public_key())))
    )
    subject = subject_octets(name) if name else der.sequence()
    info = der.sequence(der.integer(0), subject, spki_of(key.public_key()), der.tlv(0xA0, named))
    suite = signature_suite_of(key)
    bits = der.tlv(der.BIT_STRING, b"\0" + suite.sign(key, info))
    return der.sequence(info, suite.signature_algorithm, bits)


def capabilities_in(request: bytes) -> Capabilities | None:
    """What the client says that it reads (RFC 7030, 4.4.1)."""
    values = request_attributes(request).get(oids.SMIME_CAPABILITIES, ())
    return read_capabilities(values[0]) if values else None


def key_id(key: PublicKey) -> bytes:
    """How the request's own key is named (RFC 5280, 4.2.1.2, method 1)."""
    return x509.SubjectKeyIdentifier.from_public_key(key).digest


def bearer(key: PublicKey, at: datetime) -> Certificate:
    """A certificate that proves nothing and only bears ``key``, so that an envelope can name it."""
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "bearer")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key)
        .serial_number(1)
        .not_valid_before(at)
        .not_valid_after(at + _VALID)
        .add_extension(x509.SubjectKeyIdentifier(key_id(key)), critical=False)
    )
    # signed by a key that everybody knows: nobody is to believe it
    nobodys = ephemeral(ec.SECP256R1(), bytes)
    return Certificate.read(made.sign(nobodys, hashes.SHA256()).public_bytes(Encoding.DER))


def opener_of(key: PrivateKey, at: datetime) -> Opener:
    """The opener of what was sealed to the request's own key."""
    return KeyOpener(bearer(key.public_key(), at), key)
