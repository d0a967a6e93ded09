"""What is sealed opens for its recipients only, whatever kind of key each has.

AuthEnvelopedData (RFC 5083) with AES-256-GCM (RFC 5084).  All recipients on one curve share one
ephemeral key (RFC 5753, 3.1): what differs is their secret, so each has a key-encryption key of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from e2s.base import meter
from e2s.base.errors import Misuse
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.openers import OAEP, ephemeral
from e2s.crypto.suites import OAEP_ALGORITHM, WRAP_ALGORITHM, SealingSuite, sealing_suite_of

MAX_RECIPIENTS = 1000
KEY_SIZE = 32
NONCE_SIZE = 12
TAG_SIZE = 16
BLOCK = 16

_EC_KEY = der.sequence(der.oid(oids.EC_PUBLIC_KEY))


def shared_info(ukm: bytes) -> bytes:
    """ECC-CMS-SharedInfo (RFC 5753, 7.2): wrap, the sender's octets, the key's size in bits."""
    entity = der.tlv(0xA0, der.octet_string(ukm)) if ukm else b""
    size = der.tlv(0xA2, der.octet_string((8 * KEY_SIZE).to_bytes(4, "big")))
    return der.sequence(WRAP_ALGORITHM, entity, size)


def key_encryption_key(kdf: Callable[[bytes], Any], secret: bytes, shared: bytes) -> bytes:
    """ANSI X9.63 key derivation: one block, or two of a digest shorter than the key."""
    key: bytes = kdf(secret + b"\x00\x00\x00\x01" + shared).digest()
    if len(key) < KEY_SIZE:
        key += kdf(secret + b"\x00\x00\x00\x02" + shared).digest()
    return key[:KEY_SIZE]


def seal(
    content: bytes, content_type: str, recipients: Sequence[Certificate], random: Callable[[int], bytes]
) -> bytes:
    """A ContentInfo with AuthEnvelopedData of ``content`` to ``recipients``.

    A content type other than id-data is authenticated with it (RFC 5083, 2.1).
    """
    key, nonce = random(KEY_SIZE), random(NONCE_SIZE)
    attributes = b""
    if content_type != oids.DATA:
        attributes = attribute(oids.CONTENT_TYPE, der.oid(content_type))
    associated = der.tlv(der.SET, attributes) if attributes else None
    sealed = AESGCM(key).encrypt(nonce, content, associated)
    algorithm = der.sequence(
        der.oid(oids.AES256_GCM), der.sequence(der.octet_string(nonce), der.integer(TAG_SIZE))
    )
    body = (
        der.integer(0)
        + der.set_of(_recipient_infos(recipients, key, random))
        + der.sequence(der.oid(content_type), algorithm, der.tlv(0x80, sealed[:-TAG_SIZE]))
        + (der.tlv(0xA1, attributes) if attributes else b"")
        + der.octet_string(sealed[-TAG_SIZE:])
    )
    return der.sequence(der.oid(oids.AUTH_ENVELOPED_DATA), der.tlv(0xA0, der.tlv(der.SEQUENCE, body)))


def seal_legacy(
    content: bytes, content_type: str, recipients: Sequence[Certificate], random: Callable[[int], bytes]
) -> bytes:
    """A ContentInfo with EnvelopedData (AES-256-CBC), for peers that know nothing better.

    The content is not authenticated: sign it first, and never answer on how its opening failed.
    """
    key, iv = random(KEY_SIZE), random(BLOCK)
    padder = PKCS7(8 * BLOCK).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    infos = _recipient_infos(recipients, key, random)
    # RFC 5652, 6.1: version 0 when every recipient is a version 0 KeyTransRecipientInfo
    version = 0 if all(info[0] == der.SEQUENCE for info in infos) else 2
    algorithm = der.sequence(der.oid(oids.AES256_CBC), der.octet_string(iv))
    body = (
        der.integer(version)
        + der.set_of(infos)
        + der.sequence(der.oid(content_type), algorithm, der.tlv(0x80, sealed))
    )
    return der.sequence(der.oid(oids.ENVELOPED_DATA), der.tlv(0xA0, der.tlv(der.SEQUENCE, body)))


def _recipient_infos(
    recipients: Sequence[Certificate], key: bytes, random: Callable[[int], bytes]
) -> list[bytes]:
    """One KeyTransRecipientInfo per RSA recipient, one KeyAgreeRecipientInfo per curve."""
    if not 0 < len(recipients) <= MAX_RECIPIENTS or len(set(recipients)) != len(recipients):
        raise Misuse(
            "bad-recipients", "an envelope has distinct recipients, at least one", most=MAX_RECIPIENTS
        )
    infos: list[bytes] = []
    groups: dict[SealingSuite, list[Certificate]] = {}
    for recipient in recipients:
        groups.setdefault(sealing_suite_of(recipient.public_key), []).append(recipient)
    for suite, group in groups.items():
        if suite.curve is None:
            infos.extend(_transport(recipient, key) for recipient in group)
        else:
            infos.append(_agreement(suite, suite.curve, group, key, random))
    return infos


def _transport(recipient: Certificate, key: bytes) -> bytes:
    """KeyTransRecipientInfo (RFC 5652, 6.2.1) with RSA-OAEP."""
    if not isinstance(recipient.public_key, rsa.RSAPublicKey):
        raise Misuse("wrong-key", "the recipient's key is not for key transport")
    meter.count("agree")
    wrapped = recipient.public_key.encrypt(key, OAEP)
    return der.sequence(
        der.integer(0), recipient.issuer_and_serial, OAEP_ALGORITHM, der.octet_string(wrapped)
    )


def _agreement(
    suite: SealingSuite,
    curve: ec.EllipticCurve,
    recipients: Sequence[Certificate],
    key: bytes,
    random: Callable[[int], bytes],
) -> bytes:
    """KeyAgreeRecipientInfo (RFC 5652, 6.2.2) with one originator key for all ``recipients``."""
    own = ephemeral(curve, random)
    point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    originator = der.tlv(0xA1, _EC_KEY + der.tlv(der.BIT_STRING, b"\x00" + point))
    exchange, ecdh, kdf, shared = own.exchange, ec.ECDH(), suite.kdf, shared_info(b"")
    meter.count("agree", len(recipients))
    wrapped: list[bytes] = []
    for recipient in recipients:
        secret = exchange(ecdh, recipient.public_key)  # type: ignore[arg-type]  # the suite is the key's
        encrypted = aes_key_wrap(key_encryption_key(kdf, secret, shared), key)
        # an encrypted key is 40 octets, so its OCTET STRING has a constant header
        wrapped.append(b"%b\x04\x28%b" % (_named(recipient), encrypted))
    return der.tlv(
        0xA1,
        der.integer(3)
        + der.tlv(0xA0, originator)
        + suite.agreement_algorithm
        + der.sequence(*(der.tlv(der.SEQUENCE, one) for one in wrapped)),
    )


@lru_cache(maxsize=4096)
def _named(recipient: Certificate) -> bytes:
    """KeyAgreeRecipientIdentifier: the key's identifier where the certificate has one, it is shorter."""
    if recipient.key_id is None:
        return recipient.issuer_and_serial
    return der.tlv(0xA0, der.octet_string(recipient.key_id))
