"""What revocation lists and attribute certificates share: a signed body and extensions (RFC 5280, 4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import der

_MAX_EXTENSIONS = 32


class SignedBody(NamedTuple):
    """The octets that are signed, the AlgorithmIdentifier beside them, and the signature."""

    body: bytes
    algorithm: bytes
    signature: bytes


def signed_body(octets: bytes) -> SignedBody:
    """The three parts of a signed structure; raises :class:`Refusal` ``der-...``."""
    outer = der.Reader(octets)
    whole = outer.enter()
    outer.done()
    body = whole.element(der.SEQUENCE)
    algorithm = whole.element(der.SEQUENCE)
    signature = whole.content(der.BIT_STRING)
    whole.done()
    if signature[:1] != b"\0":
        raise Refusal("der-bits", "the signature is not whole octets")
    return SignedBody(body, algorithm, signature[1:])


def each_extension(extensions: der.Reader) -> Iterator[tuple[str, bool, bytes]]:
    """Identifier, criticality and value of each; none occurs twice (4.2), or :class:`Refusal` ``der-...``."""
    seen: set[str] = set()
    while extensions.pos != extensions.end:
        extension = extensions.enter()
        oid = extension.oid()
        critical = extension.boolean() if extension.peek() == der.BOOLEAN else False
        value = extension.content(der.OCTET_STRING)
        extension.done()
        if oid in seen or len(seen) > _MAX_EXTENSIONS:
            raise Refusal("der-extension", "an extension occurs twice", oid=oid)
        seen.add(oid)
        yield oid, critical, value


def authority_key(value: bytes) -> bytes | None:
    """The key identifier of an AuthorityKeyIdentifier (4.2.1.1), if it has one."""
    inner = der.Reader(value).enter()
    return inner.content(0x80) if inner.peek() == 0x80 else None
