"""An envelope opens whole or not at all; what failed is not told, so that no answer helps a guesser.

Read strictly: no originator information, nothing unauthenticated, 128-bit tags, uncompressed points on
the recipient's own curve.  Older and others' forms (EnvelopedData, shorter keys, other derivations and
paddings) open only when allowed.  The content is decrypted even where no key was found for it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.cms.addressing import find_recipient
from e2s.crypto.cms.frames import BLOCK, NONCE_SIZE, TAG_SIZE, associated
from e2s.crypto.cms.unwrapping import content_key, key_or_none
from e2s.crypto.cms.usual import read_usual
from e2s.crypto.ports import Opener

MAX_BYTES = 4 * 1024 * 1024

#: Sizes of content keys by cipher; the shorter ones only in others' envelopes.
GCM_KEYS: Final = {oids.AES256_GCM: 32, oids.AES192_GCM: 24, oids.AES128_GCM: 16}
CBC_KEYS: Final = {oids.AES256_CBC: 32, oids.AES192_CBC: 24, oids.AES128_CBC: 16}
#: In place of a key that was not found; what it opens is refused whatever it is.
_NO_KEY = bytes(32)


class Encrypted(NamedTuple):
    """EncryptedContentInfo up to the ciphertext: its type, the cipher's key size and nonce or IV."""

    content_type: str
    key_size: int
    nonce: bytes


def open_sealed(
    octets: bytes, opener: Opener, *, allow_legacy: bool = False, max_bytes: int = MAX_BYTES
) -> tuple[str, bytes]:
    """Content type and content of an envelope that names ``opener``'s certificate.

    ``allow_legacy`` takes what E2S does not write: others' forms, and old ones that authenticate nothing.
    Raises :class:`Refusal` ``der-...`` or ``cms-...`` for its form, ``suite-unknown``, ``not-for-me``, and
    ``bad-envelope`` for every failure to open it.
    """
    if len(octets) > max_bytes:
        raise Refusal("too-large", "the envelope is larger than may be read", size=len(octets))
    usual = read_usual(octets, opener.certificate)
    if usual is not None:
        key = key_or_none(usual.form.key, 32, octets, opener)
        return usual.content_type, _decrypted(usual.sealed, usual.nonce, usual.authenticated, key)
    outer = der.Reader(octets)
    info = outer.enter()
    outer.done()
    kind = info.oid()
    explicit = info.enter(0xA0)
    info.done()
    data = explicit.enter()
    explicit.done()
    if kind == oids.AUTH_ENVELOPED_DATA:
        return _open_authenticated(data, opener, foreign=allow_legacy)
    if kind == oids.ENVELOPED_DATA and allow_legacy:
        return _open_old(data, opener)
    raise Refusal("cms-content-info", "the message is no envelope that may be opened here", found=kind)


def is_authenticated(octets: bytes) -> bool:
    """Whether an envelope is of the kind that shows alterations."""
    return der.Reader(octets).enter().oid() == oids.AUTH_ENVELOPED_DATA


def _open_authenticated(data: der.Reader, opener: Opener, *, foreign: bool) -> tuple[str, bytes]:
    """AuthEnvelopedData (RFC 5083, 2.1)."""
    if data.integer() != 0:
        raise Refusal("cms-version", "the envelope's version is unknown here")
    recipient = find_recipient(data, opener.certificate, foreign=foreign)
    info = data.enter()
    encrypted = read_gcm(info, foreign=foreign)
    start, stop = info.span(0x80)
    info.done()
    authenticated = read_associated(data, encrypted.content_type)
    tag = data.content(der.OCTET_STRING)
    data.done()
    check_tag(tag)
    sealed = b"".join((memoryview(data.data)[start:stop], tag))
    key = content_key(recipient, opener, encrypted.key_size, foreign=foreign)
    return encrypted.content_type, _decrypted(sealed, encrypted.nonce, authenticated, key)


def _decrypted(sealed: bytes, nonce: bytes, authenticated: bytes | None, key: bytes | None) -> bytes:
    """The content of ciphertext and tag; raises the one refusal where there is no ``key`` too."""
    try:
        content = AESGCM(key or _NO_KEY).decrypt(nonce, sealed, authenticated)
    except InvalidTag:
        raise unopened() from None
    if key is None:
        raise unopened()
    return content


def read_gcm(info: der.Reader, *, foreign: bool = False) -> Encrypted:
    """The content's type and cipher of an AuthEnvelopedData; the ciphertext follows."""
    content_type, algorithm, size = _cipher(info, GCM_KEYS, foreign=foreign)
    parameters = algorithm.enter()
    algorithm.done()
    nonce = parameters.content(der.OCTET_STRING)
    # RFC 5084, 3.2: the tag's length is 12 unless said; nothing short of 16 is taken
    tag_size = parameters.integer() if parameters.peek() == der.INTEGER else 12
    parameters.done()
    if len(nonce) != NONCE_SIZE or tag_size != TAG_SIZE:
        raise _cipher_refused("the nonce has 96 bits and the tag 128")
    return Encrypted(content_type, size, nonce)


def read_cbc(info: der.Reader) -> Encrypted:
    """The content's type and cipher of an EnvelopedData; the ciphertext follows."""
    content_type, algorithm, size = _cipher(info, CBC_KEYS, foreign=True)
    iv = algorithm.content(der.OCTET_STRING)
    algorithm.done()
    if len(iv) != BLOCK:
        raise _cipher_refused("the initial vector and the content come in blocks")
    return Encrypted(content_type, size, iv)


def read_associated(data: der.Reader, content_type: str) -> bytes | None:
    """The authenticated attributes: the content type alone, and only where it is not id-data."""
    expected = associated(content_type)
    if data.peek() != 0xA1:
        if expected is not None:
            raise Refusal("cms-content-type", "the content type is not authenticated")
        return None
    begin, stop = data.span(0xA1)
    if expected is not None and data.data[begin:stop] == expected[2:]:
        return expected
    return _other_attributes(der.Reader(data.data, begin, stop, data.depth - 1), content_type)


def check_tag(tag: bytes) -> None:
    """Refuse a shortened tag."""
    if len(tag) != TAG_SIZE:
        raise _cipher_refused("the nonce has 96 bits and the tag 128")


def unopened() -> Refusal:
    """The one refusal for every failure to open."""
    return Refusal("bad-envelope", "the envelope does not open")


def _other_attributes(attributes: der.Reader, content_type: str) -> bytes:
    """Attributes in another encoding or with other values; id-data may be named too."""
    begin = attributes.pos
    attribute = attributes.enter()
    attributes.done()
    oid, values = attribute.oid(), attribute.enter(der.SET)
    attribute.done()
    if oid != oids.CONTENT_TYPE or values.oid() != content_type:
        raise Refusal("cms-content-type", "the authenticated content type is not the content's")
    values.done()
    return der.tlv(der.SET, attributes.data[begin : attributes.end])


def _open_old(data: der.Reader, opener: Opener) -> tuple[str, bytes]:
    """EnvelopedData (RFC 5652, 6.1) with AES-CBC: nothing in it is authenticated."""
    version = data.integer()
    recipient = find_recipient(data, opener.certificate, foreign=True)
    if version not in {0, 2, 3}:
        raise Refusal("cms-version", "the envelope's version is unknown here", version=version)
    info = data.enter()
    encrypted = read_cbc(info)
    ciphertext = info.content(0x80)
    info.done()
    data.done()
    if not ciphertext or len(ciphertext) % BLOCK:
        raise _cipher_refused("the initial vector and the content come in blocks")
    key = content_key(recipient, opener, encrypted.key_size, foreign=True)
    cipher = Cipher(algorithms.AES(key or _NO_KEY[: encrypted.key_size]), modes.CBC(encrypted.nonce))
    decryptor, unpadder = cipher.decryptor(), PKCS7(8 * BLOCK).unpadder()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    try:
        content = unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise unopened() from None
    if key is None:
        raise unopened()
    return encrypted.content_type, content


def _cipher(info: der.Reader, keys: dict[str, int], *, foreign: bool) -> tuple[str, der.Reader, int]:
    """Content type, the cipher's parameters and the size of its key."""
    content_type = info.oid()
    algorithm = info.enter()
    size = keys.get(algorithm.oid(), 0)
    if not size or (size != 32 and not foreign):
        raise _cipher_refused("the content is encrypted in a way that is not accepted")
    return content_type, algorithm, size


def _cipher_refused(why: str) -> Refusal:
    return Refusal("cms-content-encryption", why)
