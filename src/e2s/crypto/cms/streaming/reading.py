"""Read in one pass through a file; what comes out is nothing until the caller has heard that all is good.

Content is written to a file that has no name yet, or only hashed.  Everything else is brought to DER and
read by the readers of messages in memory, under the rules for others' messages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.cms.frames import BLOCK, associated
from e2s.crypto.cms.normal import normalised
from e2s.crypto.cms.opening import Encrypted, check_tag, read_associated, read_cbc, read_gcm, unopened
from e2s.crypto.cms.signed import FOREIGN, Signed, check_digest, read_signed, suite_of
from e2s.crypto.cms.streaming.naming import sealing_name, signature_name
from e2s.crypto.cms.streaming.spool import Told, pieces, untold, write
from e2s.crypto.cms.streaming.walk import MAX_HEADER, Frame, Walk
from e2s.crypto.cms.streaming.writing import Through, check_gcm, remaining
from e2s.crypto.cms.unwrapping import content_key, find_recipient
from e2s.crypto.ports import Opener
from e2s.crypto.suites.digests import BY_IDENTIFIER


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A message whose signature over its content is proven; who may sign is the verifier's word.

    ``signed`` is without its content, ``size`` that content's octets, ``detached`` whether it was apart,
    and ``suite`` the suite if it has a name.
    """

    signed: Signed
    suite: str | None
    detached: bool
    size: int


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What an envelope was: its content's type and whether alterations show, the suite if it has a name."""

    content_type: str
    authenticated: bool
    suite: str | None


def verify(
    source: BinaryIO, out: BinaryIO | None = None, *, content: BinaryIO | None = None, told: Told = untold
) -> Verified:
    """Prove who signed the message in ``source``, DER or BER, and write its content to ``out``.

    ``content`` is that of a detached signature.  What is in ``out`` counts for nothing if this raises: any
    :class:`Refusal` of :func:`~e2s.crypto.cms.read_signed` and :func:`~e2s.crypto.cms.check_signature`,
    ``ber-...`` and ``file-changed``; :class:`Misuse` ``cms-detached``.
    """
    size = remaining(source)
    walk = Walk(source, told)
    outside = Frame(size)
    _kind, info, data = _content_info(walk, outside, {oids.SIGNED_DATA}, "the message is no SignedData")
    version, algorithms = walk.element(data), walk.element(data)
    encapsulated = walk.enter(data)
    content_type = walk.element(encapsulated)
    inside = bool(walk.peek(encapsulated))
    if inside == (content is not None):
        raise Misuse("cms-detached", "give the content exactly when it is not inside")
    found = _Content(out)
    if inside:
        explicit = walk.enter(encapsulated, 0xA0)
        digest = _named_digest(algorithms)
        found.take(walk.string(explicit, der.OCTET_STRING), digest)
        walk.leave(explicit)
    walk.leave(encapsulated)
    rest = walk.rest(data)
    _leave(walk, info, outside)
    body = (version, algorithms, der.sequence(content_type), rest)
    signed = read_signed(_wrapped(oids.SIGNED_DATA, *body), FOREIGN)
    suite = suite_of(signed)
    if content is not None:
        digest = suite.digest()
        found.take(pieces(content, remaining(content), told), digest)
    check_digest(signed, suite, digest.digest())
    return Verified(signed=signed, suite=signature_name(signed), detached=not inside, size=found.size)


class _Content:
    """The content on its way to ``out``, if there is one, and into a digest."""

    def __init__(self, out: BinaryIO | None) -> None:
        self._out = out
        self.size = 0

    def take(self, octets: Iterator[memoryview], digest: Any) -> None:
        """All of ``octets``."""
        for piece in octets:
            digest.update(piece)
            if self._out is not None:
                write(self._out, piece)
            self.size += len(piece)


def _named_digest(algorithms: bytes) -> Any:
    """A new digest of the one algorithm that a message names before its content."""
    identifiers = der.Reader(normalised(algorithms)).enter(der.SET).elements(der.SEQUENCE, 2)
    if len(identifiers) != 1:
        raise Refusal("cms-one-signer", "a message has exactly one signer")
    found = BY_IDENTIFIER.get(identifiers[0])
    if found is None:
        raise Refusal("suite-unknown", "the message's algorithms are not accepted, or not for this key")
    return found.new()


def open_sealed(
    source: BinaryIO,
    out: BinaryIO,
    opener: Opener,
    *,
    allow_legacy: bool = False,
    suites: Collection[str] = (),
    told: Told = untold,
) -> Opened:
    """Open the envelope in ``source``, DER or BER, and write its content to ``out``.

    ``suites``, if any, are the only ones to be accepted (:class:`Refusal` ``wrong-suite``).  What is in
    ``out`` counts for nothing if this raises: what :func:`~e2s.crypto.cms.open_sealed` does, ``ber-...``,
    ``gcm-limit`` and ``file-changed``.
    """
    start, begin = source.tell(), out.tell()
    opening = _Opening(opener, suites, foreign=allow_legacy)
    opened, authenticated = opening.run(source, out, None, told)
    if authenticated is not None:
        # others' attributes, which stand behind the content but are authenticated before it: once more
        source.seek(start)
        out.seek(begin)
        out.truncate()
        opened, _again = opening.run(source, out, authenticated, told)
    return opened


class _Head(NamedTuple):
    """What stands before the ciphertext, and the key that it leads to."""

    octets: tuple[bytes, bytes]
    encrypted: Encrypted
    key: bytes | None
    suite: str | None


class _Opening:
    """One envelope, walked through once, or again under other authenticated attributes."""

    def __init__(self, opener: Opener, suites: Collection[str], *, foreign: bool) -> None:
        self._opener, self._suites, self._foreign = opener, suites, foreign

    def run(
        self, source: BinaryIO, out: BinaryIO, authenticated: bytes | None, told: Told
    ) -> tuple[Opened, bytes | None]:
        """What was opened, and None; or the attributes under which it must be opened instead."""
        size = remaining(source)
        walk, outside = Walk(source, told), Frame(size)
        kinds = {oids.AUTH_ENVELOPED_DATA} | ({oids.ENVELOPED_DATA} if self._foreign else set())
        why = "the message is no envelope that may be opened here"
        kind, info, data = _content_info(walk, outside, kinds, why)
        head, sealed = self._head(walk, data, kind)
        content_type = head.encrypted.content_type
        taken = associated(content_type) if authenticated is None else authenticated
        old = kind == oids.ENVELOPED_DATA
        if not old and not sealed.indefinite:
            check_gcm(sealed.limit - walk.pos - MAX_HEADER)  # at once, and octet by octet below
        decryption = _Old(head, out) if old else _Authenticated(head, out, taken)
        for piece in walk.string(sealed, 0x80):
            decryption.take(piece)
        walk.leave(sealed)
        tail = walk.rest(data)
        _leave(walk, info, outside)
        opened = Opened(content_type=content_type, authenticated=not old, suite=head.suite)
        said, tag = _read_tail(_body(kind, head.octets, tail), content_type, old=old)
        if not old and said != taken:
            return opened, said
        decryption.finish(tag)
        return opened, None

    def _head(self, walk: Walk, data: Frame, kind: str) -> tuple[_Head, Frame]:
        """All before the ciphertext, which is what follows in the frame."""
        version = walk.element(data)
        if walk.peek(data) == 0xA0:
            raise Refusal("cms-originator", "an envelope brings no certificates of its originator")
        recipients = walk.element(data)
        sealed = walk.enter(data)
        said = walk.element(sealed) + walk.element(sealed)
        octets = (version + recipients, said)
        reader = _body(kind, octets, b"")
        found = reader.integer()
        old = kind == oids.ENVELOPED_DATA
        if found not in ({0, 2, 3} if old else {0}):
            raise Refusal("cms-version", "the envelope's version is unknown here", version=found)
        recipient = find_recipient(reader, self._opener.certificate, foreign=self._foreign)
        information = reader.enter()
        encrypted = read_cbc(information) if old else read_gcm(information, foreign=self._foreign)
        suite = sealing_name(recipient, self._opener.certificate, encrypted.key_size, old=old)
        if self._suites and suite not in self._suites:
            raise Refusal("wrong-suite", "the envelope is sealed by another suite", found=suite)
        key = content_key(recipient, self._opener, encrypted.key_size, foreign=self._foreign)
        return _Head(octets, encrypted, key, suite), sealed


class _Authenticated:
    """AES-GCM; also where there is no key, so that nothing tells the two apart."""

    def __init__(self, head: _Head, out: BinaryIO, authenticated: bytes | None) -> None:
        key = head.key or bytes(head.encrypted.key_size)
        self._decryptor = Cipher(algorithms.AES(key), modes.GCM(head.encrypted.nonce)).decryptor()
        if authenticated is not None:
            self._decryptor.authenticate_additional_data(authenticated)
        self._through = Through(self._decryptor.update_into, out)
        self._known, self._size = head.key is not None, 0

    def take(self, piece: memoryview) -> None:
        """More of the ciphertext."""
        self._size += len(piece)
        check_gcm(self._size)
        self._through(piece)

    def finish(self, tag: bytes) -> None:
        """Refuse what is not good."""
        try:
            self._decryptor.finalize_with_tag(tag)
        except InvalidTag:
            raise unopened() from None
        if not self._known:
            raise unopened()


class _Old:
    """AES-CBC with its padding (RFC 5652, 6.3): nothing shows whether the content was altered."""

    def __init__(self, head: _Head, out: BinaryIO) -> None:
        key = head.key or bytes(head.encrypted.key_size)
        self._decryptor = Cipher(algorithms.AES(key), modes.CBC(head.encrypted.nonce)).decryptor()
        self._through = Through(self._decryptor.update_into, out)
        self._out = out
        self._known, self._size = head.key is not None, 0

    def take(self, piece: memoryview) -> None:
        """More of the ciphertext."""
        self._size += len(piece)
        self._through(piece)

    def finish(self, _tag: bytes) -> None:
        """Take the padding off; refuse what is not good."""
        if not self._size or self._size % BLOCK:
            raise Refusal("cms-content-encryption", "the initial vector and the content come in blocks")
        self._decryptor.finalize()
        end = self._out.tell()
        self._out.seek(end - BLOCK)
        last = self._out.read(BLOCK)
        count = last[-1]
        if not 0 < count <= BLOCK or last[-count:] != bytes((count,)) * count or not self._known:
            raise unopened()
        self._out.seek(end - count)
        self._out.truncate()


def _content_info(
    walk: Walk, outside: Frame, kinds: Collection[str], why: str
) -> tuple[str, tuple[Frame, ...], Frame]:
    """The type of a ContentInfo, its frames from the outermost, and the frame of what it holds."""
    info = walk.enter(outside)
    kind = der.Reader(normalised(walk.element(info))).oid()
    if kind not in kinds:
        raise Refusal("cms-content-info", why, found=kind)
    explicit = walk.enter(info, 0xA0)
    return kind, (info, explicit), walk.enter(explicit)


def _read_tail(data: der.Reader, content_type: str, *, old: bool) -> tuple[bytes | None, bytes]:
    """The authenticated attributes and the tag, behind the ciphertext."""
    for expected in (der.INTEGER, der.SET, der.SEQUENCE):
        data.span(expected)
    said, tag = None, b""
    if not old:
        said = read_associated(data, content_type)
        tag = data.content(der.OCTET_STRING)
        check_tag(tag)
    data.done()
    return said, tag


def _leave(walk: Walk, frames: tuple[Frame, ...], outside: Frame) -> None:
    """Nothing may follow."""
    for frame in reversed(frames):
        walk.leave(frame)
    walk.leave(outside)


def _wrapped(kind: str, *body: bytes) -> bytes:
    """A ContentInfo in DER of what was kept."""
    return normalised(der.sequence(der.oid(kind), der.tlv(0xA0, der.sequence(*body))))


def _body(kind: str, head: tuple[bytes, bytes], tail: bytes) -> der.Reader:
    """What an envelope holds, in DER, with its ciphertext left out."""
    before, said = head
    octets = _wrapped(kind, before, der.sequence(said, der.tlv(0x80, b"")), tail)
    info = der.Reader(octets).enter()
    info.oid()
    return info.enter(0xA0).enter()
