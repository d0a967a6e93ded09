"""Compressed content (RFC 3274): a few octets may stand for very many, so the reader says how many it takes.

Compression hides nothing and proves nothing: sign what is inside, or sign and seal what is compressed.  Never
compress what a stranger chose together with a secret: the size of what is sealed then tells the secret.
"""

from __future__ import annotations

import zlib
from typing import Final

from e2s.base.errors import Refusal
from e2s.crypto import der, oids

MAX_BYTES: Final = 4 * 1024 * 1024

_COMPRESSED_DATA: Final = der.oid(oids.COMPRESSED_DATA)
_ZLIB: Final = der.sequence(der.oid(oids.ZLIB_COMPRESSION))
_VERSION: Final = der.integer(0)


def compress(content: bytes, content_type: str = oids.DATA) -> bytes:
    """A ContentInfo with ``content`` compressed by zlib."""
    packed = der.octet_string(zlib.compress(content, 9))
    encapsulated = der.sequence(der.oid(content_type), der.tlv(0xA0, packed))
    return der.sequence(_COMPRESSED_DATA, der.tlv(0xA0, der.sequence(_VERSION, _ZLIB, encapsulated)))


def decompress(octets: bytes, *, max_bytes: int = MAX_BYTES) -> tuple[str, bytes]:
    """Content type and content of a ContentInfo with CompressedData, each of at most ``max_bytes``.

    Raises :class:`Refusal` ``der-...`` or ``cms-...`` for its form, ``too-large``, ``bad-compression`` for
    what is no whole zlib stream.
    """
    if len(octets) > max_bytes:
        raise Refusal("too-large", "the message is larger than may be read", size=len(octets))
    outer = der.Reader(octets)
    info = outer.enter()
    outer.done()
    if info.oid() != oids.COMPRESSED_DATA:
        raise Refusal("cms-content-info", "the message is no CompressedData")
    explicit = info.enter(0xA0)
    info.done()
    data = explicit.enter()
    explicit.done()
    if data.integer() != 0:
        raise Refusal("cms-version", "the version of the compressed content is unknown here")
    _check_algorithm(data.enter())
    encapsulated = data.enter()
    data.done()
    content_type = encapsulated.oid()
    inside = encapsulated.enter(0xA0)
    encapsulated.done()
    start, stop = inside.span(der.OCTET_STRING)
    inside.done()
    return content_type, _unpacked(memoryview(octets)[start:stop], max_bytes)


def _check_algorithm(algorithm: der.Reader) -> None:
    """Zlib, whose parameters are absent; NULL is taken as others write it (RFC 3274, 2)."""
    if algorithm.oid() != oids.ZLIB_COMPRESSION:
        raise Refusal("suite-unknown", "the content is compressed in an unknown way")
    if algorithm.peek() == der.NULL and algorithm.content(der.NULL):
        raise Refusal("der-null", "a NULL is empty")
    algorithm.done()


def _unpacked(packed: memoryview, max_bytes: int) -> bytes:
    """What a whole zlib stream stands for; stops as soon as it is too much."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, max_bytes + 1)
    except zlib.error as error:
        raise Refusal("bad-compression", "the content does not decompress") from error
    if len(content) > max_bytes:
        raise Refusal("too-large", "the content is larger than may be read", most=max_bytes)
    if not stream.eof or stream.unused_data:
        raise Refusal("bad-compression", "the compressed content is cut short or followed by more")
    return content
