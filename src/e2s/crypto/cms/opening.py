"""An envelope opens whole or not at all; what failed is not told, so that no answer helps a guesser.

Read strictly: no originator information, nothing unauthenticated, 128-bit tags, uncompressed points on
the recipient's own curve.  Older forms (EnvelopedData, other derivations) open only when allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from cryptography.hazmat.primitives.padding import PKCS7

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.cms.sealing import BLOCK, KEY_SIZE, NONCE_SIZE, TAG_SIZE, key_encryption_key, shared_info
from e2s.crypto.ports import Opener
from e2s.crypto.suites import AGREEMENTS, OAEP_ALGORITHMS, sealing_suite_of

MAX_BYTES = 4 * 1024 * 1024
_MAX_RECIPIENTS = 1000
_WRAPPED_SIZE = KEY_SIZE + 8
_MAX_UKM = 64

# Refusals of an opener that must not be told apart from a wrong tag; any other (a card gone) is passed on.
_ALIKE = frozenset(("bad-envelope", "invalid-point", "wrong-key"))

_EC_KEY_OID = der.oid(oids.EC_PUBLIC_KEY)
_EC_KEYS = {
    ec.SECP256R1.name: der.sequence(_EC_KEY_OID, der.oid(oids.P256)),
    ec.SECP384R1.name: der.sequence(_EC_KEY_OID, der.oid(oids.P384)),
}
_EC_BARE = frozenset((der.sequence(_EC_KEY_OID), der.sequence(_EC_KEY_OID, der.tlv(der.NULL, b""))))


class _Recipient(NamedTuple):
    """One way to the content key: by transport, or by agreement with an originator's point."""

    named: bytes
    encrypted_key: bytes
    algorithm: bytes
    originator: tuple[bytes, bytes] | None
    ukm: bytes


def open_sealed(
    octets: bytes, opener: Opener, *, allow_legacy: bool = False, max_bytes: int = MAX_BYTES
) -> tuple[str, bytes]:
    """Content type and content of an envelope that names ``opener``'s certificate.

    Raises :class:`Refusal` ``der-...`` or ``cms-...`` for its form, ``not-for-me``, and ``bad-envelope``
    for every failure to open it.
    """
    if len(octets) > max_bytes:
        raise Refusal("too-large", "the envelope is larger than may be read", size=len(octets))
    outer = der.Reader(octets)
    info = outer.enter()
    outer.done()
    kind = info.oid()
    explicit = info.enter(0xA0)
    info.done()
    data = explicit.enter()
    explicit.done()
    if kind == oids.AUTH_ENVELOPED_DATA:
        return _open_authenticated(data, opener, allow_legacy=allow_legacy)
    if kind == oids.ENVELOPED_DATA and allow_legacy:
        return _open_legacy(data, opener)
    raise Refusal("cms-content-info", "the message is no envelope that may be opened here", found=kind)


def is_authenticated(octets: bytes) -> bool:
    """Whether an envelope is of the kind that shows alterations."""
    return der.Reader(octets).enter().oid() == oids.AUTH_ENVELOPED_DATA


def _open_authenticated(data: der.Reader, opener: Opener, *, allow_legacy: bool) -> tuple[str, bytes]:
    """AuthEnvelopedData (RFC 5083, 2.1)."""
    if data.integer() != 0:
        raise Refusal("cms-version", "the envelope's version is unknown here")
    recipients = _recipients(data)
    content_type, algorithm, ciphertext = _encrypted_content(data, oids.AES256_GCM)
    nonce = algorithm.enter()
    algorithm.done()
    iv = nonce.content(der.OCTET_STRING)
    # RFC 5084, 3.2: the tag's length is 12 unless said; nothing short of 16 is taken
    tag_size = nonce.integer() if nonce.peek() == der.INTEGER else 12
    nonce.done()
    if len(iv) != NONCE_SIZE or tag_size != TAG_SIZE:
        raise Refusal("cms-content-encryption", "the nonce has 96 bits and the tag 128")
    associated = _associated(data, content_type)
    tag = data.content(der.OCTET_STRING)
    data.done()
    if len(tag) != TAG_SIZE:
        raise Refusal("cms-content-encryption", "the nonce has 96 bits and the tag 128")
    key = _content_key(recipients, opener, allow_legacy=allow_legacy)
    try:
        return content_type, AESGCM(key).decrypt(iv, ciphertext + tag, associated)
    except InvalidTag:
        raise _unopened() from None


def _associated(data: der.Reader, content_type: str) -> bytes | None:
    """The authenticated attributes: the content type alone, and only where it is not id-data."""
    if data.peek() != 0xA1:
        if content_type != oids.DATA:
            raise Refusal("cms-content-type", "the content type is not authenticated")
        return None
    attributes = data.enter(0xA1)
    begin = attributes.pos
    attribute = attributes.enter()
    attributes.done()
    oid, values = attribute.oid(), attribute.enter(der.SET)
    attribute.done()
    if oid != oids.CONTENT_TYPE or values.oid() != content_type:
        raise Refusal("cms-content-type", "the authenticated content type is not the content's")
    values.done()
    return der.tlv(der.SET, data.data[begin : attributes.end])


def _open_legacy(data: der.Reader, opener: Opener) -> tuple[str, bytes]:
    """EnvelopedData (RFC 5652, 6.1) with AES-256-CBC: nothing in it is authenticated."""
    version = data.integer()
    recipients = _recipients(data)
    if version not in {0, 2}:
        raise Refusal("cms-version", "the envelope's version is unknown here", version=version)
    content_type, algorithm, ciphertext = _encrypted_content(data, oids.AES256_CBC)
    iv = algorithm.content(der.OCTET_STRING)
    algorithm.done()
    data.done()
    if len(iv) != BLOCK or not ciphertext or len(ciphertext) % BLOCK:
        raise Refusal("cms-content-encryption", "the initial vector and the content come in blocks")
    key = _content_key(recipients, opener, allow_legacy=True)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    unpadder = PKCS7(8 * BLOCK).unpadder()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    try:
        return content_type, unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise _unopened() from None


def _encrypted_content(data: der.Reader, cipher: str) -> tuple[str, der.Reader, bytes]:
    """EncryptedContentInfo: content type, the cipher's parameters, ciphertext."""
    info = data.enter()
    content_type = info.oid()
    algorithm = info.enter()
    if algorithm.oid() != cipher:
        raise Refusal("cms-content-encryption", "the content is encrypted in a way that is not accepted")
    ciphertext = info.content(0x80)
    info.done()
    return content_type, algorithm, ciphertext


def _recipients(data: der.Reader) -> list[_Recipient]:
    """All recipients of all RecipientInfos (RFC 5652, 6.2), in order and at most a thousand."""
    infos = data.enter(der.SET)
    elements = infos.elements(None, _MAX_RECIPIENTS)
    der.check_order(elements)
    found: list[_Recipient] = []
    for element in elements:
        info = der.Reader(element)
        if element[0] == der.SEQUENCE:
            found.append(_transport(info.enter()))
        elif element[0] == 0xA1:
            found.extend(_agreements(info.enter(0xA1), _MAX_RECIPIENTS - len(found)))
        else:
            raise Refusal("cms-recipient", "a recipient is addressed in a way that is not accepted")
    return found


def _transport(info: der.Reader) -> _Recipient:
    """KeyTransRecipientInfo: version 0 names by issuer and serial, 2 by key identifier."""
    version = info.integer()
    if version not in {0, 2}:
        raise Refusal("cms-version", "the recipient's version is unknown here", version=version)
    named = info.content(0x80) if version else info.element(der.SEQUENCE)
    algorithm = info.element(der.SEQUENCE)
    encrypted = info.content(der.OCTET_STRING)
    info.done()
    return _Recipient(named, encrypted, algorithm, None, b"")


def _agreements(info: der.Reader, most: int) -> Iterator[_Recipient]:
    """KeyAgreeRecipientInfo with the originator's key inside."""
    if info.integer() != 3:
        raise Refusal("cms-version", "the recipient's version is unknown here")
    choice = info.enter(0xA0)
    originator = choice.enter(0xA1)
    choice.done()
    public = (originator.element(der.SEQUENCE), originator.content(der.BIT_STRING))
    originator.done()
    ukm = b""
    if info.peek() == 0xA1:
        explicit = info.enter(0xA1)
        ukm = explicit.content(der.OCTET_STRING)
        explicit.done()
    algorithm = info.element(der.SEQUENCE)
    keys = info.enter()
    info.done()
    while keys.pos != keys.end:
        most -= 1
        if most < 0:
            raise Refusal("der-count", "more recipients than may be read")
        key = keys.enter()
        if key.peek() == 0xA0:
            identifier = key.enter(0xA0)
            named = identifier.content(der.OCTET_STRING)
            identifier.done()
        else:
            named = key.element(der.SEQUENCE)
        encrypted = key.content(der.OCTET_STRING)
        key.done()
        yield _Recipient(named, encrypted, algorithm, public, ukm)


def _content_key(recipients: list[_Recipient], opener: Opener, *, allow_legacy: bool) -> bytes:
    """The content key, by the first way that names the opener's certificate."""
    certificate = opener.certificate
    mine = {certificate.issuer_and_serial, certificate.key_id}
    for recipient in recipients:
        if recipient.named in mine:
            break
    else:
        raise Refusal("not-for-me", "the envelope does not name this certificate")
    try:
        if recipient.originator is None:
            key = _transported(recipient, opener)
        else:
            key = _agreed(recipient, recipient.originator, opener, allow_legacy=allow_legacy)
    except InvalidUnwrap:
        raise _unopened() from None
    except Refusal as refusal:
        if refusal.rule in _ALIKE:
            raise _unopened() from None
        raise
    if len(key) != KEY_SIZE:
        raise _unopened()
    return key


def _transported(recipient: _Recipient, opener: Opener) -> bytes:
    """The content key by RSA-OAEP."""
    if recipient.algorithm not in OAEP_ALGORITHMS:
        raise Refusal("suite-unknown", "the content key is wrapped in a way that is not accepted")
    return opener.unwrap(recipient.encrypted_key)


def _agreed(
    recipient: _Recipient, originator: tuple[bytes, bytes], opener: Opener, *, allow_legacy: bool
) -> bytes:
    """The content key by agreement with the originator's key on the opener's curve."""
    suite = sealing_suite_of(opener.certificate.public_key)
    algorithm, point = originator
    if suite.curve is None:
        raise _unopened()
    curve = _EC_KEYS[suite.curve.name]
    # an uncompressed point, no unused bits: X9.62, 4.3.6
    size = 2 + 2 * ((suite.curve.key_size + 7) // 8)
    if (algorithm not in _EC_BARE and algorithm != curve) or len(point) != size or point[:2] != b"\x00\x04":
        raise _unopened()
    if len(recipient.encrypted_key) != _WRAPPED_SIZE:
        raise _unopened()
    kdf = _derivation(recipient, suite.agreement_algorithm, allow_legacy=allow_legacy)
    secret = opener.agree(der.sequence(curve, der.tlv(der.BIT_STRING, point)))
    return aes_key_unwrap(
        key_encryption_key(kdf, secret, shared_info(recipient.ukm)), recipient.encrypted_key
    )


def _derivation(recipient: _Recipient, own: bytes, *, allow_legacy: bool) -> Callable[[bytes], Any]:
    """The key derivation: the suite's own, or with older forms allowed any known one."""
    kdf = AGREEMENTS.get(recipient.algorithm)
    if kdf is None or (not allow_legacy and recipient.algorithm != own):
        raise Refusal("suite-unknown", "the content key is derived in a way that is not accepted")
    if recipient.ukm and (not allow_legacy or len(recipient.ukm) > _MAX_UKM):
        raise Refusal("cms-recipient", "the sender's octets beside the key are not accepted")
    return kdf


def _unopened() -> Refusal:
    """The one refusal for every failure to open."""
    return Refusal("bad-envelope", "the envelope does not open")
